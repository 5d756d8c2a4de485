"""The sandbox's two doors behind one handle, so that one test of behaviour runs over both."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

from attrs import frozen

from support.contract import watched
from tempmailg._aiohttp import AiohttpTransport
from tempmailg.sandbox import Sandbox
from tempmailg.transport import Request, Response, Transport

__all__ = ["WAYS", "Door", "opened"]

WAYS: Final = ["http", "in process"]
MEGABYTES: Final = 2**26


@frozen
class Door:
    """A sandbox and one way into it."""

    sandbox: Sandbox
    transport: Transport

    async def send(
        self, method: str, target: str, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send a request as it stands and return the answer, whatever it is."""
        authorization = {"Authorization": f"Bearer {self.sandbox.api_key if key is None else key}"}
        request = Request(method, target, {**authorization, **(headers or {})})
        return await self.transport.request(request, timeout=20, max_bytes=MEGABYTES)

    async def json(self, method: str, target: str, *, key: str | None = None) -> Any:
        """Send a request that must succeed and return its JSON."""
        response = await self.send(method, target, key=key)
        assert response.status == 200, response.body
        return json.loads(response.body)

    async def mailbox(self, *, key: str | None = None) -> str:
        """Make a mailbox and return its address."""
        answer = await self.json("POST", "/emails", key=key)
        return str(answer["data"]["email"])

    async def messages(self, email: str) -> list[dict[str, Any]]:
        """Return a mailbox's messages."""
        answer = await self.json("GET", f"/messages?email={quote(email, safe='')}")
        return list(answer["messages"])


@asynccontextmanager
async def opened(way: str, **options: Any) -> AsyncGenerator[Door]:
    """Open a sandbox in one of the two ways; every honest answer that it gives must be as the contract says."""
    found: list[str] = []
    sandbox = Sandbox(**options)
    with watched(found):
        if way == "in process":
            yield Door(sandbox, sandbox.transport())
        else:
            async with sandbox:
                transport = AiohttpTransport(sandbox.base_url)
                try:
                    yield Door(sandbox, transport)
                finally:
                    await transport.aclose()
    assert found == [], found
