"""When to try again, and how slow a download may be: arithmetic, without a clock and without I/O."""

from __future__ import annotations

import math
from typing import Final

from attrs import define

from tempmailg import _errors as err

__all__ = ["RetryBudget", "SpeedLimit", "retry_delay"]

# ----------------------------------------------------------------------------------------------------------- retries

CONNECTION_BASE: Final = 0.05  # seconds: a broken connection is usually replaced at once
THROTTLED_BASE: Final = 1.0  # seconds: a service that asks for less should get less
BACKOFF_CAP: Final = 20.0  # seconds

# The numbers of the AWS SDKs' standard retry mode.
RETRY_TOKENS: Final = 500
RETRY_COST: Final = 14
THROTTLED_RETRY_COST: Final = 5

_THROTTLED_STATUSES: Final = frozenset({429, 503})


def retry_delay(error: err.TempMailError, *, attempt: int, is_safe: bool, chance: float) -> float | None:
    """Return how long to wait before sending a request again, in seconds, or None if it must not be sent again.

    Args:
        error: What the last attempt met.
        attempt: How many requests were sent so far.
        is_safe: Whether sending the request twice does no harm.
        chance: A random number of [0, 1): full jitter keeps many clients from coming back together.
    """
    if not _may_repeat(error, attempt=attempt, is_safe=is_safe):
        return None
    if isinstance(error, err.APIStatusError) and error.retry_after is not None:
        return error.retry_after
    base = THROTTLED_BASE if error.status in _THROTTLED_STATUSES else CONNECTION_BASE
    return chance * min(BACKOFF_CAP, base * 2.0 ** min(attempt - 1, 30))


def _may_repeat(error: err.TempMailError, *, attempt: int, is_safe: bool) -> bool:
    if error.repeat == "once":
        return is_safe and attempt == 1
    return error.repeat == "always" or (error.repeat == "safe" and is_safe)


@define
class RetryBudget:
    """What all calls of a client together may spend on retries, so that thousands of them cannot storm a service.

    A retry takes tokens, fewer when the service itself asked for patience; success gives back what the call took, or
    one token where it took none.
    """

    tokens: int = RETRY_TOKENS

    def take(self, error: err.TempMailError) -> int | None:
        """Take the price of a retry after `error` and return it, or None if the budget does not hold it."""
        price = THROTTLED_RETRY_COST if error.status in _THROTTLED_STATUSES else RETRY_COST
        if price > self.tokens:
            return None
        self.tokens -= price
        return price

    def give_back(self, price: int) -> None:
        """Return what a call took, after it succeeded."""
        self.tokens = min(RETRY_TOKENS, self.tokens + max(price, 1))


# ------------------------------------------------------------------------------------------------------------- speed


class SpeedLimit:
    """The slowest acceptable speed of a download; only the time spent waiting for the service counts.

    Args:
        minimum: Bytes a second; 0 accepts anything but a standstill.
        window: Seconds of waiting over which the speed is measured.
    """

    __slots__ = ("_arrived", "_minimum", "_waited", "_window")

    def __init__(self, minimum: float, window: float) -> None:
        if not 0 <= minimum < math.inf:
            raise err.ConfigurationError(f"minimum_speed must be a number of bytes a second, not {minimum!r}")
        self._minimum = minimum
        self._window = window
        self._waited = 0.0
        self._arrived = 0

    @property
    def patience(self) -> float:
        """How long to wait for the next bytes, in seconds: a whole window once this window's bytes are there."""
        return self._window if self._arrived >= self._enough(self._window) else self._window - self._waited

    def note(self, size: int, waited: float) -> None:
        """Count bytes and the time that waiting for them took.

        Raises:
            APITimeoutError: They came too slowly.
        """
        self._arrived += size
        self._waited += waited
        if self._waited < self._window:
            return
        if self._arrived < self._enough(self._waited):
            raise self.failure()
        self._waited, self._arrived = 0.0, 0

    def failure(self) -> err.APITimeoutError:
        """Return the error for a body that is too slow."""
        error = err.APITimeoutError(f"the service sends fewer than {self._minimum:g} bytes a second, or none at all")
        error.sent, error.repeat = True, "safe"
        return error

    def _enough(self, seconds: float) -> float:
        return max(1.0, self._minimum * seconds)
