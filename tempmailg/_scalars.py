"""Single values on the wire, in all spellings that the API's reference allows.

Each reader takes the raw value and, since cattrs calls it, the wanted type, which is not used.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Any, Final

from tempmailg._body import clean

__all__ = [
    "MismatchError",
    "expected",
    "flag",
    "integer",
    "moment",
    "optional_integer",
    "optional_moment",
    "optional_seconds",
    "required_text",
    "secret",
    "text",
]

_INTEGER = re.compile(r"([+-]?[0-9]{1,19})(?:\.0*)?", re.ASCII)
_LEAST_INTEGER: Final = -(2**63)
_GREATEST_INTEGER: Final = 2**63 - 1
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off", ""})


class MismatchError(ValueError):
    """A value on the wire is not what the reference allows there."""


def expected(what: str, value: object) -> str:
    """Return what is wrong with a value, in words."""
    return f"expected {what}, got {_described(value)}"


def _described(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    short = clean(value)[:60] if isinstance(value, str) else str(value)[:60]
    return json.dumps(short, ensure_ascii=False) if isinstance(value, str) else short.lower()


def text(value: Any, _type: Any = None) -> str:  # noqa: ANN401 - cattrs' signature of a hook
    """Read text; null is empty. A whole number is its decimal text: PHP's numeric check makes numbers of such texts."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if type(value) is int:  # the type itself: True is no number
        return str(value)
    raise MismatchError(expected("text", value))


def required_text(value: Any, _type: Any = None) -> str:  # noqa: ANN401 - cattrs' signature of a hook
    """Read text that must not be empty."""
    if found := text(value):
        return found
    raise MismatchError(expected("text", value))


def secret(value: Any, _type: Any = None) -> str:  # noqa: ANN401 - cattrs' signature of a hook
    """Read text that no error may show."""
    try:
        return text(value)
    except MismatchError:
        raise MismatchError("expected text") from None  # and nothing of what it got


def flag(value: Any, _type: Any = None) -> bool:  # noqa: ANN401 - cattrs' signature of a hook
    """Read true or false; null is false."""
    if isinstance(value, bool):
        return value
    spelled = "" if value is None else str(value).strip().lower() if isinstance(value, (str, int)) else None
    if spelled in _FALSE:
        return False
    if spelled in _TRUE:
        return True
    raise MismatchError(expected("true or false", value))


def integer(value: Any, _type: Any = None) -> int:  # noqa: ANN401 - cattrs' signature of a hook
    """Read a whole number; ``"91"``, ``91.0`` and ``"91.0"`` are such."""
    number = value
    if type(value) is int:
        pass
    elif isinstance(value, str) and (match := _INTEGER.fullmatch(value)):
        number = int(match[1])
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if type(number) is int and _LEAST_INTEGER <= number <= _GREATEST_INTEGER:  # the type itself: True is no number
        return number
    raise MismatchError(expected("a whole number", value))


def optional_integer(value: Any, _type: Any = None) -> int | None:  # noqa: ANN401 - cattrs' signature of a hook
    """Read a whole number or null."""
    return None if value is None else integer(value)


def optional_seconds(value: Any, _type: Any = None) -> int | None:  # noqa: ANN401 - cattrs' signature of a hook
    """Read a time span in seconds, or null; a part of a second is cut off."""
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = value
    if isinstance(number, float) and math.isfinite(number):
        number = math.floor(number)
    try:
        return optional_integer(number)
    except MismatchError:
        raise MismatchError(expected("a number of seconds", value)) from None


def moment(value: Any, _type: Any = None) -> datetime:  # noqa: ANN401 - cattrs' signature of a hook
    """Read ISO 8601; without an offset (`receivedAt`) it is UTC, an assumption of the reference."""
    try:
        if len(value) == len("2026-06-28 09:38:51"):  # no offset: the common case, and the quick one
            return datetime.fromisoformat(value + "+00:00")
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise MismatchError(expected("a date and time", value)) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def optional_moment(value: Any, _type: Any = None) -> datetime | None:  # noqa: ANN401 - cattrs' signature of a hook
    """Read a date and time, or null."""
    return None if value is None else moment(value)
