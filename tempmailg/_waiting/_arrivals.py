"""When mail comes: a law learned from the waits of a client, and the polls that it makes worth their price.

The theory. A message that comes x seconds after its wait began is found by the next poll, so a gap of g seconds around
x delays it by g / 2 on average. Where a message that has not come yet comes with a hazard of h(x) a second, the best
gap is ``sqrt(2 * price / h(x))``, if a poll is worth `price` seconds of delay. So polls have a density, K * sqrt(h(x))
a second, and N(x), its integral from 0 to x, counts them: a poll is due whenever N has grown by one. Where polls have
to be rarer, N has to grow by more than one: by the stretch.

The hazard is estimated as in any study of survival, by bins of x: arrivals, divided by the seconds that waits spent in
the bin. Few waits say little, so a prior counts as if it had been seen in a number of waits: a log-normal law whose
median and spread follow the arrivals that were seen.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import Final

from attrs import frozen

from tempmailg._waiting._learned import as_mapping, as_numbers

__all__ = ["Arrivals", "WaitCost"]

MEDIAN: Final = 6.0  # seconds until mail comes, as long as nothing is known
SIGMA: Final = math.log(40.0 / MEDIAN) / 1.6449  # so that 95 % come within 40 s
NEVER: Final = 0.1  # the share of mail that never comes

POLLS: Final = 3.0
"""Polls a second at a hazard of one a second: the price of a poll is 0.056 seconds of mean delay."""

FIRST: Final = 1.2  # of a poll: how far N grows before the first one
LONGEST_GAP: Final = 60.0  # seconds: a mailbox that lives for days is still polled every minute
SHORTEST_GAP: Final = 2.0  # seconds, and the next: where no mail was ever seen, a gap lasts this long at least, but
GAP_SHARE: Final = 0.5  # not longer than this share of the time that the mailbox has been quiet: laws change
JITTER: Final = 0.1  # of the gap, up or down: watchers that began together drift apart

PRIOR_WAITS: Final = 30.0  # waits that the prior counts for
PRIOR_ARRIVALS: Final = 8.0  # arrivals that the prior's own median and spread count for
FORGET_BEYOND: Final = 400.0  # waits: twice as many count half each, so that a law that changes is learned again

INSTANT_PRIOR: Final = 4.0  # waits after which it is known whether mail tends to be there before its wait begins
INSTANT_SHARE: Final = 0.15  # of the waits: from here on a poll at once is worth its price

_KERNEL: Final = (1.0, 3.0, 4.0, 3.0, 1.0)  # bins smooth their neighbours: fifty arrivals are few for 25 bins


def _edges() -> tuple[float, ...]:
    edges = [0.0]
    step = 0.35
    while step < 600.0:
        edges.append(step)
        step *= 1.3
    return (*edges, 650.0)


EDGES: Final = _edges()  # seconds
_WIDTHS: Final = tuple(b - a for a, b in pairwise(EDGES))
_MIDDLES: Final = tuple((a + b) / 2 for a, b in pairwise(EDGES))
_BINS: Final = len(_WIDTHS)


@frozen
class WaitCost:
    """What a wait is likely to take.

    Args:
        requests: Polls, on average.
        delay: Seconds between a message's arrival and the poll that finds it, on average.
    """

    requests: float
    delay: float


class Arrivals:
    """The law of a client's arrivals; see the theory above. Times are seconds since a wait began."""

    __slots__ = ("_curve", "_exposure", "_hazards", "_instant", "_seen", "_waits")

    def __init__(self) -> None:
        self._seen = [0.0] * _BINS
        self._exposure = [0.0] * _BINS
        self._waits = 0.0
        self._instant = 0.0
        self._hazards: list[float] | None = None
        self._curve: tuple[list[float], list[float]] | None = None  # the density of each bin, N at each edge

    # -- learning ---------------------------------------------------------------------------------------------------

    def record(self, waited: float, *, arrived: bool, instant: bool = False) -> None:
        """Learn from one wait.

        Args:
            waited: Seconds until the message arrived, or until the wait gave up.
            arrived: Whether it did arrive.
            instant: Whether it seems to have been there when the wait began.
        """
        self._waits += 1
        self._instant += instant
        for index in range(_BINS):
            if waited <= EDGES[index]:
                break
            self._exposure[index] += min(waited, EDGES[index + 1]) - EDGES[index]
        if arrived and 0 < waited < EDGES[-1]:
            self._seen[bisect_right(EDGES, waited) - 1] += 1
        if self._waits > 2 * FORGET_BEYOND:
            self._forget_half()
        self._hazards = self._curve = None

    def _forget_half(self) -> None:
        self._waits, self._instant = self._waits / 2, self._instant / 2
        self._seen = [seen / 2 for seen in self._seen]
        self._exposure = [seconds / 2 for seconds in self._exposure]

    def as_state(self) -> dict[str, object]:
        """Return what was learned, ready for JSON."""
        return {"seen": self._seen, "exposure": self._exposure, "waits": self._waits, "instant": self._instant}

    def restore(self, state: object) -> None:
        """Go on from what `as_state` returned; anything else is ignored, since it is no more than experience."""
        found = as_mapping(state)
        seen, exposure = as_numbers(found.get("seen"), _BINS), as_numbers(found.get("exposure"), _BINS)
        counts = as_numbers([found.get("waits"), found.get("instant")], 2)
        if seen is None or exposure is None or counts is None:
            return
        self._seen, self._exposure, (self._waits, self._instant) = seen, exposure, counts
        self._hazards = self._curve = None

    @property
    def waits(self) -> float:
        """How many waits it has learned from."""
        return self._waits

    # -- polls ------------------------------------------------------------------------------------------------------

    def first(self, stretch: float) -> float:
        """Return when the first poll of a mailbox is due that was empty at 0; at once if mail tends to be there."""
        if (self._instant + 0.02 * INSTANT_PRIOR) / (self._waits + INSTANT_PRIOR) > INSTANT_SHARE:
            return 0.0
        return self._time_of(FIRST * stretch)

    def next(self, time: float, stretch: float, chance: float) -> float:
        """Return when the poll after one at `time` is due.

        Args:
            time: Seconds since the mailbox's last sign of life, at the last poll.
            stretch: How many polls' worth of gap to leave, 1 where the quota is rich.
            chance: A random number of [0, 1).
        """
        step = (FIRST if time <= 0 else 1.0) * stretch * (1.0 + JITTER * (2.0 * chance - 1.0))
        return self._time_of(self.polls_until(max(0.0, time)) + step)

    def polls_until(self, time: float) -> float:
        """Return N: how many polls are worth their price until `time`, without any stretch."""
        densities, counts = self._drawn()
        if time >= EDGES[-1]:
            return counts[-1] + (time - EDGES[-1]) / LONGEST_GAP
        index = bisect_right(EDGES, time) - 1
        return counts[index] + (time - EDGES[index]) * densities[index]

    def _time_of(self, polls: float) -> float:
        densities, counts = self._drawn()
        if polls >= counts[-1]:
            return EDGES[-1] + (polls - counts[-1]) * LONGEST_GAP
        index = bisect_right(counts, polls) - 1
        return EDGES[index] + (polls - counts[index]) / densities[index]

    # -- what a wait costs ------------------------------------------------------------------------------------------

    def shares(self, timeout: float) -> tuple[float, float]:
        """Return the parts of a wait's polls, on average: those that no stretch spares, those that it divides."""
        hazards, (densities, _) = self._estimated(), self._drawn()
        waiting, polls = 1.0, 0.0
        for index in range(_BINS):
            if EDGES[index] >= timeout:
                break
            width = min(timeout, EDGES[index + 1]) - EDGES[index]
            polls += waiting * densities[index] * width
            waiting *= math.exp(-hazards[index] * width)
        return 0.3 + 0.5 * waiting, polls

    def cost(self, timeout: float, stretch: float) -> WaitCost:
        """Return what a wait takes that gives up after `timeout` seconds."""
        time, before, waiting, requests, delay = self._time_of(FIRST * stretch), 0.0, 1.0, 0.0, 0.0
        while before < timeout:
            time = min(time, timeout)
            arriving = waiting * (1.0 - math.exp(-self._risk(before, time)))
            requests += waiting
            delay += arriving * (time - before) / 2
            waiting -= arriving
            before, time = time, self.next(time, stretch, 0.5)
        return WaitCost(requests, delay / max(1e-9, 1.0 - waiting))

    def _risk(self, start: float, end: float) -> float:
        """Return the hazard between two times, summed up."""
        hazards, risk = self._estimated(), 0.0
        for index in range(max(0, bisect_right(EDGES, start) - 1), _BINS):
            if EDGES[index] >= end:
                break
            risk += hazards[index] * max(0.0, min(end, EDGES[index + 1]) - max(start, EDGES[index]))
        return risk

    # -- the estimate -----------------------------------------------------------------------------------------------

    def _drawn(self) -> tuple[list[float], list[float]]:
        """Return the density of polls in each bin, and N at each edge."""
        if self._curve is None:
            densities = [
                max(POLLS * math.sqrt(hazard), 1.0 / min(LONGEST_GAP, max(SHORTEST_GAP, GAP_SHARE * middle)))
                for hazard, middle in zip(self._estimated(), _MIDDLES, strict=True)
            ]
            counts = [0.0]
            for density, width in zip(densities, _WIDTHS, strict=True):
                counts.append(counts[-1] + density * width)
            self._curve = densities, counts
        return self._curve

    def _estimated(self) -> list[float]:
        if self._hazards is None:
            arriving, waiting = _prior(*self._centre())
            seen, exposure = _smoothed(self._seen), _smoothed(self._exposure)
            self._hazards = [
                (seen[index] + PRIOR_WAITS * arriving[index]) / (exposure[index] + PRIOR_WAITS * waiting[index])
                for index in range(_BINS)
            ]
        return self._hazards

    def _centre(self) -> tuple[float, float]:
        """Return the logarithm of the prior's median and its spread, moved towards what was seen."""
        count = PRIOR_ARRIVALS + sum(self._seen)
        logs = [math.log(middle) for middle in _MIDDLES]
        start = math.log(MEDIAN)
        centre = (PRIOR_ARRIVALS * start + sum(map(_product, self._seen, logs))) / count
        spread = PRIOR_ARRIVALS * (SIGMA**2 + (centre - start) ** 2)
        spread += sum(seen * (log - centre) ** 2 for seen, log in zip(self._seen, logs, strict=True))
        return centre, math.sqrt(spread / count)


def _prior(centre: float, spread: float) -> tuple[list[float], list[float]]:
    """Return by bins the share of mail that comes in each, and the seconds that a wait spends in each on average."""
    cumulated = [_distribution(edge, centre, spread) for edge in EDGES]
    middle = [_distribution(time, centre, spread) for time in _MIDDLES]
    arriving = [(1 - NEVER) * (b - a) for a, b in pairwise(cumulated)]
    waiting = [
        width * (1 - (1 - NEVER) * (a + 4 * m + b) / 6)
        for width, a, m, b in zip(_WIDTHS, cumulated, middle, cumulated[1:], strict=False)
    ]
    return arriving, waiting


def _distribution(time: float, centre: float, spread: float) -> float:
    return 0.0 if time <= 0 else 0.5 * math.erfc((centre - math.log(time)) / (spread * math.sqrt(2)))


def _smoothed(values: list[float]) -> list[float]:
    half, total = len(_KERNEL) // 2, sum(_KERNEL)
    return [
        sum(
            weight * values[min(_BINS - 1, max(0, index + shift))]
            for shift, weight in zip(range(-half, half + 1), _KERNEL, strict=True)
        )
        / total
        for index in range(_BINS)
    ]


def _product(a: float, b: float) -> float:
    return a * b
