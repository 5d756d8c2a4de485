"""A process that watches: ``python -m benchmarks._watcher TASK BASE_URL '{…}'`` prints what it found as JSON."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tempmailg import AiohttpTransport, AsyncClient, QuotaExceededError, WaitTimeoutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tempmailg.transport import Request, Response

__all__ = ["begin", "result_of"]

_WARM: Final = 64  # mailboxes watched before anything is measured: connections, buffers and imports are then there


_RATE: Final = 2_000.0  # polls a second of a steady watch: fewer than the processor bears

_HURRY: Final = 10.0  # how fast a hurried clock runs: polls are then always due, as many at once as lists are made

_AT_ONCE: Final = 32  # lists, and polls under way while answers are quick

_WITHOUT_FAST: Final = (
    "import runpy, sys; sys.modules['orjson'] = None; runpy.run_module('benchmarks._watcher', run_name='__main__')"
)


def begin(task: str, base_url: str, *, is_fast: bool = True, **arguments: float) -> subprocess.Popen[str]:
    """Start a watcher's task in a process of its own.

    Args:
        task: Its name.
        base_url: The service's address.
        is_fast: Whether it may use the extra `fast` where that is installed.
        arguments: The task's own.
    """
    program = ["-m", "benchmarks._watcher"] if is_fast else ["-c", _WITHOUT_FAST]
    command = [sys.executable, *program, task, base_url, json.dumps(arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a watcher and return what it found."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a watcher failed with exit status {process.returncode}")
    result: dict[str, Any] = json.loads(output)
    return result


def _boxes(count: int, name: str = "box") -> list[str]:
    return [f"{name}{number}@example.com" for number in range(count)]


async def deliveries(client: AsyncClient, *, mailboxes: int, messages: int) -> dict[str, Any]:
    """Watch mailboxes until all their messages are delivered, and measure the memory that each takes."""
    await _watch_until(client, _boxes(_WARM, "warm"), _WARM)
    before, begun, cpu = _resident(), time.monotonic(), time.process_time()
    async with client.watch(*_boxes(mailboxes)) as watch:
        delivered = 0
        async for _message in watch:
            delivered += 1
            if delivered == mailboxes * messages:
                break
        seconds = time.monotonic() - begun
        seen = watch.seen()
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await anext(watch)  # a message delivered twice would be here
                delivered += 1
        after = _resident()
        polls = watch.health.polls
    return {
        "delivered": delivered,
        "distinct": sum(len(set(ids)) for ids in seen.values()) + 1,  # the last one is not seen before the next
        "seconds": seconds,
        "polls": polls,
        "cpu_each": (time.process_time() - cpu) / polls,
        "memory_each": (after - before) / mailboxes,
    }


async def _watch_until(client: AsyncClient, mailboxes: list[str], count: int) -> None:
    async with client.watch(*mailboxes) as watch:
        for _ in range(count):
            await anext(watch)


def _resident() -> int:
    """Return the bytes of this process that are in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096


async def processor(base_url: str, *, mailboxes: int, messages: int, rounds: int, calls: int) -> dict[str, Any]:
    """Compare a poll of an unchanged mailbox with a plain `list_messages`, in rounds that alternate.

    Both are made 32 at a time: a call alone pays for the event loop's whole turn.
    """
    plain: list[float] = []
    polls: list[float] = []
    async with AsyncClient("benchmark-key", base_url=base_url) as client:
        await _plain(client, _AT_ONCE)  # opens the connections
        for _ in range(rounds):
            plain.append(await _plain(client, calls))
            polls.append(await _unchanged(base_url, mailboxes, messages, calls))
    return {"plain": plain, "polls": polls}


async def _plain(client: AsyncClient, calls: int) -> float:
    """Return the processor's seconds for one call."""
    left = iter(_boxes(calls))

    async def work() -> None:
        for email in left:
            await client.list_messages(email)

    gc.collect()
    cpu = time.process_time()
    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return (time.process_time() - cpu) / calls


async def _unchanged(base_url: str, mailboxes: int, messages: int, calls: int) -> float:
    """Return the processor's seconds for one poll, in which nothing is new, at the pace that the client chooses."""
    transport = _Counting(base_url, hurry=_HURRY)
    async with (
        AsyncClient("benchmark-key", transport=transport) as client,
        client.watch(*_boxes(mailboxes)) as watch,
    ):
        for _ in range(mailboxes * messages):
            await anext(watch)
        gc.collect()
        before, cpu = transport.requests, time.process_time()
        await transport.more(calls)
        return (time.process_time() - cpu) / (transport.requests - before)


class _Counting(AiohttpTransport):
    """The usual transport, which counts requests: a watch's health would go through all mailboxes to count polls.

    Args:
        base_url: The service's address.
        hurry: How fast its clock runs.
    """

    def __init__(self, base_url: str, *, hurry: float = 1.0) -> None:
        super().__init__(base_url)
        self._hurry = hurry
        self.requests, self._wanted, self._reached = 0, 0, asyncio.Event()

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        """Send a request, and count it."""
        self.requests += 1
        if self.requests == self._wanted:
            self._reached.set()
        return await super().request(request, timeout=timeout, max_bytes=max_bytes)

    def now(self) -> float:
        """Return the time of a clock that is in a hurry."""
        return super().now() * self._hurry

    async def sleep(self, seconds: float) -> None:
        """Wait on the same clock."""
        await super().sleep(seconds / self._hurry)

    async def more(self, requests: int) -> None:
        """Wait until so many more requests have begun."""
        self._wanted = self.requests + requests
        await self._reached.wait()


async def steady(base_url: str, *, mailboxes: int, calls: int) -> dict[str, Any]:
    """Poll mailboxes at the same rate, however many there are, and measure the processor's seconds for one poll."""
    transport = _Counting(base_url)
    async with (
        AsyncClient("benchmark-key", transport=transport) as client,
        client.watch(*_boxes(mailboxes), poll_interval=mailboxes / _RATE) as watch,
    ):
        for _ in range(mailboxes):
            await anext(watch)
        before, cpu = transport.requests, time.process_time()
        await transport.more(calls)
        return {"cpu_each": (time.process_time() - cpu) / (transport.requests - before)}


async def fleet(client: AsyncClient, *, mailboxes: int, seconds: float, number: int) -> dict[str, Any]:
    """Watch mailboxes for some time, beside others that use the same key."""
    async with client.watch(*_boxes(mailboxes, f"fleet{number}-")) as watch:
        with suppress(TimeoutError, QuotaExceededError):
            async with asyncio.timeout(seconds):
                async for _message in watch:
                    pass
        return {"polls": watch.health.polls, "quota_spent": watch.health.quota_spent}


async def crowd(client: AsyncClient, *, mailboxes: int, seconds: float, number: int) -> dict[str, Any]:
    """Wait in mailboxes for what never comes, which knows no pace but that of each wait."""

    async def wait(email: str) -> str:
        try:
            await client.wait_for_message(email, subject="never", timeout=seconds)
        except (WaitTimeoutError, QuotaExceededError) as error:
            return type(error).__name__
        return ""

    ends = await asyncio.gather(*(wait(email) for email in _boxes(mailboxes, f"crowd{number}-")))
    return {"timed_out": ends.count("WaitTimeoutError"), "out_of_quota": ends.count("QuotaExceededError")}


_TASKS: Final[dict[str, Callable[..., Awaitable[dict[str, Any]]]]] = {
    "deliveries": deliveries,
    "fleet": fleet,
    "crowd": crowd,
}

_WITH_TRANSPORTS: Final[dict[str, Callable[..., Awaitable[dict[str, Any]]]]] = {
    "processor": processor,
    "steady": steady,
}
"""Tasks that make their own clients."""


async def _main(task: str, base_url: str, arguments: dict[str, Any]) -> None:
    if task in _WITH_TRANSPORTS:
        print(json.dumps(await _WITH_TRANSPORTS[task](base_url, **arguments)))
        return
    async with AsyncClient("benchmark-key", base_url=base_url) as client:
        print(json.dumps(await _TASKS[task](client, **arguments)))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
