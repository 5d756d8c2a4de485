"""Links: the one that a message asks to follow, with the evidence for it.

A pipeline: collect the links (anchors, and addresses written out) → read their text, their target and the sentence
around them → add up the clues → keep the best place of each target. A link that acts for one reader carries something
that is only theirs: an address without a token is no answer, however it is praised.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from tempmailg._extract._clues import Clue
from tempmailg._extract._context import Context, read_context
from tempmailg._extract._words import Kind, Tongues, find_words, kinds_of, tongues_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tempmailg._extract._page import Page

ACCEPTED = 6.0
"""Points from which a link is believed."""

CLEAR = 1.0
"""Points by which the answer must stand above every other target."""

MAX_LINKS = 80
"""Links that are judged: the first and the last of a message."""

# What its own text says.
ASKS = Clue(4.0, "its text asks for it")
ASKS_AND_MORE = Clue(1.5, "its text asks for it and for something else")
PASSWORD = Clue(3.0, "its text speaks of the password")
ABOUT_ACCOUNT = Clue(1.0, "its text speaks of the account")
AVOIDED = Clue(-6.0, "its text is that of a link nobody has to follow")
SILENT = Clue(-2.0, "it shows no text")

# What the words around it say.
ASKED = Clue(2.5, "the sentence before it asks for it")
ASKED_AFTER = Clue(1.5, "the sentence after it asks for it")
POINTED_AT = Clue(0.5, "pointed at as button or link")
WRITTEN_OUT = Clue(0.5, "written out")
AVOIDED_BEFORE = Clue(-3.0, "the words before it name a link nobody has to follow")
DENIED = Clue(-6.0, "for those who did not ask")

# What its address says.
ADDRESS_ASKS = Clue(2.0, "its address asks for it")
ADDRESS_HINTS = Clue(1.0, "its address speaks of an account")
PERSONAL = Clue(1.5, "its address is made for one reader")
PERHAPS_PERSONAL = Clue(0.5, "its address asks for it and carries something")
IMPERSONAL = Clue(-6.0, "its address is the same for everyone")
AVOIDED_ADDRESS = Clue(-4.0, "its address is that of a link nobody has to follow")
HOME = Clue(-4.0, "it leads to a home page")

# What the message says.
SUBJECT_ASKS = Clue(2.0, "the subject asks for it")
SUBJECT_OTHER = Clue(-2.0, "the subject speaks of something else")
MAIL_ASKS = Clue(1.0, "the message begins by asking for it")
ONLY = Clue(1.0, "the only link of its kind")
REPEATED = Clue(0.5, "given twice")

_BEGINNING = 500
"""Characters of a message that tell what it is about."""

_READ = 1_000
"""Characters of an address that are read for what it says."""

_ADDRESS_ASKS = re.compile(
    r"verif|confirm|activat|validat|reset|recover|magic|passwordless|one-?time|unlock|approve|double-?opt|opt-?in(?![a-z])|oobcode",
)
_ADDRESS_HINTS = re.compile(
    r"sign-?_?in|log-?_?in|auth|token|invit|accept|regist|sign-?up|passw|pwd|callback|session|otp|ticket|nonce|welcome|onboard",
)
_ADDRESS_AVOIDS = re.compile(
    r"unsub|opt-?_?out|privacy|terms|legal|imprint|/help|support|faq|contact|preferences|settings|web-?version|view-?_?in|"
    r"play\.google|apps\.apple|itunes|facebook\.|twitter\.|//x\.com|instagram\.|linkedin\.|youtube\.|tiktok\.|pinterest\.|//t\.me/"
    r"|\.(?:png|jpe?g|gif|svg|webp|css|ico|pdf|ics)(?:$|\?)|revert|cancel|deny|reject|report|not-?_?me|wasnt|decline|revoke|abuse|blog",
)
_WRITTEN = re.compile(
    r"https?://[^\s<>\"'`{}|\\^\[\]\u00ab\u00bb\u2018-\u201f\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]{1,4096}+",
    re.IGNORECASE,
)
_TRAILING = ".,;:!?'\"…*"
_HTTP = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)
_PARTS = re.compile(
    r"https?://(?P<host>[^/?#]*+)(?P<path>[^?#]*+)(?:\?(?P<query>[^#]*+))?+(?:#(?P<fragment>.*+))?+",
    re.IGNORECASE | re.DOTALL,
)
_CAMPAIGN = re.compile(r"(?:utm_\w+|ref|source|src|campaign|lang|locale|hl|mc_cid|fbclid|gclid|brand)\Z", re.IGNORECASE)
_PAGE = re.compile(r"\.(?:html?|php|aspx?|jsp|cgi|pl)\Z", re.IGNORECASE)
_TOKEN = re.compile(r"(?=\D{0,64}\d)[\w~=.%:+@-]{3,}|[\w~=.%:+@-]{8,}")
_SECRET_PART = re.compile(
    r"(?=\D{0,64}\d)(?=[^A-Za-z]{0,64}[A-Za-z])[\w~=.%:+-]{5,}|\d{5,}|(?=[^A-Z]{0,64}[A-Z])[\w~=-]{12,}|[\w~=]{24,}|[\d-]{6,}"
)
_SHOWN_ADDRESS = re.compile(r"\A\s*+(?:https?://)?+((?:[\w-]++\.)++[a-z]{2,})(?::\d++)?+(/\S*+)?+\s*+", re.IGNORECASE)
_ALNUM = re.compile(r"[^\W_]")


class Link(NamedTuple):
    """A link of a message: its target, the text that stands for it, and where it stands."""

    url: str
    text: str
    start: int
    end: int
    written_out: bool


class Finding(NamedTuple):
    """A link with the clues for and against it."""

    link: Link
    clues: tuple[Clue, ...]

    @property
    def points(self) -> float:
        """The sum of the evidence."""
        return sum(clue.points for clue in self.clues)


def collect(page: Page, text: str) -> list[Link]:
    """Collect the links that lead to the web: anchors, and addresses written out between them."""
    links = [
        Link(anchor.url, page.text[anchor.start : anchor.end].strip() or anchor.label, anchor.start, anchor.end, False)
        for anchor in page.anchors
        if _HTTP.match(anchor.url)
    ]
    covered = [(link.start, link.end) for link in links]
    for found in _WRITTEN.finditer(text):
        if not any(start < found.end() and found.start() < end for start, end in covered):
            url = _trimmed(found[0])
            links.append(Link(url, url, found.start(), found.start() + len(url), True))
    links.sort(key=lambda link: link.start)
    half = MAX_LINKS // 2
    return links if len(links) <= MAX_LINKS else links[:half] + links[-half:]


def _trimmed(url: str) -> str:
    """Drop the punctuation of the sentence that an address ends, and brackets that were opened before it."""
    end, surplus = len(url), url.count(")") - url.count("(")
    while end and (url[end - 1] in _TRAILING or (url[end - 1] == ")" and surplus > 0)):
        surplus -= url[end - 1] == ")"
        end -= 1
    return url[:end]


def find(page: Page, text: str, subject: str) -> list[Finding]:
    """Find the links of a message, the best first; each target once."""
    links = collect(page, text)
    tongues = tongues_of(f"{subject} {text[:_BEGINNING]}")
    general = tuple(_mail_clues(subject, text, tongues))
    floors = [0, *(link.end for link in links)]
    ceilings = [*(link.start for link in links[1:]), len(text)]
    findings: list[Finding] = []
    for link, floor, ceiling in zip(links, floors, ceilings, strict=False):
        around = read_context(text, link.start, link.end, floor=floor, ceiling=ceiling)
        findings.append(Finding(link, (*_word_clues(link, around, tongues), *_address_clues(link.url), *general)))
    return _with_only(_best_of_each_target(findings))


def _mail_clues(subject: str, text: str, tongues: Tongues | None) -> Iterator[Clue]:
    kinds = _kinds(subject, tongues)
    if kinds & (Kind.ACT | Kind.SECRET):
        yield SUBJECT_ASKS
    elif kinds & Kind.OTHER:
        yield SUBJECT_OTHER
    if _kinds(text[:_BEGINNING], tongues) & Kind.ACT:
        yield MAIL_ASKS


def _word_clues(link: Link, around: Context, tongues: Tongues | None) -> Iterator[Clue]:
    """Yield what the link's text and the words around it say."""
    shown = _SHOWN_ADDRESS.fullmatch(link.text[:_READ]) is not None
    own = 0 if shown else _kinds(link.text[:_READ], tongues)
    if clue := _own_clue(own):
        yield clue
    before, after = _kinds(around.before, tongues), _kinds(around.after, tongues)
    before = before or _kinds(around.lead, tongues)
    if before & (Kind.ACT | Kind.SECRET):
        yield ASKED
    elif after & Kind.ACT:
        yield ASKED_AFTER
    elif before & Kind.AVOID and not own & Kind.ACT:
        yield AVOIDED_BEFORE
    if _kinds(around.before, tongues) & Kind.DENY:
        yield DENIED
    if (own | before) & Kind.HERE:
        yield POINTED_AT
    if link.written_out or shown:
        yield WRITTEN_OUT
    if not _ALNUM.search(link.text):
        yield SILENT


def _own_clue(kinds: int) -> Clue | None:
    """Return the clue of what the link's own text says."""
    avoided = kinds & (Kind.AVOID | Kind.DENY | Kind.OTHER)
    if kinds & Kind.ACT:
        return ASKS_AND_MORE if avoided else ASKS
    if avoided:
        return AVOIDED
    if kinds & Kind.SECRET:
        return PASSWORD
    return ABOUT_ACCOUNT if kinds & Kind.PROOF else None


def _address_clues(url: str) -> Iterator[Clue]:
    """Yield what the address itself says."""
    parts = _PARTS.match(url[:_READ])
    if parts is None:
        return
    path, query = parts["path"], parts["query"] or parts["fragment"] or ""
    if not path.strip("/") and not query:
        yield HOME
    speaking = f"{path}?{query}".lower()
    if _ADDRESS_AVOIDS.search(url[:_READ].lower()):
        yield AVOIDED_ADDRESS
    elif _ADDRESS_ASKS.search(speaking):
        yield ADDRESS_ASKS
    elif _ADDRESS_HINTS.search(speaking):
        yield ADDRESS_HINTS
    yield _owner(path, query)


def _owner(path: str, query: str) -> Clue:
    """Return the clue of whether an address was made for one reader."""
    if _personal(path, query):
        return PERSONAL
    return PERHAPS_PERSONAL if _asks_with_something(path, query) else IMPERSONAL


def _asks_with_something(path: str, query: str) -> bool:
    """Whether an address that asks for something hands a value over, however short: `/verify?t=1`, `/confirm/abc`."""
    asked = _ADDRESS_ASKS.search(path.lower())
    if asked is None:
        return False
    values = (pair.partition("=") for pair in query.split("&"))
    return bool(path[asked.end() :].partition("/")[2]) or any(v and not _CAMPAIGN.match(n) for n, _, v in values)


def _personal(path: str, query: str) -> bool:
    """Whether an address holds something that was made for one reader: a token, a signature, an id."""
    pairs = (pair.partition("=") for pair in query.split("&"))
    values = (value or name for name, _, value in pairs if not _CAMPAIGN.match(name))
    parts = (part for part in path.split("/") if not _PAGE.search(part))
    return any(map(_TOKEN.fullmatch, values)) or any(map(_SECRET_PART.fullmatch, parts))


def _with_only(findings: list[Finding]) -> list[Finding]:
    """Credit a link that is the only one made for its reader."""
    personal = [index for index, finding in enumerate(findings) if {PERSONAL, PERHAPS_PERSONAL} & set(finding.clues)]
    if len(personal) == 1:
        finding = findings[personal[0]]
        findings[personal[0]] = finding._replace(clues=(*finding.clues, ONLY))
    return sorted(findings, key=lambda finding: -finding.points)


def _best_of_each_target(findings: list[Finding]) -> list[Finding]:
    best: dict[str, Finding] = {}
    for finding in findings:
        known = best.get(finding.link.url)
        if known is None:
            best[finding.link.url] = finding
            continue
        better = finding if finding.points > known.points else known
        best[finding.link.url] = better._replace(
            clues=(*(clue for clue in better.clues if clue is not REPEATED), REPEATED)
        )
    return sorted(best.values(), key=lambda finding: -finding.points)


def _kinds(text: str, tongues: Tongues | None) -> int:
    return kinds_of(find_words(text, tongues))


def mismatched(link: Link) -> bool:
    """Whether the link shows an address on another host or path than the one it leads to."""
    shown = _SHOWN_ADDRESS.fullmatch(link.text[:_READ])
    target = _PARTS.match(link.url[:_READ])
    if shown is None or target is None:
        return False
    host, path = target["host"].lower(), unquote(target["path"])
    same_host = shown[1].lower().removeprefix("www.") == host.rpartition("@")[2].partition(":")[0].removeprefix("www.")
    return not same_host or not path.startswith(unquote(shown[2] or "").partition("?")[0].rstrip("….").rstrip("/"))
