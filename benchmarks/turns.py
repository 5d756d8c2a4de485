"""One `list_messages` beside bare aiohttp, on both event loops, in one process by turns and in a process each."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import product
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks._harness import Goal, Measure, Row, interleaved, ratio
from benchmarks._mail import PREFIXES
from benchmarks._server import running_server
from benchmarks._worker import Worker, why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks._harness import Sample

__all__ = ["measures"]

CONCURRENCY: Final = 32
ROUND_SECONDS: Final = 0.1  # of the clock, for each contestant in each round
ROUNDS: Final = 25

BARE: Final = "aiohttp + json"

LIMITS: Final = {
    (1, "tempmailg"): 1.08,
    (1, "tempmailg[fast]"): 1.0,
    (50, "tempmailg"): 1.35,
    (50, "tempmailg[fast]"): 1.15,
}
"""What a call may cost beside one of bare aiohttp, by the number of its messages."""


def measures(*, short: bool) -> list[Measure]:
    """Measure one message and fifty, with and without `fast`, on asyncio and uvloop, in one process and in two."""
    rows, goals = list[Row](), list[Goal]()
    with running_server() as origin:
        for (messages, mine), loop, shared in product(LIMITS, ("asyncio", "uvloop"), (True, False)):
            if why_not(mine) or why_not("tempmailg[fast]"):  # which needs uvloop
                continue
            row = _compared(origin + PREFIXES[messages], mine, loop, 2 if short else ROUNDS, shared=shared)
            where = f"{messages} message{'s' if messages > 1 else ''}, {loop}, {'one process' if shared else 'two'}"
            assert row.ratio
            rows.append(Row(f"{mine}, {where}", row.figures, row.ratio))
            goals.append(Goal(f"CPU, {mine}, {where}", LIMITS[messages, mine], row.ratio))
    title = f"list_messages beside {BARE}, {CONCURRENCY} calls at once"
    return [Measure(title, rows, goals, BARE, [] if rows else ["orjson or uvloop is not installed"])]


def _compared(origin: str, mine: str, loop: str, rounds: int, *, shared: bool) -> Row:
    seconds = 0.001 if rounds < ROUNDS else ROUND_SECONDS
    with ExitStack() as processes:
        if shared:
            both = processes.enter_context(Worker(mine, origin, concurrency=CONCURRENCY, loop=loop, beside=[BARE]))
            rounds_of = {name: both.round_of(seconds, number) for number, name in enumerate((mine, BARE))}
        else:
            workers = {
                name: processes.enter_context(Worker(name, origin, concurrency=CONCURRENCY, loop=loop))
                for name in (mine, BARE)
            }
            rounds_of = {name: worker.round_of(seconds) for name, worker in workers.items()}
        samples = interleaved(rounds_of, rounds)
    figures = {f"CPU µs, {who}": median(_cpu(samples[name])) * 1e6 for who, name in (("ours", mine), ("bare", BARE))}
    return Row(mine, figures, ratio(_cpu(samples[mine]), _cpu(samples[BARE])))


def _cpu(samples: list[Sample]) -> Iterator[float]:
    return (sample.cpu_each for sample in samples)
