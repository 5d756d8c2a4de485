"""The contestants: this client, and what people would write instead, all doing the same work.

Each lists a mailbox (`GET /messages`) and returns its messages: typed values with aware times, except those that
say "json" only, which stop at dictionaries. The parent process checks that all typed ones decode the same fields
(`fields_of`). Each runs in a process of its own (`_worker`), so that no library can slow another down, and the extra
`fast` can be there for one and missing for its neighbour.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["ASYNC", "BLOCKING", "CONTESTANTS", "Contestant"]

KEY: Final = "benchmark-key"
HEADERS: Final = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}

AsyncList = Callable[[str], Awaitable[object]]
List = Callable[[str], object]


@dataclass(frozen=True)
class Contestant:
    """One way to list a mailbox.

    Args:
        name: As the tables show it.
        asynchronous: Opens the asynchronous client at a base URL; gives a coroutine function from mailbox to messages.
        blocking: The same for a blocking client, which gives a plain function.
        typed: Whether messages become typed values.
        needs: The modules without which it cannot take part.
        hides: The modules that must seem not to be installed.
    """

    name: str
    asynchronous: Callable[[str], AbstractAsyncContextManager[AsyncList]] | None = None
    blocking: Callable[[str], AbstractContextManager[List]] | None = None
    typed: bool = True
    needs: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()


# ---------------------------------------------------------------------------------------------------- by hand


@dataclass(frozen=True, slots=True)
class Attachment:
    """What one would write by hand, as `Message` is."""

    name: str
    extension: str
    size: int
    url: str

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Attachment:
        """Read one attachment."""
        return cls(name=raw["name"], extension=raw["extension"], size=raw["size"], url=raw["url"])


@dataclass(frozen=True, slots=True)
class Message:
    """What one would write by hand: a value as ours, frozen and slotted, but without checks or tolerance."""

    id: str
    subject: str
    from_name: str
    from_email: str
    to: str
    received_at: datetime
    is_seen: bool
    is_html: bool
    content: str
    attachments: tuple[Attachment, ...]

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Message:
        """Read one message."""
        return cls(
            id=raw["id"],
            subject=raw["subject"],
            from_name=raw["from"],
            from_email=raw["from_email"],
            to=raw["to"],
            received_at=datetime.fromisoformat(raw["receivedAt"]).replace(tzinfo=UTC),
            is_seen=raw["is_seen"],
            is_html=raw["html"],
            content=raw["content"],
            attachments=tuple([Attachment.from_json(attachment) for attachment in raw["attachments"]]),
        )


def by_hand(answer: dict[str, Any]) -> list[Message]:
    """Read an answer."""
    return [Message.from_json(raw) for raw in answer["messages"]]


# ---------------------------------------------------------------------------------------------------- pydantic


def pydantic_reader() -> Callable[[bytes], list[Any]]:
    """Return pydantic's quickest reader: straight from the bytes."""
    import pydantic

    class Attachment(pydantic.BaseModel):
        name: str
        extension: str
        size: int
        url: str

    class Message(pydantic.BaseModel):
        id: str
        subject: str
        from_name: str = pydantic.Field(validation_alias="from")
        from_email: str
        to: str
        received_at: datetime = pydantic.Field(validation_alias="receivedAt")
        is_seen: bool
        is_html: bool = pydantic.Field(validation_alias="html")
        content: str
        attachments: list[Attachment]

        @pydantic.field_validator("received_at")
        @classmethod
        def in_utc(cls, moment: datetime) -> datetime:
            return moment.replace(tzinfo=UTC)

    class Answer(pydantic.BaseModel):
        status: bool
        messages: list[Message]

    # The classes are local, so the names in their annotations must be shown to pydantic.
    Message.model_rebuild(_types_namespace={"Attachment": Attachment, "datetime": datetime})
    Answer.model_rebuild(_types_namespace={"Message": Message})
    return lambda body: Answer.model_validate_json(body).messages


# ---------------------------------------------------------------------------------------------------- asynchronous


@asynccontextmanager
async def tempmailg_async(base_url: str) -> AsyncGenerator[AsyncList]:
    """Use this client."""
    import tempmailg

    async with tempmailg.AsyncClient(KEY, base_url=base_url) as client:
        yield client.list_messages


@asynccontextmanager
async def floor(base_url: str) -> AsyncGenerator[AsyncList]:
    """Speak just enough HTTP, and decode the JSON."""
    from benchmarks._floor import FloorClient

    async with FloorClient(base_url, KEY) as client:

        async def listed(mailbox: str) -> object:
            return json.loads(await client.get_messages(mailbox))["messages"]

        yield listed


@asynccontextmanager
async def aiohttp_json(base_url: str) -> AsyncGenerator[AsyncList]:
    """Use aiohttp as its documentation does."""
    import aiohttp

    url = f"{base_url}/messages"
    async with aiohttp.ClientSession(headers=HEADERS) as session:

        async def listed(mailbox: str) -> object:
            async with session.get(url, params={"email": mailbox}) as response:
                answer = await response.json()
                return answer["messages"]

        yield listed


@asynccontextmanager
async def aiohttp_dataclasses(base_url: str) -> AsyncGenerator[AsyncList]:
    """Use aiohttp as its documentation does, and read the messages by hand."""
    import aiohttp

    url = f"{base_url}/messages"
    async with aiohttp.ClientSession(headers=HEADERS) as session:

        async def listed(mailbox: str) -> object:
            async with session.get(url, params={"email": mailbox}) as response:
                return by_hand(await response.json())

        yield listed


@asynccontextmanager
async def httpx_async(base_url: str) -> AsyncGenerator[AsyncList]:
    """Use httpx and pydantic."""
    import httpx

    read = pydantic_reader()
    async with httpx.AsyncClient(base_url=base_url, headers=HEADERS) as client:

        async def listed(mailbox: str) -> object:
            response = await client.get("/messages", params={"email": mailbox})
            return read(response.content)

        yield listed


@asynccontextmanager
async def niquests_async(base_url: str) -> AsyncGenerator[AsyncList]:
    """Use niquests and read the messages by hand."""
    niquests: Any = importlib.import_module("niquests")  # it stands apart, so the type checkers need not find it

    url = f"{base_url}/messages"
    async with niquests.AsyncSession() as session:
        session.headers.update(HEADERS.items())

        async def listed(mailbox: str) -> object:
            response = await session.get(url, params={"email": mailbox})
            return by_hand(response.json())

        yield listed


# ---------------------------------------------------------------------------------------------------- blocking


@contextmanager
def tempmailg_blocking(base_url: str) -> Generator[List]:
    """Use this client's blocking twin."""
    import tempmailg

    with tempmailg.Client(KEY, base_url=base_url) as client:
        yield client.list_messages


@contextmanager
def httpx_blocking(base_url: str) -> Generator[List]:
    """Use httpx and pydantic."""
    import httpx

    read = pydantic_reader()
    with httpx.Client(base_url=base_url, headers=HEADERS) as client:
        yield lambda mailbox: read(client.get("/messages", params={"email": mailbox}).content)


@contextmanager
def requests_blocking(base_url: str) -> Generator[List]:
    """Use requests and read the messages by hand."""
    import requests

    url = f"{base_url}/messages"
    with requests.Session() as session:
        session.headers.update(HEADERS.items())
        yield lambda mailbox: by_hand(session.get(url, params={"email": mailbox}, timeout=30).json())


@contextmanager
def niquests_blocking(base_url: str) -> Generator[List]:
    """Use niquests and read the messages by hand."""
    niquests: Any = importlib.import_module("niquests")  # it stands apart, so the type checkers need not find it

    url = f"{base_url}/messages"
    with niquests.Session() as session:
        session.headers.update(HEADERS.items())
        yield lambda mailbox: by_hand(session.get(url, params={"email": mailbox}, timeout=30).json())


@contextmanager
def urllib3_blocking(base_url: str) -> Generator[List]:
    """Use urllib3 and read the messages by hand."""
    import urllib3

    url = f"{base_url}/messages"
    with urllib3.PoolManager(headers=HEADERS) as pool:
        yield lambda mailbox: by_hand(pool.request("GET", url, fields={"email": mailbox}, timeout=30).json())


# ---------------------------------------------------------------------------------------------------- the table

_FAST: Final = ("orjson", "uvloop")  # the extra `fast`

CONTESTANTS: Final = {
    contestant.name: contestant
    for contestant in (
        Contestant("tempmailg", tempmailg_async, tempmailg_blocking, hides=_FAST),
        Contestant("tempmailg[fast]", tempmailg_async, tempmailg_blocking, needs=_FAST),
        Contestant("floor + json", floor, typed=False),
        Contestant("aiohttp + json", aiohttp_json, typed=False),
        Contestant("aiohttp + json + dataclasses", aiohttp_dataclasses),
        Contestant("httpx + pydantic", httpx_async, httpx_blocking, needs=("httpx", "pydantic")),
        Contestant("niquests + dataclasses", niquests_async, niquests_blocking, needs=("niquests",)),
        Contestant("requests + dataclasses", None, requests_blocking, needs=("requests",)),
        Contestant("urllib3 + dataclasses", None, urllib3_blocking, needs=("urllib3",)),
    )
}

ASYNC: Final = tuple(name for name, contestant in CONTESTANTS.items() if contestant.asynchronous)
BLOCKING: Final = tuple(name for name, contestant in CONTESTANTS.items() if contestant.blocking)
