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

from tempmailg import AsyncClient, QuotaExceededError, WaitTimeoutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["begin", "result_of"]

_WARM: Final = 64  # mailboxes watched before anything is measured: connections, buffers and imports are then there


_RATE: Final = 400.0  # polls a second of a steady watch: what two cores bear beside the server


def begin(task: str, base_url: str, **arguments: float) -> subprocess.Popen[str]:
    """Start a watcher's task in a process of its own."""
    command = [sys.executable, "-m", "benchmarks._watcher", task, base_url, json.dumps(arguments)]
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


async def processor(client: AsyncClient, *, mailboxes: int, messages: int, rounds: int, calls: int) -> dict[str, Any]:
    """Compare a poll of an unchanged mailbox with a plain `list_messages`, in rounds that alternate."""
    plain: list[float] = []
    polls: list[float] = []
    async with client.watch(*_boxes(mailboxes)) as watch:
        for _ in range(mailboxes * messages):
            await anext(watch)
    for _ in range(rounds):
        plain.append(await _plain(client, calls))
        polls.append(await _unchanged(client, mailboxes, messages, calls))
    return {"plain": plain, "polls": polls}


async def _plain(client: AsyncClient, calls: int) -> float:
    """Return the processor's seconds for one call, 32 at a time like the polls."""
    left = iter(_boxes(calls))

    async def work() -> None:
        for email in left:
            await client.list_messages(email)

    cpu = time.process_time()
    await asyncio.gather(*(work() for _ in range(32)))
    return (time.process_time() - cpu) / calls


async def _unchanged(client: AsyncClient, mailboxes: int, messages: int, calls: int) -> float:
    """Return the processor's seconds for one poll, in which nothing is new."""
    async with client.watch(*_boxes(mailboxes)) as watch:
        for _ in range(mailboxes * messages):
            await anext(watch)
        before, cpu = watch.health.polls, time.process_time()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(1.5, calls / 1_000)):
                await anext(watch)  # nothing comes
        return (time.process_time() - cpu) / (watch.health.polls - before)


async def steady(client: AsyncClient, *, mailboxes: int, calls: int) -> dict[str, Any]:
    """Poll mailboxes at the same rate, however many there are, and measure the processor's seconds for one poll."""
    async with client.watch(*_boxes(mailboxes), poll_interval=mailboxes / _RATE) as watch:
        for _ in range(mailboxes):
            await anext(watch)
        before, cpu = watch.health.polls, time.process_time()
        with suppress(TimeoutError):
            async with asyncio.timeout(calls / _RATE):
                await anext(watch)  # nothing comes
        return {"cpu_each": (time.process_time() - cpu) / (watch.health.polls - before)}


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
    "processor": processor,
    "steady": steady,
    "fleet": fleet,
    "crowd": crowd,
}


async def _main(task: str, base_url: str, arguments: dict[str, Any]) -> None:
    async with AsyncClient("benchmark-key", base_url=base_url) as client:
        print(json.dumps(await _TASKS[task](client, **arguments)))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
