"""What the service says about its quota and its time, and what waits and watches may spend: no clock, no I/O."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from tempmailg import _wire as wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tempmailg._models import Quota
    from tempmailg.transport import AnswerHeaders

__all__ = ["QuotaBook", "QuotaPace", "ServiceClock"]

BURST: Final = 120
"""Polls that may be made faster than the quota's pace: a mailbox that stays empty for its 600 seconds takes 55."""

BURST_SHARE: Final = 0.1  # of what is left: a small quota must not go in one burst
DEFAULT_PACE: Final = 1.0
"""Polls a second that watches make together in the long run where the service declares no quota or no reset."""

CROWD: Final = 16  # polls under way take at most one sixteenth of what is left, for others share the key
OUT_OF_ORDER: Final = 64  # answers overtake each other: only a greater rise of what remains is news


class ServiceClock:
    """What the service's own clock says, from the last answer that said it: ours may be wrong by a day."""

    __slots__ = ("_ahead", "_is_declared")

    def __init__(self) -> None:
        self._ahead: float | None = None  # the service's time in seconds since 1970, less our monotonic time
        self._is_declared = False

    def update(self, declared: datetime | None, now: float, *, fallback: Callable[[], datetime]) -> None:
        """Take the time that an answer declares; our own wall clock counts only until an answer declared one."""
        if declared is not None:
            self._ahead, self._is_declared = declared.timestamp() - now, True
        elif not self._is_declared:
            self._ahead = fallback().timestamp() - now

    @property
    def is_set(self) -> bool:
        """Whether there was an answer yet."""
        return self._ahead is not None

    def until(self, moment: datetime, now: float) -> float:
        """Return the seconds until a moment of the service's; negative if it has passed."""
        return moment.timestamp() - (now + (self._ahead or 0.0))


class QuotaPace:
    """What waits and watches may spend of the quota: a bucket of polls that fills at the pace the quota allows.

    The pace is what remains above the reserve, spread evenly over the time to the reset. The bucket pays for everything
    that the answers show to be spent, by whomever: so a fleet that shares one key keeps the pace together. Watches poll
    only while it holds a poll. Waits, being short, may also run into debt, for which watches then stand back.

    Args:
        reserve: How many requests to leave for other calls.
    """

    __slots__ = (
        "_filled_at",
        "_has_asked",
        "_remaining",
        "_reserve",
        "_reset_at",
        "_resets_at",
        "_tokens",
        "under_way",
    )

    def __init__(self, reserve: int) -> None:
        self._reserve = reserve
        self._remaining: int | None = None  # the least that was declared since the last reset
        self._resets_at: datetime | None = None
        self._reset_at: float | None = None  # the same moment on our monotonic clock
        self._tokens = float(BURST)
        self._filled_at: float | None = None
        self._has_asked = False  # an answer came, whether or not it declared the quota
        self.under_way: int = 0

    def update(self, quota: Quota, until_reset: float | None, now: float) -> None:
        """Take in what an answer says about the quota.

        Args:
            quota: The quota.
            until_reset: Seconds until it starts again, on the service's clock; None if it does not say.
            now: Our monotonic time, in seconds.
        """
        self._fill(now)
        before, is_new = self._remaining, quota.resets_at != self._resets_at or self._is_reset(now)
        if before is not None and quota.remaining < before:
            self._pay(before - quota.remaining)
        if before is None or is_new or quota.remaining < before or quota.remaining > before + OUT_OF_ORDER:
            self._remaining = quota.remaining
        self._resets_at = quota.resets_at
        self._reset_at = now + until_reset if until_reset is not None and until_reset > 0 else None
        self._has_asked = True

    def begin(self) -> None:
        """Count a poll that begins."""
        self.under_way += 1

    def end(self, *, counted: bool) -> None:
        """Count a poll that ended.

        Args:
            counted: Whether it cost a request of the quota. Where answers declare the quota, that shows by itself.
        """
        self.under_way -= 1
        self._has_asked |= counted
        if counted and self._remaining is None:
            self._pay(1)

    def is_exhausted(self, now: float) -> bool:
        """Say whether nothing is left above the reserve. After the reset nobody knows until somebody polls."""
        return self._left(now) <= 0

    def has_room(self, now: float) -> bool:
        """Say whether one more poll may be under way, so that many of them do not overstep the quota together.

        The first poll goes alone, also after a reset: before its answer nobody knows how little may be left.
        """
        is_known = self._has_asked and not self._is_reset(now)
        return self.under_way < (max(1.0, self._left(now) / CROWD) if is_known else 1.0)

    def delay(self, now: float) -> float:
        """Return the seconds until the bucket holds a poll for a watch; 0 if it does, or if it never will."""
        if self._tokens - self.under_way >= 1.0:
            return 0.0
        self._fill(now)
        rate, missing = self._rate(now), 1.0 - (self._tokens - self.under_way)
        return missing / rate if rate > 0 and missing > 0 else 0.0

    def _left(self, now: float) -> float:
        """Return how many requests are left above the reserve, as far as is known."""
        if self._remaining is None or self._is_reset(now):
            return math.inf
        return self._remaining - self._reserve

    def _is_reset(self, now: float) -> bool:
        """Say whether the quota started again since an answer last declared it."""
        return self._reset_at is not None and now >= self._reset_at

    def _rate(self, now: float) -> float:
        left = self._left(now)
        if left == math.inf or self._reset_at is None:
            return DEFAULT_PACE
        return max(0.0, left) / max(1.0, self._reset_at - now)

    def _capacity(self, now: float) -> float:
        return max(1.0, min(BURST, BURST_SHARE * self._left(now)))

    def _fill(self, now: float) -> None:
        earned = 0.0 if self._filled_at is None else (now - self._filled_at) * self._rate(now)
        self._tokens = min(self._capacity(now), self._tokens + earned)
        self._filled_at = now

    def _pay(self, price: int) -> None:
        self._tokens = max(-float(BURST), self._tokens - price)  # a debt without end would silence watches for ever


class QuotaBook:
    """What the answers of a client's requests say about its quota and about the service's time.

    Headers are kept unread until somebody asks, since reading them is a tenth of a call's work and most programs never
    ask. `refresh` reads them; nothing else here changes state.

    Args:
        reserve: How many requests to leave for other calls.
        now: Returns our monotonic time, in seconds.
        utcnow: Returns our wall clock's time.
    """

    __slots__ = ("_now", "_quota", "_unread", "_utcnow", "clock", "pace")

    def __init__(self, reserve: int, *, now: Callable[[], float], utcnow: Callable[[], datetime]) -> None:
        self._now = now
        self._utcnow = utcnow
        self._quota: Quota | None = None
        self._unread: tuple[AnswerHeaders, float] | None = None  # of the last answer, and when it came
        self.clock = ServiceClock()
        self.pace = QuotaPace(reserve)

    def record_headers(self, headers: AnswerHeaders) -> None:
        """Keep an answer's headers until the next `refresh`.

        The last answer says all that those before it said, unless it is the error page of a proxy, which says nothing.
        """
        if self._unread is not None and not wire.tells_quota_and_time(headers):
            self.refresh()
        self._unread = headers, self._now()

    def refresh(self) -> None:
        """Read the headers that were kept, so that `clock` and `pace` are up to date."""
        if self._unread is None:
            return
        headers, arrived = self._unread
        declared = wire.server_time_of(headers)
        self.clock.update(declared, arrived if declared else self._now(), fallback=self._utcnow)
        quota = wire.quota_of(headers)
        if quota is not None:
            self._quota = quota
            until_reset = None if quota.resets_at is None else self.clock.until(quota.resets_at, arrived)
            self.pace.update(quota, until_reset, arrived)
        self._unread = None  # at the end, for a thread that asks for the quota meanwhile

    @property
    def quota(self) -> Quota | None:
        """The quota that the last answer with one declared; any thread may ask, since this changes nothing."""
        unread = self._unread
        return (wire.quota_of(unread[0]) if unread else None) or self._quota
