"""Codes and links: read what a person would read, or say nothing.

The first room of the house: plain values in, plain values out. Nothing is fetched; whatever a message holds, nothing is
raised, and the time is linear in its length. The values stand here; what finds them is loaded on first use.

    _page, _html   a message's source to the page a person sees (text, links, what is loud, hidden or quoted)
    _quotes        blanks out addresses, quoted replies and the sender's name
    _typed         blanks out what is something else by its form: dates, amounts, telephone numbers
    _shapes        what could be a code, by its characters
    _context       the sentences around a passage
    _lexicon       the words of words.txt in many languages, and what each kind of them says
    _words         what the words of a text mean
    _codes         the evidence for codes, added up
    _address       the parts of an address, with the words of addresses.txt
    _links         the evidence for links, added up
    _patterns      what is compiled on first use
"""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Literal

import attrs

from tempmailg._compare import check_text, folded
from tempmailg._public import public
from tempmailg._serial import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tempmailg._extract import _codes, _links
    from tempmailg._extract._clues import Clue
    from tempmailg._extract._page import Page

__all__ = ["CodeCandidate", "LinkCandidate", "find_code", "find_codes", "find_link", "find_links", "to_text", "warm_up"]


@public
@attrs.frozen
class CodeCandidate(Value):
    """A passage of a message that may be the code to type."""

    value: str
    """What a person would type: spaces and the dashes between digits dropped, digits of any script as ASCII."""
    score: float
    """Points of evidence; `Message.find_code` believes 7 and more."""
    reason: str
    """The evidence in words."""
    place: Literal["subject", "text"]
    """Whether it stands in the subject or in `Message.text`."""
    start: int
    """Where it begins there, in characters."""
    end: int
    """Where it ends there, in characters."""


@public
@attrs.frozen
class LinkCandidate(Value):
    """A link of a message that may be the one to follow."""

    url: str
    """The target exactly as sent, entities decoded; never fetched."""
    text: str
    """What the message shows for it."""
    score: float
    """Points of evidence; `Message.find_link` believes 6 and more."""
    reason: str
    """The evidence in words."""
    mismatch: bool
    """Whether it shows an address other than the one it leads to."""
    start: int
    """Where it begins in `Message.text`, in characters."""
    end: int
    """Where it ends there, in characters."""


def to_text(content: str, *, is_html: bool) -> str:
    """Return the readable text of a message: blocks as lines, nothing invisible.

    Args:
        content: The message's source; 1,048,576 characters of it are read at most, and no more tags, attributes and
            style rules than newsletters of 250 KB hold.
        is_html: Whether it is HTML.

    Returns:
        At most 65,536 characters of text.
    """
    return _read(content, is_html=is_html).text


def find_codes(
    content: str,
    *,
    is_html: bool,
    subject: str = "",
    sender_name: str = "",
    length: int | None = None,
    pattern: str | re.Pattern[str] | None = None,
) -> list[CodeCandidate]:
    """Find what may be the code of a message, the best candidate first.

    Args:
        content: The message's source.
        is_html: Whether it is HTML.
        subject: The message's subject.
        sender_name: The sender's name, whose words say nothing about a number ("Order Desk").
        length: How many letters and digits the code has; dashes are not counted.
        pattern: A regular expression that the whole code matches.

    Returns:
        Each value once, with its score and the reasons for it.
    """
    return [
        CodeCandidate(
            value=finding.span.value,
            score=finding.points,
            reason=_in_words(finding.span.shape.words, finding.clues),
            place=finding.place,
            start=finding.span.start,
            end=finding.span.end,
        )
        for finding in _code_findings(
            content, is_html=is_html, subject=subject, sender_name=sender_name, fits=_criteria(length, pattern)
        )
    ]


def find_code(
    content: str,
    *,
    is_html: bool,
    subject: str = "",
    sender_name: str = "",
    length: int | None = None,
    pattern: str | re.Pattern[str] | None = None,
) -> str | None:
    """Find the one code of a message; take the arguments of `find_codes`.

    Returns:
        The code, or None where none is beyond doubt.
    """
    from tempmailg._extract._codes import ACCEPTED, CLEAR, CLEAR_OF_CODE

    candidates = find_codes(
        content, is_html=is_html, subject=subject, sender_name=sender_name, length=length, pattern=pattern
    )
    scores = [candidate.score for candidate in candidates]
    return candidates[0].value if _stands_clear(scores, ACCEPTED, CLEAR, CLEAR_OF_CODE) else None


def find_links(
    content: str,
    *,
    is_html: bool,
    subject: str = "",
    sender_name: str = "",
    contains: str | None = None,
    text: str | None = None,
) -> list[LinkCandidate]:
    """Find the links of a message, the one it asks to follow first.

    Args:
        content: The message's source.
        is_html: Whether it is HTML.
        subject: The message's subject.
        sender_name: The sender's name, whose words say nothing about a link.
        contains: A part of the target's address, compared as it is read.
        text: A part of what the message shows for it, compared in the same way.

    Returns:
        Each target once, with its score and the reasons for it.

    Raises:
        ConfigurationError: `contains` or `text` is blank or no text.
    """
    from tempmailg._extract._links import mismatched

    return [
        LinkCandidate(
            url=finding.link.url,
            text=finding.link.text,
            score=finding.points,
            reason=_in_words("", finding.clues),
            mismatch=mismatched(finding.link),
            start=finding.link.start,
            end=finding.link.end,
        )
        for finding in _link_findings(
            content, is_html=is_html, subject=subject, sender_name=sender_name, contains=contains, text=text
        )
    ]


def find_link(
    content: str,
    *,
    is_html: bool,
    subject: str = "",
    sender_name: str = "",
    contains: str | None = None,
    text: str | None = None,
) -> str | None:
    """Find the one link that a message asks to follow; take the arguments of `find_links`.

    Returns:
        Its target, or None where none is beyond doubt. With `contains` or `text`, the only link that fits needs no
        further evidence.
    """
    from tempmailg._extract._links import ACCEPTED, CLEAR

    candidates = find_links(
        content, is_html=is_html, subject=subject, sender_name=sender_name, contains=contains, text=text
    )
    if len(candidates) == 1 and (contains is not None or text is not None):
        return candidates[0].url
    scores = [candidate.score for candidate in candidates]
    return candidates[0].url if _stands_clear(scores, ACCEPTED, CLEAR, CLEAR) else None


def _read(content: str, *, is_html: bool) -> Page:
    """Read a message's source; HTML without a tag, and text that is an HTML document, are taken for what they are."""
    from tempmailg._extract._page import MAX_CONTENT, without_transfer_coding

    content = without_transfer_coding(content[:MAX_CONTENT])
    if (is_html and "<" in content) or _HTML_DOCUMENT.match(content):
        from tempmailg._extract._html import read_html

        return read_html(content)
    from tempmailg._extract._page import MAX_TEXT, read_plain

    return read_plain(unescape(content[:MAX_TEXT]) if is_html else content)


_HTML_DOCUMENT = re.compile(r"\A\s*+<(?:!doctype html|html)\b", re.IGNORECASE)


def _code_findings(
    content: str, *, is_html: bool, subject: str, sender_name: str, fits: Callable[[str], bool] | None
) -> list[_codes.Finding]:
    from tempmailg._extract import _codes
    from tempmailg._extract._page import MAX_SUBJECT
    from tempmailg._extract._quotes import is_forwarded, misleading, without_addresses, without_name, without_quotes

    subject, page = subject[:MAX_SUBJECT], _read(content, is_html=is_html)
    text = without_addresses(without_quotes(page.text, subject))
    quoted = () if is_forwarded(subject) else page.quoted
    name = misleading(sender_name)
    mail = _codes.Mail(without_name(subject, name), without_name(text, name), page.loud, quoted)
    return _codes.find(mail, fits)


def _link_findings(
    content: str, *, is_html: bool, subject: str, sender_name: str, contains: str | None, text: str | None
) -> list[_links.Finding]:
    from tempmailg._extract import _links
    from tempmailg._extract._page import MAX_SUBJECT
    from tempmailg._extract._quotes import misleading, without_name, without_quotes

    for name, given in (("contains", contains), ("text", text)):
        if given is not None:
            check_text(name, given)
    subject, page = subject[:MAX_SUBJECT], _read(content, is_html=is_html)
    part, wanted = folded(contains or ""), folded(text or "")
    findings = _links.find(page, without_quotes(page.text, subject), without_name(subject, misleading(sender_name)))
    return [finding for finding in findings if part in folded(finding.link.url) and wanted in folded(finding.link.text)]


def _criteria(length: int | None, pattern: str | re.Pattern[str] | None) -> Callable[[str], bool] | None:
    if length is None and pattern is None:
        return None
    compiled = None if pattern is None else re.compile(pattern)

    def fits(value: str) -> bool:
        counted = sum(map(str.isalnum, value))
        return (length is None or counted == length) and (compiled is None or compiled.fullmatch(value) is not None)

    return fits


def _stands_clear(scores: list[float], accepted: float, clear: float, clear_of_equal: float) -> bool:
    """Whether the best of the scores is enough, and far enough from the next, more so if that were enough, too."""
    if not scores or scores[0] < accepted:
        return False
    rival = scores[1] if len(scores) > 1 else 0.0
    return scores[0] - rival >= (clear_of_equal if rival >= accepted else clear)


def warm_up() -> None:
    """Load the words and compile the patterns that the first mail would wait for: some 20 ms."""
    mail = '<p>Your code is <b>482913</b>.</p><a href="https://example.com/verify?token=Tq93kPzw1">Verify</a>'
    find_code(mail, is_html=True, subject="Your code")
    find_link(mail, is_html=True, subject="Your code")


def _in_words(first: str, clues: Iterable[Clue]) -> str:
    return ", ".join(filter(None, (first, *(clue.words for clue in clues))))


for _kind in (CodeCandidate, LinkCandidate):
    # cattrs, pydantic and subclasses read the annotations, which only this module can resolve
    attrs.resolve_types(_kind, globals())
    _kind.__annotations__ = {each.name: each.type for each in attrs.fields(_kind)}
