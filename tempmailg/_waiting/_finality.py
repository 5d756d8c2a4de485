"""What an error of a poll may mean: a fault that passes, or an answer that ends something once it is confirmed."""

from __future__ import annotations

from enum import Enum

from tempmailg import _errors as err

__all__ = ["Verdict", "verdict_of"]


class Verdict(Enum):
    """What an error of a poll means."""

    PASSING = "a fault that may pass"
    GONE = "the service says that there is no such mailbox"
    REFUSED = "the service says that the key, or the plan, does not allow it"
    BUDGET = "the caller's own budget of requests is spent"
    LOCAL = "nothing was sent, and nothing will change that"


def verdict_of(error: err.TempMailError) -> Verdict:
    """Return what an error of a poll means, if it is not the only one of its kind."""
    if isinstance(error, err.QuotaExceededError):
        return Verdict.BUDGET if error.status is None else Verdict.PASSING
    if isinstance(error, (err.ClientClosedError, err.ConfigurationError)):
        return Verdict.LOCAL
    if isinstance(error, err.NotFoundError):
        return Verdict.GONE if error.from_service else Verdict.PASSING
    if isinstance(error, (err.AuthenticationError, err.PermissionDeniedError)):
        return Verdict.REFUSED if error.from_service else Verdict.PASSING
    return Verdict.PASSING
