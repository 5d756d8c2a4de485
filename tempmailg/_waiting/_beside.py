"""Users' own functions: plain or async, in the event loop or, where others share that loop, in threads beside it."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_threads
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["answer_of"]

T = TypeVar("T")
R = TypeVar("R")

QUICK: Final = (
    0.005  # seconds for which the event loop waits for a thread: most functions are faster than the way there
)


def answer_of(function: Callable[[T], R | Awaitable[R]], item: T, *, beside: bool) -> R | Awaitable[R]:
    """Return what a function makes of an item, or what to await for it.

    Args:
        function: The user's function.
        item: What it is called with.
        beside: Whether a plain function runs in a thread of its own, since it may be slow and others share the loop.
    """
    if not beside or inspect.iscoroutinefunction(function):
        return function(item)
    answer: Future[Any] = Future()
    Thread(target=_call, args=(answer, copy_context().run, function, item), daemon=True).start()
    wait_for_threads([answer], QUICK)
    return answer.result() if answer.done() else _awaited(answer)


async def _awaited(answer: Future[Any]) -> Any:  # noqa: ANN401 - whatever the function returns
    result = await asyncio.wrap_future(answer)
    return await result if inspect.isawaitable(result) else result


def _call(answer: Future[Any], run: Callable[..., object], function: Callable[..., object], item: object) -> None:
    try:
        answer.set_result(run(function, item))
    except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
        answer.set_exception(error)
