"""Answers that are errors: statuses outside 2xx, refusals, and what cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from tempmailg import _errors as err
from tempmailg._body import MAX_SHOWN, clean, is_html, loads, shown
from tempmailg._coding import unasked_encoding
from tempmailg._headers import harmless, quota_of, retry_after_of

if TYPE_CHECKING:
    from tempmailg.transport import Response

__all__ = ["reason_in", "rejected", "status_error", "unusable"]

E = TypeVar("E", bound=err.TempMailError)

_STATUS_ERRORS: Final[dict[int, type[err.APIStatusError]]] = {
    400: err.BadRequestError,
    401: err.AuthenticationError,
    403: err.PermissionDeniedError,
    404: err.NotFoundError,
    409: err.ConflictError,
    410: err.NotFoundError,
    422: err.InvalidRequestError,
}

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
    if response.status == 304:
        return unusable(response, 'status 304, "not modified", though no earlier answer was named in the request')
    if response.status < 400:
        return unusable(
            response,
            f"a redirect (status {response.status}), which is never followed: is the base URL right?",
        )
    kind = _kind_of(response)
    envelope = _envelope_of(response)
    fields = _field_errors(envelope.get("errors")) if envelope else {}
    words = _words_of(response) if envelope is None else _words_in(envelope, fields)
    error = _about(response, kind, f"status {response.status}: {words}{_ADVICE.get(kind, '')}")
    if error.request_id:
        error.args = (f"{error} (request {error.request_id})",)
    error.from_service = envelope is not None
    error.retry_after = retry_after_of(response.headers)
    if isinstance(error, err.InvalidRequestError):
        error.errors = fields
    if isinstance(error, err.QuotaExceededError) and (quota := quota_of(response.headers)):
        error.resets_at = quota.resets_at
    return error


def unusable(
    response: Response, problem: str, kind: type[err.APIResponseError] = err.APIResponseError
) -> err.APIResponseError:
    """Return the error for an answer that is none which the API's reference describes."""
    return _about(response, kind, f"the answer cannot be used: {problem}")


def rejected(response: Response, reason: str) -> err.RequestRejectedError:
    """Return the error for an answer of a good status that says that the request failed."""
    text = f"the service answered {response.status} but rejected the request: {reason}"
    return _about(response, err.RequestRejectedError, text)


def _about(response: Response, kind: type[E], text: str) -> E:
    error = kind(text, status=response.status, body=shown(response.body))
    error.headers = harmless(response.headers)
    return error


def _kind_of(response: Response) -> type[err.APIStatusError]:
    if response.status == 429:
        quota = quota_of(response.headers)
        return err.QuotaExceededError if quota and quota.remaining <= 0 else err.RateLimitError
    fallback = err.ServerError if response.status >= 500 else err.APIStatusError
    return _STATUS_ERRORS.get(response.status, fallback)


# ------------------------------------------------------------------------------------------------ the service's words


def _envelope_of(response: Response) -> dict[str, Any] | None:
    """Return what the service itself says, or None if somebody else answered, or nobody can read it."""
    if is_html(response):
        return None
    try:
        answer = loads(response.body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else None


def _words_of(response: Response) -> str:
    if is_html(response):
        return "a proxy in front of the service answered with an HTML page"
    encoding = unasked_encoding(response.headers)
    if encoding is not None:
        return f"no explanation, but bytes in the encoding {encoding!r}, which was not asked for"
    return clean(response.body[:MAX_SHOWN].decode(errors="replace"))[:200] or "no explanation"


def _words_in(envelope: dict[str, Any], fields: dict[str, tuple[str, ...]]) -> str:
    words = _message_in(envelope) or "no explanation"
    details = "; ".join(f"{name}: {', '.join(texts)}" for name, texts in fields.items())
    return f"{words} ({details})"[:MAX_SHOWN] if details else words


def reason_in(envelope: dict[str, Any]) -> str:
    """Return the service's own words for a refusal."""
    complaints = [text for texts in _field_errors(envelope.get("errors")).values() for text in texts]
    return _message_in(envelope) or "; ".join(complaints) or "no reason given"


def _message_in(envelope: dict[str, Any]) -> str:
    error = envelope.get("error")
    inner = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error
    return _text_of(envelope.get("message")) or _text_of(inner)


def _field_errors(errors: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(errors, dict):
        return {}
    complaints: dict[str, tuple[str, ...]] = {}
    for name, texts in list(cast("dict[str, object]", errors).items())[:50]:
        several = cast("list[object]", texts) if isinstance(texts, list) else [texts]
        complaints[clean(name)[:100]] = tuple(_text_of(text) for text in several[:10])
    return complaints


def _text_of(value: object) -> str:
    text = str(value) if type(value) is int else value  # the type itself: True is no text
    return clean(text)[:500] if isinstance(text, str) else ""
