"""What is hidden from the search: addresses, whose digits are no codes, and quoted replies."""

from __future__ import annotations

import re

from tempmailg._extract._lexicon import Kind
from tempmailg._extract._patterns import Pattern
from tempmailg._extract._words import Languages, find_words, kinds_of

_NAME = 80
"""Characters of a sender's name that are read."""

_PREFIX = 24
"""Characters of a subject that hold the mark of a forwarded message."""

_ADDRESSES = (
    ("://", Pattern(r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,30}+://[!-~]++", re.IGNORECASE)),
    ("@", Pattern(r"(?<![\w.+-])[\w.+-]{1,64}+@[\w-]++(?:\.[\w-]++)++")),
    ("/", Pattern(r"(?<![\w.-])(?:[a-z0-9-]++\.)++[a-z]{2,}+/[!-~]*+", re.IGNORECASE)),
    ("www.", Pattern(r"www\.[!-~]++", re.IGNORECASE)),
)
"""What an address of each kind holds at least, and how it is written."""

_FORWARDING: Languages = frozenset({"forwarding"})
_QUOTED_LINE = re.compile(r"^ *>(?![^\n]*<[ \t]*$)[^\n]*", re.MULTILINE)
_ORIGINAL = re.compile(r"^[-_]{3,}+[^\n@]{0,40}+\n{1,2}(?:[^\n:]{2,12}+:[^\n]*+\n){2}", re.MULTILINE)


def without_addresses(text: str) -> str:
    """Blank out web and mail addresses, whose digits are no codes; positions stay."""
    for mark, address in _ADDRESSES:
        if mark in text:
            text = address.ready.sub(_blank, text)
    return text


def is_forwarded(subject: str) -> bool:
    """Whether a subject begins as those of forwarded messages do: `Fwd:`, `WG:`, `转发:`."""
    head, colon, _ = subject[:_PREFIX].partition(":")
    return bool(colon) and bool(kinds_of(find_words(head.strip(), _FORWARDING)) & Kind.FORWARD)


def without_quotes(text: str, subject: str) -> str:
    """Blank out quoted replies, unless the message was forwarded: then they are what it is about. Positions stay."""
    if is_forwarded(subject):
        return text
    text = _QUOTED_LINE.sub(_blank, text)
    original = _ORIGINAL.search(text)
    return text if original is None else text[: original.start()] + " " * (len(text) - original.start())


def misleading(sender_name: str) -> str:
    """Return the sender's name where its words would mislead ("Order Desk", "Blue Mobile"), else nothing."""
    name = sender_name[:_NAME].strip()
    kinds = kinds_of(find_words(name, None)) if name else 0
    misleading_kinds = Kind.OTHER | Kind.MEETING | Kind.SAMPLE | (Kind.LABEL if " " in name else 0)
    return name if kinds & misleading_kinds and not kinds & (Kind.CODE | Kind.OTP | Kind.ACT) else ""


def without_name(text: str, name: str) -> str:
    """Blank out a name that misleads; positions stay."""
    return re.sub(re.escape(name), _blank, text, flags=re.IGNORECASE) if name else text


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])
