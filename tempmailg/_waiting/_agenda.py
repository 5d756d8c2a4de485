"""Which thing is due at which time."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Agenda"]

K = TypeVar("K")


class Agenda(Generic[K]):
    """A priority queue by time. Each thing is in it once and may be moved; among equal times the oldest entry wins."""

    __slots__ = ("_heap", "_order", "_times")

    def __init__(self) -> None:
        self._times: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []  # may hold entries that have been moved or dropped since
        self._order = itertools.count()

    def set(self, thing: K, at: float) -> None:
        """Add a thing, or move it to another time."""
        order = next(self._order)
        self._times[thing] = (at, order)
        heapq.heappush(self._heap, (at, order, thing))
        if len(self._heap) > 2 * len(self._times) + 64:
            self._heap = [(at, order, thing) for thing, (at, order) in self._times.items()]
            heapq.heapify(self._heap)

    def drop(self, thing: K) -> None:
        """Remove a thing, if it is there."""
        self._times.pop(thing, None)

    def time_of(self, thing: K) -> float | None:
        """Return when a thing is due, or None if it is not there."""
        entry = self._times.get(thing)
        return None if entry is None else entry[0]

    def __len__(self) -> int:
        return len(self._times)

    def __contains__(self, thing: K) -> bool:
        return thing in self._times

    def items(self) -> Iterator[tuple[K, float]]:
        """Return the things with their times, in no order."""
        return ((thing, at) for thing, (at, _) in self._times.items())

    def first(self) -> float | None:
        """Return the earliest time, or None if there is nothing."""
        while self._heap:
            at, order, thing = self._heap[0]
            if self._times.get(thing) == (at, order):
                return at
            heapq.heappop(self._heap)
        return None

    def take(self, now: float) -> K | None:
        """Remove and return the earliest thing if it is due, else return None."""
        at = self.first()
        if at is None or at > now:
            return None
        thing = heapq.heappop(self._heap)[2]
        del self._times[thing]
        return thing
