"""Resident memory: of a client at rest, and of one that has decoded a million messages."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks._contestants import CONTESTANTS
from benchmarks._harness import Goal, Measure, Row, interleaved, ratio, spread
from benchmarks._mail import MAILBOX, PREFIXES
from benchmarks._server import running_server

__all__ = ["measures"]

MESSAGES: Final = 1_000_000
PER_ANSWER: Final = 50
ROUNDS: Final = 5
BASELINE: Final = "aiohttp + json"
MEBIBYTE: Final = 2**20


def measures(*, short: bool) -> list[Measure]:
    """Measure a million messages in sequence, and clients that have made one call and wait for the next."""
    with running_server() as origin:
        return [_at_rest(origin + PREFIXES[1], rounds=1 if short else ROUNDS), _flat(origin, short=short)]


def _at_rest(base_url: str, rounds: int) -> Measure:
    names = (BASELINE, "tempmailg", "tempmailg[fast]")
    samples = interleaved({name: partial(_process, name, base_url, calls=1) for name in names}, rounds)

    def series(name: str) -> list[float]:
        return [sample["end"] / MEBIBYTE for sample in samples[name]]

    rows = [Row(name, {"MiB": spread(series(name)).median}, ratio(series(name), series(BASELINE))) for name in names]
    goal = Goal(f"resident memory, tempmailg / {BASELINE}", 1.1, ratio(series("tempmailg"), series(BASELINE)))
    return Measure("Resident memory of a process whose client made one call", rows, [goal], BASELINE)


def _flat(origin: str, *, short: bool) -> Measure:
    messages = 1_000 if short else MESSAGES
    taken = _process("tempmailg", origin + PREFIXES[PER_ANSWER], calls=messages // PER_ANSWER)
    growth = (taken["end"] - taken["begin"]) / MEBIBYTE
    row = Row(
        "tempmailg",
        {"MiB after a tenth": taken["begin"] / MEBIBYTE, "MiB at the end": taken["end"] / MEBIBYTE, "growth": growth},
    )
    goal = Goal("growth in MiB", 1, spread([growth]))
    return Measure(f"Resident memory over {messages:,} decoded messages", [row], [goal])


def _process(name: str, base_url: str, *, calls: int) -> dict[str, int]:
    command = [sys.executable, "-m", "benchmarks.memory", name, base_url, str(calls)]
    report: dict[str, int] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return report


# ---------------------------------------------------------------------------------------------------- in the process


async def _live(name: str, base_url: str, calls: int) -> None:
    contestant = CONTESTANTS[name]
    for module in contestant.hides:
        sys.modules[module] = None  # type: ignore[assignment] # an import of it now fails as if it were missing
    assert contestant.asynchronous
    async with contestant.asynchronous(base_url) as listed:
        for _ in range(max(1, calls // 10)):
            await listed(MAILBOX)
        begin = _resident()
        for _ in range(calls - calls // 10):
            await listed(MAILBOX)
        print(json.dumps({"begin": begin, "end": _resident()}))


def _resident() -> int:
    """Return the resident memory of this process in bytes; its peak where the system reports only that."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    import resource

    return pages * resource.getpagesize()


if __name__ == "__main__":
    asyncio.run(_live(sys.argv[1], sys.argv[2], int(sys.argv[3])))
