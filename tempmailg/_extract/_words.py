"""The lexicon: which words of a text speak of codes, of links, or of something else.

Words count only in languages that the message speaks: Hungarian prices (`ár`) are no Swedish verbs (`är`).
"""

# ruff: noqa: RUF001 -- typographic dashes and apostrophes join words
from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


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
    for _, _, entry in _matches(fold(text), _lexicon(), None, 0, len(text)):
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
    return tuple(_found(fold(text), languages, 0, len(text)))


class Words:
    """The lexicon's words in the parts of a text that matter, each found once."""

    def __init__(self, text: str, languages: Languages | None, parts: Iterable[tuple[int, int]]) -> None:
        folded = fold(text)
        self._hits = [hit for start, end in _merged(parts) for hit in _found(folded, languages, start, end)]
        self._starts = [hit.start for hit in self._hits]

    def replace(self, change: Callable[[list[Hit]], list[Hit]]) -> None:
        """Let a function give some of the words another meaning; their places stay."""
        self._hits = change(self._hits)

    def between(self, start: int, end: int) -> tuple[Hit, ...]:
        """Return the words that begin in a part of the text and do not reach beyond it."""
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        return tuple(hit for hit in self._hits[first:last] if hit.end <= end or hit.start < end <= hit.end)


def _merged(parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join parts that overlap or touch."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(parts):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _found(folded: str, languages: Languages | None, start: int, end: int) -> list[Hit]:
    lexicon = _lexicon()
    hits = [
        Hit(first, last, kind)
        for first, last, entry in _matches(folded, lexicon, languages, start, end)
        if (kind := _meaning(entry.meanings, languages))
    ]
    return sorted(hits + _inner_hits(folded, hits, languages, start, end))


def _meaning(meanings: tuple[tuple[str, int], ...], languages: Languages | None) -> int:
    kinds = 0
    for language, kind in meanings:
        if languages is None or language in languages:
            kinds |= kind
    return kinds


def _matches(
    text: str, lexicon: _Lexicon, languages: Languages | None, first: int, last: int
) -> Iterator[tuple[int, int, _Entry]]:
    """Yield where entries begin a word (or stand anywhere, in unparted scripts), the longest at each place."""
    done = first
    for position in _POSITION.finditer(text, first, last):
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


def _inner_hits(text: str, outer: list[Hit], languages: Languages | None, first: int, last: int) -> list[Hit]:
    """Find the words that stand inside longer ones, unless the longer one is already known as something else."""
    pattern, meanings = _inner(languages)
    if pattern is None:
        return []
    around = {position: hit for hit in outer for position in range(hit.start, hit.end)}
    inner = (Hit(found.start(), found.end(), meanings[found[0]]) for found in pattern.finditer(text, first, last))
    return [hit for hit in inner if not _covered(hit, around.get(hit.start))]


def _covered(inner: Hit, outer: Hit | None) -> bool:
    """Whether the longer word around a word says as much, or that it is something else."""
    if outer is None or inner.end > outer.end:
        return False
    return bool(outer.kind & Kind.OTHER) or not inner.kind & ~outer.kind


@cache
def _inner(languages: Languages | None) -> tuple[re.Pattern[str] | None, dict[str, int]]:
    """Return what finds the words inside others in some languages, and what each of them means there."""
    chosen: dict[str, int] = {}
    for language, words in _lexicon().inner.items():
        for word, kind in words if languages is None or language in languages else ():
            chosen[word] = chosen.get(word, 0) | kind
    if not chosen:
        return None, {}
    longest_first = sorted(chosen, key=lambda word: (-len(word), word))
    pattern = "|".join(
        re.escape(word.rstrip("$")) + (r"(?!\w)" if word.endswith("$") else "") for word in longest_first
    )
    meanings: dict[str, int] = {}
    for word, kind in chosen.items():
        meanings[word.rstrip("$")] = meanings.get(word.rstrip("$"), 0) | kind
    return re.compile(f"(?:{pattern})"), meanings


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
    inner: dict[str, list[tuple[str, int]]]
    """The words of each language that may stand inside others."""


@cache
def _lexicon() -> _Lexicon:
    raw: defaultdict[str, list[tuple[str, str, int]]] = defaultdict(list)
    inner: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for language, kind, words in _rows(files("tempmailg._extract").joinpath("words.txt").read_text(encoding="utf-8")):
        for word in words:
            if word.startswith("*"):
                inner[language].append((word[1:], kind))
            else:
                raw[word.rstrip("$")[:3]].append((word, language, kind))
    return _Lexicon(_Entries(dict(raw)), dict(inner))


def _rows(source: str) -> Iterator[tuple[str, int, list[str]]]:
    """Read the table: `[language]`, then `kind = word, word, …`; other lines are comments."""
    language = ""
    for line in source.partition("\n[written]\n")[0].splitlines():
        name, equals, words = line.partition(" = ")
        if line.startswith("["):
            language = line.strip("[]")
        elif equals:
            yield language, Kind[name.upper()].value, fold(words).split(", ")


@cache
def section(name: str, kind: str) -> tuple[str, ...]:
    """Return the words of one kind of a section as they are written, the longest first."""
    source = files("tempmailg._extract").joinpath("words.txt").read_text(encoding="utf-8")
    rows = source.partition(f"\n[{name}]\n")[2].partition("\n[")[0].splitlines()
    words = [word for row in rows if row.startswith(f"{kind} = ") for word in row.partition(" = ")[2].split(", ")]
    return tuple(sorted(words, key=lambda word: (-len(word), word)))
