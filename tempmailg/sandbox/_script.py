"""A script of faults: what happens to whom, how often, and what happens by chance."""

from __future__ import annotations

import random
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import define, fields, frozen

from tempmailg._errors import ConfigurationError
from tempmailg.sandbox._checks import FieldError, is_count, is_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["FaultScript", "fault_from"]

PlaceT = TypeVar("PlaceT", bound=str)
FaultT = TypeVar("FaultT")


def fault_from(value: Mapping[str, Any], kinds: Mapping[str, type[FaultT]]) -> FaultT:
    """Make the fault that ``{"kind": …}`` and its fields describe.

    Args:
        value: The description.
        kinds: The classes of faults by their kinds.

    Raises:
        FieldError: There is no such kind, or a field is wrong or unknown.
    """
    arguments = dict(value)
    name = arguments.pop("kind", "")
    kind: Any = kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        raise FieldError("kind", f"must be one of {', '.join(sorted(kinds))}")
    known = [attribute.name for attribute in fields(kind)]
    for unknown in sorted(arguments.keys() - set(known)):
        raise FieldError(unknown, f"is unknown (a fault of kind {name} takes: {', '.join(known) or 'nothing'})")
    arguments = {field: _whole(value) for field, value in arguments.items()}
    return kind(**arguments)  # type: ignore[no-any-return] # a class known at run time


def _whole(value: object) -> object:
    """Return a number with a fraction of zero as a whole one, which it is in JSON Schema."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


@define
class _Line(Generic[PlaceT, FaultT]):
    """One line of the script."""

    place: PlaceT | None
    fault: FaultT
    times: int


@frozen
class _Chance(Generic[PlaceT, FaultT]):
    """What happens where nothing is scripted."""

    random: random.Random
    rate: float
    faults: tuple[FaultT, ...]
    places: frozenset[PlaceT] | None


class FaultScript(Generic[PlaceT, FaultT]):
    """The faults that are still to happen; all methods may be called from any thread.

    Args:
        places: Where faults can happen.
        noun: What a place is called in messages.
    """

    def __init__(self, places: Sequence[PlaceT], noun: str) -> None:
        self._places, self._noun = places, noun
        self._lock = threading.Lock()
        self._script: deque[_Line[PlaceT, FaultT]] = deque()
        self._chance: _Chance[PlaceT, FaultT] | None = None

    def __len__(self) -> int:
        """Return how many scripted faults are still to happen."""
        return sum(line.times for line in self._script)

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._script.clear()
            self._chance = None

    def pending(self) -> list[tuple[PlaceT | None, FaultT, int]]:
        """Return the scripted faults that are still to happen: where, which fault, how many times."""
        with self._lock:
            return [(line.place, line.fault, line.times) for line in self._script]

    def take(self, place: PlaceT) -> FaultT | None:
        """Return the fault that happens here now, and cross it out."""
        if not self._script and self._chance is None:
            return None
        with self._lock:
            scripted = self._take_scripted(place)
            return self._take_random(place) if scripted is None else scripted

    def _add(self, place: PlaceT | None, faults: Iterable[FaultT], times: int) -> None:
        self._check_place(place)
        if not is_count(times, 1):
            raise ConfigurationError(f"times must be at least 1, not {times!r}")
        with self._lock:
            self._script.extend(_Line(place, fault, times) for fault in faults)

    def _set_chance(self, rate: float, faults: Sequence[FaultT], seed: int, places: Iterable[PlaceT] | None) -> None:
        chosen = None if places is None else frozenset(places)
        for place in chosen or ():
            self._check_place(place)
        if not is_number(rate, 0, 1):
            raise ConfigurationError(f"rate must be between 0 and 1, not {rate!r}")
        chance = random.Random(seed)  # noqa: S311 - chance for tests, not for secrets
        with self._lock:
            self._chance = _Chance(chance, rate, tuple(faults), chosen) if rate and faults else None

    def _check_place(self, place: str | None) -> None:
        if place is not None and place not in self._places:
            raise ConfigurationError(f"{self._noun} must be one of {', '.join(self._places)}, or None, not {place!r}")

    def _take_scripted(self, place: PlaceT) -> FaultT | None:
        for line in self._script:
            if line.place in (None, place):
                line.times -= 1
                if not line.times:
                    self._script.remove(line)
                return line.fault
        return None

    def _take_random(self, place: PlaceT) -> FaultT | None:
        chance = self._chance
        if chance is None or (chance.places is not None and place not in chance.places):
            return None
        return chance.random.choice(chance.faults) if chance.random.random() < chance.rate else None
