"""Attachments on disk: whole or absent, under a safe name, never in the place of another file."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gzip
import os
import platform
import resource
import secrets
import shutil
import stat
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.downloads import BODY, PAIR, attachment, files_in, names_in, opened, serving, until, whole
from support.fault_server import CLOSE, STALL, Endless, head, reply

from tempmailg import (
    APIResponseError,
    ClientClosedError,
    ConfigurationError,
    DownloadError,
    IncompleteResponseError,
    NotFoundError,
    RequestRejectedError,
    TempMailError,
    UnreadableResponseError,
    _download,
)
from tempmailg._folder import Folder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

CHUNKED = {"Transfer-Encoding": "chunked"}


def in_chunks(body: bytes, size: int = 100_000) -> bytes:
    """Return a body in the chunked coding."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


# ------------------------------------------------------------------------------------------------------- the place


@pytest.mark.parametrize("body", [b"", b"x", BODY], ids=["empty", "one byte", "several writes"])
async def test_a_file_is_saved_byte_for_byte(tmp_path: Path, body: bytes) -> None:
    """What the service sent is what stands on disk, readable by its owner only, and nothing else is left."""
    async with serving(whole(body)) as (client, server):
        path = await client.download_attachment(PAIR, tmp_path)
    assert path == tmp_path / "file.txt"
    assert files_in(tmp_path) == {"file.txt": body}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server.requests[0].line == "GET /api/messages/m1/attachments/file.txt HTTP/1.1"
    assert server.requests[0].header("Accept-Encoding") == "identity"


async def test_a_folder_with_a_slash_is_made(tmp_path: Path) -> None:
    """A path that ends with a slash is a folder, missing or not."""
    async with serving(whole(b"x")) as (client, _):
        path = await client.download_attachment(PAIR, f"{tmp_path}/new/deep/")
    assert path == tmp_path / "new" / "deep" / "file.txt"
    assert path.read_bytes() == b"x"


async def test_a_full_path_names_the_file(tmp_path: Path) -> None:
    """A path that is no folder is the file's own, whatever the sender called it."""
    async with serving(whole(b"x")) as (client, _):
        assert await client.download_attachment(PAIR, tmp_path / "mine.bin") == tmp_path / "mine.bin"
    assert files_in(tmp_path) == {"mine.bin": b"x"}


async def test_a_relative_path_means_the_folder_of_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that changes its folder during a download finds the file where it asked for it, and no remains."""
    monkeypatch.chdir(tmp_path)
    async with serving(whole(BODY)) as (client, _):
        path = await client.download_attachment(
            PAIR, "downloads/", progress=lambda _done, _total: os.chdir("/"), overwrite=True
        )
    assert path == Path("downloads/file.txt")
    assert files_in(tmp_path / "downloads") == {"file.txt": BODY}


@pytest.mark.parametrize(
    "to", ["missing/file.txt", "file.txt/x", "n" * 300], ids=["no folder", "a file as folder", "too long"]
)
async def test_an_impossible_path_costs_no_request(tmp_path: Path, to: str) -> None:
    """Where no file can be made, nothing is sent."""
    (tmp_path / "file.txt").touch()
    async with serving(whole()) as (client, server):
        with pytest.raises(OSError, match=r"No such file|Not a directory|File name too long"):
            await client.download_attachment(PAIR, tmp_path / to)
    assert not server.requests


@pytest.mark.parametrize("to", ["", None, 5])
async def test_what_is_no_path_is_refused(to: Any) -> None:
    """An empty text is no folder, least of all the current one; neither is None."""
    async with serving(whole()) as (client, server):
        with pytest.raises(ConfigurationError, match="to must be"):
            await client.download_attachment(PAIR, to)
    assert not server.requests


@pytest.mark.parametrize(
    "wrong", [{"max_bytes": -1}, {"max_bytes": "9"}, {"minimum_speed": -1.0}, {"speed_window": 0.0}], ids=str
)
async def test_a_wrong_option_is_refused_before_anything_is_sent(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """An option that makes no sense costs no request and makes no file."""
    async with serving(whole()) as (client, server):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            await client.download_attachment(PAIR, tmp_path, **wrong)
    assert not server.requests
    assert files_in(tmp_path) == {}


async def test_a_closed_client_makes_no_folder(tmp_path: Path) -> None:
    """After close nothing happens on disk, either."""
    async with serving(whole()) as (client, _):
        await client.close()
        with pytest.raises(ClientClosedError):
            await client.download_attachment(PAIR, f"{tmp_path}/new/")
    assert files_in(tmp_path) == {}


async def test_a_failed_request_leaves_nothing(tmp_path: Path) -> None:
    """A file that the service does not have becomes no file here."""
    async with serving([reply({"status": False, "message": "gone"}, status=404)]) as (client, _):
        with pytest.raises(NotFoundError):
            await client.download_attachment(PAIR, tmp_path)
    assert files_in(tmp_path) == {}


async def test_until_it_is_whole_the_file_is_hidden_and_private(tmp_path: Path) -> None:
    """During a download nothing stands under the final name, and nobody else may read what is there already."""
    async with serving([head(headers={"Content-Length": "9"}), b"half", STALL]) as (client, _):
        task = asyncio.create_task(client.download_attachment(PAIR, tmp_path))
        await until(lambda: names_in(tmp_path))
        (part,) = names_in(tmp_path)
        assert part.startswith(".tempmailg-")
        assert stat.S_IMODE((tmp_path / part).stat().st_mode) == 0o600
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert files_in(tmp_path) == {}


# ------------------------------------------------------------------------------------------------------- other files


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("../../x", "x"),
        ("/etc/passwd", "passwd"),
        ("C:\\x\\CON.txt", "_CON.txt"),
        ("-rf", "_-rf"),
        ("n" * 300, "n" * 255),
    ],
)
async def test_a_dangerous_name_stays_inside_the_folder(tmp_path: Path, name: str, saved: str) -> None:
    """The sender's name decides nothing but one harmless component."""
    folder = tmp_path / "in" / "here"
    async with serving(whole(b"x")) as (client, _):
        assert await client.download_attachment(("m1", name), f"{folder}/") == folder / saved
    assert [names_in(each) for each in (tmp_path, tmp_path / "in", folder)] == [["in"], ["here"], [saved]]


async def test_a_second_file_gets_a_number(tmp_path: Path) -> None:
    """A file that is there stays, and the next of its name is numbered; the connection serves both."""
    (tmp_path / "file.txt").write_bytes(b"old")
    async with serving(whole(b"new")) as (client, server):
        assert await client.download_attachment(PAIR, tmp_path) == tmp_path / "file (1).txt"
        assert await client.download_attachment(PAIR, tmp_path) == tmp_path / "file (2).txt"
    assert files_in(tmp_path) == {"file.txt": b"old", "file (1).txt": b"new", "file (2).txt": b"new"}
    assert server.connections == 1


async def test_twenty_downloads_of_one_name_become_twenty_files(tmp_path: Path) -> None:
    """Downloads that end at the same moment never replace each other."""
    async with serving(*(whole(b"%d" % number) for number in range(20))) as (client, _):
        paths = await asyncio.gather(*(client.download_attachment(PAIR, tmp_path) for _ in range(20)))
    names = ["file.txt", *(f"file ({number}).txt" for number in range(1, 20))]
    assert {path.name for path in paths} == set(names)
    assert sorted(files_in(tmp_path)) == sorted(names)
    assert set(files_in(tmp_path).values()) == {b"%d" % number for number in range(20)}


async def test_a_taken_full_path_is_refused_at_once(tmp_path: Path) -> None:
    """A file that the caller named is not renamed, and one that is there is not replaced; this costs no request."""
    (tmp_path / "mine").write_bytes(b"old")
    async with serving(whole()) as (client, server):
        with pytest.raises(FileExistsError, match="overwrite=True"):
            await client.download_attachment(PAIR, tmp_path / "mine")
    assert not server.requests
    assert files_in(tmp_path) == {"mine": b"old"}


async def test_a_full_path_taken_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """A file that appears under the final name during the download stays, too."""
    async with serving(whole()) as (client, _):
        with pytest.raises(FileExistsError):
            await client.download_attachment(
                PAIR, tmp_path / "mine", progress=lambda _done, _total: (tmp_path / "mine").write_bytes(b"other")
            )
    assert files_in(tmp_path) == {"mine": b"other"}


async def test_a_folder_full_of_namesakes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for a free name ends."""
    monkeypatch.setattr(_download, "MOST_NAMESAKES", 2)
    (tmp_path / "file.txt").touch()
    (tmp_path / "file (1).txt").touch()
    async with serving(whole()) as (client, _):
        with pytest.raises(FileExistsError):
            await client.download_attachment(PAIR, tmp_path)
    assert files_in(tmp_path) == {"file.txt": b"", "file (1).txt": b""}


@pytest.mark.parametrize("to", ["", "file.txt"], ids=["folder", "full path"])
async def test_overwriting_replaces_the_file(tmp_path: Path, to: str) -> None:
    """With overwrite the new file stands under the old one's name."""
    (tmp_path / "file.txt").write_bytes(b"old")
    async with serving(whole(b"new")) as (client, _):
        assert await client.download_attachment(PAIR, tmp_path / to, overwrite=True) == tmp_path / "file.txt"
    assert files_in(tmp_path) == {"file.txt": b"new"}


async def test_a_failed_overwriting_keeps_the_old_file(tmp_path: Path) -> None:
    """The old file stands untouched until the new one is whole."""
    (tmp_path / "file.txt").write_bytes(b"old")
    async with serving([head(headers={"Content-Length": "9"}), b"half", CLOSE], max_retries=0) as (client, _):
        with pytest.raises(APIResponseError):
            await client.download_attachment(PAIR, tmp_path, overwrite=True)
    assert files_in(tmp_path) == {"file.txt": b"old"}


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_planted_symlink_is_never_followed(tmp_path: Path, overwrite: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A symlink under the final name is stepped around, or replaced, but nothing is written where it leads."""
    folder, victim, absent = tmp_path / "folder", tmp_path / "victim", tmp_path / "absent"
    folder.mkdir()
    victim.write_bytes(b"precious")
    (folder / "file.txt").symlink_to(victim)
    (folder / "dangling").symlink_to(absent)
    async with serving(whole(b"new")) as (client, _):
        path = await client.download_attachment(PAIR, folder, overwrite=overwrite)
        other = await client.download_attachment(("m1", "dangling"), folder, overwrite=overwrite)
    assert (path.name, other.name) == (("file.txt", "dangling") if overwrite else ("file (1).txt", "dangling (1)"))
    assert not path.is_symlink()
    assert not other.is_symlink()
    assert path.read_bytes() == other.read_bytes() == b"new"
    assert victim.read_bytes() == b"precious"
    assert not absent.exists()


async def test_a_symlink_planted_under_the_part_files_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even somebody who guesses the part file's name gets nothing written through his symlink."""
    folder, victim = tmp_path / "folder", tmp_path / "victim"
    folder.mkdir()
    victim.write_bytes(b"precious")
    names = iter(["guessed", "free"])

    def token_hex(_size: int) -> str:
        return next(names)

    monkeypatch.setattr(secrets, "token_hex", token_hex)
    (folder / ".tempmailg-guessed.part").symlink_to(victim)
    async with serving(whole(b"new")) as (client, _):
        await client.download_attachment(PAIR, folder)
    assert victim.read_bytes() == b"precious"
    assert names_in(folder) == [".tempmailg-guessed.part", "file.txt"]


async def test_a_fifo_is_neither_opened_nor_replaced(tmp_path: Path) -> None:
    """A FIFO under the final name makes nothing hang and stays what it is, with overwrite too."""
    os.mkfifo(tmp_path / "file.txt")
    async with serving(whole(b"new")) as (client, _):
        assert (await client.download_attachment(PAIR, tmp_path)).name == "file (1).txt"
        with pytest.raises(FileExistsError):
            await client.download_attachment(PAIR, tmp_path / "file.txt")
        for to in (tmp_path, tmp_path / "file.txt"):
            with pytest.raises(FileExistsError, match="no ordinary file"):
                await client.download_attachment(PAIR, to, overwrite=True)
    assert stat.S_ISFIFO((tmp_path / "file.txt").lstat().st_mode)
    assert names_in(tmp_path) == ["file (1).txt", "file.txt"]


async def test_overwriting_never_replaces_a_folder_or_a_device(tmp_path: Path) -> None:
    """Only files and symlinks are replaced: nobody loses /dev/null to a download."""
    (tmp_path / "file.txt").mkdir()
    async with serving(whole(b"new")) as (client, server):
        with pytest.raises(FileExistsError, match="no ordinary file"):
            await client.download_attachment(PAIR, tmp_path, overwrite=True)
        with pytest.raises(FileExistsError, match="no ordinary file"):
            await client.download_attachment(PAIR, "/dev/null", overwrite=True)
    assert not server.requests
    assert (tmp_path / "file.txt").is_dir()


# ------------------------------------------------------------------------------------------------------- the disk


@contextmanager
def read_only(folder: Path) -> Generator[None]:
    """Make a folder read-only, for root as well."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
    elif subprocess.run(["chattr", "+i", folder], capture_output=True, check=False).returncode != 0:
        pytest.skip("root cannot make a folder read-only on this file system")
    try:
        yield
    finally:
        if os.geteuid() == 0:
            subprocess.run(["chattr", "-i", folder], check=True)
        folder.chmod(0o700)


async def test_a_read_only_folder_costs_no_request(tmp_path: Path) -> None:
    """A folder in which no file can be made is known before the service is asked."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    async with serving(whole()) as (client, server):
        with read_only(folder), pytest.raises(PermissionError):
            await client.download_attachment(PAIR, folder)
    assert not server.requests
    assert files_in(folder) == {}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk takes root")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_leaves_nothing(small_disk: Path) -> None:
    """A disk that is full before the file is whole gives its space back, and the error names the folder."""
    (small_disk / "old").write_bytes(b"old")
    async with serving(whole(BODY)) as (client, server):
        with pytest.raises(OSError, match=f"No space left on device.*{small_disk}") as caught:
            await client.download_attachment(PAIR, small_disk)
    assert caught.value.errno == errno.ENOSPC
    assert len(server.requests) == 1
    assert files_in(small_disk) == {"old": b"old"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("body", [b"small", BODY], ids=["found at the end", "found on the way"])
async def test_an_error_of_the_disk_ends_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """What the system says to a write reaches the caller as it is, is not retried, and leaves nothing."""

    def on_a_full_device(self: Folder, name: str) -> int:
        (self.path / name).touch()
        return os.open("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(Folder, "make", on_a_full_device)
    before = opened()
    async with serving(whole(body)) as (client, server):
        with pytest.raises(OSError, match="No space left on device"):
            await client.download_attachment(PAIR, tmp_path)
    assert len(server.requests) == 1
    assert files_in(tmp_path) == {}
    assert opened() <= before


async def test_a_limit_on_file_sizes_leaves_nothing(tmp_path: Path) -> None:
    """A file that the system lets grow only so far is removed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with serving(whole(BODY)) as (client, _):
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(BODY) - 1, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                await client.download_attachment(PAIR, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize("gathers", [True, False])
async def test_a_short_write_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gathers: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The system may write less than it was given, or one piece at a time only; the file is whole all the same."""

    class Reluctant(FileIO):
        def write(self, data: Any, /) -> int:
            return super().write(data[:70_001])

    def reluctant(fd: int, chunks: list[bytes]) -> int:
        return os.write(fd, b"".join(chunks)[:70_001])

    if gathers:
        monkeypatch.setattr(os, "writev", reluctant)
    else:
        monkeypatch.delattr(os, "writev")
    monkeypatch.setattr(_download, "FileIO", Reluctant)
    async with serving(whole(BODY)) as (client, _):
        await client.download_attachment(PAIR, tmp_path)
    assert files_in(tmp_path) == {"file.txt": BODY}


async def test_a_body_in_crumbs_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More pieces than the system writes at once are written one lot after the other."""
    monkeypatch.setattr(_download, "MOST_CHUNKS", 3)
    async with _download.PartFile(tmp_path) as part:
        for at in range(0, 1_000, 7):
            await part.append(BODY[at : min(at + 7, 1_000)])
        await part.complete()
        assert part.path.read_bytes() == BODY[:1_000]
    assert files_in(tmp_path) == {}


class Holding(ThreadPoolExecutor):
    """A pool that holds what it was given, as a thread of a pool does until it runs again."""

    def __init__(self) -> None:
        super().__init__(1)
        self.held: list[tuple[Any, ...]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.held.append(args)
        return super().submit(fn, *args, **kwargs)


async def test_what_is_written_is_let_go_by_its_thread(tmp_path: Path) -> None:
    """No third buffer fills while a thread that has written one still holds it: memory stays within two."""
    pool = Holding()
    asyncio.get_running_loop().set_default_executor(pool)
    async with _download.PartFile(tmp_path) as part:
        await part.append(bytes(_download.WRITE_SIZE))
        await part.append(b"the rest")
        await part.complete()
    assert [chunks for _file, chunks in pool.held] == [[], []]


FILLS_AND_FREES = """
import resource, sys
from pathlib import Path
from tempmailg._download import WRITE_SIZE, PartFile

def fill():
    return [b"%d" % number * 262_144 for number in range(2 * WRITE_SIZE // 262_144)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

parts = [PartFile(Path(folder)) for folder in sys.argv[1:]]
fill()
before = faults()
for _ in range(50):
    fill()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back so early")
def test_a_buffer_takes_the_memory_of_the_last_one(tmp_path: Path) -> None:
    """A process that downloads does not give its buffers' memory back and ask for it anew with each of them."""

    def faults(*folders: Path) -> int:
        command = [sys.executable, "-c", FILLS_AND_FREES, *map(str, folders)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults(tmp_path) * 20 < faults()


def refuse_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behave as a file system without hard links."""

    def link(_source: str, target: str, **_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), target)

    monkeypatch.setattr(os, "link", link)


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's own")
async def test_without_hard_links_nothing_is_replaced_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system such as FAT the file is renamed in a way that spares what is there."""
    refuse_links(monkeypatch)
    (tmp_path / "file.txt").write_bytes(b"old")
    async with serving(whole(b"new")) as (client, _):
        assert (await client.download_attachment(PAIR, tmp_path)).name == "file (1).txt"
    assert files_in(tmp_path) == {"file.txt": b"old", "file (1).txt": b"new"}


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is Linux's own")
async def test_an_error_of_renaming_is_told_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system says to the renaming reaches the caller."""
    refuse_links(monkeypatch)
    async with serving(whole()) as (client, _):
        with pytest.raises(OSError, match="File name too long") as caught:
            await client.download_attachment(PAIR, tmp_path / ("x" * 300))
    assert caught.value.filename == str(tmp_path / ("x" * 300))
    assert files_in(tmp_path) == {}


class Meanwhile:
    """Does something to the folder while the first bytes of a file arrive."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act
        self.is_done = False

    def __call__(self, _done: int, _total: int | None) -> None:
        if not self.is_done:
            self.is_done = True
            self.act()


def move(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def swap(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.mkdir()


LEFT_OF_FOLDERS: list[dict[str, dict[str, bytes]]] = [{}, {"moved": {}}, {"moved": {}, "folder": {}}]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("act", [move, swap, shutil.rmtree])
async def test_a_folder_that_is_moved_during_a_download_keeps_no_part_of_it(
    tmp_path: Path,
    act: Callable[[Path], object],
    overwrite: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A part file is found again and removed where its folder went, and nothing is named there or here."""
    folder = tmp_path / "folder"
    folder.mkdir()
    before = opened()
    async with serving(whole()) as (client, _):
        meanwhile = Meanwhile(lambda: act(folder))
        with pytest.raises(FileNotFoundError, match="moved or replaced") as caught:
            await client.download_attachment(PAIR, folder, progress=meanwhile, overwrite=overwrite)
    assert caught.value.filename == str(folder)
    assert {name: files_in(tmp_path / name) for name in names_in(tmp_path)} in LEFT_OF_FOLDERS
    assert opened() <= before


async def test_a_folder_under_another_spelling_of_its_path_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path, a symlink, and a folder that moves and leaves a symlink all lead to the file."""
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    monkeypatch.chdir(tmp_path)

    def move_and_leave_a_link() -> None:
        os.chdir("/")
        folder.rename(tmp_path / "moved")
        folder.symlink_to(tmp_path / "moved")

    async with serving(whole()) as (client, _):
        await client.download_attachment(PAIR, "link/../link", progress=Meanwhile(move_and_leave_a_link))
    assert files_in(tmp_path / "moved") == {"file.txt": BODY}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("planted", ["symlink", "dangling symlink", "another file"])
async def test_what_is_planted_in_the_place_of_a_part_file_gets_no_name(
    tmp_path: Path,
    planted: str,
    overwrite: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Somebody who may write to the folder can spoil a download, but not have anything else published in its place."""
    folder, victim = tmp_path / "folder", tmp_path / "victim"
    folder.mkdir()
    victim.write_bytes(b"precious")

    def plant() -> None:
        (part,) = folder.iterdir()
        part.unlink()
        if planted == "another file":
            part.write_bytes(BODY)
        else:
            part.symlink_to(victim if planted == "symlink" else tmp_path / "absent")

    async with serving(whole()) as (client, _):
        with pytest.raises(DownloadError, match="was replaced during the download"):
            await client.download_attachment(PAIR, folder, progress=Meanwhile(plant), overwrite=overwrite)
    assert files_in(folder) == {}
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "absent").exists()


async def test_a_folder_that_may_be_written_but_not_read_is_enough(tmp_path: Path) -> None:
    """Nothing is listed in the folder of a download, so it need not be readable."""
    folder = tmp_path / "drop"
    folder.mkdir()
    folder.chmod(0o300)
    async with serving(whole(b"x")) as (client, _):
        await client.download_attachment(PAIR, folder)
    folder.chmod(0o700)
    assert files_in(folder) == {"file.txt": b"x"}


class NoSuchCall:
    """A C library without renameat2."""


class RefusedCall:
    """A C library whose renameat2 the file system refuses."""

    @staticmethod
    def renameat2(*_: object) -> int:
        return -1


@pytest.mark.parametrize("library", [NoSuchCall, RefusedCall])
async def test_where_nothing_can_be_named_safely_the_user_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: type
) -> None:
    """Rather than risk another file, the download fails with advice, and overwriting works."""

    def loaded(name: str | None, *, use_errno: bool) -> type:
        return library

    refuse_links(monkeypatch)
    monkeypatch.setattr(ctypes, "CDLL", loaded)
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.EINVAL)
    async with serving(whole(b"new")) as (client, _):
        with pytest.raises(DownloadError, match="overwrite=True"):
            await client.download_attachment(PAIR, tmp_path)
        assert files_in(tmp_path) == {}
        await client.download_attachment(PAIR, tmp_path, overwrite=True)
    assert files_in(tmp_path) == {"file.txt": b"new"}


# ------------------------------------------------------------------------------------------------------- the size


async def test_the_answers_own_length_decides(tmp_path: Path) -> None:
    """What the answer declares goes before what the message said of the file."""
    async with serving(whole(b"nine byte")) as (client, server):
        for size in (3, 9, 91):
            await client.download_attachment(attachment(size=size), tmp_path, overwrite=True)
    assert len(server.requests) == 3
    assert files_in(tmp_path) == {"file.txt": b"nine byte"}


@pytest.mark.parametrize("framing", ["until the end", "chunked"])
async def test_without_a_length_the_messages_size_must_be_reached(tmp_path: Path, framing: str) -> None:
    """A body whose end proves nothing is whole only if it is as long as the message said."""
    body = b"nine byte"
    answer = [head(headers=CHUNKED), in_chunks(body)] if framing == "chunked" else [head(), body, CLOSE]
    async with serving(answer, max_retries=1) as (client, server):
        with pytest.raises(APIResponseError, match="9 bytes arrived instead of 10") as caught:
            await client.download_attachment(attachment(size=10), tmp_path)
        assert caught.value.attempts == len(server.requests) == 2
        assert files_in(tmp_path) == {}
        for size in (None, 9, 8):
            await client.download_attachment(attachment(size=size), tmp_path, overwrite=True)
    assert files_in(tmp_path) == {"file.txt": body}


async def test_a_stream_is_cut_below_the_messages_size_too(tmp_path: Path) -> None:
    """The bytes of `stream_attachment` are checked like those of a file."""
    async with serving([head(), b"nine byte", CLOSE]) as (client, _):
        async with client.stream_attachment(attachment(size=9)) as stream:
            assert b"".join([chunk async for chunk in stream]) == b"nine byte"
        async with client.stream_attachment(attachment(size=10)) as stream:
            with pytest.raises(APIResponseError, match="9 bytes arrived instead of 10"):
                assert [chunk async for chunk in stream]


@pytest.mark.parametrize("cut", [0, 9])
async def test_a_compressed_file_needs_the_messages_size(tmp_path: Path, cut: int) -> None:
    """A service that compresses unasked is believed only where the size of the message confirms it."""
    import zlib

    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(BODY) + packer.flush()
    answer = whole(packed[: len(packed) - cut * 10_000], Content_Encoding="gzip")
    async with serving(answer, max_retries=1) as (client, _):
        with pytest.raises(APIResponseError, match="compressed"):
            await client.download_attachment(PAIR, tmp_path)
        with pytest.raises(APIResponseError, match="compressed"):
            async with client.stream_attachment(PAIR):
                pass
        if cut:
            with pytest.raises(APIResponseError):
                await client.download_attachment(attachment(size=len(BODY)), tmp_path)
        else:
            await client.download_attachment(attachment(size=len(BODY)), tmp_path)
    assert files_in(tmp_path) == ({} if cut else {"file.txt": BODY})


@pytest.mark.parametrize("tail", [b"", b"\0" * 999, b"junk"])
async def test_what_stands_behind_a_compressed_file_is_not_in_it(tmp_path: Path, tail: bytes) -> None:
    """The end of a gzip body is the end of the file, whatever a server appends to it."""
    async with serving(whole(gzip.compress(BODY) + tail, Content_Encoding="gzip")) as (client, server):
        await client.download_attachment(attachment(size=len(BODY)), tmp_path)
        async with client.stream_attachment(attachment(size=len(BODY))) as stream:
            assert b"".join([chunk async for chunk in stream]) == BODY
    assert files_in(tmp_path) == {"file.txt": BODY}
    assert len(server.requests) == 2


async def test_a_compressed_file_that_is_cut_behind_its_last_byte_is_no_file(tmp_path: Path) -> None:
    """Without the check sum at the end of a gzip body nothing says that the bytes are the right ones."""
    async with serving(whole(gzip.compress(BODY)[:-8], Content_Encoding="gzip"), max_retries=0) as (client, _):
        with pytest.raises(IncompleteResponseError, match="cut off"):
            await client.download_attachment(attachment(size=len(BODY)), tmp_path)
    assert files_in(tmp_path) == {}


async def test_a_file_in_an_encoding_that_was_not_asked_for_is_refused_by_its_name(tmp_path: Path) -> None:
    """Bytes that nobody here can decode are never saved as the file, however many they are."""
    async with serving(whole(BODY, Content_Encoding="br")) as (client, server):
        with pytest.raises(APIResponseError, match="in the encoding 'br', which was not asked for"):
            await client.download_attachment(attachment(size=len(BODY)), tmp_path)
    assert files_in(tmp_path) == {}
    assert len(server.requests) == 1


REFUSAL = b'{"status": false, "message": "This file has expired."}'
PAGE = b"<!doctype html><title>Sign in</title>"
JSON, HTML = "application/json; charset=utf-8", "text/html"
INSTEAD: list[tuple[str, int | None, str, bytes, type[TempMailError]]] = [
    ("f.bin", None, JSON, REFUSAL, RequestRejectedError),
    ("f.bin", 10, JSON, REFUSAL, RequestRejectedError),
    ("f.bin", None, "application/problem+json", REFUSAL, RequestRejectedError),
    ("f.json", 10, JSON, REFUSAL, RequestRejectedError),
    ("f.bin", None, JSON, b'{"status": true}', UnreadableResponseError),
    ("f.bin", None, JSON, b"{", UnreadableResponseError),
    ("f.bin", None, HTML, PAGE, UnreadableResponseError),
    ("f.bin", 10, HTML, PAGE, UnreadableResponseError),
    ("f.html", 10, HTML, PAGE, UnreadableResponseError),
    ("f.json", None, HTML, PAGE, UnreadableResponseError),
    ("f.html", None, JSON, REFUSAL, RequestRejectedError),
    ("f", 10, HTML, PAGE, UnreadableResponseError),
    ("f.json", 0, HTML, PAGE, UnreadableResponseError),
]


@pytest.mark.parametrize("framing", ["declared", "chunked"])
@pytest.mark.parametrize(("name", "size", "kind", "body", "error"), INSTEAD)
async def test_a_refusal_or_a_page_is_not_saved_as_the_file(
    tmp_path: Path, name: str, size: int | None, kind: str, body: bytes, error: type[TempMailError], framing: str
) -> None:
    """JSON and HTML whose size or kind is not the attachment's are an error, with the service's own reason."""
    pieces = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    chunked = [head(200, {**CHUNKED, "Content-Type": kind}), pieces]
    answer = whole(body, Content_Type=kind) if framing == "declared" else chunked
    # Where the name agrees and no length is declared, the answer's end shows that it is none.
    expected = error if framing == "declared" else (error, IncompleteResponseError)
    async with serving(answer, max_retries=0) as (client, _):
        with pytest.raises(expected) as caught:
            await client.download_attachment(attachment(name, size), tmp_path)
        assert caught.value.call == "stream_attachment"
        with pytest.raises(expected):
            async with client.stream_attachment(attachment(name, size)) as stream:
                assert [piece async for piece in stream]
    assert (type(caught.value) is RequestRejectedError) == ("has expired" in str(caught.value))
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "size", "kind", "body"),
    [
        ("f.json", None, JSON, REFUSAL),
        ("f.json", len(REFUSAL), JSON, REFUSAL),
        ("f.geojson", 0, JSON, REFUSAL),
        ("notes.txt", len(PAGE), HTML, PAGE),
        ("f.HTM", None, HTML, PAGE),
        ("README", None, HTML, PAGE),
        ("f.bin", len(PAGE) + 1, "application/octet-stream", PAGE),
    ],
)
async def test_a_file_of_json_or_html_arrives(
    tmp_path: Path, name: str, size: int | None, kind: str, body: bytes
) -> None:
    """What the sender attached arrives as it is, whatever it says, if its size or its name agrees."""
    async with serving(whole(body, Content_Type=kind)) as (client, server):
        await client.download_attachment(attachment(name, size), tmp_path)
    assert len(server.requests) == 1
    assert files_in(tmp_path) == {name: body}


@pytest.mark.parametrize("status", [203, 204, 206])
async def test_only_a_plain_success_carries_a_file(tmp_path: Path, status: int) -> None:
    """A part that nobody asked for, or no content at all, becomes no file."""
    answer = [head(status, {} if status == 204 else {"Content-Length": "4"}), b"" if status == 204 else b"part"]
    async with serving(answer) as (client, _):
        with pytest.raises(APIResponseError, match=f"status {status}"):
            await client.download_attachment(PAIR, tmp_path)
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize("framing", ["declared", "discovered"])
async def test_a_file_above_the_limit_is_refused(tmp_path: Path, framing: str) -> None:
    """`max_bytes` bounds what is kept, be the length declared or found out, and one more request would not help."""
    endless = [head(headers=CHUNKED), Endless(in_chunks(b"x" * 1_000)[: -len(b"0\r\n\r\n")])]
    declared = [head(headers={"Content-Length": "10000000000000"}), STALL]
    async with serving(declared if framing == "declared" else endless) as (client, server):
        with pytest.raises(DownloadError, match="max_bytes") as caught:
            await client.download_attachment(PAIR, tmp_path, max_bytes=5_000_000)
    assert caught.value.call == "stream_attachment"
    assert len(server.requests) == 1
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize("answer", [whole(), [head(headers=CHUNKED), in_chunks(BODY)]], ids=["declared", "chunked"])
async def test_a_file_at_the_limit_is_kept(tmp_path: Path, answer: list[Any]) -> None:
    """`max_bytes` itself is allowed, one byte more is not."""
    async with serving(answer) as (client, _):
        await client.download_attachment(PAIR, tmp_path, max_bytes=len(BODY))
        with pytest.raises(DownloadError):
            await client.download_attachment(PAIR, tmp_path, max_bytes=len(BODY) - 1)
    assert files_in(tmp_path) == {"file.txt": BODY}


# ------------------------------------------------------------------------------------------------------- progress


@pytest.mark.parametrize(
    ("answer", "total"),
    [(whole(), len(BODY)), ([head(headers=CHUNKED), in_chunks(BODY)], None)],
    ids=["declared", "chunked"],
)
async def test_progress_ends_with_the_whole_file(tmp_path: Path, answer: list[Any], total: int | None) -> None:
    """The last report has the file's length, which those before it can only have if the service declared it."""
    reports: list[tuple[int, int | None]] = []

    def record(done: int, total: int | None) -> None:
        reports.append((done, total))

    async with serving(answer) as (client, _):
        await client.download_attachment(PAIR, tmp_path, progress=record)
    *early, last = reports
    assert last == (len(BODY), len(BODY))
    assert {declared for _, declared in early} == {total}
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)


async def test_a_failing_progress_function_leaves_nothing(tmp_path: Path) -> None:
    """An error of the caller's own function reaches the caller, even from the last report."""

    def fail(done: int, _total: int | None) -> None:
        if done == len(BODY):
            raise ZeroDivisionError

    async with serving(whole()) as (client, server):
        with pytest.raises(ZeroDivisionError):
            await client.download_attachment(PAIR, tmp_path, progress=fail)
    assert len(server.requests) == 1
    assert files_in(tmp_path) == {}


# ------------------------------------------------------------------------------------------------------- threads


def test_no_thread_and_no_descriptor_is_left(tmp_path: Path) -> None:
    """When the event loop has ended, so have the writing threads, whether the download succeeded or not."""

    async def main() -> None:
        async with serving(whole(), [head(headers={"Content-Length": "9"}), b"half", CLOSE], max_retries=0) as (
            client,
            _,
        ):
            await client.download_attachment(PAIR, tmp_path)
            with pytest.raises(TempMailError):
                await client.download_attachment(PAIR, tmp_path)

    threads, descriptors = threading.active_count(), opened()
    asyncio.run(main())
    assert threading.active_count() == threads
    assert opened() == descriptors
    assert files_in(tmp_path) == {"file.txt": BODY}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux reports the peak of the resident memory")
async def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A file of any size takes the same few mebibytes while it is received."""
    program = """
import asyncio, sys, tempmailg
from pathlib import Path

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

async def main(url, folder):
    async with tempmailg.AsyncClient("key", base_url=url) as client:
        await client.download_attachment(("m1", "small"), folder)
        before = peak()
        await client.download_attachment(("m1", "large"), folder)
        print(peak() - before)

asyncio.run(main(*sys.argv[1:]))
"""
    size = 64
    large = [head(headers={"Content-Length": str(size * 2**20)}), *[b"x" * 2**20] * size]
    async with serving(whole(b"x"), large) as (_, server):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, server.base_url, str(tmp_path), stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    assert (tmp_path / "large").stat().st_size == size * 2**20
    assert int(output) <= 16 * 1024


async def test_other_tasks_run_while_the_disk_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that blocks holds up its download, not the event loop, and no more than two buffers wait for it."""
    write, go_on = _download._write, threading.Event()

    def slow(*args: Any) -> None:
        go_on.wait()
        write(*args)

    monkeypatch.setattr(_download, "_write", slow)
    async with serving(whole()) as (client, _):
        reports: list[int] = []
        task = asyncio.create_task(
            client.download_attachment(PAIR, tmp_path, progress=lambda done, _: reports.append(done))
        )
        for _ in range(300):
            await asyncio.sleep(0.001)
        assert not task.done()
        assert max(reports) < len(BODY)
        go_on.set()
        await task
    assert files_in(tmp_path) == {"file.txt": BODY}
