"""What a watch has seen, kept in a file that survives a kill at any moment.

The file is a log of JSON lines, each appended by a single write: ``["seen", address, id, …]``, ``["gone", address]``,
and ``["learned", …]``, what the client knows about its demand and its arrivals. A line that a kill has cut is ignored.
When the log is much longer than what it says, it is written anew beside and moved into its place, so there is a whole
file at any moment.

A file that holds what `Watch.seen` returned, as one JSON object, is taken over: it becomes a log when the watch is
entered. While a watch is entered, it holds an advisory lock on its file, where the platform has such locks.
"""

from __future__ import annotations

import codecs
import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from tempmailg import _errors as err
from tempmailg._opening import open_at_once

if sys.platform != "win32":
    import fcntl

__all__ = ["StateFile", "checked_state"]

MODE: Final = 0o600  # addresses and ids are nobody else's business
WASTE: Final = 1_000  # lines that may be superfluous, and
WASTE_SHARE: Final = 1.0  # as many as there are ids, before the log is written anew
MOST_BYTES: Final = 1024**3  # of a log: the ids of some ten million messages
BEGINNING: Final = b'["'
LINE_IDS: Final = 500  # ids in one line of a log that is written anew
LOCK_TRIES: Final = 5  # to lock a file that another watch is just replacing
MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def checked_state(state: object, *, name: str = "state") -> dict[str, tuple[str, ...]]:
    """Return a state that `Watch.seen` made, perhaps in another life.

    Raises:
        ConfigurationError: It is none.
    """
    if state is None:
        return {}
    if not isinstance(state, Mapping):
        raise _bad_state(name)
    found: dict[str, tuple[str, ...]] = {}
    for email, ids in cast("Mapping[object, object]", state).items():
        if not isinstance(email, str) or isinstance(ids, str) or not isinstance(ids, Sequence):
            raise _bad_state(name)
        keys = cast("Sequence[object]", ids)
        if not all(isinstance(key, str) for key in keys):
            raise _bad_state(name)
        found[email.lower()] = cast("tuple[str, ...]", tuple(keys))
    return found


def _bad_state(name: str) -> err.ConfigurationError:
    return err.ConfigurationError(f"{name} must be what watch.seen() returned: lists of message ids by address")


class StateFile:
    """The log of one watch.

    Args:
        path: The file; it is made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[str, dict[str, None]] = {}
        self.experience: object = None
        self._lines = 0
        self._size = 0  # bytes up to the end of the last whole line
        self._file = -1
        self._version: tuple[int, int, int] | None = None  # of the file that was read
        self._is_other_form = False  # it was read, but appending to it would not make a log

    def load(self) -> dict[str, tuple[str, ...]]:
        """Read the log and return the ids by address.

        Raises:
            ConfigurationError: The file is there, and it is no such log.
        """
        try:
            content = self._content()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise err.ConfigurationError(f"the state file cannot be read: {error}") from None
        self._lines = self._size = 0
        plain = _without_mark(content)
        is_object = plain.lstrip().startswith(b"{")
        self._is_other_form = is_object or plain is not content
        if is_object:
            self._take_object(plain)
        else:
            self._take_log(plain)
        return {email: tuple(ids) for email, ids in self._seen.items()}

    def _take_log(self, content: bytes) -> None:
        if not BEGINNING.startswith(content[: len(BEGINNING)]):  # else opening it would cut what somebody else wrote
            raise self._foreign()
        whole, _, _ = content.rpartition(b"\n")
        self._size = len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            self._take(line)

    def _take_object(self, content: bytes) -> None:
        """Take in what `Watch.seen` returned, and nothing else that happens to be JSON."""
        try:
            seen = checked_state(json.loads(content))
        except (ValueError, RecursionError):
            raise self._foreign() from None
        if not (seen and all("@" in email for email in seen)):
            raise self._foreign()
        for email, ids in seen.items():
            self._seen.setdefault(email, {}).update(dict.fromkeys(ids))

    def _content(self) -> bytes:
        """Return what an ordinary file holds; a pipe or a device may have no end."""
        with open(self._path, "rb", opener=open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise err.ConfigurationError(f"{self._path} is no ordinary file: give another path")
            self._version = _version_of(status)
            if status.st_size > MOST_BYTES:
                raise err.ConfigurationError(f"{self._path} is larger than any state of a watch: give another path")
            return file.read()

    def _foreign(self) -> err.ConfigurationError:
        return err.ConfigurationError(f"{self._path} is no state file of a watch: give another path")

    def _take(self, line: bytes) -> None:
        kind, rest = _parts_of(line)
        texts = [each for each in rest if isinstance(each, str)]
        self._lines += 1
        if kind == "learned" and rest:
            self.experience = rest[0]
        elif kind == "seen" and len(texts) == len(rest) > 1:
            self._seen.setdefault(texts[0], {}).update(dict.fromkeys(texts[1:]))
        elif kind == "gone" and len(texts) == len(rest) == 1:
            self._seen.pop(texts[0], None)
        else:
            raise self._foreign()

    def open(self) -> dict[str, tuple[str, ...]]:
        """Open the log for appending; it is made if it is missing.

        Returns:
            The ids by address, if another watch has changed the file since `load`; otherwise nothing.

        Raises:
            ConfigurationError: It cannot be written, or another watch has it open.
        """
        try:
            self._file = _locked(self._path)
            return self._begin()
        except BlockingIOError:
            self._release()
            raise err.ConfigurationError(
                f"another watch has {self._path} open: leave that watch first, or give each one a file of its own"
            ) from None
        except OSError as error:
            self._release()
            raise err.ConfigurationError(f"the state file cannot be written: {error}") from None
        except err.ConfigurationError:
            self._release()
            raise

    def _begin(self) -> dict[str, tuple[str, ...]]:
        """Read the file again if it has changed, and make it ready for the next line."""
        has_changed = self._version != _version_of(os.fstat(self._file))
        changed = self.load() if has_changed else {}
        os.fchmod(self._file, MODE)
        if self._is_other_form:
            self._rewrite()
        else:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, 0, os.SEEK_END)
        return changed

    def _release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def append_seen(self, email: str, *keys: str) -> None:
        """Keep that messages were seen."""
        if keys:
            self._seen.setdefault(email, {}).update(dict.fromkeys(keys))
            self._append(["seen", email, *keys])

    def append_forgotten(self, email: str) -> None:
        """Keep that nothing of a mailbox needs to be kept."""
        if self._seen.pop(email, None) is not None:
            self._append(["gone", email])

    def close(self, seen: Mapping[str, Sequence[str]], experience: object) -> None:
        """Write what is seen and what was learned, and close the log."""
        if self._file < 0:
            return
        self._seen = {email: dict.fromkeys(ids) for email, ids in seen.items() if ids}
        self.experience = experience
        try:
            self._rewrite()
        finally:
            self._release()

    def _append(self, line: list[str]) -> None:
        if self._file < 0:
            return
        os.write(self._file, _encoded(line))
        self._lines += 1
        if self._lines > WASTE + (1 + WASTE_SHARE) * len(self._seen) and self._lines > 2 * self._count():
            self._rewrite()

    def _count(self) -> int:
        return sum(map(len, self._seen.values()))

    def _rewrite(self) -> None:
        """Write the log anew, and move it into its place when it is whole; a symbolic link stays one."""
        target = Path(os.path.realpath(self._path))
        beside = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
        try:
            self._lines = 0
            for line in self._whole():
                _write_all(file, _encoded(line))
                self._lines += 1
            os.fsync(file)
            _lock(file)  # before it has the name, so that the name is never without a lock
            beside.replace(target)
        except BaseException:
            os.close(file)
            beside.unlink(missing_ok=True)
            raise
        os.close(self._file)
        self._file = file

    def _whole(self) -> list[list[object]]:
        lines: list[list[object]] = [["learned", self.experience]]
        for email, ids in self._seen.items():
            keys: list[object] = list(ids)
            lines += [["seen", email, *keys[at : at + LINE_IDS]] for at in range(0, len(keys), LINE_IDS)]
        return lines


def _without_mark(content: bytes) -> bytes:
    """Return a text in UTF-8 without a byte order mark, which editors and shells of Windows write."""
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace").encode()
    return content


def _version_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _locked(path: Path) -> int:
    """Open a file and lock it.

    Raises:
        BlockingIOError: Somebody else has locked it.
    """
    for _ in range(LOCK_TRIES):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            _lock(file)
            is_current = path.exists() and os.path.samestat(os.fstat(file), path.stat())
        except BaseException:
            os.close(file)
            raise
        if is_current:
            return file
        os.close(file)  # it has just been replaced
    raise BlockingIOError


def _lock(file: int) -> None:
    """Lock a file as long as it is open, where platform and file system can do that.

    Raises:
        BlockingIOError: Somebody else has locked it.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # some network file systems have no locks
        return


def _parts_of(line: bytes) -> tuple[object, list[object]]:
    """Return the kind of a line and the rest; no kind for what is no such line."""
    try:
        parts = json.loads(line)
    except (ValueError, RecursionError):
        return None, []
    items = cast("list[object]", parts) if isinstance(parts, list) else []
    return (items[0], items[1:]) if items else (None, [])


def _encoded(line: object) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
