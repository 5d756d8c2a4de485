"""The deadlines of many requests, for the price of one timer.

`asyncio.timeout(30)` puts a timer into the event loop's heap for each request, where it stays for 30 seconds however
soon the answer comes. Keeping thousands of timers in order would take a sixteenth of a busy client's time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Deadlines"]


class Deadlines:
    """The deadlines of one event loop, as context managers: ``with deadlines.within(30.0): …``."""

    __slots__ = ("_armed_for", "_blocks", "_timer", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self._blocks: dict[_Block, float] = {}  # each with the moment at which it must end
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0

    def within(self, seconds: float) -> _Block:
        """Return a context manager that raises `TimeoutError` if its block takes longer."""
        return _Block(self, seconds)

    def stop(self) -> None:
        """Cancel the timer, unless a block still needs it: a request may outlive the client that sent it."""
        if not self._blocks:
            self._disarm()

    def put(self, block: _Block, seconds: float) -> None:
        """Add a block that begins."""
        moment = self._blocks[block] = self.loop.time() + seconds
        if self._timer is None or moment < self._armed_for:
            self._arm(moment)

    def take_out(self, block: _Block) -> None:
        """Remove a block that ended. The timer stays: usually another block needs it before it fires."""
        self._blocks.pop(block, None)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, moment: float) -> None:
        self._disarm()
        self._timer, self._armed_for = self.loop.call_at(moment, self._end_due), moment

    def _end_due(self) -> None:
        self._timer = None
        now = self.loop.time()
        for block in [block for block, moment in self._blocks.items() if moment <= now]:
            self.take_out(block)
            block.interrupt()
        if self._blocks:
            self._arm(min(self._blocks.values()))


class _Block:
    """A block of code with a deadline. Like `asyncio.timeout`, it cancels the task and takes the cancellation back."""

    __slots__ = ("_cancelling", "_deadlines", "_interrupted", "_seconds", "_task")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines = deadlines
        self._seconds = seconds
        self._interrupted = False

    def __enter__(self) -> None:
        deadlines = self._deadlines
        self._task = cast("asyncio.Task[Any]", asyncio.current_task(deadlines.loop))
        self._cancelling = self._task.cancelling()
        deadlines.put(self, self._seconds)

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._deadlines.take_out(self)
        if not self._interrupted:
            return
        cancelled_by_others = self._task.uncancel() > self._cancelling
        if error_type is asyncio.CancelledError and not cancelled_by_others:
            raise TimeoutError from error

    def interrupt(self) -> None:
        """Cancel the block, because its deadline has passed."""
        self._interrupted = True
        self._task.cancel()
