"""What the values of options may be, beyond what click knows."""

from __future__ import annotations

import math
import re
from typing import Final

import click

__all__ = ["DURATION", "Duration", "parse_duration"]

_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_NUMBER: Final = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>{_NUMBER}){unit})?" for unit in _UNITS), re.IGNORECASE)


def parse_duration(text: str) -> float:
    """Return a duration in seconds.

    Args:
        text: Seconds (``90`` or ``0.5``), or numbers with units from the largest to the smallest: ``90s``, ``2m``,
            ``1h30m``.

    Raises:
        ValueError: It is no duration, or none above zero.
    """
    text = text.strip()
    seconds = float(text) if re.fullmatch(_NUMBER, text) else _with_units(text)
    if not 0 < seconds < math.inf:
        raise ValueError(text)
    return seconds


def _with_units(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return sum(float(number) * _UNITS[unit] for unit, number in found.groupdict().items() if number)


class Duration(click.ParamType):  # type: ignore[type-arg] # pyright: ignore[reportMissingTypeArgument] - generic only in newer releases of click
    """A duration above zero, in seconds or with units."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See `click.ParamType.convert`."""
        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except ValueError:
            self.fail(f"{str(value)!r} is no duration above zero: give seconds, or 90s, 2m, 1h30m", param, ctx)


DURATION: Final = Duration()
