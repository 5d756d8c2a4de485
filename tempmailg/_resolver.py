"""Name resolution that holds nobody up.

`getaddrinfo` cannot be cancelled and may take many seconds. asyncio runs it in the threads of its executor, for which
the loop's end and the interpreter's exit both wait; uvloop runs it in libuv's, and crashes if it is still under way at
exit. Here each look-up has a daemon thread of its own, for which nobody waits.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aiohttp import ThreadedResolver

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DaemonResolver"]

T = TypeVar("T")


class DaemonResolver(ThreadedResolver):
    """aiohttp's resolver, on threads that nobody joins."""

    def __init__(self) -> None:
        super().__init__(cast("asyncio.AbstractEventLoop", _LookUps()))


class _LookUps:
    """The two methods of an event loop that aiohttp's resolver uses."""

    async def getaddrinfo(self, host: str, port: int, **options: int) -> list[Any]:
        """See `asyncio.loop.getaddrinfo`."""
        return await _in_daemon_thread(lambda: socket.getaddrinfo(host, port, **options))

    async def getnameinfo(self, address: tuple[Any, ...], flags: int) -> tuple[str, str]:
        """See `asyncio.loop.getnameinfo`."""
        return await _in_daemon_thread(lambda: socket.getnameinfo(address, flags))


async def _in_daemon_thread(function: Callable[[], T]) -> T:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if answer.done():  # whoever asked has given up
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(cast("T", value))

    def look_up() -> None:
        value, error = None, None
        try:
            value = function()
        except Exception as failure:  # noqa: BLE001 - raised in the coroutine that waits
            error = failure
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, value, error)

    try:
        threading.Thread(target=look_up, name="tempmailg-resolver", daemon=True).start()
    except RuntimeError as error:  # there can be no further thread
        raise OSError(errno.EAGAIN, str(error)) from None
    return await answer
