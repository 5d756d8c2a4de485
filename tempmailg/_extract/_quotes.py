"""What is hidden from the search: addresses, whose digits are no codes, and quoted replies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tempmailg._extract._page import Page

_ADDRESS = re.compile(
    r"(?:https?://|www\.)[!-~]++"
    r"|(?<![\w.+-])[\w.+-]{1,64}+@[\w-]++(?:\.[\w-]++)++"
    r"|(?<![\w.-])(?:[a-z0-9-]++\.)++[a-z]{2,}/[!-~]*+",
    re.IGNORECASE,
)
_FORWARD = re.compile(r"\s*(?:fwd?|wg|tr|rv|enc|i|vs|doorst|pd)\s*:", re.IGNORECASE)
_QUOTED_LINE = re.compile(r"^ *>(?![^\n]*<[ \t]*$)[^\n]*", re.MULTILINE)
_ORIGINAL = re.compile(r"^[-_]{3,}+[^\n@]{0,40}+\n{1,2}(?:[^\n:]{2,12}+:[^\n]*+\n){2}", re.MULTILINE)


def without_addresses(text: str) -> str:
    """Blank out web and mail addresses, whose digits are no codes; positions stay."""
    return _ADDRESS.sub(_blank, text)


def without_quotes(page: Page, subject: str) -> str:
    """Blank out quoted replies, unless the message was forwarded: then they are what it is about. Positions stay."""
    if _FORWARD.match(subject):
        return page.text
    text = _QUOTED_LINE.sub(_blank, page.text)
    original = _ORIGINAL.search(text)
    return text if original is None else text[: original.start()] + " " * (len(text) - original.start())


def _blank(found: re.Match[str]) -> str:
    return " " * len(found[0])
