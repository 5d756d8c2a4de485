"""Load the server's half of the package `mcp`, and leave its clients alone."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["server_alone"]

_PACKAGES: Final = ("mcp", "mcp.server")
"""The packages whose `__init__` loads every client and server there is, a web server and an HTTP client included."""


@contextmanager
def server_alone() -> Generator[None]:
    """Let the block import modules of `mcp` without what the package's `__init__` imports for its convenience.

    That is half of the time that a server takes to start, and hosts start servers before their first prompt. Of the
    rest, the models of the protocol are the most: three versions of it, of which a session needs some.
    """
    spec = find_spec("mcp")
    if "mcp" in sys.modules or spec is None or not spec.submodule_search_locations:
        yield
        return
    with _stand_ins(Path(spec.submodule_search_locations[0])), _models_built_when_used(), _nothing_collected():
        yield


@contextmanager
def _stand_ins(root: Path) -> Generator[None]:
    """Let empty packages with the same path stand in for the two; who imports `mcp` later gets the real one."""
    stand_ins = {name: _stand_in(name, root.parent.joinpath(*name.split("."))) for name in _PACKAGES}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


@contextmanager
def _models_built_when_used() -> Generator[None]:
    """Let pydantic build the validators of models that the block defines when each is first used."""
    from pydantic import BaseModel

    before = BaseModel.model_config
    BaseModel.model_config = {**before, "defer_build": True}
    try:
        yield
    finally:
        BaseModel.model_config = before


@contextmanager
def _nothing_collected() -> Generator[None]:
    """Spare the search for garbage among thousands of new classes, all of which stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _stand_in(name: str, folder: Path) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = [str(folder)]
    return module
