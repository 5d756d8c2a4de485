"""Context: the words before and after a passage that belong to it."""

# ruff: noqa: RUF001 -- sentences end in full-width marks, too
from __future__ import annotations

import re
from typing import NamedTuple

REACH = 160
"""Characters that are read in either direction."""

_SENTENCE_END = re.compile(r"[.!?](?=[\s\"'”)])|[。！？।॥؟]")
_ALNUM = re.compile(r"[^\W_]")
_WRAPPED = 44
"""A line at least this long may have been broken by a mail program in mid-sentence."""


class Context(NamedTuple):
    """What surrounds a passage."""

    before: str
    """The same sentence before it."""
    lead: str
    """The last sentence of the line, cell or block before; only when nothing stands before the passage itself."""
    after: str
    """The same sentence after it."""
    following: str
    """The sentence that follows that one."""
    alone: bool
    """Whether the passage has its line or cell for itself."""


def read_context(text: str, start: int, end: int, *, floor: int = 0, ceiling: int | None = None) -> Context:
    """Read what stands around `text[start:end]`, but not before `floor` and not after `ceiling`."""
    left, right = _segment_start(text, start), _segment_end(text, end)
    alone = not (_ALNUM.search(text, left, start) or _ALNUM.search(text, end, right))
    before = _last_sentence(text[max(left, floor) : start])
    lead = ""
    if not _ALNUM.search(before) and floor <= left:
        lead = _segment_above(text, left, floor)
    elif floor < left and len(before) == start - left:
        lead = _last_sentence(_wrapped_lines(text, left, floor))
    limit = len(text) if ceiling is None else ceiling
    after = _first_sentence(text[end : min(right, limit)])
    following = _sentence_after(text, end + len(after), limit)
    return Context(before, lead, after, following, alone)


def _segment_start(text: str, position: int) -> int:
    floor = max(0, position - REACH)
    return max(text.rfind("\n", floor, position), text.rfind("\t", floor, position), floor - 1) + 1


def _segment_end(text: str, position: int) -> int:
    ceiling = min(len(text), position + REACH)
    ends = (text.find("\n", position, ceiling), text.find("\t", position, ceiling), ceiling)
    return min(end for end in ends if end >= 0)


def _last_sentence(text: str) -> str:
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    return text[ends[-1] :] if ends else text


def _first_sentence(text: str) -> str:
    found = _SENTENCE_END.search(text)
    return text[: found.start()] if found else text


def _segment_above(text: str, left: int, floor: int) -> str:
    """Return the nearest line or cell above that says something, with the lines it was wrapped from."""
    above = text[max(floor, left - 2 * REACH, 0) : left].rstrip()
    while above and not _ALNUM.search(above, _segment_start(above, len(above))):
        above = above[: _segment_start(above, len(above))].rstrip()
    start = _segment_start(above, len(above))
    return _wrapped_lines(above, start, 0) + above[start:]


def _wrapped_lines(text: str, left: int, floor: int) -> str:
    """Return the lines above that a mail program broke in mid-sentence, as one piece."""
    lines: list[str] = []
    while left > floor and text[left - 1] == "\n":
        start = max(floor, _segment_start(text, left - 1))
        if left - start < _WRAPPED:
            break
        lines.append(text[start:left])
        left = start
    return "".join(reversed(lines))[-REACH:]


def _sentence_after(text: str, position: int, limit: int) -> str:
    rest = text[position : min(limit, position + 2 * REACH)].lstrip(" \t\n.!?。！？।॥؟\"'”)")
    return _first_sentence(rest[: _segment_end(rest, 0)])
