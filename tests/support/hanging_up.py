"""A server in a process of its own that closes each connection after its answer, without announcing it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from attrs import define

__all__ = ["HangingUp", "hanging_up"]

SERVE = """
import socket, sys, threading
answer = bytes.fromhex(sys.argv[1])
listener = socket.create_server(("127.0.0.1", 0), backlog=128)
print(listener.getsockname()[1], flush=True)
requests = 0

def serve():
    global requests
    while True:
        connection, _ = listener.accept()
        with connection:
            if connection.recv(65_536):
                requests += 1
                connection.sendall(answer)
        print("closed", flush=True)

threading.Thread(target=serve, daemon=True).start()
sys.stdin.read()
print(requests, flush=True)
"""


@define
class HangingUp:
    """Where the server is, and, once it has ended, how many requests it read."""

    base_url: str
    output: asyncio.StreamReader
    requests: int = 0

    async def hung_up(self) -> None:
        """Wait until the next connection has been closed: its end has reached the client's kernel then."""
        assert await self.output.readline() == b"closed\n"


@asynccontextmanager
async def hanging_up(answer: bytes) -> AsyncGenerator[HangingUp]:
    """Run the server for a block of code; each request gets this answer."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVE, answer.hex()), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    server = HangingUp(f"http://127.0.0.1:{int(await process.stdout.readline())}/api", process.stdout)
    try:
        yield server
    finally:
        output, _ = await process.communicate(b"")
        server.requests = int(output.split()[-1])
