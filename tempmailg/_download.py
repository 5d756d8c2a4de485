"""An attachment's bytes to a file that is whole or absent.

The bytes go to a part file beside the final name, and only a whole one gets that name, in one step that replaces
nothing by accident. Bulk data is written in a thread. What is one quick system call (to make, name or remove a file)
happens in the event loop, where no cancellation can come between the call and the record of its result.

A crash of the process leaves the part file behind, never anything under the final name. A power failure is another
matter: nothing is forced to the disk.
"""

from __future__ import annotations

import asyncio
import errno
import math
import os
import re
import secrets
import stat
from contextlib import suppress
from functools import cache
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from attrs import Factory, evolve, field, frozen

from tempmailg import _endpoints as endpoints
from tempmailg import _errors as err
from tempmailg import _settings as settings
from tempmailg._folder import Folder
from tempmailg._models import Attachment
from tempmailg._names import distinct, numbered, safe_name
from tempmailg._stream import IDENTITY, BodyReader, SpeedLimit, declared_size, is_coded, whole_body

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from tempmailg._core import CallAttempts, Caller
    from tempmailg.transport import ResponseStream

    Progress = Callable[[int, int | None], object]

__all__ = ["DownloadOptions", "download", "download_all"]

T = TypeVar("T")


@frozen
class DownloadOptions:
    """How a file is to be downloaded.

    Args:
        overwrite: Whether a file that is there is replaced.
        progress: Called with the bytes so far and with all that are to come, None if that is unknown.
        max_bytes: The longest file to accept, in bytes; None for any.
        minimum_speed: The slowest acceptable speed, in bytes a second.
        speed_window: Over how many seconds of waiting for the service the speed is measured.
    """

    overwrite: bool
    progress: Progress | None
    max_bytes: int | None
    minimum_speed: float
    speed_window: float

    def __attrs_post_init__(self) -> None:
        self.speed_limit()  # refuses what is no speed
        if self.max_bytes is not None:
            settings.check_count("max_bytes", self.max_bytes)

    def speed_limit(self) -> SpeedLimit:
        """Return a limit that has measured nothing yet."""
        return SpeedLimit(self.minimum_speed, settings.check_seconds("speed_window", self.speed_window))

    def check_size(self, size: int) -> None:
        """Raise if a file is too long."""
        if self.max_bytes is not None and size > self.max_bytes:
            raise err.DownloadError(f"the file is larger than max_bytes ({self.max_bytes} bytes): nothing was kept")


async def download(
    caller: Caller, attachment: Attachment | tuple[str, str], to: str | os.PathLike[str], options: DownloadOptions
) -> Path:
    """Download one attachment to a folder or a full path: see `AsyncClient.download_attachment`."""
    name = endpoints.names_of(attachment)[1]
    caller.core.check_open()
    return await _download_to(_place_for(name, to, options), caller, attachment, options)


async def download_all(
    caller: Caller,
    attachments: Sequence[Attachment],
    to: str | os.PathLike[str],
    options: DownloadOptions,
    concurrency: int,
) -> list[Path]:
    """Download attachments to a folder, some at a time: see `AsyncClient.download_attachments`."""
    turns = asyncio.Semaphore(settings.check_count("concurrency", concurrency, least=1))
    caller.core.check_open()
    names = [safe_name(attachment.name) for attachment in attachments]
    if options.overwrite:
        names = distinct(names)  # or two files of one message would overwrite each other
    folder = _made_folder(_text_of(to))
    tally = _Tally([attachment.size for attachment in attachments], _Meter(options.progress, caller.core.transport.now))

    async def download_one(index: int) -> Path | Exception:
        place = Place(folder, names[index], overwrite=options.overwrite)
        async with turns:
            try:
                return await _download_to(
                    place, caller, attachments[index], evolve(options, progress=tally.progress_of(index))
                )
            except _OF_ONE_FILE as error:
                if isinstance(error, _OF_ALL_FILES):
                    raise
                return error

    outcomes = await _all_or_first_failure([download_one(index) for index in range(len(attachments))])
    tally.end()
    return _complete(attachments, outcomes)


# What is wrong with one file says nothing of its neighbours; a key, a quota or a disk is everybody's.
_OF_ONE_FILE: Final = (
    err.ConfigurationError,  # a name that no URL can carry
    err.APIResponseError,
    err.APIStatusError,
    err.DownloadError,
    err.RequestRejectedError,
    FileExistsError,
)
_OF_ALL_FILES: Final = (err.AuthenticationError, err.PermissionDeniedError, err.RateLimitError)

_SHOWN_FAILURES: Final = 5


def _complete(attachments: Sequence[Attachment], outcomes: Sequence[Path | Exception]) -> list[Path]:
    """Return the paths if every file has one; otherwise raise what says which files are missing, and why."""
    paths = [outcome for outcome in outcomes if isinstance(outcome, Path)]
    failures = [
        (attachment.name, outcome)
        for attachment, outcome in zip(attachments, outcomes, strict=True)
        if isinstance(outcome, Exception)
    ]
    if not failures:
        return paths
    if not paths:
        raise failures[0][1]
    error = err.IncompleteDownloadError(_failure_text(failures, len(outcomes)))
    error.paths = tuple(outcome if isinstance(outcome, Path) else None for outcome in outcomes)
    error.failures = tuple(failures)
    raise error from failures[0][1]


def _failure_text(failures: Sequence[tuple[str, Exception]], count: int) -> str:
    reasons = [f"{name[:60]!r}: {error}" for name, error in failures[:_SHOWN_FAILURES]]
    if len(failures) > _SHOWN_FAILURES:
        reasons.append(f"and {len(failures) - _SHOWN_FAILURES} more")
    return f"{len(failures)} of {count} files could not be downloaded, the others are saved: {'; '.join(reasons)}"


async def _download_to(
    place: Place, caller: Caller, attachment: Attachment | tuple[str, str], options: DownloadOptions
) -> Path:
    place.check()
    async with PartFile(place.root) as part:
        transfer = _Transfer(caller, attachment, part, options)
        await caller.with_retries(transfer.call, transfer.attempt)
        await part.complete()
        transfer.meter.end(part.size)
        return place.publish(part)  # without an await after it: cancelled means absent


# --------------------------------------------------------------------------------------------------- the transfer


class _Transfer:
    """The bytes of one attachment on their way into a part file, with as many requests as that takes."""

    def __init__(
        self, caller: Caller, attachment: Attachment | tuple[str, str], part: PartFile, options: DownloadOptions
    ) -> None:
        self.call = endpoints.stream_attachment(attachment)
        self.meter = _Meter(options.progress, caller.core.transport.now)
        self._caller = caller
        self._name = endpoints.names_of(attachment)[1]
        self._known = attachment.size if isinstance(attachment, Attachment) else None
        self._part = part
        self._options = options
        self._validator: str | None = None  # the strong ETag of what the part file holds the beginning of
        self._total: int | None = None

    async def attempt(self, attempts: CallAttempts) -> None:
        """Send one request, for the whole file or for what is missing, and keep what arrives."""
        stream = await self._open(attempts)
        try:
            reader = await self._reader_of(stream)
            self._options.check_size(self._total or 0)
            while chunk := await reader.read():
                self._options.check_size(self._part.size + len(chunk))
                await self._part.append(chunk)
                self.meter.update(self._part.size, self._total)
        finally:
            stream.close()
            attempts.renew_deadline()

    async def _open(self, attempts: CallAttempts) -> ResponseStream:
        if self._validator is None or not self._part.size:
            return await self._caller.open_once(attempts, IDENTITY)
        rest = {**IDENTITY, "Range": f"bytes={self._part.size}-", "If-Range": self._validator}
        try:
            return await self._caller.open_once(attempts, rest)
        except err.APIStatusError as error:
            if error.status in (412, 416):  # it has no such rest: ask for everything
                self._validator = None
                raise err.IncompleteResponseError(f"the server has no rest of the file: {error}") from None
            raise

    async def _reader_of(self, stream: ResponseStream) -> BodyReader:
        transport, limit = self._caller.core.transport, self._options.speed_limit()
        if stream.status == 206 and self._validator is not None:
            return BodyReader(stream, transport, limit, size=self._rest_in(stream))
        reader = await whole_body(stream, transport, limit, self._name, self._known)
        await self._part.restart()
        # The tag and the range of a compressed answer are those of the compressed bytes.
        self._validator = None if is_coded(stream.headers) else _strong_etag(stream)
        self._total = reader.size
        return reader

    def _rest_in(self, stream: ResponseStream) -> int:
        """Return the length of an answer that continues the part file; refuse any other."""
        start = self._part.size
        begin, end, total = _content_range(stream)
        fits = (
            begin == start
            and end == total - 1
            and self._total in (None, total)
            and declared_size(stream.headers) in (None, total - start)
            and stream.headers.get("ETag") in (None, self._validator)
            and not is_coded(stream.headers)
        )
        if not fits:
            self._validator = None
            raise err.IncompleteResponseError("the answer cannot be used: it is not the missing rest of the file")
        self._total = total
        return total - start


_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)


def _strong_etag(stream: ResponseStream) -> str | None:
    etag = stream.headers.get("ETag") or ""
    return etag if _STRONG_ETAG.fullmatch(etag) else None


def _content_range(stream: ResponseStream) -> tuple[int, int, int]:
    """Return the first and the last byte of a partial answer and the file's length, or nonsense for nonsense."""
    found = _CONTENT_RANGE.fullmatch((stream.headers.get("Content-Range") or "").strip())
    return (int(found[1]), int(found[2]), int(found[3])) if found else (-1, -1, -1)


# --------------------------------------------------------------------------------------------------- the part file

WRITE_SIZE: Final = 3 * 512 * 1024
"""Bytes a write: with fewer, the way into the thread costs more, above all on a busy machine; two of these are held."""

AT_HAND: Final = 2 * WRITE_SIZE
"""Bytes of memory that a process that downloads keeps between two pieces: as many as both buffers take."""

MOST_CHUNKS: Final = 1_000
"""How many chunks to write at once: every system that can do that takes 1,024."""


@cache
def keep_memory_at_hand() -> None:
    """Have the C library keep the memory of buffers that were written, for the next ones.

    glibc gives free memory back to the system where it is more than twice the largest block that was ever freed whole,
    256 KiB in a download; each page of the next buffer is then asked for and cleared anew, which is a third of the
    processor time. This block is never touched, so it costs two system calls. Other libraries do not care.
    """
    bytes(AT_HAND)


class PartFile:
    """A file in the making: nobody else's to read, and gone when its block ends.

    While a thread writes one buffer, the network fills the next.

    Args:
        root: The folder of the final name, so that naming the file copies nothing.
    """

    __slots__ = ("_buffer", "_buffered", "_file", "_made", "_writing", "folder", "name", "size")

    def __init__(self, root: Path) -> None:
        keep_memory_at_hand()
        self.folder = Folder(root)
        try:
            fd, self.name = _made_part(self.folder)
        except BaseException:
            self.folder.close()
            raise
        self._made = os.fstat(fd)
        self._file = FileIO(fd, "wb")
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._writing: asyncio.Future[None] | None = None
        self.size = 0

    @property
    def path(self) -> Path:
        """Where it is, unless the folder was moved."""
        return self.folder.path / self.name

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            with suppress(OSError):  # raised before, or the block has failed for another reason
                await self._written()
        finally:
            with suppress(OSError):  # the same
                self._file.close()
            with suppress(OSError):  # it got its name by moving
                self.folder.remove(self.name)
            self.folder.close()

    async def append(self, chunk: bytes) -> None:
        """Take bytes over; wait only if both buffers are full."""
        self._buffer.append(chunk)
        self._buffered += len(chunk)
        self.size += len(chunk)
        if self._buffered >= WRITE_SIZE:
            await self._written()
            self._begin(_write)

    async def restart(self) -> None:
        """Drop everything so far."""
        if not self.size:
            return
        await self._written()
        self._take_buffer()
        self._file.seek(0)
        self._file.truncate()
        self.size = 0

    async def complete(self) -> None:
        """Write what is left and close the file: some file systems find out only then that they are full."""
        await self._written()
        self._begin(_write_and_close)
        await self._written()

    def check(self) -> None:
        """Raise unless the file can get its final name: somebody may have moved its folder, or replaced the file."""
        self.folder.check_place()
        if not self.folder.is_file(self.name, self._made):
            raise err.DownloadError(
                f"the part file {str(self.path)!r} was replaced during the download, so nothing was kept: who else can"
                " write to that folder?"
            )

    def _take_buffer(self) -> list[bytes]:
        buffer, self._buffer, self._buffered = self._buffer, [], 0
        return buffer

    def _begin(self, work: Callable[[FileIO, list[bytes]], None]) -> None:
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, work, self._file, self._take_buffer())

    async def _written(self) -> None:
        """Wait for the thread, and put a cancellation off until then: no file is removed under its writer."""
        if self._writing is None:
            return
        cancelled: asyncio.CancelledError | None = None
        while not self._writing.done():
            try:
                await asyncio.wait([self._writing])
            except asyncio.CancelledError as error:
                cancelled = error
        failure, self._writing = self._writing.exception(), None
        if cancelled is not None:
            raise cancelled
        if isinstance(failure, OSError):
            failure.filename = str(self.folder.path)  # says which disk is full
        if failure is not None:
            raise failure


def _made_part(folder: Folder) -> tuple[int, str]:
    while True:
        name = f".tempmailg-{secrets.token_hex(8)}.part"
        with suppress(FileExistsError):
            return folder.make(name), name


def _write(file: FileIO, chunks: list[bytes]) -> None:
    for start in range(0, len(chunks), MOST_CHUNKS):
        _write_together(file, chunks[start : start + MOST_CHUNKS])
    # A pool's thread holds what it was given until it runs again, and by then the loop may have filled a third buffer.
    chunks.clear()


def _write_together(file: FileIO, chunks: list[bytes]) -> None:
    # Joining the chunks first would copy each byte once more, out of the reach of the processor's caches.
    written = os.writev(file.fileno(), chunks) if hasattr(os, "writev") else 0
    if written == sum(map(len, chunks)):
        return
    rest = memoryview(b"".join(chunks))[written:]
    while rest:
        rest = rest[file.write(rest) :]


def _write_and_close(file: FileIO, chunks: list[bytes]) -> None:
    _write(file, chunks)
    file.close()


# --------------------------------------------------------------------------------------------------- the final name

MOST_NAMESAKES: Final = 10_000
"""How many files of one name a folder may hold before another is refused."""


@frozen
class Place:
    """Where a whole file is to stand.

    Args:
        folder: Its folder, as the caller wrote it.
        name: Its name, one safe component.
        overwrite: Whether a file that is there is replaced.
        is_exact: Whether the caller chose the name, so that no other will do.
        root: The folder, wherever the process changes to.
    """

    folder: Path
    name: str
    overwrite: bool
    is_exact: bool = False
    root: Path = field(init=False, default=Factory(lambda self: self.folder.absolute(), takes_self=True))

    def check(self) -> None:
        """Raise what stands in the way, as far as it can be known."""
        final = self.root / self.name
        try:
            mode = final.lstat().st_mode
        except FileNotFoundError:
            return
        if self.overwrite and not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            raise FileExistsError(errno.EEXIST, "no ordinary file, so it is not replaced", str(final))
        if self.is_exact and not self.overwrite:
            raise self._taken()

    def publish(self, part: PartFile) -> Path:
        """Give a whole file its name and return it as a path."""
        part.check()
        if self.overwrite:
            self.check()
            part.folder.replace(part.name, self.name)
            return self.folder / self.name
        for number in range(1 if self.is_exact else MOST_NAMESAKES):
            name = numbered(self.name, number)
            with suppress(FileExistsError):
                part.folder.give_name(part.name, name)
                return self.folder / name
        raise self._taken()

    def _taken(self) -> FileExistsError:
        return FileExistsError(
            errno.EEXIST, "it is there already: set overwrite=True to replace it", str(self.root / self.name)
        )


def _place_for(name: str, to: str | os.PathLike[str], options: DownloadOptions) -> Place:
    text = _text_of(to)
    if text.endswith(_SEPARATORS) or Path(text).is_dir():
        return Place(_made_folder(text), safe_name(name), options.overwrite)
    path = Path(text)
    return Place(path.parent, path.name, options.overwrite, is_exact=True)


_SEPARATORS: Final = tuple({"/", os.sep})


def _text_of(to: str | os.PathLike[str]) -> str:
    try:
        text = os.fsdecode(to)
    except TypeError:
        raise err.ConfigurationError(f"to must be a folder or the path of a file, not {to!r}") from None
    if not text:
        raise err.ConfigurationError("to must be a folder or the path of a file, not an empty text")
    return text


def _made_folder(text: str) -> Path:
    folder = Path(text)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# --------------------------------------------------------------------------------------------------- progress

REPORT_GAP: Final = 0.1  # seconds between two reports


class _Meter:
    """Reports progress, at most ten times a second, and once at the end."""

    def __init__(self, progress: Progress | None, now: Callable[[], float]) -> None:
        self._progress = progress
        self._now = now
        self._next = -math.inf

    def update(self, done: int, total: int | None) -> None:
        if self._progress is None or (now := self._now()) < self._next:
            return
        self._next = now + REPORT_GAP
        self._progress(done, total)

    def end(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, done)


class _Tally:
    """The progress of several files as that of one."""

    def __init__(self, sizes: list[int | None], meter: _Meter) -> None:
        self._done = [0] * len(sizes)
        self._totals = sizes
        self._meter = meter

    def progress_of(self, index: int) -> Progress:
        def progress(done: int, total: int | None) -> None:
            self._done[index], self._totals[index] = done, total
            known = [each for each in self._totals if each is not None]
            self._meter.update(sum(self._done), sum(known) if len(known) == len(self._totals) else None)

        return progress

    def end(self) -> None:
        self._meter.end(sum(self._done))


# ------------------------------------------------------------------------------------------------- several at a time


async def _all_or_first_failure(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run works side by side; at the first failure cancel the others, await their end and raise that failure."""
    failure: BaseException | None = None
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(work) for work in works]
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    if failure is not None:
        raise failure
    return [task.result() for task in tasks]
