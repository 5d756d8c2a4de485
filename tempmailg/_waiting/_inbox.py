"""What is known of one mailbox, and who wants to hear of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from contextvars import copy_context
from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import frozen

from tempmailg import _errors as err
from tempmailg import _wire as wire
from tempmailg._endpoints import address_of, list_messages
from tempmailg._models import Mailbox, Message

if TYPE_CHECKING:
    import asyncio

    from tempmailg._core import Sender
    from tempmailg.transport import Response

_MAX_ETAG: Final = 256  # characters: one is kept for every mailbox

__all__ = ["Inbox", "Listener", "MailboxRef", "News"]


@frozen
class MailboxRef:
    """Where to poll, and until when there is something to see.

    Args:
        email: The mailbox's address.
        expires_at: When the service drops it; None if only the service knows.
    """

    email: str
    expires_at: datetime | None = None

    @classmethod
    def of(cls, mailbox: Mailbox | str) -> MailboxRef:
        """Return the ref of a mailbox given by value or by address."""
        return cls(address_of(mailbox), mailbox.expires_at if isinstance(mailbox, Mailbox) else None)


@frozen
class News:
    """What one answer told.

    Args:
        counted: Whether it cost a request of the quota: the service counts 2xx only.
        messages: All messages of the mailbox; None if nothing changed since the last poll.
        unreadable: An error for each message that could not be read.
    """

    counted: bool
    messages: list[Message] | None = None
    unreadable: tuple[err.APIResponseError, ...] = ()


_NO_NEWS: Final = News(counted=True)


class Listener(ABC):
    """Somebody who waits for messages of one mailbox or more. The poller calls the methods; none of them may block.

    Args:
        sender: How to send requests for it. They are sent in the context in which it was made, so that they count
            against the budget that was given to its maker.
        deadline: When it is told that its time is over, by the transport's clock; None for never.
        last_poll: When it wants a poll whatever the schedule says; None for no such time.
    """

    __slots__ = ("context", "deadline", "last_poll", "sender")

    def __init__(self, sender: Sender, *, deadline: float | None = None, last_poll: float | None = None) -> None:
        self.sender = sender
        self.deadline = deadline
        self.last_poll = last_poll
        self.context = copy_context()

    @property
    def is_urgent(self) -> bool:
        """Whether its polls come first, and may be faster than the quota's pace: it will not wait for ever."""
        return self.deadline is not None

    @property
    def is_full(self) -> bool:
        """Whether it has enough to do with what it was told, so that no poll is needed for it."""
        return False

    def on_poll(self, begun: float, /, *, counted: bool) -> None:  # noqa: B027 - to be noted by whoever cares
        """Take note of a poll that succeeded, told after what it brought."""

    @abstractmethod
    def on_messages(self, email: str, messages: list[Message], unreadable: tuple[err.APIResponseError, ...], /) -> bool:
        """Take in a mailbox's list, which differs from the last one, and return whether it holds anything new."""

    def on_fault(self, email: str, error: err.TempMailError, /) -> None:  # noqa: B027 - the same
        """Take note of a poll that failed and will be repeated."""

    def on_pause(self, email: str, /) -> None:  # noqa: B027 - nobody but who can be full is told
        """Take note that a mailbox is not polled until `Poller.resume`, because all its listeners are full."""

    @abstractmethod
    def on_gone(self, email: str, error: err.MailboxGoneError, /) -> None:
        """Take note that a mailbox is gone; it is no longer listened to."""

    @abstractmethod
    def on_end(self, error: Exception) -> None:
        """Stop listening everywhere, for this reason."""

    def on_deadline(self) -> None:  # noqa: B027 - nobody but who has one is told
        """Take note that the deadline has come."""


class Inbox:
    """One mailbox that is polled.

    Ten thousand of these have to fit into a process, so neither bodies nor messages are kept, only what tells whether
    the next body is the same.
    """

    __slots__ = (
        "awaited_since",
        "begun",
        "call",
        "digest",
        "email",
        "error",
        "etag",
        "expires_at",
        "faults",
        "is_over",
        "listeners",
        "poll",
        "quiet_since",
    )

    def __init__(self, ref: MailboxRef, now: float) -> None:
        self.email = ref.email
        self.call = list_messages(ref.email)
        self.expires_at = ref.expires_at
        self.listeners: tuple[Listener, ...] = ()
        self.quiet_since = now
        self.begun = -math.inf  # the last poll
        self.awaited_since = now  # since when somebody has been waiting for the whole list
        # Python's own keyed hash takes half of the time of the fastest in hashlib, and its 64 bits are enough: the list
        # with a new message would have to collide with the one before it, and would be told with the next change.
        self.digest: int | None = None
        self.etag: str | None = None
        self.faults = 0  # in a row
        self.error: err.TempMailError | None = None  # the last poll's
        self.poll: asyncio.Task[News] | None = None
        self.is_over = False  # expired; a poll that was under way may still tell what came before

    def join(self, listener: Listener, ref: MailboxRef, now: float) -> None:
        """Let somebody listen, who hears of all messages at the next poll."""
        self.listeners = (*self.listeners, listener)
        self.expires_at = ref.expires_at or self.expires_at
        self.quiet_since = self.awaited_since = now
        self.digest, self.etag = None, None

    def leave(self, listener: Listener) -> None:
        """Let somebody listen no longer."""
        self.listeners = tuple(other for other in self.listeners if other is not listener)

    @property
    def is_urgent(self) -> bool:
        """Whether one of its listeners is."""
        return any(listener.is_urgent for listener in self.listeners)

    @property
    def headers(self) -> dict[str, str]:
        """What to send with the next poll."""
        return {} if self.etag is None else {"If-None-Match": self.etag}

    def read(self, response: Response) -> News:
        """Return what an answer tells; a body that did not change is recognised before it is decoded.

        Raises:
            TempMailError: The answer is no list of messages.
        """
        if response.status == 304:
            return News(counted=False)
        digest = hash(response.body) if response.status == 200 else None
        if digest is not None and digest == self.digest:
            return _NO_NEWS
        messages, unreadable = wire.decode_messages(response)
        etag = response.headers.get("ETag")
        self.digest, self.etag = digest, etag if etag and len(etag) <= _MAX_ETAG else None
        self.awaited_since = -math.inf
        return News(True, messages, tuple(unreadable))
