"""The floor: a client that speaks just enough HTTP to get its answer, and nothing else.

It never connects twice, sends no header that is not needed, believes every answer, and knows neither deadlines nor
errors. Whatever any client costs beyond it is the price of HTTP done properly; nobody should use this one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Self, cast
from urllib.parse import quote, urlsplit

__all__ = ["FloorClient"]

_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = b"Content-Length: "


class _Connection(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.end = 0  # where the answer ends, once its head is there
        self.body_at = 0
        self.answer: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def get(self, request: bytes) -> asyncio.Future[bytes]:
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.end and not self._read_head():
            return
        if len(self.received) >= self.end and self.answer:
            self.answer.set_result(bytes(self.received[self.body_at : self.end]))
            self.received.clear()
            self.end = 0

    def _read_head(self) -> bool:
        head_end = self.received.find(_END_OF_HEAD)
        if head_end < 0:
            return False
        length_at = self.received.index(_LENGTH) + len(_LENGTH)
        length = int(self.received[length_at : self.received.index(b"\r", length_at)])
        self.body_at = head_end + len(_END_OF_HEAD)
        self.end = self.body_at + length
        return True


class FloorClient:
    """Keeps connections and gets bodies over them."""

    def __init__(self, base_url: str, key: str) -> None:
        parts = urlsplit(base_url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._before = f"GET {parts.path}/messages?email="
        self._after = f" HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n\r\n"
        self._idle: deque[_Connection] = deque()
        self._open: list[_Connection] = []

    async def get_messages(self, mailbox: str) -> bytes:
        """Return the body of `GET /messages`."""
        connection = self._idle.popleft() if self._idle else await self._connect()
        try:
            return await connection.get((self._before + quote(mailbox, safe="") + self._after).encode())
        finally:
            self._idle.append(connection)

    async def _connect(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, self._host, self._port)
        self._open.append(connection)
        return connection

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for connection in self._open:
            connection.transport.close()
