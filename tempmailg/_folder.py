"""A folder by its descriptor: what stands in it is found again, wherever the folder is moved meanwhile.

Where the system has no such descriptors (Windows, which does not let a folder move while a file in it is open), the
folder's path stands for it.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tempmailg import _errors as err

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

__all__ = ["Folder"]

_HAS_DESCRIPTORS: Final = {os.open, os.stat, os.unlink, os.link, os.rename} <= os.supports_dir_fd
_OPEN: Final = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_MAKE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_RENAME_NOREPLACE: Final = 1


class Folder:
    """An open folder, to be closed; names in it are single components.

    Args:
        path: Where it is now, an absolute path.
    """

    __slots__ = ("_fd", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, _OPEN) if _HAS_DESCRIPTORS else None

    def close(self) -> None:
        """Let go of the folder."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def make(self, name: str) -> int:
        """Make a file that only its owner can read; return its descriptor. No symlink is followed.

        Raises:
            FileExistsError: Something has that name.
        """
        with self._naming():
            return os.open(self._at(name), _MAKE, 0o600, dir_fd=self._fd)

    def remove(self, name: str) -> None:
        """Remove a file."""
        with self._naming():
            os.unlink(self._at(name), dir_fd=self._fd)

    def check_place(self) -> None:
        """Raise if the folder's path no longer leads to it."""
        if self._fd is not None and not _is_same(self.path, os.fstat(self._fd)):
            raise FileNotFoundError(errno.ENOENT, "the folder was moved or replaced meanwhile", str(self.path))

    def is_file(self, name: str, known: os.stat_result) -> bool:
        """Return whether a name is that of a file whose status is known, and not, say, of a symlink in its place."""
        with self._naming():
            found = os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False)
        return stat.S_ISREG(found.st_mode) and (self._fd is None or os.path.samestat(found, known))

    def replace(self, name: str, final: str) -> None:
        """Rename a file, in the place of whatever file has that name."""
        with self._naming():
            os.replace(self._at(name), self._at(final), src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def give_name(self, name: str, final: str) -> None:
        """Give a file its final name, unless there is such a file: one atomic step, whoever else tries the same.

        It may keep its first name beside it.

        Raises:
            FileExistsError: Something has that name.
            DownloadError: The file system cannot do that without the risk of replacing a file.
        """
        if os.name == "nt":  # pragma: no cover - on Windows only, which refuses to rename onto a file
            os.rename(self._at(name), self._at(final))  # noqa: PTH104 - as its siblings are called
            return
        try:
            with self._naming():
                self._link(name, final)
        except FileExistsError:
            raise
        except OSError:  # FAT, for instance, has no hard links
            self._rename(name, final)

    def _link(self, name: str, final: str) -> None:
        names = self._at(name), self._at(final)
        os.link(*names, src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)

    def _rename(self, name: str, final: str) -> None:
        """Rename as Linux can without replacing anything; Python has no function for it."""
        import ctypes

        renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        failed = renameat2 is None or renameat2(
            self._fd, os.fsencode(name), self._fd, os.fsencode(final), _RENAME_NOREPLACE
        )
        reason = errno.ENOSYS if renameat2 is None else ctypes.get_errno()
        if failed and reason in (errno.ENOSYS, errno.EINVAL):
            raise err.DownloadError(
                f"the file system of {str(self.path)!r} cannot name a file without the risk of replacing another: "
                "set overwrite=True, or choose another folder"
            )
        if failed:
            raise OSError(reason, os.strerror(reason), str(self.path / final))

    def _at(self, name: str) -> str:
        return name if self._fd is not None else str(self.path / name)

    @contextmanager
    def _naming(self) -> Generator[None]:
        """Let errors name whole paths, as far as they are known."""
        try:
            yield
        except OSError as error:
            if isinstance(error.filename, str):
                error.filename = str(self.path / error.filename)
            raise


def _is_same(path: Path, known: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), known)
    except OSError:
        return False
