"""From a request on the wire to the answer: routes, keys, quota, faults and the journal. Pure: no I/O.

The HTTP door and the in-process transport both call `Service.handle`, so that they cannot differ.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from tempmailg.sandbox._answers import Answer, Refusal, error_answer
from tempmailg.sandbox._faults import Faults
from tempmailg.sandbox._handlers import ENDPOINTS, ApiRequest, EndpointRoute
from tempmailg.sandbox._mail import BytesBlob
from tempmailg.sandbox._routes import Match, Routes
from tempmailg.sandbox._state import QUOTA_ZONE, SandboxFullError

if TYPE_CHECKING:
    from tempmailg.sandbox._faults import Fault
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


class Service:
    """Answers requests from a state.

    Args:
        state: What the sandbox knows.
        base_url: What the URLs of attachments begin with.
        etags: Whether answers carry ETags and honour If-None-Match and Range; the API promises neither.
        endpoints: The endpoints that it plays; faults can be scripted for these and no others.
    """

    def __init__(
        self, state: State, *, base_url: str, etags: bool, endpoints: Sequence[EndpointRoute] = ENDPOINTS
    ) -> None:
        self.state = state
        self.base_url = base_url
        self.etags = etags
        self.faults: Faults = Faults(route.name for route in endpoints)
        self.journal: deque[JournalEntry] = deque(maxlen=state.limits.journal)
        self._routes = Routes(endpoints, what="route")

    def handle(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        """Answer one request.

        Args:
            method: The HTTP method.
            target: Path and query below the base URL, as they stand on the wire.
            headers: The request's headers, found in any case.

        Returns:
            The answer, with whatever fault was scripted for it.
        """
        with self.state.lock:
            try:
                match = self._routes.find(method, target)
            except Refusal as refusal:
                return self._record(method, target, headers, refusal.answer)
            fault = self.faults.take(match.route.name)
            answer = fault.apply(lambda: self._answer(match, headers)) if fault else self._answer(match, headers)
            return self._record(method, target, headers, answer, match, fault)

    def options(self, target: str) -> Answer:
        """Say which methods a path answers, to a browser that asks before it sends a page's request."""
        try:
            methods = [*self._routes.methods(target), "OPTIONS"]
        except Refusal as refusal:
            return refusal.answer
        return Answer(204, (("Allow", ", ".join(methods)),), BytesBlob(b""))

    def _answer(self, match: Match[EndpointRoute], headers: Mapping[str, str]) -> Answer:
        key = _bearer(headers)
        account = self.state.account(key)
        if account is None:
            return error_answer(401, "The API key is missing or unknown.", ("WWW-Authenticate", "Bearer"))
        request = ApiRequest(self.state, key, account, match.arguments, headers, self.base_url, self.etags)
        answer = _granted(match.route, request) if account.remaining else error_answer(429, "The quota is used up.")
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

    def _record(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        answer: Answer,
        match: Match[EndpointRoute] | None = None,
        fault: Fault | None = None,
    ) -> Answer:
        """Enter a request into the journal, and date its answer."""
        now = self.state.clock.utcnow()
        entry = JournalEntry(
            at=now,
            method=method,
            target=target,
            endpoint=match.route.name if match else "",
            arguments=match.arguments if match else {},
            status=answer.status,
            fault=fault.kind if fault else "",
            headers={name.lower(): value for name, value in headers.items() if name.lower() != "authorization"},
        )
        self.journal.append(entry)
        return evolve(answer, headers=(*answer.headers, ("Date", format_datetime(now, usegmt=True))))


def _granted(endpoint: EndpointRoute, request: ApiRequest) -> Answer:
    try:
        return endpoint.handler(request)
    except Refusal as refusal:
        return refusal.answer
    except SandboxFullError as error:
        return error_answer(503, f"{error}")


def _bearer(headers: Mapping[str, str]) -> str:
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
