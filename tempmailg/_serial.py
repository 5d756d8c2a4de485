"""Values cross borders: to plain dicts and JSON text and back, and into pydantic's models.

The dict is what the command line prints as JSON: times are ISO 8601 with an offset, tuples are lists. Secrets are left
out unless they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar, cast, get_args, get_origin

import attrs

from tempmailg._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cattrs import Converter
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["ONLY_IF_FILLED", "SECRET", "Value", "json_line"]

V = TypeVar("V")

SECRET: Final = "tempmailg.secret"  # noqa: S105 - the name of a mark
"""What the metadata of a field holds that is left out unless secrets are asked for."""

ONLY_IF_FILLED: Final = "tempmailg.only_if_filled"
"""What the metadata of a field holds that is left out where it is empty."""


class Value:
    """A frozen value of the API that can be written as a dict or as JSON, and read again."""

    __slots__ = ()

    def to_dict(self, *, include_secrets: bool = False) -> dict[str, Any]:
        """Return the value as a dict that any JSON library can write, as the command line prints it with ``--json``.

        Args:
            include_secrets: Whether to include what should not leave the program by accident: a mailbox's
                `email_token`.

        Returns:
            The fields by name: times as ISO 8601 text with an offset, lists for tuples, dicts for values within.
            `problems` is there only if there are any.
        """
        fields = shown_fields(self, include_secrets=include_secrets)
        return {name: _plain(value, include_secrets=include_secrets) for name, value in fields.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the value that a dict of `to_dict` stands for.

        Args:
            data: The fields by name. Fields that have a default may be missing, unknown ones are ignored, so that
                programs of different versions understand each other.

        Raises:
            ConfigurationError: It is no such dict; the text says which field is wrong.
        """
        return _made(cls, data)

    def to_json(self, *, include_secrets: bool = False) -> str:
        """Return the value as one line of JSON in ASCII, as the command line prints it with ``--json``.

        Args:
            include_secrets: As in `to_dict`.
        """
        return json_line(self.to_dict(include_secrets=include_secrets))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the value that a JSON text of `to_json` stands for.

        Args:
            text: A JSON object, as in `from_dict`.

        Raises:
            ConfigurationError: It is no JSON, or no such object; the text says which field is wrong.
        """
        try:
            data = json.loads(text)
        except (TypeError, ValueError, RecursionError):
            data = None  # and not raised from here: that error would show the text, and with it secrets
        return _made(cls, data)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return what pydantic, and so FastAPI, asks a type for: it loads only then."""
        from tempmailg._pydantic import schema_of

        return schema_of(
            cls, handler, hidden=_marked(cls, SECRET), optional=_marked(cls, ONLY_IF_FILLED), show=shown_fields
        )


def shown_fields(value: Value, *, include_secrets: bool = False) -> dict[str, Any]:
    """Return the fields of a value that are to be written, by name."""
    kind = type(value)
    hidden = frozenset[str]() if include_secrets else _marked(kind, SECRET)
    optional = _marked(kind, ONLY_IF_FILLED)
    fields = {name: getattr(value, name) for name in _names(kind) if name not in hidden}
    return {name: found for name, found in fields.items() if found or name not in optional}


def json_line(value: object) -> str:
    """Return a value, or anything made of values and of what JSON knows, as one line of JSON.

    It is in ASCII, so that neither an encoding nor a terminal can change it.
    """
    text = json.dumps(value, default=_jsonable)
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON lets stand


def _jsonable(value: object) -> object:
    if isinstance(value, (Value, datetime)):
        return _plain(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _plain(value: Any, *, include_secrets: bool = False) -> object:  # noqa: ANN401 - whatever a field holds
    if isinstance(value, Value):
        return value.to_dict(include_secrets=include_secrets)
    if isinstance(value, tuple):
        return [_plain(item, include_secrets=include_secrets) for item in cast("tuple[object, ...]", value)]
    return value.isoformat() if isinstance(value, datetime) else value


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(kind))


def _marked(kind: type[Any], mark: str) -> frozenset[str]:
    return frozenset(field.name for field in attrs.fields(kind) if mark in field.metadata)


# ----------------------------------------------------------------------------------------------------------- and back


def _made(kind: type[V], data: object) -> V:
    found, problem = _structured(kind, data)
    if found is None:
        raise ConfigurationError(f"{kind.__name__} cannot be made of this: {problem}")
    return found


def _structured(kind: type[V], data: object) -> tuple[V | None, str]:
    """Return the value that a dict stands for, or None and what is wrong with it, without repeating any of it."""
    if not isinstance(data, Mapping):
        return None, f"expected an object, got {type(data).__name__}"
    from cattrs import BaseValidationError, transform_error

    try:
        return _converter().structure(data, kind), ""
    except BaseValidationError as error:
        return None, transform_error(error, format_exception=_described)[0]


def _described(error: BaseException, _kind: type | None) -> str:
    if isinstance(error, KeyError):
        return "the field is missing"
    return str(error) if isinstance(error, _WrongTypeError) else "expected an object"


class _WrongTypeError(ValueError):
    """A field is of a wrong type; the text says which is right, and not what the value was."""


@cache
def _converter() -> Converter:
    from cattrs import Converter  # loads with the first value that is read

    converter = Converter(detailed_validation=True)
    for kind, words in ((str, "text"), (bool, "true or false"), (int, "a whole number")):
        converter.register_structure_hook(kind, partial(_exactly, words))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(datetime, _moment)
    converter.register_structure_hook_factory(_is_tuple, partial(_tuple_hook, converter))
    converter.register_structure_hook_factory(_is_literal, _literal_hook)
    return converter


def _is_tuple(kind: Any) -> bool:  # noqa: ANN401 - any annotation
    return get_origin(kind) is tuple


def _is_literal(kind: Any) -> bool:  # noqa: ANN401 - any annotation
    return get_origin(kind) is Literal


def _exactly(words: str, value: object, kind: type[Any]) -> object:
    if type(value) is kind:  # the type itself: True is no number
        return value
    raise _WrongTypeError(f"expected {words}, got {type(value).__name__}")


def _number(value: object, _kind: type[Any]) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise _WrongTypeError(f"expected a number, got {type(value).__name__}")


def _moment(value: object, _kind: type[Any]) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(cast("str", value))
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _WrongTypeError("expected a date and time in ISO 8601 with an offset")
    return moment


def _tuple_hook(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:  # noqa: ANN401 - tuple[T, ...]
    several: Any = list[get_args(kind)[0]]  # type: ignore[misc] # a class known at run time

    def structure(value: object, _kind: object) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise _WrongTypeError(f"expected a list, got {type(value).__name__}")
        return tuple(converter.structure(list(cast("list[Any]", value)), several))

    return structure


def _literal_hook(kind: Any) -> Callable[[Any, Any], Any]:  # noqa: ANN401 - Literal[…]
    allowed = get_args(kind)

    def structure(value: object, _kind: object) -> object:
        if value not in allowed:
            raise _WrongTypeError(f"expected one of {', '.join(map(repr, allowed))}")
        return value

    return structure
