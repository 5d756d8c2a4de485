"""Links: the one that a message asks to follow, with the evidence for it.

A pipeline: collect the links (anchors, and addresses written out) → read their text, their target and the sentence
around them → add up the clues → keep the best place of each target. A link that acts for one reader carries something
that is only theirs: an address without a token is no answer, however it is praised.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import unquote

from tempmailg._extract._address import Address, Owner, leads, parse
from tempmailg._extract._clues import Clue
from tempmailg._extract._context import REACH, Context, Part, read_context
from tempmailg._extract._lexicon import Kind
from tempmailg._extract._quotes import without_addresses
from tempmailg._extract._words import Hit, Languages, Words, find_words, kinds_of, languages_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tempmailg._extract._page import Page

T = TypeVar("T")

ACCEPTED = 6.0
"""Points from which a link is believed."""

CLEAR = 1.0
"""Points by which the answer must stand above every other target."""

MAX_LINKS = 80
"""Links that are judged: the first and the last of a message."""

_MAX_EXAMINED = 400
"""Anchors, and addresses written out, that are examined: the first and the last; newsletters hold fewer."""

# What its own text says.
ASKS = Clue(4.0, "its text asks for it")
ASKS_AND_MORE = Clue(1.5, "its text asks for it and for something else")
ANSWERS_YES = Clue(4.0, "it answers yes")
ANSWERS_NO = Clue(-6.0, "it answers no")
PASSWORD = Clue(3.5, "its text speaks of the password")
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
DOUBTFULLY_PERSONAL = Clue(-1.0, "its address may be the same for everyone")
IMPERSONAL = Clue(-6.0, "its address is the same for everyone")
AVOIDED_ADDRESS = Clue(-4.0, "its address is that of a link nobody has to follow")
ENTRANCE = Clue(-6.0, "it leads to where everybody signs in, and the subject speaks of nothing like it")
HOME = Clue(-4.0, "it leads to a home page")
HOME_OF_READER = Clue(-1.5, "it leads to the reader's home page")

# What the message says.
SUBJECT_ASKS = Clue(2.0, "the subject asks for it")
SUBJECT_OTHER = Clue(-2.0, "the subject speaks of something else")
NOTICE = Clue(-6.0, "the subject says that it has been done")
NOTICE_AND_MORE = Clue(-2.0, "the subject says that something has been done")
MEETING = Clue(-8.0, "the message invites to a meeting")
TRADE = Clue(-1.5, "the message speaks of prices")
MAIL_ASKS = Clue(1.0, "the message begins by asking for it")
ONLY = Clue(1.0, "the only link of its kind")
MEANT = Clue(1.0, "the subject names an account or a password, and no other link could be meant")
INVITED = Clue(2.0, "the message invites, and by no other link")
SPEAKS_FOR_ITSELF = Clue(2.0, "its address says what the words around it do not")
ONLY_YES = Clue(1.0, "beside it stands another answer")
REPEATED = Clue(0.5, "given twice")

_READABLE = {
    *(AVOIDED, ANSWERS_NO, AVOIDED_BEFORE, DENIED, AVOIDED_ADDRESS, SUBJECT_OTHER, NOTICE, NOTICE_AND_MORE, MEETING),
    *(TRADE, ASKS, ASKED, ASKED_AFTER, SUBJECT_ASKS),
}
_FOR_ONE_READER = {PERSONAL, PERHAPS_PERSONAL}
_NOT_WANTED = {
    *(AVOIDED, ANSWERS_NO, SILENT, AVOIDED_BEFORE, DENIED, AVOIDED_ADDRESS, SUBJECT_OTHER, NOTICE, NOTICE_AND_MORE),
    MEETING,
}
_TO_DO = Kind.ACT | Kind.INVITE | Kind.JOIN
_ASKING = _TO_DO | Kind.SECRET

_BEGINNING = 500
"""Characters of a message that say what it is about."""

_READ = 1_000
"""Characters of a link's text that are read."""

_YES_OR_NO = 48
"""Characters of an answer to a question, at most."""

_MARGIN = 60
"""A line at least this long may have been broken by a mail program in the middle of an address."""

_URL_CHARACTER = r"[!#-&(-;=?-Z_a-z~\u00a1-\u00aa\u00ac-\u00ba\u00bc-\u02af\u0370-\u052f]"
_WRITTEN = re.compile(
    rf"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{{1,30}}+://(?:\[[0-9A-Fa-f:.]{{2,45}}+\])?+{_URL_CHARACTER}{{1,4096}}+"
)
_REST_OF_ADDRESS = re.compile(rf"\n[ ]?({_URL_CHARACTER}{{1,4096}}+)(?=\s|>|\Z)")
_BRACKETED = re.compile(rf"(?:\n[ ]?{_URL_CHARACTER}{{1,998}}+){{1,8}}>")
_CODED = re.compile(r"(?=[^\d\s]{0,80}\d)(?=[^A-Za-z\s]{0,80}[A-Za-z])|[=&%]|\S{30}")
_ONE_WORD = re.compile(r"[A-Za-z]{8,}\Z")
_REFERENCE = re.compile(r"^[ \t]*+(\[\d{1,2}\]):?[ \t]*+\Z")
_TRAILING = ".,;:!?'\"…*"
_SHOWN_ADDRESS = re.compile(
    r"\A\s*+(?:[a-z][a-z0-9+.-]{1,30}+://(?P<any>[^\s/?#]++)|(?P<dotted>(?:[\w-]++\.)++[a-z]{2,})(?::\d++)?+)(?P<path>/\S*+)?+[?#]?\S*+\s*+",
    re.IGNORECASE,
)
_TRADE = re.compile(r"\d\s?%|%\s?\d|[$€£¥₹₽₩₺₫₪]\s?\d|\d\s?[€$£₽₺₫₪]")
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


def collect(page: Page, text: str) -> Sequence[Link]:
    """Collect the links that lead somewhere: anchors, and addresses written out between them."""
    links = [
        Link(anchor.url, page.text[anchor.start : anchor.end].strip() or anchor.label, anchor.start, anchor.end, False)
        for anchor in _ends(page.anchors, _MAX_EXAMINED)
        if leads(anchor.url)
    ]
    covered = [(link.start, link.end) for link in links] if len(page.anchors) <= _MAX_EXAMINED else _places(page)
    for start, end in _ends(list(_outside(covered, text)), _MAX_EXAMINED):
        link = _written(text, start, end)
        if link and leads(link.url):
            links.append(link)
    return _ends(sorted(links, key=lambda link: link.start), MAX_LINKS)


def _ends(values: Sequence[T], most: int) -> Sequence[T]:
    """Return the first and the last of some values, where they are more than so many."""
    return values if len(values) <= most else (*values[: most // 2], *values[-most // 2 :])


def _places(page: Page) -> list[tuple[int, int]]:
    return [(anchor.start, anchor.end) for anchor in page.anchors]


def _outside(covered: list[tuple[int, int]], text: str) -> Iterator[tuple[int, int]]:
    """Yield where addresses are written out that overlap none of some places, which are in order and apart."""
    for found in _WRITTEN.finditer(text) if "://" in text else ():
        index = bisect_left(covered, (found.end(),))
        if not index or covered[index - 1][1] <= found.start():
            yield found.span()


def _written(text: str, start: int, end: int) -> Link | None:
    """Read an address that is written out, with the lines a mail program broke it into; None where it may be half."""
    if text[start - 1 : start] == "<" and (rest := _BRACKETED.match(text, end)):
        return Link(
            "".join(text[start : rest.end() - 1].split()), text[start : rest.end() - 1], start, rest.end() - 1, True
        )
    joined = end
    while joined < len(text) and text[joined] == "\n" and joined - text.rfind("\n", 0, joined) > _MARGIN:
        rest = _REST_OF_ADDRESS.match(text, joined)
        if rest is None or text.startswith("://", rest.end()) or "://" in rest[1]:
            break
        if not _CODED.match(rest[1]):
            if _ONE_WORD.match(rest[1]) and text[rest.end() : rest.end() + 1] in {"", "\n"}:
                return None
            break
        joined = rest.end()
    url = _trimmed("".join(text[start:joined].split()))
    end = joined if joined > end else start + len(url)
    return Link(url, url, start, end, True)


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
    languages = languages_of(without_addresses(f"{subject} {text[:_BEGINNING]}"))
    arounds = _arounds(links, text)
    parts = [(part.start, part.end) for around in arounds for part in around[:3]]
    words = Words(text, languages, [(0, _BEGINNING), *parts])
    general = tuple(_mail_clues(subject, text, words, languages))
    announced = _kinds(subject, languages)
    invites = _invites(announced, kinds_of(words.between(0, _BEGINNING)))
    asked = bool(announced & _ASKING) or invites or not subject.strip()
    findings = [
        Finding(
            link,
            (
                *_word_clues(link, around, words, languages, invites=invites),
                *_address_clues(link.url, asked=asked),
                *general,
            ),
        )
        for link, around in zip(links, arounds, strict=True)
    ]
    found = _with_only(_best_of_each_target(findings))
    if invites:
        return _with_meant(found, INVITED)
    return _with_meant(found, MEANT) if _names_account(announced) else found


def _names_account(subject: int) -> bool:
    """Whether a subject asks for something that concerns an account, an address or a password, and nothing else."""
    asks = subject & Kind.ACT and subject & (Kind.PROOF | Kind.SECRET)
    return bool(asks) and not subject & (Kind.OTHER | Kind.NOTICE | Kind.DENY)


def _invites(subject: int, beginning: int) -> bool:
    """Whether a subject, or the words a message begins with, invite; not if it is done, or about something else."""
    if subject & (Kind.NOTICE | Kind.OTHER):
        return False
    return bool(subject & Kind.INVITE) or bool(beginning & Kind.INVITE and not beginning & Kind.NOTICE)


def _arounds(links: Sequence[Link], text: str) -> list[Context]:
    """Read the words around each link, between the one before it and the one behind it."""
    floors = [0, *(link.end for link in links)]
    ceilings = [*(link.start for link in links[1:]), len(text)]
    return [_around(link, text, floor, ceiling) for link, floor, ceiling in zip(links, floors, ceilings, strict=False)]


def _around(link: Link, text: str, floor: int, ceiling: int) -> Context:
    """Read the words around a link; those behind an image are not about it, those of a footnote stand at its mark."""
    around = read_context(text, link.start, link.end, floor=floor, ceiling=ceiling)
    if link.start == link.end:
        return around._replace(after=Part(link.end, link.end), following=Part(link.end, link.end))
    mark = _REFERENCE.match(text[text.rfind("\n", 0, link.start) + 1 : link.start]) if link.written_out else None
    place = text.find(mark[1], 0, link.start) if mark else -1
    if mark is None or text[text.rfind("\n", 0, place) + 1 : place].strip() == "":
        return around
    previous = text.rfind("]", 0, place) + 1
    nothing = Part(link.end, link.end)
    return Context(Part(max(previous, place - REACH), place), nothing, nothing, nothing, alone=False)


def _mail_clues(subject: str, text: str, words: Words, languages: Languages | None) -> Iterator[Clue]:
    kinds = _kinds(subject, languages)
    if kinds & Kind.NOTICE:
        yield NOTICE_AND_MORE if kinds & Kind.ACT else NOTICE
    elif kinds & _ASKING and not kinds & Kind.OTHER:
        yield SUBJECT_ASKS
    elif kinds & Kind.OTHER and (not kinds & _ASKING or _TRADE.search(subject)):
        yield SUBJECT_OTHER
    beginning = kinds_of(words.between(0, _BEGINNING))
    if beginning & _TO_DO:
        yield MAIL_ASKS
    if (kinds | beginning) & Kind.MEETING and not kinds & Kind.ACT:
        yield MEETING
    if _TRADE.search(text, 0, _BEGINNING) if not kinds & _ASKING else kinds & Kind.OTHER and _TRADE.search(subject):
        yield TRADE


def _word_clues(
    link: Link, around: Context, words: Words, languages: Languages | None, *, invites: bool
) -> Iterator[Clue]:
    """Yield what the link's text and the words around it say, in a message that invites to something or does not."""
    shown = _SHOWN_ADDRESS.fullmatch(link.text[:_READ]) is not None
    own = () if shown else find_words(link.text[:_READ], languages)
    kinds = kinds_of(own)
    if clue := _own_clue(link.text[:_READ], own, invites=invites):
        yield clue
    before, lead, after = (kinds_of(words.between(part.start, part.end)) for part in around[:3])
    denied = before & Kind.DENY
    before = before or lead
    if before & _ASKING:
        yield ASKED
    elif after & Kind.ACT:
        yield ASKED_AFTER
    elif before & _avoided(invites=invites) and not kinds & _TO_DO:
        yield AVOIDED_BEFORE
    if denied:
        yield DENIED
    if (kinds | before) & Kind.HERE:
        yield POINTED_AT
    if link.written_out or shown:
        yield WRITTEN_OUT
    if not _ALNUM.search(link.text):
        yield SILENT


def _own_clue(text: str, hits: tuple[Hit, ...], *, invites: bool) -> Clue | None:
    """Return the clue of what the link's own text says."""
    kinds = kinds_of(hits)
    if (
        len(text) <= _YES_OR_NO
        and hits
        and hits[0].kind & (Kind.YES | Kind.NO)
        and not _ALNUM.search(text[: hits[0].start])
    ):
        return ANSWERS_YES if hits[0].kind & Kind.YES else ANSWERS_NO
    unwanted = _avoided(invites=invites) | Kind.DENY | Kind.OTHER
    avoided = kinds_of(_without_names(text, hits, invites=invites)) & unwanted
    if kinds & _TO_DO:
        return ASKS_AND_MORE if avoided else ASKS
    if avoided:
        return AVOIDED
    if kinds & Kind.SECRET:
        return PASSWORD
    return ABOUT_ACCOUNT if kinds & Kind.PROOF else None


def _avoided(*, invites: bool) -> int:
    """Return the kinds of words that nobody has to follow. In an invitation, to view what it is for is to accept."""
    return Kind.AVOID if invites else Kind.AVOID | Kind.VIEW


def _without_names(text: str, hits: tuple[Hit, ...], *, invites: bool) -> tuple[Hit, ...]:
    """Leave out words behind an invitation that are names, for they begin with a capital: `Join Archive`.

    In a message that invites, whatever the link asks to do (`Accept the invitation to Archive`) is that.
    """
    asking = _TO_DO if invites else Kind.INVITE | Kind.JOIN
    invited = next((hit.end for hit in hits if hit.kind & asking), len(text))
    return tuple(hit for hit in hits if hit.start < invited or not text[hit.start : hit.start + 1].isupper())


def _address_clues(url: str, *, asked: bool) -> Iterator[Clue]:
    """Yield what the address itself says, in a message whose subject asks for something or does not."""
    address = parse(url)
    if address is None:
        return
    if address.entrance and not asked:
        yield ENTRANCE
    if address.home:
        yield HOME
    elif not address.path and address.host and not address.asks and not address.hints:
        yield HOME_OF_READER
    if address.avoided or address.social:
        yield AVOIDED_ADDRESS
    elif address.asks:
        yield ADDRESS_ASKS
    elif address.hints:
        yield ADDRESS_HINTS
    yield _owner_clue(address)


def _owner_clue(address: Address) -> Clue:
    """Return the clue of whether an address was made for one reader."""
    if address.owner is Owner.ONE_READER:
        return PERSONAL
    if address.owner is Owner.EVERYONE:
        return IMPERSONAL
    return PERHAPS_PERSONAL if address.asks or address.hints else DOUBTFULLY_PERSONAL


def _with_only(findings: list[Finding]) -> list[Finding]:
    """Credit a link that is the only one made for its reader, and an answer that stands beside its opposite."""
    for sure in (_FOR_ONE_READER, {DOUBTFULLY_PERSONAL}):
        personal = [index for index, finding in enumerate(findings) if sure.intersection(finding.clues)]
        if personal:
            break
    if len(personal) == 1:
        findings[personal[0]] = _with_clue(findings[personal[0]], ONLY)
        if _speaks_for_itself(findings[personal[0]]):
            findings[personal[0]] = _with_clue(findings[personal[0]], SPEAKS_FOR_ITSELF)
    answers = [index for index, finding in enumerate(findings) if ANSWERS_YES in finding.clues]
    if len(answers) == 1 and len(personal) > 1:
        findings[answers[0]] = _with_clue(findings[answers[0]], ONLY_YES)
    return sorted(findings, key=lambda finding: -finding.points)


def _with_meant(findings: list[Finding], clue: Clue) -> list[Finding]:
    """Credit the only link of a message that is made for its reader, leaving out those nobody has to follow."""
    wanted = [each for each in findings if PERSONAL in each.clues and not _NOT_WANTED.intersection(each.clues)]
    if len(wanted) != 1:
        return findings
    found = [_with_clue(each, clue) if each is wanted[0] else each for each in findings]
    return sorted(found, key=lambda finding: -finding.points)


def _speaks_for_itself(finding: Finding) -> bool:
    """Whether an address asks for something in a message whose words say nothing, as in a language without a table."""
    clues = set(finding.clues)
    return {ADDRESS_ASKS, PERSONAL} <= clues and not clues & _READABLE and _ALNUM.search(finding.link.text) is not None


def _with_clue(finding: Finding, clue: Clue) -> Finding:
    return finding._replace(clues=(*finding.clues, clue))


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


def _kinds(text: str, languages: Languages | None) -> int:
    return kinds_of(find_words(text, languages))


def mismatched(link: Link) -> bool:
    """Whether the link shows an address on another host or path than the one it leads to."""
    shown = _SHOWN_ADDRESS.fullmatch(link.text[:_READ])
    target = parse(link.url)
    if shown is None or target is None:
        return False
    shown_host = (shown["any"] or shown["dotted"]).rpartition("@")[2].lower()
    host = shown_host if shown_host.startswith("[") else shown_host.partition(":")[0]
    same_host = host.strip("[]").removeprefix("www.") == target.host.removeprefix("www.")
    path = unquote(shown["path"] or "").partition("?")[0].rstrip("….").rstrip("/")
    return not same_host or not "/".join(("", *target.path)).startswith(path)
