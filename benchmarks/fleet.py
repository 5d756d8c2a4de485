"""One, two and four workers that share a store in Redis: how many mailboxes and messages a fleet bears."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from benchmarks._harness import Measure, Row
from benchmarks._mail import PREFIXES
from benchmarks._redis import running_redis
from benchmarks._server import running_server

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["measures"]

MAILBOXES: Final = 100_000
SHORT: Final = 400
WORKERS: Final = (1, 2, 4)


def measures(*, short: bool, mailboxes: int = MAILBOXES) -> list[Measure]:
    """Measure how long a fleet takes to poll its mailboxes once and to deliver a message of each."""
    title = "Fleets of workers with one store in Redis"
    server = shutil.which("redis-server")
    if server is None:
        return [Measure(title, [], notes=["not measured: redis-server is not installed"])]
    count = SHORT if short else mailboxes
    with running_server() as origin:
        rows = [_row(server, origin + PREFIXES[1], workers, count) for workers in WORKERS]
    return [Measure(title, rows, notes=[f"{count:,} mailboxes with a message each, dealt out to the workers"])]


def _row(server: str, base_url: str, workers: int, count: int) -> Row:
    with running_redis(server) as (url, redis), ExitStack() as processes:
        share = count // workers
        fleet = [processes.enter_context(_worker(base_url, url, n * share, share)) for n in range(workers)]
        for worker in fleet:
            _line(worker)  # it is ready
        for worker in fleet:
            _begin(worker)
        results = [_line(worker) for worker in fleet]
        redis_cpu = _cpu_of(redis)
    slowest, messages = max(each["wall"] for each in results), share * workers
    figures = {
        "messages/s": messages / slowest,
        "CPU µs/message": sum(each["cpu"] for each in results) / messages * 1e6,
        "Redis' CPU µs/message": redis_cpu / messages * 1e6,
        "MiB/worker": max(each["resident"] for each in results) / 1024,
    }
    return Row(f"{workers} worker{'s' if workers > 1 else ''}", figures)


@contextmanager
def _worker(base_url: str, redis_url: str, first: int, count: int) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks._fleet_worker", base_url, redis_url, str(first), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _begin(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin
    worker.stdin.write("\n")
    worker.stdin.flush()


def _line(worker: subprocess.Popen[str]) -> dict[str, Any]:
    assert worker.stdout
    found: dict[str, Any] = json.loads(worker.stdout.readline())
    return found


def _cpu_of(process: int) -> float:
    """Return the CPU seconds of a process, in hundredths, as Linux counts them."""
    with open(f"/proc/{process}/stat", encoding="ascii") as stat:  # noqa: PTH123 - no path of ours
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / 100
