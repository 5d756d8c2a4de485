"""The in-process door: a client's transport made of the service itself, with no socket and no real time."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from multidict import CIMultiDict, CIMultiDictProxy

from tempmailg._errors import APIConnectionError, APIResponseError, APITimeoutError, IncompleteResponseError
from tempmailg.sandbox._answers import pieces
from tempmailg.transport import Request, Response

if TYPE_CHECKING:
    from datetime import datetime

    from tempmailg.sandbox._answers import Answer, Delivery
    from tempmailg.sandbox._clock import Clock
    from tempmailg.sandbox._service import Service

__all__ = ["InProcessTransport"]


class InProcessTransport:
    """Moves a client's requests into a sandbox of the same process, on the sandbox's clock."""

    def __init__(self, service: Service, *, api_key: str, base_url: str, seed: int) -> None:
        self._service = service
        self._clock = service.state.clock
        self._chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.api_key = api_key
        self.base_url = base_url

    def __repr__(self) -> str:
        return f"<InProcessTransport on {self._clock!r}>"

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        """Have the sandbox answer a request."""
        deadline = self.now() + timeout
        stream = await self.stream(request, timeout=timeout)
        body = bytearray()
        while chunk := await stream.read(deadline - self.now()):
            body += chunk
            if len(body) > max_bytes:
                raise APIResponseError(f"the answer is longer than {max_bytes} bytes", status=stream.status)
        return Response(stream.status, stream.headers, bytes(body))

    async def stream(self, request: Request, *, timeout: float) -> _Stream:
        """Have the sandbox answer a request, the body in pieces."""
        if timeout <= 0:
            raise APITimeoutError("the deadline passed before anything was sent", sent=False)
        self._clock.stir()
        await asyncio.sleep(0)  # a request over a network lets others run, too
        answer = self._service.handle(request.method, request.target, CIMultiDict(request.headers))
        delivery = answer.delivery
        await _wait(self._clock, delivery.delay, timeout)
        if delivery.after == -1:
            await _break_off(self._clock, delivery, timeout - delivery.delay)
        return _Stream(self._clock, answer)

    async def sleep(self, seconds: float) -> None:
        """Wait on the sandbox's clock."""
        await self._clock.sleep(seconds)

    def now(self) -> float:
        """Return the sandbox's monotonic time, in seconds."""
        return self._clock.monotonic()

    def utcnow(self) -> datetime:
        """Return the sandbox's wall clock time."""
        return self._clock.utcnow()

    def random(self) -> float:
        """Return the next number of a seeded sequence, of [0, 1)."""
        return self._chance.random()

    async def aclose(self) -> None:
        """Do nothing: the sandbox is not the transport's to close."""


class _Stream:
    """An answer whose body is taken in pieces."""

    def __init__(self, clock: Clock, answer: Answer) -> None:
        self.status = answer.status
        headers = CIMultiDict(answer.headers)
        headers.setdefault("Content-Length", str(answer.body.size))
        self.headers = CIMultiDictProxy(headers)
        self._clock = clock
        self._delivery = answer.delivery
        self._pieces = pieces(answer)
        self._closed = False

    async def read(self, timeout: float) -> bytes:
        """Return the next piece."""
        self._clock.stir()
        piece = b"" if self._closed else next(self._pieces, b"")
        if piece and self._delivery.rate:
            await _wait(self._clock, len(piece) / self._delivery.rate, timeout)
        if not piece and not self._closed and self._delivery.ending != "end":
            await _break_off(self._clock, self._delivery, timeout)
        return piece

    def close(self) -> None:
        """Give the answer up."""
        self._closed = True


async def _wait(clock: Clock, seconds: float, timeout: float) -> None:
    """Wait for the next byte, but not longer than the caller does."""
    if seconds <= 0:
        return
    await clock.sleep(min(seconds, timeout))
    if seconds > timeout:
        raise _timed_out()


async def _break_off(clock: Clock, delivery: Delivery, timeout: float) -> None:
    """End an answer as the fault says."""
    if delivery.ending == "stall":
        await clock.sleep(timeout)
        raise _timed_out()
    if delivery.after == -1:
        raise APIConnectionError("the connection was closed before the answer", sent=True)
    raise IncompleteResponseError("the answer cannot be used: it was cut off")


def _timed_out() -> APITimeoutError:
    return APITimeoutError("no complete answer from the sandbox in time", sent=True)
