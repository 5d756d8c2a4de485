"""One session: its client, the mailboxes that it made, and what it may spend."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tempmailg._budget import RequestBudget
from tempmailg._errors import MailboxGoneError, NotFoundError, TempMailError
from tempmailg._mcp._failures import ToolError
from tempmailg._mcp._text import one_line
from tempmailg._mcp._waits import KINDS, Waits
from tempmailg._models import Mailbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from tempmailg._client import AsyncClient
    from tempmailg._counting import CountingTransport
    from tempmailg._mcp._options import Access, ServerOptions
    from tempmailg._models import Message
    from tempmailg.sandbox import Sandbox

__all__ = ["Connection", "Session", "connector"]

CALL_TIMEOUT: Final = 15.0
"""Seconds for a call of the service; a host waits for 30, and a tool may need two calls."""

MAX_IDS: Final = 10_000
"""Ids of messages that a session remembers as its own."""


class Connection(NamedTuple):
    """What a session works with.

    Args:
        client: The client.
        transport: What the client sends through, and its clock.
        sandbox: The service itself, if it is simulated.
    """

    client: AsyncClient
    transport: CountingTransport
    sandbox: Sandbox | None = None


def connector(access: Access | None, options: ServerOptions) -> Callable[[], AbstractAsyncContextManager[Connection]]:
    """Return what opens the session's connection: to the service, or without a key to a sandbox of its own."""
    if access is None:
        return lambda: _to_sandbox(options)
    return lambda: _to_service(access.api_key, access.base_url)


@asynccontextmanager
async def _to_service(key: str, url: str | None) -> AsyncGenerator[Connection]:
    from tempmailg._aiohttp import AiohttpTransport  # aiohttp loads with the first tool, not with the server
    from tempmailg._client import AsyncClient
    from tempmailg._counting import CountingTransport

    transport = CountingTransport(AiohttpTransport(url))
    try:
        async with AsyncClient(key, transport=transport, timeout=CALL_TIMEOUT) as client:
            yield Connection(client, transport)
    finally:
        await transport.aclose()


@asynccontextmanager
async def _to_sandbox(options: ServerOptions) -> AsyncGenerator[Connection]:
    from tempmailg.sandbox import Sandbox

    async with AsyncExitStack() as stack:
        try:
            sandbox = await stack.enter_async_context(Sandbox(smtp_port=options.smtp_port))
        except OSError as error:
            problem = f"the sandbox cannot receive mail at port {options.smtp_port} ({error.strerror})"
            raise ToolError(problem, "ask the user to choose another one with --smtp-port") from None
        connection = await stack.enter_async_context(_to_service(sandbox.api_key, sandbox.base_url))
        yield connection._replace(sandbox=sandbox)


class Session:
    """What the tools share.

    Args:
        options: What the session may do.
        connect: Opens its connection, when the first tool needs it.

    Attributes:
        options: The same.
        budget: The requests that it may still send.
        waits: Its waits, and what has been shown of its mail.
    """

    def __init__(self, options: ServerOptions, connect: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
        self.options = options
        self.budget = RequestBudget(options.max_requests)
        self.waits = Waits()
        self._connect = connect
        self._stack = AsyncExitStack()
        self._opening: asyncio.Future[Connection] | None = None
        self._creating: set[asyncio.Future[Mailbox]] = set()
        self._created = 0
        self._mailboxes: dict[str, Mailbox | str] = {}  # by address; those made here are a Mailbox
        self._ids: dict[str, None] = {}
        self._folder = options.folder

    # -- the connection ---------------------------------------------------------------------------------------------

    async def connection(self) -> Connection:
        """Return the connection; the first call opens it. A cancelled call leaves it to the next one."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._stack.enter_async_context(self._connect()))
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except BaseException:
            if opening.done() and (opening.cancelled() or opening.exception() is not None):
                self._opening = None  # the next call tries anew
            raise

    async def close(self) -> None:
        """Delete the mailboxes that the session made, and close the connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.options.farewell):
                await self._delete_all()
        if self._opening is not None:
            await asyncio.wait([self._opening])
        await self._stack.aclose()

    async def _delete_all(self) -> None:
        if self._creating:
            await asyncio.wait(self._creating)
        made = [email for email, mailbox in self._mailboxes.items() if isinstance(mailbox, Mailbox)]
        if made:
            client = (await self.connection()).client.with_options(timeout=self.options.farewell)
            await asyncio.gather(*map(client.delete_mailbox, made), return_exceptions=True)

    # -- mailboxes --------------------------------------------------------------------------------------------------

    @property
    def mailboxes_left(self) -> int:
        """How many mailboxes the session may still make."""
        return self.options.max_mailboxes - self._created

    async def create_mailbox(self) -> Mailbox:
        """Make a mailbox; a cancelled call does not forget the mailbox that comes of it."""
        if self.mailboxes_left <= 0:
            raise ToolError(
                f"this session may make {self.options.max_mailboxes} mailboxes, and has made them",
                f"go on with one of {self._names()}, or say to the user that --max-mailboxes allows more",
            )
        self._created += 1
        creating = asyncio.ensure_future(self._create())
        self._creating.add(creating)
        creating.add_done_callback(self._creating.discard)
        return await asyncio.shield(creating)

    async def _create(self) -> Mailbox:
        try:
            mailbox = await (await self.connection()).client.create_mailbox()
        except TempMailError:
            self._created -= 1
            raise
        self._mailboxes[mailbox.email.lower()] = mailbox
        return mailbox

    async def mailbox(self, name: str) -> Mailbox | str:
        """Return a mailbox that a tool may use.

        Raises:
            ToolError: It is none of this session's.
        """
        key = name.strip().lower()
        if key not in self._mailboxes:
            if not self.options.any_mailbox:
                raise ToolError(f"{one_line(name)} is no mailbox of this session", f"use {self._names()}")
            await self._adopt(key)
        return self._mailboxes[key]

    async def _adopt(self, email: str) -> None:
        """Take in a mailbox that was there before: what it holds now is old."""
        messages = await (await self.connection()).client.list_messages(email)
        self._mailboxes[email] = email
        self.waits.show(email, [message.id for message in messages], KINDS)

    async def delete_mailbox(self, name: str) -> str:
        """Delete a mailbox and return its address."""
        mailbox = await self.mailbox(name)
        email = mailbox if isinstance(mailbox, str) else mailbox.email
        with self.noticing_the_end(email):
            await (await self.connection()).client.delete_mailbox(email)
        self._forget(email)
        return email

    @contextmanager
    def noticing_the_end(self, email: str) -> Generator[None]:
        """Forget a mailbox if the service says in the block that it is gone; the error passes on."""
        try:
            yield
        except (MailboxGoneError, NotFoundError) as error:
            if isinstance(error, MailboxGoneError) or error.from_service:
                self._forget(email)
            raise

    def _forget(self, email: str) -> None:
        self._mailboxes.pop(email.lower(), None)

    def _names(self) -> str:
        return ", ".join(self._mailboxes) or "new_mailbox first"

    # -- messages and files -----------------------------------------------------------------------------------------

    def remember(self, *messages: Message) -> None:
        """Make messages known as this session's."""
        self._ids.update(dict.fromkeys(message.id for message in messages))
        while len(self._ids) > MAX_IDS:
            del self._ids[next(iter(self._ids))]

    def check_message(self, message_id: str) -> None:
        """Refuse a message that no tool of this session has named.

        Raises:
            ToolError: It is such a one.
        """
        if message_id not in self._ids and not self.options.any_mailbox:
            raise ToolError("no tool of this session has returned this message_id", "take one from list_messages")

    def folder(self) -> Path:
        """Return the folder for attachments; by default a new one that only its owner can read."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="tempmailg-"))
        return self._folder
