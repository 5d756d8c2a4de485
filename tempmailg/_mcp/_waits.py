"""Waits that go on from call to call: what each has passed over, and what it has found.

A wait considers every message that nothing has shown before the wait began. So nothing is lost between two calls: what
comes meanwhile is there, and was not shown. What a message's list or a wait has shown is old, and so is a message that
came before the last answer to the same question.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Generic, Literal, TypeVar

from attrs import define, field, frozen

from tempmailg._errors import TempMailError
from tempmailg._mcp._failures import ToolError
from tempmailg._mcp._text import MAX_CODE, Link, link_of
from tempmailg._models import Mailbox, Message

__all__ = ["KINDS", "Kind", "Question", "Wait", "Waits", "code_of"]

Kind = Literal["code", "link"]
KINDS: Final[tuple[Kind, ...]] = ("code", "link")

MAX_WAITS: Final = 1_000
"""Waits that can go on; the oldest is forgotten first."""

LONG: Final = 50_000
"""Characters of a message whose reading may hold up the event loop."""

MAX_NAMED: Final = 5  # messages without an answer that are named

F = TypeVar("F", str, Link)


@frozen
class Question:
    """What a wait asks of a mailbox.

    Args:
        kind: Whether it asks for a code or a link.
        email: The mailbox's address, in lower case.
        criteria: What else the mail must be like: the names and values of a wait's criteria.
        length: How many characters the code must have.
        contains: Text that the link's address must contain.
    """

    kind: Kind
    email: str
    criteria: tuple[tuple[str, str], ...] = ()
    length: int | None = None
    contains: str | None = None


@define
class Wait(Generic[F]):
    """One wait, over any number of calls.

    Args:
        token: What its cursors begin with.
        mailbox: Where it waits.
        question: What for.
        find: Finds it in a message.
        passed: Ids of the messages that were shown before it began.
        floor: When the last answer to the same question came, before which every message is old.
        steps: How many cursors it has given out.
        answer: The message that it ended with, and what was found there.
        old: Ids of the messages that it has passed over.
        without: Ids of the messages that hold nothing, or nothing clear.
        trouble: The last fault on the way.
    """

    token: str
    mailbox: Mailbox | str
    question: Question
    find: Callable[[Message], F | None]
    passed: frozenset[str] = frozenset()
    floor: datetime | None = None
    steps: int = 0
    answer: tuple[Message, F] | None = None
    old: set[str] = field(factory=set[str])
    without: dict[str, Message] = field(factory=dict[str, Message])
    trouble: TempMailError | None = None
    _candidates: dict[str, F] = field(factory=dict[str, F])

    async def accepts(self, message: Message) -> bool:
        """Return whether a message is the answer. A long one is read in a thread: the deadline has to be kept."""
        if message.id in self.passed or (self.floor is not None and message.received_at < self.floor):
            self.old.add(message.id)
            return False
        if self.without.get(message.id) == message:  # an earlier call has read it
            return False
        is_long = len(message.content) > LONG
        found = await asyncio.to_thread(self.find, message) if is_long else self.find(message)
        if found is None:
            self.without[message.id] = message
            return False
        self._candidates[message.id] = found
        return True

    def found_in(self, message: Message) -> F:
        """Return what was found in a message that was accepted."""
        return self._candidates[message.id]

    def next_cursor(self) -> str:
        """Return the cursor of the next call."""
        self.steps += 1
        return f"{self.token}.{self.steps}"


class Waits:
    """The waits of a session."""

    def __init__(self) -> None:
        self._codes: dict[str, Wait[str]] = {}
        self._links: dict[str, Wait[Link]] = {}
        self._shown: dict[tuple[str, Kind], set[str]] = {}
        self._floors: dict[Question, datetime] = {}

    def code(self, cursor: str) -> Wait[str]:
        """Return the wait for a code that a cursor names."""
        return _resumed(self._codes, cursor)

    def link(self, cursor: str) -> Wait[Link]:
        """Return the wait for a link that a cursor names."""
        return _resumed(self._links, cursor)

    def begin_code(self, mailbox: Mailbox | str, question: Question, *, include_shown: bool) -> Wait[str]:
        """Begin to wait for a code."""

        def find(message: Message) -> str | None:
            return code_of(message, length=question.length)

        return self._begun(self._codes, Wait(secrets.token_hex(4), mailbox, question, find), include_shown)

    def begin_link(self, mailbox: Mailbox | str, question: Question, *, include_shown: bool) -> Wait[Link]:
        """Begin to wait for a link."""

        def find(message: Message) -> Link | None:
            return link_of(message, contains=question.contains)

        return self._begun(self._links, Wait(secrets.token_hex(4), mailbox, question, find), include_shown)

    def _begun(self, waits: dict[str, Wait[F]], wait: Wait[F], include_shown: bool) -> Wait[F]:  # noqa: FBT001 - private
        if not include_shown:
            wait.passed = frozenset(self._shown.get((wait.question.email, wait.question.kind), ()))
            wait.floor = self._floors.get(wait.question)
        waits[wait.token] = wait
        while len(waits) > MAX_WAITS:
            del waits[next(iter(waits))]
        return wait

    def show(self, email: str, ids: Iterable[str], kinds: Iterable[Kind]) -> None:
        """Keep that a tool has shown the codes or links of messages."""
        for kind in kinds:
            self._shown.setdefault((email.lower(), kind), set()).update(ids)

    def end(self, wait: Wait[F], message: Message) -> None:
        """Keep that a wait has its answer."""
        wait.answer = message, wait.found_in(message)
        self.show(wait.question.email, [message.id], [wait.question.kind])
        floor = self._floors.get(wait.question)
        self._floors[wait.question] = message.received_at if floor is None else max(floor, message.received_at)


def code_of(message: Message, *, length: int | None = None) -> str | None:
    """Return the code of a message, or None if there is none, no clear one, or a monstrous one."""
    code = message.find_code(length=length)
    return code if code is not None and len(code) <= MAX_CODE else None


def _resumed(waits: dict[str, Wait[F]], cursor: str) -> Wait[F]:
    wait = waits.get(cursor.partition(".")[0])
    if wait is None:
        raise ToolError(
            "this cursor belongs to no wait of this tool", "call the tool with the mailbox and without a cursor"
        )
    return wait
