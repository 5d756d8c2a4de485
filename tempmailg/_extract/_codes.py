"""Codes: what stands in a message that a person would type somewhere, with the evidence for it.

A pipeline: find what has the shape of a code → read the words around it → add up the clues → keep the best place of
each value. Clues are worth points; a code is believed from `ACCEPTED` points, and only when it stands `CLEAR` above
every other.
"""

# ruff: noqa: RUF001 -- apostrophes of every kind join words
from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, NamedTuple

from tempmailg._extract._clues import Clue
from tempmailg._extract._context import Context, read_context
from tempmailg._extract._shapes import Shape, Span, find_spots, find_tokens, to_ascii
from tempmailg._extract._words import EVERYWHERE, Hit, Kind, Languages, find_words, kinds_of, languages_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ACCEPTED = 7.0
"""Points from which a candidate is believed."""

CLEAR = 1.5
"""Points by which the answer must stand above every other value."""

CLEAR_OF_CODE = 4.0
"""The same, where the other value would be believed, too."""

CERTAIN = 20.0
"""Points of an explicit channel: a line that the sender wrote for programs to read."""

# What the words around say it is.
NAMED_DIRECTLY = Clue(5.0, "called a code by the word before it")
NAMED_HERE = Clue(4.0, "called a code right before it")
NAMED_BEFORE = Clue(3.0, "called a code before it")
NAMED_AFTER = Clue(3.5, "called a code after it")
NAMED_NEXT = Clue(1.5, "the next sentence speaks of a code")
NAMED_PASSWORD = Clue(4.5, "called a password")
NAMED_OTHER = Clue(-7.0, "called something else")
FOLLOWED_BY_OTHER = Clue(-2.0, "followed by the name of something else")
AMOUNT = Clue(-6.0, "an amount")
PRICES = Clue(-2.5, "beside a price or percentage")
DIALLED = Clue(-6.0, "part of a number to dial")

# What they say it is for.
ONE_TIME = Clue(2.0, "for one use")
PURPOSE = Clue(1.5, "beside words of signing in or confirming")
TYPED = Clue(1.5, "to be typed")
LIMITED = Clue(0.5, "short-lived or secret")

# Where it stands.
ALONE = Clue(2.0, "alone on its line")
LOUD = Clue(1.0, "in large letters")
ONLY = Clue(1.5, "nothing else could be one")
REPEATED = Clue(2.0, "in subject and text")

# What the message is about.
SUBJECT_CODE = Clue(2.0, "the subject announces a code")
SUBJECT_PURPOSE = Clue(1.5, "the subject speaks of signing in or confirming")
SUBJECT_OTHER = Clue(-2.5, "the subject speaks of something else")
SUBJECT_SILENT = Clue(-1.0, "the subject speaks of no code")
TRADE = Clue(-1.5, "the message speaks of prices")
MEETING = Clue(-6.0, "the message invites to a call")
SOLE = Clue(4.0, "the message is hardly more than it")
BRIEF = Clue(2.0, "the message holds little else")

# What is missing.
UNNAMED = Clue(-4.0, "nobody calls it a code")
UNNAMED_LETTERS = Clue(-6.0, "letters that nobody calls a code")
AIMLESS = Clue(-3.0, "nothing says what it is for")

_CODE = Kind.CODE | Kind.OTP
_NAMING = _CODE | Kind.SECRET | Kind.OTHER
_PURPOSE = Kind.ACT | Kind.PROOF

_NEXT = 6
"""Characters between a name and the code it names, at most, to stand next to it: `code is 1234`."""
_NEAR = 30
"""The same, to stand right before it."""
_LABEL = 40
"""Characters between the name of something else and its number, at most."""
_HEADING = 12
"""The same, when the number stands on the next line."""
_FOLLOWS = 20
"""Characters between a number and the name of something else after it, at most."""
_RIVAL = 2.0
"""Points from which a value could be a code."""
_TELLING = 800
"""Characters of a message that are read to tell its language."""
_SOLE, _BRIEF = 24, 60
"""Letters and digits of a message that is nothing but a code, or holds little else."""

_VAGUE = frozenset({Shape.LETTERS, Shape.PHRASE, Shape.WORD_NUMBER, Shape.YEAR})
_NEEDS_NAME = frozenset({Shape.LETTERS, Shape.LETTER_BLOCKS, Shape.PHRASE, Shape.WORD_NUMBER})
_ADJACENT = re.compile(
    r"[ '’-]?(?:(?:de|del|do|da|di|d|du|of|for|za|na|pour|para|per|til|fur|der|des) )?", re.IGNORECASE
)
_PRICE = re.compile(r"[%$€£¥₹₽₩₺₫₪]")
_AMOUNT = re.compile(r"[$€£¥₹₽₩₺₫₪]\s?\d|\d\s?[€$£₽₺₫₪]")
_DIALLED = re.compile(r"#|,,")
_DIALLING = re.compile(r",,\d")
_ORIGIN_BOUND = re.compile(r"^@[\w.-]++ #(\S{4,32})(?: [^\n]*+)?\Z", re.MULTILINE)
_DECORATION = re.compile(r"[\W_]++")


Place = Literal["subject", "text"]


class Mail(NamedTuple):
    """What is searched of a message: its subject, and its text without addresses and quoted replies."""

    subject: str
    text: str
    loud: tuple[tuple[int, int], ...] = ()


class Finding(NamedTuple):
    """A spot with the clues for and against it."""

    place: Place
    spot: Span
    clues: tuple[Clue, ...]

    @property
    def points(self) -> float:
        """The sum of the evidence."""
        return self.spot.shape.points + sum(clue.points for clue in self.clues)


class _Words(NamedTuple):
    """The words of the lexicon around a spot, piece by piece as in `Context`."""

    before: tuple[Hit, ...]
    lead: tuple[Hit, ...]
    after: tuple[Hit, ...]
    following: tuple[Hit, ...]


def find(mail: Mail, fits: Callable[[str], bool] | None = None) -> list[Finding]:
    """Find the codes of a message, the best first, each value once; `fits` narrows them to what a caller expects."""
    if told := _origin_bound(mail.text):
        return [told]
    subject, text = to_ascii(mail.subject), to_ascii(mail.text)
    subject_spots, text_spots = _spots(subject, fits), _spots(text, fits)
    if not subject_spots and not text_spots:
        return []
    languages = languages_of(f"{subject} {text[:_TELLING]}")
    general = tuple(_mail_clues(subject, text, languages))
    findings = [
        *_judge("subject", Mail(subject, subject), subject_spots, general, languages),
        *_judge("text", Mail(subject, text, mail.loud), text_spots, general, languages),
    ]
    return _best_of_each_value(_without_rivals(findings))


def _origin_bound(text: str) -> Finding | None:
    """Read the last line `@host #code` (origin-bound one-time codes, a WICG draft)."""
    found = _ORIGIN_BOUND.search(text.rstrip())
    if found is None:
        return None
    spot = Span(found.start(1), found.end(1), found[1], Shape.AS_ASKED)
    return Finding("text", spot, (Clue(CERTAIN, "the last line tells it to programs"),))


def _spots(text: str, fits: Callable[[str], bool] | None) -> list[Span]:
    if fits is None:
        return find_spots(text)
    known = [spot for spot in find_spots(text) if fits(spot.value) or fits(text[spot.start : spot.end])]
    return known or find_tokens(text, fits)


def _judge(
    place: Place, mail: Mail, spots: list[Span], general: tuple[Clue, ...], languages: Languages | None
) -> Iterator[Finding]:
    text = mail.text
    for spot, floor, ceiling in zip(spots, _floors(spots), _ceilings(spots, len(text)), strict=True):
        around = read_context(text, spot.start, spot.end, floor=floor, ceiling=ceiling)
        clues = [*_word_clues(spot, around, languages), *_place_clues(spot, around, mail.loud), *general]
        yield Finding(place, spot, (*clues, *_doubts(spot, clues)))


def _floors(spots: Sequence[Span]) -> list[int]:
    """Return where the words of each spot begin: behind the one before, for a name belongs to what it names first."""
    ends = (0 if spot.shape in _VAGUE else spot.end for spot in spots)
    return [0, *accumulate(ends, max)][: len(spots)]


def _ceilings(spots: Sequence[Span], end: int) -> list[int]:
    starts = (end if spot.shape in _VAGUE else spot.start for spot in reversed(spots))
    return [end, *accumulate(starts, min)][: len(spots)][::-1]


def _word_clues(spot: Span, around: Context, languages: Languages | None) -> Iterator[Clue]:
    """Yield what the words around a spot say about it."""
    words = _Words(*(_read(piece, languages) for piece in around[:4]))
    name = _name_clue(around, words)
    if name and (name is not NAMED_PASSWORD or spot.value.isdigit()):
        yield name
    if name is NAMED_OTHER:
        return
    near = kinds_of((*words.before, *words.lead, *words.after))
    beyond = near | kinds_of(words.following)
    if near & Kind.OTP:
        yield ONE_TIME
    if beyond & _PURPOSE:
        yield PURPOSE
    if beyond & Kind.ENTER:
        yield TYPED
    if kinds_of((*words.after, *words.following)) & Kind.LIMITS:
        yield LIMITED
    if any(hit.kind & Kind.UNIT and hit.start <= 1 for hit in words.after):
        yield AMOUNT
    if _PRICE.search(around.before) or _PRICE.search(around.after):
        yield PRICES
    if _DIALLED.match(around.after):
        yield DIALLED


def _name_clue(around: Context, words: _Words) -> Clue | None:
    """Return the clue of what a spot is called: by the words before it, else after it, else in the next sentence."""
    here = kinds_of(words.before) & _NAMING
    hits, piece, reach = (words.before, around.before, _LABEL) if here else (words.lead, around.lead, _HEADING)
    name = _name(hits)
    gap = len(piece) - name.end if name else 0
    if name and name.kind & _CODE:
        return NAMED_DIRECTLY if gap <= _NEXT else NAMED_HERE if gap <= _NEAR else NAMED_BEFORE
    if name and name.kind & Kind.OTHER and gap <= reach:
        return NAMED_OTHER
    if name and name.kind & Kind.SECRET:
        return NAMED_PASSWORD
    return _name_after(words)


def _name_after(words: _Words) -> Clue | None:
    kinds = kinds_of(words.after)
    if kinds & _CODE:
        return NAMED_AFTER
    if kinds & Kind.SECRET:
        return NAMED_PASSWORD
    if any(hit.kind & Kind.OTHER and hit.start <= _FOLLOWS for hit in words.after):
        return FOLLOWED_BY_OTHER
    return NAMED_NEXT if kinds_of(words.following) & _CODE else None


def _name(hits: Sequence[Hit]) -> Hit | None:
    """Return the word that names what comes next: the nearest, but a sentence that asks to type means the code."""
    names = [hit for hit in hits if hit.kind & _NAMING]
    codes = [hit for hit in names if hit.kind & _CODE]
    if codes and kinds_of(hits) & Kind.ENTER:
        return codes[-1]
    return names[-1] if names else None


def _place_clues(spot: Span, around: Context, loud: tuple[tuple[int, int], ...]) -> Iterator[Clue]:
    if around.alone:
        yield ALONE
    if any(start <= spot.start and spot.end <= end for start, end in loud):
        yield LOUD


def _mail_clues(subject: str, text: str, languages: Languages | None) -> Iterator[Clue]:
    """Yield what the message as a whole says about any code in it."""
    kinds = kinds_of(_read(subject, languages))
    if kinds & _CODE:
        yield SUBJECT_CODE
    if kinds & (_PURPOSE | Kind.OTP):
        yield SUBJECT_PURPOSE
    if not kinds & (_CODE | Kind.ACT):
        yield from _subject_doubts(subject, kinds, text)
    size = len(_DECORATION.sub("", subject + text[:_TELLING]))
    if size <= _BRIEF:
        yield SOLE if size <= _SOLE else BRIEF
    if _DIALLING.search(text):
        yield MEETING


def _subject_doubts(subject: str, kinds: int, text: str) -> Iterator[Clue]:
    """Yield what speaks against a code in a message whose subject does not announce one."""
    if kinds & Kind.OTHER:
        yield SUBJECT_OTHER
        if _AMOUNT.search(text, 0, _TELLING):
            yield TRADE
    elif subject and not kinds & _PURPOSE:
        yield SUBJECT_SILENT
    if kinds_of(find_words(f"{subject} {text[:_TELLING]}", EVERYWHERE)) & Kind.MEETING:
        yield MEETING


def _doubts(spot: Span, clues: Sequence[Clue]) -> Iterator[Clue]:
    """Yield what speaks against a spot because it is missing."""
    named = {NAMED_DIRECTLY, NAMED_HERE, NAMED_BEFORE, NAMED_AFTER, NAMED_PASSWORD}.intersection(clues)
    if not named and spot.shape in _NEEDS_NAME:
        yield UNNAMED_LETTERS
    elif not named and not any(reasons.issubset(clues) for reasons in _INSTEAD_OF_A_NAME):
        yield UNNAMED
    if not {NAMED_PASSWORD, ONE_TIME, PURPOSE, LIMITED, SUBJECT_PURPOSE, SOLE, BRIEF}.intersection(clues):
        yield AIMLESS


_INSTEAD_OF_A_NAME = (
    {SOLE},
    {ALONE, SUBJECT_CODE},
    {ALONE, NAMED_NEXT, PURPOSE},
    {TYPED, NAMED_NEXT, PURPOSE},
    {ALONE, TYPED, SUBJECT_PURPOSE},
    {TYPED, PURPOSE, SUBJECT_PURPOSE},
)
"""Clues that together make up for a missing name."""


def _without_rivals(findings: list[Finding]) -> list[Finding]:
    """Credit a value beside which nothing else in the message could be a code."""
    rivals = {_key(finding.spot) for finding in findings if finding.points >= _RIVAL}
    if len(rivals) != 1:
        return findings
    return [
        finding._replace(clues=(*finding.clues, ONLY)) if _key(finding.spot) in rivals else finding
        for finding in findings
    ]


def _best_of_each_value(findings: list[Finding]) -> list[Finding]:
    """Keep the best place of each value; a value in both subject and text gains by it."""
    places: dict[str, set[Place]] = {}
    best: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda finding: -finding.points):
        key = _key(finding.spot)
        best.setdefault(key, finding)
        places.setdefault(key, set()).add(finding.place)
    ranked = [
        finding._replace(clues=(*finding.clues, REPEATED)) if len(places[key]) > 1 else finding
        for key, finding in best.items()
    ]
    return sorted(ranked, key=lambda finding: -finding.points)


def _key(spot: Span) -> str:
    """Return what makes two spots the same code: `G-123456` is `123456`."""
    value = spot.value[2:] if spot.shape is Shape.PREFIXED else spot.value
    return value.replace("-", "").upper()


def _read(text: str, languages: Languages | None) -> tuple[Hit, ...]:
    """Find the words of a piece of text; a code that the word beside it makes something else counts as that."""
    hits = find_words(text, languages)
    others = [hit for hit in hits if hit.kind & Kind.OTHER]
    return tuple(
        hit._replace(kind=Kind.OTHER)
        if hit.kind & _CODE and any(_adjacent(text, hit, other) for other in others)
        else hit
        for hit in hits
    )


def _adjacent(text: str, one: Hit, other: Hit) -> bool:
    first, second = sorted((one, other))
    return _ADJACENT.fullmatch(text, first.end, second.start) is not None
