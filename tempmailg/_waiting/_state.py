"""What a watch has seen, kept in a file that survives a kill at any moment.

The file is a log of JSON lines, each appended by a single write: ``["seen", address, id, …]``, ``["gone", address]``,
and ``["learned", …]``, what the client knows about its demand and its arrivals. A line that a kill has cut is ignored.
When the log is much longer than what it says, it is written anew beside and moved into its place, so there is a whole
file at any moment.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from tempmailg import _errors as err

__all__ = ["StateFile", "checked_state"]

MODE: Final = 0o600  # addresses and ids are nobody else's business
WASTE: Final = 1_000  # lines that may be superfluous, and
WASTE_SHARE: Final = 1.0  # as many as there are ids, before the log is written anew
MOST_BYTES: Final = 1024**3  # of a log: the ids of some ten million messages
BEGINNING: Final = b'["'
LINE_IDS: Final = 500  # ids in one line of a log that is written anew


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


def _open_at_once(path: str, flags: int) -> int:
    """Open a file, though it may be a FIFO without a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


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
        if not BEGINNING.startswith(content[: len(BEGINNING)]):  # else opening it would cut what somebody else wrote
            raise self._foreign()
        whole, _, _ = content.rpartition(b"\n")
        self._size = len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            self._take(line)
        return {email: tuple(ids) for email, ids in self._seen.items()}

    def _content(self) -> bytes:
        """Return what an ordinary file holds; a pipe or a device may have no end."""
        with open(self._path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise err.ConfigurationError(f"{self._path} is no ordinary file: give another path")
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

    def open(self) -> None:
        """Open the log for appending; it is made if it is missing.

        Raises:
            ConfigurationError: It cannot be written.
        """
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
            os.fchmod(self._file, MODE)
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, 0, os.SEEK_END)
        except OSError as error:
            raise err.ConfigurationError(f"the state file cannot be written: {error}") from None

    def append_seen(self, email: str, key: str) -> None:
        """Keep that a message was seen."""
        self._seen.setdefault(email, {})[key] = None
        self._append(["seen", email, key])

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
        self._rewrite()
        os.close(self._file)
        self._file = -1

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
