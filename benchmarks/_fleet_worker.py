"""One worker of a fleet: it receives one message of each mailbox of its shard, claimed in a shared store.

    python -m benchmarks._fleet_worker BASE_URL REDIS_URL FIRST COUNT

It says when it is ready, begins when a line comes on standard input, and prints its result as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import tempmailg


async def main(base_url: str, redis_url: str, first: int, count: int) -> None:
    """Measure one shard."""
    store = tempmailg.RedisStore(redis_url)
    mailboxes = [f"box{number}@example.com" for number in range(first, first + count)]
    async with tempmailg.AsyncClient("tm_benchmark", base_url=base_url) as client:
        _say({"ready": True})
        sys.stdin.readline()
        wall, cpu = time.perf_counter(), time.process_time()
        async with client.watch(*mailboxes, store=store, poll_interval=3600) as watch:
            for _ in range(count):
                await anext(watch)
            result = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    await store.close()
    _say({**result, "resident": _most_resident()})


def _most_resident() -> int:
    """Return the most KiB that were in memory: those of `getrusage` may be of the process that started this one."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
