"""Answers that are errors: statuses outside 2xx, refusals, and what cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, cast

from tempmailg import _errors as err
from tempmailg._body import MAX_SHOWN, clean, is_html, loads, shown
from tempmailg._headers import quota_of, retry_after_of

if TYPE_CHECKING:
    from tempmailg._transport import Response

__all__ = ["reason_in", "rejected", "status_error", "unusable"]

_STATUS_ERRORS: Final[dict[int, type[err.APIStatusError]]] = {
    400: err.BadRequestError,
    401: err.AuthenticationError,
    403: err.PermissionDeniedError,
    404: err.NotFoundError,
    409: err.ConflictError,
    410: err.NotFoundError,
    422: err.InvalidRequestError,
}

# What a gateway or an overloaded service answers, and a moment later does not.
_TRANSIENT: Final = frozenset({500, 502, 503, 504, *range(520, 525)})

# The service's documentation asks its users to check these first when something fails.
_ADVICE: Final[dict[type, str]] = {
    err.AuthenticationError: " (check the API key on the service's API management page)",
    err.PermissionDeniedError: " (check on the service's API management page that the plan allows it"
    " and that the account owns the mailbox)",
    err.QuotaExceededError: " (the quota is used up until its reset)",
}


def status_error(response: Response) -> err.APIStatusError | err.APIResponseError:
    """Return the error that an answer outside 2xx stands for."""
    if response.status < 200:
        return unusable(response, f"status {response.status}, which is no final one")
    if response.status < 400:
        return unusable(
            response,
            f"a redirect (status {response.status}), which is never followed: is the base URL right?",
        )
    kind = _kind_of(response)
    words, fields = _complaint(response)
    advice = _ADVICE.get(kind, "")
    error = kind(f"status {response.status}: {words}{advice}", status=response.status, body=shown(response.body))
    error.retry_after = retry_after_of(response.headers)
    error.repeat = _repeat_of(error)
    if isinstance(error, err.InvalidRequestError):
        error.errors = fields
    if isinstance(error, err.QuotaExceededError) and (quota := quota_of(response.headers)):
        error.resets_at = quota.resets_at
    return error


def unusable(response: Response, problem: str) -> err.APIResponseError:
    """Return the error for an answer that is none which the API's reference describes."""
    return err.APIResponseError(
        f"the answer cannot be used: {problem}", status=response.status, body=shown(response.body)
    )


def rejected(response: Response, reason: str) -> err.RequestRejectedError:
    """Return the error for an answer of a good status that says that the request failed."""
    return err.RequestRejectedError(
        f"the service answered {response.status} but rejected the request: {reason}",
        status=response.status,
        body=shown(response.body),
    )


def _kind_of(response: Response) -> type[err.APIStatusError]:
    if response.status == 429:
        quota = quota_of(response.headers)
        return err.QuotaExceededError if quota and quota.remaining <= 0 else err.RateLimitError
    fallback = err.ServerError if response.status >= 500 else err.APIStatusError
    return _STATUS_ERRORS.get(response.status, fallback)


def _repeat_of(error: err.APIStatusError) -> Literal["never", "safe", "always"]:
    """Say whether the request can have run: 429 means it did not, and so does a 503 that names a better time."""
    if isinstance(error, err.QuotaExceededError):
        return "never"
    if error.status == 429 or (error.status == 503 and error.retry_after is not None):
        return "always"
    return "safe" if error.status in _TRANSIENT else "never"


# ------------------------------------------------------------------------------------------------ the service's words


def _complaint(response: Response) -> tuple[str, dict[str, tuple[str, ...]]]:
    """Return the service's own words, without anything that could harm a terminal, and its complaints by field."""
    if is_html(response):
        return "a proxy in front of the service answered with an HTML page", {}
    try:
        answer = loads(response.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        return clean(response.body[:MAX_SHOWN].decode(errors="replace"))[:200] or "no explanation", {}
    envelope = cast("dict[str, Any]", answer)
    words = _text_of(envelope.get("message")) or "no explanation"
    fields = _field_errors(envelope.get("errors"))
    details = "; ".join(f"{name}: {', '.join(texts)}" for name, texts in fields.items())
    return (f"{words} ({details})"[:MAX_SHOWN] if details else words), fields


def reason_in(envelope: dict[str, Any]) -> str:
    """Return the service's own words for a refusal."""
    error = envelope.get("error")
    inner = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error
    complaints = [text for texts in _field_errors(envelope.get("errors")).values() for text in texts]
    return _text_of(envelope.get("message")) or _text_of(inner) or "; ".join(complaints) or "no reason given"


def _field_errors(errors: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(errors, dict):
        return {}
    complaints: dict[str, tuple[str, ...]] = {}
    for name, texts in list(cast("dict[str, object]", errors).items())[:50]:
        several = cast("list[object]", texts) if isinstance(texts, list) else [texts]
        complaints[clean(name)[:100]] = tuple(_text_of(text) for text in several[:10])
    return complaints


def _text_of(value: object) -> str:
    return clean(value)[:500] if isinstance(value, str) else ""
