"""A transport made of values: what somebody writes who wants neither a network nor a sandbox."""

import asyncio
from datetime import UTC, datetime, timedelta

from tempmailg import APIResponseError, APITimeoutError, IncompleteResponseError, TempMailError
from tempmailg.transport import Request, Response


class FakeTransport:
    api_key: None = None

    def __init__(self, *answers: Response | TempMailError | None) -> None:
        self.answers, self.requests, self.time = list(answers), list[Request](), 1_000.0

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        stream = await self.stream(request, timeout=timeout)
        body = await stream.read(timeout)
        if len(body) > max_bytes:
            raise APIResponseError(f"the answer is larger than {max_bytes} bytes", status=stream.status)
        return Response(stream.status, stream.headers, body + await stream.read(timeout))

    async def stream(self, request: Request, *, timeout: float) -> "FakeStream":
        if timeout <= 0:
            raise APITimeoutError("too late to send anything", sent=False)
        self.requests.append(request)
        answer = self.answers.pop(0)
        await asyncio.sleep(0)
        if answer is None:
            self.time += timeout
            raise APITimeoutError("no answer in time", sent=True)
        if isinstance(answer, TempMailError):
            raise answer
        return FakeStream(answer)

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)

    def now(self) -> float:
        return self.time

    def utcnow(self) -> datetime:
        return datetime(2026, 6, 28, tzinfo=UTC) + timedelta(seconds=self.time)

    def random(self) -> float:
        return 0.5

    async def aclose(self) -> None:
        self.answers.clear()


class FakeStream:
    def __init__(self, answer: Response) -> None:
        self.status, self.headers, self._body = answer.status, answer.headers, answer.body
        self._missing = int(answer.headers.get("Content-Length") or len(answer.body)) - len(answer.body)

    async def read(self, timeout: float) -> bytes:
        piece, self._body = self._body, b""
        if not piece and self._missing:
            raise IncompleteResponseError("the answer was cut off")
        return piece

    def close(self) -> None:
        self._missing = 0
