"""Waits in arithmetic: when mail arrives, when a schedule polls, what the message's delay and its price are."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Final, TypeAlias

from tempmailg._waiting._arrivals import MEDIAN, SIGMA, Arrivals

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NEVER", "PATIENCE", "Cost", "arrivals", "best_requests", "cost_of", "learned", "polls_of", "schedules"]

Schedule: TypeAlias = Callable[[Random], Sequence[float]]
"""Returns the times of a wait's polls, in seconds since it began."""

PATIENCE: Final = 300.0
"""Seconds after which a wait gives up."""

NEVER: Final = 0.1
"""The share of messages that never arrive, in what all waits cost."""


@dataclass(frozen=True)
class Cost:
    """What a schedule costs.

    Args:
        delay: Seconds between a message's arrival and the poll that finds it, on average.
        late: The 95th percentile of that.
        found: Requests of a wait whose message arrives, on average.
        never: Requests of a wait whose message never arrives.
    """

    delay: float
    late: float
    found: float
    never: float

    @property
    def requests(self) -> float:
        """Requests of a wait, on average over those that find their message and those that do not."""
        return (1 - NEVER) * self.found + NEVER * self.never


def arrivals(count: int, *, median: float = MEDIAN, seed: int = 1) -> list[float]:
    """Return after how many seconds messages arrive: log-normal, within the patience of a wait."""
    chance = Random(seed)
    times: list[float] = []
    while len(times) < count:
        time = chance.lognormvariate(math.log(median), SIGMA)
        if time < PATIENCE:
            times.append(time)
    return times


def cost_of(schedule: Schedule, times: Sequence[float], *, seed: int = 2) -> Cost:
    """Return what a schedule costs for these arrivals, and for messages that never come."""
    chance = Random(seed)
    delays: list[float] = []
    requests: list[int] = []
    polls: Sequence[float] = ()
    for number, time in enumerate(times):
        if number % 20 == 0:  # the jitter differs from wait to wait; drawing it is most of the work
            polls = schedule(chance)
        index = bisect_left(polls, time)
        delays.append(polls[index] - time)
        requests.append(index + 1)
    never = fmean(len(schedule(chance)) for _ in range(50))
    return Cost(fmean(delays), sorted(delays)[int(0.95 * len(delays))], fmean(requests), never)


def schedules() -> Mapping[str, Schedule]:
    """Return the schedules to compare by their names."""
    return {
        "tempmailg": polls_of(Arrivals(), 1.0),
        "tempmailg, fast": polls_of(Arrivals(), 0.5),
        "tempmailg, thrifty": polls_of(Arrivals(), 2.5),
        "every 0.5 s": _every(0.5),
        "every 1 s": _every(1.0),
        "every 2 s": _every(2.0),
        "every 5 s": _every(5.0),
        "0.5 s, doubled up to 8 s": lambda _chance: [*_doubled(), PATIENCE],
    }


def polls_of(law: Arrivals, stretch: float) -> Schedule:
    """Return the schedule of the client, for a mailbox that it has just made."""

    def schedule(chance: Random) -> list[float]:
        polls: list[float] = []
        time = law.first(stretch)
        while time < PATIENCE:
            polls.append(time)
            time = law.next(time, stretch, chance.random())
        return [*polls, PATIENCE]

    return schedule


def _every(gap: float) -> Schedule:
    return lambda _chance: [number * gap for number in range(int(PATIENCE / gap))] + [PATIENCE]


def _doubled() -> list[float]:
    times, gap = [0.0], 0.5
    while times[-1] + gap < PATIENCE:
        times.append(times[-1] + gap)
        gap = min(8.0, 2 * gap)
    return times


# ---------------------------------------------------------------------------------------------------------- learning


def learned(median: float, count: int, seed: int) -> Arrivals:
    """Return the law that a client has learned from so many arrivals, and from the waits in vain between them."""
    law, chance = Arrivals(), Random(seed)
    for time in arrivals(count, median=median, seed=seed):
        while chance.random() < NEVER:
            law.record(PATIENCE, arrived=False)
        law.record(time, arrived=True)
    return law


# ---------------------------------------------------------------------------------------------------- the best there is


def best_requests(times: Sequence[float], delay: float) -> float:
    """Return the fewest requests for a mean delay, of all schedules, for whoever knows the law of the arrivals.

    A dynamic programme over the times of the polls: what a schedule costs is its requests at a price, plus the delay.
    """
    low, high = 0.001, 10.0
    for _ in range(16):
        price = math.sqrt(low * high)
        cost = cost_of(_constant(_best(times, price)), times)
        low, high = (price, high) if cost.delay < delay else (low, price)
    return cost_of(_constant(_best(times, low)), times).requests


def _constant(polls: Sequence[float]) -> Schedule:
    return lambda _chance: polls


def _best(times: Sequence[float], price: float) -> list[float]:
    grid = _grid()
    arrived, weight = _cumulated(times, grid)
    last = len(grid) - 1
    costs, following = [0.0] * len(grid), [last] * len(grid)
    for index in range(last - 1, -1, -1):
        costs[index] = math.inf
        for later in range(index + 1, last + 1):
            if grid[later] - grid[index] > max(8.0, grid[index]) and later != last:
                continue
            coming = arrived[later] - arrived[index]
            cost = price * (1 - arrived[index]) + coming * grid[later] - (weight[later] - weight[index]) + costs[later]
            if cost < costs[index]:
                costs[index], following[index] = cost, later
    polls: list[float] = []
    index = 0
    while index != last:
        index = following[index]
        polls.append(grid[index])
    return polls


def _grid() -> list[float]:
    times = [0.0, 0.3]
    while times[-1] < PATIENCE:
        times.append(times[-1] + max(0.12, 0.02 * times[-1]))
    return [*times[:-1], PATIENCE]


def _cumulated(times: Sequence[float], grid: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return for each time of the grid the share of all waits that are over by then, and the sum of their times."""
    ordered = sorted(times)
    share = (1 - NEVER) / len(ordered)
    sums = [0.0]
    for time in ordered:
        sums.append(sums[-1] + time * share)
    counts = [bisect_left(ordered, time) for time in grid]
    assert all(a <= b for a, b in pairwise(counts))
    return [count * share for count in counts], [sums[count] for count in counts]
