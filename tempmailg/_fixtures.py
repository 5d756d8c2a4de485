"""What stands behind the pytest fixtures: one service for a run, and mailboxes for as few requests as possible."""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from tempmailg._aiohttp import AiohttpTransport
from tempmailg._blocking import Client
from tempmailg._caller import without_warning
from tempmailg._client import AsyncClient
from tempmailg._counting import CountingTransport
from tempmailg._errors import TempMailError
from tempmailg._portal import Lease
from tempmailg._settings import key_of

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from tempmailg._models import Mailbox, Message
    from tempmailg.sandbox import Sandbox
    from tempmailg.transport import AnswerHeaders, Request, Response, ResponseStream

__all__ = ["Service", "new_sandbox"]

T = TypeVar("T")

_ENOUGH_LIFE: Final = timedelta(seconds=120)
"""What a mailbox must have left to be used for another test: most tests that wait for mail take less."""

_PLENTY: Final = 1_000_000_000  # the sandbox's quota: a test run must not end because it is long

_LETTERS_AND_DIGITS = re.compile(r"\w*\d\w*")


def new_sandbox() -> Sandbox:
    """Return a sandbox whose quota no test run uses up."""
    from tempmailg.sandbox import Sandbox

    return Sandbox(quota=_PLENTY)


class Service:
    """The service that a run tests against: clients, mailboxes, and how many requests they cost.

    Args:
        sandbox: The sandbox; None for the real service, with the environment's key and base URL.
    """

    def __init__(self, sandbox: Sandbox | None) -> None:
        self._key = sandbox.api_key if sandbox else key_of(None).reveal()
        self._transport = CountingTransport(AiohttpTransport(sandbox.base_url if sandbox else None))
        self._is_live = sandbox is None
        self._spare: Mailbox | None = None
        self._lease = Lease(self._transport.aclose)
        self.client = Client(self._key, transport=self._transport)

    def __enter__(self) -> Self:
        return self

    @without_warning()
    def __exit__(self, *exc_info: object) -> None:
        if self._spare is not None:
            with suppress(TempMailError):  # it expires by itself
                self.client.delete_mailbox(self._spare)
        self._lease.run(self._transport.aclose)
        self._lease.close()
        self.client.close()

    @property
    def spent(self) -> int:
        """How many requests were counted against the quota."""
        return self._transport.spent

    @contextmanager
    def asynchronous(self) -> Generator[AsyncClient]:
        """Give an asynchronous client to a test; its connections are the blocking client's."""
        yield AsyncClient(self._key, transport=_Elsewhere(self._transport, self._lease.portal.loop))

    @contextmanager
    def mailbox(self) -> Generator[Mailbox]:
        """Give a mailbox to a test."""
        with without_warning():
            mailbox = self._renewed() or self.client.create_mailbox()
        try:
            yield mailbox
        finally:
            self._take_back(mailbox)

    def _renewed(self) -> Mailbox | None:
        """Return the last test's mailbox under a new address: one request instead of a deletion and a creation."""
        spare, self._spare = self._spare, None
        if spare is None or spare.expires_at is None or spare.expires_at - datetime.now(UTC) < _ENOUGH_LIFE:
            return None
        with suppress(TempMailError):  # a plan or an account that does not allow it
            return self.client.update_mailbox(spare, f"t{secrets.token_hex(8)}", spare.domain)
        return None

    @without_warning()
    def _take_back(self, mailbox: Mailbox) -> None:
        if self._is_live:
            self._spare = mailbox
            return
        with suppress(TempMailError):  # the test may have deleted it
            self.client.delete_mailbox(mailbox)

    @without_warning()
    def arrivals(self, mailbox: Mailbox) -> str:
        """Return what arrived in a mailbox, in words that may stand in a public log: no body, no code, no link."""
        try:
            messages = self.client.list_messages(mailbox)
        except TempMailError as error:
            return f"{mailbox.email} cannot be listed: {error}"
        lines = [_describe(message) for message in sorted(messages, key=lambda each: each.received_at)]
        return "\n".join([f"{mailbox.email}: {len(messages)} message(s)", *lines])


def _describe(message: Message) -> str:
    files = f", {len(message.attachments)} attachment(s)" if message.attachments else ""
    subject = _LETTERS_AND_DIGITS.sub("•••", message.subject[:80])
    size = f"{len(message.content)} characters of {'HTML' if message.is_html else 'text'}"
    return f"  {message.received_at:%H:%M:%S}  {message.from_email[:80]}  {subject!r}, {size}{files}"


class _Elsewhere:
    """Sends the requests of a test's event loop on the blocking client's, which outlives it.

    Each test has a loop of its own, and some plugins end it before a fixture could close connections on it.
    """

    api_key: None = None

    def __init__(self, transport: CountingTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self.loop = loop
        self.now, self.utcnow, self.random = transport.now, transport.utcnow, transport.random

    async def there(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the other loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        return await self.there(self._transport.request(request, timeout=timeout, max_bytes=max_bytes))

    async def stream(self, request: Request, *, timeout: float) -> ResponseStream:
        return _StreamElsewhere(await self.there(self._transport.stream(request, timeout=timeout)), self)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def aclose(self) -> None:
        """Leave the connections to the fixture that made them."""


class _StreamElsewhere:
    """An answer that arrives on the other loop."""

    def __init__(self, stream: ResponseStream, elsewhere: _Elsewhere) -> None:
        self._stream = stream
        self._elsewhere = elsewhere

    @property
    def status(self) -> int:
        return self._stream.status

    @property
    def headers(self) -> AnswerHeaders:
        return self._stream.headers

    async def read(self, timeout: float) -> bytes:
        return await self._elsewhere.there(self._stream.read(timeout))

    def close(self) -> None:
        self._elsewhere.loop.call_soon_threadsafe(self._stream.close)
