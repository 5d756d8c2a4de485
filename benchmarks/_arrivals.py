"""Waits in arithmetic: when mail arrives, when a schedule polls, what the message's delay and its price are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Final, TypeAlias

from tempmailg._waiting._schedule import poll_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["PATIENCE", "Cost", "arrivals", "cost_of", "schedules"]

Gap: TypeAlias = Callable[[float, int, float], float]
"""From the seconds since the wait began, the polls so far and a random number to the seconds until the next poll."""

PATIENCE: Final = 300.0
"""Seconds after which a wait gives up."""

_MEDIAN: Final = 6.0  # seconds until a message arrives
_SIGMA: Final = math.log(40.0 / _MEDIAN) / 1.6449  # so that the 95th percentile is 40 s


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

    def requests(self, never: float) -> float:
        """Return the requests of a wait, on average, if so large a share of messages never arrives."""
        return (1 - never) * self.found + never * self.never


def arrivals(count: int, seed: int = 1) -> list[float]:
    """Return after how many seconds messages arrive: log-normal, within the patience of a wait."""
    chance = Random(seed)
    times: list[float] = []
    while len(times) < count:
        time = chance.lognormvariate(math.log(_MEDIAN), _SIGMA)
        if time < PATIENCE:
            times.append(time)
    return times


def cost_of(gap: Gap, times: Sequence[float], *, seed: int = 2) -> Cost:
    """Return what a schedule costs for these arrivals, and for messages that never come."""
    chance = Random(seed)
    delays: list[float] = []
    requests: list[int] = []
    for time in times:
        for number, poll in enumerate(_polls(gap, chance), 1):
            if poll >= time:
                delays.append(poll - time)
                requests.append(number)
                break
    never = fmean(sum(1 for _ in _polls(gap, chance)) for _ in range(min(200, len(times))))
    return Cost(fmean(delays), sorted(delays)[int(0.95 * len(delays))], fmean(requests), never)


def _polls(gap: Gap, chance: Random) -> Iterator[float]:
    """Give the times at which a wait polls, the last one at its end."""
    time, number = 0.0, 0
    while time < PATIENCE:
        yield time
        number += 1
        time += gap(time, number, chance.random())
    yield PATIENCE


def schedules(times: Sequence[float]) -> Mapping[str, Gap]:
    """Return the schedules to compare by their names."""
    return {
        "tempmailg": lambda quiet, _number, chance: poll_interval(quiet, chance),
        "every 0.5 s": lambda _quiet, _number, _chance: 0.5,
        "every 1 s": lambda _quiet, _number, _chance: 1.0,
        "every 2 s": lambda _quiet, _number, _chance: 2.0,
        "every 5 s": lambda _quiet, _number, _chance: 5.0,
        "0.5 s, doubled up to 8 s": lambda _quiet, number, _chance: min(8.0, 0.5 * 2.0 ** (number - 1)),
        "best for a mean of 1 s": _best(times),
    }


def _best(times: Sequence[float]) -> Gap:
    """Return the schedule that needs the fewest requests for a mean delay of one second.

    It knows the law of the arrivals, which nobody does: its gaps go with the inverse root of their hazard.
    """

    def scaled(factor: float) -> Gap:
        return lambda quiet, _number, _chance: factor / math.sqrt(_hazard(quiet + 0.5))

    low, high = 0.05, 5.0
    for _ in range(18):
        middle = (low + high) / 2
        low, high = (middle, high) if cost_of(scaled(middle), times[:4_000]).delay < 1 else (low, middle)
    return scaled(low)


def _hazard(time: float) -> float:
    """Return how likely a message that has not come yet comes in the next second."""
    z = (math.log(time) - math.log(_MEDIAN)) / _SIGMA
    density = math.exp(-z * z / 2) / (time * _SIGMA * math.sqrt(2 * math.pi))
    return max(1e-6, density / max(1e-9, 0.5 * math.erfc(z / math.sqrt(2))))
