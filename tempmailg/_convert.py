"""From raw JSON to values, by one table of fields.

A value that is exactly as documented, as nearly all are, is read the quick way: by a function made of the table. All
others are read by `_tolerant`, which loads with the first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs

from tempmailg._fields import BEFORE, FIELDS, PROBLEMS, check_fields
from tempmailg._scalars import MismatchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tempmailg._fields import Before, Field, Fields, Hook
    from tempmailg._tolerant import TolerantReader

__all__ = ["Decoder"]

T = TypeVar("T")

_WRITABLE: Final = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
"""What makes a frozen class writable in a subclass. A frozen value's own `__init__` goes around `__setattr__` for each
field, which takes as long as the rest of its reading; so a value is filled as one of the subclass, and then frozen."""


class Decoder:
    """Makes values of raw JSON.

    Args:
        fields: The fields of each model.
        before: What to do with the raw object of a model before it is read.
    """

    def __init__(self, fields: Fields = FIELDS, before: Before = BEFORE) -> None:
        check_fields(fields)
        self._fields = fields
        self._before = before
        self._quick: dict[type, Callable[[Any], Any]] = {str: _quick_text}
        self._tolerant: TolerantReader | None = None

    def read(self, raw: object, kind: type[T], path: str) -> tuple[T | None, str]:
        """Return the value that raw JSON stands for, or None and what is wrong with it: see `TolerantReader.read`."""
        value = self.quick(kind)(raw)
        return self.tolerant.read(raw, kind, path) if value is None else (value, "")

    @property
    def tolerant(self) -> TolerantReader:
        """What reads the values that are not as documented."""
        if self._tolerant is None:
            from tempmailg._tolerant import TolerantReader  # most programs never meet such a value

            self._tolerant = TolerantReader(self._fields, self._before)
        return self._tolerant

    def quick(self, kind: type[T]) -> Callable[[Any], T | None]:
        """Return the function that reads a value which is exactly as documented, and returns None for any other."""
        reader = self._quick.get(kind)
        if reader is None:
            reader = self._quick[kind] = self._quick_reader(kind)
        return reader

    def _quick_reader(self, kind: type) -> Callable[[Any], Any]:
        """Make the function that reads an object of exactly the documented types.

        Types are compared, so that 1 is no boolean. The source is written out since each call is worth its nanoseconds:
        a list of 50 messages is read in half of the time that cattrs takes.
        """
        fields = self._fields[kind]
        variables = {name: f"v{number}" for number, name in enumerate(fields)}
        picks = [f"{variables[name]} = raw[{field.wire!r}]" for name, field in fields.items()]
        checks = [_quick_check(field, variables[name]) for name, field in fields.items()]
        values = {name: _quick_expression(field, variables[name]) for name, field in fields.items()}
        source = f"""
def read(raw):
    if type(raw) is not dict:
        return None
    {"prepare(raw)" if kind in self._before else ""}
    try:
        {"; ".join(picks)}
        if {" or ".join(checks)}:
            return None
        value = new(writable)
        {"; ".join(f"value.{name} = {expression}" for name, expression in values.items())}
        {f"value.{PROBLEMS} = ()" if PROBLEMS in attrs.fields_dict(kind) else ""}
        value.__class__ = kind
        return value
    except (KeyError, MismatchError):
        return None
"""
        scope: dict[str, Any] = {
            "MismatchError": MismatchError,
            "kind": kind,
            "new": object.__new__,
            "writable": type(kind.__name__, (kind,), {"__slots__": (), **_WRITABLE}),
            "prepare": self._before.get(kind),
            **{f"to_{variables[name]}": self._quick_convert(field) for name, field in fields.items()},
        }
        exec(source, scope)  # noqa: S102 - made of the table alone, as attrs and cattrs make theirs
        return cast("Callable[[Any], Any]", scope["read"])

    def _quick_convert(self, field: Field) -> Hook | None:
        if field.items is None:
            return field.convert
        read_item: Callable[[Any], object] = self.quick(field.items)

        def several(values: list[Any], _type: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as a hook
            items = tuple([read_item(value) for value in values])
            if not all(items):
                raise MismatchError("not as documented")
            return items

        return several


def _quick_text(value: Any) -> str | None:  # noqa: ANN401 - JSON can be anything
    """Read an item of a list of texts; an empty one is as false as none."""
    return value if type(value) is str else None


def _quick_check(field: Field, variable: str) -> str:
    """Return the source of what is true of a value that is not as documented."""
    return f"type({variable}) is not {field.documented.__name__}" + (f" or not {variable}" if field.is_filled else "")


def _quick_expression(field: Field, variable: str) -> str:
    """Return the source of what makes a field's value of a documented one."""
    if field.items is not None:
        return f"to_{variable}({variable}, None) if {variable} else ()"
    return variable if field.convert is None else f"to_{variable}({variable}, None)"
