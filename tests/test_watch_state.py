"""A watch that survives its program: what was seen is kept in a file, whatever kills the process and whenever."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.virtual import START

from tempmailg import AsyncClient, ConfigurationError, Mailbox, Message
from tempmailg._waiting import _state
from tempmailg._waiting._state import StateFile
from tempmailg.sandbox import Sandbox, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tempmailg import Watch


@pytest.fixture
def service() -> Sandbox:
    """A sandbox whose clock leaps."""
    return Sandbox(seed=1, start=START)


@pytest.fixture
async def user(service: Sandbox) -> AsyncIterator[AsyncClient]:
    """A client of that sandbox."""
    async with AsyncClient(transport=service.transport()) as client:
        yield client


async def take(watch: Watch, count: int) -> list[str]:
    return [(await anext(watch)).id for _ in range(count)]


async def test_a_watch_goes_on_from_its_file(user: AsyncClient, service: Sandbox, tmp_path: Path) -> None:
    """What one run has seen the next does not deliver; what it was working on comes again."""
    box, path = await user.create_mailbox(), tmp_path / "state"
    for number in range(3):
        service.deliver(box, subject=f"{number}")
    async with user.watch(box, state=path) as watch:
        first = await take(watch, 3)
    async with user.watch(box, state=str(path)) as watch:
        assert await take(watch, 1) == first[-1:]
        new = service.deliver(box, subject="new")
        assert await take(watch, 1) == [new]


async def test_the_file_is_its_owners_alone(user: AsyncClient, tmp_path: Path) -> None:
    """Addresses and ids are nobody else's business, also in a file that was there before."""
    path = tmp_path / "state"
    path.touch(0o644)
    async with user.watch(await user.create_mailbox(), state=path):
        assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_message_costs_one_line(user: AsyncClient, service: Sandbox, tmp_path: Path) -> None:
    """However many mailboxes are known, a message that is seen appends a few bytes."""
    path = tmp_path / "state"
    known = {f"box{number}@example.com": ["a" * 40] for number in range(5_000)}
    path.write_text("".join(json.dumps(["seen", email, *ids]) + "\n" for email, ids in known.items()))
    box = await user.create_mailbox()
    service.deliver(box, subject="1")
    service.deliver(box, subject="2")
    async with user.watch(box, state=path) as watch:
        before = path.stat().st_size
        await take(watch, 2)
        assert 0 < path.stat().st_size - before < 200
        assert watch.seen().keys() == {*known, box.email}, "the state of mailboxes that were not added is kept"


async def test_what_was_learned_is_kept(user: AsyncClient, service: Sandbox, tmp_path: Path) -> None:
    """The next run begins with what this one knows about its demand and its arrivals."""
    path = tmp_path / "state"
    box = await user.create_mailbox()
    async with user.watch(box, state=path):
        for _ in range(5):
            async with user.expect_message(box):
                service.deliver(box)
    async with AsyncClient(transport=service.transport()) as again:
        async with again.watch(box, state=path):
            assert again._caller.core.background is not None
        assert again.forecast().requests == pytest.approx(user.forecast().requests, rel=0.1)
        assert again.forecast() != (await _new_client_forecast(service))


async def _new_client_forecast(service: Sandbox) -> object:
    async with AsyncClient(transport=service.transport()) as client:
        await client.list_domains()
        return client.forecast()


@pytest.mark.parametrize(
    "content",
    ["{}", "[1]\nnonsense\n", '{"name": ["id"]}\n', '{"a@b.example": "id"}\n', '{"a@b.example": ["id"]\n'],
    ids=str,
)
async def test_another_file_is_not_overwritten(user: AsyncClient, tmp_path: Path, content: str) -> None:
    """A path that holds something else is refused and left alone, also if it is JSON and much like a state."""
    path = tmp_path / "other"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="no state file of a watch"):
        user.watch(state=path)
    assert path.read_text() == content


async def test_a_file_that_cannot_be_is_refused_at_once(user: AsyncClient, tmp_path: Path) -> None:
    """A folder, or a path in no folder, is an error before anything is sent."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        user.watch(state=tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        async with user.watch(state=tmp_path / "nowhere" / "state"):
            pass


def test_a_line_that_was_cut_is_ignored(tmp_path: Path) -> None:
    """A kill in the middle of a write loses that line alone, and the next one does not stick to it."""
    path = tmp_path / "state"
    path.write_bytes(b'["seen","a@b.example","1"]\n["seen","a@b.exam')
    file = StateFile(path)
    assert file.load() == {"a@b.example": ("1",)}
    file.open()
    file.append_seen("a@b.example", "2")
    assert StateFile(path).load() == {"a@b.example": ("1", "2")}


def test_a_long_log_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that sees mailboxes come and go for years does not fill the disk."""
    monkeypatch.setattr(_state, "WASTE", 50)
    path = tmp_path / "state"
    file = StateFile(path)
    file.load()
    file.open()
    for number in range(1_000):
        file.append_seen(f"box{number}@example.com", "id")
        file.append_forgotten(f"box{number}@example.com")
    file.append_seen("last@example.com", "id")
    assert path.stat().st_size < 10_000
    assert StateFile(path).load() == {"last@example.com": ("id",)}
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


KILLED = """
import sys
from pathlib import Path
from tempmailg._waiting import _state
_state.WASTE = 5
file = _state.StateFile(Path(sys.argv[1]))
file.load()
file.open()
number = 0
while True:
    file.append_seen("keep@example.com", f"{number}")
    file.append_seen(f"box{number}@example.com", "id")
    file.append_forgotten(f"box{number}@example.com")
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("lines", [1, 40, 41, 42, 43, 150])
def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path, lines: int) -> None:
    """Everything that was acknowledged before a SIGKILL is there, also if the log was just being written anew."""
    path = tmp_path / "state"
    last = -1
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(lines):
            last = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    seen = StateFile(path).load()["keep@example.com"]
    assert set(seen) >= {f"{number}" for number in range(last + 1)}


# ---------------------------------------------------------------------------------------------- what was not delivered


async def _rest(user: AsyncClient, service: Sandbox, box: Mailbox, state: Path | dict[str, list[str]]) -> set[str]:
    """Return the subjects that a second watch delivers, up to a message that is sent later than all of them."""
    await service.clock.sleep(2)
    last = service.deliver(box, subject="last")
    found = list[Message]()
    async with user.watch(box, state=state) as watch:
        while not found or found[-1].id != last:
            found.append(await anext(watch))
    return {message.subject for message in found} - {"last"}


@pytest.fixture
async def box(user: AsyncClient, service: Sandbox) -> Mailbox:
    """A mailbox with five messages."""
    mailbox = await user.create_mailbox()
    for number in range(5):
        service.deliver(mailbox, subject=f"{number}")
    return mailbox


@pytest.mark.parametrize("error", [None, LookupError("the consumer's own"), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("taken", [0, 1, 2])
async def test_leaving_a_watch_loses_no_message(
    user: AsyncClient, service: Sandbox, box: Mailbox, tmp_path: Path, error: BaseException | None, taken: int
) -> None:
    """However a block is left, the file and `seen` hold what was handled, and nothing that waited to be delivered."""
    path, first = tmp_path / "state", list[str]()
    watch = user.watch(box, state=path)
    with suppress(LookupError, asyncio.CancelledError):
        async with watch:
            first += [(await anext(watch)).subject for _ in range(taken)]
            if not taken:
                await service.clock.sleep(30)
            if error is not None:
                raise error
    assert len(watch.seen()[box.email]) == max(0, taken - 1)
    expected = {"0", "1", "2", "3", "4"} - set(first[:-1])
    assert await _rest(user, service, box, watch.seen()) == expected
    assert await _rest(user, service, box, path) == expected


async def test_a_handler_that_fails_loses_no_message_beside_it(
    user: AsyncClient, service: Sandbox, box: Mailbox, tmp_path: Path
) -> None:
    """What the other workers worked on, and what waited for them, comes again."""
    path, handled = tmp_path / "state", set[str]()

    async def handle(message: Message) -> None:
        await service.clock.sleep(1)
        if len(handled) == 2:
            raise LookupError("never")
        handled.add(message.subject)

    async with user.watch(box, state=path) as watch:
        with pytest.raises(LookupError, match="never"):
            await watch.process(handle, workers=2, attempts=1)
    assert await _rest(user, service, box, path) >= {"0", "1", "2", "3", "4"} - handled


@pytest.mark.parametrize("how", ["client closed", "key refused"])
async def test_a_watch_that_an_error_ends_loses_no_message(
    user: AsyncClient, service: Sandbox, box: Mailbox, tmp_path: Path, how: str
) -> None:
    """A backlog that was there when the client was closed, or the key refused, is delivered by the next run."""
    path = tmp_path / "state"
    async with AsyncClient(transport=service.transport()) as client:
        async with client.watch(box, state=path) as watch:
            first = (await anext(watch)).subject
            if how == "client closed":
                await client.close()
            else:
                service.faults.next("list_messages", Status(401), times=4)
                await service.clock.sleep(300)
            assert watch.seen()[box.email] == []
        assert watch.seen()[box.email] == []
    service.faults.clear()
    assert first in await _rest(user, service, box, path)
    assert await _rest(user, service, box, watch.seen()) == {"0", "1", "2", "3", "4"}


# ------------------------------------------------------------------------------------------- other forms, other watches


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("form", ["log", "object", "indented object"])
async def test_a_state_in_another_form_is_taken_over(
    user: AsyncClient, service: Sandbox, tmp_path: Path, encoding: str, form: str
) -> None:
    """What `seen` returned may be put into a file by hand, by an editor that marks its byte order, or by a shell."""
    path, box = tmp_path / "state", await user.create_mailbox()
    known = [service.deliver(box, subject=f"{number}") for number in range(2)]
    seen = {box.email: known, "other@b.example": ["é"]}
    lines = "".join(json.dumps(["seen", email, *ids], ensure_ascii=False) + "\n" for email, ids in seen.items())
    text = lines if form == "log" else json.dumps(seen, ensure_ascii=False, indent=2 if "indented" in form else None)
    path.write_text(text, encoding)
    before = path.read_bytes()
    watch = user.watch(box, state=path)
    assert path.read_bytes() == before, "a watch that was not entered changes nothing"
    new = service.deliver(box, subject="new")
    async with watch:
        assert await take(watch, 1) == [new]
    loaded = StateFile(path).load()
    assert set(loaded[box.email]) == set(known)
    assert loaded["other@b.example"] == ("é",)
    assert path.read_bytes().startswith(b'["')
    assert path.stat().st_mode & 0o777 == 0o600


async def test_two_watches_do_not_share_a_file(user: AsyncClient, service: Sandbox, tmp_path: Path) -> None:
    """The second to enter is refused, may try again when the first is left, and then goes on from what that one saw."""
    path, box = tmp_path / "state", await user.create_mailbox()
    sent = [service.deliver(box, subject=f"{number}") for number in range(2)]
    second = user.watch(box, state=path)
    async with user.watch(box, state=path) as first:
        seen = await take(first, 2)
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=r"another watch has .* open"):
                await second.__aenter__()
        other = user.watch(box, state=tmp_path / "other")
        async with other:
            assert set(await take(other, 2)) == set(sent)
    async with second:
        assert await take(second, 1) == seen[1:]
        third = user.watch(box, state=path)
        with pytest.raises(ConfigurationError, match=r"another watch has .* open"):
            await third.__aenter__()
    assert StateFile(path).load() == {box.email: (seen[0],)}


def test_a_log_that_was_written_anew_is_locked_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that takes the place of the old one is locked before it is there, and freed with the watch."""
    monkeypatch.setattr(_state, "WASTE", 5)
    path = tmp_path / "state"
    file = StateFile(path)
    file.open()
    first = path.stat().st_ino
    for number in range(100):
        file.append_seen(f"box{number}@example.com", "id")
        file.append_forgotten(f"box{number}@example.com")
    assert path.stat().st_ino != first
    with pytest.raises(ConfigurationError, match="another watch"):
        StateFile(path).open()
    file.close({}, None)
    again = StateFile(path)
    again.open()
    again.close({}, None)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    """A watch that was killed locks nobody out."""
    path = tmp_path / "state"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(ConfigurationError, match="another watch"):
            StateFile(path).open()
        process.kill()
        process.wait()
    file = StateFile(path)
    file.open()
    file.close({}, None)


@pytest.mark.parametrize("ids", [[], ["1"], ["1", "2"]], ids=len)
async def test_what_another_watch_saw_is_kept(user: AsyncClient, tmp_path: Path, ids: list[str]) -> None:
    """However many messages a watch takes over as seen, before or after it is entered, they are in its file."""
    path = tmp_path / "state"
    async with user.watch(forever=True, state=path) as watch:
        watch.add("a@b.example", seen={"a@b.example": ids})
    later = user.watch(forever=True, state=path)
    later.add("c@b.example", seen={"c@b.example": ids})
    async with later:
        pass
    loaded = StateFile(path).load()
    assert {email: list(loaded.get(email, ())) for email in ("a@b.example", "c@b.example")} == {
        "a@b.example": ids,
        "c@b.example": ids,
    }


# ------------------------------------------------------------------------------------------------------------- workers


async def test_messages_are_handled_side_by_side(user: AsyncClient, service: Sandbox) -> None:
    """So many handlers run at a time, every message is handled once, and the end of the watch ends them."""
    boxes = [await user.create_mailbox() for _ in range(10)]
    for box in boxes:
        service.deliver(box)
    at_work = most = 0
    handled: list[str] = []

    async def handle(message: Message) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await service.clock.sleep(5)
        at_work -= 1
        handled.append(message.id)

    async with user.watch(*boxes) as watch:
        await watch.process(handle, workers=4)
    assert most == 4
    assert len(handled) == len(set(handled)) == 10


async def test_a_message_whose_handler_raised_is_handled_again(user: AsyncClient, service: Sandbox) -> None:
    """A handler that fails once gets the message again, and it is seen only when it has returned."""
    box = await user.create_mailbox()
    key = service.deliver(box)
    tries = 0
    seen: list[list[str]] = []

    async def handle(message: Message) -> None:
        nonlocal tries
        tries += 1
        seen.append(watch.seen()[box.email])
        if tries == 1:
            raise LookupError("not yet")
        watch.discard(box)

    async with user.watch(box) as watch:
        await watch.process(handle)
    assert tries == 2
    assert seen == [[], []]
    assert key


async def test_a_message_that_no_handler_could_handle_comes_again(
    user: AsyncClient, service: Sandbox, tmp_path: Path
) -> None:
    """When the attempts are over, the error comes out, and a later run delivers what was not handled."""
    box, path = await user.create_mailbox(), tmp_path / "state"
    sent = {service.deliver(box, subject=f"{number}") for number in range(3)}

    def handle(message: Message) -> None:
        if message.subject == "1":
            raise LookupError("never")

    async with user.watch(box, state=path) as watch:
        with pytest.raises(LookupError, match="never"):
            await watch.process(handle, workers=2, attempts=2)
    found: set[str] = set()
    async with user.watch(box, state=path) as watch:
        while not found or {"1"} - found:
            found.add((await anext(watch)).subject)
    assert "1" in found
    assert len(sent) == 3


async def test_a_cancelled_worker_gives_its_message_back(user: AsyncClient, service: Sandbox) -> None:
    """What was being handled when `process` was cancelled is delivered next."""
    box = await user.create_mailbox()
    key = service.deliver(box)
    begun = asyncio.Event()

    async def handle(message: Message) -> None:
        begun.set()
        await service.clock.sleep(1e6)

    async with user.watch(box) as watch:
        task = asyncio.create_task(watch.process(handle))
        await begun.wait()
        task.cancel()
        await asyncio.wait({task})
        assert (await anext(watch)).id == key
