"""What the service says about its quota and its time, and what waits and watches may spend: no clock, no I/O."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, get_args

from tempmailg import _headers
from tempmailg._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tempmailg._models import Quota
    from tempmailg.transport import AnswerHeaders

__all__ = ["Preference", "QuotaBook", "QuotaLedger", "ServiceClock", "check_preference"]

Preference: TypeAlias = Literal["fast", "balanced", "thrifty"]
"""What matters more: early delivery, or the quota."""

CROWD: Final = 16  # polls under way take at most one sixteenth of what is left, for others share the key
OUT_OF_ORDER: Final = 64  # answers overtake each other: only a greater rise of what remains is news
DATE_GRAIN: Final = 2.0  # seconds: `Date` has whole ones, so less than this is no news

LATE: Final = 30.0  # seconds: an answer that comes so soon after another may be the older one
PROBE_GAP: Final = 60.0  # seconds between two polls where nothing is left and no reset is declared


def check_preference(preference: Preference) -> None:
    """Refuse what is no preference."""
    if preference not in get_args(Preference):
        raise ConfigurationError(f"preference must be one of {', '.join(get_args(Preference))}, not {preference!r}")


class ServiceClock:
    """What the service's own clock says, from the last answer that said it: ours may be wrong by a day."""

    __slots__ = ("_ahead", "_is_declared")

    def __init__(self) -> None:
        self._ahead: float | None = None  # the service's time in seconds since 1970, less our monotonic time
        self._is_declared = False

    def update(self, declared: datetime | None, now: float, *, fallback: Callable[[], datetime]) -> None:
        """Take the time that an answer declares; our own wall clock counts only until an answer declared one."""
        if declared is not None:
            ahead = declared.timestamp() - now
            known = self._ahead if self._is_declared else None
            # `Date` is cut to whole seconds, so of answers that agree the greatest is the nearest to the truth.
            self._ahead = ahead if known is None or not 0 <= known - ahead < DATE_GRAIN else known
            self._is_declared = True
        elif not self._is_declared:
            self._ahead = fallback().timestamp() - now

    @property
    def is_set(self) -> bool:
        """Whether there was an answer yet."""
        return self._ahead is not None

    def until(self, moment: datetime, now: float) -> float:
        """Return the seconds until a moment of the service's; negative if it has passed."""
        return moment.timestamp() - (now + (self._ahead or 0.0))


class QuotaLedger:
    """How much of the quota is left, and when it starts again: what waits and watches may spend.

    Args:
        reserve: How many requests to leave for other calls.
    """

    __slots__ = (
        "_declared_at",
        "_has_asked",
        "_left",
        "_remaining",
        "_reset_at",
        "_resets_at",
        "reserve",
        "spent",
        "under_way",
    )

    def __init__(self, reserve: int) -> None:
        self.reserve: int = reserve
        self._remaining: int | None = None  # the least that was declared since the last reset
        self._left = math.inf  # the same above the reserve; infinite if nobody knows
        self._resets_at: datetime | None = None
        self._reset_at = math.inf  # the same moment on our monotonic clock; never if that is not known
        self._declared_at = -math.inf
        self._has_asked = False  # an answer came, whether or not it declared the quota
        self.spent: int = 0  # requests that the answers showed to be spent, by whomever
        self.under_way: int = 0  # polls

    def update(self, quota: Quota, until_reset: float | None, now: float) -> None:
        """Take in what an answer says about the quota.

        Args:
            quota: The quota.
            until_reset: Seconds until it starts again, on the service's clock; None if it does not say.
            now: Our monotonic time, in seconds.
        """
        before, is_new = self._remaining, quota.resets_at != self._resets_at or self._is_reset(now)
        if before is not None and quota.remaining < before:
            self.spent += before - quota.remaining
        is_late = now - self._declared_at < LATE and before is not None  # it may be older than the last one
        if not is_late or is_new or before is None or not before <= quota.remaining <= before + OUT_OF_ORDER:
            self._remaining, self._left = quota.remaining, float(quota.remaining - self.reserve)
        self._resets_at = quota.resets_at
        self._reset_at = now + until_reset if until_reset is not None and until_reset > 0 else math.inf
        self._declared_at = now
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

    def left(self, now: float) -> float:
        """Return how many requests are left above the reserve; infinite if nobody knows, as after a reset."""
        return self._left if now < self._reset_at else math.inf

    def until_reset(self, now: float) -> float | None:
        """Return the seconds until the quota starts again, or None if that is not known."""
        return self._reset_at - now if now < self._reset_at < math.inf else None

    def opens_at(self, now: float) -> float:
        """Return from when on a poll is allowed, by our monotonic clock; -inf if at once.

        What forbids polls never depends on an answer that only a poll can bring: without a reset to wait for, the
        quota is asked for again at a slow and steady pace.
        """
        if self.left(now) > 0:
            return -math.inf
        if self._reset_at < math.inf:
            return self._reset_at
        at = self._declared_at + PROBE_GAP
        return at if at > now else -math.inf

    @property
    def lacks_reset(self) -> bool:
        """Whether nothing is left and no reset is known, so that only a poll can bring news."""
        return self._left <= 0 and self._reset_at == math.inf

    def has_room(self, now: float) -> bool:
        """Say whether one more poll may be under way, so that many of them do not overstep the quota together.

        The first poll goes alone, also after a reset: before its answer nobody knows how little may be left.
        """
        is_known = self._has_asked and now < self._reset_at
        return self.under_way < 1 or (is_known and self.under_way < self._left / CROWD)

    def _is_reset(self, now: float) -> bool:
        """Say whether the quota started again since an answer last declared it."""
        return now >= self._reset_at


class _Clocks(Protocol):
    """What is needed of a transport: our own time, monotonic and by the wall."""

    def now(self) -> float: ...
    def utcnow(self) -> datetime: ...


class QuotaBook:
    """What the answers of a client's requests say about its quota and about the service's time.

    Headers are kept unread until somebody asks, since reading them is a tenth of a call's work and most programs never
    ask. `refresh` reads them; nothing else here changes state.

    Args:
        reserve: How many requests to leave for other calls.
        clocks: Where the time comes from.
    """

    __slots__ = ("_clocks", "_quota", "_unread", "answers", "clock", "ledger")

    def __init__(self, reserve: int, clocks: _Clocks) -> None:
        self._clocks = clocks
        self._quota: Quota | None = None
        self._unread: tuple[AnswerHeaders, float] | None = None  # of the last answer, and when it came
        self.clock: ServiceClock = ServiceClock()
        self.ledger: QuotaLedger = QuotaLedger(reserve)
        self.answers: int = 0  # to whatever this client has sent

    def record_headers(self, headers: AnswerHeaders) -> None:
        """Keep an answer's headers until the next `refresh`.

        The last answer says all that those before it said, unless it is the error page of a proxy, which says nothing.
        """
        self.answers += 1
        if self._unread is not None and not _headers.has_quota_and_time(headers):
            self.refresh()
        self._unread = headers, self._clocks.now()

    def now(self) -> float:
        """Return our monotonic time, in seconds."""
        return self._clocks.now()

    def refresh(self) -> None:
        """Read the headers that were kept, so that `clock` and `ledger` are up to date."""
        if self._unread is None:
            return
        headers, arrived = self._unread
        declared = _headers.server_time_of(headers)
        self.clock.update(declared, arrived if declared else self._clocks.now(), fallback=self._clocks.utcnow)
        quota = _headers.quota_of(headers)
        if quota is not None:
            self._quota = quota
            until_reset = None if quota.resets_at is None else self.clock.until(quota.resets_at, arrived)
            self.ledger.update(quota, until_reset, arrived)
        self._unread = None  # at the end, for a thread that asks for the quota meanwhile

    @property
    def quota(self) -> Quota | None:
        """The quota that the last answer with one declared; any thread may ask, since this changes nothing."""
        unread = self._unread
        return (_headers.quota_of(unread[0]) if unread else None) or self._quota
