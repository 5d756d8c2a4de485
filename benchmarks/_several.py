"""Eight attachments of one message at once to disk: this client beside ``curl --parallel``.

Everybody works in a process of its own, and two times are taken. One is that of the transfers: for this client from the
call on, where a small file came first, so that neither imports nor the first of eight connections count; for curl that
of its longest transfer, its connection included. The other is that of the whole process, its start included, by the
clock of whoever started it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks._harness import Goal, Measure, Row, interleaved, ratio, spread
from benchmarks._nginx import ATTACHMENTS, KEY, MEBIBYTE, make_file, warm
from benchmarks._peak import PeakMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tempmailg import Message

__all__ = ["BLOCKING", "CURL", "LARGE", "OURS", "SMALL", "compared", "measures"]

COUNT: Final = 8
LARGE: Final = 64 * MEBIBYTE
SMALL: Final = 256 * 1024
SHORT: Final = MEBIBYTE
FIRST: Final = "first.bin"
ROUNDS: Final = 9

OURS: Final = "tempmailg"
BY_DEFAULT: Final = "tempmailg, 4 at a time, the default"
BLOCKING: Final = "tempmailg, blocking"
CURL: Final = "curl --parallel"

Taken = dict[str, float]
"""Seconds of the transfers, seconds of the whole process, and for Python's contestants the growth of its memory."""


def measures(origin: str, files: Path, folder: Path, *, short: bool) -> list[Measure]:
    """Measure how fast eight large files and eight small ones are saved at once.

    Args:
        origin: Where the files are served.
        files: The folder that is served there as the attachments of a message.
        folder: A folder on the disk to save to.
        short: Whether only to check that it works.
    """
    return [
        _measure(origin, files, folder / "together", SHORT if short else LARGE, 1 if short else ROUNDS),
        _measure(origin, files, folder / "together", SMALL, 1 if short else 2 * ROUNDS),
    ]


def _measure(origin: str, files: Path, folder: Path, size: int, rounds: int) -> Measure:
    _make_files(files, size)
    works: dict[str, Callable[[str, Path, int], Taken]] = {
        OURS: partial(_python, "asynchronous", COUNT),
        BY_DEFAULT: partial(_python, "asynchronous", 4),
        BLOCKING: partial(_python, "blocking", COUNT),
        CURL: _curl,
    }
    notes = ["the ratio is that of the transfers' speed; a whole process counts its start and its imports, too"]
    if not shutil.which("curl"):
        del works[CURL]
        notes.append(f"{CURL}: left out, since curl is not installed")
    taken = interleaved({name: partial(_checked, work, origin, folder, size) for name, work in works.items()}, rounds)
    growth = max(each["growth"] for each in taken[OURS])
    return compared(taken, size, [*notes, f"the memory of {OURS} rose by {growth:.1f} MiB at most"])


def compared(taken: Mapping[str, list[Taken]], size: int, notes: list[str]) -> Measure:
    """Return the measure of what each contestant took to save files of a size."""
    speeds = {name: [1 / each["seconds"] for each in runs] for name, runs in taken.items()}
    baseline = CURL if CURL in taken else OURS
    rows = [
        Row(
            name,
            {"ms": _milliseconds(runs, "seconds"), "ms, whole process": _milliseconds(runs, "process")},
            ratio(speeds[name], speeds[baseline]),
        )
        for name, runs in taken.items()
    ]
    goals = [
        Goal(f"speed, {COUNT} at once, {name} / {CURL}", 1.5, ratio(speeds[name], speeds[CURL]), at_most=False)
        for name in (OURS, BLOCKING)
        if CURL in taken and size != SMALL  # the goal is one of throughput
    ]
    unit = f"{size // MEBIBYTE} MiB" if size >= MEBIBYTE else f"{size // 1024} KiB"
    return Measure(f"{COUNT} attachments of {unit} at once to disk", rows, goals, baseline, notes)


def _milliseconds(runs: list[Taken], key: str) -> float:
    return 1_000 * spread(each[key] for each in runs).median


# ---------------------------------------------------------------------------------------------------- the contestants


def _name(number: int) -> str:
    return f"file{number}.bin"


def _make_files(files: Path, size: int) -> None:
    """Make one file that has a name for each transfer, and the small one that comes first."""
    make_file(files / FIRST, 1_000)
    first = files / _name(0)
    make_file(first, size)
    for number in range(1, COUNT):
        (files / _name(number)).unlink(missing_ok=True)
        os.link(first, files / _name(number))


def _checked(work: Callable[[str, Path, int], Taken], origin: str, folder: Path, size: int) -> Taken:
    """Let a contestant work on a disk that has settled, and check what it has saved."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    os.sync()
    warm(folder, COUNT * size)
    taken = work(origin, folder, size)
    saved = {path.name: path.stat().st_size for path in folder.iterdir()}
    if saved != {_name(number): size for number in range(COUNT)}:
        raise RuntimeError(f"{work} saved {saved}")
    return taken


def _curl(origin: str, folder: Path, _size: int) -> Taken:
    command = ["curl", "-s", "-f", "--parallel", "--parallel-immediate", "--parallel-max", str(COUNT)]
    command += ["-H", f"Authorization: Bearer {KEY}", "-w", "%{time_total}\n"]
    for number in range(COUNT):
        command += ["-o", str(folder / _name(number)), f"{origin}/{ATTACHMENTS}/{_name(number)}"]
    begun = time.perf_counter()
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    process = time.perf_counter() - begun
    return {"seconds": max(map(float, shown.split())), "process": process}


def _python(work: str, concurrency: int, origin: str, folder: Path, size: int) -> Taken:
    command = [sys.executable, "-m", "benchmarks._several", work, origin, str(folder), str(size), str(concurrency)]
    begun = time.perf_counter()
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    process = time.perf_counter() - begun
    taken: Taken = json.loads(answer.stdout)
    return taken | {"process": process}


# ---------------------------------------------------------------------------------------------------- in the process


def _message(size: int) -> Message:
    from tempmailg import Attachment, Message

    several = (Attachment(name=_name(number), size=size, message_id="m1") for number in range(COUNT))
    return Message(id="m1", received_at=datetime.now(UTC), attachments=tuple(several))


async def _asynchronous(origin: str, folder: Path, size: int, concurrency: int) -> Taken:
    from tempmailg import AsyncClient

    async with AsyncClient(KEY, base_url=f"{origin}/api") as client:
        await client.download_attachment(("m1", FIRST), folder / _name(0))
        (folder / _name(0)).unlink()
        message, memory, begun = _message(size), PeakMemory(), time.perf_counter()
        await client.download_attachments(message, folder, concurrency=concurrency)
        return {"seconds": time.perf_counter() - begun, "growth": memory.growth()}


def _blocking(origin: str, folder: Path, size: int, concurrency: int) -> Taken:
    from tempmailg import Client

    with Client(KEY, base_url=f"{origin}/api") as client:
        client.download_attachment(("m1", FIRST), folder / _name(0))
        (folder / _name(0)).unlink()
        message, memory, begun = _message(size), PeakMemory(), time.perf_counter()
        client.download_attachments(message, folder, concurrency=concurrency)
        return {"seconds": time.perf_counter() - begun, "growth": memory.growth()}


def main(work: str, origin: str, folder: str, size: str, concurrency: str) -> None:
    """Do one contestant's work once and report what it took."""
    if work == "blocking":
        taken = _blocking(origin, Path(folder), int(size), int(concurrency))
    else:
        taken = asyncio.run(_asynchronous(origin, Path(folder), int(size), int(concurrency)))
    print(json.dumps(taken))


if __name__ == "__main__":
    main(*sys.argv[1:])
