"""Listing a mailbox (`GET /messages`): what a call costs beside what people would write instead."""

from __future__ import annotations

import json
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks._contestants import ASYNC, BLOCKING
from benchmarks._harness import Goal, Measure, Row, interleaved, ratio
from benchmarks._mail import PREFIXES
from benchmarks._server import running_server
from benchmarks._worker import Worker, why_not

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks._harness import Sample, Spread

__all__ = ["measures"]

CONCURRENCY: Final = 32
THREADS: Final = 8
ROUND_SECONDS: Final = 0.15  # of the clock, for each contestant in each round
ROUNDS: Final = 45

BARE: Final = "aiohttp + json"
BY_HAND: Final = "aiohttp + json + dataclasses"


def measures(*, short: bool) -> list[Measure]:
    """Measure one message and fifty at once, and the blocking clients: one call after the other, and in threads."""
    rounds = 2 if short else ROUNDS
    with running_server() as origin:
        return [
            _one_message(origin, rounds),
            _fifty_messages(origin, rounds),
            _blocking(origin, rounds, threads=1),
            _blocking(origin, rounds, threads=THREADS),
        ]


def _one_message(origin: str, rounds: int) -> Measure:
    samples, notes = _samples(origin, ASYNC, messages=1, concurrency=CONCURRENCY, rounds=rounds)
    goals = _cpu_goals(samples, 1, BARE, {"tempmailg": 1.08, "tempmailg[fast]": 1.0})
    if "httpx + pydantic" in samples:
        speed = _speed(samples, "tempmailg", "httpx + pydantic")
        goals.append(Goal("calls per second, 1 message, tempmailg / httpx + pydantic", 8, speed, at_most=False))
    title = f"list_messages, 1 message of 2 KB, {CONCURRENCY} calls at once"
    return Measure(title, _rows(samples, BARE), goals, BARE, notes)


def _fifty_messages(origin: str, rounds: int) -> Measure:
    samples, notes = _samples(origin, ASYNC, messages=50, concurrency=CONCURRENCY, rounds=rounds)
    goals = [
        *_cpu_goals(samples, 50, BARE, {"tempmailg": 1.35, "tempmailg[fast]": 1.15}),
        *_cpu_goals(samples, 50, BY_HAND, {"tempmailg": 1.0, "tempmailg[fast]": 0.9}),
    ]
    title = f"list_messages, 50 messages of 2 KB, {CONCURRENCY} calls at once"
    return Measure(title, _rows(samples, BARE), goals, BARE, notes)


def _cpu_goals(
    samples: Mapping[str, Sequence[Sample]], messages: int, other: str, limits: Mapping[str, float]
) -> list[Goal]:
    many = f"{messages} message{'s' if messages > 1 else ''}"
    return [
        Goal(f"CPU of {many}, {mine} / {other}", limit, _cpu(samples, mine, other))
        for mine, limit in limits.items()
        if mine in samples
    ]


def _blocking(origin: str, rounds: int, *, threads: int) -> Measure:
    samples, notes = _samples(origin, BLOCKING, messages=1, concurrency=threads, rounds=rounds, threads=True)
    how = "one call after the other" if threads == 1 else f"{threads} threads"
    limits = {"requests + dataclasses": 2.0, "urllib3 + dataclasses": 1.0}
    goals = [
        Goal(f"calls per second, {how}, {mine} / {other}", limit, _speed(samples, mine, other), at_most=False)
        for other, limit in limits.items()
        for mine in ("tempmailg", "tempmailg[fast]")
        if {mine, other} <= samples.keys()
    ]
    title = f"list_messages, 1 message of 2 KB, blocking, {how}"
    return Measure(title, _rows(samples, "tempmailg"), goals, "tempmailg", notes)


def _samples(
    origin: str, names: Sequence[str], *, messages: int, concurrency: int, rounds: int, threads: bool = False
) -> tuple[dict[str, list[Sample]], list[str]]:
    """Return what the contestants took in each round, and why some did not take part."""
    absent = {name: reason for name in names if (reason := why_not(name))}
    present = [name for name in names if name not in absent]
    with ExitStack() as processes:
        workers = {
            name: processes.enter_context(
                Worker(name, origin + PREFIXES[messages], concurrency=concurrency, threads=threads)
            )
            for name in present
        }
        _check_that_all_read_the_same(workers)
        seconds = 0.001 if rounds < ROUNDS else ROUND_SECONDS
        rounds_of = {name: worker.round_of(seconds) for name, worker in workers.items()}
        samples = interleaved(rounds_of, rounds)
    return samples, [f"{name} did not take part: {reason}" for name, reason in absent.items()]


def _check_that_all_read_the_same(workers: Mapping[str, Worker]) -> None:
    read = {json.dumps(worker.fields, sort_keys=True) for worker in workers.values() if worker.fields is not None}
    if len(read) > 1:
        raise RuntimeError("the contestants do not read the same messages, so their times cannot be compared")


def _rows(samples: Mapping[str, Sequence[Sample]], baseline: str) -> list[Row]:
    return [
        Row(
            name,
            {
                "CPU µs/call": median(sample.cpu_each for sample in rounds) * 1e6,
                "clock µs/call": median(sample.wall_each for sample in rounds) * 1e6,
                "calls/s": 1 / median(sample.wall_each for sample in rounds),
            },
            _cpu(samples, name, baseline),
        )
        for name, rounds in samples.items()
    ]


def _cpu(samples: Mapping[str, Sequence[Sample]], name: str, baseline: str) -> Spread:
    return ratio((sample.cpu_each for sample in samples[name]), (sample.cpu_each for sample in samples[baseline]))


def _speed(samples: Mapping[str, Sequence[Sample]], name: str, baseline: str) -> Spread:
    return ratio((sample.wall_each for sample in samples[baseline]), (sample.wall_each for sample in samples[name]))
