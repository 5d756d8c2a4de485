"""Which requests come from whom the sandbox is for: programs of this machine, and pages of this machine. Pure.

A browser lets pages of any origin send requests to any port of its machine. What it says of them (Host, Origin,
Sec-Fetch-Site) keeps foreign pages out; pages of this machine may use the API across ports (CORS), as they would use
the service.
"""

from __future__ import annotations

from binascii import a2b_base64
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tempmailg._settings import is_loopback
from tempmailg.sandbox._answers import Answer, error_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["API", "CONTROL", "Guard", "shown_key"]

API: Final = "/api/"
CONTROL: Final = "/_sandbox/"
_METHODS: Final = "DELETE, GET, OPTIONS, POST"

_READABLE: Final = (
    "Content-Disposition, Content-Range, Date, ETag, Retry-After, "
    "X-RateLimit-Limit, X-RateLimit-Used, X-RateLimit-Remaining, X-RateLimit-Reset"
)
_SENDABLE: Final = "Accept, Authorization, Content-Type, If-None-Match, If-Range, Range"


def shown_key(headers: Mapping[str, str]) -> str:
    """Return the key that a request brings, or nothing: as programs send it (Bearer), or browsers (Basic's password).

    Args:
        headers: The request's headers, found in any case.
    """
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return a2b_base64(credentials.encode()).decode().partition(":")[2]
    except ValueError:
        return ""


class Guard:
    """Refuses requests of foreign pages.

    Args:
        is_remote: Whether other machines may come: such a sandbox has names that it cannot know, and its key keeps
            strangers out.
        names: Further names under which it may be addressed.
    """

    def __init__(self, *, is_remote: bool, names: Iterable[str]) -> None:
        self._is_remote = is_remote
        self._names = frozenset(names)

    def refusal(self, target: str, headers: Mapping[str, str]) -> Answer | None:
        """Return the answer to a request that a foreign page may have sent, or None.

        Args:
            target: Path and query.
            headers: The request's headers, found in any case.
        """
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if not self._is_remote and not self._is_ours(f"//{host}"):
            return error_answer(
                421, "The sandbox answers to its own address only; allow_hosts names further ones for the Host header."
            )
        if origin is not None and not self._is_allowed(origin, host):
            return error_answer(403, "The sandbox takes no requests from pages of other origins.")
        if not target.startswith(API) and headers.get("Sec-Fetch-Site", "").lower() == "cross-site":
            return error_answer(403, "The control routes take no requests from pages of other sites.")
        return None

    def cors_headers(self, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return the headers that let a page of this machine read an answer of the API (the Fetch standard's CORS).

        Args:
            headers: The request's headers, found in any case.
        """
        origin = headers.get("Origin")
        if origin is None or not self._is_allowed(origin, headers.get("Host", "")):
            return ()
        allowed = (("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))
        if "Access-Control-Request-Method" not in headers:
            return (*allowed, ("Access-Control-Expose-Headers", _READABLE))
        return (
            *allowed,
            ("Access-Control-Allow-Methods", _METHODS),
            ("Access-Control-Allow-Headers", _SENDABLE),
            ("Access-Control-Max-Age", "600"),
        )

    def _is_allowed(self, origin: str, host: str) -> bool:
        return self._is_ours(origin) or (self._is_remote and origin == f"http://{host}")

    def _is_ours(self, url: str) -> bool:
        try:
            name = urlsplit(url).hostname or ""
        except ValueError:
            return False
        return is_loopback(name) or name in self._names
