"""What a message shows: its text, the links on it, and the passages that catch the eye."""

from __future__ import annotations

import re
from typing import NamedTuple

from tempmailg._extract._patterns import Pattern

MAX_CONTENT = 1_048_576
"""Characters of a message's source that are read; the rest is cut."""

MAX_SUBJECT = 1_000
"""Characters of a subject that are read; mail allows 998 on a line."""

MAX_TEXT = 65_536
"""Characters of visible text that are kept; the rest is cut."""

# Invisible characters: soft hyphens, zero-width spaces, direction marks, fillers that pad a preheader.
# A zero-width (non-)joiner stays where it shapes letters (Persian, Hindi, emoji).
_INVISIBLE = Pattern(
    r"[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]++"
    r"|(?<=[\x00-\x7f])[\u200c\u200d]++|^[\u200c\u200d]++|[\u200c\u200d]++(?=[\x00-\x7f]|$)"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]++"
)
_CONTROLS = re.compile(r"[^\t\n\r -~]")
_SURROGATES = Pattern("[\ud800-\udfff]")
_LINE_ENDS = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
_BLANKS_AT_END = re.compile(r"(?<![ \t])[ \t]++(?=\n|\Z)")
_BLANK_LINES = re.compile(r"\n{3,}+")


class Anchor(NamedTuple):
    """A link as the sender wrote it: where it leads, and which part of the page's text it covers."""

    url: str
    start: int
    end: int
    label: str
    """What stands for the link where it shows no text: an image's alternative text, a title."""


class Page(NamedTuple):
    """A message as a person sees it; all positions count characters of `text`."""

    text: str
    anchors: tuple[Anchor, ...] = ()
    loud: tuple[tuple[int, int], ...] = ()
    """Passages in large, spaced-out or typewriter letters, in order and apart."""
    quoted: tuple[tuple[int, int], ...] = ()
    """Passages of a message that is quoted, in order and apart."""


def without_transfer_coding(content: str) -> str:
    """Undo a quoted-printable coding that was left in a message, where every `=` in it is one of that coding."""
    if "=3D" not in content or not _SOFT_BREAK.search(content) or _UNCODED.search(content):
        return content
    from binascii import a2b_qp

    joined = _LOOSE_BREAK.ready.sub("", content).encode("utf-8", "surrogatepass")
    return a2b_qp(joined).decode("utf-8", "replace")


_SOFT_BREAK = re.compile(r"=[ \t]?\r?\n")
_LOOSE_BREAK = Pattern(r"=[ \t]\r?\n")
_UNCODED = re.compile(r"=(?![0-9A-Fa-f]{2}|[ \t]?\r?\n)")


def visible(text: str) -> str:
    """Drop what no reader can see: invisible characters, controls, halves of surrogate pairs."""
    if text.isascii() and not _CONTROLS.search(text):
        return text
    return _INVISIBLE.ready.sub("", _SURROGATES.ready.sub("\ufffd", text))


def read_plain(content: str) -> Page:
    """Read a plain-text message: lines kept, trailing blanks and runs of empty lines dropped."""
    text = visible(_LINE_ENDS.sub("\n", content[:MAX_TEXT])).replace("\xa0", " ")
    text = _BLANK_LINES.sub("\n\n", _BLANKS_AT_END.sub("", text))
    return Page(text.strip("\n"))
