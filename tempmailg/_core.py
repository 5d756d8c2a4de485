"""Send with retries, within a deadline: what every method of a client comes down to."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar

from attrs import field, frozen

from tempmailg import _errors as err
from tempmailg import _wire as wire
from tempmailg._budget import take_from_request_budget
from tempmailg._quota import QuotaBook
from tempmailg._retry import RetryBudget, retry_delay, was_not_processed
from tempmailg.transport import Request, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from tempmailg._endpoints import Call
    from tempmailg._models import Quota
    from tempmailg._quota import Preference
    from tempmailg._settings import Secret
    from tempmailg.transport import ResponseStream, Transport

__all__ = ["CallAttempts", "Core", "Sender"]

T = TypeVar("T")

_log = logging.getLogger("tempmailg")

_ERROR_BODY: Final = 64 * 1024  # bytes read of an answer that is an error: its text is shortened anyway


class Background(Protocol):
    """What works behind a client, such as the polls for its waits and watches, and ends with it."""

    async def stop(self) -> None:
        """End it; whoever waits for it gets `ClientClosedError`."""
        ...


class Core:
    """What a client and its `with_options` siblings share: connection pool, key, quota, retry budget, background."""

    __slots__ = (
        "_background",
        "_background_pid",
        "closed",
        "headers",
        "key",
        "made",
        "owns_transport",
        "preference",
        "quota_book",
        "retries",
        "transport",
        "user_code_in_threads",
    )

    def __init__(
        self,
        key: Secret,
        transport: Transport,
        user_agent: str,
        *,
        owns_transport: bool,
        quota_reserve: int = 0,
        preference: Preference = "balanced",
    ) -> None:
        self.key: Secret = key
        self.transport: Transport = transport
        self.owns_transport: bool = owns_transport
        self.headers: dict[str, str] = {
            "Authorization": key.as_bearer(),
            "Accept": "application/json",
            "User-Agent": user_agent,
        }
        self.retries: RetryBudget = RetryBudget()
        self.quota_book: QuotaBook = QuotaBook(quota_reserve, transport)
        self.preference: Preference = preference
        self.made: dict[str, tuple[float, datetime | None]] = {}  # by address: made when, expires when
        self.user_code_in_threads: bool = False  # beside the event loop, which other clients share
        self._background: Background | None = None
        self._background_pid = 0
        self.closed: bool = False

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client holds a key and connections, so it cannot be pickled or copied: make one where it is needed"
        )

    @property
    def quota(self) -> Quota | None:
        """The quota that the last answer with one declared."""
        return self.quota_book.quota

    @property
    def background(self) -> Background | None:
        """What runs for the client between calls; a forked child begins with nothing, since tasks stay behind."""
        return self._background if self._background_pid == os.getpid() else None

    @background.setter
    def background(self, background: Background) -> None:
        self._background, self._background_pid = background, os.getpid()

    def conceal(self, failure: err.TempMailError) -> None:
        """Take the key out of a failure's texts, should the service have echoed it."""
        redact = self.key.redact
        failure.args = (redact(str(failure)),)
        failure.body = redact(failure.body)
        failure.headers = {name: redact(value) for name, value in failure.headers.items()}
        if isinstance(failure, err.InvalidRequestError):
            failure.errors = {redact(name): tuple(map(redact, texts)) for name, texts in failure.errors.items()}

    def check_open(self) -> None:
        """Raise if the client was closed."""
        if self.closed:
            raise err.ClientClosedError("this client is closed: make a new one")

    async def close(self) -> None:
        """Close the connections, unless they were given to the client from outside."""
        self.closed = True
        if self.background is not None:
            await self.background.stop()
        if self.owns_transport:
            await self.transport.aclose()


@frozen
class Sender:
    """Sends calls for a client with its options.

    Args:
        core: What the client shares with its siblings.
        timeout: The deadline of a call, in seconds.
        max_retries: How many further requests a call may send.
    """

    core: Core = field(repr=False)
    timeout: float
    max_retries: int

    async def call(self, call: Call[T]) -> T:
        """Send a call and return its result.

        Raises:
            TempMailError: Every attempt that the rules allow has failed; this is the last failure.
        """

        async def send(attempts: CallAttempts) -> T:
            return wire.decode(call, await self._request(call, {}, attempts.left))

        return await self.with_retries(call, send)

    async def delete(self, call: Call[None]) -> None:
        """Send a deletion; "not found" after an attempt that may have done the work is success.

        Raises:
            TempMailError: As in `call`.
        """
        attempts = CallAttempts(call, self)

        async def send(attempts: CallAttempts) -> None:
            wire.decode(call, await self._request(call, {}, attempts.left))

        try:
            await self._run(attempts, send)
        except err.NotFoundError:
            if not attempts.may_have_run:
                raise

    async def fetch(self, call: Call[Any], headers: Mapping[str, str], read: Callable[[Response], T]) -> T:
        """Send a call with further headers and return what `read` makes of the answer, whatever its status.

        Raises:
            TempMailError: As in `call`; what `read` raises counts as a failure of the attempt.
        """

        async def send(attempts: CallAttempts) -> T:
            return read(await self._request(call, headers, attempts.left))

        return await self.with_retries(call, send)

    async def open(self, call: Call[Any], headers: Mapping[str, str]) -> ResponseStream:
        """Send a call with further headers and return when the headers of a successful answer are there."""

        async def send(attempts: CallAttempts) -> ResponseStream:
            return await self.open_once(call, headers, attempts.left)

        return await self.with_retries(call, send)

    async def _request(self, call: Call[Any], headers: Mapping[str, str], timeout: float) -> Response:
        core = self.core
        response = await core.transport.request(
            _request_of(call, core, headers), timeout=timeout, max_bytes=wire.MAX_BODY
        )
        core.quota_book.record_headers(response.headers)
        return response

    async def open_once(self, call: Call[Any], headers: Mapping[str, str], timeout: float) -> ResponseStream:
        """Send a call a single time and return when the headers of a successful answer are there."""
        transport = self.core.transport
        deadline = transport.now() + timeout
        stream = await transport.stream(_request_of(call, self.core, headers), timeout=timeout)
        self.core.quota_book.record_headers(stream.headers)
        if 200 <= stream.status < 300:
            return stream
        try:
            body = await _beginning_of(stream, transport, deadline)
        finally:
            stream.close()
        raise wire.status_error(Response(stream.status, stream.headers, body))

    async def with_retries(self, call: Call[Any], send: Callable[[CallAttempts], Awaitable[T]]) -> T:
        """Have `send` make attempts at a call until one succeeds or the rules allow no further one."""
        return await self._run(CallAttempts(call, self), send)

    async def _run(self, attempts: CallAttempts, send: Callable[[CallAttempts], Awaitable[T]]) -> T:
        while True:
            self.core.check_open()  # each time: a retry after close() would open a connection that nobody closes
            attempts.begin()
            try:
                result = await send(attempts)
            except err.TempMailError as error:
                failure = error
            else:
                attempts.succeeded()
                return result
            await self.core.transport.sleep(attempts.delay_after(failure))


class CallAttempts:
    """The attempts at one call, and what is left of its deadline."""

    __slots__ = ("attempt", "begun", "call", "core", "deadline", "may_have_run", "price", "sender", "started")

    def __init__(self, call: Call[Any], sender: Sender) -> None:
        self.call = call
        self.sender = sender
        self.core = sender.core
        self.started = self.begun = self.core.transport.now()
        self.deadline = self.started + sender.timeout
        self.attempt = 0
        self.price = 0  # what the last retry took from the retry budget
        self.may_have_run = False

    @property
    def left(self) -> float:
        """The seconds until the deadline."""
        return self.deadline - self.core.transport.now()

    def renew_deadline(self) -> None:
        """Set the deadline anew: a body that was arriving had a limit of its own."""
        self.deadline = self.core.transport.now() + self.sender.timeout

    def begin(self) -> None:
        """Count an attempt."""
        try:
            take_from_request_budget()
        except err.QuotaExceededError as error:
            raise self._finished(error) from None
        self.attempt += 1
        self.begun = self.core.transport.now()

    def succeeded(self) -> None:
        self._log("ok")
        self.core.retries.give_back(self.price)

    def delay_after(self, failure: err.TempMailError) -> float:
        """Return the seconds to wait before the next attempt; raise the failure if there must be none."""
        self._log(failure.status or type(failure).__name__)
        transport = self.core.transport
        delay = retry_delay(failure, attempt=self.attempt, is_safe=self.call.is_safe, chance=transport.random())
        in_time = delay is not None and transport.now() + delay < self.deadline
        price = self.core.retries.take(failure) if in_time and self.attempt <= self.sender.max_retries else None
        if delay is None or price is None:
            raise self._finished(failure)
        self.may_have_run |= not was_not_processed(failure)
        self.price = price
        return delay

    def _finished(self, failure: err.TempMailError) -> err.TempMailError:
        """Return the failure with what is known of its call, and without the key, should the service have echoed it."""
        if self.core.closed and isinstance(failure, err.APIConnectionError):
            failure = err.ClientClosedError("the client was closed during the call" + self._advice_for(failure))
        failure.args = (f"{self.call.name}: {failure}{self._advice_for(failure)}",)
        self.core.conceal(failure)
        failure.call = self.call.name
        failure.quota = self.core.quota
        failure.attempts = self.attempt
        failure.elapsed = self.core.transport.now() - self.started
        return failure

    def _advice_for(self, failure: err.TempMailError) -> str:
        if not self._may_have_made_a_mailbox(failure):
            return ""
        return " (the request may have arrived, so the mailbox may exist: it was not sent again)"

    def _may_have_made_a_mailbox(self, failure: err.TempMailError) -> bool:
        if self.call.is_safe or was_not_processed(failure):
            return False
        if isinstance(failure, err.APIConnectionError):
            return failure.sent
        if isinstance(failure, err.APIResponseError):
            return failure.status is None or failure.status < 300
        return isinstance(failure, err.ServerError)

    def _log(self, outcome: object) -> None:
        if _log.isEnabledFor(logging.DEBUG):
            elapsed = self.core.transport.now() - self.begun
            _log.debug(
                "%s %s: %s, attempt %d, %.3f s",
                self.call.method,
                self.call.route,
                outcome,
                self.attempt,
                elapsed,
            )


def _request_of(call: Call[Any], core: Core, headers: Mapping[str, str]) -> Request:
    return Request(call.method, call.target, {**core.headers, **headers} if headers else core.headers)


async def _beginning_of(stream: ResponseStream, transport: Transport, deadline: float) -> bytes:
    body = b""
    while len(body) < _ERROR_BODY:
        chunk = await stream.read(max(0.0, deadline - transport.now()))
        if not chunk:
            break
        body += chunk
    return body
