"""How the command ends by a signal: in good order, within a second, whatever its parent made of Ctrl-C.

A shell starts the background jobs of a script with SIGINT ignored, so that Ctrl-C reaches the script alone; `nohup`
does the same with SIGHUP. Both stay ignored. SIGTERM ends the command in any case.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["allow", "handle_signals", "leave_signals_to_the_system", "received"]

LIMIT: Final = 0.8
"""Seconds that a command has to end in good order."""

_received: list[int] = []
_limit: list[float] = [LIMIT]


def allow(seconds: float) -> None:
    """Let this command take another time to end in good order than `LIMIT`, such as for requests that it owes."""
    _limit[0] = seconds


def received() -> int | None:
    """Return the number of the signal that ends this process, other than that of Ctrl-C; None if there was none."""
    return _received[0] if _received else None


def handle_signals() -> None:
    """Let SIGTERM and SIGHUP do what Ctrl-C does at a terminal."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # asyncio cancels what it runs in good order only where SIGINT has Python's own handler. So it gets that, and
        # the mask sees to it that Ctrl-C is ignored all the same.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _end)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _end)


def leave_signals_to_the_system() -> None:
    """Let no signal spoil the interpreter's exit with a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is _end:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    with suppress(RuntimeError):  # no thread can be started: the good order has to do
        limit = threading.Timer(_limit[0], os._exit, [128 + number])
        limit.daemon = True
        limit.start()
    interrupt = signal.getsignal(signal.SIGINT)  # asyncio's, while it runs
    if callable(interrupt):
        interrupt(number, frame)
