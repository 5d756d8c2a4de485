"""One command's client, counted: what its waits spend is shown while they last."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click
from attrs import frozen

from tempmailg import _settings as settings
from tempmailg._aiohttp import AiohttpTransport, environment_proxy
from tempmailg._cli import _places
from tempmailg._cli._screen import Screen
from tempmailg._client import AsyncClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tempmailg._models import Mailbox
    from tempmailg.transport import Request, Response

__all__ = ["Session", "opened"]


class CountingTransport(AiohttpTransport):
    """The real transport, which counts what it sends and what of it the service counts."""

    requests = 0
    spent = 0

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        """See `Transport.request`."""
        self.requests += 1
        response = await super().request(request, timeout=timeout, max_bytes=max_bytes)
        self.spent += 200 <= response.status < 300
        return response


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
        newest = _places.newest(self.base_url)
        if newest is not None and name in ("-", newest.email):
            return newest
        if name == "-":
            raise click.UsageError("no mailbox was made here yet: run 'tempmailg new', or name an address")
        return name

    def remember(self, mailbox: Mailbox) -> None:
        """Make a mailbox the one that ``-`` means."""
        _places.remember(mailbox, self.base_url)


@asynccontextmanager
async def opened(screen: Screen) -> AsyncGenerator[Session]:
    """Open a client with the key of the environment or the config file."""
    key, url = _places.access()
    base_url = settings.base_url_of(url)
    transport = CountingTransport(base_url, proxy=environment_proxy(base_url))
    try:
        async with AsyncClient(key, transport=transport) as client:
            yield Session(client, screen, transport, base_url)
    finally:
        await transport.aclose()
