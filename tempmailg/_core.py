"""Send with retries, within a deadline: what every method of a client comes down to."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TypeVar, TypeVarTuple

from attrs import field, frozen

from tempmailg import _errors as err
from tempmailg import _wire as wire
from tempmailg._budget import take_from_request_budget
from tempmailg._grace import GRACE, shielded
from tempmailg._headers import retry_after_of
from tempmailg._models import Mailbox, Quota
from tempmailg._public import public
from tempmailg._quota import QuotaBook
from tempmailg._retry import RetryBudget, retry_delay, was_not_processed
from tempmailg.transport import Request, Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
    from datetime import datetime

    from tempmailg._endpoints import Call
    from tempmailg._quota import Preference
    from tempmailg._settings import Secret
    from tempmailg.transport import AnswerHeaders, ResponseStream, Transport

__all__ = ["Attempt", "CallAttempts", "Caller", "ClientState", "gone_is_fine"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = logging.getLogger("tempmailg")

_NO_ASYNCIO: Final = (
    "AsyncClient needs a running asyncio event loop, and there is none here: under trio, use the blocking Client in a"
    " thread (trio.to_thread.run_sync)"
)

_NO_MORE: Final[Mapping[str, str]] = {}
"""No headers but those of every request."""

_MAX_MADE: Final = 10_000  # mailboxes that a client has made and knows of; older ones are forgotten

_ERROR_BODY: Final = 64 * 1024  # bytes read of an answer that is an error: its text is shortened anyway


@contextmanager
def gone_is_fine() -> Generator[None]:
    """Let a block end well when the service itself says "not found"; a proxy's page says nothing of what is there."""
    try:
        yield
    except err.NotFoundError as error:
        if not error.from_service:
            raise


class Background(Protocol):
    """What works behind a client, such as the polls for its waits and watches, and ends with it."""

    async def stop(self) -> None:
        """End it; whoever waits for it gets `ClientClosedError`."""
        ...


@public
@frozen
class Attempt:
    """One request of a call, as it ended: what `on_attempt` gets. It holds no address, no text and no secret.

    Args:
        call: The client's method, such as ``list_messages``.
        method: The HTTP method.
        route: The path as the API's documentation writes it, such as ``/emails/{email}``.
        number: Which attempt at the call it was, from 1.
        status: The HTTP status of the answer, or None if none came.
        error: The name of the error's class, such as ``APITimeoutError``, or None if the attempt succeeded.
        seconds: How long it took, for a download with its body, for a stream until its headers.
        quota: The quota that the service last declared, or None.
    """

    call: str
    method: str
    route: str
    number: int
    status: int | None
    error: str | None
    seconds: float
    quota: Quota | None


class ClientState:
    """What a client and its `with_options` siblings share: connection pool, key, quota, retry budget, background."""

    __slots__ = (
        "_background",
        "_background_pid",
        "closed",
        "headers",
        "key",
        "made",
        "on_attempt",
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
        on_attempt: Callable[[Attempt], object] | None = None,
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
        self.on_attempt: Callable[[Attempt], object] | None = on_attempt
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

    def record_made(self, mailbox: Mailbox) -> None:
        """Take in that a mailbox was made just now."""
        email = mailbox.email.lower()
        self.made.pop(email, None)
        self.made[email] = self.transport.now(), mailbox.expires_at
        if len(self.made) > _MAX_MADE:
            del self.made[next(iter(self.made))]

    def redact(self, failure: err.TempMailError) -> None:
        """Take the key out of a failure's texts, should the service have echoed it."""
        redact = self.key.redact
        failure.args = (redact(str(failure)),)
        failure.body = redact(failure.body)
        failure.headers = {name: redact(value) for name, value in failure.headers.items()}
        if isinstance(failure, err.InvalidRequestError):
            failure.errors = {redact(name): tuple(map(redact, texts)) for name, texts in failure.errors.items()}

    def check_open(self) -> None:
        """Raise if the client was closed, or if this is not its kind of event loop."""
        if self.closed:
            raise err.ClientClosedError("this client is closed: make a new one")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise err.ConfigurationError(_NO_ASYNCIO) from None

    async def close(self) -> None:
        """Close the connections, unless they were given to the client from outside."""
        self.closed = True
        with shielded():
            try:
                if self.background is not None:
                    await self.background.stop()
            finally:
                if self.owns_transport:
                    await self.transport.aclose()


@frozen
class Caller:
    """Sends calls for a client with its options.

    Args:
        core: What the client shares with its siblings.
        timeout: The deadline of a call, in seconds.
        max_retries: How many further requests a call may send.
    """

    core: ClientState = field(repr=False)
    timeout: float
    max_retries: int

    @property
    def summary(self) -> str:
        """Where the calls go and with which options, without anything secret."""
        core = self.core
        where = getattr(core.transport, "base_url", None) or f"over {type(core.transport).__name__}"
        state = " closed" if core.closed else ""
        return f"{where} timeout={self.timeout:g} max_retries={self.max_retries}{state}"

    def call(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        """Send a call and return its result.

        Raises:
            TempMailError: Every attempt that the rules allow has failed; this is the last failure.
        """
        return self.fetch(call, _NO_MORE, self._reader(call))

    async def make(self, call: Call[T], undo: Callable[[T], Awaitable[None]]) -> T:
        """Send a call that makes something; cancelled while its request is under way, take back what the answer names.

        Args:
            call: The call.
            undo: Deletes what was made.

        Raises:
            TempMailError: As in `call`.
        """
        read = self._reader(call)

        async def send(attempts: CallAttempts) -> T:
            request = asyncio.create_task(self._request(attempts, _NO_MORE, read))
            try:
                await asyncio.wait((request,))
                return request.result()
            except asyncio.CancelledError:
                await _undone(request, undo)
                raise
            finally:
                await _ended(request)
                del request  # it holds its error, whose traceback holds this frame

        return await self.with_retries(call, send)

    def _reader(self, call: Call[T]) -> Callable[[Response], T]:
        """Return what decodes the answer to a call; a mailbox that the call has made is remembered as this client's."""
        read = wire.reader_of(call)
        if not call.makes_mailbox:
            return read

        def read_made(response: Response) -> T:
            made = read(response)
            if isinstance(made, Mailbox):
                self.core.record_made(made)
            return made

        return read_made

    async def delete(self, call: Call[None]) -> None:
        """Send a deletion; the service's own "not found" after an attempt that may have done the work is success.

        Raises:
            TempMailError: As in `call`.
        """
        attempts = CallAttempts(call, self)
        try:
            await self._run(attempts, self._request, _NO_MORE, wire.reader_of(call))
        except err.NotFoundError as error:
            if not (attempts.may_have_run and error.from_service):
                raise

    def fetch(
        self, call: Call[Any], headers: Mapping[str, str], read: Callable[[Response], T]
    ) -> Coroutine[Any, Any, T]:
        """Send a call with further headers and return what `read` makes of the answer, whatever its status.

        Raises:
            TempMailError: As in `call`; what `read` raises counts as a failure of the attempt.
        """
        return self._run(CallAttempts(call, self), self._request, headers, read)

    async def _request(self, attempts: CallAttempts, headers: Mapping[str, str], read: Callable[[Response], T]) -> T:
        core = self.core
        response = await core.transport.request(
            _request_of(attempts.call, core, headers), timeout=attempts.left, max_bytes=wire.MAX_BODY
        )
        attempts.record_answer(response.status, response.headers)
        return read(response)

    async def open_once(self, attempts: CallAttempts, headers: Mapping[str, str]) -> ResponseStream:
        """Send a call a single time and return when the headers of a successful answer are there."""
        transport = self.core.transport
        timeout = attempts.left
        deadline = transport.now() + timeout
        stream = await transport.stream(_request_of(attempts.call, self.core, headers), timeout=timeout)
        attempts.record_answer(stream.status, stream.headers)
        if 200 <= stream.status < 300:
            return stream
        try:
            body = await _beginning_of(stream, transport, deadline)
        finally:
            stream.close()
        raise wire.status_error(Response(stream.status, stream.headers, body))

    def with_retries(self, call: Call[Any], send: Callable[[CallAttempts], Awaitable[T]]) -> Coroutine[Any, Any, T]:
        """Have `send` make attempts at a call until one succeeds or the rules allow no further one."""
        return self._run(CallAttempts(call, self), send)

    async def _run(self, attempts: CallAttempts, send: Callable[[CallAttempts, *Ts], Awaitable[T]], *args: *Ts) -> T:
        while True:
            self.core.check_open()  # each time: a retry after close() would open a connection that nobody closes
            attempts.begin()
            try:
                result = await send(attempts, *args)
            except err.TempMailError as error:
                failure = error
            else:
                attempts.succeeded()
                return result
            await self.core.transport.sleep(attempts.delay_after(failure))


class CallAttempts:
    """The attempts at one call, and what is left of its deadline."""

    __slots__ = (
        *("attempt", "begun", "call", "core", "deadline", "headers", "may_have_run", "price", "caller", "started"),
        "status",
    )

    def __init__(self, call: Call[Any], caller: Caller) -> None:
        self.call: Call[Any] = call
        self.caller: Caller = caller
        self.core: ClientState = caller.core
        self.started: float = self.core.transport.now()
        self.begun: float = self.started
        self.deadline: float = self.started + caller.timeout
        self.attempt: int = 0
        self.price: int = 0  # what the last retry took from the retry budget
        self.may_have_run: bool = False
        self.status: int | None = None  # of the answer to this attempt
        self.headers: AnswerHeaders | None = None  # the same

    @property
    def left(self) -> float:
        """The seconds until the deadline."""
        return self.deadline - self.core.transport.now()

    def renew_deadline(self) -> None:
        """Set the deadline anew: a body that was arriving had a limit of its own."""
        self.deadline = self.core.transport.now() + self.caller.timeout

    def begin(self) -> None:
        """Count an attempt."""
        try:
            take_from_request_budget()
        except err.QuotaExceededError as error:
            raise self._finished(error) from None
        self.attempt += 1
        self.status = self.headers = None
        self.begun = self.core.transport.now()

    def record_answer(self, status: int, headers: AnswerHeaders) -> None:
        """Take in that this attempt has an answer."""
        self.status, self.headers = status, headers
        self.core.quota_book.record_headers(headers)

    def succeeded(self) -> None:
        self._report(None)
        self.core.retries.give_back(self.price)

    def delay_after(self, failure: err.TempMailError) -> float:
        """Return the seconds to wait before the next attempt; raise the failure if there must be none."""
        self._report(failure)
        transport = self.core.transport
        if isinstance(failure, err.APIStatusError) and failure.retry_after is None and self.headers is not None:
            failure.retry_after = retry_after_of(self.headers, transport.utcnow())  # a date, and none to count it from
        left, chance = self.left, transport.random()
        delay = retry_delay(failure, attempt=self.attempt, is_safe=self.call.is_safe, chance=chance, left=left)
        in_time = delay is not None and delay < left
        price = self.core.retries.take(failure) if in_time and self.attempt <= self.caller.max_retries else None
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
        self.core.redact(failure)
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
        if not self.call.makes_mailbox or was_not_processed(failure):
            return False
        if isinstance(failure, err.APIConnectionError):
            return failure.sent
        if isinstance(failure, err.APIResponseError):
            return failure.status is None or failure.status < 300
        return isinstance(failure, err.ServerError)

    def _report(self, failure: err.TempMailError | None) -> None:
        """Say how an attempt ended, to the log and to whoever asked for it."""
        hook = self.core.on_attempt
        if hook is None and not _log.isEnabledFor(logging.DEBUG):
            return
        attempt = self._described(failure)
        outcome = "ok" if failure is None else failure.status or attempt.error
        _log.debug(
            "%s %s: %s, attempt %d, %.3f s", attempt.method, attempt.route, outcome, attempt.number, attempt.seconds
        )
        if hook is None:
            return
        try:
            hook(attempt)
        except Exception:  # noqa: BLE001 - whatever it is: what only watches must not break the call
            _log.exception("on_attempt failed")

    def _described(self, failure: err.TempMailError | None) -> Attempt:
        return Attempt(
            call=self.call.name,
            method=self.call.method,
            route=self.call.route,
            number=self.attempt,
            status=self.status if failure is None else failure.status or self.status,
            error=None if failure is None else type(failure).__name__,
            seconds=self.core.transport.now() - self.begun,
            quota=self.core.quota,
        )


def _request_of(call: Call[Any], core: ClientState, headers: Mapping[str, str]) -> Request:
    return Request(call.method, call.target, {**core.headers, **headers} if headers else core.headers)


async def _undone(request: asyncio.Task[T], undo: Callable[[T], Awaitable[None]]) -> None:
    """Wait a little for the answer to a request and take back what it made; another cancellation ends that at once."""
    with suppress(Exception), shielded():  # whatever fails here, what passes on is the cancellation
        async with asyncio.timeout(GRACE):
            await asyncio.wait((request,))
            await undo(request.result())


async def _ended(request: asyncio.Task[Any]) -> None:
    """End a request for whose answer nobody waits any more."""
    if not request.done():
        request.cancel()
        with shielded():
            await asyncio.wait((request,))
    if not request.cancelled():
        request.exception()  # or asyncio reports that nobody asked for it


async def _beginning_of(stream: ResponseStream, transport: Transport, deadline: float) -> bytes:
    body = b""
    while len(body) < _ERROR_BODY:
        chunk = await stream.read(max(0.0, deadline - transport.now()))
        if not chunk:
            break
        body += chunk
    return body
