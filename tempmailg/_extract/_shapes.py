"""Shapes: which passages of a text could be a code at all, judged by their characters alone."""

# ruff: noqa: RUF001 -- typographic dashes join digits
from __future__ import annotations

import re
import unicodedata
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from tempmailg._extract._patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_SPANS = 60
"""Passages that are judged: the first and the last of a message; lists of numbers are longer."""

_MAX_MATCHES = 600
"""Passages of one writing that are examined; the terms of a contract hold a few hundred numbers."""


class Shape(Enum):
    """How a code is written: a description for people, and how much it resembles a code (points)."""

    DIGITS_6 = "six digits", 2.0
    DIGITS_4_TO_8 = "four to eight digits", 1.0
    DIGITS_9_10 = "nine or ten digits", -1.0
    YEAR = "four digits that may be a year", -3.0
    GROUPED = "digits in groups", 1.0
    HALVES = "digits in two boxes", 0.5
    UNEVEN = "digits in uneven groups", -0.5
    SPACED = "digits one by one", 2.5
    PREFIXED = "digits after a letter", 2.0
    BLOCKS = "letters and digits in two groups", 1.0
    MIXED = "letters and digits", 0.5
    LETTER_BLOCKS = "letters in groups", 0.0
    PHRASE = "words joined by dashes", -0.5
    WORD_NUMBER = "a word with a number", -2.5
    LETTERS = "capital letters", -2.5
    AS_ASKED = "of the shape that was asked for", 2.0

    def __init__(self, words: str, points: float) -> None:
        self.words = words
        self.points = points


class Span(NamedTuple):
    """A passage with the shape of a code; `value` is what a person would type."""

    start: int
    end: int
    value: str
    shape: Shape


class _Ascii(dict[int, str]):
    """Maps decimal digits of every script, full-width letters and typographic hyphens to ASCII, one to one."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        digit = unicodedata.decimal(char, None)
        plain = str(digit) if digit is not None else char
        if 0xFF21 <= code <= 0xFF5A:
            plain = chr(code - 0xFEE0)
        self[code] = plain
        return plain


_ASCII = _Ascii(
    {ord(hyphen): "-" for hyphen in "‐‑‒－﹣"} | {ord(space): " " for space in "\xa0\u2007\u2009\u202f\u3000"}
)

# Each begins with its first character, and only then says what must not stand before that: an engine skips quickly to a
# character, but tries what looks back everywhere.
_NUMERAL = re.compile(r"\d\d*+(?:[ .,:/'’()–-]\d++)*+")
_HALVES = re.compile(r"^(?:(\d{3})\t(\d{3})|(\d{4})\t(\d{4}))$", re.MULTILINE)
_MIXED = re.compile(
    r"[A-Za-z0-9](?<![A-Za-z0-9-].)(?:(?<=\d)(?=[\d-]{0,11}[A-Za-z])|(?<!\d)(?=[A-Za-z-]{0,11}\d))"
    r"[A-Za-z0-9]{0,11}+(?:-[A-Za-z0-9]{1,8}+){0,2}+(?![A-Za-z0-9-])"
)
_CAPITALS = re.compile(r"[A-Z](?<![\w-].)(?:[A-Z]{2,4}(?:-[A-Z]{3,5}){1,2}|[A-Z]{4,7})(?![\w-])")
_LONGEST_SHOUT = 16
_SHOUTED_BEFORE = re.compile(r"(?<![\w-])[A-Z]{4,14} \Z")
_SHOUTED_BEHIND = re.compile(r" [A-Z]{4,14}(?![\w-])")
_PHRASE = re.compile(r"[a-z](?<![\w-].)[a-z]{2,8}(?:-[a-z]{3,9}){2,4}(?![\w-])")
_SPELLED = re.compile(r"[A-Z0-9](?<!\S.)(?:[ \t][A-Z0-9]|\t-(?=\t)){3,9}(?!\S)")
_STACKED = re.compile(r"[A-Z0-9](?<![^\n].)(?:\n{1,2}[A-Z0-9-]){3,9}(?=\n|\Z)")
_DIGIT = re.compile(r"\d")
_DASHES = "–—·•|-"
_DASH = re.compile(r"[–—·•|-]")
_JOINER = re.compile(r"\D")
_DASHED = Pattern(r"\d(?<![\w–—·•|-].)(?:( ?[–—·•|-] ?)\d)(?:\1\d){2,7}(?![\w–—·•|-])")

_TOKEN = re.compile(r"\w(?:[\w-]{0,30}\w)?")
_MAX_TOKENS = 5_000

_GROUPS = {(3, 3), (4, 4), (2, 2, 2), (2, 4), (4, 2), (3, 3, 3), (2, 2, 2, 2)}
_UNEVEN_GROUPS = {(2, 2), (2, 3), (3, 2), (2, 3, 1), (3, 4), (4, 3), (1, 3, 3), (3, 2, 3), (3, 3, 2)}
_MIN_DIGITS, _MAX_DIGITS, _MAX_CODE_DIGITS = 4, 10, 8
_MIN_MIXED, _MAX_MIXED = 4, 12
_YEARS = range(1900, 2100)
_QUANTITY = Pattern(
    r"\d{1,8}(?:[kmgtp]i?b?(?:ps|it)?|k[gm]|c[cm]|m[lm]|[mgk]?hz|px|pt|st|nd|rd|th|am|pm|h|hrs?|mins?|m?s|k?wh?|m?ah|v|x|p|fps|dpi|bits?|ft|in|mpg|rpm|yrs?|d"
    r"|days?|usd|eur|gbp|x\d{1,8})|\d{1,8}x\d{1,8}|[a-z]\d{1,3}|[a-z]{2}\d{1,2}",
    re.IGNORECASE,
)
_WORD_NUMBER = Pattern(r"[A-Za-z]{3,12}-?\d{1,3}|[A-Za-z]{4,12}-?\d{4}|[A-Za-z]{1,12}-\d{1,3}|\d{1,3}-?[A-Za-z]{4,12}")
_HOLDS_WORD = re.compile(r"[a-z]{4}")
_PREFIXED = re.compile(r"[A-Z]-\d{4,8}")

# What may not touch a code: letters of scripts that part words, signs of money, addresses, amounts, masked digits.
_LETTER = (
    r"[A-Za-z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u0373\u0376-\u037d\u0388-\u0481\u048a-\u0556"
    r"\u0560-\u0588\u10a0-\u10ff\u1e00-\u1fff]"
)
_MONEY = "$€£¥₹₽₩₺₴₸₫฿₪₦₱"
_BAD_LEFT = re.compile(rf"(?:{_LETTER}[.–-]?|[+_@&=/\\%~^#]|[#{_MONEY}№§]\s|[{_MONEY}№§]|\d[.,:'’–-])\Z")
_BAD_RIGHT = re.compile(rf"[.,:]?{_LETTER}|[%°#_@/\\=&+]|\s?[{_MONEY}]|[.,:][0-9_]|[–-]")
_MASK = re.compile(r"\d{1,6}[xX]{3,9}\d{0,6}")
_MASKED = re.compile(r"[*•xX]{2}[ -]?\Z")


def to_ascii(text: str) -> str:
    """Write the digits of every script as ASCII; positions stay."""
    return text if text.isascii() else text.translate(_ASCII)


def find_spans(text: str) -> list[Span]:
    """Find the passages of an ASCII-digit text that could be codes, in order; the longest of overlapping ones."""
    finders = _FINDERS if _DIGIT.search(text) else _LETTER_FINDERS
    spans = [span for find in finders for span in find(text)]
    spans.sort(key=lambda span: (span.start, -span.end))
    apart: list[Span] = []
    for span in spans:
        if not apart or span.start >= apart[-1].end:
            apart.append(span)
    half = MAX_SPANS // 2
    return apart if len(apart) <= MAX_SPANS else apart[:half] + apart[-half:]


def _numerals(text: str) -> Iterator[Span]:
    for found in islice(_NUMERAL.finditer(text), _MAX_MATCHES):
        start, numeral = found.start(), found[0]
        shape = _numeral_shape(numeral)
        end = start + len(numeral)
        if shape is None and (six := _SIX_AND_MORE.fullmatch(numeral)):
            numeral, shape = six["six"], Shape.DIGITS_6
            end = start + len(numeral)
        elif shape is None and (parted := _PARTED_BY_COMMA.fullmatch(numeral)) and _UNITS.ready.match(text, end):
            numeral = parted["code"]
            shape = _digits_shape(numeral)
        if shape and not _glued(text, start, end):
            yield Span(start, start + len(numeral), _JOINER.sub("", numeral), shape)
    for found in _HALVES.finditer(text) if "\t" in text else ():
        yield Span(found.start(), found.end(), found[0].replace("\t", ""), Shape.HALVES)


_SIX_AND_MORE = re.compile(r"(?P<six>\d{6}) \d{1,2}")
"""Six digits beside a number of minutes: two numbers, though only a space stands between them."""
_PARTED_BY_COMMA = re.compile(r"(?P<code>\d{4,8}),\d{1,2}")
_UNITS = Pattern("(?![元圓円원])[\u3005-\u9fff\uac00-\ud7af]")
"""What makes two numbers of digits that only a comma parts: `482913,5分钟`, but not of an amount."""


def _numeral_shape(numeral: str) -> Shape | None:
    if numeral.isdigit():
        return _digits_shape(numeral)
    joiners = {char for char in numeral if not char.isdigit()}
    if len(joiners) > 1:
        return None
    joiner = joiners.pop()
    groups = tuple(len(group) for group in numeral.split(joiner))
    if set(groups) == {1} and _MIN_DIGITS <= len(groups) <= _MAX_CODE_DIGITS and joiner in " \t-":
        return Shape.SPACED
    shape = Shape.GROUPED if groups in _GROUPS else Shape.UNEVEN if groups in _UNEVEN_GROUPS else None
    if shape is None or joiner not in " -" or all(int(group) in _YEARS for group in numeral.split(joiner)):
        return None
    return shape


def _digits_shape(digits: str) -> Shape | None:
    count = len(digits)
    if not _MIN_DIGITS <= count <= _MAX_DIGITS:
        return None
    if count > _MAX_CODE_DIGITS:
        return Shape.DIGITS_9_10
    if count == _MIN_DIGITS and int(digits) in _YEARS:
        return Shape.YEAR
    return Shape.DIGITS_6 if count == len("123456") else Shape.DIGITS_4_TO_8


def _glued(text: str, start: int, end: int) -> bool:
    """Whether a passage is a part of something longer: a word, an amount, an address, a masked number."""
    before, after = text[max(0, start - 3) : start], text[end : end + 2]
    masked = _MASKED.search(before) is not None and not after.startswith("*")
    return masked or _BAD_LEFT.search(before) is not None or _BAD_RIGHT.match(after) is not None


def _mixed(text: str) -> Iterator[Span]:
    for found in islice(_MIXED.finditer(text), _MAX_MATCHES):
        shape = _mixed_shape(found[0])
        if shape and not _glued(text, found.start(), found.end()):
            yield Span(found.start(), found.end(), found[0], shape)


def _mixed_shape(token: str) -> Shape | None:
    count = len(token) - token.count("-")
    if not _MIN_MIXED <= count <= _MAX_MIXED or _QUANTITY.ready.fullmatch(token) or _MASK.fullmatch(token):
        return None
    if _PREFIXED.fullmatch(token):
        return Shape.PREFIXED
    if _WORD_NUMBER.ready.fullmatch(token) or _HOLDS_WORD.search(token):
        return Shape.WORD_NUMBER
    return Shape.BLOCKS if "-" in token else Shape.MIXED


def _capitals(text: str) -> Iterator[Span]:
    for found in islice(_CAPITALS.finditer(text), _MAX_MATCHES):
        if not _glued(text, found.start(), found.end()):
            shape = Shape.LETTER_BLOCKS if "-" in found[0] else Shape.LETTERS
            if shape is Shape.LETTER_BLOCKS or not _is_shouted(text, found.start(), found.end()):
                yield Span(found.start(), found.end(), found[0], shape)


def _is_shouted(text: str, start: int, end: int) -> bool:
    """Whether a word of capitals stands beside another one, as in `DO NEVER SHARE`."""
    return _SHOUTED_BEFORE.search(text, max(0, start - _LONGEST_SHOUT), start) is not None or (
        _SHOUTED_BEHIND.match(text, end) is not None
    )


def _phrases(text: str) -> Iterator[Span]:
    for found in islice(_PHRASE.finditer(text), _MAX_MATCHES) if text.count("-") > 1 else ():
        if not _glued(text, found.start(), found.end()):
            yield Span(found.start(), found.end(), found[0], Shape.PHRASE)


def _spelled(text: str) -> Iterator[Span]:
    dashed = (_DASHED.ready,) if any(map(text.__contains__, _DASHES)) else ()
    for pattern in (_SPELLED, _STACKED, *dashed):
        for found in islice(pattern.finditer(text), _MAX_MATCHES):
            value = "".join(found[0].split())
            bare = _DASH.sub("", value)
            if not value.isalpha() and len(bare) >= _MIN_DIGITS:
                kept = value if pattern is _STACKED or not bare.isdigit() else bare
                yield Span(found.start(), found.end(), kept.strip("-"), Shape.SPACED)


_LETTER_FINDERS: tuple[Callable[[str], Iterator[Span]], ...] = (_capitals, _phrases, _spelled)
_FINDERS = (_numerals, _mixed, *_LETTER_FINDERS)


def find_tokens(text: str, fits: Callable[[str], bool]) -> list[Span]:
    """Find the words that fit what a caller expects, whatever their shape."""
    tokens = (found for found in islice(_TOKEN.finditer(text), _MAX_TOKENS) if fits(found[0]))
    return [Span(found.start(), found.end(), found[0], Shape.AS_ASKED) for found in islice(tokens, MAX_SPANS)]
