"""What a watch shares with others by a store: which messages it may deliver."""

from __future__ import annotations

import asyncio
import inspect
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from tempmailg._waiting._beside import answer_of
from tempmailg._waiting._schedule import fault_delay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tempmailg._stores import SeenStore
    from tempmailg.transport import Transport

__all__ = ["Claim", "Claims"]


class Claim(Enum):
    """What became of a claim."""

    MINE = auto()  # the message is to be delivered here
    DONE = auto()  # somebody has handled it
    HELD = auto()  # somebody is handling it, or has died over it


class Claims:
    """The claims of one watch.

    Args:
        store: What is shared with other watches.
        transport: What keeps the time.
    """

    def __init__(self, store: SeenStore, transport: Transport) -> None:
        self._store = store
        self._transport = transport
        self._done: Any = getattr(store, "done", None)
        self._mine: set[tuple[str, str]] = set()  # claimed and not handled yet
        self._latest: tuple[str, frozenset[str]] = (
            "",
            frozenset(),
        )  # what is done in the mailbox asked for last
        self._attempts: dict[tuple[str, str], int] = {}  # how often a message was claimed in vain
        self._retries: set[asyncio.Task[None]] = set()

    async def claim(self, email: str, message_id: str) -> Claim:
        """Claim a message."""
        claim = await self._claim(email, message_id)
        if claim is not Claim.HELD:
            self._attempts.pop((email, message_id), None)
        return claim

    async def _claim(self, email: str, message_id: str) -> Claim:
        if (email, message_id) in self._mine:
            return Claim.MINE
        if self._is_known(email, message_id):
            return Claim.DONE
        if await self._ask(self._store.claim, email, message_id):
            self._mine.add((email, message_id))
            return Claim.MINE
        if self._done is None:
            return Claim.DONE
        self._latest = email, frozenset(cast("Iterable[str]", await self._ask(self._store.seen, email)))
        return Claim.DONE if self._is_known(email, message_id) else Claim.HELD

    async def finish(self, email: str, message_id: str) -> None:
        """Record that a message was handled, if it was claimed."""
        key = email, message_id
        if key in self._mine and self._done is not None:
            await self._ask(self._done, email, message_id)
        self._mine.discard(key)

    def retry(self, email: str, message_id: str, function: Callable[[], None]) -> None:
        """Call a function when it is time to claim a message again that somebody holds."""
        attempt = self._attempts[email, message_id] = self._attempts.get((email, message_id), 0) + 1
        task = asyncio.create_task(self._later(attempt, function))
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)

    async def close(self) -> None:
        """Stop claiming again."""
        for task in self._retries:
            task.cancel()
        if self._retries:
            await asyncio.wait(self._retries)

    async def _later(self, attempt: int, function: Callable[[], None]) -> None:
        await self._transport.sleep(fault_delay(attempt, self._transport.random()))
        function()

    def _is_known(self, email: str, message_id: str) -> bool:
        return self._latest[0] == email and message_id in self._latest[1]

    @staticmethod
    async def _ask(method: Callable[..., object], *arguments: str) -> object:
        beside = not inspect.iscoroutinefunction(method)
        answer = answer_of(lambda arguments: method(*arguments), arguments, beside=beside)
        return await answer if inspect.isawaitable(answer) else answer
