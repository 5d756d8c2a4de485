"""What the values of options may be, beyond what click knows."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ACCOUNT",
    "COUNT",
    "DOMAIN",
    "DURATION",
    "MOMENT",
    "PORT",
    "SIZE",
    "TIMEOUT",
    "parse_duration",
    "parse_size",
]

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


def _timeout(text: str) -> float:
    return 0.0 if re.fullmatch(r"\s*0+(?:\.0*)?[smhd]?\s*", text) else parse_duration(text)


def _with_units(text: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return sum(float(number) * _UNITS[unit] for unit, number in found.groupdict().items() if number)


_SIZES: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_SIZE = re.compile(r"([0-9]{1,15}) ?([kmg]?)(?:i?b)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return a number of bytes.

    Args:
        text: Bytes, or a number with K, M or G, each 1,024 times the one before: ``80M``.

    Raises:
        ValueError: It is no size.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    return int(found[1]) * _SIZES[found[2].lower()]


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _port(text: str) -> int:
    port = _count(text)
    if port > 65_535:
        raise ValueError(text)
    return port


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


def _domain(text: str) -> tuple[str, str]:
    name, _, plan = text.partition(":")
    return _named(name), _plan(plan)


def _account(text: str) -> tuple[str, str] | tuple[str, str, int]:
    key, _, rest = text.partition(":")
    plan, colon, quota = rest.partition(":")
    return (_named(key), _plan(plan), _count(quota)) if colon else (_named(key), _plan(plan))


def _named(name: str) -> str:
    if not name:
        raise ValueError(name)
    return name


def _plan(plan: str) -> str:
    if plan not in ("", "free", "premium"):
        raise ValueError(plan)
    return plan or "free"


class _Parsed(click.ParamType):  # type: ignore[type-arg] # pyright: ignore[reportMissingTypeArgument] - generic only in newer releases of click
    """A value that a function parses.

    Args:
        name: What it is, for click.
        parse: Returns the value of a text, or raises ValueError.
        expected: What an error says of a text that it refuses, behind that text.
    """

    def __init__(self, name: str, parse: Callable[[str], object], expected: str) -> None:
        self.name = name
        self._parse = parse
        self._expected = expected

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """See `click.ParamType.convert`."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError:
            self.fail(f"{value!r} {self._expected}", param, ctx)


PORT: Final = _Parsed("port", _port, "is no port: give a number up to 65535, or 0 for a free one")
COUNT: Final = _Parsed("count", _count, "is no whole number of at least 0")
DURATION: Final = _Parsed("duration", parse_duration, "is no duration above zero: give seconds, or 90s, 2m, 1h30m")
TIMEOUT: Final = _Parsed("duration", _timeout, "is no duration: give seconds, or 90s, 2m, 1h30m")
SIZE: Final = _Parsed("size", parse_size, "is no size: give bytes, or 500K, 80M, 1G")
MOMENT: Final = _Parsed("time", _moment, "is no time with an offset, such as 2026-07-01T12:00:00Z")
DOMAIN: Final = _Parsed("domain", _domain, "is no domain like 'mail.test' or 'mail.test:premium'")
ACCOUNT: Final = _Parsed("account", _account, "is no account like 'KEY', 'KEY:premium' or 'KEY:premium:100'")
