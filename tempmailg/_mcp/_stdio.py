"""The protocol's lines on stdin and stdout, each moved by a thread that nobody has to wait for.

The transport of the package `mcp` reads stdin in a thread that cannot be left before the next line comes, so a server
that is asked to end would not. Here the threads are daemons: the end waits for no line.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import asynccontextmanager, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO, Final

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

__all__ = ["Incoming", "Outgoing", "standard_streams"]

Incoming = SessionMessage | Exception
Outgoing = SessionMessage

_LAST_WORDS: Final = 0.5  # seconds for the host to take what was written last


@asynccontextmanager
async def standard_streams() -> AsyncGenerator[
    tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[Outgoing]]
]:
    """Take stdin and stdout for the protocol alone: what else the process prints goes to stderr from now on."""
    source, sink = _take_over()
    to_server, incoming = anyio.create_memory_object_stream[Incoming](16)
    outgoing, from_server = anyio.create_memory_object_stream[Outgoing](16)
    loop = asyncio.get_running_loop()
    threading.Thread(target=_read, args=(source, to_server, loop), name="mcp-stdin", daemon=True).start()
    writer = _Writer(sink)
    writer.start()
    writing = asyncio.ensure_future(_forward(from_server, writer))
    try:
        yield incoming, outgoing
    finally:
        outgoing.close()
        await writing
        writer.finish()


def _take_over() -> tuple[BinaryIO, BinaryIO]:
    sys.stdout.flush()
    source, sink = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # there is no stderr
        os.dup2(nowhere, 1)
    os.close(nowhere)
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb")


def _read(source: BinaryIO, to_server: MemoryObjectSendStream[Incoming], loop: asyncio.AbstractEventLoop) -> None:
    # The loop, the stream or the server may have ended.
    with suppress(RuntimeError, OSError, anyio.BrokenResourceError), source:
        for line in source:
            if line.strip():
                asyncio.run_coroutine_threadsafe(to_server.send(_parsed(line)), loop).result()
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(to_server.close)


def _parsed(line: bytes) -> Incoming:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def _forward(from_server: MemoryObjectReceiveStream[Outgoing], writer: _Writer) -> None:
    async with from_server:
        async for item in from_server:
            writer.write(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")


class _Writer(threading.Thread):
    """Writes lines in the order in which they were given, and holds up nobody if their reader is slow."""

    def __init__(self, sink: BinaryIO) -> None:
        super().__init__(name="mcp-stdout", daemon=True)
        self._sink = sink
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()

    def write(self, line: bytes) -> None:
        self._lines.put(line)

    def finish(self) -> None:
        self._lines.put(None)
        self.join(_LAST_WORDS)

    def run(self) -> None:
        with suppress(OSError), self._sink:  # the host has left
            while (line := self._lines.get()) is not None:
                self._sink.write(line)
                self._sink.flush()
