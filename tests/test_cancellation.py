"""Interrupted at every single point where a call can be interrupted: nothing leaks, and the next run is whole."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from support.checks import CANARY, trial
from support.fault_server import Answer, FaultServer, Pause, Seen, reply

from tempmailg import AsyncClient

BOX = "box@example.com"
SAMPLES = Path(__file__).parent / "samples"
CONTENT = bytes(range(256)) * 2_000


def sliced(whole: bytes) -> Answer:
    """Return an answer that comes in three pieces, so that reading it is suspended in between."""
    return [whole[:30], Pause(0.002), whole[30:-9], Pause(0.002), whole[-9:]]


ROUTES: dict[str, Answer] = {
    "GET /api/messages?": sliced(reply(body=(SAMPLES / "list_messages.json").read_bytes())),
    "POST /api/emails": sliced(reply(body=(SAMPLES / "create_mailbox.json").read_bytes())),
    "GET /api/messages/id/attachments/": sliced(reply(body=CONTENT)),
    "DELETE /api/emails/": sliced(reply({"status": True, "message": "deleted"})),
}


def route(seen: Seen) -> Answer:
    return next(answer for beginning, answer in ROUTES.items() if seen.line.startswith(beginning))


# ---------------------------------------------------------------------------------------------------------- the runs


async def create(client: AsyncClient, _folder: Path) -> Any:
    return await client.create_mailbox()


async def list_messages(client: AsyncClient, _folder: Path) -> Any:
    return await client.list_messages(BOX)


async def stream(client: AsyncClient, _folder: Path) -> Any:
    async with client.stream_attachment(("id", "file.txt")) as attachment:
        return b"".join([chunk async for chunk in attachment])


async def download(client: AsyncClient, folder: Path) -> Any:
    path = await client.download_attachment(("id", "file.txt"), folder)
    content = path.read_bytes()
    path.unlink()
    return content


async def temporary(client: AsyncClient, _folder: Path) -> Any:
    async with client.temporary_mailbox() as mailbox:
        return mailbox


async def wait(client: AsyncClient, _folder: Path) -> Any:
    return await client.wait_for_message(BOX, subject="welcome", timeout=5.0)


async def watch(client: AsyncClient, _folder: Path) -> Any:
    async with client.watch(BOX) as watched:
        return await anext(watched)


Run = Callable[[AsyncClient, Path], Awaitable[Any]]
RUNS: list[Run] = [create, list_messages, stream, download, temporary, wait, watch]


# ------------------------------------------------------------------------------------------------------- the harness


@define
class Strike:
    """Strikes once, when the run and the tasks that it starts have been suspended `at` times together.

    Args:
        at: The suspension at which to strike, counted from 1.
        main: The task that runs the call; it is what a user can cancel.
        fault: What to raise at the suspended await instead of cancelling the call.
        count: How many suspensions there were.
    """

    at: int
    main: asyncio.Task[Any] | None = None
    fault: OSError | None = None
    count: int = 0

    @property
    def has_struck(self) -> bool:
        return self.count >= self.at

    def suspended(self, waiting_for: Any) -> OSError | None:
        """Count a suspension; return what to raise there."""
        self.count += 1
        if self.count != self.at:
            return None
        if self.fault is None:
            assert self.main is not None
            self.main.cancel()
        elif waiting_for is not None:
            waiting_for._asyncio_future_blocking = False  # asyncio's mark of a future that is awaited, which it is not
            waiting_for.cancel()  # whoever was to complete it learns that nobody waits any more
        return self.fault


_strike: ContextVar[Strike | None] = ContextVar("strike", default=None)


class Stepped(Coroutine[Any, Any, Any]):
    """A coroutine that reports each of its suspensions."""

    def __init__(self, inner: Coroutine[Any, Any, Any], strike: Strike) -> None:
        self._inner = inner
        self._strike = strike

    def send(self, value: Any) -> Any:
        return self._reported(self._inner.send(value))

    def throw(self, *error: Any) -> Any:
        return self._reported(self._inner.throw(*error))

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError("a task drives it")

    def _reported(self, waiting_for: Any) -> Any:
        fault = self._strike.suspended(waiting_for)
        return waiting_for if fault is None else self.throw(fault)


def stepping_factory(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
    """Make the tasks of a struck run report their suspensions; those of the server, say, are left alone."""
    strike = _strike.get()
    return asyncio.Task(coro if strike is None else Stepped(coro, strike), loop=loop, **more)


async def struck(run: Run, client: AsyncClient, folder: Path, strike: Strike) -> BaseException | None:
    """Run with a strike, and return what the run ended with."""
    token = _strike.set(strike)
    try:
        strike.main = asyncio.ensure_future(_as_coroutine(run(client, folder)))
    finally:
        _strike.reset(token)
    done, _ = await asyncio.wait([strike.main], timeout=10.0)
    assert done, f"a strike at suspension {strike.at} makes the call hang"
    return asyncio.CancelledError() if strike.main.cancelled() else strike.main.exception()


async def _as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@pytest.mark.parametrize("fault", [None, "OSError"], ids=["cancelled", "OSError"])
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
async def test_an_interruption_anywhere_leaves_nothing_behind(
    run: Run, fault: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At each suspension point: a cancel is one CancelledError, a fault ends the call, and the next run is clean."""
    asyncio.get_running_loop().set_task_factory(stepping_factory)
    folder = tmp_path / "downloads"
    temporary_folder = tmp_path / "temporary"
    folder.mkdir()
    temporary_folder.mkdir()
    server = FaultServer(route=route)

    async def strike_everywhere(_client: AsyncClient) -> int:
        at = 0
        while True:
            at += 1
            strike = Strike(at, fault=OSError(errno.EIO, "struck") if fault else None)
            tasks = asyncio.all_tasks()
            async with AsyncClient(CANARY, base_url=server.base_url) as client:
                ended = await struck(run, client, folder, strike)
                if not strike.has_struck:
                    assert ended is None
                    return at - 1
                assert fault or isinstance(ended, asyncio.CancelledError), f"at {at}: {ended!r}"
                assert list(folder.iterdir()) == [], f"at {at}"
                expected = await run(client, folder)
                assert expected is not None
            await server.quiet()
            left = {task for task in asyncio.all_tasks() - tasks if "FaultServer" not in repr(task)}
            assert not left, f"at {at}: {left}"

    outcome = await trial(
        strike_everywhere, server, monkeypatch, temporary_folder, requests=None, deadline=50.0, patient=True
    )
    if outcome.error is not None:
        raise outcome.error
    assert outcome.value >= 3, "the harness must have struck"
