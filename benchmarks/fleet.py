"""One, two and four workers that share a store in Redis: how many mailboxes and messages a fleet bears.

    python -m benchmarks.fleet [--workers N …] [--mailboxes N] [--json FILE]

By itself it measures fleets of other sizes than `python -m benchmarks` does, such as one worker with 100,000 mailboxes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks._harness import Measure, Row, as_json, show
from benchmarks._mail import PREFIXES
from benchmarks._redis import running_redis
from benchmarks._server import running_server

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

__all__ = ["main", "measures"]

TITLE: Final = "Fleets of workers with one store in Redis"
MAILBOXES: Final = 100_000
SHORT: Final = 400
WORKERS: Final = (1, 2, 4)


def measures(*, short: bool, mailboxes: int = MAILBOXES, workers: Sequence[int] = WORKERS) -> list[Measure]:
    """Measure how long a fleet takes to poll its mailboxes once and to deliver a message of each."""
    server = shutil.which("redis-server")
    if server is None:
        return [Measure(TITLE, [], notes=["not measured: redis-server is not installed"])]
    count = SHORT if short else mailboxes
    with running_server() as origin:
        rows = [_row(server, origin + PREFIXES[1], size, count) for size in workers]
    return [Measure(TITLE, rows, notes=[f"{count:,} mailboxes with a message each, dealt out to the workers"])]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the fleets that the arguments describe."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description="What a fleet of workers bears.")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, metavar="N", help="sizes of fleets")
    parser.add_argument("--mailboxes", type=int, default=MAILBOXES, metavar="N", help="how many each fleet watches")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file")
    options = parser.parse_args(argv)
    if min(options.workers) < 1 or options.mailboxes < max(options.workers):
        parser.error("each worker needs a mailbox: --workers is at least 1, and --mailboxes at least as many")
    found = measures(short=False, mailboxes=options.mailboxes, workers=options.workers)
    for measure in found:
        show(measure)
    if options.json:
        options.json.write_text(json.dumps(as_json(found), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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


if __name__ == "__main__":
    main()
