"""Attachments to disk: a large one beside curl, wget and the service's own sample, and eight at once beside curl.

nginx serves them on loopback, and everybody saves them to the same disk, in turns. Python's contestants run each in a
process of their own, where a small file comes first, so that neither imports nor the first connection count; curl
reports its own time. The file of one run is removed, and the disk left to settle, before the next begins; then as much
is written and removed again, since a virtual machine's unused memory may be with its host, and the first to need it
would wait.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import _several as several
from benchmarks._harness import Goal, Measure, Row, interleaved, ratio, spread
from benchmarks._nginx import ATTACHMENTS, KEY, MEBIBYTE, make_file, serving, warm, workplace
from benchmarks._peak import PeakMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["measures"]

SIZE: Final = 512 * MEBIBYTE
SHORT_SIZE: Final = 4 * MEBIBYTE
ROUNDS: Final = 9

ASYNC: Final = "tempmailg"
BLOCKING: Final = "tempmailg, blocking"
CURL: Final = "curl -o"
WGET: Final = "wget"
SAMPLE: Final = "requests, 8 KB chunks"

LARGE: Final = "large.bin"
SMALL: Final = "small.bin"

Taken = dict[str, float]
"""Seconds, and for Python's contestants by how many MiB the process's memory rose at most."""


def measures(*, short: bool) -> list[Measure]:
    """Measure how fast a large file is saved, what memory that takes, and how fast several files are saved at once."""
    size = SHORT_SIZE if short else SIZE
    with workplace() as folder, serving(folder / "www") as (origin, server):
        files = folder / "www" / ATTACHMENTS
        files.mkdir(parents=True)
        make_file(files / SMALL, 1_000)
        make_file(files / LARGE, size)
        able, missing = _contestants(origin, folder / "saved", size)
        taken = interleaved(able, 1 if short else ROUNDS)
        at_once = several.measures(origin, files, folder, short=short)
    notes = [f"served by {server}", *(f"{name}: left out, since {reason}" for name, reason in missing.items())]
    return [_speed(taken, size, notes), _memory(taken, size), *at_once]


def _speed(taken: Mapping[str, list[Taken]], size: int, notes: list[str]) -> Measure:
    speeds = {name: [size / MEBIBYTE / each["seconds"] for each in runs] for name, runs in taken.items()}
    baseline = CURL if CURL in taken else ASYNC
    rows = [
        Row(name, {"MiB/s": spread(series).median}, ratio(series, speeds[baseline])) for name, series in speeds.items()
    ]
    goals = [
        Goal(f"speed, {name} / {other}", limit, ratio(speeds[name], speeds[other]), at_most=False)
        for name in (ASYNC, BLOCKING)
        for other, limit in ((CURL, 1.2 if name == ASYNC else 1.1), (SAMPLE, 2.0))
        if other in taken
    ]
    return Measure(f"An attachment of {size // MEBIBYTE} MiB to disk", rows, goals, baseline, notes)


def _memory(taken: Mapping[str, list[Taken]], size: int) -> Measure:
    growth = {name: [each["growth"] for each in runs] for name, runs in taken.items() if "growth" in runs[0]}
    rows = [Row(name, {"MiB": spread(series).median}) for name, series in growth.items()]
    goals = [
        Goal(f"growth in MiB, {name}, the highest of all rounds", 8, spread([max(growth[name])]))
        for name in (ASYNC, BLOCKING)
    ]
    return Measure(f"Growth of resident memory during a download of {size // MEBIBYTE} MiB", rows, goals)


# ---------------------------------------------------------------------------------------------------- the contestants


def _contestants(origin: str, target: Path, size: int) -> tuple[dict[str, Callable[[], Taken]], dict[str, str]]:
    """Return who takes part, and why the others do not."""
    works: dict[str, Callable[[str, Path], Taken]] = {
        ASYNC: partial(_python, "asynchronous"),
        BLOCKING: partial(_python, "blocking"),
        CURL: _curl,
        WGET: _wget,
        SAMPLE: partial(_python, "sample"),
    }
    missing = {
        name: f"{name.split()[0]} is not installed" for name in (CURL, WGET) if not shutil.which(name.split()[0])
    }
    if not _has_requests():
        missing[SAMPLE] = "requests is not installed"
    able: dict[str, Callable[[], Taken]] = {}
    for name in (name for name in works if name not in missing):
        able[name] = partial(_checked, works[name], origin, target, size)
    return able, missing


def _checked(work: Callable[[str, Path], Taken], origin: str, target: Path, size: int) -> Taken:
    for path in (target, _first(target)):
        path.unlink(missing_ok=True)
    os.sync()
    taken = work(origin, target)
    if target.stat().st_size != size:
        raise RuntimeError(f"{target} has {target.stat().st_size} bytes instead of {size}")
    return taken


def _warm(target: Path) -> None:
    warm(target.parent, (target.parent / "www" / ATTACHMENTS / LARGE).stat().st_size)


def _curl(origin: str, target: Path) -> Taken:
    command = ["curl", "-s", "-f", "-H", f"Authorization: Bearer {KEY}", "-o", str(target), "-w", "%{time_total}"]
    url = f"{origin}/{ATTACHMENTS}/{LARGE}"
    _warm(target)
    return {"seconds": float(subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout)}


def _wget(origin: str, target: Path) -> Taken:
    command = ["wget", "-q", f"--header=Authorization: Bearer {KEY}", "-O", str(target)]
    _warm(target)
    begun = time.perf_counter()
    subprocess.run([*command, f"{origin}/{ATTACHMENTS}/{LARGE}"], check=True)
    return {"seconds": time.perf_counter() - begun}


def _python(work: str, origin: str, target: Path) -> Taken:
    command = [sys.executable, "-m", "benchmarks.download", work, origin, str(target)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    taken: Taken = json.loads(answer.stdout)
    return taken


def _has_requests() -> bool:
    return subprocess.run([sys.executable, "-c", "import requests"], capture_output=True, check=False).returncode == 0


# ---------------------------------------------------------------------------------------------------- in the process


def _first(target: Path) -> Path:
    """Return where the small file goes: a name of its own, since to replace a file makes ext4 write the new one out."""
    return target.with_name("first")


async def _asynchronous(origin: str, target: Path) -> Taken:
    from tempmailg import AsyncClient

    async with AsyncClient(KEY, base_url=f"{origin}/api") as client:
        await client.download_attachment(("m1", SMALL), _first(target))
        _warm(target)
        memory, begun = PeakMemory(), time.perf_counter()
        await client.download_attachment(("m1", LARGE), target)
        return {"seconds": time.perf_counter() - begun, "growth": memory.growth()}


def _blocking(origin: str, target: Path) -> Taken:
    from tempmailg import Client

    with Client(KEY, base_url=f"{origin}/api") as client:
        client.download_attachment(("m1", SMALL), _first(target))
        _warm(target)
        memory, begun = PeakMemory(), time.perf_counter()
        client.download_attachment(("m1", LARGE), target)
        return {"seconds": time.perf_counter() - begun, "growth": memory.growth()}


def _sample(origin: str, target: Path) -> Taken:
    """Do what the service's documentation shows."""
    import requests

    def save(name: str, path: Path) -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}
        url = f"{origin}/{ATTACHMENTS}/{name}"
        with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
            answer.raise_for_status()
            with path.open("wb") as file:
                for chunk in answer.iter_content(chunk_size=8192):
                    file.write(chunk)

    save(SMALL, _first(target))
    _warm(target)
    memory, begun = PeakMemory(), time.perf_counter()
    save(LARGE, target)
    return {"seconds": time.perf_counter() - begun, "growth": memory.growth()}


def main(work: str, origin: str, target: str) -> None:
    """Do one contestant's work once and report what it took."""
    works: dict[str, Callable[[str, Path], Taken]] = {
        "asynchronous": lambda origin, target: asyncio.run(_asynchronous(origin, target)),
        "blocking": _blocking,
        "sample": _sample,
    }
    print(json.dumps(works[work](origin, Path(target))))


if __name__ == "__main__":
    main(*sys.argv[1:])
