"""One command's client, counted: what its waits spend is shown while they last."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click
from attrs import frozen

from tempmailg._aiohttp import AiohttpTransport
from tempmailg._cli import _recent
from tempmailg._cli._config import resolve_access
from tempmailg._cli._screen import Screen
from tempmailg._client import AsyncClient
from tempmailg._counting import CountingTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tempmailg._models import Mailbox

__all__ = ["Session", "opened"]


@frozen
class Session:
    """What a command works with.

    Args:
        client: The client.
        screen: Where to print.
        traffic: What the client has sent so far.
        base_url: Where the client sends it.
    """

    client: AsyncClient
    screen: Screen
    traffic: CountingTransport
    base_url: str

    def mailbox(self, name: str) -> Mailbox | str:
        """Return the mailbox that an argument names; with what is known of it, if it is the newest one."""
        newest = _recent.newest(self.base_url)
        if newest is not None and name in ("-", newest.email):
            return newest
        if name == "-":
            raise click.UsageError("no mailbox was made here yet: run 'tempmailg new', or name an address")
        return name

    def remember(self, mailbox: Mailbox) -> None:
        """Make a mailbox the one that ``-`` means."""
        _recent.remember(mailbox, self.base_url)


@asynccontextmanager
async def opened(screen: Screen) -> AsyncGenerator[Session]:
    """Open a client with the key of the environment or the config file."""
    key, url = resolve_access()
    real = AiohttpTransport(url)
    transport = CountingTransport(real)
    try:
        async with AsyncClient(key, transport=transport) as client:
            yield Session(client, screen, transport, str(real.base_url))
    finally:
        await transport.aclose()
