"""A language model's host, as tests play it: in this process and virtual time, or beside a server process."""

from __future__ import annotations

import asyncio
import os
import smtplib
import sys
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, cast

from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.client import Client

from support.scripts import DEVELOPMENT
from tempmailg import AsyncClient
from tempmailg._counting import CountingTransport
from tempmailg._mcp._options import ServerOptions
from tempmailg._mcp._server import server_of
from tempmailg._mcp._session import Connection, Session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from pathlib import Path

    from mcp_types import CallToolResult

    from tempmailg.sandbox import Sandbox

__all__ = ["Agent", "Host", "agent", "beside", "mail", "program", "send", "text_of", "until"]


class Host(ABC):
    """Calls tools."""

    @abstractmethod
    async def raw(self, name: str, /, **arguments: Any) -> CallToolResult:
        """Call a tool; the client compares the result with the tool's schema."""

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must succeed, and return its result."""
        result = await self.raw(name, **arguments)
        assert not result.is_error, result
        fields: Any = result.structured_content
        assert isinstance(fields, dict)
        return cast("dict[str, Any]", fields)

    async def fails(self, name: str, **arguments: Any) -> str:
        """Call a tool that must fail, and return what it says."""
        result = await self.raw(name, **arguments)
        assert result.is_error, result
        return text_of(result)

    async def mailbox(self) -> str:
        """Make a mailbox."""
        email: str = (await self.call("new_mailbox"))["mailbox"]
        return email


class Agent(Host):
    """Calls tools by the Python client.

    Args:
        session: The protocol's client.
        traffic: What the server has sent to the service; None if the server is another process.
    """

    def __init__(self, session: Client | ClientSession, traffic: CountingTransport | None = None) -> None:
        self.session = session
        self._traffic = traffic

    @property
    def requests(self) -> int:
        """How many requests the server has sent to the service."""
        assert self._traffic is not None
        return self._traffic.requests

    async def raw(self, name: str, /, **arguments: Any) -> CallToolResult:
        """See `Host.raw`."""
        return await self.session.call_tool(name, arguments)


def text_of(result: CallToolResult) -> str:
    """Return the one text of a result."""
    (block,) = result.content
    assert block.type == "text"
    return block.text


@asynccontextmanager
async def agent(sandbox: Sandbox, **options: Any) -> AsyncGenerator[Agent]:
    """Connect to a server in this process that uses a sandbox in process, too: time is virtual."""
    transport = CountingTransport(sandbox.transport())

    @asynccontextmanager
    async def connect() -> AsyncGenerator[Connection]:
        async with AsyncClient(transport=transport) as client:
            yield Connection(client, transport)

    session = Session(ServerOptions(**options), connect)
    try:
        async with Client(server_of(session), mode="legacy") as client:
            yield Agent(client, transport)
    finally:
        await session.close()


async def until(condition: Callable[[], bool], *, pause: float = 0.0) -> None:
    """Wait until something is so that nothing announces."""
    while not condition():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(pause)


def program(*options: str, environment: Mapping[str, str] | None = None) -> StdioServerParameters:
    """Return how a host starts the server."""
    return StdioServerParameters(
        command=sys.executable,
        args=[*DEVELOPMENT, "-m", "tempmailg", "mcp", *options],
        env={
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TEMPMAILG_CONFIG": "/there-is-no-such-file",
            **(environment or {}),
        },
    )


@asynccontextmanager
async def beside(started: StdioServerParameters, errors: Path) -> AsyncGenerator[Agent]:
    """Connect to a server in a process of its own, over its stdin and stdout."""
    with errors.open("w") as log:
        async with stdio_client(started, errlog=log) as streams, ClientSession(*streams) as session:
            await session.initialize()
            yield Agent(session)


def mail(to: str, text: str, *, subject: str = "Hello", html: str | None = None) -> EmailMessage:
    """Return a mail."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Example Shop <shop@example.org>", to, subject
    message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


async def send(port: int, *messages: EmailMessage | tuple[str, bytes]) -> None:
    """Send mails by SMTP, those that no library would write as a recipient and bytes."""

    def talk() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as smtp:
            for message in messages:
                if isinstance(message, tuple):
                    smtp.sendmail("stranger@example.org", [message[0]], message[1])
                else:
                    smtp.send_message(message)

    await asyncio.to_thread(talk)
