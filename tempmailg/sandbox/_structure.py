"""From JSON to values, strictly: unknown fields are forbidden, and whatever is wrong is named by its path.

Booleans are no numbers and numbers no text; a number with a fraction of zero is a whole one, as in JSON Schema.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal, NewType, TypeVar, cast, get_args, get_origin

import attrs
from cattrs import ClassValidationError, Converter, IterableValidationError
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.gen import make_dict_structure_fn

from tempmailg._errors import ConfigurationError
from tempmailg.sandbox._checks import (
    EARLIEST,
    LATEST,
    LONGEST,
    MOST,
    FieldError,
    check_address,
    check_moment,
    is_number,
    is_text,
)
from tempmailg.sandbox._faults import Fault, fault_from_json
from tempmailg.sandbox._mail import Blob, BytesBlob, from_base64
from tempmailg.sandbox._smtp_faults import SmtpFault, smtp_fault_from_json

__all__ = ["Address", "Chance", "Count", "Seconds", "StructureError", "Times", "Timestamp", "structured"]

T = TypeVar("T")

Address = NewType("Address", str)
"""The address of a mailbox."""
Seconds = NewType("Seconds", float)
"""A length of time."""
Timestamp = NewType("Timestamp", float)
"""Seconds since 1970."""
Chance = NewType("Chance", float)
"""A probability."""
Count = NewType("Count", int)
"""A whole number that is not negative."""
Times = NewType("Times", int)
"""A whole number of at least one."""


class StructureError(ConfigurationError):
    """A value is not of the structure that is wanted.

    Args:
        problems: What is wrong, by the path of the field.
    """

    def __init__(self, problems: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{path} {', '.join(texts)}" for path, texts in problems.items()))
        self.problems = problems


def structured(value: object, kind: type[T], what: str) -> T:
    """Make a value of what JSON brought.

    Args:
        value: The decoded JSON.
        kind: The class to make: an attrs class.
        what: What the whole is called in errors, such as ``the body``.

    Raises:
        StructureError: Something does not fit.
    """
    try:
        return _converter.structure(value, kind)
    except (ClassValidationError, _MismatchError) as error:
        problems: dict[str, list[str]] = {}
        for path, text in _problems(error, ""):
            problems.setdefault(path or what, []).append(text)
        raise StructureError(problems) from None


def _problems(error: BaseException, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(error, ClassValidationError):
        inner, outer = error.group_exceptions()
        for problem, note in inner:
            yield from _problems(problem, f"{path}.{note.name}" if path else note.name)
        for problem in outer:
            yield from _problems(problem, path)
    elif isinstance(error, IterableValidationError):
        for problem, place in error.group_exceptions()[0]:
            yield from _problems(problem, f"{path}[{place.index}]")
    elif isinstance(error, ForbiddenExtraKeysError):
        known = ", ".join(field.name for field in attrs.fields(error.cl)) or "none"
        for name in sorted(error.extra_fields):
            yield f"{path}.{name}" if path else name, f"is unknown (there are: {known})"
    elif isinstance(error, FieldError):
        yield f"{path}.{error.name}", error.complaint
    else:
        yield path, "is missing" if isinstance(error, KeyError) else f"{error}"


class _MismatchError(ValueError):
    """A value is not what stands there; the text goes on after the name of the field."""


def _must_be(what: str) -> _MismatchError:
    return _MismatchError(f"must be {what}")


def _text(value: object, _type: object) -> str:
    if not isinstance(value, str):
        raise _must_be("text")
    if not is_text(value):
        raise _MismatchError("holds half a character (a surrogate), which no answer can carry")
    return value


def _boolean(value: object, _type: object) -> bool:
    if not isinstance(value, bool):
        raise _must_be("true or false")
    return value


def _integer(value: object, _type: object) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _must_be("a whole number")
    return value


def _whole_of(least: int) -> Callable[[object, object], int]:
    def structure(value: object, type_: object) -> int:
        number = _integer(value, type_)
        if not least <= number <= MOST:
            raise _must_be(f"a whole number from {least} to {MOST}")
        return number

    return structure


def _number_of(what: str, least: float, most: float) -> Callable[[object, object], float]:
    def structure(value: object, _type: object) -> float:
        if not is_number(value, least, most):
            raise _must_be(what)
        return float(cast("float", value))

    return structure


def _address(value: object, type_: object) -> str:
    text = _text(value, type_)
    try:
        return check_address("it", text)
    except ConfigurationError:
        raise _must_be('an address, such as "name@example.com"') from None


def _moment(value: object, _type: object) -> datetime:
    example = 'a time with its offset in the years 1900 to 8999, such as "2026-06-28T09:38:51+00:00"'
    try:
        return check_moment("it", datetime.fromisoformat(cast("str", value)))
    except (TypeError, ValueError, OverflowError, ConfigurationError):
        raise _must_be(example) from None


def _bytes(value: object, _type: object) -> bytes:
    try:
        return from_base64(cast("str", value))
    except (AttributeError, ValueError, binascii.Error):
        raise _must_be("base64") from None


def _blob(value: object, type_: object) -> BytesBlob:
    return BytesBlob(_bytes(value, type_))


def _fault(value: object, _type: object) -> Fault:
    if not isinstance(value, dict):
        raise _must_be('a fault, such as {"kind": "status", "status": 502}')
    return fault_from_json(cast("dict[str, Any]", value))


def _smtp_fault(value: object, _type: object) -> SmtpFault:
    if not isinstance(value, dict):
        raise _must_be('a fault, such as {"kind": "smtp_reply", "code": 451}')
    return smtp_fault_from_json(cast("dict[str, Any]", value))


def _literal(value: object, type_: object) -> object:
    if not isinstance(value, str) or value not in get_args(type_):
        raise _must_be(f"one of {', '.join(get_args(type_))}")
    return value


def _list_hook(type_: Any) -> Callable[[object, object], object]:  # noqa: ANN401 - a type as cattrs passes it on
    several: Any = list[get_args(type_)[0]]  # type: ignore[misc] # known at run time only

    def structure(value: object, _type: object) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise _must_be("a list")
        return tuple(_converter.structure(value, several))  # pyright: ignore[reportUnknownArgumentType] - JSON can be anything

    return structure


def _mapping_hook(type_: Any) -> Callable[[object, object], object]:  # noqa: ANN401 - a type as cattrs passes it on
    mapping: Any = dict[str, get_args(type_)[1]]  # type: ignore[misc] # known at run time only

    def structure(value: object, _type: object) -> object:
        if not isinstance(value, dict):
            raise _must_be("a JSON object")
        return cast("object", _converter.structure(value, mapping))

    return structure


def _object_hook(type_: Any) -> Callable[[object, object], object]:  # noqa: ANN401 - a type as cattrs passes it on
    make = make_dict_structure_fn(type_, _converter, _cattrs_forbid_extra_keys=True)

    def structure(value: object, type_: Any) -> object:  # noqa: ANN401 - a type as cattrs passes it on
        if not isinstance(value, dict):
            raise _must_be("a JSON object")
        return make(cast("dict[str, Any]", value), type_)

    return structure


def _is_blob(type_: object) -> bool:
    return type_ is Blob


def _is_literal(type_: object) -> bool:
    return get_origin(type_) is Literal


def _is_list(type_: object) -> bool:
    return get_origin(type_) is tuple


def _is_mapping(type_: object) -> bool:
    return get_origin(type_) is Mapping


_HOOKS: Final[dict[Any, Callable[[object, object], object]]] = {
    str: _text,
    bool: _boolean,
    int: _integer,
    bytes: _bytes,
    datetime: _moment,
    Fault: _fault,
    SmtpFault: _smtp_fault,
    Address: _address,
    Count: _whole_of(0),
    Times: _whole_of(1),
    Seconds: _number_of(f"a number of seconds from 0 to {LONGEST:.0f}", 0, LONGEST),
    Timestamp: _number_of("seconds since 1970, in the years 1900 to 8999", EARLIEST, LATEST),
    Chance: _number_of("a number from 0 to 1", 0, 1),
}

_converter = Converter(detailed_validation=True)
for _kind, _hook in _HOOKS.items():
    _converter.register_structure_hook(_kind, _hook)
_converter.register_structure_hook_func(_is_blob, _blob)  # a protocol: to register it as a class is not possible
_converter.register_structure_hook_func(_is_literal, _literal)
_converter.register_structure_hook_factory(_is_list, _list_hook)
_converter.register_structure_hook_factory(_is_mapping, _mapping_hook)
_converter.register_structure_hook_factory(attrs.has, _object_hook)
