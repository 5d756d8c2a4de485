"""A transport that counts what goes through it: the command line and the pytest plugin report what they spend."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tempmailg.transport import Request, Response, ResponseStream, Transport

__all__ = ["CountingTransport"]


class CountingTransport:
    """Another transport, with the number of its requests and of those that the service counts.

    Args:
        transport: The transport that does the work.

    Attributes:
        requests: How many requests were sent.
        spent: How many of them were answered with 2xx, which is what the quota counts.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.api_key = transport.api_key
        self.requests = 0
        self.spent = 0
        self.sleep, self.now, self.utcnow = transport.sleep, transport.now, transport.utcnow
        self.random, self.aclose = transport.random, transport.aclose

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        """See `Transport.request`."""
        self.requests += 1
        response = await self._transport.request(request, timeout=timeout, max_bytes=max_bytes)
        self._count(response.status)
        return response

    async def stream(self, request: Request, *, timeout: float) -> ResponseStream:
        """See `Transport.stream`."""
        self.requests += 1
        stream = await self._transport.stream(request, timeout=timeout)
        self._count(stream.status)
        return stream

    def _count(self, status: int) -> None:
        self.spent += 200 <= status < 300
