"""File names from strangers: one rule that turns any text into one safe path component, the same on every platform.

Pure functions; that a name is still free can only be known by taking it, which is `_download`'s business.
"""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["distinct", "numbered", "safe_name"]

NAMELESS: Final = "attachment"
"""What a file is called whose name holds nothing that can be kept."""

MAX_BYTES: Final = 255
"""The longest component that the usual file systems take, in bytes of UTF-8."""

# What Windows refuses in a name, control characters, half characters, what is not seen, and what turns the line around
# (and makes `fdp.exe` read as `exe.pdf`). Named one by one, since Unicode's own categories change with Python.
_UNSAFE = re.compile(
    r'[<>:"|?*\x00-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f'
    r"\u3164\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
)
_SEPARATORS = re.compile(r"[/\\]")

# Windows drops spaces and dots at the end and stumbles over spaces at the front. The joiners U+200C and U+200D belong
# inside Persian and emoji names, but at the edge some file systems take no notice of them.
_SPACES: Final = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_FRONT: Final = _SPACES + "\u200c\u200d"
_BACK: Final = _FRONT + "."

# A hidden file (`.bashrc`), an option (`-rf`), somebody's home (`~root`), a device, a file that Windows acts upon.
_RESERVED = re.compile(
    r"[.~-]"
    r"|(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|COM[0-9¹²³]|LPT[0-9¹²³])\s*(?:\.|\Z)"
    r"|(?:DESKTOP\.INI|THUMBS\.DB|AUTORUN\.INF)\Z",
    re.IGNORECASE,
)

_EXTENSION = re.compile(r"(?<=.)(?:\.tar)?\.[^.\s]{1,16}\Z")


def safe_name(name: str) -> str:
    """Return one path component that is safe on every platform, and `name` itself where it is one already.

    Of a path only its last component is kept. The result of the result is the result.

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
    """Return the name for the next file of that name: ``file.txt``, ``file (1).txt`` and so on.

    Args:
        name: A safe name.
        number: How many files of the name are there already.

    Returns:
        A safe name, again of at most 255 bytes.
    """
    return _shortened(name, f" ({number})") if number else name


def distinct(names: Iterable[str]) -> list[str]:
    """Return the names in their order, each numbered that came before, also in another case."""
    taken: set[str] = set()
    result: list[str] = []
    for name in names:
        free = next(each for number in count() if (each := numbered(name, number)).casefold() not in taken)
        taken.add(free.casefold())
        result.append(free)
    return result


def _shortened(name: str, mark: str = "") -> str:
    """Put a mark before the extension, and cut as much before the mark as the longest name demands."""
    if len(name.encode()) + len(mark) <= MAX_BYTES and not mark:
        return name
    found = _EXTENSION.search(name)
    stem, extension = (name[: found.start()], found[0]) if found else (name, "")
    room = MAX_BYTES - len((mark + extension).encode())
    stem = stem.encode()[:room].decode(errors="ignore")  # never half a character
    return (stem + mark + extension).rstrip(_BACK)
