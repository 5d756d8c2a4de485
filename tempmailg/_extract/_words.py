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
from functools import cache, lru_cache
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
_UNPARTED = "".join(f"{chr(first)}-{chr(last)}" for first, last in _UNPARTED_RANGES)
_POSITION = re.compile(rf"(?<!\w)\w|[{_UNPARTED}]")
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
    """Return the languages whose words stand in a text, or None where too few stand there to know."""
    counts: Counter[str] = Counter()
    for entry in _all_entries(fold(text)):
        for language, _ in entry.meanings:
            counts[language] += len(entry.stem)
    if max(counts.values(), default=0) < _ENOUGH:
        return None
    english = counts["en"]
    most = max((count for language, count in counts.items() if language not in EVERYWHERE), default=0)
    return EVERYWHERE.union(
        language for language, count in counts.items() if 2 * count >= most and _BESIDE_ENGLISH * count >= english
    )


def _all_entries(text: str) -> Iterator[_Entry]:
    """Yield the entries of any language that stand in a text, the longest at each place."""
    entries, done = _lexicon().entries, 0
    for position in _POSITION.finditer(text):
        start = position.start()
        if start < done:
            continue
        for entry in entries.at(text, start):
            stem_end = start + len(entry.stem)
            if text.startswith(entry.stem, start) and _end(
                text, stem_end, ends_word=entry.ends_word, parted=entry.parted
            ):
                done = stem_end
                yield entry
                break


_BESIDE_ENGLISH = 3
"""How many times as many English words may stand beside another language: signatures and buttons are often English."""

_ENOUGH = 10
"""Letters of the words of one language from which a message is believed to speak it."""


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
        """Return the words that begin in a part of the text."""
        return tuple(self._hits[bisect_left(self._starts, start) : bisect_left(self._starts, end)])


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
    hits = list(_hits(folded, _view(languages), start, end))
    return sorted(hits + _inner_hits(folded, hits, languages, start, end))


def _hits(text: str, view: _View, first: int, last: int) -> Iterator[Hit]:
    """Yield the words of some languages, the longest at each place."""
    done = first
    for position in _POSITION.finditer(text, first, last):
        start = position.start()
        if start < done:
            continue
        for stem, ends_word, parted, kind in view.at(text, start):
            if text.startswith(stem, start):
                stem_end = start + len(stem)
                end = _end(text, stem_end, ends_word=ends_word, parted=parted)
                if end:
                    done = stem_end
                    yield Hit(start, end, kind)
                    break


def _end(text: str, stem_end: int, *, ends_word: bool, parted: bool) -> int:
    """Return where a word ends that begins with a stem, or 0 where the stem must end there and does not."""
    if not parted:
        return 0 if ends_word and text[stem_end : stem_end + 1].isalnum() else stem_end
    rest = _REST_OF_WORD.match(text, stem_end)
    end = rest.end() if rest else stem_end
    return 0 if ends_word and end > stem_end else end


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


@lru_cache(maxsize=128)
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


def _is_unparted(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _UNPARTED_RANGES)


class _Entries:
    """Entries by their first characters, the longest first; the words of a letter are read on first use."""

    def __init__(self, rows: dict[str, list[tuple[str, int, str]]]) -> None:
        self._rows = rows
        self._raw: dict[str, dict[str, list[tuple[str, str, int]]]] = {}
        self._sorted: dict[str, tuple[_Entry, ...]] = {}

    def at(self, text: str, start: int) -> tuple[_Entry, ...]:
        """Return the entries that may stand at a place of a text."""
        letter, characters = text[start], text[start : start + 3]
        raw = self._raw.get(letter)
        if raw is None:
            if letter not in self._rows:
                return ()
            raw = self._raw[letter] = self._read(letter)
        if characters not in raw:
            characters = characters[:2]
            if characters not in raw:
                return ()
        if characters not in self._sorted:
            self._sorted[characters] = self._sort([*raw[characters], *raw.get(characters[:2], ())])
        return self._sorted[characters]

    def _read(self, letter: str) -> dict[str, list[tuple[str, str, int]]]:
        raw: defaultdict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for language, kind, words in self._rows[letter]:
            for word in _words_of(words):
                if not word.startswith("*"):
                    raw[word.rstrip("$")[:3]].append((word, language, kind))
        return dict(raw)

    @staticmethod
    def _sort(words: Iterable[tuple[str, str, int]]) -> tuple[_Entry, ...]:
        meanings: defaultdict[tuple[str, bool], dict[str, int]] = defaultdict(dict)
        for word, language, kind in words:
            known = meanings[word.rstrip("$"), word.endswith("$")]
            known[language] = known.get(language, 0) | kind
        for (stem, ends_word), found in meanings.items():  # what is true of all words with a stem is true of the stem
            for language, kind in meanings[stem, False].items() if ends_word and (stem, False) in meanings else ():
                found[language] = found.get(language, 0) | kind
        entries = [
            _Entry(
                stem,
                ends_word,
                not _is_unparted(stem[-1]),
                tuple(found.items()),
            )
            for (stem, ends_word), found in meanings.items()
        ]
        return tuple(sorted(entries, key=lambda entry: (-len(entry.stem), not entry.ends_word)))


class _View:
    """The entries of some languages: stem, whether the word ends there, whether its script parts words, kinds."""

    def __init__(self, languages: Languages | None) -> None:
        self._languages = languages
        self._entries = _lexicon().entries
        self._known: dict[int, tuple[tuple[str, bool, bool, int], ...]] = {}

    def at(self, text: str, start: int) -> tuple[tuple[str, bool, bool, int], ...]:
        """Return the entries that may stand at a place of a text."""
        entries = self._entries.at(text, start)
        if not entries:
            return ()
        known = self._known.get(id(entries))  # the lexicon keeps its tuples for good
        if known is None:
            known = self._known[id(entries)] = tuple(self._chosen(entries))
        return known

    def _chosen(self, entries: Iterable[_Entry]) -> Iterator[tuple[str, bool, bool, int]]:
        for entry in entries:
            kinds = 0
            for language, kind in entry.meanings:
                if self._languages is None or language in self._languages:
                    kinds |= kind
            if kinds:
                yield entry.stem, entry.ends_word, entry.parted, kinds


@lru_cache(maxsize=128)
def _view(languages: Languages | None) -> _View:
    return _View(languages)


class _Lexicon(NamedTuple):
    entries: _Entries
    inner: dict[str, list[tuple[str, int]]]
    """The words of each language that may stand inside others."""
    written: tuple[str, ...]
    """The rows of what is compared as it is written."""


@cache
def _lexicon() -> _Lexicon:
    """Read the table: `[language]`, then `kind = word, word, …`; other lines are comments.

    A row's words begin with the same letter, so that most rows need not be taken apart: those of letters that no
    message holds.
    """
    with open(f"{__file__.removesuffix('_words.py')}words.txt", encoding="utf-8") as file:  # noqa: PTH123 -- 3 ms less
        source, _, written = file.read().partition("\n[written]\n")
    rows: defaultdict[str, list[tuple[str, int, str]]] = defaultdict(list)
    inner: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    language, kinds = "", {kind.name.lower(): kind.value for kind in Kind}
    for section, kind, star, first, rest in _ROW.findall(source):
        if section:
            language = section
            continue
        rows[_FOLDING[ord(first)]].append((language, kinds[kind], star + first + rest))
        if star or "*" in rest:
            words = _words_of(star + first + rest)
            inner[language] += [(word[1:], kinds[kind]) for word in words if word.startswith("*")]
    return _Lexicon(_Entries(dict(rows)), dict(inner), tuple(written.splitlines()))


_ROW = re.compile(r"^(?:\[(\w+)\]|(\w+) = (\*?)(.)(.*))$", re.MULTILINE)
"""The name of a section, or a row: its kind, and its words from the first letter on."""


def _words_of(row: str) -> list[str]:
    return (row.lower() if row.isascii() and _PLAIN.fullmatch(row) else fold(row)).split(", ")


_PLAIN = re.compile(r"[\w ,*$%]*+")


@cache
def written(kind: str) -> tuple[str, ...]:
    """Return the words of one kind that are compared as they are written, the longest first."""
    rows = (row.partition(" = ") for row in _lexicon().written)
    words = [word for name, _, words in rows if name == kind for word in words.split(", ")]
    return tuple(sorted(words, key=lambda word: (-len(word), word)))
