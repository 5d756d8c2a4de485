"""How the command ends by a signal: in good order, within a second, whatever it is doing just then.

The first signal ends the command, those that follow change nothing. What waits in `run` is cancelled by its event loop,
between two callbacks: where a `KeyboardInterrupt` is raised in the middle of the loop, as asyncio does with the second
Ctrl-C, the loop may lose the step in which a cancelled task would have ended, and then it waits for that task for ever.
Everything else is interrupted where it stands. Whatever comes of that, a thread ends the process when its time is over.

A shell starts the background jobs of a script with SIGINT ignored, so that Ctrl-C reaches the script alone; `nohup`
does the same with SIGHUP. Both stay ignored. SIGTERM ends the command in any case. A signal that is blocked is another
matter: a program that blocks signals in its threads hands that down to what it starts, and nobody means it.
"""

from __future__ import annotations

import _thread
import atexit
import gc
import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Generator
    from types import FrameType

__all__ = [
    "allow",
    "handle_signals",
    "is_ending",
    "leave",
    "leave_to_the_system",
    "received",
    "run",
    "undone_at_the_end",
]

T = TypeVar("T")

LIMIT: Final = 0.8
"""Seconds that a command has to end in good order."""

GRACE: Final = 0.15
"""Seconds more for giving back the terminal, which may be stopped."""


class _Ending:
    """How this process ends.

    Attributes:
        limit: The seconds that it has to end in good order.
        number: The signal that ends it, when one has come.
        due: When it must have ended, by the monotonic clock.
        running: What `run` runs; None outside of it.
        undoing: What gives back the terminal if there is no good order.
    """

    def __init__(self) -> None:
        self.limit = LIMIT
        self.number: int | None = None
        self.due = 0.0
        self.running: _Running | None = None
        self.undoing: list[Callable[[], object]] = []


_ending: Final = _Ending()


def allow(seconds: float) -> None:
    """Let this command take another time to end in good order than `LIMIT`, such as for requests that it owes."""
    _ending.limit = seconds


def is_ending() -> bool:
    """Return whether a signal ends this process."""
    return _ending.number is not None


def received() -> int | None:
    """Return the number of the signal that ends this process, other than that of Ctrl-C; None if there was none."""
    return None if _ending.number == signal.SIGINT else _ending.number


def handle_signals() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP end the command, unless they are ignored."""
    for number in (signal.SIGINT, getattr(signal, "SIGHUP", None)):
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    signal.signal(signal.SIGTERM, _end)
    sys.unraisablehook = _omitting_interrupts(sys.unraisablehook)
    if hasattr(signal, "pthread_sigmask"):  # last: one that has waited for this comes now
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGHUP, signal.SIGTERM})


def leave_to_the_system() -> None:
    """Let no signal spoil the interpreter's exit with a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is _end:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def leave(status: int) -> NoReturn:
    """Exit without the interpreter's own end, unless somebody waits for that.

    That end takes all modules apart, which is a twentieth of the time of a call. And it stops each other thread
    wherever it is, and waits for ever if it needs a lock that such a thread holds: that of an import, where a signal
    came while the thread of a sandbox or of a client began. The development mode (``-X dev``) waits for it, to warn of
    leaks, and so does a program that runs the command within itself: a profiler, a debugger, a test.
    """
    caller = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - nothing public loads as little
    if _ending.number is None and (sys.flags.dev_mode or _is_run_by_a_program(caller)):
        sys.exit(status)
    atexit._run_exitfuncs()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - nothing public does what libraries ask for
    os._exit(status)


def _is_run_by_a_program(main: FrameType) -> bool:
    """Return whether anything but a script's own lines or ``python -m`` has called the command.

    Args:
        main: The frame of the command's outermost function.
    """
    outside = main.f_back
    if outside is None or outside.f_code.co_name != "<module>":
        return True
    while (outside := outside.f_back) is not None:
        if outside.f_globals.get("__name__") != "runpy":
            return True
    return False


@contextmanager
def undone_at_the_end(undo: Callable[[], object]) -> Generator[None]:
    """Say how to give back the terminal if the process has to end within the block.

    Args:
        undo: Called in another thread, at any moment.
    """
    _ending.undoing.append(undo)
    try:
        yield
    finally:
        _ending.undoing.remove(undo)


def run(function: Callable[[], Coroutine[object, object, T]]) -> T:
    """Do as `asyncio.run` does, where a signal cancels the coroutine whatever the loop has come to.

    Args:
        function: Makes the coroutine.

    Returns:
        What the coroutine returned.

    Raises:
        KeyboardInterrupt: A signal came, and the coroutine has ended without another error.
    """
    import asyncio  # help does without

    if is_ending():  # it was interrupted in an import or a `__del__`, which no KeyboardInterrupt leaves
        raise KeyboardInterrupt
    _collect_from_now_on()
    running = _Running()
    before, _ending.running = _ending.running, running  # from here on no signal raises an exception
    try:
        result = asyncio.run(running.main(function))
    except asyncio.CancelledError:
        if running.is_interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        _ending.running = before
    if running.is_interrupted:
        raise KeyboardInterrupt
    return result


def _collect_from_now_on() -> None:
    """Let Python look for garbage again, where `main` has stopped that, but not among what was imported until now."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


class _Running:
    """A coroutine that a signal cancels: before its first step, amid any of them, or after the last."""

    def __init__(self) -> None:
        self.is_interrupted = False
        self._cancel: Callable[[], object] | None = None

    async def main(self, function: Callable[[], Coroutine[object, object, T]]) -> T:
        import asyncio

        from tempmailg._loop import log_no_slow_steps

        loop, task = asyncio.get_running_loop(), cast("asyncio.Task[T]", asyncio.current_task())
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        log_no_slow_steps(loop)
        if self.is_interrupted:  # while the loop was made
            raise asyncio.CancelledError
        return await function()

    def interrupt(self) -> None:
        """Cancel the coroutine; safe between any two instructions of the main thread."""
        self.is_interrupted = True
        if self._cancel is not None:
            with suppress(RuntimeError):  # the loop is closed: everything has ended
                self._cancel()


def _omitting_interrupts(
    report: Callable[[sys.UnraisableHookArgs], object],
) -> Callable[[sys.UnraisableHookArgs], object]:
    """Return what reports exceptions that could not be raised, other than those of a signal."""

    def report_others(unraisable: sys.UnraisableHookArgs) -> None:
        if not (is_ending() and issubclass(unraisable.exc_type, KeyboardInterrupt)):
            report(unraisable)

    return report_others


def _end(number: int, _frame: FrameType | None) -> None:
    if _ending.number is not None:
        if time.monotonic() > _ending.due + GRACE:  # no thread could be started, or it cannot run
            os._exit(128 + _ending.number)
        return
    _ending.number = number
    _ending.due = time.monotonic() + _ending.limit
    with suppress(RuntimeError):
        # Not by `threading`, whose locks the main thread may hold at this moment.
        _thread.start_new_thread(_end_anyhow, (128 + number, _ending.limit))
    if _ending.running is None:
        raise KeyboardInterrupt
    _ending.running.interrupt()


def _end_anyhow(status: int, seconds: float) -> None:
    """End the process when its time is over, with the terminal as it was where that can be."""
    time.sleep(seconds)
    with suppress(Exception):  # there may be no thread and no terminal any more
        _thread.start_new_thread(_exit_after, (GRACE, status))
        for undo in reversed(tuple(_ending.undoing)):
            undo()
    os._exit(status)


def _exit_after(seconds: float, status: int) -> None:
    time.sleep(seconds)
    os._exit(status)
