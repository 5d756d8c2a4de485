"""A transport that answers from a script, in virtual time, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict

from tempmailg import APITimeoutError
from tempmailg.transport import Response

if TYPE_CHECKING:
    from tempmailg.transport import Request

Step = Response | Exception | Callable[["ScriptedTransport"], "Response"]


def answer(
    payload: object = None, *, status: int = 200, headers: dict[str, str] | None = None, body: bytes | None = None
) -> Response:
    """Return an answer whose body is `payload` as JSON, or `body` as it is."""
    return Response(status, CIMultiDict(headers or {}), json.dumps(payload).encode() if body is None else body)


def refusal(status: int, **headers: str) -> Response:
    """Return an error answer as the API's reference assumes them."""
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer({"status": False, "message": "no"}, status=status, headers=spelled)


class ScriptedTransport:
    """Gives one scripted answer (or raises one scripted error) a request; the last one repeats."""

    api_key: None = None

    def __init__(self, *steps: Step, seconds_each: float = 0.0, chance: float = 1.0) -> None:
        self.steps = list(steps)
        self.seconds_each = seconds_each
        self.chance = chance
        self.requests: list[Request] = []
        self.timeouts: list[float] = []
        self.sleeps: list[float] = []
        self.closed = 0
        self.time = 1_000.0

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        self.requests.append(request)
        self.timeouts.append(timeout)
        if self.seconds_each >= timeout:
            self.time += timeout
            raise APITimeoutError("too slow", sent=True)
        self.time += self.seconds_each
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Response) else step(self)

    async def stream(self, request: Request, *, timeout: float) -> Any:
        response = await self.request(request, timeout=timeout, max_bytes=0)
        return ScriptedStream(response)

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds

    def now(self) -> float:
        return self.time

    def utcnow(self) -> datetime:
        return datetime(2026, 6, 28, tzinfo=UTC) + timedelta(seconds=self.time)

    def random(self) -> float:
        return self.chance

    async def aclose(self) -> None:
        self.closed += 1


class ScriptedStream:
    """A scripted answer whose body arrives in pieces."""

    def __init__(self, response: Response, piece: int = 7) -> None:
        self.status = response.status
        self.headers = response.headers
        self._pieces = [response.body[at : at + piece] for at in range(0, len(response.body), piece)]
        self.closed = False

    async def read(self, timeout: float) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def close(self) -> None:
        self.closed = True
