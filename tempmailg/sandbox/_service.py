"""From a request on the wire to the answer: routes, keys, quota, faults and the journal. Pure: no I/O.

The HTTP door and the in-process transport both call `Service.handle`, so that they cannot differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote_to_bytes

from attrs import evolve, field, frozen

from tempmailg.sandbox._answers import Answer, error_answer
from tempmailg.sandbox._faults import Faults
from tempmailg.sandbox._handlers import ENDPOINTS, Ask, EndpointRoute, Refusal
from tempmailg.sandbox._state import QUOTA_ZONE, SandboxFullError

if TYPE_CHECKING:
    from tempmailg.sandbox._state import Account, State

__all__ = ["JournalEntry", "Service"]


@frozen
class JournalEntry:
    """One request that the sandbox answered.

    Args:
        at: When, by the sandbox's clock.
        method: The HTTP method.
        target: Path and query below the base URL, as they stood on the wire.
        endpoint: The endpoint's name; empty for a route that does not exist.
        arguments: What the endpoint received, decoded.
        status: The answer's status.
        fault: The kind of fault that happened to it; empty if none.
        headers: The request's headers under lower-case names, without the key.
    """

    at: datetime
    method: str
    target: str
    endpoint: str
    arguments: Mapping[str, str]
    status: int
    fault: str = ""
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)


@frozen
class _Route:
    """Where a request goes: to an endpoint with its arguments, or straight to a refusal."""

    endpoint: EndpointRoute | None
    arguments: Mapping[str, str]
    refusal: Answer | None = None


class Service:
    """Answers requests from a state.

    Args:
        state: What the sandbox knows.
        base_url: What the URLs of attachments begin with.
        etags: Whether answers carry ETags and honour If-None-Match and Range; the API promises neither.
    """

    def __init__(self, state: State, *, base_url: str, etags: bool) -> None:
        self.state = state
        self.base_url = base_url
        self.etags = etags
        self.faults: Faults = Faults()
        self.journal: deque[JournalEntry] = deque(maxlen=state.limits.journal)

    def handle(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        """Answer one request.

        Args:
            method: The HTTP method.
            target: Path and query below the base URL, as they stand on the wire.
            headers: The request's headers, looked up in any case.

        Returns:
            The answer, with whatever fault was scripted for it.
        """
        with self.state.lock:
            route = _route(method, target)
            name = route.endpoint.name if route.endpoint else ""
            fault = self.faults.take(name) if name else None
            answer = fault.apply(lambda: self._answer(route, headers)) if fault else self._answer(route, headers)
            now = self.state.clock.utcnow()
            told = {name.lower(): value for name, value in headers.items() if name.lower() != "authorization"}
            kind = fault.kind if fault else ""
            self.journal.append(JournalEntry(now, method, target, name, route.arguments, answer.status, kind, told))
            return evolve(answer, headers=(*answer.headers, ("Date", format_datetime(now, usegmt=True))))

    def _answer(self, route: _Route, headers: Mapping[str, str]) -> Answer:
        if route.endpoint is None:
            return route.refusal or _NO_ROUTE
        key = _bearer(headers)
        account = self.state.account(key)
        if account is None:
            return error_answer(401, "The API key is missing or unknown.", ("WWW-Authenticate", "Bearer"))
        ask = Ask(self.state, key, account, route.arguments, headers, self.base_url, self.etags)
        answer = _granted(route.endpoint, ask) if account.remaining else error_answer(429, "The quota is used up.")
        if 200 <= answer.status < 300:
            account.used += 1
        return evolve(answer, headers=(*answer.headers, *self._quota(account)))

    def _quota(self, account: Account) -> tuple[tuple[str, str], ...]:
        resets_at = datetime.fromtimestamp(self.state.resets_at, QUOTA_ZONE)
        return (
            ("X-RateLimit-Limit", str(account.limit)),
            ("X-RateLimit-Used", str(account.used)),
            ("X-RateLimit-Remaining", str(account.remaining)),
            ("X-RateLimit-Reset", resets_at.isoformat(timespec="seconds")),
        )


def _granted(endpoint: EndpointRoute, ask: Ask) -> Answer:
    try:
        return endpoint.handler(ask)
    except Refusal as refusal:
        return refusal.answer
    except SandboxFullError as error:
        return error_answer(503, f"{error}")


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _route(method: str, target: str) -> _Route:
    path, _, query = target.partition("?")
    try:
        segments = tuple(unquote_to_bytes(segment).decode() for segment in path.split("/")[1:])
    except UnicodeDecodeError:
        return _Route(None, {}, error_answer(400, "The path is not UTF-8."))
    methods = _methods(segments)
    if methods is None:
        return _Route(None, {}, _NO_ROUTE)
    endpoint = methods.get(method)
    if endpoint is None:
        allowed = ", ".join(sorted(methods))
        return _Route(None, {}, error_answer(405, f"This route answers {allowed}.", ("Allow", allowed)))
    return _Route(endpoint, _arguments(endpoint, segments, query))


def _arguments(endpoint: EndpointRoute, segments: tuple[str, ...], query: str) -> dict[str, str]:
    template = endpoint.path.split("/")[1:]
    arguments = {name[1:-1]: value for name, value in zip(template, segments, strict=True) if name.startswith("{")}
    if endpoint.query:
        asked = dict(parse_qsl(query, keep_blank_values=True))
        arguments.update((name, asked[name]) for name in endpoint.query if name in asked)
    return arguments


def _template(path: str) -> tuple[str | None, ...]:
    """Return a path's segments, None for a parameter."""
    return tuple(None if segment.startswith("{") else segment for segment in path.split("/")[1:])


def _methods(segments: tuple[str, ...]) -> Mapping[str, EndpointRoute] | None:
    """Return what a path answers to."""
    for template, methods in _ROUTES.items():
        if len(template) == len(segments) and all(
            fixed in (None, segment) for fixed, segment in zip(template, segments, strict=True)
        ):
            return methods
    return None


_NO_ROUTE: Final = error_answer(404, "There is no such route.")
_ROUTES: Final[dict[tuple[str | None, ...], dict[str, EndpointRoute]]] = {}
for _endpoint in ENDPOINTS:
    _ROUTES.setdefault(_template(_endpoint.path), {})[_endpoint.method] = _endpoint
