"""What pydantic, and with it FastAPI, needs to know of a value; it loads only when pydantic asks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs
from pydantic_core import core_schema as schemas

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["schema_of"]

V = TypeVar("V")

_ISO_TEXT: Final = schemas.str_schema(metadata={"pydantic_js_updates": {"format": "date-time"}})
_MOMENT: Final = schemas.datetime_schema(
    tz_constraint="aware",
    # pydantic would write Z where all others write +00:00
    serialization=schemas.plain_serializer_function_ser_schema(
        datetime.isoformat, return_schema=_ISO_TEXT, when_used="json"
    ),
)


def schema_of(
    kind: type[V],
    handler: GetCoreSchemaHandler,
    *,
    hidden: AbstractSet[str],
    optional: AbstractSet[str],
    show: Callable[[V], dict[str, Any]],
) -> CoreSchema:
    """Return the schema of a value: read from a dict or JSON or taken as it is, written as `to_dict` does.

    Args:
        kind: The value's class.
        handler: Makes the schemas of other types.
        hidden: Fields that are never written.
        optional: Fields that are not always written.
        show: Returns the fields to write, by name.
    """
    fields = attrs.fields(attrs.resolve_types(cast("type[attrs.AttrsInstance]", kind)))
    types = {field.name: _field_schema(field.type, handler) for field in fields}
    read = _object(kind, {field.name: _readable(field, types[field.name]) for field in fields})
    written = _object(
        kind,
        {
            name: schemas.typed_dict_field(schema, required=name not in optional)
            for name, schema in types.items()
            if name not in hidden
        },
    )
    made = schemas.no_info_after_validator_function(lambda values: kind(**values), read)
    return schemas.no_info_wrap_validator_function(
        lambda value, make: value if isinstance(value, kind) else make(value),
        made,
        serialization=schemas.plain_serializer_function_ser_schema(show, return_schema=written),
        ref=f"{kind.__module__}.{kind.__qualname__}:{id(kind)}",
    )


def _field_schema(kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - any annotation
    if kind is datetime:
        return _MOMENT
    if kind == datetime | None:
        return schemas.nullable_schema(_MOMENT)
    return handler.generate_schema(kind)


def _readable(field: attrs.Attribute[Any], schema: CoreSchema) -> schemas.TypedDictField:
    if field.default is attrs.NOTHING:
        return schemas.typed_dict_field(schema, required=True)
    return schemas.typed_dict_field(schemas.with_default_schema(schema, default=field.default), required=False)


def _object(kind: type, fields: dict[str, schemas.TypedDictField]) -> CoreSchema:
    return schemas.typed_dict_schema(fields, metadata={"pydantic_js_updates": {"title": kind.__name__}})
