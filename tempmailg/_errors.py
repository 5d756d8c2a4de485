"""What can go wrong, as one tree under `TempMailError`.

::

    TempMailError
    ├── ConfigurationError (ValueError)     an argument or setting is wrong; nothing was sent
    ├── ClientClosedError                   the client was used after close()
    ├── APIConnectionError                  no usable connection; .sent: could the request have arrived?
    │   ├── APITimeoutError (TimeoutError)  the deadline passed
    │   └── TLSError                        no encrypted connection, or a certificate that was refused
    ├── APIResponseError                    an unusable answer: wrong shape, too large, a redirect
    │   ├── IncompleteResponseError         the answer was cut
    │   └── UnreadableResponseError         not what was asked for: a page, an empty or a garbled body
    ├── APIStatusError                      an error status
    │   ├── BadRequestError        400
    │   ├── AuthenticationError    401
    │   ├── PermissionDeniedError  403
    │   ├── NotFoundError          404, 410
    │   ├── ConflictError          409
    │   ├── InvalidRequestError    422
    │   ├── RateLimitError         429
    │   │   └── QuotaExceededError      nothing is left until the reset
    │   └── ServerError            5xx
    ├── RequestRejectedError                status 200, and the answer says ``"status": false``
    ├── WaitTimeoutError (TimeoutError)     no message matched in time
    ├── MailboxGoneError                    the mailbox expired or was deleted
    └── DownloadError                       a file could not be made whole
        └── IncompleteDownloadError         some files of a message are there, others are not

Every error takes its text as the only positional argument and keeps the rest in attributes with defaults, so all of
them survive `pickle` and `copy`. None of them ever holds the key.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from tempmailg._public import public

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from tempmailg._models import Quota

__all__ = [
    "APIConnectionError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "ClientClosedError",
    "ConfigurationError",
    "ConflictError",
    "DownloadError",
    "IncompleteDownloadError",
    "IncompleteResponseError",
    "InvalidRequestError",
    "MailboxGoneError",
    "NotFoundError",
    "PermissionDeniedError",
    "QuotaExceededError",
    "RateLimitError",
    "RequestRejectedError",
    "ServerError",
    "TLSError",
    "TempMailError",
    "UnreadableResponseError",
    "WaitTimeoutError",
]


@public
class TempMailError(Exception):
    """Base of everything that this package raises on purpose.

    Attributes:
        call: The client's method, such as ``list_messages``; None if the error belongs to none.
        status: The HTTP status of the answer, or None if there was no answer.
        body: The beginning of the answer's text, control characters removed.
        headers: Those headers of the answer that a support case needs (an allow-list, without secrets); empty if there
            was no answer.
        quota: The quota that the service last reported, or None.
        attempts: How many requests were sent for the call.
        elapsed: How long the call took, in seconds.
    """

    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        message: str = "",
        *,
        call: str | None = None,
        status: int | None = None,
        body: str = "",
        quota: Quota | None = None,
        attempts: int = 0,
        elapsed: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.call = call
        self.status = status
        self.body = body
        self.quota = quota
        self.attempts = attempts
        self.elapsed = elapsed

    @property
    def request_id(self) -> str | None:
        """The answer's id (`X-Request-Id` or `CF-Ray`), by which the service finds the request; None if it has none."""
        return self.headers.get("X-Request-Id") or self.headers.get("CF-Ray")


@public
class ConfigurationError(TempMailError, ValueError):
    """An argument or a setting is wrong; nothing was sent."""


@public
class ClientClosedError(TempMailError):
    """The client was used after it was closed."""


@public
class APIConnectionError(TempMailError):
    """No usable connection to the service.

    A request that cannot have been sent is retried whatever it is, one that may have been sent only where sending it
    twice does no harm.

    Attributes:
        sent: Whether the request may have reached the service.
        status: The HTTP status with which a proxy refused to connect; None if no proxy did.
    """

    sent: bool = False

    def __init__(
        self,
        message: str = "",
        *,
        sent: bool = False,
        call: str | None = None,
        status: int | None = None,
        body: str = "",
        quota: Quota | None = None,
        attempts: int = 0,
        elapsed: float = 0.0,
    ) -> None:
        super().__init__(message, call=call, status=status, body=body, quota=quota, attempts=attempts, elapsed=elapsed)
        self.sent = sent


@public
class APITimeoutError(APIConnectionError, TimeoutError):
    """The deadline passed before the answer was complete."""


@public
class TLSError(APIConnectionError):
    """There is no encrypted connection, or the certificate was refused; not a byte of HTTP was sent."""


@public
class APIResponseError(TempMailError):
    """The service answered with something that cannot be used; asking again would not help."""


@public
class IncompleteResponseError(APIResponseError):
    """The answer was cut before its end; a request that may be sent twice is retried."""


@public
class UnreadableResponseError(APIResponseError):
    """The answer is an HTML page, an empty or a garbled body; a request that may be sent twice is retried once."""


@public
class APIStatusError(TempMailError):
    """The service answered with an error status.

    Attributes:
        retry_after: How long the service asked to wait before the next request, in seconds; None if it did not.
        from_service: Whether the answer was JSON, as the service's own are. A page is a proxy's: its 404 does not mean
            that a mailbox is gone.
    """

    retry_after: float | None = None
    from_service: bool = False


@public
class BadRequestError(APIStatusError):
    """Status 400: the service did not understand the request."""


@public
class AuthenticationError(APIStatusError):
    """Status 401: the key is missing, wrong or withdrawn."""


@public
class PermissionDeniedError(APIStatusError):
    """Status 403: the plan or the ownership forbids it, or a proxy in front refused."""


@public
class NotFoundError(APIStatusError):
    """Status 404 or 410: no such mailbox, message or file, or it has expired."""


@public
class ConflictError(APIStatusError):
    """Status 409: the request contradicts the state of the mailbox."""


@public
class InvalidRequestError(APIStatusError):
    """Status 422: the service refused the input.

    Attributes:
        errors: The service's complaints by field.
    """

    errors: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@public
class RateLimitError(APIStatusError):
    """Status 429: too many requests."""


@public
class QuotaExceededError(RateLimitError):
    """The quota is used up, or down to the reserve; waiting does not help until the reset.

    Attributes:
        resets_at: When the quota starts again, or None if the service did not say.
    """

    resets_at: datetime | None = None


@public
class ServerError(APIStatusError):
    """Status 5xx: the service, or a proxy in front of it, failed."""


@public
class RequestRejectedError(TempMailError):
    """The service answered 200 and said that the request failed."""


@public
class WaitTimeoutError(TempMailError, TimeoutError):
    """No message matched in time.

    Attributes:
        waited: How long the wait was, in seconds.
        polls: How often the mailbox was polled.
        quota_spent: How many requests of the quota these polls cost.
        rejected: For each message that did arrive, in words, why it was not the one.
        last_error: The last fault met on the way, or None.
    """

    waited: float = 0.0
    polls: int = 0
    quota_spent: int = 0
    rejected: tuple[str, ...] = ()
    last_error: TempMailError | None = None


@public
class MailboxGoneError(TempMailError):
    """The mailbox expired or was deleted.

    Attributes:
        email: The mailbox's address.
    """

    email: str = ""


@public
class DownloadError(TempMailError):
    """An attachment could not be made into a whole file."""


@public
class IncompleteDownloadError(DownloadError):
    """Some attachments of a message could not be downloaded; the others are saved.

    Attributes:
        paths: The paths of the files in the order of the message's attachments, None for each that is missing.
        failures: The name of each missing file, with the error that it failed with.
    """

    paths: tuple[Path | None, ...] = ()
    failures: tuple[tuple[str, Exception], ...] = ()
