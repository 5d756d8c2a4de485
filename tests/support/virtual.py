"""A transport whose answers a test makes by hand, on a clock that leaps: an hour of polls takes milliseconds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict

from tempmailg import APITimeoutError, AsyncClient
from tempmailg.sandbox._clock import Clock
from tempmailg.transport import Response

if TYPE_CHECKING:
    from tempmailg.transport import Request

START = datetime(2026, 6, 28, 9, 30, tzinfo=UTC)


def message(key: str, *, after: float = 0.0, **fields: Any) -> dict[str, Any]:
    """Return a message as it stands on the wire, received some seconds after the start."""
    received = (START + timedelta(seconds=after)).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "id": key,
        "subject": f"Subject of {key}",
        "from": "Example Sender",
        "from_email": "hello@example.org",
        "to": "box@example.com",
        "receivedAt": received,
        "is_seen": False,
        "html": False,
        "content": "",
        "attachments": [],
        **fields,
    }


def listing(*messages: Mapping[str, Any], status: int = 200, **headers: str) -> Response:
    """Return the answer that lists these messages, with headers given as keywords (`X_RateLimit_Limit`)."""
    body = json.dumps({"status": True, "mailbox": "box@example.com", "messages": list(messages)}).encode()
    return Response(status, CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), body)


def http_date(moment: datetime) -> str:
    """Return a moment as the header `Date` writes it."""
    return format_datetime(moment, usegmt=True)


class VirtualTransport:
    """Has each request answered by a function of the test.

    Args:
        answer: Returns the answer to the n-th request, counted from 1, or raises.
        latency: Seconds that an answer takes.
    """

    api_key: None = None

    def __init__(self, answer: Callable[[int, Request], Response], *, latency: float = 0.0) -> None:
        self.answer = answer
        self.latency = latency
        self.clock = Clock(START)
        self.requests: list[Request] = []
        self.times: list[float] = []  # of the requests
        self.chance = Random(1)

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        self.clock.stir()
        self.requests.append(request)
        self.times.append(self.now())
        number = len(self.requests)
        await self.clock.sleep(min(self.latency, timeout))
        if self.latency >= timeout:
            raise APITimeoutError("no answer in time", sent=True)
        return self.answer(number, request)

    async def stream(self, request: Request, *, timeout: float) -> Any:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def now(self) -> float:
        return self.clock.monotonic()

    def utcnow(self) -> datetime:
        return self.clock.utcnow()

    def random(self) -> float:
        return self.chance.random()

    async def aclose(self) -> None:
        return


def virtual_client(answer: Callable[[int, Request], Response], *, latency: float = 0.0, **options: Any) -> AsyncClient:
    """Return a client of such a transport, which `transport_of` returns."""
    return AsyncClient("secret-key", transport=VirtualTransport(answer, latency=latency), **options)


def transport_of(client: AsyncClient) -> VirtualTransport:
    """Return the transport of a client made by `virtual_client`."""
    transport = client._caller.core.transport
    assert isinstance(transport, VirtualTransport)
    return transport


def others() -> set[asyncio.Task[Any]]:
    """Return the tasks of this loop but for the running one."""
    running = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not running}
