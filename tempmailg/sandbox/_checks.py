"""What the sandbox accepts as text, numbers, times and headers, whether Python or JSON brings it. Pure.

What is stored is delivered later, to somebody else, so that it is refused here, where the mistake is made.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from tempmailg._errors import ConfigurationError

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = [
    "EARLIEST",
    "LATEST",
    "LONGEST",
    "MOST",
    "FieldError",
    "check_address",
    "check_key",
    "check_moment",
    "check_text",
    "is_count",
    "is_domain",
    "is_headers",
    "is_number",
    "is_text",
    "must_be",
]

EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC).timestamp()
LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC).timestamp()  # leaves room for what ends later, within Python's dates
MOST: Final = 10**15  # of whatever is counted: a number that every JSON reader and header can carry
LONGEST: Final = 1e9  # seconds, 31 years: longer than any test waits, and short enough for the calendar

_SURROGATES: Final = re.compile("[\ud800-\udfff]")  # half characters: they have no UTF-8 form
_ADDRESS: Final = re.compile(r"[^\s\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+")
_LONGEST_DOMAIN: Final = 253  # characters (RFC 1035)
_LABEL: Final = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")  # one part of a domain
_KEY: Final = re.compile(r"[\x21-\x7e]{1,1000}")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile("[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection", "upgrade", "trailer"})


class FieldError(ConfigurationError):
    """A field of a value is wrong.

    Args:
        name: The field's name.
        complaint: What is wrong; the text goes on after the name.
        remark: What stands behind it for readers of Python.
    """

    def __init__(self, name: str, complaint: str, remark: str = "") -> None:
        super().__init__(f"{name} {complaint}{remark}")
        self.name = name
        self.complaint = complaint


def must_be(what: str, fits: Callable[[Any], bool]) -> Callable[[object, Attribute[Any], Any], None]:
    """Return an attrs validator that says what a field must be."""

    def check(_owner: object, attribute: Attribute[Any], value: Any) -> None:  # noqa: ANN401 - JSON can bring anything
        if not fits(value):
            raise FieldError(attribute.name, f"must be {what}", f", not {value!r}")

    return check


def is_text(value: object) -> bool:
    """Say whether a value is text that JSON in UTF-8 can carry."""
    return isinstance(value, str) and not _SURROGATES.search(value)


def is_domain(value: object) -> bool:
    """Say whether a value is the name of a domain, of any script."""
    if not isinstance(value, str) or len(value) > _LONGEST_DOMAIN:
        return False
    return all(_LABEL.fullmatch(label) for label in value.split("."))


def is_number(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    """Say whether a value is a finite number of a range; booleans are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return least <= value <= most and abs(value) < math.inf


def is_count(value: object, least: int = 0) -> bool:
    """Say whether a value is a whole number of at least `least`, and of at most 10**15; booleans are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MOST


def is_headers(value: object, *, removable: bool = False) -> bool:
    """Say whether a value is headers that an answer can carry; those that frame its body are the sandbox's own.

    Args:
        value: The headers by their names.
        removable: Whether None, which removes a header, may stand for a value.
    """
    if not isinstance(value, Mapping):
        return False
    headers = cast("Mapping[object, object]", value)
    texts = [text for text in headers.values() if not (removable and text is None)]
    return all(map(_is_header_name, headers)) and all(map(_is_header_value, texts))


def _is_header_name(name: object) -> bool:
    return isinstance(name, str) and bool(_HEADER_NAME.fullmatch(name)) and name.lower() not in _FRAMING


def _is_header_value(value: object) -> bool:
    return isinstance(value, str) and bool(_HEADER_VALUE.fullmatch(value))


def check_text(what: str, value: object) -> str:
    """Return text, or refuse it."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{what} must be text, not {type(value).__name__}")
    if not is_text(value):
        raise ConfigurationError(f"{what} holds half a character (a surrogate), which no answer can carry")
    return value


def check_address(what: str, value: object) -> str:
    """Return the address of a mailbox, or refuse it."""
    address = check_text(what, value)
    if len(address) > 1_000 or not _ADDRESS.fullmatch(address):
        raise ConfigurationError(f"{what} must be an address like 'name@example.com', not {address[:100]!r}")
    return address


def check_key(key: object) -> str:
    """Return a key that a header can carry, or refuse it; the text does not repeat it."""
    if not isinstance(key, str):
        raise ConfigurationError(f"api_key must be text, not {type(key).__name__}")
    if not _KEY.fullmatch(key):
        raise ConfigurationError("api_key must be one or more visible ASCII characters, without spaces")
    return key


def check_moment(what: str, value: object) -> datetime:
    """Return an aware time of a year that answers can carry, or refuse it."""
    if not isinstance(value, datetime):
        raise ConfigurationError(f"{what} must be a datetime, not {type(value).__name__}")
    if value.tzinfo is None or value.utcoffset() is None:
        raise ConfigurationError(f"{what} must be aware, as in datetime(2026, 6, 28, 9, 38, tzinfo=UTC)")
    if not 1900 <= value.year < 9000 or not EARLIEST <= value.timestamp() < LATEST:
        raise ConfigurationError(f"{what} must lie in the years 1900 to 8999, not in {value.year}")
    return value
