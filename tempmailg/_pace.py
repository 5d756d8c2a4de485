"""When to look again, what the quota allows: arithmetic, without a clock and without I/O."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tempmailg._models import Quota

__all__ = ["QuotaPace", "ServiceClock", "fault_delay", "look_gap"]

# ------------------------------------------------------------------------------------------------------------- looks

# A message that comes t seconds after the last sign of life is told within max(1 s, 10 % of t), jitter aside. A
# fruitless wait of five minutes costs 47 looks, one of an hour costs about 105.
SHORTEST_GAP: Final = 1.0  # seconds between two looks at a mailbox
GAP_SHARE: Final = 0.1  # of the time that the mailbox has been quiet
LONGEST_GAP: Final = 60.0  # seconds: a watched mailbox that lives for days is still looked at every minute
GAP_JITTER: Final = 0.1  # of the gap, up or down: watchers that began together drift apart

FAULT_BASE: Final = 1.0  # seconds after the first fault of a row
FAULT_CAP: Final = 20.0  # seconds


def look_gap(quiet: float, chance: float) -> float:
    """Return the seconds between one look at a mailbox and the next.

    Args:
        quiet: Seconds since the last sign of life: a new message, or somebody new who waits.
        chance: A random number of [0, 1).
    """
    gap = min(LONGEST_GAP, max(SHORTEST_GAP, GAP_SHARE * quiet))
    return gap * (1.0 + GAP_JITTER * (2.0 * chance - 1.0))


def fault_delay(faults: int, chance: float) -> float:
    """Return the seconds to leave a mailbox, or a whole service, alone after so many faults in a row.

    Args:
        faults: How many, at least one.
        chance: A random number of [0, 1). Half of the delay is fixed, lest a failing service be asked again at once.
    """
    return (0.5 + 0.5 * chance) * min(FAULT_CAP, FAULT_BASE * 2.0 ** min(faults - 1, 30))


# ------------------------------------------------------------------------------------------------------------- quota

BURST: Final = 120
"""Looks that may be made faster than the quota's pace: a mailbox that stays empty for its 600 seconds takes 55."""

BURST_SHARE: Final = 0.1  # of what is left: a small quota must not go in one burst
DEFAULT_PACE: Final = 1.0
"""Looks a second that watches make together in the long run where the service tells no quota or no reset."""

CROWD: Final = 16  # looks under way take at most one sixteenth of what is left, for others share the key
OUT_OF_ORDER: Final = 64  # answers overtake each other: only a greater rise of what remains is news


class ServiceClock:
    """What the service's own clock says, from the last answer that told it: ours may be wrong by a day."""

    __slots__ = ("_ahead", "_is_told")

    def __init__(self) -> None:
        self._ahead: float | None = None  # the service's time in seconds since 1970, less our monotonic time
        self._is_told = False

    def note(self, told: datetime | None, now: float, *, fallback: Callable[[], datetime]) -> None:
        """Take the time that an answer tells; our own wall clock counts only as long as none ever told one."""
        if told is not None:
            self._ahead, self._is_told = told.timestamp() - now, True
        elif not self._is_told:
            self._ahead = fallback().timestamp() - now

    @property
    def is_set(self) -> bool:
        """Whether there was an answer yet."""
        return self._ahead is not None

    def until(self, moment: datetime, now: float) -> float:
        """Return the seconds until a moment of the service's; negative if it has passed."""
        return moment.timestamp() - (now + (self._ahead or 0.0))


class QuotaPace:
    """What waits and watches may spend of the quota: a bucket of looks that fills at the pace the quota allows.

    The pace is what remains above the reserve, spread evenly over the time to the reset. The bucket pays for everything
    that the answers show to be spent, by whomever: so a fleet that shares one key keeps the pace together. Watches look
    only while it holds a look. Waits, being short, may also run into debt, for which watches then stand back.

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
        self._remaining: int | None = None  # the least that was told since the last reset
        self._resets_at: datetime | None = None
        self._reset_at: float | None = None  # the same moment on our monotonic clock
        self._tokens = float(BURST)
        self._filled_at: float | None = None
        self._has_asked = False  # an answer came, whether or not it told the quota
        self.under_way: int = 0

    def note(self, quota: Quota, until_reset: float | None, now: float) -> None:
        """Take in what an answer tells of the quota.

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
        """Count a look that begins."""
        self.under_way += 1

    def end(self, *, counted: bool) -> None:
        """Count a look that ended.

        Args:
            counted: Whether it cost a request of the quota. Where answers tell the quota, that shows by itself.
        """
        self.under_way -= 1
        self._has_asked |= counted
        if counted and self._remaining is None:
            self._pay(1)

    def is_exhausted(self, now: float) -> bool:
        """Say whether nothing is left above the reserve. After the reset nobody knows until somebody looks."""
        return self._left(now) <= 0

    def has_room(self, now: float) -> bool:
        """Say whether one more look may be under way, so that many of them do not overstep the quota together.

        The first look goes alone, also after a reset: before its answer nobody knows how little may be left.
        """
        is_known = self._has_asked and not self._is_reset(now)
        return self.under_way < (max(1.0, self._left(now) / CROWD) if is_known else 1.0)

    def delay(self, now: float) -> float:
        """Return the seconds until the bucket holds a look for a watch; 0 if it does, or if it never will."""
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
        """Say whether the quota started again since an answer last told it."""
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
