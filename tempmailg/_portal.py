"""The one background thread of the process: the event loop on which every blocking client runs.

A client takes a lease on the portal with its first call, which starts the portal if there is none; the last lease to
end stops it. What goes on around a call (threads, Ctrl-C, a fork, the interpreter's exit, a client that is forgotten)
is dealt with here, so that `_blocking` knows nothing of it.

anyio is used for three things: `anyio.run` makes the loop, a `BlockingPortal` keeps it alive until the last lease ends,
and `move_on_after` limits how long an exit may take. Calls do not go through the `BlockingPortal`, since its
`start_task_soon` crosses between the threads twice: 0.17 ms a call instead of 0.04 ms, and 0.14 instead of 0.03 on
uvloop.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import sys
import threading
import warnings
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from tempmailg import _caller as caller
from tempmailg import _errors as err
from tempmailg._grace import GRACE
from tempmailg._loop import log_no_slow_steps, wants_uvloop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    CloseClient = Callable[[], Awaitable[None]]

__all__ = ["Lease", "Portal"]

P = ParamSpec("P")
T = TypeVar("T")

EXIT: Final = 2.0
"""Seconds that the interpreter's exit waits for connections to be closed."""

# A waiting thread checks now and then whether the portal still lives and, on Windows, whether Ctrl-C was pressed,
# which does not interrupt the wait for a lock there.
_CHECK_INTERVAL: Final = 0.1 if sys.platform == "win32" else 1.0


class Lease:
    """A client's right to use the process's portal; a forked child gets a lease of its own with its first call.

    Args:
        close_client: Closes the client's connections. The lease's end calls it, if there was a call before.

    Attributes:
        closed: Whether the lease has ended.
    """

    def __init__(self, close_client: CloseClient) -> None:
        self.close_client = close_client
        self.closed: bool = False
        self._portal: Portal | None = None
        self._has_warned = False

    def run(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a coroutine function on the portal's loop, and return its result when it is there."""
        self.check_caller()
        return self.portal.run(function, *args, **kwargs)

    @property
    def portal(self) -> Portal:
        """This process's portal."""
        portal = self._portal
        if portal is None or portal.pid != os.getpid():
            with _process.lock:  # else a close() in between would miss the lease
                self.check_open()
                portal = self._portal = _process.lend(self.close_client)
        return portal

    def check_caller(self) -> None:
        """Warn the caller of a public method, once for a client, if it blocks an event loop.

        Raises:
            ConfigurationError: The loop is the portal's own.
        """
        if not caller.runs_a_loop():
            return
        _process.check_caller()
        if not self._has_warned and caller.is_blocking():
            self._has_warned = True
            caller.warn()

    def check_open(self) -> None:
        """Raise if the lease has ended."""
        if self.closed:
            raise err.ClientClosedError("this client is closed: make a new one")

    def close(self) -> None:
        """End the lease; any thread may, any number of times."""
        _process.check_caller()
        with _process.lock:
            portal = self._portal
            first = not self.closed
            self.closed = True
        if first and portal is not None and portal.pid == os.getpid():
            portal.end_lease(self.close_client)
        self._portal = None  # not before: if an interrupt kept the end from beginning, `__del__` sees to it

    def __del__(self) -> None:
        portal = self._portal
        if portal is None or portal.pid != os.getpid() or self.close_client not in portal.leases:
            return
        portal.end_forgotten_lease(self.close_client)
        warnings.warn(_unclosed(1), ResourceWarning, stacklevel=1, source=self)


class Portal:
    """An event loop in a daemon thread; it takes calls as soon as it is made.

    Attributes:
        pid: The process that it works in: a fork copies the object, but not the thread.
        loop: The loop.
        leases: How to close each client that has a lease.
        forgotten: Those of them that nobody can close any more.
    """

    def __init__(self) -> None:
        self.pid: int = os.getpid()
        self.loop: asyncio.AbstractEventLoop
        self.leases: set[CloseClient] = set()
        self.forgotten: set[CloseClient] = set()
        self._tasks: set[asyncio.Task[None]] = set()  # those for which nobody waits: the loop's own set is weak
        # What is open must not be collected in a forked child, since its sockets are the parent's. So the portal holds
        # it, and the frames of its thread, which end for ever in the child without being unwound, hold the portal.
        self._entered: set[AbstractAsyncContextManager[Any]] = set()
        self._started: Future[None] = Future()
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, name="tempmailg", daemon=True)
        try:
            self._thread.start()
            self._started.result()
        except (OSError, RuntimeError) as error:
            raise err.APIConnectionError(
                f"the background thread of the blocking client cannot start ({error}), so nothing was sent: "
                "this process has no file descriptors, threads or memory left"
            ) from error
        except BaseException:
            self._started.add_done_callback(self._stop_unwanted)  # an interrupt: nobody will ever use it
            raise

    def check_caller(self) -> None:
        """Raise where waiting for the portal would never end."""
        if self.pid != os.getpid():
            raise err.ConfigurationError(
                "this was opened before the process forked, and belongs to the parent: open it again here"
            )
        if self._thread.ident == threading.get_ident():
            raise err.ConfigurationError(
                "a blocking client was used in one of its own callbacks (match=, progress=): these run on the thread "
                "that would have to do the work, so use the client before or after, or take AsyncClient"
            )

    def run(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a coroutine function on the loop and return its result.

        Raises:
            ClientClosedError: The portal was stopped before the result was there.
            ConfigurationError: The result could never be there.
        """
        self.check_caller()
        return _Call(self, partial(function, *args, **kwargs)).result()

    def step(self, function: Callable[[], Awaitable[T]], put_back: Callable[[T], None]) -> T:
        """Take the next of an iterator's values on the loop; one that an interrupt kept from its taker is put back."""

        async def revoke(value: T) -> None:
            put_back(value)

        self.check_caller()
        return _Call(self, function, revoke=revoke).result()

    def insist(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do as `run` does, but for what must not be skipped: an interrupt lets it go on for a moment.

        Raises:
            ClientClosedError: The portal was stopped before the result was there.
            ConfigurationError: The result could never be there.
        """
        self.check_caller()
        return _Call(self, partial(function, *args, **kwargs), insists=True).result()

    def enter(self, manager: AbstractAsyncContextManager[T]) -> T:
        """Enter a context manager on the loop."""
        self.check_caller()
        self._entered.add(manager)
        try:
            return _Call(self, manager.__aenter__, revoke=lambda _value: manager.__aexit__(None, None, None)).result()
        except BaseException:
            self._entered.discard(manager)
            raise

    def leave(
        self,
        manager: AbstractAsyncContextManager[Any],
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        *,
        insists: bool,
    ) -> bool | None:
        """Leave a context manager on the loop; a forked child leaves it to its parent.

        Args:
            manager: The context manager.
            error_type: The type of what ends the block, or None.
            error: What ends the block, or None.
            traceback: Its traceback, or None.
            insists: Whether an interrupt must neither keep the end from beginning nor cut it short at once.
        """
        if self.pid != os.getpid():
            return None
        leave = self.insist if insists else self.run
        try:
            return leave(self._leave, manager, error_type, error, traceback)
        finally:
            if not insists:
                self._entered.discard(manager)

    def is_inside(self, manager: AbstractAsyncContextManager[Any]) -> bool:
        """Return whether a context manager was entered on the loop, and its end has not begun there but can."""
        return manager in self._entered and not self._stopped

    def end_lease(self, close_client: CloseClient) -> None:
        """Close a client; stop with the last one."""
        try:
            self.insist(close_client)
        finally:
            if _process.retire(self, close_client):
                self.insist(self._stop)
                self._thread.join(GRACE)

    def end_forgotten_lease(self, close_client: CloseClient) -> None:
        """Close a client without waiting; safe to call in whatever thread collects garbage."""
        self.forgotten.add(close_client)
        with suppress(RuntimeError):  # the loop is closed, and everything with it
            self.loop.call_soon_threadsafe(lambda: self.spawn(self._end_forgotten(close_client)))

    def end(self) -> None:
        """Close all clients and stop."""
        with suppress(err.ClientClosedError):  # it has stopped already
            self.run(self._end_all)
            self.run(self._stop)
        self._thread.join(GRACE)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine for which nobody waits; to be called on the loop."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def is_alive(self) -> bool:
        """Return whether calls may still have results."""
        return self._thread.is_alive()

    @property
    def stopped(self) -> bool:
        """Whether no further call may begin."""
        return self._stopped

    def _serve(self) -> None:
        try:
            uvloop = wants_uvloop()
            _process.uses_libuv |= uvloop
            anyio.run(self._main, backend_options={"use_uvloop": uvloop})
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for the start
            self._started.set_exception(error)

    async def _main(self) -> None:
        async with BlockingPortal() as self._keeper:
            self.loop = asyncio.get_running_loop()
            log_no_slow_steps(self.loop)
            self._started.set_result(None)
            await self._keeper.sleep_until_stopped()

    async def _leave(
        self,
        manager: AbstractAsyncContextManager[Any],
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if manager not in self._entered:  # it was handed over twice, since an interrupt came in between
            return None
        self._entered.discard(manager)
        return await manager.__aexit__(error_type, error, traceback)

    def _stop_unwanted(self, started: Future[None]) -> None:
        if started.exception() is None:
            self.loop.call_soon_threadsafe(lambda: self.spawn(self._stop()))

    async def _stop(self) -> None:
        self._stopped = True
        await self._keeper.stop(cancel_remaining=True)  # the other tasks are cancelled as the loop ends

    async def _end_forgotten(self, close_client: CloseClient) -> None:
        try:
            await close_client()
        finally:
            if _process.retire(self, close_client):
                await self._stop()

    async def _end_all(self) -> None:
        with anyio.move_on_after(EXIT):
            while self.leases:
                with suppress(Exception):  # the others are to be closed too
                    await self.leases.pop()()


class _Call(Generic[T]):
    """A coroutine on the portal's loop, and the thread that waits for it.

    Whatever is raised in the waiting thread (Ctrl-C, or what another signal's handler raises), and at whatever moment,
    the loop decides what becomes of the coroutine, since only the loop knows how far it has come:

    ===============  =============  ==============================================  ================================
    the coroutine    has not begun  is under way                                    has ended
    ===============  =============  ==============================================  ================================
    of a plain call  never begins   is cancelled                                    its value is dropped, or revoked
    that insists     begins         has `GRACE` seconds to end, or is cancelled  nothing is left to do
    ===============  =============  ==============================================  ================================

    Args:
        portal: Where the coroutine runs.
        function: Makes the coroutine.
        revoke: Undoes what the coroutine did, if nobody is there any more to take its value.
        insists: Whether the coroutine must run in any case, because it is the end of something.
    """

    __slots__ = ("_done", "_error", "_finished", "_function", "_insists", "_portal", "_revoke", "_task", "_value")

    def __init__(
        self,
        portal: Portal,
        function: Callable[[], Awaitable[T]],
        *,
        revoke: Callable[[T], Awaitable[object]] | None = None,
        insists: bool = False,
    ) -> None:
        self._portal = portal
        self._function = function
        self._revoke = revoke
        self._insists = insists
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._finished = False
        self._done = threading.Lock()
        self._done.acquire()

    def result(self) -> T:
        """Run the coroutine and return its result."""
        try:
            if not (self._post(self._start) and self._wait()):
                error: BaseException | None = _closed()
            elif self._error is None:
                return self._value  # inside of the try, since an interrupt would lose it up to here
            else:
                error, self._error = self._error, None
        except BaseException:
            self._abandon()
            raise
        try:
            raise error or AssertionError
        finally:
            del error  # its traceback holds this frame: nothing here may hold it in turn, or only the gc frees them

    def _post(self, callback: Callable[[], object]) -> bool:
        """Hand a function to the loop; return whether there is a loop to take it."""
        try:
            self._portal.loop.call_soon_threadsafe(callback)
        except RuntimeError:  # asyncio's way to say that the loop is closed
            return False
        return True

    def _wait(self) -> bool:
        """Wait for the end; return whether it has come, and not only the portal's."""
        while not self._done.acquire(timeout=_CHECK_INTERVAL):
            if not self._portal.is_alive() and not self._finished:
                return False
        return True

    def _abandon(self) -> None:
        """Let the loop put things in order, and give it a moment for that."""
        settled = threading.Lock()
        settled.acquire()
        if self._post(lambda: self._portal.spawn(self._settle(settled))):
            settled.acquire(timeout=GRACE)

    # ------------------------------------------------------------------------------------------------- on the loop

    def _start(self) -> None:
        if self._portal.stopped:
            self._finish(_closed())
        else:
            self._task = self._portal.loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            self._value = await self._function()
        except asyncio.CancelledError:
            self._finish(_closed())
        except BaseException as error:  # noqa: BLE001 - an exit that left the task would end the loop for everybody
            self._finish(error)
        else:
            self._finish()

    def _finish(self, error: BaseException | None = None) -> None:
        self._error = error
        self._finished = True
        self._done.release()

    async def _settle(self, settled: threading.Lock) -> None:
        """Do what the table above says."""
        try:
            if self._insists:
                await self._end_in_time()
            elif self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])
            if self._revoke is not None and self._finished and self._error is None:
                await _Call(self._portal, partial(self._revoke, self._value))._run()  # noqa: SLF001 - keeps its errors
        finally:
            settled.release()

    async def _end_in_time(self) -> None:
        if self._task is None:  # the interrupt came before the coroutine was handed over
            self._start()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=GRACE)
            self._task.cancel()


class _Process:
    """The portals of this process: at most one of them takes new leases."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.uses_libuv = False
        self._portal: Portal | None = None
        self._forked_from_libuv = False
        self._exiting = False

    def check_caller(self) -> None:
        """Raise in the portal's own thread."""
        if self._portal is not None:
            self._portal.check_caller()

    def lend(self, close_client: CloseClient) -> Portal:
        """Enter a lease with the portal, which is started if need be; the lock must be held."""
        if self._exiting:
            raise err.ClientClosedError("the interpreter is exiting: no call can be made any more")
        portal = self._portal = self._portal or Portal()
        portal.leases.add(close_client)
        return portal

    def retire(self, portal: Portal, close_client: CloseClient) -> bool:
        """Remove a lease; return whether it was the portal's last, and nobody can get a new one."""
        with self.lock:
            portal.leases.discard(close_client)
            portal.forgotten.discard(close_client)
            if portal.leases:
                return False
            self._portal = None
            return True

    def forked(self) -> None:
        """Begin anew in a child: its parent's portal has no thread here, and the lock may be held for ever."""
        self.lock = threading.Lock()
        self._portal = None
        self._forked_from_libuv = self.uses_libuv

    def exit(self) -> None:
        """End what is left when the interpreter exits."""
        with self.lock:
            self._exiting = True
            portal, self._portal = self._portal, None
        if self._forked_from_libuv:
            # At the very end libuv waits for the threads that it had before the fork, and crashes, unless it has new.
            anyio.run(_use_libuv_threads, backend_options={"use_uvloop": True})
        if portal is not None:
            open_clients = len(portal.leases - portal.forgotten)
            portal.end()
            if open_clients:
                warnings.warn(_unclosed(open_clients), ResourceWarning, stacklevel=1)


def _closed() -> err.ClientClosedError:
    return err.ClientClosedError("the client was closed, or the interpreter is exiting, before the call had its result")


def _unclosed(clients: int) -> str:
    return f"{clients} Client(s) never closed: use `with Client() as client:`, or call close()"


async def _use_libuv_threads() -> None:
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", None, flags=socket.AI_NUMERICHOST)


_process = _Process()
atexit.register(_process.exit)
if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_process.forked)
