"""From raw JSON to values in every spelling that the reference allows: what is not exactly as documented.

What cannot be read even so is left out: a field that has a default, an item of a list. So one odd field does not hide
the rest of an answer. What was left out is named by its path on the wire, such as ``messages[3].receivedAt``.

This module loads with the first odd value: cattrs takes longer to load than all that reads the documented ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs
from cattrs import ClassValidationError, Converter, IterableValidationError
from cattrs.gen import make_dict_structure_fn, override

from tempmailg import _scalars as scalars
from tempmailg._fields import PROBLEMS, as_list
from tempmailg._scalars import MismatchError, expected

if TYPE_CHECKING:
    from tempmailg._fields import Before, Field, Fields, Hook

__all__ = ["TolerantReader"]

T = TypeVar("T")


class _UnreadableError(Exception):
    """Raw JSON that cannot become a value, even without what may be left out; the text says why."""


class TolerantReader:
    """Makes values of raw JSON by cattrs.

    Args:
        fields: The fields of each model.
        before: What to do with the raw object of a model before it is read.
    """

    def __init__(self, fields: Fields, before: Before) -> None:
        self._fields = fields
        self._before = before
        self._converter = Converter(detailed_validation=True)
        self._converter.register_structure_hook(str, scalars.required_text)
        for kind in fields:
            self._converter.register_structure_hook(kind, self._object_hook(kind))

    def read(self, raw: object, kind: type[T], path: str) -> tuple[T | None, str]:
        """Return the value that raw JSON stands for, or None and what is wrong with it.

        It does not raise: a traceback may show the locals of its frames, and in raw values stand secrets.

        Args:
            raw: What was decoded from JSON; it may be changed.
            kind: A model.
            path: Where it stands on the wire, for what is said of its fields.
        """
        problems: list[str] = []
        while True:
            try:
                value: Any = self._converter.structure(raw, kind)
            except (ClassValidationError, IterableValidationError, MismatchError) as error:
                try:
                    raw = self._readable_part(raw, error, path, problems)  # without at least one thing, so this ends
                except _UnreadableError as reason:
                    return None, str(reason)
            else:
                return (attrs.evolve(value, problems=tuple(problems)) if problems else value), ""

    def _object_hook(self, kind: type) -> Hook:
        fields = {name: override(rename=f.wire, struct_hook=self._hook(f)) for name, f in self._fields[kind].items()}
        if PROBLEMS in attrs.fields_dict(kind):
            fields[PROBLEMS] = override(omit=True)
        generated = cast("Hook", make_dict_structure_fn(kind, self._converter, **fields))  # type: ignore[arg-type] # overrides by field name
        prepare = self._before.get(kind)

        def structure(value: Any, kind: Any) -> Any:  # noqa: ANN401 - cattrs' signature of a hook
            if not isinstance(value, dict):
                if value != []:  # PHP writes an empty object as an empty list
                    raise MismatchError(expected("an object", value))
                value = {}
            if prepare:
                prepare(cast("dict[str, Any]", value))
            structured: object = generated(cast("dict[str, Any]", value), kind)
            return structured

        return structure

    def _hook(self, field: Field) -> Hook:
        if field.read is not None:
            return field.read
        several: Any = list[field.items]  # type: ignore[name-defined] # a class known at run time

        def structure(value: Any, _type: Any) -> tuple[Any, ...]:  # noqa: ANN401 - cattrs' signature of a hook
            items = as_list(value)
            if items is None:
                raise MismatchError(expected("a list", value))
            return tuple(self._converter.structure(items, several))

        return structure

    # ---------------------------------------------------------------------------------------- what cannot be read

    def _readable_part(self, raw: Any, error: BaseException, path: str, problems: list[str]) -> Any:  # noqa: ANN401 - JSON can be anything
        """Return raw JSON without what cannot be read in it, and add that to the problems.

        Raises:
            _UnreadableError: Nothing of it can be read, since something required cannot.
        """
        if isinstance(error, ClassValidationError):
            return self._readable_object(raw, error, path, problems)
        if isinstance(error, IterableValidationError):
            return self._readable_list(as_list(raw) or [], error, path, problems)
        raise _UnreadableError(f"{path}: {'the field is missing' if isinstance(error, KeyError) else error}")

    def _readable_object(
        self, raw: dict[str, Any], error: ClassValidationError, path: str, problems: list[str]
    ) -> dict[str, Any]:
        readable = dict(raw or {})  # an empty list stands for an empty object
        for cause, note in error.group_exceptions()[0]:
            wire = self._fields[error.cl][note.name].wire
            try:
                readable[wire] = self._readable_part(readable.get(wire), cause, f"{path}.{wire}", problems)
            except _UnreadableError as reason:
                if attrs.fields_dict(error.cl)[note.name].default is attrs.NOTHING:
                    raise
                problems.append(str(reason))
                del readable[wire]
        return readable

    def _readable_list(
        self, raw: list[Any], error: IterableValidationError, path: str, problems: list[str]
    ) -> list[Any]:
        bad = {note.index: cause for cause, note in error.group_exceptions()[0]}
        readable: list[Any] = []
        for index, item in enumerate(raw):
            try:
                readable.append(
                    self._readable_part(item, bad[index], f"{path}[{index}]", problems) if index in bad else item
                )
            except _UnreadableError as reason:
                problems.append(str(reason))
        return readable
