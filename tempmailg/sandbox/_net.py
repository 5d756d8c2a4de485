"""What both doors need of the network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

__all__ = ["Refusing", "listen", "url_host"]


class Refusing(asyncio.BaseProtocol):
    """Says why there is no room for one more connection, and closes it."""

    def __init__(self, words: bytes) -> None:
        self._words = words

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say it."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - what servers hand out
        transport.write(self._words)
        transport.close()


def url_host(host: str) -> str:
    """Return an address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


async def listen(
    factory: Callable[[], asyncio.BaseProtocol], host: str, port: int, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.Server, int]:
    """Open a listening socket, whose connections begin with TLS if there is a context for it.

    Returns:
        The server, and the port that it got.
    """
    address = "127.0.0.1" if host == "localhost" else host  # one address, hence one port
    server = await asyncio.get_running_loop().create_server(factory, address, port, backlog=1024, ssl=tls)
    return server, server.sockets[0].getsockname()[1]
