"""The options of a client: checked before anything is sent, and never repeated in an error if they are secret."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import sys
from typing import Final, Literal, NoReturn, SupportsIndex, cast
from urllib.parse import SplitResult, unquote, urlsplit

from attrs import field, frozen

from tempmailg._errors import ConfigurationError

__all__ = [
    "DEFAULT_BASE_URL",
    "BaseUrl",
    "Proxy",
    "Secret",
    "check_count",
    "check_is",
    "check_seconds",
    "check_user_agent",
    "is_loopback",
    "resolve_base_url",
    "resolve_key",
    "resolve_proxy",
]

DEFAULT_BASE_URL: Final = "https://v1.tempmailg.com/api"

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*")
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\](?::[0-9]*)?")  # some releases of Python take more behind the bracket
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_AMBIGUOUS: Final = frozenset("\u00df\u03c2\u200c\u200d")
"""Letters of host names that the two generations of the standard (IDNA 2003 and 2008) send to different hosts."""
_MAX_FLOAT: Final = sys.float_info.max  # whole numbers may be larger
_MAX_AGENT: Final = 256  # characters: servers refuse headers that are far longer
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}

# Written out, since a failure may be that no file can be opened any more: then nothing can be imported either.
_IN_HTML: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}

_TELLING: Final = 12  # characters of a key that are too many to show: fewer can be a prefix that all keys share


class Secret:
    """A text that no repr, format or pickle shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled or copied")

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def as_bearer(self) -> str:
        """Return the value of the `Authorization` header."""
        return _HiddenText(f"Bearer {self._text}")

    def redact(self, text: str) -> str:
        """Return `text` without the secret, in whatever notation a server may echo what it was sent.

        A beginning of the secret goes as well, since a text that was cut short may hold no more of it.
        """
        letters = [_spellings(letter, _IN_HTML.get(letter, letter)) for letter in self._text]
        beginning = letters[: max(_TELLING, len(letters) // 2)]
        patterns = [re.escape(self._text), "".join(letters), "".join(beginning) + r"\S*"]
        return re.sub("|".join(patterns[: 2 if beginning == letters else 3]), "***", text)


class _HiddenText(str):
    """A header's value that no repr shows: aiohttp keeps it in frames and in errors, which end up in logs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __getitem__(self, index: SupportsIndex | slice) -> str:
        return _HiddenText(super().__getitem__(index))  # renderers of tracebacks cut texts before they show them

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled or copied")


def _spellings(letter: str, in_html: str) -> str:
    """Return a pattern for a character as URLs, HTML and JSON may write it; atomic, so that matching stays linear."""
    code = ord(letter)
    coded = rf"%{code:02x}|\\u{code:04x}|&#{code};|&#x0*{code:x};"
    return rf"(?>(?i:{coded})|{re.escape(in_html)}|\\?{re.escape(letter)})"


def resolve_key(api_key: str | None) -> Secret:
    """Return the key given, or that of the environment.

    Raises:
        ConfigurationError: There is none, or it cannot stand in a header. The text does not repeat it.
    """
    key = api_key if api_key is not None else os.environ.get("TEMPMAILG_API_KEY")
    if key is None:
        raise ConfigurationError(
            "no API key: pass api_key=… or set TEMPMAILG_API_KEY (the service's API management page makes one)"
        )
    if not isinstance(key, str):
        raise ConfigurationError(f"api_key must be text, not {type(key).__name__}")
    if not key:
        raise ConfigurationError("the API key is empty: check api_key=… or TEMPMAILG_API_KEY")
    if not _VISIBLE_ASCII.fullmatch(key):
        raise ConfigurationError(
            "the API key holds a space, a line end or another character that no key has: copy it again, alone"
        )
    return Secret(key)


@frozen
class BaseUrl:
    """The URL below which the endpoints stand, parsed once: everything reads this value.

    Args:
        scheme: Decides on encryption.
        host: In lower case and ASCII (IDNA); an IPv6 address without brackets.
        port: The port, the scheme's own if the URL names none.
        path: Percent-encoded, without a slash at its end.
    """

    scheme: Literal["https", "http"]
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}"

    @property
    def is_encrypted(self) -> bool:
        """Whether what is sent there cannot be read on its way."""
        return self.scheme == "https"

    @property
    def netloc(self) -> str:
        """Host and port as a URL writes them, the scheme's own port left out."""
        return _netloc(self.scheme, self.host, self.port)


@frozen
class Proxy:
    """An HTTP proxy.

    Args:
        url: Where it is, without credentials.
        host: The host in it.
        authorization: The value of `Proxy-Authorization`, or None; no repr shows it.
    """

    url: str
    host: str
    authorization: str | None = field(default=None, repr=False)


def resolve_base_url(base_url: str | None) -> BaseUrl:
    """Return the URL given, or that of the environment, or the service's own, in its one normal form.

    Raises:
        ConfigurationError: It is no https URL (http is accepted on loopback), or holds a query or credentials.
    """
    url = base_url if base_url is not None else os.environ.get("TEMPMAILG_BASE_URL") or DEFAULT_BASE_URL
    parts = _split(url)
    host = "" if parts is None else _host_of(parts)
    if parts is None or not host or not _PATH.fullmatch(parts.path) or _has_dot_segment(parts.path):
        raise ConfigurationError(f"base_url must be a URL like {DEFAULT_BASE_URL!r}")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not hold credentials: the API key goes into its own header")
    if "?" in url or "#" in url:
        raise ConfigurationError("base_url must end with its path: no '?' and no '#'")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationError(
            "base_url must be https: plain http would show the key to the network (only loopback may)"
        )
    scheme = cast("Literal['https', 'http']", parts.scheme)
    return BaseUrl(scheme, host, parts.port or _DEFAULT_PORTS[scheme], parts.path.rstrip("/"))


def resolve_proxy(proxy: str | None, what: str = "proxy") -> Proxy | None:
    """Return an HTTP proxy, or refuse it; its URL is not repeated, since it may hold a password."""
    if proxy is None:
        return None
    parts = _split(proxy)
    host = "" if parts is None else _host_of(parts)
    if parts is None or not host:
        raise ConfigurationError(f"{what} must be the URL of an HTTP proxy, like 'http://proxy.example:3128'")
    url = f"{parts.scheme}://{_netloc(parts.scheme, host, parts.port or _DEFAULT_PORTS[parts.scheme])}"
    return Proxy(url, host, _basic(parts))


def _netloc(scheme: str, host: str, port: int) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port == _DEFAULT_PORTS[scheme] else f"{bracketed}:{port}"


def _basic(parts: SplitResult) -> str | None:
    if parts.username is None and parts.password is None:
        return None
    credentials = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return _HiddenText("Basic " + base64.b64encode(credentials.encode()).decode())


def _split(url: object) -> SplitResult | None:
    """Return the parts of an http or https URL, or None."""
    if not isinstance(url, str) or not url.isprintable() or " " in url:  # urlsplit would drop what is not printable
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _DEFAULT_PORTS and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _host_of(parts: SplitResult) -> str:
    """Return the host of a URL in lower case and ASCII, or nothing if no machine can have that name."""
    host = parts.hostname or ""
    authority = parts.netloc.rpartition("@")[2]
    if "[" in authority:
        return _ipv6(host) if _BRACKETED.fullmatch(authority) else ""
    if _AMBIGUOUS & set(host):
        return ""
    try:
        host = (host if host.isascii() else host.encode("idna").decode()).lower()
    except UnicodeError:
        return ""
    labels = host.removesuffix(".").split(".")
    if not all(map(_LABEL.fullmatch, labels)) or len(host) > 253:
        return ""
    return _ipv4(host) if _NUMBER.fullmatch(labels[-1]) else host  # no name ends with a number


def _ipv6(host: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        return ""


def _ipv4(host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:  # 127.1, 0x7f.1: some resolvers read them, others do not
        return ""


def _has_dot_segment(path: str) -> bool:
    return any(unquote(segment) in (".", "..") or not unquote(segment).isprintable() for segment in path.split("/"))


def is_loopback(host: str) -> bool:
    """Return whether a host can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_seconds(what: str, value: float) -> float:
    """Return a positive, finite number of seconds, or refuse it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= _MAX_FLOAT:
        raise ConfigurationError(f"{what} must be a positive number of seconds, not {value!r}")
    return float(value)


def check_count(what: str, value: int, *, least: int = 0) -> int:
    """Return a whole number that is at least `least`, or refuse it."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{what} must be a whole number of at least {least}, not {value!r}")
    return value


def check_is(what: str, given: object, kind: type) -> None:
    """Refuse an object of another kind, but not None: its first use would fail without saying what is wrong.

    Raises:
        ConfigurationError: It is one of another kind.
    """
    if given is not None and not isinstance(given, kind):
        raise ConfigurationError(f"{what} must be an {kind.__module__}.{kind.__name__}, not {type(given).__name__}")


def check_user_agent(user_agent: str | None, default: str) -> str:
    """Return a product name that can stand in a header."""
    if user_agent is None:
        return default
    is_text = isinstance(user_agent, str)  # pyright: ignore[reportUnnecessaryIsInstance] - not every program is checked
    if not is_text or not user_agent.isascii() or not user_agent.isprintable() or not user_agent.strip():
        raise ConfigurationError("user_agent must be printable ASCII text")
    if len(user_agent) > _MAX_AGENT:
        raise ConfigurationError(f"user_agent must have at most {_MAX_AGENT} characters, not {len(user_agent)}")
    return user_agent
