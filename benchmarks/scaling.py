"""One client and ever more mailboxes: does a list cost the same for one as for ten thousand?"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Final

from benchmarks._harness import Goal, Measure, Row, Sample, Spread, interleaved, ratio
from benchmarks._mail import PREFIXES
from benchmarks._server import running_server
from benchmarks._worker import Worker

__all__ = ["measures"]

MAILBOXES: Final = (1, 10, 100, 1_000, 10_000)
LISTS: Final = 1_000  # in each round, at least
ROUNDS: Final = 5
CLIENT: Final = "tempmailg"
BARE: Final = "aiohttp + json"


def measures(*, short: bool) -> list[Measure]:
    """Measure lists of 1 to 10,000 mailboxes at once."""
    numbers = MAILBOXES[:2] if short else MAILBOXES
    with running_server() as origin, ExitStack() as processes:
        rounds = {
            f"{name}, {number:,}": partial(
                processes.enter_context(Worker(name, origin + PREFIXES[1], concurrency=number)).run,
                number if short else max(number, LISTS),
            )
            for number in numbers
            for name in (CLIENT, BARE)
        }
        for run in rounds.values():
            run()  # opens the connections
        samples = interleaved(rounds, 1 if short else ROUNDS)
    rows = [_row(number, numbers[-2], samples) for number in numbers]
    goals = [
        Goal(
            f"CPU per poll, {number:,} / {numbers[-2]:,} mailboxes at once",
            1.15 if number > numbers[-2] else 1.2,
            _compared(samples, CLIENT, number, numbers[-2]),
        )
        for number in numbers
        if number != numbers[-2]
    ]
    return [Measure("Polls of many mailboxes at once", rows, goals, BARE)]


def _row(number: int, usual: int, samples: dict[str, list[Sample]]) -> Row:
    """Return what a poll costs, and how that compares with the usual number of mailboxes, for both clients."""
    mine, bare = ([sample.cpu_each for sample in samples[f"{name}, {number:,}"]] for name in (CLIENT, BARE))
    figures = {
        "CPU µs/poll": median(mine) * 1e6,
        "bare aiohttp": median(bare) * 1e6,
        f"x {usual:,} mailboxes": _compared(samples, CLIENT, number, usual).median,
        f"bare aiohttp, x {usual:,} mailboxes": _compared(samples, BARE, number, usual).median,
    }
    return Row(f"{number:,} mailbox{'es' if number > 1 else ''}", figures, ratio(mine, bare))


def _compared(samples: dict[str, list[Sample]], name: str, number: int, other: int) -> Spread:
    return ratio(
        (sample.cpu_each for sample in samples[f"{name}, {number:,}"]),
        (sample.cpu_each for sample in samples[f"{name}, {other:,}"]),
    )
