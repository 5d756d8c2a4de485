"""What the tests of downloads share: a server with one answer, a client, and what the folder holds."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from support.fault_server import FaultServer, reply
from tempmailg import AsyncClient, Attachment

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from support.fault_server import Answer

__all__ = ["BODY", "ETAG", "PAIR", "attachment", "files_in", "names_in", "opened", "serving", "until", "whole"]

BODY: Final = random.Random(4).randbytes(5 * 1024 * 1024 + 17)
"""A file of more than two writes, not a whole number of them."""

ETAG: Final = '"the-first-version"'
PAIR: Final = ("m1", "file.txt")
"""The attachment of all these tests, as message id and name."""


class Patient(FaultServer):
    """A fault server whose answers may also hold conditions, to go on when they are met."""

    async def _play(self, answer: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for step in answer:
            if callable(step):
                await until(step)
            elif not await super()._play([step], reader, writer):
                return False
        return True


def attachment(name: str = "file.txt", size: int | None = None) -> Attachment:
    """Return an attachment as a message names it."""
    return Attachment(name=name, size=size, message_id="m1")


def whole(body: bytes = BODY, **headers: str) -> Answer:
    """Return the answer with a whole file, and headers in which an underscore stands for a hyphen."""
    return [reply(body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})]


@asynccontextmanager
async def serving(*answers: Sequence[Any], **options: Any) -> AsyncGenerator[tuple[AsyncClient, FaultServer]]:
    """Yield a client of a server that gives these answers, and the server."""
    async with Patient(*answers) as server:
        async with AsyncClient("key", base_url=server.base_url, **options) as client:
            yield client, server
        await server.quiet()


def files_in(folder: Path) -> dict[str, bytes]:
    """Return all that stands in a folder, hidden files included."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names_in(folder: Path) -> list[str]:
    """Return the names of all that stands in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so; the test's own time limit ends the wait."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.001)


def opened() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/dev/fd").iterdir()))
