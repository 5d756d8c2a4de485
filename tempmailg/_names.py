"""File names from strangers: one rule turns any text into a safe path component, the same on every platform.

The functions are pure. Whether a name is still free is known only once it is taken, which is up to `_download`.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["distinct", "numbered", "safe_name"]

NAMELESS: Final = "attachment"
"""The name of a file of whose own name nothing can be kept."""

MAX_BYTES: Final = 255
"""The longest path component that common file systems accept, in bytes of UTF-8."""

# What Windows refuses in a name, control characters, lone surrogates, invisible characters, and those that reverse the
# text (and make `fdp.exe` read as `exe.pdf`). Listed one by one, since Unicode's categories change with Python.
_UNSAFE = re.compile(
    r'[<>:"|?*\x00-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f'
    r"\u3164\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_SEPARATORS = re.compile(r"[/\\]")

# Windows drops spaces and dots at the end and mishandles spaces at the front. The joiners U+200C and U+200D belong
# inside Persian and emoji names, but some file systems ignore them at either end.
_SPACES: Final = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_FRONT: Final = _SPACES + "\u200c\u200d"
_BACK: Final = _FRONT + "."

# A hidden file (`.bashrc`), an option (`-rf`), a home folder (`~root`), a device, or a file that Windows acts upon.
_RESERVED = re.compile(
    r"[.~-]"
    r"|(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|COM[0-9¹²³]|LPT[0-9¹²³])\s*(?:\.|\Z)"
    r"|(?:DESKTOP\.INI|THUMBS\.DB|AUTORUN\.INF)\Z",
    re.IGNORECASE,
)

_EXTENSION = re.compile(r"(?<=.)(?:\.tar)?\.[^.\s]{1,16}\Z")


def safe_name(name: str) -> str:
    """Return a path component that is safe on every platform: `name` itself if it is one already.

    Only the last component of a path is kept. Applying the function twice changes nothing more.

    Args:
        name: Any text.

    Returns:
        A name of 1 to 255 bytes that is neither hidden nor reserved, without separators or invisible characters.
    """
    parts = (part for part in reversed(_SEPARATORS.split(name)) if part.strip(_BACK))
    last = _UNSAFE.sub("_", next(parts, ""))
    kept = last.lstrip(_FRONT).rstrip(_BACK) or NAMELESS
    return _shortened("_" + kept if _RESERVED.match(kept) else kept)


def numbered(name: str, number: int) -> str:
    """Return the name for the next file with this name: ``file.txt``, ``file (1).txt`` and so on.

    Args:
        name: A safe name.
        number: How many files with this name exist already.

    Returns:
        A safe name, again of at most 255 bytes.
    """
    return _shortened(name, f" ({number})") if number else name


def distinct(names: Iterable[str]) -> list[str]:
    """Return the names in the same order, numbered where one repeats an earlier name, in whatever case."""
    taken: set[str] = set()
    result: list[str] = []
    for name in names:
        free = next(each for number in count() if (each := numbered(name, number)).casefold() not in taken)
        taken.add(free.casefold())
        result.append(free)
    return result


def _shortened(name: str, mark: str = "") -> str:
    """Insert a mark before the extension, and shorten the part before it to fit into the longest name."""
    if len(name.encode()) + len(mark) <= MAX_BYTES and not mark:
        return name
    found = _EXTENSION.search(name)
    stem, extension = (name[: found.start()], found[0]) if found else (name, "")
    room = MAX_BYTES - len((mark + extension).encode())
    stem = stem.encode()[:room].decode(errors="ignore")  # never part of a character
    return (stem + mark + extension).rstrip(_BACK)
