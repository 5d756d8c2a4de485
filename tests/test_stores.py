"""The stores that watches share: one claim at a time, leases that end, files that survive a kill."""

from __future__ import annotations

import asyncio
import inspect
import json
import multiprocessing
import os
import pickle
import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from support.redis_server import needs_redis, redis_server

from tempmailg import AsyncClient, Client, ConfigurationError, FileStore, Mailbox, Message, RedisStore
from tempmailg._stores import _file
from tempmailg.sandbox import Sandbox

BOX = "ann@example.com"


async def settled(answer: object) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


# --------------------------------------------------------------------------------------------- the contract of a store


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(params=["file", pytest.param("redis", marks=needs_redis)])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Make any number of stores that share what they know: each stands for a worker."""
    if request.param == "file":
        return partial(FileStore, tmp_path / "seen.log")
    return partial(RedisStore, request.getfixturevalue("redis_url"), prefix=tmp_path.name)


async def close(*stores: FileStore | RedisStore) -> None:
    for store in stores:
        if isinstance(store, RedisStore):
            await store.close()


async def test_a_message_is_claimed_once(make_store: Any) -> None:
    """Of two workers one gets a message, whether it is being handled or was handled."""
    one, two = make_store(), make_store()
    assert [await settled(store.claim(BOX, "a")) for store in (one, two, one)] == [True, False, False]
    assert await settled(two.seen(BOX)) == []
    await settled(one.done(BOX, "a"))
    assert not await settled(two.claim(BOX, "a"))
    assert list(await settled(two.seen(BOX))) == ["a"]
    assert await settled(two.claim("bob@example.com", "a")), "the same id in another mailbox is another message"
    await close(one, two)


async def test_a_lease_ends(make_store: Any) -> None:
    """What a worker claimed and never handled is free when its lease has run out; what was handled is not."""
    one, two = make_store(lease=0.05), make_store(lease=60)
    assert await settled(one.claim(BOX, "left behind"))
    assert await settled(one.claim(BOX, "handled"))
    await settled(one.done(BOX, "handled"))
    await asyncio.sleep(0.1)
    assert await settled(two.claim(BOX, "left behind"))
    assert not await settled(two.claim(BOX, "handled"))
    assert not await settled(one.claim(BOX, "left behind")), "the new lease is the other worker's"
    await close(one, two)


async def test_what_was_handled_is_forgotten_in_the_end(make_store: Any) -> None:
    """After the time to keep it, a store remembers nothing of a message."""
    store = make_store(lease=0.05, keep=0.05)
    assert await settled(store.claim(BOX, "a"))
    await settled(store.done(BOX, "a"))
    await asyncio.sleep(0.1)
    assert await settled(store.seen(BOX)) == []
    assert await settled(store.claim(BOX, "a"))
    await close(store)


def test_bad_times_are_refused(tmp_path: Path) -> None:
    """A lease that outlives the memory of handled messages is a mistake."""
    with pytest.raises(ConfigurationError, match="keep must not be shorter than lease"):
        FileStore(tmp_path / "seen", lease=60, keep=59)
    with pytest.raises(ConfigurationError, match="lease"):
        RedisStore("redis://localhost", lease=-1)
    with pytest.raises(ConfigurationError, match="redis://host:6379/0"):
        RedisStore("http://localhost:secret@")


def test_a_redis_store_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra there is one line of advice."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tempmailg\[redis\]'"):
        RedisStore("redis://localhost")


async def test_the_password_of_redis_is_in_no_repr() -> None:
    """A store may be logged."""
    store = RedisStore("redis://:swordfish@localhost/0")
    assert repr(store) == "<RedisStore 'tempmailg'>"
    await store.close()


# ------------------------------------------------------------------------------------------------------------ the file


def claims_of(path: Path, ids: list[str]) -> list[str]:
    store = FileStore(path)
    return [message_id for message_id in ids if store.claim(BOX, message_id)]


def test_processes_share_a_file(tmp_path: Path) -> None:
    """Several processes that claim the same messages at the same time get each message once."""
    ids = [f"m{number}" for number in range(300)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        claimed = pool.starmap(claims_of, [(tmp_path / "seen.log", ids)] * 3)
    assert sorted(chain.from_iterable(claimed)) == sorted(ids)


def test_threads_share_a_file_store(tmp_path: Path) -> None:
    """Several threads may use one store."""
    store, claimed = FileStore(tmp_path / "seen.log"), list[str]()
    ids = [f"m{number}" for number in range(100)]
    threads = [Thread(target=lambda: claimed.extend(key for key in ids if store.claim(BOX, key))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(ids)


def test_a_line_that_a_kill_has_cut_is_ignored(tmp_path: Path) -> None:
    """A torn line is no claim, and what is appended next is whole."""
    path = tmp_path / "seen.log"
    FileStore(path).claim(BOX, "a")
    with path.open("ab") as file:
        file.write(b'["claim","ann@exam')
    store = FileStore(path)
    assert not store.claim(BOX, "a")
    assert store.claim(BOX, "b")
    assert [json.loads(line)[2] for line in path.read_text(encoding="utf-8").splitlines()] == ["a", "b"]


def test_the_file_stays_small_and_the_others_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of which most means nothing any more is written anew, and a store that has read the old one goes on."""
    monkeypatch.setattr(_file, "WASTE", 50)
    path = tmp_path / "seen.log"
    other, store = FileStore(path), FileStore(path)
    other.claim(BOX, "first")
    for number in range(200):
        store.claim(BOX, f"m{number}")
        store.done(BOX, f"m{number}")
    assert len(path.read_bytes().splitlines()) < 400
    assert not other.claim(BOX, "m199")
    assert not store.claim(BOX, "first")
    assert len(other.seen(BOX)) == 200
    assert {each.name for each in tmp_path.iterdir()} == {"seen.log", "seen.log.lock"}


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """Nothing that is no store is overwritten."""
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="give another path"):
        FileStore(path)
    with pytest.raises(ConfigurationError, match="the store cannot be used"):
        FileStore(tmp_path / "missing" / "seen.log")
    assert path.read_text(encoding="utf-8") == "Dear diary\n"


@pytest.mark.skipif(os.name != "posix", reason="Windows has neither FIFOs nor devices of these names")
def test_a_store_in_what_is_no_ordinary_file_is_refused(tmp_path: Path) -> None:
    """A FIFO would be waited for, and a device read, for ever."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("fifo", "device"):
        with pytest.raises(ConfigurationError, match="no ordinary file"):
            FileStore(tmp_path / name)


def test_a_file_store_can_be_sent_to_workers(tmp_path: Path) -> None:
    """Pools and queues pickle it."""
    FileStore(tmp_path / "seen.log").claim(BOX, "a")
    assert not pickle.loads(pickle.dumps(FileStore(tmp_path / "seen.log"))).claim(BOX, "a")


# --------------------------------------------------------------------------------------------------- watches that share


class VirtualStore:
    """A store in memory whose leases end by the sandbox's clock."""

    def __init__(self, service: Sandbox, lease: float = 60.0) -> None:
        self.service, self.lease = service, lease
        self.leases: dict[tuple[str, str], float] = {}
        self.handled: list[tuple[str, str]] = []
        self.failures = 0

    async def seen(self, mailbox: str) -> list[str]:
        return [key for box, key in self.handled if box == mailbox]

    async def claim(self, mailbox: str, message_id: str) -> bool:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the store is away")
        key = mailbox, message_id
        if key in self.handled or self.leases.get(key, 0.0) > self.service.clock.monotonic():
            return False
        self.leases[key] = self.service.clock.monotonic() + self.lease
        return True

    async def done(self, mailbox: str, message_id: str) -> None:
        self.handled.append((mailbox, message_id))


class TwoMethods:
    """The least that a store may be: plain methods, no leases."""

    def __init__(self) -> None:
        self.claimed: set[tuple[str, str]] = set()

    def seen(self, mailbox: str) -> list[str]:
        return [key for box, key in self.claimed if box == mailbox]

    def claim(self, mailbox: str, message_id: str) -> bool:
        is_new = (mailbox, message_id) not in self.claimed
        self.claimed.add((mailbox, message_id))
        return is_new


@pytest.fixture
def service() -> Sandbox:
    return Sandbox()


@pytest.fixture
async def boxes(service: Sandbox) -> list[Mailbox]:
    async with AsyncClient(transport=service.transport()) as client:
        return [await client.create_mailbox() for _ in range(3)]


async def collect(service: Sandbox, boxes: list[Mailbox], **options: Any) -> list[str]:
    """Return the subjects that a watch of its own delivers until the mailboxes are gone."""
    async with AsyncClient(transport=service.transport()) as client, client.watch(*boxes, **options) as watch:
        return [message.subject async for message in watch]


@pytest.mark.parametrize("kind", ["leases", "two methods"])
async def test_watches_with_one_store_deliver_each_message_once(
    service: Sandbox, boxes: list[Mailbox], kind: str
) -> None:
    """Two watches of the same mailboxes share the messages between them."""
    store = VirtualStore(service) if kind == "leases" else TwoMethods()
    sent = [f"{box.email} {n}" for box in boxes for n in range(5)]
    for subject in sent:
        service.deliver(subject.partition(" ")[0], subject=subject)
    delivered = await asyncio.gather(*(collect(service, boxes, store=store) for _ in range(2)))
    assert sorted(chain.from_iterable(delivered)) == sorted(sent)


async def test_what_a_dead_worker_held_is_delivered_when_its_lease_ends(service: Sandbox, boxes: list[Mailbox]) -> None:
    """A message that was claimed by a worker that died is claimed again, even when its mailbox is gone by then."""
    store = VirtualStore(service, lease=900)
    held = service.deliver(boxes[0], subject="held")
    done = service.deliver(boxes[0], subject="done")
    assert await store.claim(boxes[0].email, held)
    assert await store.claim(boxes[0].email, done)
    await store.done(boxes[0].email, done)
    service.deliver(boxes[1], subject="free")
    begun = service.clock.monotonic()
    assert await collect(service, boxes, store=store) == ["free", "held"]
    assert service.clock.monotonic() - begun >= 900
    assert (boxes[0].email, held) in store.handled


async def test_a_message_is_done_when_the_next_one_is_asked_for(service: Sandbox, boxes: list[Mailbox]) -> None:
    """What is being handled counts as handled for nobody, neither in the store nor in `seen()`."""
    store = VirtualStore(service)
    for subject in "ab":
        service.deliver(boxes[0], subject=subject)
    async with AsyncClient(transport=service.transport()) as client, client.watch(boxes[0], store=store) as watch:
        first = (await anext(watch)).id
        assert store.handled == []
        second = (await anext(watch)).id
        assert store.handled == [(boxes[0].email, first)]
        assert watch.seen() == {boxes[0].email: [first]}
        watch.discard(boxes[0])
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
    assert store.handled == [(boxes[0].email, first), (boxes[0].email, second)]


async def test_process_marks_what_its_handler_has_done(service: Sandbox, boxes: list[Mailbox]) -> None:
    """A handler that raised gets the message again, without another claim; then it is done."""
    store, attempts = VirtualStore(service), list[str]()
    sent = service.deliver(boxes[0], subject="once more")

    async def handle(message: Message) -> None:
        attempts.append(message.subject)
        if len(attempts) == 1:
            raise ValueError("not yet")

    async with AsyncClient(transport=service.transport()) as client, client.watch(boxes[0], store=store) as watch:
        await watch.process(handle)
    assert attempts == ["once more"] * 2
    assert store.handled == [(boxes[0].email, sent)]


async def test_a_store_that_fails_loses_nothing(service: Sandbox, boxes: list[Mailbox]) -> None:
    """Its error reaches the consumer, and the next step claims the same message again."""
    store = VirtualStore(service)
    store.failures = 1
    service.deliver(boxes[0], subject="kept")
    async with AsyncClient(transport=service.transport()) as client, client.watch(boxes[0], store=store) as watch:
        with pytest.raises(ConnectionError, match="the store is away"):
            await anext(watch)
        assert watch.seen() == {boxes[0].email: []}
        assert (await anext(watch)).subject == "kept"


async def test_what_is_discarded_while_it_is_claimed_is_not_delivered(service: Sandbox, boxes: list[Mailbox]) -> None:
    """`discard` holds at once, also for a message whose claim is under way."""
    one, two = boxes[:2]

    class SlowStore(VirtualStore):
        async def claim(self, mailbox: str, message_id: str) -> bool:
            if mailbox == one.email:
                watch.discard(one)
            return await super().claim(mailbox, message_id)

    service.deliver(one, subject="unwanted")
    service.deliver(two, subject="wanted")
    async with (
        AsyncClient(transport=service.transport()) as client,
        client.watch(one, two, store=SlowStore(service)) as watch,
    ):
        assert [message.subject async for message in watch] == ["wanted"]


def test_the_blocking_client_takes_a_store(tmp_path: Path) -> None:
    """A second watch of blocking programs with the same file delivers only what the first one did not."""
    with Sandbox() as running, Client(running.api_key, base_url=running.base_url) as client:
        box = client.create_mailbox()
        for subject in ("first", "second"):
            running.deliver(box, subject=subject)
            with client.watch(box, store=FileStore(tmp_path / "seen.log"), poll_interval=0.2) as watch:
                assert next(watch).subject == subject
                watch.discard(box)
                assert list(watch) == []


def test_something_else_is_no_store() -> None:
    """What has not the two methods is refused before anything is sent."""
    client = AsyncClient(transport=Sandbox().transport())
    with pytest.raises(ConfigurationError, match="store has no method 'seen'"):
        client.watch(BOX, store={})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point


# ------------------------------------------------------------------------------------------- handing over without one


async def test_a_mailbox_is_handed_from_one_watch_to_another(service: Sandbox, boxes: list[Mailbox]) -> None:
    """What `discard` returns goes to `add`, and no message of the mailbox is delivered twice or lost."""
    box, other = boxes[:2]
    service.deliver(box, subject="old")
    async with (
        AsyncClient(transport=service.transport()) as client,
        client.watch(box, forever=True) as here,
        client.watch(other, forever=True) as there,
    ):
        assert (await anext(here)).subject == "old"
        waiting = asyncio.create_task(anext(here))  # so the first is handled
        await service.clock.sleep(1)
        seen = here.discard(box)
        assert set(seen) == {box.email}
        there.add(box, seen=seen)
        service.deliver(box, subject="new")
        assert (await anext(there)).subject == "new"
        waiting.cancel()
        assert here.discard(box) == {}


async def test_seen_messages_reach_a_watch_before_and_after_it_begins(
    service: Sandbox, boxes: list[Mailbox], tmp_path: Path
) -> None:
    """`add(seen=…)` works before the watch is entered, and what it was given is in the file of its state."""
    ids = {box.email: [service.deliver(box, subject="old")] for box in boxes[:2]}
    async with AsyncClient(transport=service.transport()) as client:
        watch = client.watch(state=tmp_path / "state")
        watch.add(boxes[0], seen=ids)
        async with watch:
            watch.add(boxes[1], boxes[2], seen=ids)
            service.deliver(boxes[2], subject="new")
            assert (await anext(watch)).subject == "new"
        again = client.watch(state=tmp_path / "state")
        assert {email: found for email, found in again.seen().items() if found} == ids


async def test_seen_must_be_what_a_watch_returned() -> None:
    """A list of ids does not say of which mailbox they are."""
    watch = AsyncClient(transport=Sandbox().transport()).watch()
    with pytest.raises(ConfigurationError, match=r"seen must be what watch.seen\(\) returned"):
        watch.add(BOX, seen=["a"])  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point
