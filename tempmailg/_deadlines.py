"""The deadlines of many requests, for the price of one timer.

`asyncio.timeout(30)` puts a timer into the event loop's heap for each request, and there it stays for 30 seconds,
however soon the answer comes. Keeping thousands of them in order would be a thirtieth of a busy client's work.
"""

from __future__ import annotations

import asyncio

__all__ = ["Deadlines"]


class Deadlines:
    """Ends `asyncio.timeout` blocks when their time is over; for one event loop.

    Each block is entered as ``asyncio.timeout(None)``, put in here, and taken out before it ends.
    """

    __slots__ = ("_armed_for", "_moments", "_timer")

    def __init__(self) -> None:
        self._moments: dict[asyncio.Timeout, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = 0.0

    def put(self, block: asyncio.Timeout, seconds: float) -> None:
        """End a block in so many seconds."""
        loop = asyncio.get_running_loop()
        moment = self._moments[block] = loop.time() + seconds
        if self._timer is None or moment < self._armed_for:
            self._arm(loop, moment)

    def take_out(self, block: asyncio.Timeout) -> None:
        """Forget a block. The timer stays: mostly another request will need it before it rings."""
        self._moments.pop(block, None)

    def stop(self) -> None:
        """Forget the timer, when no block is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop, moment: float) -> None:
        self.stop()
        self._timer, self._armed_for = loop.call_at(moment, self._end_due, loop), moment

    def _end_due(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for block in [block for block, moment in self._moments.items() if moment <= now]:
            self.take_out(block)
            block.reschedule(now)
        if self._moments:
            self._arm(loop, min(self._moments.values()))
