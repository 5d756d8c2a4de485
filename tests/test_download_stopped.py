"""Downloads that are cancelled, interrupted or killed leave nothing under the final name."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest
from support.downloads import BODY, PAIR, attachment, files_in, names_in, opened, serving, until, whole
from support.fault_server import STALL, head, reply

from tempmailg import (
    AsyncClient,
    AuthenticationError,
    ConfigurationError,
    IncompleteDownloadError,
    NotFoundError,
    _download,
)
from tempmailg.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from pathlib import Path

HALF = 3_000_000


@types.coroutine
def cancelled_at(work: Coroutine[Any, Any, Any], moments: set[int]) -> Generator[Any, Any, Any]:
    """Run a coroutine and cancel its task at these of its suspensions, counted from 1."""
    task = asyncio.current_task()
    assert task is not None
    failure: BaseException | None = None
    moment = 0
    while True:
        try:
            waiting: object = work.send(None) if failure is None else work.throw(failure)
        except StopIteration as stop:
            return stop.value
        moment += 1
        if moment in moments:
            task.cancel()
        failure = None
        try:
            yield waiting
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the coroutine's
            failure = error


class Writers:
    """Counts the threads that write at this moment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.busy = 0
        self._lock = threading.Lock()
        write = _download._write

        def counted(*args: Any) -> None:
            with self._lock:
                self.busy += 1
            try:
                write(*args)
            finally:
                with self._lock:
                    self.busy -= 1

        monkeypatch.setattr(_download, "_write", counted)


async def downloads(client: AsyncClient, mailbox: str, to: Path, moments: set[int]) -> Path | None:
    """Download the one attachment of a mailbox, cancelled at these moments; None if that came to pass."""
    (message,) = await client.list_messages(mailbox)

    async def work() -> Any:
        return await cancelled_at(client.download_attachment(message.attachments[0], to), moments)

    task = asyncio.create_task(work())
    await asyncio.wait([task])
    return None if task.cancelled() else task.result()


@pytest.mark.parametrize("again", [0, 1, 2], ids=["once", "and at the next", "and at the next but one"])
async def test_a_download_cancelled_at_any_moment_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: int
) -> None:
    """At whichever await a cancellation comes, and comes again, no file, no descriptor and no writer is left."""
    writers = Writers(monkeypatch)
    monkeypatch.setattr(_download, "WRITE_SIZE", 256 * 1024)
    sandbox = Sandbox()
    async with AsyncClient(sandbox.api_key, transport=sandbox.transport()) as client:
        mailbox = await client.create_mailbox()
        sandbox.deliver(mailbox.email, attachments=[("file.txt", BODY)])
        before, moment, saved = opened(), 0, None
        while saved is None:
            moment += 1
            saved = await downloads(client, mailbox.email, tmp_path, {moment, moment + again})
            assert writers.busy == 0
            assert opened() == before
            assert saved is not None or names_in(tmp_path) == []
    assert moment > 10
    assert files_in(tmp_path) == {"file.txt": BODY}


async def test_a_cancelled_download_waits_for_the_write_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part file is removed only when the thread that writes it is done, however often one cancels."""
    write, begun, go_on = _download._write, threading.Event(), threading.Event()

    def slow(*args: Any) -> None:
        begun.set()
        go_on.wait()
        write(*args)

    monkeypatch.setattr(_download, "_write", slow)
    async with serving([head(headers={"Content-Length": str(len(BODY))}), BODY[:HALF], STALL]) as (client, _):
        task = asyncio.create_task(client.download_attachment(PAIR, tmp_path))
        await until(begun.is_set)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
            assert not task.done()
            assert len(names_in(tmp_path)) == 1
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert files_in(tmp_path) == {}


async def test_a_time_limit_of_the_caller_ends_a_download(tmp_path: Path) -> None:
    """A download inside `asyncio.timeout` ends like any other code, and leaves nothing."""
    async with serving([head(headers={"Content-Length": str(len(BODY))}), BODY[:HALF], STALL]) as (client, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.download_attachment(PAIR, tmp_path)
    assert files_in(tmp_path) == {}


async def test_a_finished_download_is_not_undone_by_a_late_cancellation(tmp_path: Path) -> None:
    """A file is published in the same breath as its download ends: it stands if and only if the call returned."""
    async with serving(whole()) as (client, _):
        task = asyncio.create_task(client.download_attachment(PAIR, tmp_path))
        await until(lambda: "file.txt" in names_in(tmp_path))
        assert task.done()
        assert not task.cancel()
    assert files_in(tmp_path) == {"file.txt": BODY}


# ------------------------------------------------------------------------------------------------- signals

PROGRAM = """
import asyncio, sys, tempmailg

async def main():
    async with tempmailg.AsyncClient("key", base_url=sys.argv[1]) as client:
        await client.download_attachment(("m1", "file.txt"), sys.argv[2], overwrite=True)

asyncio.run(main())
"""


async def stopped_by(number: signal.Signals, folder: Path) -> int:
    """Download in another process, send it a signal in mid-download, and return its exit status."""
    half = [head(headers={"Content-Length": str(len(BODY))}), BODY[:HALF], STALL]
    async with serving(half) as (_, server):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, server.base_url, str(folder), stderr=subprocess.DEVNULL
        )
        try:
            await until(lambda: any(path.stat().st_size for path in folder.glob(".tempmailg-*.part")))
            process.send_signal(number)
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def test_a_killed_process_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    """After SIGKILL in mid-download the old file stands untouched, and what was there of the new one is hidden."""
    (tmp_path / "file.txt").write_bytes(b"old")
    assert await stopped_by(signal.SIGKILL, tmp_path) == -signal.SIGKILL
    remains = files_in(tmp_path)
    assert remains.pop("file.txt") == b"old"
    ((part, content),) = remains.items()
    assert part.startswith(".tempmailg-")
    assert part.endswith(".part")
    assert BODY.startswith(content)


async def test_ctrl_c_leaves_nothing_at_all(tmp_path: Path) -> None:
    """A program that is interrupted in mid-download removes what it has begun."""
    assert await stopped_by(signal.SIGINT, tmp_path) != 0
    assert files_in(tmp_path) == {}


def test_an_interpreter_that_ends_removes_what_a_daemon_thread_has_begun(tmp_path: Path) -> None:
    """When the loop's threads are gone already, a cancelled download still cleans up."""
    program = """
import asyncio, os, sys, threading, atexit
import tempmailg
from tempmailg.sandbox import Sandbox, Stall, Truncate

folder, ready, loop = sys.argv[1], threading.Event(), asyncio.new_event_loop()

async def main():
    sandbox = Sandbox()
    sandbox.clock.freeze()
    client = tempmailg.AsyncClient(sandbox.api_key, transport=sandbox.transport())
    mailbox = await client.create_mailbox()
    sandbox.deliver(mailbox.email, attachments=[("file.txt", b"x" * 3_000_000)])
    (message,) = await client.list_messages(mailbox)
    sandbox.faults.next("stream_attachment", Stall(after=2_000_000))
    global task
    task = asyncio.current_task()
    await client.download_attachment(message.attachments[0], folder, progress=lambda done, total: ready.set())

def run():
    try:
        loop.run_until_complete(main())
    except asyncio.CancelledError:
        pass

thread = threading.Thread(target=run, daemon=True)
thread.start()
ready.wait()
assert os.listdir(folder)

@atexit.register
def end():
    loop.call_soon_threadsafe(task.cancel)
    thread.join(10)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=30)
    assert files_in(tmp_path) == {}


# ------------------------------------------------------------------------------------------------- several files


def message_of(*names: str) -> Any:
    """Return a message with attachments of these names, and nothing else."""
    return types.SimpleNamespace(attachments=tuple(attachment(name) for name in names))


def by_name(name: str) -> bytes:
    """Return the content of the file that a request asks for."""
    return f"content of {name}".encode()


async def test_all_attachments_of_a_message_are_saved(tmp_path: Path) -> None:
    """The paths come in the message's order, whichever file is there first; the folder is made."""
    sandbox = Sandbox()
    files = [(f"{number}.txt", by_name(f"{number}")) for number in range(9)]
    async with AsyncClient(sandbox.api_key, transport=sandbox.transport()) as client:
        mailbox = await client.create_mailbox()
        sandbox.deliver(mailbox.email, attachments=files)
        (message,) = await client.list_messages(mailbox)
        paths = await client.download_attachments(message, tmp_path / "new" / "folder")
    assert paths == [tmp_path / "new" / "folder" / name for name, _ in files]
    assert files_in(tmp_path / "new" / "folder") == dict(files)


async def test_a_message_without_attachments_has_no_files(tmp_path: Path) -> None:
    """Nothing to fetch costs nothing."""
    async with serving(whole()) as (client, server):
        assert await client.download_attachments(message_of(), tmp_path) == []
    assert not server.requests


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_only_so_many_files_are_received_at_a_time(tmp_path: Path, concurrency: int) -> None:
    """A message with a thousand attachments does not open a thousand connections."""
    gate = asyncio.Event()
    answer = [head(headers={"Content-Length": "1"}), gate.is_set, b"x"]
    async with serving(answer) as (client, server):
        task = asyncio.create_task(
            client.download_attachments(message_of(*"abcdefgh"), tmp_path, concurrency=concurrency)
        )
        await until(lambda: len(server.requests) == concurrency)
        await asyncio.sleep(0.05)
        assert len(server.requests) == concurrency
        assert len(names_in(tmp_path)) == concurrency
        gate.set()
        await task
    assert names_in(tmp_path) == list("abcdefgh")


async def test_names_that_would_collide_are_told_apart(tmp_path: Path) -> None:
    """Two attachments of one name become two files, even where overwriting is wanted."""
    names = ["a.txt", "a.txt", "x/a.txt", "A.TXT"]
    (tmp_path / "a.txt").write_bytes(b"old")
    async with serving(whole(b"new")) as (client, _):
        paths = await client.download_attachments(message_of(*names), tmp_path, overwrite=True)
        assert [path.name for path in paths] == ["a.txt", "a (1).txt", "a (2).txt", "A (3).TXT"]
        assert set(files_in(tmp_path).values()) == {b"new"}
        paths = await client.download_attachments(message_of("a.txt", "a.txt"), tmp_path, concurrency=1)
        assert [path.name for path in paths] == ["a (3).txt", "a (4).txt"]


async def test_a_failure_of_all_cancels_the_others(tmp_path: Path) -> None:
    """A key that is refused ends every download at once with that plain error; whole files stay."""
    answers = [
        whole(b"whole"),
        [head(headers={"Content-Length": "9"}), b"half", STALL],
        [reply({"status": False, "message": "no"}, status=401)],
    ]
    async with serving(*answers) as (client, _):
        with pytest.raises(AuthenticationError):
            await client.download_attachments(message_of("a", "b", "c", "d"), tmp_path, concurrency=2)
    assert list(files_in(tmp_path).values()) == [b"whole"]


@pytest.mark.parametrize("bad", ["", ".", "..", "\ud800", "x" * 5_000])
async def test_a_bad_name_does_not_take_its_neighbours_along(tmp_path: Path, bad: str) -> None:
    """Whatever name a sender gives one file, the others are saved, and the error says which is missing and why."""
    async with serving(whole(b"one"), whole(b"two")) as (client, _):
        with pytest.raises(IncompleteDownloadError, match="1 of 3 files could not be downloaded") as caught:
            await client.download_attachments(message_of("a", bad, "b"), tmp_path, concurrency=1)
    assert files_in(tmp_path) == {"a": b"one", "b": b"two"}
    assert caught.value.paths == (tmp_path / "a", None, tmp_path / "b")
    ((name, failure),) = caught.value.failures
    assert name == bad
    assert isinstance(failure, ConfigurationError)


async def test_a_missing_file_does_not_take_its_neighbours_along(tmp_path: Path) -> None:
    """A file that the service does not have is reported behind the others' download, at most five by their names."""
    missing = [reply({"status": False, "message": "gone"}, status=404)]
    async with serving(whole(b"one"), *[missing] * 7) as (client, _):
        with pytest.raises(IncompleteDownloadError, match=r"'e': .*; and 2 more$") as caught:
            await client.download_attachments(message_of(*"zabcdefg"), tmp_path, concurrency=1)
    assert files_in(tmp_path) == {"z": b"one"}
    assert [name for name, _ in caught.value.failures] == list("abcdefg")


async def test_nothing_saved_is_the_plain_error(tmp_path: Path) -> None:
    """When no file is there, the error is the one that a single file would have had."""
    missing = [reply({"status": False, "message": "gone"}, status=404)]
    async with serving(missing, missing) as (client, _):
        with pytest.raises(NotFoundError):
            await client.download_attachments(message_of("a", "b"), tmp_path)


async def test_progress_counts_all_files_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bar serves a whole message: bytes and totals are sums, known as soon as every file's size is."""
    monkeypatch.setattr(_download, "REPORT_GAP", 0.0)
    message = types.SimpleNamespace(attachments=(attachment("a", 4), attachment("b", 4), attachment("c")))
    reports: list[tuple[int, int | None]] = []
    async with serving(whole(b"four"), whole(b"four"), whole(b"six   ")) as (client, _):
        await client.download_attachments(
            message,  # type: ignore[arg-type] # all that is read of a message
            tmp_path,
            concurrency=1,
            progress=lambda done, total: reports.append((done, total)),
        )
    assert reports[0] == (4, None)
    assert reports[-1] == (14, 14)
    assert (14, 14) in reports[:-1]
    assert reports == sorted(reports, key=lambda report: report[0])


@pytest.mark.parametrize("concurrency", [0, -1, True, 1.5])
async def test_a_senseless_concurrency_is_refused(tmp_path: Path, concurrency: Any) -> None:
    """Nothing at a time would mean never."""
    async with serving(whole()) as (client, server):
        with pytest.raises(ValueError, match="concurrency"):
            await client.download_attachments(message_of("a"), tmp_path, concurrency=concurrency)
    assert not server.requests
