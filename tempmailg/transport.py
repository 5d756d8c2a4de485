"""The outside world: bytes, time and chance.

Nothing else in the package touches the network, a clock or randomness, so a `Transport` made of values (the sandbox has
one) tests everything above it in virtual time. Hand one to `AsyncClient(transport=…)`; the real one uses aiohttp.

What the client relies on:

- **One request, one attempt.** A transport neither retries nor follows redirects, and keeps no cookies. The client does
  the retrying, so it must see each failure.
- **Failures are errors of this package**, raised by `request`, `stream` and `ResponseStream.read`. Their class and
  `sent` alone decide whether the client sends the request again:

  ==============================================  ====================================================
  `APIConnectionError` with ``sent=False``        always: the request cannot have arrived
  `APIConnectionError` with ``sent=True``         unless it is a `POST`, which may have made a mailbox
  `APITimeoutError`, with its ``sent``            the same two cases
  `TLSError`                                      never: the next attempt would meet the same certificate
  `IncompleteResponseError`                       unless it is a `POST`
  `APIResponseError`                              never
  ==============================================  ====================================================

  A foreign exception passes through the client unchanged, and ends the call.
- **Error statuses are answers.** A 404 or a 503 is returned like a 200.
- **Times are seconds, and `timeout` is kept.** It bounds the whole of `request`, and for `stream` the time until the
  headers are there. It may be zero or negative when the deadline has passed: then raise `APITimeoutError` at once.
- **Cancellation is passed on** as soon as it arrives, and a connection that holds half an answer is not used again.
- **Headers are looked up in any case**, and a header that an answer does not have is None or the default.
- **The clock is one clock.** `now` never goes backwards, and `sleep` ends when `now` has advanced by its seconds.
- **One event loop.** All coroutines are called in the loop of the client, any number of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from attrs import field, frozen

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["AnswerHeaders", "Request", "Response", "ResponseStream", "Transport"]


class AnswerHeaders(Protocol):
    """An answer's headers, looked up in any case; multidict's classes are such."""

    def get(self, name: str, /) -> str | None:
        """Return the first value of a header, or None."""
        ...

    def getall(self, name: str, default: list[str], /) -> list[str]:
        """Return all values of a header, or the default."""
        ...


@frozen
class Request:
    """One request, ready to be sent.

    Args:
        method: The HTTP method.
        target: Path and query below the base URL, percent-encoded, such as ``/messages?email=a%40example.com``.
        headers: The headers to send; the key is among them, so they are kept out of the repr.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)


@frozen
class Response:
    """One whole answer.

    Args:
        status: The HTTP status.
        headers: The answer's headers.
        body: The body, decoded from its content codings. One in a coding that the transport does not know stays as it
            is; the client names the coding.
    """

    status: int
    headers: AnswerHeaders = field(repr=False)  # a server may echo the key in them
    body: bytes = field(repr=False)


class ResponseStream(Protocol):
    """An answer whose body is still arriving."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> AnswerHeaders:
        """The answer's headers."""
        ...

    async def read(self, timeout: float) -> bytes:
        """Return the next bytes as they arrive, or ``b""`` at the end.

        Args:
            timeout: How long to wait for the next byte, in seconds.

        Raises:
            APITimeoutError: Nothing arrived in time; `sent` is true.
            IncompleteResponseError: The body was cut.
        """
        ...

    def close(self) -> None:
        """Give the answer up; its connection is not used again unless the body was read to its end."""
        ...


class Transport(Protocol):
    """What a client needs of the world; the module's text says all that it relies on.

    Attributes:
        api_key: The key to send where the client is given none; None if the transport has none of its own, as most. A
            sandbox's transport brings the key of its account.
    """

    @property
    def api_key(self) -> str | None:
        """The key to send where the client is given none."""
        ...

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        """Send a request once and return the whole answer.

        Args:
            request: What to send. It is sent at most once, whatever happens.
            timeout: Seconds for everything: connecting, sending, reading.
            max_bytes: The longest body to accept, counted after decoding.

        Raises:
            APIConnectionError: No usable connection; `sent` says whether the request may have arrived.
            APITimeoutError: The time was over first; `sent` as above.
            TLSError: The certificate was refused, or there is no encryption.
            IncompleteResponseError: The answer was cut.
            APIResponseError: The answer is malformed or too large.
        """
        ...

    async def stream(self, request: Request, *, timeout: float) -> ResponseStream:
        """Send a request once and return when the answer's headers are there.

        Args:
            request: What to send.
            timeout: Seconds until the headers are there.

        Raises:
            APIConnectionError: No usable connection; `sent` says whether the request may have arrived.
            APITimeoutError: The time was over first; `sent` as above.
            TLSError: The certificate was refused, or there is no encryption.
            APIResponseError: The answer is malformed.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait on this transport's clock."""
        ...

    def now(self) -> float:
        """Return a monotonic clock's reading, in seconds."""
        ...

    def utcnow(self) -> datetime:
        """Return the wall clock's time, aware."""
        ...

    def random(self) -> float:
        """Return a random number of [0, 1)."""
        ...

    async def aclose(self) -> None:
        """Close what was opened; may be called more than once."""
        ...
