"""The blocking client: the asynchronous one, from any thread. What needs a process of its own is in test_portal."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import re
import signal
import threading
import traceback
import warnings
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from multidict import CIMultiDict
from support.scripted import ScriptedTransport, answer, refusal

from tempmailg import (
    APIConnectionError,
    AsyncClient,
    Client,
    ClientClosedError,
    ConfigurationError,
    MailboxGoneError,
    NotFoundError,
    QuotaExceededError,
    ServerError,
    TempMailError,
    WaitTimeoutError,
    _caller,
    _portal,
)
from tempmailg.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tempmailg import Message
    from tempmailg.transport import Request, Response

DOMAINS = answer({"status": True, "data": {"requestedType": "free", "allowedTypes": ["free"], "domains": []}})


@pytest.fixture
def sandbox() -> Sandbox:
    """A sandbox in process and in virtual time."""
    return Sandbox()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """A blocking client of that sandbox."""
    with Client(transport=sandbox.transport()) as blocking:
        yield blocking


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Make sure that each test ends with the threads with which it began."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class Handmade(ScriptedTransport):
    """A transport that runs the test's own coroutine function for each request."""

    def __init__(self, respond: Callable[[Request], Any]) -> None:
        super().__init__(DOMAINS)
        self.respond = respond

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        return await self.respond(request) or DOMAINS


# ------------------------------------------------------------------------------------------------- what the client can


def test_every_endpoint_answers(client: Client, sandbox: Sandbox) -> None:
    """Each endpoint takes and returns the values of the asynchronous client."""
    assert client.quota is None
    assert client.list_domains("free").requested_type == "free"
    made = client.create_mailbox()
    mailbox = client.update_mailbox(made, "ada", made.domain)
    assert mailbox.email == f"ada@{made.domain}"
    key = sandbox.deliver(mailbox, subject="Hello")
    assert [message.id for message in client.list_messages(mailbox)] == [key]
    message = client.get_message(key)
    assert message.subject == "Hello"
    client.delete_message(message)
    client.delete_mailbox(mailbox)
    with pytest.raises(NotFoundError):
        client.list_messages(mailbox)
    assert client.quota is not None
    assert client.quota.used == 7


def test_a_stream_gives_all_bytes_and_says_what_it_is(client: Client, sandbox: Sandbox) -> None:
    """A stream has name, size and type, is iterated in a `for`, and is used up then."""
    data = bytes(range(256)) * 4096
    key = sandbox.deliver(client.create_mailbox(), attachments=[("data.bin", data)])
    with client.stream_attachment(client.get_message(key).attachments[0]) as stream:
        assert (stream.name, stream.size) == ("data.bin", len(data))
        assert stream.content_type == "application/octet-stream"
        assert repr(stream) == "<BlockingAttachmentStream 'data.bin'>"
        assert b"".join(stream) == data
        assert list(stream) == []


def test_a_chunk_is_given_as_soon_as_it_is_there() -> None:
    """The consumer holds the first bytes of a file while the service still thinks about the next."""
    consumed = threading.Event()

    class Hesitant:
        status = 200
        headers = CIMultiDict({"Content-Length": "8"})
        pieces = iter([b"one,", b"two."])

        async def read(self, timeout: float) -> bytes:
            piece = next(self.pieces, b"")
            if piece == b"two.":
                assert await asyncio.to_thread(consumed.wait, 30.0)
            return piece

        def close(self) -> None: ...

    class Streaming(ScriptedTransport):
        async def stream(self, request: Request, *, timeout: float) -> Any:
            return Hesitant()

    with Client("key", transport=Streaming(DOMAINS)) as client, client.stream_attachment(("m", "a.txt")) as stream:
        assert next(stream) == b"one,"
        consumed.set()
        assert list(stream) == [b"two."]


def test_downloads_land_in_files(client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    """Downloads work as in the asynchronous client, and report their progress."""
    key = sandbox.deliver(client.create_mailbox(), attachments=[("a.txt", b"first"), ("b.txt", b"second")])
    message = client.get_message(key)
    reports: list[tuple[int, int | None]] = []

    def record(received: int, size: int | None) -> None:
        reports.append((received, size))

    path = client.download_attachment(message.attachments[0], tmp_path, progress=record)
    assert (path.name, path.read_bytes()) == ("a.txt", b"first")
    assert reports[-1] == (5, 5)
    paths = client.download_attachments(message, tmp_path / "all")
    assert [each.read_bytes() for each in paths] == [b"first", b"second"]


def test_a_temporary_mailbox_lasts_for_its_block(client: Client) -> None:
    """The mailbox exists in the block, and no longer behind it, however the block is left."""
    with client.temporary_mailbox() as mailbox:
        assert client.list_messages(mailbox) == []
    with pytest.raises(NotFoundError):
        client.list_messages(mailbox)
    with pytest.raises(KeyError), client.temporary_mailbox() as mailbox:
        raise KeyError
    with pytest.raises(NotFoundError):
        client.list_messages(mailbox)


def test_waits_find_what_they_wait_for(client: Client, sandbox: Sandbox) -> None:
    """Each wait returns what the asynchronous one returns, and raises what that raises."""
    mailbox = client.create_mailbox()
    link = "https://example.com/confirm?token=Zk3vQ9xT7bWm2LpR8sYc"
    text = f"Your verification code is 482913.\n\nConfirm your address:\n{link}\n"
    key = sandbox.deliver(mailbox, subject="Welcome", text=text)
    assert client.wait_for_message(mailbox, subject="welcome").id == key
    assert [
        each.id for each in client.wait_for_messages(mailbox, count=1, match=lambda each: "482913" in each.text)
    ] == [key]
    assert client.wait_for_code(mailbox) == "482913"
    assert client.wait_for_link(mailbox) == link
    client.assert_no_message(mailbox, within=5.0, subject="goodbye")
    with pytest.raises(WaitTimeoutError):
        client.wait_for_message(mailbox, timeout=5.0, subject="goodbye")


def test_an_expected_message_is_known_behind_the_block(client: Client, sandbox: Sandbox) -> None:
    """What came before the block does not count, and what came in it is there behind it."""
    mailbox = client.create_mailbox()
    sandbox.deliver(mailbox, subject="old")
    with client.expect_message(mailbox) as expected:
        with pytest.raises(ConfigurationError):
            _ = expected.message
        key = sandbox.deliver(mailbox, subject="new")
    assert expected.message.id == key
    assert repr(expected) == f"<BlockingExpectedMessage {key}>"


def test_a_watch_tells_each_message_once(client: Client, sandbox: Sandbox) -> None:
    """Mailboxes are added and discarded on the way; what was seen can be asked for even behind the client's end."""
    one, two, three = (client.create_mailbox() for _ in range(3))
    gone: list[MailboxGoneError] = []
    first, second = sandbox.deliver(one), sandbox.deliver(two)
    watch = client.watch(one, three, on_gone=gone.append)
    watch.discard(three)
    with watch:
        assert next(watch).id == first
        watch.add(two)
        assert next(watch).id == second
        assert watch.health.mailboxes == 2
        client.delete_mailbox(one)
        client.delete_mailbox(two)
        assert list(watch) == []
    assert {error.email for error in gone} == {one.email, two.email}
    mailbox = client.create_mailbox()
    delivered = sandbox.deliver(mailbox)
    with client.watch(mailbox) as watch:
        assert [next(watch).id] == [delivered]
        sandbox.deliver(mailbox)
        next(watch)
        client.close()
    assert watch.seen() == {mailbox.email: [delivered]}


def test_options_make_siblings(client: Client) -> None:
    """A sibling shares everything but its options, and closing either closes both."""
    sibling = client.with_options(timeout=1.0, max_retries=0)
    sibling.list_domains()
    assert client.quota == sibling.quota is not None
    sibling.close()
    with pytest.raises(ClientClosedError):
        client.list_domains()
    with pytest.raises(ConfigurationError):
        client.with_options(timeout=-1)


def test_a_budget_bounds_the_block_in_its_own_thread(client: Client) -> None:
    """The budget counts what the block sends, and nothing of what other threads send meanwhile."""
    with ThreadPoolExecutor(1) as other, client.budget(1):
        client.list_domains()
        other.submit(client.list_domains).result()
        with pytest.raises(QuotaExceededError):
            client.list_domains()
    client.list_domains()


# --------------------------------------------------------------------------------------------------------------- errors


def test_errors_are_those_of_the_asynchronous_client() -> None:
    """Class, fields and traceback of an error pass between the threads."""
    client = Client("key", transport=ScriptedTransport(refusal(500)), max_retries=0)
    with client, pytest.raises(ServerError) as caught:
        client.list_domains()
    assert (caught.value.status, caught.value.call) == (500, "list_domains")
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[0] == "test_errors_are_those_of_the_asynchronous_client"
    assert frames[-1] == "_raised"


def test_an_error_dies_with_its_last_user(client: Client) -> None:
    """No cycle of error, traceback and frame keeps an error, and what its frames hold, until the garbage collection."""

    async def fail() -> None:
        raise NotFoundError

    seen: list[weakref.ref[NotFoundError]] = []
    gc.disable()
    try:
        try:
            client._lease.run(fail)
        except NotFoundError as error:
            seen.append(weakref.ref(error))
        assert seen[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_would_end_the_loop_ends_the_call_only(kind: type[BaseException]) -> None:
    """A BaseException that leaves a callback is raised in the caller, and the portal lives on for everybody."""

    async def fail(request: Request) -> None:
        if request.method == "POST":
            raise kind

    with Client("key", transport=Handmade(fail)) as client:
        with pytest.raises(kind):
            client.create_mailbox()
        client.list_domains()


# -------------------------------------------------------------------------------------------------------------- threads


def test_a_slow_call_does_not_delay_others() -> None:
    """While one thread waits for the service, another one's calls go on."""
    begun, answered = threading.Event(), asyncio.Event()

    async def respond(request: Request) -> None:
        if request.method == "DELETE":
            begun.set()
            await answered.wait()
        else:
            answered.set()

    with Client("key", transport=Handmade(respond)) as client, ThreadPoolExecutor(1) as other:
        slow = other.submit(client.delete_mailbox, "a@example.com")
        begun.wait()
        client.list_domains()
        slow.result()


def test_all_clients_share_one_thread(sandbox: Sandbox) -> None:
    """The second client uses the portal of the first, and the portal outlives whichever is closed before the other."""
    one, two = Client(transport=sandbox.transport()), Client(transport=sandbox.transport())
    before = threading.active_count()
    with one:
        one.list_domains()
        with two:
            two.list_domains()
            assert threading.active_count() == before + 1
        one.list_domains()
    assert threading.active_count() == before


def test_a_client_that_sent_nothing_has_no_thread(sandbox: Sandbox) -> None:
    """The thread starts with the first call: making, entering and closing a client costs none."""
    before = threading.active_count()
    with Client(transport=sandbox.transport()) as client:
        assert threading.active_count() == before
    assert repr(client) == f"<Client {sandbox.transport().base_url} timeout=30 max_retries=2 closed>"


# ---------------------------------------------------------------------------------------------------------- event loops


@pytest.mark.parametrize("first", ["list_domains", "watch", "with_options"])
async def test_a_call_in_a_coroutine_warns_once(client: Client, first: str) -> None:
    """A call that blocks the caller's loop works; the client says once, at the caller's line, what to use instead."""
    calls: dict[str, Callable[[], object]] = {
        "list_domains": client.list_domains,
        "watch": lambda: client.watch("a@example.com"),
        "with_options": lambda: client.with_options(timeout=1.0).list_domains(),
    }
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        calls[first]()
        client.create_mailbox()
        with client.temporary_mailbox():
            pass
    (warning,) = warned
    name = "watch" if first == "watch" else "list_domains"
    assert str(warning.message).endswith(f"use AsyncClient.{name} there")
    assert (warning.category, warning.filename) == (RuntimeWarning, __file__)


async def test_a_call_beside_a_loop_that_it_does_not_block_is_silent(client: Client) -> None:
    """What runs in a callback of the loop, as programs under Playwright's sync API do, blocks no task."""
    answered = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: answered.set_result(client.list_domains()))
    assert (await answered).requested_type == "free"


async def test_a_caller_that_blocks_knowingly_is_not_warned(client: Client) -> None:
    """The fixtures of the pytest plugin set up and tear down wherever pytest does, and trouble nobody with that."""
    with _caller.without_warning():
        client.list_domains()
    with pytest.warns(RuntimeWarning, match="list_domains blocks the event loop"):
        client.list_domains()


@pytest.mark.parametrize("use", ["list_domains", "stream_attachment", "close"])
def test_a_callback_must_not_use_a_client(use: str) -> None:
    """What would wait for itself for ever is refused, whichever client the callback uses; the outer call goes on."""
    refused: list[str] = []

    async def call_back(_request: Request) -> None:
        for each in (client, other):
            with pytest.raises(ConfigurationError, match="in one of its own callbacks") as caught:
                getattr(each, use)(*[("m", "a.txt")] * (use == "stream_attachment"))
            refused.append(str(caught.value))

    transport = Handmade(call_back)
    with Client("key", transport=transport) as client, Client("key", transport=transport) as other:
        assert client.list_domains().domains == ()
    assert len(refused) == 2


def test_a_predicate_may_use_its_client(client: Client, sandbox: Sandbox) -> None:
    """A plain predicate runs in a thread of its own, so it may read a stream and send requests."""
    mailbox = client.create_mailbox()
    key = sandbox.deliver(mailbox, attachments=[("a.txt", b"data")])
    with client.stream_attachment((key, "a.txt")) as stream:

        def read(message: Message) -> bool:
            return next(stream) == b"data" and client.get_message(message).id == message.id

        assert client.wait_for_message(mailbox, match=read).id == key


def test_a_slow_predicate_stops_no_other_client(client: Client, sandbox: Sandbox) -> None:
    """While a predicate thinks, other clients of the process go on."""
    mailbox = client.create_mailbox()
    key = sandbox.deliver(mailbox)
    thinking, thought = threading.Event(), threading.Event()

    def think(_message: Message) -> bool:
        thinking.set()
        return thought.wait(10)

    with ThreadPoolExecutor(1) as pool, Client(transport=sandbox.transport()) as other:
        waiting = pool.submit(client.wait_for_message, mailbox, match=think)
        assert thinking.wait(10)
        assert other.list_domains().domains
        thought.set()
        assert waiting.result(10).id == key


def test_messages_are_handled_by_several_threads(client: Client, sandbox: Sandbox) -> None:
    """`process` runs plain handlers side by side, and ends when the last mailbox is gone."""
    mailbox = client.create_mailbox()
    for _ in range(2):
        sandbox.deliver(mailbox)
    together = threading.Barrier(2, timeout=10)
    handled: list[str] = []

    def handle(message: Message) -> None:
        together.wait()
        handled.append(message.id)
        if len(handled) == 2:
            client.delete_mailbox(mailbox)

    with client.watch(mailbox, poll_interval=0.2) as watch:
        watch.process(handle, workers=2)
    assert len(set(handled)) == 2


# -------------------------------------------------------------------------------------------------------------- closing


def test_after_close_everything_is_refused(client: Client, sandbox: Sandbox) -> None:
    """Calls, streams and blocks of a closed client raise ClientClosedError; closing it again is nothing."""
    mailbox = client.create_mailbox()
    client.close()
    client.close()
    refused: list[Callable[[], object]] = [
        client.list_domains,
        client.with_options(timeout=1.0).create_mailbox,
        client.__enter__,
        client.stream_attachment(("m", "a.txt")).__enter__,
        client.temporary_mailbox().__enter__,
        client.expect_message(mailbox).__enter__,
        client.watch(mailbox).__enter__,
    ]
    for use in refused:
        with pytest.raises(ClientClosedError):
            use()
    assert len(sandbox.journal) == 1


def test_what_is_open_when_the_client_is_closed_can_be_left(client: Client, sandbox: Sandbox) -> None:
    """A stream and a watch end with their client: reading on raises, leaving does not."""
    mailbox = client.create_mailbox()
    key = sandbox.deliver(mailbox, attachments=[("a.txt", b"data")])
    with client.stream_attachment((key, "a.txt")) as stream, client.watch(mailbox) as watch:
        client.close()
        for iterator in (stream, watch):
            with pytest.raises(ClientClosedError):
                next(iterator)


def test_a_temporary_mailbox_that_cannot_be_deleted_says_so(client: Client) -> None:
    """A block that outlives its client raises at its end, since its mailbox was not deleted."""
    with pytest.raises(ClientClosedError), client.temporary_mailbox():
        client.close()


def test_many_threads_may_close_at_once(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    """Whoever comes first closes the connections, once."""
    closed: list[AsyncClient] = []
    close = AsyncClient.close

    async def count(self: AsyncClient) -> None:
        closed.append(self)
        await close(self)

    monkeypatch.setattr(AsyncClient, "close", count)
    client = Client(transport=sandbox.transport())
    client.list_domains()
    barrier = threading.Barrier(8)

    def race() -> None:
        barrier.wait()
        client.close()

    with ThreadPoolExecutor(8) as pool:
        for closing in [pool.submit(race) for _ in range(8)]:
            closing.result()
    assert len(closed) == 1


def test_closing_ends_the_calls_of_other_threads() -> None:
    """A call that waits in another thread when the client is closed ends with ClientClosedError."""
    begun = threading.Event()

    async def never(_request: Request) -> None:
        begun.set()
        await asyncio.Event().wait()

    client = Client("key", transport=Handmade(never))
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(client.list_domains)
        begun.wait()
        client.close()
        with pytest.raises(ClientClosedError):
            waiting.result()


def test_clients_closed_in_the_midst_of_work_end_all_of_it(sandbox: Sandbox) -> None:
    """However opening, calling and closing meet in many threads, each call has a result or one of our errors."""

    def work(number: int) -> bool:
        client = clients[number % 3]
        try:
            client.list_domains()
            if number % 7 == 0:
                client.close()
                clients[number % 3] = Client(transport=sandbox.transport())
        except TempMailError:
            return False
        return True

    clients = [Client(transport=sandbox.transport()) for _ in range(3)]
    made = [*clients]
    with ThreadPoolExecutor(8) as pool:
        assert any(pool.map(work, range(400)))
    for client in {*clients, *made}:
        client.close()
    gc.collect()


def test_a_client_holds_secrets_and_is_never_copied(client: Client) -> None:
    """Pickling and copying are refused, and nothing is in the repr."""
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            attempt(client)
    assert re.fullmatch(r"<Client http://[a-z0-9.:/]+ timeout=30 max_retries=2>", repr(client))


async def test_a_session_is_refused() -> None:
    """An aiohttp session cannot follow the client to its own loop, and the error says who takes one."""
    import aiohttp

    async with aiohttp.ClientSession() as session:
        with pytest.raises(ConfigurationError, match="give it to AsyncClient"):
            Client("key", session=session)


def test_a_bad_setting_is_refused_without_showing_the_key() -> None:
    """An error of the constructor has nothing of the key, in its text or in its traceback's frames."""
    with pytest.raises(ConfigurationError) as caught:
        Client("sk-secret", timeout=-1.0)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename != __file__]
    assert frames
    assert "sk-secret" not in f"{caught.value!r} {[frame.locals for frame in frames]}"


# ----------------------------------------------------------------------------------------- white-box: the portal itself


@pytest.mark.skipif(os.name != "posix", reason="Windows sends no thread Ctrl-C")
def test_a_clean_up_without_end_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C takes effect after a moment, even if what was cancelled refuses to end."""
    monkeypatch.setattr(_portal, "GRACE", 0.01)
    ended = asyncio.Event()
    main = threading.get_ident()

    async def stubborn(_request: Request) -> None:
        signal.pthread_kill(main, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            await ended.wait()

    async def end() -> None:
        ended.set()

    with Client("key", transport=Handmade(stubborn)) as client:
        with pytest.raises(KeyboardInterrupt):
            client.list_domains()
        client._lease.run(end)


def test_a_long_call_outlasts_every_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """A waiting thread that finds the portal alive goes on waiting."""
    monkeypatch.setattr(_portal, "_CHECK_INTERVAL", 0.001)

    async def take_long(_request: Request) -> None:
        await asyncio.sleep(0.02)

    with Client("key", transport=Handmade(take_long)) as client:
        assert client.list_domains().domains == ()


def test_a_loop_that_cannot_start_is_tried_anew(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    """What keeps the loop from starting becomes an error of this package; the next call may have more luck."""

    def fail(*_args: object, **_options: object) -> None:
        raise OSError(24, "Too many open files")

    with Client(transport=sandbox.transport()) as client:
        with monkeypatch.context() as patched:
            patched.setattr(anyio, "run", fail)
            with pytest.raises(APIConnectionError, match="Too many open files") as caught:
                client.list_domains()
        assert not caught.value.sent
        client.list_domains()


def test_ctrl_c_while_the_thread_starts_leaves_none(monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    """A thread for which nobody waited until it had started ends by itself, and the next call starts another."""

    class Interrupted(Future[None]):
        def result(self, timeout: float | None = None) -> None:
            raise KeyboardInterrupt

    with Client(transport=sandbox.transport()) as client:
        with monkeypatch.context() as patched:
            patched.setattr(_portal, "Future", Interrupted)
            with pytest.raises(KeyboardInterrupt):
                client.list_domains()
        for thread in threading.enumerate():
            if thread.name == "tempmailg":
                thread.join(20.0)
                assert not thread.is_alive()
        client.list_domains()


def test_a_stopped_portal_refuses_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever moment of the portal's end a call meets, it raises ClientClosedError and does not wait for ever."""
    monkeypatch.setattr(_portal, "_CHECK_INTERVAL", 0.01)
    portal = _portal.Portal()
    portal._stopped = True
    with pytest.raises(ClientClosedError):  # the stop was ordered
        portal.run(asyncio.sleep, 0)
    portal._stopped = False
    portal.run(portal._stop)
    portal._thread.join()
    with pytest.raises(ClientClosedError):  # the loop is closed
        portal.run(asyncio.sleep, 0)

    def take(_callback: object) -> None: ...

    monkeypatch.setattr(portal.loop, "call_soon_threadsafe", take)
    with pytest.raises(ClientClosedError):  # the loop was closed right after it had taken the call
        portal.run(asyncio.sleep, 0)
    portal.end()
