"""A server with any number of mailboxes, all alike, that mail arrives in as time goes by; it counts like the service.

It runs in a process of its own: ``python -m benchmarks._inboxes '{"quota": 1000, …}'`` prints its port, serves until
its input ends, and then prints what it has counted.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, cast

from benchmarks._mail import answer_body

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Count", "Plan", "running_inboxes"]


@dataclass(frozen=True)
class Plan:
    """What the server is like.

    Args:
        held: Messages in each mailbox from the beginning.
        arriving: Messages that each mailbox gets later.
        interval: Seconds between two of them.
        quota: Requests allowed until the reset.
        period: Seconds from the server's start to the reset.
        length: How many times 2 KB a message has.
    """

    held: int
    arriving: int = 0
    interval: float = 10.0
    quota: int = 10**12
    period: float = 1e6
    length: int = 1


@dataclass
class Count:
    """What the server has counted.

    Args:
        granted: Requests answered with 200.
        refused: Requests answered with 429, for the quota was used up.
    """

    granted: int = 0
    refused: int = 0


_HEAD = (
    "HTTP/1.1 {status}\r\n"
    "Date: {date}\r\n"
    "Content-Type: application/json\r\n"
    "X-RateLimit-Limit: {limit}\r\n"
    "X-RateLimit-Used: {used}\r\n"
    "X-RateLimit-Remaining: {left}\r\n"
    "X-RateLimit-Reset: {reset}\r\n"
    "Content-Length: {length}\r\n"
    "\r\n"
)


def _body(messages: int, length: int) -> bytes:
    answer: dict[str, Any] = json.loads(answer_body(messages))
    for message in answer["messages"]:
        message["content"] *= length
    return json.dumps(answer).encode()


class _Service:
    """The state: what is in the mailboxes, and how much of the quota is used."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._started = time.time()
        self._bodies = [_body(plan.held + number, plan.length) for number in range(plan.arriving + 1)]
        self._reset = datetime.fromtimestamp(int(self._started + plan.period), UTC).isoformat()
        self.count = Count()

    def answer(self) -> bytes:
        """Return the answer to a request for any mailbox's list."""
        now = time.time()
        if self.count.granted >= self._plan.quota:
            self.count.refused += 1
            return self._head("429 Too Many Requests", now, 2) + b"{}"
        self.count.granted += 1
        body = self._bodies[min(self._plan.arriving, int((now - self._started) / self._plan.interval))]
        return self._head("200 OK", now, len(body)) + body

    def _head(self, status: str, now: float, length: int) -> bytes:
        used = self.count.granted
        return _HEAD.format(
            status=status,
            date=formatdate(now, usegmt=True),
            limit=self._plan.quota,
            used=used,
            left=self._plan.quota - used,
            reset=self._reset,
            length=length,
        ).encode()


class _Replies(asyncio.Protocol):
    """Answers each request of a connection."""

    def __init__(self, service: _Service) -> None:
        self._service = service
        self._pending = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._pending = (self._pending + data).split(b"\r\n\r\n")
        for _ in requests:
            self._transport.write(self._service.answer())


@contextmanager
def running_inboxes(plan: Plan) -> Generator[tuple[str, Count]]:
    """Run the server for a block of code, which gets its base URL and, behind the block, what was counted."""
    command = [sys.executable, "-m", "benchmarks._inboxes", json.dumps(asdict(plan))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        count = Count()
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/api", count
        server.stdin.close()  # at the end of its input, the server ends
        final: dict[str, Any] = json.loads(server.stdout.readline())
        count.granted, count.refused = final["granted"], final["refused"]


async def _serve(plan: Plan) -> None:
    service = _Service(plan)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Replies(service), "127.0.0.1", backlog=1_024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(json.dumps(asdict(service.count)), flush=True)


def _loop() -> asyncio.AbstractEventLoop:
    try:  # twice as fast with it, and fast enough without
        from uvloop import new_event_loop
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    return new_event_loop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(_serve(Plan(**json.loads(sys.argv[1]))))
