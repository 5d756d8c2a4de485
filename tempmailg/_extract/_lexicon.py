"""The table of words, as `python .ci/words.py` makes it from `words.txt`: read at once, understood word by word.

`words.table` holds, part by part: the words that may stand inside others; the words that are compared as written; and
all others, below the characters that they begin with, so that only those are taken apart that a message holds.
"""

from __future__ import annotations

import unicodedata
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Kind(IntEnum):
    """What a word says, as one bit each; `words.txt` explains the kinds and lists their words."""

    CODE = 1 << 0
    OTP = 1 << 1
    SECRET = 1 << 2
    PROOF = 1 << 3
    ENTER = 1 << 4
    LIMITS = 1 << 5
    OTHER = 1 << 6
    ACT = 1 << 7
    AVOID = 1 << 8
    DENY = 1 << 9
    HERE = 1 << 10
    UNIT = 1 << 11
    MEETING = 1 << 12
    INVITE = 1 << 13
    NOTICE = 1 << 14
    YES = 1 << 15
    NO = 1 << 16
    LABEL = 1 << 17
    NUMBER = 1 << 18
    PARTICLE = 1 << 19
    SAMPLE = 1 << 20
    VOID = 1 << 21
    FORWARD = 1 << 22
    JOIN = 1 << 23
    VIEW = 1 << 24
    POLITE = 1 << 25
    APPROVED = 1 << 26


KEY = 3
"""Characters by which words are found, at most."""


class Entry(NamedTuple):
    """A word of the table, or how words begin that mean the same."""

    stem: str
    ends_word: bool
    """Whether the word must end there."""
    parted: bool
    """Whether its script parts words, so that the rest of the word belongs to it."""
    meanings: tuple[tuple[str, int], ...]
    """Its languages with the bits of its kinds there."""


# Scripts whose words are not parted by spaces, or carry articles and prepositions glued to their front.
_UNPARTED_RANGES = (
    (0x0590, 0x08FF),  # Hebrew to Arabic
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1200, 0x137F),  # Ethiopic
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x30FF),  # kana
    (0x3400, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul
    (0xFF66, 0xFF9F),  # narrow kana
)
UNPARTED = "".join(f"{chr(first)}-{chr(last)}" for first, last in _UNPARTED_RANGES)
"""Their characters, as a regular expression writes them between brackets."""

_HANGUL = range(0xAC00, 0xD7B0)
_SPACES = frozenset("\t\n\r\f\v\xa0\u200c\u200d-'’‘`´_‐‑–—־/·・")  # noqa: RUF001 -- dashes and apostrophes join words
_STROKES = dict(zip("ðđøłħıŧə", "ddolhite", strict=True))


class _Folding(dict[int, str]):
    """Maps a character to one character: lower case, without accent, width or kind of space."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _fold(chr(code))
        return folded


def _fold(char: str) -> str:
    if char in _SPACES:
        return " "
    if ord(char) in _HANGUL:
        return char
    base = unicodedata.normalize("NFKD", char.casefold())[:1]
    return " " if base.isspace() else _STROKES.get(base, base)


_FOLDING = _Folding()


def fold(text: str) -> str:
    """Reduce a text to what the lexicon compares, character by character, so that positions stay."""
    return text.translate(_FOLDING)


def _is_unparted(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _UNPARTED_RANGES)


class Entries(dict[str, tuple[Entry, ...]]):
    """Entries by their first `KEY` characters, or as many as there are, the longest first; read on first use."""

    def __init__(self, rows: dict[str, str]) -> None:
        super().__init__()
        self.rows = rows
        """The entries of each key as the table writes them."""

    def __missing__(self, key: str) -> tuple[Entry, ...]:
        shorter = self.rows.get(key[: KEY - 1], "") if len(key) == KEY else ""
        found = self[key] = (*_read(self.rows[key]), *(_read(shorter) if shorter else ()))
        return found


def _read(row: str) -> Iterator[Entry]:
    for entry in row.split("\t"):
        word, *meanings = entry.split("|")
        stem = word.rstrip("$")
        pairs = (meaning.split(":") for meaning in meanings)
        yield Entry(
            stem,
            stem != word,
            not _is_unparted(stem[-1]),
            tuple([(language, int(kinds)) for language, kinds in pairs]),
        )


class Lexicon(NamedTuple):
    """The table of words."""

    entries: Entries
    inner: dict[str, list[tuple[str, int]]]
    """The words of each language that may stand inside others, with the bits of their kinds."""
    written: dict[str, tuple[str, ...]]
    """The words of each kind that are compared as they are written, the longest first."""


@cache
def lexicon() -> Lexicon:
    """Read the table."""
    with open(f"{__file__.removesuffix('_lexicon.py')}words.table", encoding="utf-8") as file:  # noqa: PTH123 -- 3 ms less
        _, inner, written, entries = file.read().rstrip("\n").split("\n\n")
    lines = entries.split("\n")
    return Lexicon(
        Entries(dict(zip(lines[::2], lines[1::2], strict=True))),
        {language: [_word_inside(word) for word in words] for language, *words in _rows(inner)},
        {kind: tuple(words) for kind, *words in _rows(written)},
    )


def _rows(part: str) -> Iterator[list[str]]:
    for line in part.split("\n"):
        yield line.split("\t")


def _word_inside(entry: str) -> tuple[str, int]:
    word, _, kinds = entry.rpartition(":")
    return word, int(kinds)


def written(kind: str) -> tuple[str, ...]:
    """Return the words of one kind that are compared as they are written, the longest first."""
    return lexicon().written[kind]
