"""Addresses: what the parts of a link's target are, and what they say.

An address is read once into a value of its own: host, path segments, parameters, and the route that single-page
applications keep behind the `#`. Each part is either words ("reset-password"), or something made for one reader (a
token), or neither. Words are only searched for in what are words, so that the random letters of a token never count.
Tokens are recognised by length and alphabet alone, so that one token is worth as much as any other of its shape.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_READ = 2_000
"""Characters of an address that are read."""

_MAX_PARTS = 40
"""Segments, and parameters, that are read."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,30}+):", re.IGNORECASE)

_PARTS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{0,30}+):(?://(?P<authority>[^/?#]*+))?+(?P<path>[^?#]*+)(?:\?(?P<query>[^#]*+))?+(?:#(?P<fragment>.*+))?+",
    re.IGNORECASE | re.DOTALL,
)

_ACTIONS = re.compile(
    r"verif|confirm|activ(?:at|er)|validat|reset|recover|magic|passwordless|onetime|unlock|approv|optin|oobcode|authoriz|authoris"
    r"|invit|enrollaccount|\Aaccept"
)
_HINTS = re.compile(
    r"signin|login|logon|token|invit|accept|regist|signup|passw|callback|session|ticket|welcome|onboard|enroll|complete"
    r"|\A(?:auth|pw|pwd|otp|nonce|join|claim|setup|finish)"
)

_SOCIAL = re.compile(
    r"(?:\A|\.)(?:facebook|twitter|instagram|linkedin|youtube|tiktok|pinterest|medium|threads)\.(?:com|net)\Z"
    r"|\A(?:www\.)?(?:x\.com|t\.me|youtu\.be|discord\.gg|bsky\.app|mastodon\.social|wa\.me)\Z"
    r"|\A(?:play\.google|apps\.apple|itunes\.apple)\.com\Z|\Amaps\.google\."
)
_FILE = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|css|ico|pdf|ics|zip|csv|docx?|xlsx?)\Z", re.IGNORECASE)
_PAGE = re.compile(r"\.(?:html?|php|aspx?|jsp|cgi|pl|do|action)\Z", re.IGNORECASE)

_CAMPAIGN = re.compile(
    r"(?:utm_\w+|ref|referrer|source|src|campaign|lang|language|locale|hl|mc_cid|fbclid|gclid|brand|theme|client_id|app|tab|page"
    r"|next|redirect|redirect_?(?:to|uri|url)|return_?(?:to|url)?|continue|continue_?url|callback_?url|success_?url|from|origin|api_?key|type|mode"
    r"|action|method|step|lc|country|region|currency|expires?|expiry|until|exp)\Z",
    re.IGNORECASE,
)
"""Parameters whose values are the same for many readers."""
_SECRET_NAMES = re.compile(
    r"(?:\w{0,24}(?:token|code|secret|signature|ticket|nonce|hash|otp|hmac)|k|t|c|h|s|sig|key|\w{1,24}key|jwt|uid|uuid|guid|invite|invitation|verify|confirmation)\Z",
    re.IGNORECASE,
)

_ENTRANCE = re.compile(r"(?:log|sign)[-_]?[io]n", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SEPARATORS = re.compile(r"[-_.~+ ]+")
_WORD = re.compile(r"[A-Za-z]?[a-z]+|[A-Z]+")
_HEX = re.compile(r"[0-9a-fA-F-]{6,}\Z")
_LONG_LETTERS = 16
"""Letters in a row from which a segment is no word of any language."""
_LONGEST_PHRASE = 200
"""Characters from which a part of an address is no words."""
_SHORT_TOKEN = 5
_LONG_NUMBER = 5
_MIN_VALUE = 3


@cache
def _table() -> dict[str, frozenset[str]]:
    """Read the words of addresses: `kind = word, word`; other lines are comments."""
    source = Path(__file__).with_name("addresses.txt").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for line in source.splitlines():
        kind, equals, words = line.partition(" = ")
        if equals:
            found.setdefault(kind, []).extend(words.split(", "))
    return {kind: frozenset(words) for kind, words in found.items()}


class Owner(IntEnum):
    """How sure it is that an address was made for one reader."""

    EVERYONE = 0
    PERHAPS = 1
    ONE_READER = 2


class Address(NamedTuple):
    """A link's target, taken apart."""

    scheme: str
    host: str
    """In lower case, without port and user name; empty in the addresses of apps without one."""
    path: tuple[str, ...]
    """The segments of the path, and of the route in the fragment, decoded."""
    parameters: tuple[tuple[str, str], ...]
    """Names and values, those of the route in the fragment included."""
    home: bool
    """Whether it leads to a home page: no path, no parameter."""
    words: tuple[str, ...]
    """The words of the path and of parameters that hold words, in lower case, each segment's apart and joined."""

    @property
    def social(self) -> bool:
        """Whether it leads to a social network, a shop for apps or a map."""
        return _SOCIAL.search(self.host) is not None

    @property
    def asks(self) -> bool:
        """Whether a word of it asks for something: verify, confirm, reset."""
        return any(map(_ACTIONS.search, self.words))

    @property
    def hints(self) -> bool:
        """Whether a word of it speaks of an account: login, invitation, token."""
        names = (name.lower() for name, _ in self.parameters)
        return any(map(_HINTS.search, self.words)) or any(map(_HINTS.search, names))

    @property
    def avoided(self) -> bool:
        """Whether a word of it is that of a link that nobody has to follow, or of a file."""
        words = set(self.words)
        if words & _table()["avoided"] or (self.path and _FILE.search(self.path[-1])):
            return True
        return bool(words & _table()["beside"]) and not (self.asks or self.hints)

    @property
    def entrance(self) -> bool:
        """Whether it is the page where everybody signs in, by its name and by the names of what it carries."""
        if not self.path or _ENTRANCE.fullmatch(self.path[-1]) is None:
            return False
        return not any(_SECRET_NAMES.match(name) for name, _ in self.parameters)

    @property
    def owner(self) -> Owner:
        """How sure it is that the address was made for one reader, by the shape of its parts."""
        kinds = [_value_owner(name, value) for name, value in self.parameters]
        kinds += map(_segment_owner, self.path)
        return max(kinds, default=Owner.EVERYONE)


@lru_cache(maxsize=128)
def parse(url: str) -> Address | None:
    """Take an address apart, or return None where it is none that leads anywhere."""
    found = _parts(url)
    if found is None:
        return None
    scheme, authority = found["scheme"].lower(), found["authority"]
    route, route_query = _route(found["fragment"] or "")
    path, host = found["path"], _host(authority or "")
    if scheme not in {"http", "https"}:
        path, host = f"{authority or ''}/{path}", ""
    segments = tuple(unquote(part) for part in f"{path}/{route}".split("/", _MAX_PARTS) if part)
    parameters = (*_parameters(found["query"] or ""), *_parameters(route_query))[:_MAX_PARTS]
    words = tuple(word for part in _speaking(segments, parameters) for word in _words(part))
    return Address(scheme, host, segments, parameters, not segments and not parameters, words)


def _parts(url: str) -> re.Match[str] | None:
    """Match the parts of an address that leads somewhere."""
    found = _PARTS.match(url[:_READ])
    if found is None or found["scheme"].lower() in _table()["never"]:
        return None
    if found["scheme"].lower() in {"http", "https"}:
        return found if found["authority"] else None
    return found if found["authority"] is not None or found["path"].startswith("/") else None


def _speaking(path: tuple[str, ...], parameters: tuple[tuple[str, str], ...]) -> Iterator[str]:
    """Yield the parts of an address that may hold words."""
    yield from path
    for name, value in parameters:
        if name.lower() in _table()["saying"]:
            yield value
        elif name.lower() == "oobcode":
            yield name


def leads(url: str) -> bool:
    """Whether an address is one that a link may lead to."""
    return _SCHEME.match(url) is not None and _parts(url) is not None


def _host(authority: str) -> str:
    host = authority.rpartition("@")[2].lower()
    return host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]


def _route(fragment: str) -> tuple[str, str]:
    """Return path and parameters that stand behind the `#`; the name of a place on a page is neither."""
    if fragment.startswith(("/", "!")):
        path, _, query = fragment.lstrip("!").partition("?")
        return path, query
    return ("", fragment) if "=" in fragment else ("", "")


def _parameters(query: str) -> Iterator[tuple[str, str]]:
    for pair in re.split("[&;]", query) if query else ():
        name, equals, value = pair.partition("=")
        if name or value:
            yield (unquote(name), unquote(value)) if equals else ("", unquote(name))


def _words(segment: str) -> list[str]:
    """Return the words of a segment, first apart and then joined; none where it is no words."""
    if len(segment) < _LONG_LETTERS and segment.isalpha() and segment.islower():
        return [segment]
    if len(segment) > _LONGEST_PHRASE:
        return []
    pieces = [piece for part in _SEPARATORS.split(_PAGE.sub("", segment)) for piece in _CAMEL.split(part) if piece]
    if not pieces or not all(map(_WORD.fullmatch, pieces)):
        return []
    if sum(map(len, pieces)) < _MIN_VALUE * len(pieces) or max(map(len, pieces)) >= 2 * _LONG_LETTERS:
        return []
    lower = [piece.lower() for piece in pieces]
    if len(segment) >= _LONG_LETTERS and not _known(lower):
        return []
    return [*lower, "".join(lower)] if len(lower) > 1 else lower


def _known(words: Iterable[str]) -> bool:
    table = _table()
    return all(
        word in table["known"]
        or word in table["beside"]
        or word in table["avoided"]
        or _ACTIONS.match(word)
        or _HINTS.match(word)
        for word in words
    )


def _segment_owner(segment: str) -> Owner:
    """Return whether a segment of a path is a token, perhaps one, or words."""
    bare = _PAGE.sub("", segment)
    parts = _SEPARATORS.split(bare) if len(bare) <= _LONGEST_PHRASE else [bare]
    pieces = [piece.lower() for part in parts for piece in _CAMEL.split(part) if piece]
    if not pieces or _known(pieces):
        return Owner.EVERYONE
    if bare.isdigit():
        return Owner.ONE_READER if len(bare) >= _LONG_NUMBER else Owner.EVERYONE
    if _HEX.match(bare) and any(map(str.isdigit, bare)):
        return Owner.ONE_READER
    if any(map(str.isdigit, bare)) and any(map(str.isalpha, bare)):
        return Owner.EVERYONE if len(bare) < _SHORT_TOKEN else Owner.PERHAPS if _slug(bare) else Owner.ONE_READER
    return _letters_owner(bare) if bare.isalpha() and bare.isascii() else _phrase_owner(bare)


def _letters_owner(letters: str) -> Owner:
    """Return whether letters alone are a token: long, or capitals in their middle; else perhaps."""
    if len(letters) >= _LONG_LETTERS:
        return Owner.ONE_READER
    capitals = not (letters.islower() or letters.isupper() or letters.istitle())
    return Owner.ONE_READER if capitals and len(letters) >= 2 * _MIN_VALUE else Owner.PERHAPS


def _phrase_owner(segment: str) -> Owner:
    """Return whether letters with marks between them are a token: long, and not made of words; else perhaps."""
    pieces = [piece for piece in _SEPARATORS.split(segment) if piece]
    longest = max(map(len, pieces), default=0)
    words = sum(map(len, pieces)) >= _MIN_VALUE * len(pieces) and longest < _LONG_LETTERS
    return Owner.PERHAPS if words or len(segment) < _LONG_LETTERS else Owner.ONE_READER


def _slug(segment: str) -> bool:
    """Whether a segment is the heading of a page (`10-tips-for-spring`) or a name with a number (`q3-plans`)."""
    pieces = [piece for piece in _SEPARATORS.split(segment) if piece]
    words = [piece for piece in pieces if piece.isalpha() and (piece.islower() or piece.istitle())]
    if len(pieces) == 1 or len(words) < len(pieces) - 1:
        return False
    of_a_name = len(segment) < _LONG_LETTERS and max(map(len, words)) > _SHORT_TOKEN
    return of_a_name or len("".join(words)) >= 2 * _SHORT_TOKEN


def _value_owner(name: str, value: str) -> Owner:
    """Return whether a parameter holds something made for one reader."""
    if _CAMPAIGN.match(name) or not value:
        return Owner.EVERYONE
    if _SECRET_NAMES.match(name):
        return Owner.ONE_READER
    if any(map(str.isdigit, value)):
        return Owner.ONE_READER if len(value) >= _MIN_VALUE else Owner.PERHAPS
    return Owner.ONE_READER if len(value) >= _LONG_LETTERS // 2 else Owner.PERHAPS
