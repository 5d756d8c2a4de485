"""What is shown of a mail's texts: the best of alternatives, several in their order, flowed lines joined."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Text", "best", "joined_lines", "shown"]

_MAX_EMPTY: Final = 20_000  # characters of a page that may turn out to be empty
_NOTHING: Final = re.compile(
    r"<(?:style|title)\b[^<]*</(?:style|title)>|<!--[^<>]*-->|<(?!img\b)[^<>]*>|&nbsp;|&#160;|&zwnj;|\s", re.IGNORECASE
)
_PARAGRAPH: Final = re.compile(
    r"<(?:p|td|div|span|a|b|h\d)\b[^<>]*>\s*\w", re.IGNORECASE
)  # the usual page is not empty
_QUOTE: Final = re.compile(">*")


@frozen
class Text:
    """One text of a mail."""

    text: str
    is_html: bool

    @property
    def is_empty(self) -> bool:
        """Whether a reader would see nothing."""
        if not self.is_html:
            return not self.text.strip()
        if _PARAGRAPH.search(self.text):
            return False
        return len(self.text) <= _MAX_EMPTY and not _NOTHING.sub("", self.text)


def best(alternatives: Sequence[list[Text]]) -> list[Text]:
    """Return the alternative that a mail program shows: the last with HTML to see, else the last with text to see."""
    visible = [texts for texts in alternatives if any(not text.is_empty for text in texts)]
    rich = [texts for texts in visible if any(text.is_html and not text.is_empty for text in texts)]
    chosen = rich or visible or [texts for texts in alternatives if texts]
    return chosen[-1] if chosen else []


def shown(texts: Sequence[Text]) -> Text:
    """Return several texts as one, in their order: as HTML if one of them is; what is blank is left out of HTML."""
    if not any(text.is_html for text in texts):
        return Text("\n".join(text.text for text in texts), is_html=False)
    pages = [text for text in texts if text.is_html or not text.is_empty]
    return Text("\n".join(text.text if text.is_html else _as_html(text.text) for text in pages), is_html=True)


def joined_lines(text: str) -> str:
    """Undo the line breaks of format=flowed with delsp=yes (RFC 3676 4.1), which may stand within a word."""
    joined: list[str] = []
    quoted_before = ""
    goes_on = False
    for line in text.split("\n"):
        found = _QUOTE.match(line)
        quoted = found[0] if found else ""
        rest = line[len(quoted) :].removeprefix(" ")
        if goes_on and quoted == quoted_before:
            joined.append(rest)
        else:
            joined += ["\n" if joined else "", quoted, " " if quoted else "", rest]
        goes_on = rest.endswith(" ") and rest != "-- "
        if goes_on:
            joined[-1] = rest[:-1]
        quoted_before = quoted
    return "".join(joined)


def _as_html(text: str) -> str:
    return "<p>" + html.escape(text.strip("\n"), quote=False).replace("\n", "<br>\n") + "</p>"
