"""Typed tokens: what a number is by its form alone. A date, an amount or a telephone number is no code and no rival.

Each is blanked out before candidates are made; positions stay. All of it works on digits written in ASCII.
"""

# ruff: noqa: RUF001 -- dates and times of other scripts
from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from tempmailg._extract._lexicon import written
from tempmailg._extract._patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

_MONEY = "$€£¥₹₽₩₺₴₸₫฿₪₦₱₡₲₵₼₾"
_MONEY_WORDS = frozenset("元圓円원")
_NUMBER = r"(?:\d{1,3}(?:[ .,'’]\d{3}){1,4}(?:[.,]\d{1,2})?|\d{1,15}(?:[.,]\d{1,2})?)"
_MAX_NAMES = 8
_MAX_NUMBERED = 6_000
"""Characters of lines with digits that are read at either end of a text; what is between them holds no code."""
_LONGEST_PART = 200
_END_OF_PART = re.compile(r"[ \n]")
_WORD_CHARACTER = re.compile(r"[^\W_]")
_DIGITS = re.compile(r"[0-9]+")
_DIGIT = re.compile(r"[0-9]")

_CENTURY = r"(?:(?<=1)9|(?<=2)[05])"
"""The second digit of a year, behind the first."""

_DOTS, _RIGHTS, _YEARS = ("*", "•", "●", "·"), ("©", "(c)", "℗", "copyr"), ("19", "20", "25")
_DATES = ("0-0", "0/0", "0.0", "0- 0", "0/ 0", "0. 0")

_FORMS: tuple[tuple[tuple[str, ...], int, str], ...] = (
    # What must stand in the text or in its outline, one of these; how many numbers at least; and the form itself: its
    # first character, and only then what must not stand before that, for an engine skips quickly to a character.
    (("Mozilla/",), 1, r"Mozilla/\d[^\n]{0,300}"),
    (("/",), 1, r"[A-Za-z](?<![\w/].)[A-Za-z.]{1,20}/\d+(?:\.\d+)*"),
    (("0.0",), 4, r"\d(?<![\w.].)\d?\d?(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.]*\d)"),
    ((":",), 2, r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?:%\w+)?(?![\w:])"),
    ((":0",), 1, r":(?<=[a-z].)\d{2,5}(?=[\s/,)]|\Z)"),
    (("-",), 2, r"[0-9a-fA-F](?<![\w-].)[0-9a-fA-F]{7}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-])"),
    (("0.0",), 3, r"[v\d](?<![\w.].)(?:(?<=v)\d{1,4}|(?<=\d)\d{0,3})(?:\.\d{1,6}){2,4}(?![\w.]*\d)"),
    # Dates.
    (_DATES, 3, rf"[12](?<!\d.){_CENTURY}\d\d([-/.]) ?\d{{1,2}}\1 ?\d{{1,2}}\.?(?:T\d{{2}}:\d{{2}})?(?!\d)"),
    (_DATES[1:], 3, r"\d(?<![\d.,-].)\d?([/.]) ?\d{1,2}\1 ?(?:(?:19|20|25)\d\d|\d\d)(?!\d)"),
    (("0-0",), 3, r"\d(?<![\d-].)\d?-\d{1,2}-(?:19|20|25)\d\d(?![\d-])"),
    ((", 0",), 2, r"(?<![^\W\d_])[^\W\d_]{3,14}\.?[ ]\d{1,2}(?:st|nd|rd|th)?,[ ](?:19|20)\d\d(?!\d)"),
    (("年",), 1, r"(?:19|20)\d\d ?年(?: ?\d{1,2} ?月(?: ?\d{1,2} ?日)?)?"),
    (("년",), 1, r"(?:19|20)\d\d ?년(?: ?\d{1,2} ?월(?: ?\d{1,2} ?일)?)?"),
    # Times.
    (
        ("0:0",),
        2,
        (
            r"\d(?<![\w:.,].)\d?:\d{2}(?::\d{2})?(?:[.,]\d{1,6})?"
            r"(?: ?[AaPp]\.?[Mm]\b\.?)?(?: ?(?:UTC|GMT)?[+-]\d{2}:?\d{2})?(?![\w:])"
        ),
    ),
    (("0h", "0 h"), 2, r"\d(?<![\w.,:].)\d? ?[hH] ?\d{2}(?!\w)"),
    (("0a", "0p", "0 a", "0 p"), 1, r"\d(?<![\w.,:].)\d?(?:[.:]\d{2})? ?(?:[ap]\.?m\.?|[AP]\.?M\.?)(?!\w)"),
    (("UTC", "GMT"), 1, r"(?:UTC|GMT) ?[+-]\d{1,2}(?::?\d{2})?"),
    (("時",), 1, r"\d{1,2} ?時(?: ?\d{1,2} ?分)?"),
    (("时",), 1, r"\d{1,2} ?时(?: ?\d{1,2} ?分)?"),
    (("點",), 1, r"\d{1,2} ?點(?: ?\d{1,2} ?分)?"),
    (("시",), 1, r"\d{1,2} ?시(?: ?\d{1,2} ?분)?"),
    # Telephone numbers, accounts, cards.
    ((), 1, r"[A-Z](?<!\w.)[A-Z]\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,4})?(?!\w)"),
    (("0 0", "0-0"), 4, r"\d(?<!\d.)\d{3}(?:[ -]\d{4}){3}(?!\d)"),
    (("+",), 1, r"\+(?<![\w+].)\d[\d ().\-/]{6,20}\d"),
    (("(",), 2, r"\(\+?\d{2,5}\) ?\d[\d \-]{3,14}\d"),
    (("0-0",), 3, r"[1-9](?<![\d-].)(?:(?<=1)-[2-9]|(?<!1))\d{2}-\d{3}-\d{4}(?![\d-])"),
    (("0 0", "0.0"), 5, r"\d(?<![\d.].)\d(?:[ .]\d{2}){4}(?!\d)"),
    (("0 0", "0/0", "0-0"), 3, r"0(?<![\w-].)(?!\d\d([ -])\d{3}\1\d{3}(?!\d))\d{2,4}[ /-]\d{2,4}[ /-]\d{3,5}(?![\d-])"),
    (("0 0", "0-0"), 2, r"0(?<![\w-].)[89]0\d[ -]\d{2,3}[ -]?\d{3,4}(?![\d-])"),
    (
        (*_DOTS, "xxx"),
        1,
        (
            r"[*•●·xX](?<![\w*•●·].)(?:(?<=[xX])[xX]{3,}+|(?<![xX])[*•●·]++)[ -]?+"
            r"(?:[*•●·]{2,}+[ -]?+|[xX]{4,}+[ -]?+){0,5}+\d{2,6}(?![\w*])"
        ),
    ),
    # Years of a copyright line.
    (_RIGHTS, 1, r"(?i:©|\(c\)|℗|copyright)[^\n\d]{0,60}(?:19|20|25)\d\d(?: ?[–-] ?(?:\d{4}|\d\d))?(?!\d)"),
    (_RIGHTS, 1, rf"[12](?<!\d.){_CENTURY}(?<!5)\d\d(?: ?[–-] ?(?:19|20)\d\d)? ?(?:©|\([cC]\))"),
    # Postal codes where an address puts them.
    (
        (",0", ", 0", "·0", "· 0", "|0", "| 0", "•0", "• 0", "-0"),
        1,
        r"(?<=[,·|•]) ?(?:[A-Z]{1,3}-)?\d{4,5}(?: [A-Z]{2})?[ ](?=[^\W\d_a-z][^\W\d_]{3})",
    ),
    ((", ",), 1, r" (?<=,.)[A-Z]{2},?[ ]\d{5}(?:-\d{4})?(?![\w-])"),
    ((" 0",), 2, r"[A-Z](?<![\w-].)[A-Z]?\d[A-Z\d]? \d[A-Z]{2}(?![\w-])"),
    # "9-digit", "6-stellig".
    (("0-",), 1, r"\d(?<![\w-].)\d?\d?-[^\W\d_]{4,}"),
    (("#0",), 1, r"#\d+"),
)
_MARKS = frozenset(mark for marks, _, _ in _FORMS for mark in marks) | frozenset(_YEARS)
_AMOUNT = Pattern(rf"[{_MONEY}] ?{_NUMBER}(?!\d)|(?<![\w.,]){_NUMBER} ?[{_MONEY}](?! ?\d)")
_GREETED = re.compile(
    r"\A\s*+(?:[^\n]{0,80}\n\s*+){0,2}[^\W\d_]{2,14}(?: [^\W\d_]{2,14}){0,2}[ ,]{1,2}"
    r"([A-Za-z][A-Za-z_.-]{2,23}\d{1,4})[ ]?[,!:，、](?=\s|\Z)"
)
_LOCAL_PART = re.compile(r"(?<![\w.+-])([A-Za-z][\w.+-]{2,40})@(?=[\w-])")


@cache
def _form(index: int) -> re.Pattern[str]:
    """Return one of the forms, ready for use: most messages need few of them."""
    return re.compile(_FORMS[index][2])


def forms() -> Iterator[re.Pattern[str]]:
    """Yield all forms."""
    yield from map(_form, range(len(_FORMS)))
    yield _date()
    yield from (make() for make in _TABLES.values())


def without_typed(text: str) -> str:
    """Blank out what is something else than a code by its form; positions stay. Only lines with digits are read."""
    lines = text.split("\n")
    numbered = [index for index, line in enumerate(lines) if _DIGIT.search(line)]
    if not numbered:
        return text
    blanked = _without_typed("\n".join([lines[index] for index in numbered])).split("\n")
    for index, line in zip(numbered, blanked, strict=True):
        lines[index] = line
    return "\n".join(lines)


def _without_typed(text: str) -> str:
    if len(text) > 2 * _MAX_NUMBERED:
        start, end = _end_of_part(text, _MAX_NUMBERED), _end_of_part(text, len(text) - _MAX_NUMBERED)
        middle = _WORD_CHARACTER.sub(" ", text[start:end])
        return _without_forms(text[:start]) + middle + _without_forms(text[end:])
    return _without_forms(text)


def _end_of_part(text: str, position: int) -> int:
    found = _END_OF_PART.search(text, position, position + _LONGEST_PART)
    return found.start() if found else position


def _without_forms(text: str) -> str:
    outline = _DIGITS.sub("0", text)
    numbers, cases = outline.count("0"), f"{text}\n{outline.lower()}"
    present = {mark for mark in _MARKS if mark in cases}
    for index, (marks, least, _) in enumerate(_FORMS):
        if numbers >= least and not (marks and present.isdisjoint(marks)):
            text = _form(index).sub(_blank, text)
    if any(map(text.__contains__, _MONEY)):
        text = _AMOUNT.ready.sub(_blank, text)
    if numbers >= len(("day", "year")) and not present.isdisjoint(_YEARS):
        text = _date().sub(_blank, text)
    before, after = _neighbours(outline)
    for kind, make in _TABLES.items():
        if _may_hold(text, kind, before, after):
            text = make().sub(_blank, text)
    return text


def _may_hold(text: str, kind: str, before: set[str], after: set[str]) -> bool:
    """Whether a form that holds a word of a kind may stand in a text: most texts hold none."""
    beginnings, ends = _edges(kind)
    near = not (beginnings.isdisjoint(after) and ends.isdisjoint(before))
    if kind == "street":
        near = _NUMBER_OF_NAME.search(text) is not None
    return near and any(map(text.__contains__, written(kind)))


def _neighbours(outline: str) -> tuple[set[str], set[str]]:
    """Return the two characters before each number, and those behind it."""
    between = outline.split("0")
    return {part.rstrip(_LOOSE)[-2:] for part in between[:-1]}, {part.lstrip()[:2] for part in between[1:]}


@cache
def _edges(kind: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return how words begin that stand behind a number in the forms of a kind, and how those before it end."""
    names = written(kind)
    beginnings = frozenset(name[:2] for name in names) if kind == "currency" else frozenset[str]()
    return beginnings, frozenset(name.rstrip(_LOOSE)[-2:] for name in (*names, *_AFTER_NAME.get(kind, ())))


def names_amount(text: str) -> bool:
    """Whether an amount of money stands in a text, with the sign or the name of a currency."""
    if any(map(text.__contains__, _MONEY)) and _AMOUNT.ready.search(text):
        return True
    before, after = _neighbours(_DIGITS.sub("0", text))
    if not _MONEY_WORDS.isdisjoint(behind[:1] for behind in after):
        return True
    return _may_hold(text, "currency", before, after) and _currency().search(text) is not None


def user_names(text: str) -> list[str]:
    """Return the user names that a text gives away: the one it greets, and those in its mail addresses."""
    greeted = _GREETED.match(text)
    names = [greeted[1]] if greeted else []
    parts = (found[1] for found in _LOCAL_PART.finditer(text)) if "@" in text else ()
    names += [part for part in parts if any(map(str.isdigit, part)) and not part.isdigit()]
    return list(dict.fromkeys(names))[:_MAX_NAMES]


def without_names(text: str, names: list[str]) -> str:
    """Blank out user names; positions stay."""
    for name in names:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _blank, text)
    return text


_NUMBER_OF_NAME = re.compile(r"\d[A-Za-z]? [^\W\d_a-z]")
_LOOSE = " \t\n\r.,"
_AFTER_NAME = {"system": ("NT",)}
"""What may stand between a name and its number: `Windows NT 10`."""


@cache
def _date() -> re.Pattern[str]:
    """Make what finds a day with the name of its month: `3 de mayo de 2026`."""
    of = "|".join(re.escape(word) + ("" if word[-1] in "’'" else " ") for word in written("of"))
    return re.compile(
        rf"\d(?<![\d.].)\d?(?:\.|º|°|er|th|st|nd|rd)?[ ](?:{of})?[^\W\d_]{{3,14}}\.?,?[ ](?:{of})?"
        r"(?:19|20|25)\d\d(?!\d)"
    )


@cache
def _currency() -> re.Pattern[str]:
    names = _one_of("currency")
    return re.compile(rf"(?<!\w){names} ?{_NUMBER}(?![\w])|(?<![\w.,]){_NUMBER} ?{names}(?![\w])(?! ?\d)")


@cache
def _street() -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])\d{{1,5}}[A-Za-z]?(?: [^\W\d_a-z][\w.'’-]{{0,20}}){{1,4}} {_one_of('street')}(?!\w)")


@cache
def _company() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){_one_of('company')}\.?,? \d{{1,5}}[A-Za-z]? (?=[^\W\d_a-z][^\W\d_]{{2}})")


@cache
def _system() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){_one_of('system')} (?:NT )?\d{{1,6}}(?:\.\d{{1,6}})*")


def _one_of(kind: str) -> str:
    return f"(?:{'|'.join(map(re.escape, written(kind)))})"


_TABLES = {"currency": _currency, "street": _street, "company": _company, "system": _system}
"""The forms that hold words, by the kind of these."""


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])
