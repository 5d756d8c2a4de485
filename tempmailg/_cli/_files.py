"""Files that commands read and write: ordinary ones, of a bounded size, replaced in one step."""

from __future__ import annotations

import codecs
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from tempmailg._opening import open_at_once

__all__ = ["OTHERS_MAY_READ", "UnusableFileError", "read_json", "read_text", "replace_file"]

MIB: Final = 1024 * 1024

OTHERS_MAY_READ: Final = stat.S_IRWXG | stat.S_IRWXO
"""The bits of a file's mode that give somebody else access to it."""


class UnusableFileError(ValueError):
    """A file cannot be what a command looks for; its text completes the sentence "FILE …"."""


def read_text(path: Path, *, max_bytes: int, private: bool = False) -> str:
    """Return the text of an ordinary file, in UTF-8 or in what its byte order mark says.

    Args:
        path: The file; a symbolic link is followed.
        max_bytes: The longest file to read.
        private: Whether a file that other users may read is refused.

    Raises:
        OSError: It cannot be read.
        UnusableFileError: It is a pipe, a device or a folder, it is too large, or not private.
    """
    with open(path, "rb", opener=open_at_once) as file:
        _check(os.fstat(file.fileno()), path, private=private)  # of what was opened, not of what has its name now
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise UnusableFileError(f"is larger than {_size(max_bytes)}")
    return _decode(data)


def _check(status: os.stat_result, path: Path, *, private: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFileError("is no ordinary file")
    mode = stat.S_IMODE(status.st_mode)
    if private and os.name == "posix" and mode & OTHERS_MAY_READ:
        raise UnusableFileError(f"can be read by others (mode {mode:o}): run chmod 600 {path}")


def _size(count: int) -> str:
    return f"{count // MIB} MiB" if count >= MIB else f"{count // 1024} KiB"


def _decode(data: bytes) -> str:
    """Return text as the editors of Windows may write it, too."""
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")


def read_json(path: Path, *, max_bytes: int = 16 * MIB) -> object:
    """Return the JSON value that a file holds.

    Args:
        path: The file.
        max_bytes: The longest file to read.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds no JSON, JSON that is nested too deeply, or is unusable.
    """
    text = read_text(path, max_bytes=max_bytes)
    try:
        return json.loads(text)
    except RecursionError:
        raise UnusableFileError("is nested too deeply") from None


def replace_file(path: Path, text: str) -> None:
    """Replace a file by another in one step: a reader, or a crash, finds the old text or the new.

    A symbolic link stays one: the file that it points to is replaced.
    """
    target = Path(os.path.realpath(path))
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)  # noqa: PTH105 - a name from mkstemp
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # the disk is full, for instance
            error.filename = str(path)
        raise
