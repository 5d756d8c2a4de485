"""The one table of fields: the name of each on the wire, its type as documented, and how else it may be spelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, cast

import attrs

from tempmailg import _scalars as scalars
from tempmailg._models import Attachment, Domain, DomainList, Mailbox, Message
from tempmailg._scalars import MismatchError

__all__ = ["BEFORE", "FIELDS", "PROBLEMS", "Before", "Field", "Fields", "Hook", "as_list", "check_fields"]

Hook: TypeAlias = Callable[[Any, Any], Any]


class Field(NamedTuple):
    """Where a field stands on the wire, and how it is read there.

    Args:
        wire: Its name on the wire.
        read: Reads it in all spellings that the reference allows; None for a list.
        documented: Its type in JSON as documented.
        convert: Makes the field's value of a documented one; None if it is that value already.
        is_filled: Whether the documented value must not be empty.
        items: The type of a list's items.
    """

    wire: str
    read: Hook | None
    documented: type
    convert: Hook | None = None
    is_filled: bool = False
    items: type | None = None


Fields: TypeAlias = Mapping[type, Mapping[str, Field]]
Before: TypeAlias = Mapping[type, Callable[[dict[str, Any]], None]]


def _text(wire: str) -> Field:
    return Field(wire, scalars.text, str)


def _required_text(wire: str) -> Field:
    return Field(wire, scalars.required_text, str, is_filled=True)


def _flag(wire: str) -> Field:
    return Field(wire, scalars.flag, bool)


def _number(wire: str) -> Field:
    return Field(wire, scalars.optional_integer, int, scalars.integer)


def _optional_moment(wire: str) -> Field:
    return Field(wire, scalars.optional_moment, str, scalars.moment)


def _several(wire: str, items: type) -> Field:
    return Field(wire, None, list, items=items)


# Each field's name in the model, and what the reference allows on the wire. Those without a default are required.
FIELDS: Final[Fields] = {
    Domain: {"domain": _required_text("domain"), "type": _text("type"), "custom": _flag("custom")},
    DomainList: {
        "requested_type": _text("requested_type"),
        "allowed_types": _several("allowed_types", str),
        "domains": _several("domains", Domain),
    },
    Mailbox: {
        "id": _number("id"),
        "email": _required_text("email"),
        "domain": _text("domain"),
        "expires_at": _optional_moment("expire_at"),
        "expires_in_seconds": Field("expires_in_seconds", scalars.optional_seconds, int, scalars.integer),
        "created_at": _optional_moment("created_at"),
        "email_token": Field("email_token", scalars.secret, str),
    },
    Attachment: {
        "name": _required_text("name"),
        "extension": _text("extension"),
        "size": _number("size"),
        "url": _text("url"),
        "message_id": _required_text("message_id"),
    },
    Message: {
        "id": _required_text("id"),
        "subject": _text("subject"),
        "from_name": _text("from"),
        "from_email": _text("from_email"),
        "to": _text("to"),
        "received_at": Field("receivedAt", scalars.moment, str, scalars.moment),
        "is_seen": _flag("is_seen"),
        "is_html": _flag("html"),
        "content": _text("content"),
        "attachments": _several("attachments", Attachment),
    },
}

PROBLEMS: Final = "problems"
"""The field of a model that stands for none on the wire: what of the others could not be read."""


# ---------------------------------------------------------------------------------------- what the wire leaves unsaid


def as_list(value: object) -> list[Any] | None:
    """Return the list that a value stands for, or None if it is none.

    In PHP an array after a filter becomes an object with numeric keys, and an empty one may be an empty object or null.
    """
    if isinstance(value, list):
        return value  # pyright: ignore[reportUnknownVariableType] - JSON can be anything
    if value is None:
        return []
    if isinstance(value, dict) and all(key.isdecimal() for key in cast("dict[str, Any]", value)):
        return list(cast("dict[str, Any]", value).values())
    return None


def _before_message(raw: dict[str, Any]) -> None:
    """Give each attachment the id of its message: on the wire only its place says whose it is."""
    attachments = raw.get("attachments")
    if not attachments:
        return
    for attachment in as_list(attachments) or ():
        if isinstance(attachment, dict):
            attachment["message_id"] = raw.get("id")


def _before_mailbox(raw: dict[str, Any]) -> None:
    """Fill in what follows from other fields, should the service leave it out."""
    email = raw.get("email")
    if not raw.get("domain") and isinstance(email, str):
        raw["domain"] = email.rpartition("@")[2]
    if raw.get("expires_in_seconds") is None:
        try:
            lifetime = scalars.moment(raw["expire_at"]) - scalars.moment(raw["created_at"])
        except (KeyError, MismatchError):
            return
        raw["expires_in_seconds"] = int(lifetime.total_seconds())


BEFORE: Final[Before] = {
    Message: _before_message,
    Mailbox: _before_mailbox,
}
"""What to do with the raw object of a model before it is read."""


def check_fields(fields: Fields) -> None:
    """Refuse a table that lacks a field of a model, or has one that the model lacks.

    Raises:
        TypeError: It does; the text names the field.
    """
    for kind, known in fields.items():
        names = {field.name for field in attrs.fields(kind)} - {PROBLEMS}
        if names != set(known):
            raise TypeError(f"the table of fields and {kind.__name__} disagree: {names ^ set(known)}")
