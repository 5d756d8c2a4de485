"""The options of a client: checked before anything is sent, and never repeated in an error if they are secret."""

from __future__ import annotations

import html
import ipaddress
import math
import os
import re
from typing import Final, NoReturn
from urllib.parse import SplitResult, urlsplit

from tempmailg._errors import ConfigurationError

__all__ = [
    "Secret",
    "base_url_of",
    "count_of",
    "is_loopback",
    "key_of",
    "proxy_of",
    "seconds_of",
    "user_agent_of",
]

DEFAULT_BASE_URL: Final = "https://v1.tempmailg.com/api"

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
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
        letters = [_spellings(letter) for letter in self._text]
        beginning = letters[: max(_TELLING, len(letters) // 2)]
        patterns = [re.escape(self._text), "".join(letters), "".join(beginning) + r"\S*"]
        return re.sub("|".join(patterns[: 2 if beginning == letters else 3]), "***", text)


class _HiddenText(str):
    """A header's value that no repr shows: aiohttp keeps it in frames and in errors, which end up in logs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled or copied")


def _spellings(letter: str) -> str:
    """Return a pattern for a character as URLs, HTML and JSON may write it; atomic, so that matching stays linear."""
    code = ord(letter)
    coded = rf"%{code:02x}|\\u{code:04x}|&#{code};|&#x0*{code:x};"
    return rf"(?>(?i:{coded})|{re.escape(html.escape(letter))}|\\?{re.escape(letter)})"


def key_of(api_key: str | None) -> Secret:
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


def base_url_of(base_url: str | None) -> str:
    """Return the URL below which the endpoints stand, without a slash at its end.

    Raises:
        ConfigurationError: It is no https URL (http is accepted on loopback), or holds a query or credentials.
    """
    url = base_url if base_url is not None else os.environ.get("TEMPMAILG_BASE_URL") or DEFAULT_BASE_URL
    parts = _split(url)
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not hold credentials: the API key goes into its own header")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ConfigurationError("base_url must end with its path: no '?' and no '#'")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            "base_url must be https: plain http would show the key to the network (only loopback may)"
        )
    return url.rstrip("/")


def proxy_of(proxy: str | None, what: str = "proxy") -> str | None:
    """Return the URL of an HTTP proxy, or refuse it; its text is not repeated, since it may hold a password."""
    if proxy is not None and _http_url(proxy) is None:
        raise ConfigurationError(f"{what} must be the URL of an HTTP proxy, like 'http://proxy.example:3128'")
    return proxy


def _split(url: str) -> SplitResult:
    parts = _http_url(url)
    if parts is None or not _VISIBLE_ASCII.fullmatch(url):
        raise ConfigurationError(f"base_url must be a URL like {DEFAULT_BASE_URL!r}")
    return parts


def _http_url(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # refuses what no name server could be asked for
    except (ValueError, AttributeError, TypeError):
        return None
    return parts if usable else None


def is_loopback(host: str) -> bool:
    """Return whether a host can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def seconds_of(what: str, value: float) -> float:
    """Return a positive, finite number of seconds, or refuse it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ConfigurationError(f"{what} must be a positive number of seconds, not {value!r}")
    return float(value)


def count_of(what: str, value: int, *, least: int = 0) -> int:
    """Return a whole number that is at least `least`, or refuse it."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{what} must be a whole number of at least {least}, not {value!r}")
    return value


def user_agent_of(user_agent: str | None, default: str) -> str:
    """Return a product name that can stand in a header."""
    if user_agent is None:
        return default
    if not user_agent.isascii() or not user_agent.isprintable() or not user_agent.strip():
        raise ConfigurationError("user_agent must be printable ASCII text")
    return user_agent
