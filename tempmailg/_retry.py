"""Whether and when a request is sent again: decided from the error alone, without a clock and without I/O."""

from __future__ import annotations

import math
from typing import Final, Literal

from attrs import define

from tempmailg import _errors as err

__all__ = ["RetryBudget", "may_retry", "retry_delay", "was_not_processed"]

CONNECTION_BASE: Final = 0.05  # seconds: a broken connection is usually replaced at once
THROTTLED_BASE: Final = 1.0  # seconds: a service that asks for less should get less
BACKOFF_CAP: Final = 20.0  # seconds
RETRY_AFTER_JITTER: Final = 0.25  # of the time asked for: clients that were turned away together come back apart
JITTER_SHARE: Final = 0.5  # of what the deadline leaves beyond the time asked for: the rest is for the request itself

# The numbers of the AWS SDKs' standard retry mode.
RETRY_TOKENS: Final = 500
RETRY_COST: Final = 14
THROTTLED_RETRY_COST: Final = 5

_THROTTLED: Final = frozenset({429, 503})

# What a gateway or an overloaded service answers, and a moment later does not. 520 to 530 are Cloudflare's and 598 and
# 599 other proxies'; 501, 505 and 507, say, are answers that the next request gets, too.
_TRANSIENT: Final = frozenset({500, 502, 503, 504, *range(520, 531), 598, 599})

# The server gave up before it had read the request (408), or would not risk reading it yet (425).
_UNREAD: Final = frozenset({408, 425})

# A proxy that cannot reach the service right now; any other refusal of a proxy stays one.
_PROXY_TRANSIENT: Final = frozenset({408, 425, 429, 502, 503, 504})

_Retry = Literal["never", "once", "if safe", "always"]


def retry_delay(
    error: err.TempMailError, *, attempt: int, is_safe: bool, chance: float, left: float = math.inf
) -> float | None:
    """Return how long to wait before sending a request again, in seconds, or None if it must not be sent again.

    Args:
        error: What the last attempt met.
        attempt: How many requests were sent so far.
        is_safe: Whether sending the request twice does no harm.
        chance: A random number of [0, 1): full jitter keeps many clients from coming back together.
        left: The seconds until the deadline. The time that the service asked for may end behind it, so that nothing is
            sent again; the jitter on top of that time never moves it there.
    """
    if not may_retry(error, attempt=attempt, is_safe=is_safe):
        return None
    if isinstance(error, err.APIStatusError) and error.retry_after is not None:
        room = max(0.0, left - error.retry_after)
        return error.retry_after + min(RETRY_AFTER_JITTER * error.retry_after, JITTER_SHARE * room) * chance
    base = THROTTLED_BASE if error.status in _THROTTLED else CONNECTION_BASE
    return chance * min(BACKOFF_CAP, base * 2.0 ** min(attempt - 1, 30))


def may_retry(error: err.TempMailError, *, attempt: int = 1, is_safe: bool = True) -> bool:
    """Return whether another attempt may be made, as far as the error is concerned.

    Args:
        error: What the last attempt met.
        attempt: How many requests were sent so far.
        is_safe: Whether sending the request twice does no harm.
    """
    policy = _policy(error)
    if policy == "once":
        return is_safe and attempt == 1
    return policy == "always" or (policy == "if safe" and is_safe)


def was_not_processed(error: err.TempMailError) -> bool:
    """Return whether the error proves that the service did not act on the request."""
    return _policy(error) == "always"


def _policy(error: err.TempMailError) -> _Retry:
    if isinstance(error, err.APIConnectionError):
        return _policy_of_connection(error)
    if isinstance(error, err.APIStatusError):
        return _policy_of_status(error)
    if isinstance(error, err.IncompleteResponseError):
        return "if safe"
    return "once" if isinstance(error, err.UnreadableResponseError) else "never"


def _policy_of_connection(error: err.APIConnectionError) -> _Retry:
    if isinstance(error, err.TLSError) or (error.status is not None and error.status not in _PROXY_TRANSIENT):
        return "never"
    return "if safe" if error.sent else "always"


def _policy_of_status(error: err.APIStatusError) -> _Retry:
    """Say whether the request can have run: 429 means that it did not, and so does a 503 that names a better time."""
    if isinstance(error, err.QuotaExceededError):
        return "never"
    has_not_run = error.status == 429 or error.status in _UNREAD
    if has_not_run or (error.status == 503 and error.retry_after is not None):
        return "always"
    return "if safe" if error.status in _TRANSIENT else "never"


@define(eq=False)
class RetryBudget:
    """What all calls of a client together may spend on retries, so that thousands of them cannot storm a service.

    A retry takes tokens, fewer when the service itself asked for patience; success gives back what the call took, or
    one token where it took none.
    """

    tokens: int = RETRY_TOKENS

    def take(self, error: err.TempMailError) -> int | None:
        """Take the price of a retry after `error` and return it, or None if the budget does not hold it."""
        price = THROTTLED_RETRY_COST if error.status in _THROTTLED else RETRY_COST
        if price > self.tokens:
            return None
        self.tokens -= price
        return price

    def give_back(self, price: int) -> None:
        """Return what a call took, after it succeeded."""
        if self.tokens < RETRY_TOKENS:
            self.tokens = min(RETRY_TOKENS, self.tokens + max(price, 1))
