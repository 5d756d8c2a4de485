"""Public names belong to `tempmailg`, wherever they are defined: so tracebacks and pickles show what people import."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["public"]

T = TypeVar("T", bound=type)


def public(kind: T) -> T:
    """Decorate a class that users import from `tempmailg`."""
    kind.__module__ = "tempmailg"
    return kind
