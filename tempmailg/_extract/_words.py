"""The lexicon: which words of a text speak of codes, of links, or of something else.

Words count only in languages that the message speaks: Hungarian prices (`ár`) are no Swedish verbs (`är`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from tempmailg._extract._lexicon import KEY, UNPARTED, Entry, Kind, fold, lexicon
from tempmailg._extract._spans import merged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


T = TypeVar("T")

_SameStem = list[tuple[bool, bool, T]]
"""Entries with one stem: whether the word must end there, whether its script parts words, and what they say."""


class Hit(NamedTuple):
    """A word of the lexicon found in a text."""

    start: int
    end: int
    kind: int
    """The bits of its kinds."""


Languages = frozenset[str]
"""The languages that a message may be written in."""


class _Script(NamedTuple):
    """How words are told apart."""

    position: re.Pattern[str]
    """Finds what begins where a word may begin."""
    rest: re.Pattern[str]
    """Matches the rest of a word."""


_PARTED = _Script(re.compile(r"(?<!\w)\w++"), re.compile(r"\w*+"))
_PERHAPS_UNPARTED = re.compile(r"[^\0-\u058f\u2010-\u2122]")
"""Characters that are neither of a script that parts its words nor usual punctuation."""


@cache
def _any_script() -> _Script:
    """Return what is true of all scripts; it takes a while to make, and most messages do without."""
    return _Script(re.compile(rf"(?<!\w)\w|[{UNPARTED}]"), re.compile(rf"[^\W{UNPARTED}]*+"))


def _script_of(text: str) -> _Script:
    return _PARTED if text.isascii() or not _PERHAPS_UNPARTED.search(text) else _any_script()


EVERYWHERE = frozenset({"en", "units", "meetings"})
"""Sections that count in every message: English words travel, measures and meetings have a table of their own."""


def kinds_of(hits: Iterable[Hit]) -> int:
    """Join the kinds of some words."""
    kinds = 0
    for hit in hits:
        kinds |= hit.kind
    return kinds


def languages_of(text: str) -> Languages | None:
    """Return the languages whose words stand in a text, or None where too few stand there to know."""
    counts: Counter[str] = Counter()
    for start, stem_end, _, meanings in _matches(fold(text), _meanings(), 0, len(text)):
        for language, _ in meanings:
            counts[language] += stem_end - start
    if max(counts.values(), default=0) < _ENOUGH:
        return None
    english = counts["en"]
    most = max((count for language, count in counts.items() if language not in EVERYWHERE), default=0)
    return EVERYWHERE.union(
        language for language, count in counts.items() if 2 * count >= most and _BESIDE_ENGLISH * count >= english
    )


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
        self._hits = [hit for start, end in merged(parts) for hit in _found(folded, languages, start, end)]
        self._starts = [hit.start for hit in self._hits]

    def replace(self, change: Callable[[list[Hit]], list[Hit]]) -> None:
        """Let a function give some of the words another meaning; their places stay."""
        self._hits = change(self._hits)

    def between(self, start: int, end: int) -> tuple[Hit, ...]:
        """Return the words that begin in a part of the text."""
        return tuple(self._hits[bisect_left(self._starts, start) : bisect_left(self._starts, end)])


def _found(folded: str, languages: Languages | None, start: int, end: int) -> list[Hit]:
    hits = [Hit(first, last, kinds) for first, _, last, kinds in _matches(folded, _view(languages), start, end)]
    return sorted(hits + _inner_hits(folded, hits, languages, start, end))


def _matches(text: str, view: _View[T], first: int, last: int) -> Iterator[tuple[int, int, int, T]]:
    """Yield where entries stand, the longest at each place: start, end of the stem, end of the word, what they say."""
    rows, script, done = lexicon().entries.rows, _script_of(text), first
    for position in script.position.finditer(text, first, last):
        start = position.start()
        key = text[start : start + KEY]
        if key not in rows:
            key = key[: KEY - 1]
        if start < done or key not in rows:
            continue
        for length, stems in view[key]:
            stem_end = start + length
            known = stems.get(text[start:stem_end])
            if known and (word := _word(text, stem_end, script, known)):
                done = stem_end
                yield start, stem_end, *word
                break


def _word(text: str, stem_end: int, script: _Script, known: _SameStem[T]) -> tuple[int, T] | None:
    """Return where a word ends that begins with a stem, and what the entry says that it belongs to."""
    for ends_word, parted, says in known:
        if parted:
            rest = script.rest.match(text, stem_end)
            end = rest.end() if rest else stem_end
            goes_on = end > stem_end
        else:
            end, goes_on = stem_end, text[stem_end : stem_end + 1].isalnum()
        if not (ends_word and goes_on):
            return end, says
    return None


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
    for language, words in lexicon().inner.items():
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


class _View(dict[str, tuple[tuple[int, dict[str, "_SameStem[T]"]], ...]], Generic[T]):
    """By first characters: entries of each length by their stems, the longest first; each is read on first use."""

    def __init__(self, says: Callable[[Entry], T | None]) -> None:
        super().__init__()
        self._says = says

    def __missing__(self, key: str) -> tuple[tuple[int, dict[str, _SameStem[T]]], ...]:
        groups: dict[int, dict[str, _SameStem[T]]] = {}
        for entry in lexicon().entries[key]:
            if says := self._says(entry):
                same = groups.setdefault(len(entry.stem), {}).setdefault(entry.stem, [])
                same.append((entry.ends_word, entry.parted, says))
        found = self[key] = tuple(groups.items())
        return found


@cache
def _meanings() -> _View[tuple[tuple[str, int], ...]]:
    return _View(lambda entry: entry.meanings)


@lru_cache(maxsize=128)
def _view(languages: Languages | None) -> _View[int]:
    """Return the bits of the kinds of which entries are in some languages."""

    def kinds_in(entry: Entry) -> int:
        kinds = 0
        for language, kind in entry.meanings:
            if languages is None or language in languages:
                kinds |= kind
        return kinds

    return _View(kinds_in)
