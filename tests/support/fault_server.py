"""A server that misbehaves on purpose: raw sockets, no HTTP library that would be too polite.

Each request takes the next of the given answers, the last one again and again. An answer is a sequence
of steps: bytes to send, a pause, a drip, an endless stream, or an end of the connection. All that arrives is kept.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import TYPE_CHECKING, Self

from attrs import frozen

if TYPE_CHECKING:
    import ssl

__all__ = [
    "CLOSE",
    "RESET",
    "STALL",
    "Answer",
    "Do",
    "Drip",
    "Endless",
    "FaultServer",
    "Pause",
    "Seen",
    "Step",
    "closed_port",
    "expire",
    "head",
    "reply",
]


class _End(Enum):
    CLOSE = auto()  # FIN: a polite end
    RESET = auto()  # RST: a broken connection
    STALL = auto()  # say nothing more until the client gives up


CLOSE, RESET, STALL = _End.CLOSE, _End.RESET, _End.STALL


@frozen
class Pause:
    """Latency: wait, in seconds."""

    seconds: float


@frozen
class Do:
    """Let something happen at this moment of the exchange: a request has arrived, an answer is half sent."""

    action: Callable[[], object]


@frozen
class Drip:
    """Bandwidth: send `data` in pieces of `size` bytes, `seconds` apart."""

    data: bytes
    size: int = 1
    seconds: float = 0.05


@frozen
class Endless:
    """Send `piece` until the client goes away."""

    piece: bytes
    seconds: float = 0.0


Step = bytes | Pause | Do | Drip | Endless | _End
Answer = Sequence[Step]


@frozen
class Seen:
    """One request as it stood on the wire."""

    connection: int
    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the only value of a header, or None; two of them are a mistake of the client."""
        values = [value for header, value in self.headers if header.lower() == name.lower()]
        assert len(values) <= 1, f"{name} was sent {len(values)} times"
        return values[0] if values else None


def head(status: int | str = 200, headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()) -> bytes:
    """Return a status line and headers, with the empty line behind them."""
    line = f"HTTP/1.1 {status} Some Reason" if isinstance(status, int) else status
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lines = [line, *(f"{name}: {value}" for name, value in pairs), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def reply(
    payload: object = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    body: bytes | None = None,
) -> bytes:
    """Return a whole answer with `payload` as JSON, or `body` as it is."""
    content = json.dumps(payload).encode() if body is None else body
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    return head(status, [*pairs, ("Content-Length", str(len(content)))]) + content


def expire(limit: asyncio.Timeout) -> None:
    """Let the time of a block under `asyncio.timeout(None)` be up now."""
    limit.reschedule(asyncio.get_running_loop().time())


def closed_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    return port


class FaultServer:
    """Plays its answers on a free port of loopback: ``async with FaultServer([reply({})]) as server``.

    Args:
        answers: What each request gets; the last answer repeats.
        route: Chooses the answer to a request instead.
        greeting: Steps to play when a connection opens, before any request.
        tls: Serve https with this context.

    Attributes:
        requests: What arrived.
        raw: The same as bytes.
        connections: How many connections were made.
        unclosed: How many of them the client has not closed yet.
        port: Where it listens.
    """

    def __init__(
        self,
        *answers: Answer,
        route: Callable[[Seen], Answer] | None = None,
        greeting: Answer = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answers: Sequence[Answer] = answers
        self.requests: list[Seen] = []
        self.raw = bytearray()
        self.connections = 0
        self.unclosed = 0
        self.port = 0
        self._route = route or self._next_answer
        self._greeting = greeting
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def base_url(self) -> str:
        """The URL that a client is to be given."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/api"

    async def quiet(self, seconds: float = 5.0) -> None:
        """Wait until the client has no connection open, or fail."""
        async with asyncio.timeout(seconds):
            while self.unclosed:  # noqa: ASYNC110 - the server is to stay simple
                await asyncio.sleep(0.001)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number = self.connections
        self.connections += 1
        self.unclosed += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._serve(number, reader, writer)
        finally:
            self.unclosed -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self._tasks.discard(task)

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._play(self._greeting, reader, writer):
            return
        while True:
            seen = await self._read_request(number, reader)
            self.requests.append(seen)
            if not await self._play(self._route(seen), reader, writer):
                return

    def _next_answer(self, _seen: Seen) -> Answer:
        return self.answers[min(len(self.requests), len(self.answers)) - 1]

    async def _read_request(self, number: int, reader: asyncio.StreamReader) -> Seen:
        text = await reader.readuntil(b"\r\n\r\n")
        self.raw += text
        line, *lines = text.decode("latin-1").split("\r\n")[:-2]
        pairs = [each.partition(":") for each in lines]
        headers = tuple((name, value.strip()) for name, _, value in pairs)
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        body = await reader.readexactly(length)
        self.raw += body
        return Seen(number, line, headers, body)

    async def _play(self, answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Play an answer; say whether the connection lives on."""
        for step in answer:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Do):
                step.action()
            elif isinstance(step, Drip):
                await _drip(step, writer)
            elif isinstance(step, Endless):
                await _flood(step, writer)
            else:
                await _end(step, reader, writer)
                return False
        return True


async def _drip(step: Drip, writer: asyncio.StreamWriter) -> None:
    for at in range(0, len(step.data), step.size):
        writer.write(step.data[at : at + step.size])
        await writer.drain()
        await asyncio.sleep(step.seconds)


async def _flood(step: Endless, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(step.piece)
        await writer.drain()
        await asyncio.sleep(step.seconds)


async def _end(step: _End, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if step is STALL:
        await reader.read()
    elif step is RESET:
        linger_and_drop = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_and_drop)
        writer.transport.abort()
