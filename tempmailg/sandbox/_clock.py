"""The sandbox's time, which runs, stands still, or leaps to the next sleeper.

A clock *runs* (real time plus an offset) once its sandbox listens on sockets, since what happens out there takes
real time. Before that it *leaps*: it stands still until everything on the event loop waits for it, then moves to the
earliest sleeper at once, so that an hour of waiting takes milliseconds. *Frozen*, it moves only when advanced.

Whether everything waits is seen from the loop's turns: sixteen in a row in which nobody slept, woke or sent a request.
That works on any event loop and depends on no real time; threads and sockets are not seen, so freeze the clock around
tests whose outcome hangs on those.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

from attrs import define

from tempmailg._errors import ConfigurationError
from tempmailg.sandbox._checks import LATEST, check_moment, is_number

__all__ = ["Clock"]

# Turns of the event loop without a sign of life after which everything counts as waiting. Between a sleeper's waking
# and its next request or sleep lie a few turns: one for each task, queue or future that passes the news on.
_QUIET_TURNS: Final = 16


@define(eq=False)
class _Sleeper:
    """One coroutine that waits for the clock."""

    until: float
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]

    def wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def wake_threadsafe(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.wake)


@define(eq=False)
class _Watch:
    """Watches one event loop, turn by turn, until nothing but the clock can move it."""

    loop: asyncio.AbstractEventLoop
    leap: Callable[[asyncio.AbstractEventLoop], bool]
    signs: Callable[[], int]
    seen: int = -1
    quiet: int = 0

    def turn(self) -> None:
        again = self.loop.call_soon(self.turn)  # first, for a signal's handler may raise at any moment
        signs = self.signs()
        self.quiet = self.quiet + 1 if signs == self.seen else 0
        self.seen = signs
        if self.quiet >= _QUIET_TURNS:
            self.quiet = 0
            if not self.leap(self.loop):
                again.cancel()


class Clock:
    """The time of the sandbox: for mailboxes that expire, quotas that start again, and clients that wait.

    All methods may be called from any thread.

    Args:
        start: The wall clock's time at the beginning, aware; now if not given.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._lock = threading.RLock()
        self._epoch = time.time() if start is None else check_moment("start", start).timestamp()
        self._reading = 0.0  # seconds since the beginning, up to _since
        self._since: float | None = None  # real time at which it was let run; None while it stands
        self._runs = False
        self._frozen = False
        self._sleepers: list[tuple[float, int, _Sleeper]] = []
        self._order = itertools.count()
        self._signs = 0
        self._watches: dict[asyncio.AbstractEventLoop, _Watch] = {}

    def __repr__(self) -> str:
        return f"<Clock {self.mode} at {self.utcnow().isoformat(timespec='seconds')}>"

    @property
    def mode(self) -> Literal["running", "leaping", "frozen"]:
        """Whether it follows real time, leaps to the next sleeper, or moves only when advanced."""
        if self._frozen:
            return "frozen"
        return "running" if self._runs else "leaping"

    def monotonic(self) -> float:
        """Return the seconds since the clock's beginning; they never go back."""
        since = self._since
        return self._reading if since is None else self._reading + time.monotonic() - since

    def time(self) -> float:
        """Return the wall clock's time in seconds since 1970."""
        return self._epoch + self.monotonic()

    def utcnow(self) -> datetime:
        """Return the wall clock's time, aware, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Move the clock forward and wake whoever waited for that.

        Args:
            seconds: How far, in seconds; not negative.

        Raises:
            ConfigurationError: Time does not run backwards, or the sandbox's calendar ends before.
        """
        if not is_number(seconds, 0):
            raise ConfigurationError(f"seconds must be a number of at least 0, not {seconds!r}: set() goes back")
        if self.time() + seconds > LATEST:
            raise ConfigurationError("the sandbox's calendar ends with the year 8999")
        with self._lock:
            self._reading += seconds
            self._wake_due()

    def set(self, time: datetime) -> None:
        """Set the wall clock, forward or back; who waits goes on waiting as long as before.

        Args:
            time: The new time, aware.
        """
        check_moment("time", time)
        with self._lock:
            self._epoch = time.timestamp() - self.monotonic()

    def freeze(self) -> None:
        """Stop the clock: from now on only `advance` moves it."""
        with self._lock:
            self._frozen = True
            self._settle()

    def resume(self) -> None:
        """Undo `freeze`."""
        with self._lock:
            self._frozen = False
            self._settle()
            self._watch_all()

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has moved so far.

        Args:
            seconds: How far, in seconds.
        """
        if seconds <= 0:
            self.stir()
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        with self._lock:
            sleeper = _Sleeper(self.monotonic() + seconds, loop, loop.create_future())
            heapq.heappush(self._sleepers, (sleeper.until, next(self._order), sleeper))
            self.stir()
            self._watch(loop)
            alarm = loop.call_later(seconds, self._ring) if self._since is not None else None
        try:
            await sleeper.future
        finally:
            self.stir()
            if alarm is not None:
                alarm.cancel()

    def stir(self) -> None:
        """Say that something happens, so that nobody takes the moment for idle."""
        self._signs += 1

    def run(self) -> None:
        """Follow real time from now on."""
        with self._lock:
            self._runs = True
            self._settle()

    def stand(self) -> None:
        """Stop following real time."""
        with self._lock:
            self._runs = False
            self._settle()
            self._watch_all()

    def _settle(self) -> None:
        self._reading = self.monotonic()
        self._since = time.monotonic() if self.mode == "running" else None
        if self._since is not None:
            for _, _, sleeper in self._sleepers:
                sleeper.loop.call_soon_threadsafe(self._set_alarm, sleeper)

    def _set_alarm(self, sleeper: _Sleeper) -> None:
        sleeper.loop.call_later(max(0.0, sleeper.until - self.monotonic()), self._ring)

    def _ring(self) -> None:
        with self._lock:
            self._wake_due()

    def _wake_due(self) -> None:
        now = self.monotonic() + 1e-9  # a timer may ring a rounding error early
        while self._sleepers and (self._sleepers[0][0] <= now or self._sleepers[0][2].future.done()):
            heapq.heappop(self._sleepers)[2].wake_threadsafe()

    def _watch_all(self) -> None:
        for _, _, sleeper in self._sleepers:
            sleeper.loop.call_soon_threadsafe(self._watch, sleeper.loop)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if self.mode == "leaping" and loop not in self._watches:
                self._watches = {loop: watch for loop, watch in self._watches.items() if not loop.is_closed()}
                watch = self._watches[loop] = _Watch(loop, self._leap, lambda: self._signs)
                loop.call_soon(watch.turn)

    def _leap(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Move to the earliest sleeper; say whether there is reason to go on watching."""
        with self._lock:
            while self._sleepers and (self._sleepers[0][2].future.done() or self._sleepers[0][2].loop.is_closed()):
                heapq.heappop(self._sleepers)
            if not self._sleepers or self.mode != "leaping":
                del self._watches[loop]
                return False
            self._reading = max(self._reading, self._sleepers[0][0])
            self._wake_due()
            return True
