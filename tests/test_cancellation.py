"""Interrupted at every single point where a call can be interrupted: nothing leaks, and the next run is whole."""

from __future__ import annotations

import asyncio
import errno
import http.server
import os
import signal
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define
from support.checks import CANARY, trial
from support.fault_server import RESET, STALL, Answer, Do, FaultServer, Pause, Seen, Step, expire, reply

from tempmailg import AsyncClient, Client, _core, _grace

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


# -------------------------------------------------------------------------------------------- a mailbox in the making


@asynccontextmanager
async def making(*answer: Step) -> AsyncGenerator[tuple[asyncio.Task[Any], FaultServer]]:
    """Yield a task that enters the block of a temporary mailbox, once its request has arrived, and the server."""

    def reply_to(seen: Seen) -> Answer:
        return answer if seen.line.startswith("POST") else [reply({"status": True})]

    async with FaultServer(route=reply_to) as server:
        async with AsyncClient("key", base_url=server.base_url) as client:
            task = asyncio.ensure_future(_as_coroutine(temporary(client, Path())))
            while not server.requests:  # noqa: ASYNC110 - the server is to stay simple
                await asyncio.sleep(0.001)
            yield task, server
            tasks = [each for each in asyncio.all_tasks() - {asyncio.current_task()} if "FaultServer" not in repr(each)]
            assert not tasks, tasks
        await server.quiet()


def methods(server: FaultServer) -> list[str]:
    return [seen.line.split()[0] for seen in server.requests]


MADE = reply(body=(SAMPLES / "create_mailbox.json").read_bytes())


async def test_a_mailbox_whose_making_is_cancelled_is_deleted() -> None:
    """The answer that was under way names a mailbox that nobody will use, so it is deleted before the cancel passes."""
    async with making(Pause(0.05), MADE) as (task, server):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert methods(server) == ["POST", "DELETE"]


async def test_a_timeout_around_the_making_stays_one() -> None:
    """Who bounds the block with `asyncio.timeout` gets its TimeoutError, and the mailbox is deleted."""
    limit = asyncio.timeout(None)
    async with (
        FaultServer([Do(lambda: expire(limit)), Pause(0.05), MADE], [reply({"status": True})]) as server,
        AsyncClient("key", base_url=server.base_url) as client,
    ):
        with pytest.raises(TimeoutError):
            async with limit, client.temporary_mailbox():
                pytest.fail("the answer came too early")
    assert methods(server) == ["POST", "DELETE"]


async def test_a_second_cancellation_ends_the_making_at_once() -> None:
    """Who presses Ctrl-C twice is not kept waiting for an answer."""
    async with making(STALL) as (task, server):
        task.cancel()
        await asyncio.wait([task], timeout=0.02)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert methods(server) == ["POST"]


@pytest.mark.parametrize("step", [STALL, RESET, reply({"status": False}), reply(body=b"<p>")], ids=repr)
async def test_a_cancelled_making_without_a_mailbox_is_only_cancelled(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that does not come in a moment, or names no mailbox, changes nothing about the cancellation."""
    monkeypatch.setattr(_core, "GRACE", 0.03)
    async with making(Pause(0.01), step) as (task, server):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert methods(server) == ["POST"]


async def test_a_scope_of_anyio_that_ends_leaves_no_mailbox_behind() -> None:
    """A cancelled scope of anyio cancels every await, the clean-up's too: the mailbox is deleted nevertheless."""
    async with (
        FaultServer([MADE], [Pause(0.05), reply({"status": True})]) as server,
        AsyncClient("key", base_url=server.base_url) as client,
    ):
        with anyio.CancelScope() as scope:
            async with client.temporary_mailbox():
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
    assert methods(server) == ["POST", "DELETE"]


async def test_a_scope_of_anyio_that_ends_the_making_leaves_no_mailbox_behind() -> None:
    """The answer that was under way is awaited and its mailbox deleted, although the scope cancels every await."""
    scope = anyio.CancelScope()
    async with (
        FaultServer([Do(scope.cancel), Pause(0.05), MADE], [Pause(0.05), reply({"status": True})]) as server,
        AsyncClient("key", base_url=server.base_url) as client,
    ):
        with scope:
            async with client.temporary_mailbox():
                pytest.fail("the answer came too early")
        assert scope.cancelled_caught
    assert methods(server) == ["POST", "DELETE"]


async def test_a_deletion_without_an_answer_does_not_hold_a_scope_of_anyio(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second for the clean-up is all: then the scope ends, whether the mailbox is deleted or not."""
    monkeypatch.setattr(_grace, "GRACE", 0.3)
    async with (
        FaultServer([MADE], [STALL]) as server,
        AsyncClient("key", base_url=server.base_url) as client,
    ):
        with anyio.CancelScope() as scope:
            async with client.temporary_mailbox():
                scope.cancel()
                await anyio.sleep_forever()
    assert methods(server) == ["POST", "DELETE"]


async def test_a_scope_of_anyio_around_a_client_lets_it_close() -> None:
    """The connections of a client are closed, and its background work ends, when a scope around it is cancelled."""
    async with FaultServer(route=lambda seen: [MADE] if seen.line.startswith("POST") else [STALL]) as server:
        with anyio.move_on_after(0.05) as scope:
            async with (
                AsyncClient("key", base_url=server.base_url) as client,
                client.watch(await client.create_mailbox()) as watch,
            ):
                await anext(watch)
        assert scope.cancelled_caught
        await server.quiet()
    tasks = [each for each in asyncio.all_tasks() - {asyncio.current_task()} if "FaultServer" not in repr(each)]
    assert not tasks, tasks


async def test_nothing_more_is_sent_when_the_wait_for_a_retry_is_cancelled() -> None:
    """Between two attempts nothing is under way, so that a cancellation is immediate."""
    async with making(reply({}, status=503, headers={"Retry-After": "5"})) as (task, server):
        await asyncio.wait([task], timeout=0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert methods(server) == ["POST"]


@pytest.mark.skipif(os.name != "posix", reason="Windows sends no thread Ctrl-C")
def test_ctrl_c_while_a_blocking_client_makes_a_mailbox_deletes_it() -> None:
    """KeyboardInterrupt arrives in the block's entry, and the mailbox that was in the making is gone."""
    main, seen = threading.get_ident(), list[str]()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            signal.pthread_kill(main, signal.SIGINT)
            time.sleep(0.1)
            self._answer(MADE.partition(b"\r\n\r\n")[2])

        def do_DELETE(self) -> None:
            self._answer(b'{"status": true}')

        def _answer(self, body: bytes) -> None:
            seen.append(self.command)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
            """Stay silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Client("key", base_url=f"http://127.0.0.1:{server.server_port}")
        with client, pytest.raises(KeyboardInterrupt), client.temporary_mailbox():
            pytest.fail("the answer came too early")
        server.shutdown()
    assert seen == ["POST", "DELETE"]
