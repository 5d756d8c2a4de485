"""A store in one file of this machine, for the processes and threads that share it.

The file is a log of JSON lines, appended under a lock by single writes: ``["claim", mailbox, id, until]`` and
``["done", mailbox, id, until]``, where `until` is the time of the wall clock when the line means nothing any more.
Everybody reads what others have appended before they decide. A line that a kill has cut is ignored, and cut off by the
next writer. When most lines mean nothing any more, the log is written anew beside and moved into its place.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from tempmailg import _errors as err
from tempmailg._opening import open_at_once
from tempmailg._public import public
from tempmailg._stores._protocol import DEFAULT_KEEP, DEFAULT_LEASE, check_lease

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["FileStore"]

MODE: Final = 0o600  # addresses and ids are nobody else's business
CHUNK: Final = 1024 * 1024  # bytes
WASTE: Final = 1_000  # lines that may be superfluous before the log is written anew


@public
class FileStore:
    """A store of seen messages in a file: a `SeenStore` for the processes and threads of one machine.

    The file must be on a local file system. It is locked for microseconds at a time, by a second file beside it; a
    process that dies holds up nobody.

    Args:
        path: The file; it is made if it is missing. All workers give the same.
        lease: Seconds after which a message that was claimed and not handled is free again: its worker has died.
            Longer than a message takes to be handled.
        keep: Seconds for which handled messages are remembered. Longer than a mailbox lives.

    Raises:
        ConfigurationError: The times are wrong, or the file cannot be used.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, lease: float = DEFAULT_LEASE, keep: float = DEFAULT_KEEP
    ) -> None:
        self._path = Path(path)
        self._lease, self._keep = check_lease(lease, keep)
        self._mutex = Lock()  # between threads: the lock of the file is the process's
        self._entries: dict[str, dict[str, tuple[str, float]]] = {}  # by mailbox and id: its state, until when
        self._identity: tuple[int, int] | None = None  # of the file that was read
        self._size = 0  # bytes of it that were read: up to the end of the last whole line
        self._lines = 0
        self._tidy_at = WASTE  # lines: when to count again how many of them mean something
        with self._locked():
            pass

    def seen(self, mailbox: str) -> list[str]:
        """Return the ids of the messages that were handled.

        Args:
            mailbox: The mailbox's address.
        """
        with self._locked() as now:
            found = self._entries.get(mailbox, {})
            return [key for key, (kind, until) in found.items() if kind == "done" and until > now]

    def claim(self, mailbox: str, message_id: str) -> bool:
        """Claim a message, and return whether the caller is to deliver it.

        Args:
            mailbox: The mailbox's address.
            message_id: The message's id.
        """
        with self._locked() as now:
            _, until = self._entries.get(mailbox, {}).get(message_id, ("", 0.0))
            if until > now:
                return False
            self._append(["claim", mailbox, message_id, now + self._lease])
            return True

    def done(self, mailbox: str, message_id: str) -> None:
        """Mark a message as handled.

        Args:
            mailbox: The mailbox's address.
            message_id: The message's id.
        """
        with self._locked() as now:
            self._append(["done", mailbox, message_id, now + self._keep])
            self._tidy(now)

    def __repr__(self) -> str:
        return f"<FileStore {str(self._path)!r}>"

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (str(self._path), self._lease, self._keep)

    @contextmanager
    def _locked(self) -> Generator[float]:
        """Hold the lock; what others have appended is known then. Gives the time."""
        with self._mutex:
            try:
                lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT, MODE)
                try:
                    _lock(lock)
                    self._catch_up()
                    yield time.time()
                finally:
                    os.close(lock)  # this unlocks it
            except OSError as error:
                raise err.ConfigurationError(f"the store cannot be used: {error}") from None

    def _catch_up(self) -> None:
        """Read what was appended since the last time; everything, if the log was written anew."""
        file = open_at_once(self._path, os.O_RDONLY | os.O_CREAT, MODE)
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise err.ConfigurationError(f"{self._path} is no ordinary file: give another path")
            if (status.st_dev, status.st_ino) != self._identity or status.st_size < self._size:
                self._entries, self._size, self._lines = {}, 0, 0
                self._identity = status.st_dev, status.st_ino
            tail = _read_all(file, self._size)
        finally:
            os.close(file)
        whole = tail[: tail.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._take(line)
        self._size += len(whole)

    def _take(self, line: bytes) -> None:
        try:
            kind, mailbox, message_id, until = json.loads(line)
            self._entries.setdefault(mailbox, {})[message_id] = str(kind), float(until)
        except (ValueError, TypeError):
            raise err.ConfigurationError(f"{self._path} is no store of seen messages: give another path") from None
        self._lines += 1

    def _append(self, line: list[object]) -> None:
        """Append a line, where the last whole one ends."""
        data = _encoded(line)
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, MODE)
        try:
            os.ftruncate(file, self._size)
            _write_all(file, data, self._size)
        finally:
            os.close(file)
        self._take(data)
        self._size += len(data)

    def _tidy(self, now: float) -> None:
        """Write the log anew where a third of it or more means nothing any more; that is counted now and then."""
        if self._lines < self._tidy_at:
            return
        self._tidy_at = self._lines + WASTE
        live = sum(until > now for found in self._entries.values() for _, until in found.values())
        if self._lines - live >= max(WASTE, live // 2):
            self._rewrite(now)

    def _rewrite(self, now: float) -> None:
        """Write the log anew, and move it into its place when it is whole."""
        beside = self._path.with_name(f"{self._path.name}.tmp")
        lines = [
            _encoded([kind, mailbox, key, until])
            for mailbox, found in self._entries.items()
            for key, (kind, until) in found.items()
            if until > now
        ]
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE)
        try:
            _write_all(file, b"".join(lines), 0)
            os.fsync(file)
        finally:
            os.close(file)
        beside.replace(self._path)
        self._catch_up()
        self._tidy_at = self._lines + WASTE


def _restored(path: str, lease: float, keep: float) -> FileStore:
    return FileStore(path, lease=lease, keep=keep)


def _encoded(line: list[object]) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _read_all(file: int, position: int) -> bytes:
    os.lseek(file, position, os.SEEK_SET)
    return b"".join(iter(lambda: os.read(file, CHUNK), b""))


def _write_all(file: int, data: bytes, position: int) -> None:
    os.lseek(file, position, os.SEEK_SET)
    while data:
        data = data[os.write(file, data) :]


if sys.platform == "win32":  # pragma: no cover - the suite runs on Linux
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_LOCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
