"""Codes: what stands in a message that a person would type somewhere, with the evidence for it.

A pipeline: find what has the shape of a code → read the words around it → add up the clues → keep the best place of
each value. Clues are worth points; a code is believed from `ACCEPTED` points, and only when it stands `CLEAR` above
every other.
"""

# ruff: noqa: RUF001 -- apostrophes of every kind join words
from __future__ import annotations

import re
import sys
from bisect import bisect_right
from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from tempmailg._extract._clues import Clue
from tempmailg._extract._context import REACH, Context, read_context
from tempmailg._extract._lexicon import UNPARTED, Kind, fold
from tempmailg._extract._patterns import Pattern
from tempmailg._extract._shapes import Shape, Span, find_spans, find_tokens, to_ascii
from tempmailg._extract._typed import names_amount, user_names, without_names, without_typed
from tempmailg._extract._words import EVERYWHERE, Hit, Languages, Words, find_words, kinds_of, languages_of

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
NAMED_NUMBER = Clue(3.0, "called the number to type")
NAMED_NEXT = Clue(1.5, "the next sentence speaks of a code")
NAMED_PASSWORD = Clue(4.5, "called a password")
NAMED_OTHER = Clue(-7.0, "called something else")
FOLLOWED_BY_OTHER = Clue(-2.0, "followed by the name of something else")
SAMPLE = Clue(-7.0, "given as an example")
CITED = Clue(-7.0, "in a sentence that is cited")
VOID = Clue(-8.0, "it counts no more")
SUCCESSOR = Clue(2.5, "written as a code that counts no more")
QUOTED = Clue(-6.0, "in a quoted message")
AMOUNT = Clue(-6.0, "an amount")
PRICES = Clue(-2.5, "beside a percentage")
DIALLED = Clue(-6.0, "part of a number to dial")

# What they say it is for.
ONE_TIME = Clue(2.0, "for one use")
PURPOSE = Clue(1.5, "beside words of signing in or confirming")
TYPED = Clue(1.5, "to be typed")
TYPED_HERE = Clue(4.5, "asked for right before it")
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
TRADE = Clue(-4.0, "the message speaks of prices")
MEETING = Clue(-6.0, "the message invites to a call")
SOLE = Clue(4.0, "the message is hardly more than it")
BRIEF = Clue(2.0, "the message holds little else")

# What is missing.
UNNAMED = Clue(-4.0, "nobody calls it a code")
UNNAMED_LETTERS = Clue(-6.0, "letters that nobody calls a code")
AIMLESS_WORD = Clue(-6.0, "letters of which nothing says what they are for")
AIMLESS = Clue(-3.0, "nothing says what it is for")

_CODE = Kind.CODE | Kind.OTP
_NAMING = _CODE | Kind.SECRET | Kind.OTHER | Kind.LABEL | Kind.NUMBER
_PURPOSE = Kind.ACT | Kind.PROOF

_NEXT = 6
"""Characters between a name and the code it names, at most, to stand next to it: `code is 1234`."""
_BESIDE = 16
"""The same for a password: `password is now 1234`."""
_NEAR = 30
"""The same, to stand right before it."""
_LABEL = 40
"""Characters between the name of something else and its number, at most."""
_HEADING = 12
"""The same, when the number stands on the next line."""
_SHORT_LABEL = 3
"""Letters of a word that may be one of several languages: `är` is no price."""
_FOLLOWS = 20
"""Characters between a number and the name of something else after it, at most."""
_RIVAL = 2.0
"""Points from which a value could be a code."""
_START = 800
"""Characters of a message that show its language and its subject."""
_BEGINNING = 300
"""Characters of a text whose words also count for a code in the subject."""
_SOLE, _BRIEF = 24, 60
"""Letters and digits of a message that is nothing but a code, or holds little else."""

_VAGUE = frozenset({Shape.LETTERS, Shape.PHRASE, Shape.WORD_NUMBER, Shape.YEAR})
_NEEDS_NAME = frozenset({Shape.LETTERS, Shape.LETTER_BLOCKS, Shape.PHRASE, Shape.WORD_NUMBER, Shape.UNEVEN})
_CLEAR_SHAPES = frozenset(
    {Shape.DIGITS_6, Shape.GROUPED, Shape.SPACED, Shape.BLOCKS, Shape.MIXED, Shape.LETTER_BLOCKS, Shape.PREFIXED}
)
_DIGITS = frozenset({Shape.DIGITS_6, Shape.DIGITS_4_TO_8, Shape.GROUPED, Shape.SPACED})
_CLAUSE = Pattern(r"[,;，、؛،]")
_JOINER = re.compile(r"[ '’-]*")
_DESCRIBED = re.compile(r"[ \t.]*[#№]?[ \t]*")
_YEAR = re.compile(r"(?<!\d)20\d\d(?!\d)")
_NOTHING = re.compile(r"[\s.#№]*")
_BEGINS_ANEW = Pattern(f"[{UNPARTED}]")
"""What a space parts from the sentence before it, where spaces part no words."""
_DIGIT = re.compile(r"\d")
_NUMBERED = re.compile(r"(?<!\w)[^\W\d_]{4,} \Z")
_PRICE = re.compile(r"%")
_DIALLED = re.compile(r"#|,,")
_DIALLING = re.compile(r",,\d")
_ORIGIN_BOUND = re.compile(r"^@[\w.-]++ #(\S{4,32})(?: [^\n]*+)?\Z", re.MULTILINE)
_DECORATION = re.compile(r"[\W_]++")
_MORE_THAN_BRIEF = re.compile(rf"\A(?:[\W_]*+[^\W_]){{{_BRIEF + 1}}}")
_CITATION_ENDS = frozenset('”“»«"」』’')
_CITATION = Pattern(r"[“„«»\"「『‘]")


PlaceName = Literal["subject", "text"]


class Mail(NamedTuple):
    """What is searched of a message: its subject, and its text without addresses and quoted replies."""

    subject: str
    text: str
    loud: tuple[tuple[int, int], ...] = ()
    quoted: tuple[tuple[int, int], ...] = ()


class Finding(NamedTuple):
    """A span with the clues for and against it."""

    place: PlaceName
    span: Span
    clues: tuple[Clue, ...]

    @property
    def points(self) -> float:
        """The sum of the evidence."""
        return self.span.shape.points + sum(clue.points for clue in self.clues)


class _Hits(NamedTuple):
    """The words of the lexicon around a span, part by part as in `Context`."""

    before: tuple[Hit, ...]
    lead: tuple[Hit, ...]
    after: tuple[Hit, ...]
    following: tuple[Hit, ...]


class _Searched(NamedTuple):
    """A subject or a text that is searched: its digits in ASCII, with what has another form blanked out."""

    name: PlaceName
    text: str
    loud: tuple[tuple[int, int], ...]
    quoted: tuple[tuple[int, int], ...]


def find(mail: Mail, fits: Callable[[str], bool] | None = None) -> list[Finding]:
    """Find the codes of a message, the best first, each value once; `fits` narrows them to what a caller expects."""
    if found := _origin_bound(mail.text):
        return [found]
    subject, text = to_ascii(mail.subject), to_ascii(mail.text)
    names = user_names(text)
    places = (
        _Searched("subject", without_names(without_typed(subject), names), (), ()),
        _Searched("text", without_names(without_typed(text), names), mail.loud, mail.quoted),
    )
    spans = [_spans(place.text, fits) for place in places]
    if fits is None and _PRICE.search(f"{subject}{text[:_START]}"):
        spans = [[span for span in found if span.shape is not Shape.WORD_NUMBER] for found in spans]  # "SPRING25"
    if not any(spans):
        return []
    if all(_is_inside(span, mail.quoted) for span in spans[1]) and not _is_attributed(text, mail.quoted):
        places = (places[0], places[1]._replace(quoted=()))  # a mail that sets its code as a quotation
    languages = languages_of(f"{subject} {text[:_START]}")
    general = tuple(_mail_clues(subject, text, languages))
    judged = (_judge(place, found, general, languages) for place, found in zip(places, spans, strict=True))
    findings = _with_successor(_with_beginning(list(chain.from_iterable(judged)), text, languages))
    return _best_of_each_value(_without_rivals(findings))


def _is_attributed(text: str, quoted: tuple[tuple[int, int], ...]) -> bool:
    """Whether a line at the first quotation says who wrote it when, as in a reply: `On 3 May 2026, Ann wrote:`."""
    if not quoted:
        return False
    start = quoted[0][0]
    above = text[max(0, start - REACH) : start].rstrip().rpartition("\n")[2]
    first = text[start : start + REACH].lstrip().partition("\n")[0].rstrip()
    return any(line.endswith((":", "：")) and _YEAR.search(line) is not None for line in (above, first))


def _with_beginning(findings: list[Finding], text: str, languages: Languages | None) -> list[Finding]:
    """Let the text say how long a code lasts that stands in the subject, or what to do with one that is named there."""
    if all(finding.place == "text" for finding in findings):
        return findings
    kinds = kinds_of(find_words(text[:_BEGINNING], languages))
    typed = bool(kinds & Kind.ENTER and kinds & _CODE)
    if not typed and not kinds & Kind.LIMITS:
        return findings
    return [
        finding._replace(clues=(*(clue for clue in finding.clues if clue not in {AIMLESS, AIMLESS_WORD}), LIMITED))
        if finding.place == "subject" and (kinds & Kind.LIMITS or _NAMES.intersection(finding.clues))
        else finding
        for finding in findings
    ]


def _origin_bound(text: str) -> Finding | None:
    """Read the last line `@host #code` (origin-bound one-time codes, a WICG draft)."""
    found = _ORIGIN_BOUND.search(text.rstrip())
    if found is None:
        return None
    span = Span(found.start(1), found.end(1), found[1], Shape.AS_ASKED)
    return Finding("text", span, (Clue(CERTAIN, "the last line gives it to programs"),))


def _spans(text: str, fits: Callable[[str], bool] | None) -> list[Span]:
    if fits is None:
        return find_spans(text)
    known = [span for span in find_spans(text) if fits(span.value) or fits(text[span.start : span.end])]
    return known or find_tokens(text, fits)


def _judge(
    place: _Searched, spans: list[Span], general: tuple[Clue, ...], languages: Languages | None
) -> Iterator[Finding]:
    if not spans:
        return
    text = place.text
    words = Words(text, languages, [(_line_start(text, span.start - _REACHED), span.end + _REACHED) for span in spans])
    words.replace(lambda hits: _with_compounds(text, hits))
    following = [*(span.start for span in spans[1:]), len(text)]
    spans = [
        span
        for span, next_start in zip(spans, following, strict=True)
        if not _is_described(span, text, words) and not _is_described_after(span, next_start, text, words)
    ]
    for span, floor, ceiling in zip(spans, _floors(spans), _ceilings(spans, len(text)), strict=True):
        around = read_context(text, span.start, span.end, floor=floor, ceiling=ceiling)
        hits = _Hits(*(words.between(part.start, part.end) for part in around[:4]))
        clues = [*_word_clues(span, text, around, hits), *_place_clues(span, around, place), *general]
        yield Finding(place.name, span, (*clues, *_doubts(span, clues)))


_REACHED = 2 * REACH


def _line_start(text: str, position: int) -> int:
    """Return where the word begins that stands at a position, or the text."""
    return max(text.rfind(" ", 0, max(position, 0)), 0)


def _is_described(span: Span, text: str, words: Words) -> bool:
    """Whether the word right before a number says whose or what it is: `account 4711`, `order no. 4711`."""
    start = max(0, span.start - _LABEL, text.rfind("\n", 0, span.start) + 1, text.rfind("\t", 0, span.start) + 1)
    hits = words.between(start, span.start)
    naming = [hit for hit in hits if hit.kind & _NAMING]
    if naming and naming[-1].kind == Kind.NUMBER and _is_short(naming[-1]):
        return _is_numbered(span, text, hits)
    if not naming or naming[-1].kind & (_CODE | Kind.SECRET) or not naming[-1].kind & (Kind.OTHER | Kind.LABEL):
        return False
    short = naming[-1].end - naming[-1].start < _SHORT_LABEL and text[naming[-1].start : naming[-1].end].islower()
    if short and not _is_joined(naming, text):
        return False
    return _DESCRIBED.fullmatch(text, naming[-1].end, span.start) is not None


def _is_joined(naming: Sequence[Hit], text: str) -> bool:
    """Whether the last of some words makes one name with the one before it: `user id`, but not `kod är`."""
    if len(naming) == 1 or naming[-2].kind & _CODE:
        return False
    return _JOINER.fullmatch(text, naming[-2].end, naming[-1].start) is not None


def _is_numbered(span: Span, text: str, hits: Sequence[Hit]) -> bool:
    """Whether a number is that of something by its own name, which no list holds: `operation no. 4711`."""
    if not hits[-1].kind & Kind.NUMBER or _DESCRIBED.fullmatch(text, hits[-1].end, span.start) is None:
        return False
    named = _NUMBERED.search(text, max(0, hits[-1].start - _NEAR), hits[-1].start)
    return named is not None and (len(hits) == 1 or hits[-2].end <= named.start())


def _floors(spans: Sequence[Span]) -> list[int]:
    """Return where the words of each span begin: behind the one before, for a name belongs to what it names first."""
    ends = (0 if span.shape in _VAGUE else span.end for span in spans)
    return [0, *accumulate(ends, max)][: len(spans)]


def _ceilings(spans: Sequence[Span], end: int) -> list[int]:
    starts = (end if span.shape in _VAGUE else span.start for span in reversed(spans))
    return [end, *accumulate(starts, min)][: len(spans)][::-1]


def _is_described_after(span: Span, next_start: int, text: str, words: Words) -> bool:
    """Whether the word right behind a number says whose it is, and the code comes later: `az 4711 fiókhoz: 123456`."""
    if text[span.end : span.end + 1] != " " or "\n" in text[span.end : next_start] or next_start == len(text):
        return False
    behind = words.between(span.end, span.end + _NEXT)
    if not behind or behind[0].start != span.end + 1 or _BEGINS_ANEW.ready.match(text, behind[0].start):
        return False
    if _NOTHING.fullmatch(text, behind[0].end, next_start):
        return False
    return bool(behind[0].kind & Kind.LABEL) or bool(behind[0].kind & Kind.NUMBER and not _is_short(behind[0]))


def _is_short(hit: Hit) -> bool:
    """Whether a word is as short as `no` and `nr` are, which stand before a number, never behind it."""
    return hit.end - hit.start <= _SHORT_LABEL


def _word_clues(span: Span, text: str, around: Context, hits: _Hits) -> Iterator[Clue]:
    """Yield what the words around a span say about it."""
    name = _name_clue(span, text, around, hits)
    if name and (name is not NAMED_PASSWORD or span.value.isdigit()):
        yield name
    if name is NAMED_OTHER:
        return
    near = kinds_of((*hits.before, *hits.lead, *hits.after))
    beyond = near | kinds_of(hits.following)
    if near & Kind.OTP:
        yield ONE_TIME
    if beyond & _PURPOSE or (near & _CODE and near & Kind.LABEL):
        yield PURPOSE
    if beyond & Kind.ENTER:
        yield TYPED_HERE if _is_asked_for(span, text, around, hits) else TYPED
    if kinds_of((*hits.after, *hits.following)) & Kind.LIMITS:
        yield LIMITED
    yield from _objections(span, text, around, hits)


def _objections(span: Span, text: str, around: Context, hits: _Hits) -> Iterator[Clue]:
    """Yield what the words around a span say against it."""
    if any(hit.kind & Kind.UNIT and hit.start <= span.end + 1 for hit in hits.after):
        yield AMOUNT
    if _PRICE.search(text, around.before.start, around.before.end) or _PRICE.search(text, span.end, around.after.end):
        yield PRICES
    if _DIALLED.match(text, span.end):
        yield DIALLED
    if any(hit.kind & Kind.SAMPLE and not _is_in_name(hit, text) for hit in hits.before):
        yield SAMPLE
    if _is_void(span, text, hits):
        yield VOID
    if kinds_of(hits.before) & _CODE and _is_cited(span, text, around):
        yield CITED


def _is_in_name(hit: Hit, text: str) -> bool:
    """Whether a word begins with a capital, and so does a word beside it: `Example Shop`."""
    words = text[hit.start : hit.end].split()
    if not words[-1][0].isupper():
        return False
    before = text[max(0, hit.start - _NEAR) : hit.start].split(" ")[-2:]
    follows = len(words) == 1 and not before[-1] and before[0][:1].isupper() and before[0][-1].isalnum()
    return follows or (text[hit.end : hit.end + 1] == " " and text[hit.end + 1 : hit.end + 2].isupper())


def _is_asked_for(span: Span, text: str, around: Context, hits: _Hits) -> bool:
    """Whether the words right before a span ask to type it: `Enter KXRT-QWLM`, or alone below such a line."""
    said = next((hit for hit in (*hits.after, *hits.following) if hit.kind & (Kind.ACT | Kind.OTHER)), None)
    if span.shape not in _CLEAR_SHAPES or (said and said.kind & Kind.OTHER):
        return False
    asking = [hit for hit in hits.before if hit.kind & Kind.ENTER]
    if asking and not _DECORATION.sub("", text[asking[-1].end : span.start]):
        return True
    return around.alone and bool(kinds_of(hits.lead) & Kind.ENTER)


def _is_void(span: Span, text: str, hits: _Hits) -> bool:
    """Whether its own sentence says that a code counts no more; one about other codes does not."""
    before = next((hit for hit in reversed(hits.before) if hit.kind & Kind.VOID), None)
    if before and span.start - before.end <= _BESIDE and not _CLAUSE.ready.search(text, before.end, span.start):
        return True
    void = next((hit for hit in hits.after if hit.kind & Kind.VOID), None)
    return void is not None and not any(
        hit.kind & _CODE and span.end + 1 < hit.start < void.start for hit in hits.after
    )


def _is_cited(span: Span, text: str, around: Context) -> bool:
    """Whether a span and the words that call it a code stand between quotation marks, as in a warning."""
    opened = [found.start() for found in _CITATION.ready.finditer(text, around.before.start, span.start)]
    if not opened or len(opened) % 2 == 0:
        return False
    inside = text[opened[-1] + 1 : span.start]
    closed = text[span.end : span.end + 2]
    return len(inside.split()) > 1 and bool(closed) and closed.lstrip(".!,")[:1] in _CITATION_ENDS


def _name_clue(span: Span, text: str, around: Context, hits: _Hits) -> Clue | None:
    """Return the clue of what a span is called: by the words before it, else after it, else in the next sentence."""
    here = bool(kinds_of(hits.before) & _NAMING)
    part, end = (hits.before, span.start) if here else (hits.lead, around.lead.end)
    if not here and part and not kinds_of(part) & _CODE and _DIGIT.search(text, part[-1].end, end):
        part = ()  # the words of the line above name a number of their own
    named = _named_before(part, text, end, _LABEL if here else _HEADING)
    return named or _name_after(span, hits)


def _named_before(hits: Sequence[Hit], text: str, end: int, reach: int) -> Clue | None:
    """Return what the words before a place say comes there.

    The nearest word names it, with exceptions: a sentence that asks to type something means the code; the code of an
    account or a payment is a code; and a password names only what it stands next to.
    """
    naming = [hit for hit in hits if hit.kind & _NAMING]
    if not naming:
        return None
    last, codes = naming[-1], [hit for hit in naming if hit.kind & _CODE]
    kinds = kinds_of(hits)
    if not codes and kinds & Kind.ENTER and all(hit.kind & Kind.NUMBER for hit in naming):
        return NAMED_NUMBER
    if last.kind & Kind.OTHER and not (codes and kinds & (Kind.ENTER | Kind.OTP)):
        return NAMED_OTHER if end - last.end <= reach else None
    if codes:
        gap = end - codes[-1].end
        return NAMED_DIRECTLY if gap <= _NEXT else NAMED_HERE if gap <= _NEAR else NAMED_BEFORE
    if last.kind & Kind.SECRET:
        return NAMED_PASSWORD if end - last.end <= _BESIDE else None
    asked = any(hit.kind & Kind.ENTER and hit.start >= last.end for hit in hits)
    away = asked or end - last.end > reach or _CLAUSE.ready.search(text, last.end, end)
    return None if away else NAMED_OTHER


def _name_after(span: Span, hits: _Hits) -> Clue | None:
    kinds = kinds_of(hits.after)
    if kinds & _CODE:
        return NAMED_AFTER
    naming = next((hit for hit in hits.after if hit.kind & _NAMING), None)
    if naming and naming.kind & Kind.SECRET and naming.start - span.end <= _NEAR:
        return NAMED_PASSWORD
    if any(hit.kind & Kind.OTHER and hit.start - span.end <= _FOLLOWS for hit in hits.after):
        return FOLLOWED_BY_OTHER
    return NAMED_NEXT if kinds_of(hits.following) & _CODE else None


def _place_clues(span: Span, around: Context, place: _Searched) -> Iterator[Clue]:
    if around.alone:
        yield ALONE
    if (passage := _passage_at(span.start, place.loud)) and span.end <= passage[1]:
        yield LOUD
    if _is_inside(span, place.quoted):
        yield QUOTED


def _is_inside(span: Span, passages: Sequence[tuple[int, int]]) -> bool:
    passage = _passage_at(span.start, passages)
    return passage is not None and span.start < passage[1]


def _passage_at(position: int, passages: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the last of some passages, which are in order and apart, that begins at a position or before it."""
    index = bisect_right(passages, (position, sys.maxsize))
    return passages[index - 1] if index else None


def _mail_clues(subject: str, text: str, languages: Languages | None) -> Iterator[Clue]:
    """Yield what the message as a whole says about any code in it."""
    kinds = kinds_of(_with_compounds(fold(subject), list(find_words(subject, languages))))
    if kinds & _CODE:
        yield SUBJECT_CODE
    if kinds & (_PURPOSE | Kind.OTP) and not (kinds & Kind.OTHER and not kinds & _CODE):
        yield SUBJECT_PURPOSE
    counted = f"{subject}{text[:_START]}"
    brief = not _MORE_THAN_BRIEF.match(counted)
    if not kinds & _CODE and (kinds & Kind.OTHER or not kinds & Kind.ACT):
        yield from _subject_doubts(subject, kinds, text)
        if (kinds & Kind.OTHER or not brief) and _is_trade(subject, kinds, text, languages):
            yield TRADE
    if brief and not (kinds & Kind.OTHER and not kinds & _CODE):
        yield SOLE if len(_DECORATION.sub("", counted)) <= _SOLE else BRIEF
    if _DIALLING.search(text):
        yield MEETING


def _subject_doubts(subject: str, kinds: int, text: str) -> Iterator[Clue]:
    """Yield what speaks against a code in a message whose subject does not announce one."""
    if kinds & Kind.OTHER:
        yield SUBJECT_OTHER
    elif subject and not kinds & (_PURPOSE | Kind.LABEL):
        yield SUBJECT_SILENT
    if kinds_of(find_words(f"{subject} {text[:_START]}", EVERYWHERE)) & Kind.MEETING:
        yield MEETING


def _is_trade(subject: str, kinds: int, text: str, languages: Languages | None) -> bool:
    """Whether a message names an amount, and is about something else, or speaks of an approval and of no typing."""
    if not names_amount(text[:_START]):
        return False
    if kinds & Kind.OTHER:
        return True
    said = kinds_of(find_words(f"{subject} {text[:_START]}", languages))
    return bool(said & Kind.APPROVED) and not said & (Kind.ENTER | Kind.LIMITS | Kind.OTP)


_NAMES = frozenset({NAMED_DIRECTLY, NAMED_HERE, NAMED_BEFORE, NAMED_AFTER, NAMED_PASSWORD, NAMED_NUMBER, TYPED_HERE})
_AIMS = frozenset({NAMED_PASSWORD, ONE_TIME, PURPOSE, LIMITED, SUBJECT_PURPOSE, SOLE, BRIEF})


def _doubts(span: Span, clues: Sequence[Clue]) -> Iterator[Clue]:
    """Yield what speaks against a span because it is missing."""
    named = _NAMES.intersection(clues)
    if not named and span.shape in _NEEDS_NAME:
        yield UNNAMED_LETTERS
    elif not named and not any(reasons.issubset(clues) for reasons in _INSTEAD_OF_A_NAME):
        yield UNNAMED
    shown = {ALONE, LOUD}.issubset(clues) and (TYPED_HERE in clues or (named and span.shape in _DIGITS))
    if not shown and not _AIMS.intersection(clues):
        yield AIMLESS_WORD if span.shape in _VAGUE else AIMLESS


_INSTEAD_OF_A_NAME = (
    {SOLE},
    {ALONE, SUBJECT_CODE},
    {ALONE, NAMED_NEXT, PURPOSE},
    {TYPED, NAMED_NEXT, PURPOSE},
    {ALONE, TYPED, SUBJECT_PURPOSE},
    {TYPED, PURPOSE, SUBJECT_PURPOSE},
    {ALONE, LOUD, SUBJECT_PURPOSE},
    {ALONE, LOUD, TYPED},
    {ALONE, TYPED, PURPOSE},
)
"""Clues that together make up for a missing name."""


def _with_successor(findings: list[Finding]) -> list[Finding]:
    """Credit the only value that is written as a withdrawn code is, where the subject announces a code."""
    withdrawn = {(each.span.shape, len(each.span.value)) for each in findings if {VOID, SUBJECT_CODE} <= {*each.clues}}
    fitting = [each for each in findings if (each.span.shape, len(each.span.value)) in withdrawn]
    successors = {_key(each.span) for each in fitting if _OUT_OF_PLACE.isdisjoint(each.clues)}
    if len(successors) != 1:
        return findings
    return [
        each._replace(clues=(*(clue for clue in each.clues if clue not in {UNNAMED, AIMLESS}), SUCCESSOR))
        if _key(each.span) in successors and _OUT_OF_PLACE.isdisjoint(each.clues)
        else each
        for each in findings
    ]


_OUT_OF_PLACE = frozenset({VOID, NAMED_OTHER, QUOTED, SAMPLE, CITED, AMOUNT, DIALLED})


def _without_rivals(findings: list[Finding]) -> list[Finding]:
    """Credit a value beside which nothing else in the message could be a code."""
    rivals = {_key(finding.span) for finding in findings if finding.points >= _RIVAL}
    if len(rivals) != 1:
        return findings
    return [
        finding._replace(clues=(*finding.clues, ONLY)) if _key(finding.span) in rivals else finding
        for finding in findings
    ]


def _best_of_each_value(findings: list[Finding]) -> list[Finding]:
    """Keep the best place of each value; a value in both subject and text gains by it."""
    places: dict[str, set[PlaceName]] = {}
    best: dict[str, Finding] = {}
    for finding in sorted(findings, key=lambda finding: -finding.points):
        key = _key(finding.span)
        best.setdefault(key, finding)
        places.setdefault(key, set()).add(finding.place)
    ranked = [
        finding._replace(clues=(*finding.clues, REPEATED)) if len(places[key]) > 1 else finding
        for key, finding in best.items()
    ]
    return sorted(ranked, key=lambda finding: -finding.points)


def _key(span: Span) -> str:
    """Return what makes two spans the same code: `G-123456` is `123456`."""
    value = span.value[2:] if span.shape is Shape.PREFIXED else span.value
    return value.replace("-", "").upper()


def _with_compounds(text: str, hits: list[Hit]) -> list[Hit]:
    """Join words that are one name: a postal code is no code, a verification number is one."""
    words = [index for index, hit in enumerate(hits) if hit.kind & (_NAMING | _PURPOSE)]
    joined = list(hits)
    for left, right in pairwise(words):
        one, other = joined[left], hits[right]
        if not _adjoin(text, hits, left, right):
            continue
        for index, beside in ((left, other), (right, one)):
            joined[index] = _beside(joined[index], hits[index], beside)
    return joined


def _beside(known: Hit, hit: Hit, other: Hit) -> Hit:
    """Return what a word is beside another one."""
    if hit.kind & (_CODE | Kind.SECRET) and other.kind & Kind.OTHER:
        return hit._replace(kind=Kind.OTHER)
    if hit.kind & (Kind.NUMBER | Kind.PROOF) and not hit.kind & Kind.ACT and other.kind & Kind.OTHER:
        return hit._replace(kind=hit.kind | Kind.OTHER)  # and so is what stands beside it: "Wi-Fi access code"
    if hit.kind & Kind.NUMBER and other.kind & (_PURPOSE | Kind.OTP) and not other.kind & Kind.LABEL:
        return known if known.kind & Kind.OTHER else hit._replace(kind=Kind.CODE)
    if hit.kind & Kind.NUMBER and other.kind & Kind.LABEL:
        return hit._replace(kind=Kind.LABEL)
    return known


def _adjoin(text: str, hits: list[Hit], left: int, right: int) -> bool:
    """Whether only particles stand between two words: `code of the order`."""
    position = hits[left].end
    for between in hits[left + 1 : right]:
        if not between.kind & Kind.PARTICLE or not _JOINER.fullmatch(text, position, between.start):
            return False
        position = between.end
    return hits[right].start >= hits[left].end and _JOINER.fullmatch(text, position, hits[right].start) is not None
