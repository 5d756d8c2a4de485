"""What a message shows: its text, the links on it, and the passages that catch the eye."""

from __future__ import annotations

import re

import attrs

MAX_CONTENT = 1_048_576
"""Characters of a message's source that are read; the rest is cut."""

MAX_TEXT = 131_072
"""Characters of visible text that are kept; the rest is cut."""

# Invisible characters: soft hyphens, zero-width spaces, direction marks, fillers that pad a preheader.
# A zero-width (non-)joiner stays where it shapes letters (Persian, Hindi, emoji).
_INVISIBLE = re.compile(
    r"[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]++"
    r"|(?<=[\s\d])[\u200c\u200d]++|^[\u200c\u200d]++|[\u200c\u200d]++(?=[\s\d]|$)"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]++"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_LINE_ENDS = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*+\n){2,}")


@attrs.frozen
class Anchor:
    """A link as the sender wrote it: where it leads, and which part of the page's text it covers."""

    url: str
    start: int
    end: int
    label: str
    """What stands for the link where it shows no text: an image's alternative text, a title."""


@attrs.frozen
class Page:
    """A message as a person sees it; all positions count characters of `text`."""

    text: str
    anchors: tuple[Anchor, ...] = ()
    loud: tuple[tuple[int, int], ...] = ()
    """Passages in large, spaced-out or typewriter letters."""


def visible(text: str) -> str:
    """Drop what no reader can see: invisible characters, controls, halves of surrogate pairs."""
    if text.isascii() and text.isprintable():
        return text
    return _INVISIBLE.sub("", _SURROGATES.sub("\ufffd", text))


def read_plain(content: str) -> Page:
    """Read a plain-text message: lines kept, trailing blanks and runs of empty lines dropped."""
    text = visible(_LINE_ENDS.sub("\n", content[:MAX_TEXT]))
    lines = [line.rstrip() for line in text.replace("\xa0", " ").split("\n")]
    return Page(_BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n"))
