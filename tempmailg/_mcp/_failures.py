"""What a tool says when it fails: what happened, and what to do next."""

from __future__ import annotations

from typing import Final

from tempmailg import _errors as err
from tempmailg._mcp._text import one_line

__all__ = ["ToolError", "explain"]

_MAX_REASON: Final = 300  # characters of an error's own text

# The first class that fits says what to do.
_ADVICE: Final[tuple[tuple[type[Exception], str], ...]] = (
    (err.QuotaExceededError, "send no more requests, and say to the user that the budget is spent"),
    (err.AuthenticationError, "ask the user to check TEMPMAILG_API_KEY; trying again does not help"),
    (err.PermissionDeniedError, "say to the user that the plan does not allow this; trying again does not help"),
    (err.MailboxGoneError, "make another mailbox with new_mailbox, and start again with its address"),
    (err.NotFoundError, "it is gone or never was: see list_messages, or make another mailbox with new_mailbox"),
    (err.RateLimitError, "wait a minute, then try once more"),
    (err.DownloadError, "say to the user that the file was not saved"),
    (err.ConfigurationError, "correct the arguments, or say to the user what to correct"),
    (err.APIConnectionError, "try once more in half a minute, then say to the user that the service is out of reach"),
    (err.ServerError, "try once more in half a minute, then say to the user that the service is failing"),
    (err.TempMailError, "try once more, then say to the user what happened"),
    (OSError, "say to the user that the file was not saved"),
)


class ToolError(Exception):
    """A tool cannot do what it is asked to.

    Args:
        what: What is in the way.
        advice: What to do next.
    """

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


def explain(error: Exception) -> str:
    """Return an error as a model reads it: what happened, and what to do next."""
    if isinstance(error, ToolError):
        return _sentence(str(error), error.advice)
    for kind, advice in _ADVICE:
        if isinstance(error, kind):
            return _sentence(one_line(str(error), _MAX_REASON), advice)
    return _sentence(
        f"the server has a bug ({type(error).__name__})", "say so to the user, and go on without this tool"
    )


def _sentence(what: str, advice: str) -> str:
    return f"It failed: {what}. Next: {advice}."
