"""Event loops that are ours alone: which one the blocking client runs on, and what none of them says.

It is asyncio's, or uvloop's where that is asked for and can do no harm.

uvloop makes a call cheaper, but it aborts the process where file descriptors run out as it starts, and hangs where
gevent or eventlet have made threads into something else. So being installed is no reason to use it.
"""

from __future__ import annotations

import importlib.util
import math
import os
import threading
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Final

from tempmailg import _errors as err

if TYPE_CHECKING:
    import asyncio

__all__ = ["VARIABLE", "log_no_slow_steps", "wants_uvloop"]

VARIABLE: Final = "TEMPMAILG_LOOP"

_ENOUGH: Final = 16
"""File descriptors that uvloop needs to start, and some more for the first connections."""


def log_no_slow_steps(loop: asyncio.AbstractEventLoop) -> None:
    """Keep asyncio from logging each step that takes more than 0.1 s, as it does in Python's development mode.

    That is meant for those who share a loop. On one of ours nobody but its own caller waits, and the first steps load
    modules.

    Args:
        loop: A loop on which nothing runs but what is ours.
    """
    loop.slow_callback_duration = math.inf


def wants_uvloop() -> bool:
    """Return whether the environment asks for uvloop, and it is safe to grant it.

    Raises:
        ConfigurationError: ``TEMPMAILG_LOOP`` names no loop, or one that is not installed or cannot be loaded.
    """
    wanted = os.environ.get(VARIABLE) or "asyncio"
    if wanted not in ("asyncio", "uvloop"):
        raise err.ConfigurationError(f"{VARIABLE} must be asyncio or uvloop, not {wanted[:40]!r}")
    if wanted == "asyncio":
        return False
    if importlib.util.find_spec("uvloop") is None:
        raise err.ConfigurationError(
            f"{VARIABLE} asks for uvloop, which is not installed: pip install 'tempmailg[fast]'"
        )
    return _has_real_threads() and _has_descriptors() and _loads_uvloop()


def _has_real_threads() -> bool:
    """Return whether a thread is one of the system's: gevent and eventlet replace what is built in."""
    return isinstance(threading.get_ident, BuiltinFunctionType)


def _has_descriptors() -> bool:
    opened: list[int] = []
    try:
        opened.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(_ENOUGH))
    except OSError:
        return False
    finally:
        for each in opened:
            os.close(each)
    return True


def _loads_uvloop() -> bool:
    try:
        importlib.import_module("uvloop")
    except ImportError as error:  # it is for another interpreter or system
        raise err.ConfigurationError(f"{VARIABLE} asks for uvloop, which cannot be loaded: {error}") from None
    return True
