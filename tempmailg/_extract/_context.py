"""Context: the words before and after a passage that belong to it."""

# ruff: noqa: RUF001 -- sentences end in full-width marks, too
from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from tempmailg._extract._lexicon import written

REACH = 160
"""Characters that are read in either direction."""

_SENTENCE_END = re.compile(r"[.!?](?=[\s\"'”)])|[。！？।॥؟։።]")
_ALNUM = re.compile(r"[^\W_]")
_WRAPPED = 44
"""A line at least this long may have been broken by a mail program in mid-sentence."""


class Part(NamedTuple):
    """A part of a text, in characters."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """Return what stands there."""
        return text[self.start : self.end]


class Context(NamedTuple):
    """What surrounds a passage."""

    before: Part
    """The same sentence before it."""
    lead: Part
    """The last sentence of the line, cell or block before; empty unless nothing stands before the passage itself."""
    after: Part
    """The same sentence after it."""
    following: Part
    """The sentence that follows that one."""
    alone: bool
    """Whether the passage has its line or cell for itself."""

    @property
    def whole(self) -> Part:
        """From the first to the last character of it."""
        first = min(part.start for part in (self.before, self.lead) if part.start < part.end or part is self.before)
        return Part(first, max(self.after.end, self.following.end))


def read_context(text: str, start: int, end: int, *, floor: int = 0, ceiling: int | None = None) -> Context:
    """Find what stands around `text[start:end]`, but not before `floor` and not after `ceiling`."""
    left, right = _segment_start(text, start), _segment_end(text, end)
    alone = not (_ALNUM.search(text, left, start) or _ALNUM.search(text, end, right))
    before = Part(_last_sentence(text, min(max(left, floor), start), start), start)
    lead = Part(start, start)
    if not _ALNUM.search(text, before.start, start) and floor <= left:
        lead = _segment_above(text, left, floor)
    elif floor < left == before.start:
        lead = Part(_last_sentence(text, _wrapped_from(text, left, floor), left), left)
    limit = len(text) if ceiling is None else ceiling
    after = Part(end, _first_sentence(text, end, max(end, min(right, limit))))
    return Context(before, lead, after, _sentence_after(text, after.end, limit), alone)


def _segment_start(text: str, position: int) -> int:
    floor = max(0, position - REACH)
    return max(text.rfind("\n", floor, position), text.rfind("\t", floor, position), floor - 1) + 1


def _segment_end(text: str, position: int) -> int:
    ceiling = min(len(text), position + REACH)
    ends = (text.find("\n", position, ceiling), text.find("\t", position, ceiling), ceiling)
    return min(end for end in ends if end >= 0)


def _last_sentence(text: str, start: int, end: int) -> int:
    """Return where the last sentence between two places begins."""
    begin = start
    for found in _SENTENCE_END.finditer(text, start, end):
        if found[0] != "." or not _abbreviation().search(text[max(start, found.start() - 5) : found.start()]):
            begin = found.end()
    return begin


@cache
def _abbreviation() -> re.Pattern[str]:
    """Make what finds the end of a word whose dot ends no sentence: an initial, `No.`, `Ltd.`."""
    known = "|".join(map(re.escape, written("abbreviation")))
    return re.compile(rf"(?<!\w)(?:\w|{known})\Z", re.IGNORECASE)


def _first_sentence(text: str, start: int, end: int) -> int:
    """Return where the first sentence between two places ends."""
    for found in _SENTENCE_END.finditer(text, start, end):
        return found.start()
    return end


def _segment_above(text: str, left: int, floor: int) -> Part:
    """Return the nearest line or cell above that says something, with the lines it was wrapped from."""
    least = max(floor, left - 2 * REACH, 0)
    end = _stripped_end(text, least, left)
    while end > least:
        start = max(least, _segment_start(text, end))
        if _ALNUM.search(text, start, end):
            return Part(max(_wrapped_from(text, start, least), end - REACH), end)
        end = _stripped_end(text, least, start)
    return Part(least, least)


def _stripped_end(text: str, start: int, end: int) -> int:
    return start + len(text[start:end].rstrip())


def _wrapped_from(text: str, left: int, floor: int) -> int:
    """Return where the lines above begin that a mail program broke in mid-sentence."""
    first = left
    while first > floor and text[first - 1] == "\n":
        start = max(floor, _segment_start(text, first - 1))
        if first - start < _WRAPPED:
            break
        first = start
    return max(first, left - REACH)


def _sentence_after(text: str, position: int, limit: int) -> Part:
    stop = min(limit, position + 2 * REACH)
    rest = text[position:stop]
    start = position + len(rest) - len(rest.lstrip(" \t\n.!?。！？।॥؟\"'”)"))
    return Part(start, _first_sentence(text, start, max(start, min(_segment_end(text, start), stop))))
