"""What stands behind the pytest fixtures: one service for a run, and mailboxes for as few requests as possible."""

from __future__ import annotations

import asyncio
import math
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
from tempmailg._settings import resolve_key

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Mapping

    from tempmailg._models import Mailbox, Message
    from tempmailg.sandbox import Sandbox
    from tempmailg.transport import AnswerHeaders, Request, Response, ResponseStream

__all__ = ["DEFAULT_COST", "Service", "new_sandbox", "report"]

T = TypeVar("T")

_ENOUGH_LIFE: Final = timedelta(seconds=120)
"""What a mailbox must have left to be used for another test: most tests that wait for mail take less."""

_PLENTY: Final = 1_000_000_000  # the sandbox's quota: a test run must not end because it is long

_LETTERS_AND_DIGITS = re.compile(r"\w*\d\w*")
_LETTERS = re.compile(r"\b[^\W\d_](?:[ -][^\W\d_]\b){3,}|[^\W\d_]{4,}")  # one by one, or a word
_LINK = re.compile(r"(?i)\b(https?://[^\s/?#]*)[^\s>)\]]*")
_HIDDEN: Final = "•••"
_SHOWN: Final = 4_000  # characters of a mail that a report shows

DEFAULT_COST: Final = 5.0  # requests that a test is expected to cost before one was measured


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
        self._key = sandbox.api_key if sandbox else resolve_key(None).reveal()
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
    def shortage(self, tests: int, cost: float) -> str | None:
        """Return why so many tests should not begin, or None: one request asks for the quota.

        Args:
            tests: How many tests use the service.
            cost: Requests that a test costs.
        """
        with suppress(TempMailError):  # the tests meet it, too, and say what it is
            self.client.list_domains()
        quota, needed = self.client.quota, math.ceil(tests * cost)
        if quota is None or quota.remaining >= needed:
            return None
        reset = f"; it starts again at {_time(quota.resets_at)}" if quota.resets_at else ""
        left = f"{quota.remaining} requests of the quota are left"
        return f"tempmailg: {left}, and the {tests} tests of this suite cost about {needed}{reset}"

    @without_warning()
    def arrivals(self, mailbox: Mailbox) -> tuple[str, str]:
        """Return what arrived in a mailbox, in words that may stand in a public log.

        Returns:
            A line for each message, without its text; and the messages with their texts, without code and link.
        """
        try:
            messages = sorted(self.client.list_messages(mailbox), key=lambda each: each.received_at)
        except TempMailError as error:
            return f"{mailbox.email} cannot be listed: {error}", ""
        lines = [f"{mailbox.email}: {len(messages)} message(s)", *map(_describe, messages)]
        return "\n".join(lines), "\n\n".join(map(_redacted, messages))


def report(spent: int, tests: int, quota: Mapping[str, Any] | None) -> str:
    """Return what a run cost, and how many of its kind fit until the quota starts again.

    Args:
        spent: Requests of the quota.
        tests: Tests that used the service.
        quota: The last quota that was seen, as `Quota.to_dict` gives it.
    """
    left = f", {quota['remaining']} left" if quota else ""
    text = f"tempmailg: {spent} requests of the quota spent{left}"
    if not tests or not spent:
        return text
    text += f"; a test costs {spent / tests:.1f}"
    if quota is None:
        return text
    reset = f" until {_time(datetime.fromisoformat(quota['resets_at']))}" if quota.get("resets_at") else ""
    return f"{text}, and {quota['remaining'] // spent} such runs fit{reset}"


def _time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _redacted(message: Message) -> str:
    """Return a message without what could be a code, and without what stands in links behind the host."""
    text = _without_codes(_LINK.sub(rf"\1/{_HIDDEN}", message.text[:_SHOWN]), message)
    return (
        f"From: {message.from_email[:80]}\nSubject: {_subject(message)}\n"
        f"Received: {_time(message.received_at)}\n\n{text}"
    )


def _subject(message: Message) -> str:
    return _without_codes(message.subject, message)[:80]


def _without_codes(text: str, message: Message) -> str:
    """Return a text without the message's codes, and without any word that looks like one.

    A word does if it has a digit or a capital behind its first letter, or is spelled letter by letter.
    """
    for candidate in message.find_codes():
        text = text.replace(candidate.value, _HIDDEN)
    return _LETTERS.sub(_hidden_if_code, _LETTERS_AND_DIGITS.sub(_HIDDEN, text))


def _hidden_if_code(found: re.Match[str]) -> str:
    letters = found[0]
    return letters if letters.isalpha() and not any(map(str.isupper, letters[1:])) else _HIDDEN


def _describe(message: Message) -> str:
    files = f", {len(message.attachments)} attachment(s)" if message.attachments else ""
    size = f"{len(message.content)} characters of {'HTML' if message.is_html else 'text'}"
    return f"  {message.received_at:%H:%M:%S}  {message.from_email[:80]}  {_subject(message)!r}, {size}{files}"


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
