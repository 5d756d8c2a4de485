"""Typed tokens: what a number is by its form alone. A date, an amount or a telephone number is no code and no rival.

Each is blanked out before candidates are made; positions stay. All of it works on digits written in ASCII.
"""

# ruff: noqa: RUF001 -- dates and times of other scripts
from __future__ import annotations

import re
from functools import cache

from tempmailg._extract._words import written

_MONEY = "$€£¥₹₽₩₺₴₸₫฿₪₦₱₡₲₵₼₾"
_NUMBER = r"(?:\d{1,3}(?:[ .,'’]\d{3}){1,4}(?:[.,]\d{1,2})?|\d{1,15}(?:[.,]\d{1,2})?)"
_MAX_NAMES = 8
_MAX_NUMBERED = 6_000
"""Characters of lines with digits that are read at either end of a text; what is between them holds no code."""
_LONGEST_PART = 200
_END_OF_PART = re.compile(r"[ \n]")
_WORD_CHARACTER = re.compile(r"[^\W_]")
_DIGIT = re.compile(r"[0-9]")

_FORMS: tuple[tuple[str, str], ...] = (
    # What must stand in the text, and the form itself.
    ("Mozilla/", r"Mozilla/\d[^\n]{0,300}"),
    ("/", r"(?<![\w/])[A-Za-z][A-Za-z.]{1,20}/\d+(?:\.\d+)*"),
    (".", r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.]*\d)"),
    (":", r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?:%\w+)?(?![\w:])"),
    (":", r"(?<=[a-z]):\d{2,5}(?=[\s/,)]|\Z)"),
    ("-", r"(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-])"),
    (".", r"(?<![\w.])v?\d{1,4}(?:\.\d{1,6}){2,4}(?![\w.]*\d)"),
    # Dates.
    ("", r"(?<!\d)(?:19|20|25)\d\d([-/.]) ?\d{1,2}\1 ?\d{1,2}\.?(?:T\d{2}:\d{2})?(?!\d)"),
    ("", r"(?<![\d.,-])\d{1,2}([/.]) ?\d{1,2}\1 ?(?:(?:19|20|25)\d\d|\d\d)(?!\d)"),
    ("-", r"(?<![\d-])\d{1,2}-\d{1,2}-(?:19|20|25)\d\d(?![\d-])"),
    (
        "",
        (
            r"(?<![\d.])\d{1,2}(?:\.|º|°|er|th|st|nd|rd)?[ ](?:de |of |del |d[’'])?"
            r"[^\W\d_]{3,14}\.?,?[ ](?:de |del )?(?:19|20|25)\d\d(?!\d)"
        ),
    ),
    ("", r"(?<![^\W\d_])[^\W\d_]{3,14}\.?[ ]\d{1,2}(?:st|nd|rd|th)?,[ ](?:19|20)\d\d(?!\d)"),
    ("年", r"(?:19|20)\d\d ?年(?: ?\d{1,2} ?月(?: ?\d{1,2} ?日)?)?"),
    ("년", r"(?:19|20)\d\d ?년(?: ?\d{1,2} ?월(?: ?\d{1,2} ?일)?)?"),
    # Times.
    (
        ":",
        (
            r"(?<![\w:.,])\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,6})?"
            r"(?: ?[AaPp]\.?[Mm]\b\.?)?(?: ?(?:UTC|GMT)?[+-]\d{2}:?\d{2})?(?![\w:])"
        ),
    ),
    ("", r"(?<![\w.,:])\d{1,2} ?[hH] ?\d{2}(?!\w)"),
    ("", r"(?<![\w.,:])\d{1,2}(?:[.:]\d{2})? ?(?:[ap]\.?m\.?|[AP]\.?M\.?)(?!\w)"),
    ("", r"(?:UTC|GMT) ?[+-]\d{1,2}(?::?\d{2})?"),
    ("時", r"\d{1,2} ?時(?: ?\d{1,2} ?分)?"),
    ("时", r"\d{1,2} ?时(?: ?\d{1,2} ?分)?"),
    ("點", r"\d{1,2} ?點(?: ?\d{1,2} ?分)?"),
    ("시", r"\d{1,2} ?시(?: ?\d{1,2} ?분)?"),
    # Telephone numbers, accounts, cards.
    ("", r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,4})?(?!\w)"),
    ("", r"(?<!\d)\d{4}(?:[ -]\d{4}){3}(?!\d)"),
    ("+", r"(?<![\w+])\+\d[\d ().\-/]{6,20}\d"),
    ("(", r"\(\+?\d{2,5}\) ?\d[\d \-]{3,14}\d"),
    ("-", r"(?<![\d-])(?:1-)?[2-9]\d{2}-\d{3}-\d{4}(?![\d-])"),
    ("", r"(?<![\d.])\d{2}(?:[ .]\d{2}){4}(?!\d)"),
    ("", r"(?<![\w-])(?!0\d\d([ -])\d{3}\1\d{3}(?!\d))0\d{2,4}[ /-]\d{2,4}[ /-]\d{3,5}(?![\d-])"),
    ("", r"(?<![\w-])0[89]0\d[ -]\d{2,3}[ -]?\d{3,4}(?![\d-])"),
    ("", r"(?<![\w*•●·])(?:[*•●·]{2,}+[ -]?+|[xX]{4,}+[ -]?+){1,6}+\d{2,6}(?![\w*])"),
    # Years of a copyright line.
    ("", r"(?i:©|\(c\)|℗|copyright)[^\n\d]{0,60}(?:19|20|25)\d\d(?: ?[–-] ?(?:\d{4}|\d\d))?(?!\d)"),
    ("", r"(?<!\d)(?:19|20)\d\d(?: ?[–-] ?(?:19|20)\d\d)? ?(?:©|\([cC]\))"),
    # Postal codes where an address puts them.
    ("", r"(?<=[,·|•]) ?(?:[A-Z]{1,3}-)?\d{4,5}(?: [A-Z]{2})?[ ](?=[^\W\d_a-z][^\W\d_]{3})"),
    ("", r"(?<=,) [A-Z]{2},?[ ]\d{5}(?:-\d{4})?(?![\w-])"),
    ("", r"(?<![\w-])[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?![\w-])"),
    # "9-digit", "6-stellig".
    ("-", r"(?<![\w-])\d{1,3}-[^\W\d_]{4,}"),
    ("#", r"#\d+"),
)
_PATTERNS = tuple((mark, re.compile(form)) for mark, form in _FORMS)
_AMOUNT = re.compile(rf"[{_MONEY}] ?{_NUMBER}(?!\d)|(?<![\w.,]){_NUMBER} ?[{_MONEY}](?! ?\d)")
_GREETED = re.compile(
    r"\A\s*+(?:[^\n]{0,80}\n\s*+){0,2}[^\W\d_]{2,14}(?: [^\W\d_]{2,14}){0,2}[ ,]{1,2}"
    r"([A-Za-z][A-Za-z_.-]{2,23}\d{1,4})[ ]?[,!:，、](?=\s|\Z)"
)
_LOCAL_PART = re.compile(r"(?<![\w.+-])([A-Za-z][\w.+-]{2,40})@(?=[\w-])")


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
    for mark, pattern in _PATTERNS:
        if mark in text:
            text = pattern.sub(_blank, text)
    text = _AMOUNT.sub(_blank, text)
    for pattern in _tables():
        text = pattern.sub(_blank, text)
    return text


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


@cache
def _tables() -> tuple[re.Pattern[str], ...]:
    """Make the forms that hold words: amounts with a currency's code, street addresses, names of systems."""
    currency, street, company, system = (
        "|".join(map(re.escape, written(kind))) for kind in ("currency", "street", "company", "system")
    )
    return (
        re.compile(rf"(?<!\w)(?:{currency}) ?{_NUMBER}(?![\w])|(?<![\w.,]){_NUMBER} ?(?:{currency})(?![\w])(?! ?\d)"),
        re.compile(rf"(?<![\w-])\d{{1,5}}[A-Za-z]?(?: [^\W\d_a-z][\w.'’-]{{0,20}}){{1,4}} (?:{street})(?!\w)"),
        re.compile(rf"(?<!\w)(?:{company})\.?,? \d{{1,5}}[A-Za-z]? (?=[^\W\d_a-z][^\W\d_]{{2}})"),
        re.compile(rf"(?<!\w)(?:{system}) (?:NT )?\d{{1,6}}(?:\.\d{{1,6}})*"),
    )


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])
