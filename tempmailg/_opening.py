"""Files are opened at once, whatever they are."""

from __future__ import annotations

import os

__all__ = ["open_at_once"]


def open_at_once(path: str | os.PathLike[str], flags: int, mode: int = 0o777) -> int:
    """Open a file, though it may be a FIFO without a writer; Windows has neither the flag nor such files.

    Args:
        path: Its path.
        flags: As for `os.open`.
        mode: As for `os.open`: the permissions of a file that is made.

    Returns:
        The file's descriptor.
    """
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), mode)
