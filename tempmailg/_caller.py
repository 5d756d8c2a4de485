"""Whether the thread that calls the blocking client has an event loop that this would block, and the warning of it."""

from __future__ import annotations

import asyncio
import inspect
import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

__all__ = ["is_blocking", "runs_a_loop", "warn", "without_warning"]

_warns: ContextVar[bool] = ContextVar("tempmailg_warns", default=True)

_COROUTINE: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_SHELLS: Final = ("IPython", "ipykernel")


@contextmanager
def without_warning() -> Generator[None]:
    """Block an event loop knowingly, as the set-up and the tear-down of a test do."""
    token = _warns.set(False)
    try:
        yield
    finally:
        _warns.reset(token)


def runs_a_loop() -> bool:
    """Return whether an event loop runs in this thread, even if it is in another greenlet."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def is_blocking() -> bool:
    """Return whether a task of this thread's event loop waits for the caller.

    A loop may run here without being blocked: Playwright's runs in another greenlet while the program goes on.
    """
    return asyncio.current_task() is not None and _warns.get() and not _is_in_cell()


def _is_in_cell() -> bool:
    """Return whether the task runs a notebook's cell: a notebook's loop is there to run one cell after another."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - inspect.stack() reads source files  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        code = frame.f_code
        if code.co_flags & _COROUTINE and not code.co_name.startswith("<"):  # a cell that awaits is called <module>
            return frame.f_globals.get("__name__", "").partition(".")[0] in _SHELLS
        frame = frame.f_back
    return False


def warn() -> None:
    """Warn the program, at its own line, of the method of the client that it called."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as above  # pyright: ignore[reportPrivateUsage]
    method, depth = "", 2
    while frame is not None and frame.f_globals.get("__name__", "").startswith("tempmailg."):
        method, depth = frame.f_code.co_name, depth + 1
        frame = frame.f_back
    warnings.warn(
        f"Client.{method} blocks the event loop that runs in this thread: use AsyncClient.{method} there",
        RuntimeWarning,
        stacklevel=depth,
    )
