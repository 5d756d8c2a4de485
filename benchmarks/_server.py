"""A server that is never the bottleneck: it knows its bodies by heart and sends them as soon as a request ends.

It runs in a process of its own, so that its work is not counted as its clients'. ``python -m benchmarks server``
compares what it can answer with what the fastest client asks.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, cast

from benchmarks._mail import HEAD, PREFIXES, QUOTA, answer_body

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["running_server"]


class _Answers:
    """The answers by their first path segment. Date and quota move on, as they do in the world."""

    def __init__(self) -> None:
        self._bodies = {prefix[1:].encode(): answer_body(size) for size, prefix in PREFIXES.items()}
        self._second = 0
        self._date = b""
        self._used = QUOTA // 5  # so that its length, and that of what is left, never changes

    def to(self, request: bytes) -> tuple[bytes, bytes]:
        """Return head and body of the answer to a request."""
        body = self._bodies[request.split(b"/", 2)[1]]
        self._used += 1
        return HEAD % (self._today(), self._used, QUOTA - self._used, len(body)), body

    def _today(self) -> bytes:
        now = int(time.time())
        if now != self._second:
            self._second, self._date = now, formatdate(now, usegmt=True).encode()
        return self._date


class _Replies(asyncio.Protocol):
    """Answers each request of a connection, pipelined ones included."""

    def __init__(self, answers: _Answers) -> None:
        self._answers = answers
        self._pending = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._pending = (self._pending + data).split(b"\r\n\r\n")
        for request in requests:
            self._transport.writelines(self._answers.to(request))


@contextmanager
def running_server() -> Generator[str]:
    """Run the server in a process of its own for a block of code, which gets its origin.

    Below ``/api1``, ``/api50`` and ``/api1000`` stand APIs whose lists hold that many messages.
    """
    command = [sys.executable, "-m", "benchmarks._server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.stdin.close()  # at the end of its input, the server ends


async def _serve() -> None:
    answers = _Answers()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Replies(answers), "127.0.0.1", backlog=1_024)
    async with server:  # with warnings as errors, uvloop never ends beside one that is still open
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    try:
        import uvloop
    except ModuleNotFoundError:  # half as fast, and fast enough
        asyncio.run(_serve())
    else:
        uvloop.run(_serve())
