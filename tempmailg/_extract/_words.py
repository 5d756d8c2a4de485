"""The lexicon: which words of a text speak of codes, of links, or of something else.

Words count only in languages that the message speaks: Hungarian prices (`ár`) are no Swedish verbs (`är`).
"""

# ruff: noqa: RUF001 -- typographic dashes and apostrophes join words
from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Kind(IntEnum):
    """What a word says, as one bit each; `words.txt` explains the kinds and lists their words."""

    CODE = 1
    OTP = 2
    SECRET = 4
    PROOF = 8
    ENTER = 16
    LIMITS = 32
    OTHER = 64
    ACT = 128
    AVOID = 256
    DENY = 512
    HERE = 1024
    UNIT = 2048
    MEETING = 4096
    INVITE = 8192
    NOTICE = 16384
    YES = 32768
    NO = 65536
    LABEL = 131072
    NUMBER = 262144


class Hit(NamedTuple):
    """A word of the lexicon found in a text."""

    start: int
    end: int
    kind: int
    """The bits of its kinds."""


Languages = frozenset[str]
"""The languages that a message may be written in."""


class _Entry(NamedTuple):
    stem: str
    ends_word: bool
    parted: bool
    """Whether its script parts words, so that the rest of the word belongs to it."""
    meanings: tuple[tuple[str, int], ...]
    """Its languages with the bits of its kinds there."""


# Scripts whose words are not parted by spaces, or carry articles and prepositions glued to their front.
_UNPARTED = (
    "\u0590-\u08ff\u0e00-\u0eff\u1000-\u109f\u1200-\u137f\u1780-\u17ff"  # Hebrew to Arabic, Thai to Khmer
    "\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af\uff66-\uff9f"  # kana, Han, Hangul
)
_POSITION = re.compile(rf"(?<!\w)\w|[{_UNPARTED}]")
_UNPARTED_END = re.compile(rf"[{_UNPARTED}]\Z")
_REST_OF_WORD = re.compile(rf"[^\W{_UNPARTED}]*+")
_HANGUL = range(0xAC00, 0xD7B0)
_SPACES = frozenset("\t\n\r\f\v\xa0\u200c\u200d-'’‘`´_‐‑–—־/·・")
_STROKES = dict(zip("ðđøłħıŧ", "ddolhit", strict=True))
EVERYWHERE = frozenset({"en", "units", "meetings"})
"""Sections that count in every message: English words travel, measures and meetings have a table of their own."""


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


def kinds_of(hits: Iterable[Hit]) -> int:
    """Join the kinds of some words."""
    kinds = 0
    for hit in hits:
        kinds |= hit.kind
    return kinds


def languages_of(text: str) -> Languages | None:
    """Return the languages whose words stand in a text, or None where too few stand there to tell."""
    counts: Counter[str] = Counter()
    for _, _, entry in _matches(fold(text), _lexicon()):
        counts.update({language: len(entry.stem) for language, _ in entry.meanings})
    if max(counts.values(), default=0) < _TELLING:
        return None
    english = counts["en"]
    most = max((count for language, count in counts.items() if language not in EVERYWHERE), default=0)
    return EVERYWHERE.union(
        language for language, count in counts.items() if 2 * count >= most and _BESIDE_ENGLISH * count >= english
    )


_BESIDE_ENGLISH = 3
"""How many times as many English words may stand beside another language: signatures and buttons are often English."""

_TELLING = 10
"""Letters of the words of one language that tell that a message speaks it."""


def find_words(text: str, languages: Languages | None) -> tuple[Hit, ...]:
    """Find the lexicon's words in a text, in order; a longer entry beats the shorter ones inside it."""
    lexicon, text = _lexicon(), fold(text)
    hits = [
        Hit(start, end, kind)
        for start, end, entry in _matches(text, lexicon, languages)
        if (kind := _meaning(entry.meanings, languages))
    ]
    return tuple(sorted(hits + _inner_hits(text, lexicon, hits, languages)))


def _meaning(meanings: tuple[tuple[str, int], ...], languages: Languages | None) -> int:
    kinds = 0
    for language, kind in meanings:
        if languages is None or language in languages:
            kinds |= kind
    return kinds


def _matches(text: str, lexicon: _Lexicon, languages: Languages | None = None) -> Iterator[tuple[int, int, _Entry]]:
    """Yield where entries begin a word (or stand anywhere, in unparted scripts), the longest at each place."""
    done = 0
    for position in _POSITION.finditer(text):
        start = position.start()
        if start < done:
            continue
        for entry in lexicon.entries.at(text, start):
            if not text.startswith(entry.stem, start) or (languages and not _meaning(entry.meanings, languages)):
                continue
            stem_end = start + len(entry.stem)
            end = _end_of_word(text, stem_end) if entry.parted else stem_end
            if entry.ends_word and (end > stem_end or (not entry.parted and text[end : end + 1].isalnum())):
                continue
            done = stem_end
            yield start, end, entry
            break


def _inner_hits(text: str, lexicon: _Lexicon, outer: list[Hit], languages: Languages | None) -> list[Hit]:
    """Find the words that stand inside longer ones, unless the longer one is already known as something else."""
    ends = {position: hit.end for hit in outer if hit.kind & Kind.OTHER for position in range(hit.start, hit.end)}
    return [
        Hit(found.start(), found.end(), kind)
        for found in lexicon.inner.finditer(text)
        if ends.get(found.start(), 0) < found.end() and (kind := _meaning(lexicon.inner_meanings[found[0]], languages))
    ]


def _end_of_word(text: str, position: int) -> int:
    rest = _REST_OF_WORD.match(text, position)
    return rest.end() if rest else position


class _Entries:
    """Entries by their first characters, the longest first; sorted on first use."""

    def __init__(self, raw: dict[str, list[tuple[str, str, int]]]) -> None:
        self._raw = raw
        self._sorted: dict[str, tuple[_Entry, ...]] = {}

    def at(self, text: str, start: int) -> tuple[_Entry, ...]:
        """Return the entries that may stand at a place of a text."""
        return self._beginning(text[start : start + 3]) + self._beginning(text[start : start + 2])

    def _beginning(self, characters: str) -> tuple[_Entry, ...]:
        if characters not in self._raw:
            return ()
        if characters not in self._sorted:
            self._sorted[characters] = self._sort(characters)
        return self._sorted[characters]

    def _sort(self, characters: str) -> tuple[_Entry, ...]:
        meanings: defaultdict[tuple[str, bool], list[tuple[str, int]]] = defaultdict(list)
        for word, language, kind in self._raw[characters]:
            meanings[word.rstrip("$"), word.endswith("$")].append((language, kind))
        entries = [
            _Entry(stem, ends_word, not _UNPARTED_END.search(stem), tuple(found))
            for (stem, ends_word), found in meanings.items()
        ]
        return tuple(sorted(entries, key=lambda entry: (-len(entry.stem), not entry.ends_word)))


class _Lexicon(NamedTuple):
    entries: _Entries
    inner: re.Pattern[str]
    inner_meanings: dict[str, tuple[tuple[str, int], ...]]


@cache
def _lexicon() -> _Lexicon:
    raw: defaultdict[str, list[tuple[str, str, int]]] = defaultdict(list)
    inner: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for language, kind, words in _rows(files("tempmailg._extract").joinpath("words.txt").read_text(encoding="utf-8")):
        for word in words:
            if word.startswith("*"):
                inner[word[1:]].append((language, kind))
            else:
                raw[word.rstrip("$")[:3]].append((word, language, kind))
    longest_first = sorted(inner, key=len, reverse=True)
    pattern = "|".join(
        re.escape(word.rstrip("$")) + (r"(?!\w)" if word.endswith("$") else "") for word in longest_first
    )
    inner_meanings: defaultdict[str, tuple[tuple[str, int], ...]] = defaultdict(tuple)
    for word, meanings in inner.items():
        inner_meanings[word.rstrip("$")] += tuple(meanings)
    return _Lexicon(_Entries(dict(raw)), re.compile(f"(?:{pattern})"), dict(inner_meanings))


def _rows(source: str) -> Iterator[tuple[str, int, list[str]]]:
    """Read the table: `[language]`, then `kind = word, word, …`; other lines are comments."""
    language = ""
    for line in source.splitlines():
        name, equals, words = line.partition(" = ")
        if line.startswith("["):
            language = line.strip("[]")
        elif equals:
            yield language, Kind[name.upper()].value, fold(words).split(", ")
