"""Names of a package that load on first use."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["loaded"]


def loaded(package: str, homes: Mapping[str, Sequence[str]], name: str) -> object:
    """Return what a name of a package stands for: what its `__getattr__` is made of.

    Args:
        package: The package; from now on it has the name, so that the next access finds it there.
        homes: The names that load on first use, by the module of the package in which each lives.
        name: The name.

    Raises:
        AttributeError: The package has no such name.
    """
    home = next((home for home, names in homes.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{package}.{home}"), name)
    setattr(sys.modules[package], name, value)
    return value
