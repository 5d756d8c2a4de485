"""What is known of one mailbox, and who listens to it."""

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

    from tempmailg._core import Caller
    from tempmailg._endpoints import Call
    from tempmailg.transport import Response

_MAX_ETAG: Final = 256  # characters: one is kept for every mailbox

__all__ = ["Inbox", "Listener", "MailboxRef", "News", "age_of"]


@frozen
class MailboxRef:
    """A mailbox to poll, and until when there is something to see.

    Args:
        email: The mailbox's address in its canonical spelling: services take ``A@X`` for ``a@x``.
        expires_at: When the service drops it; None if only the service knows.
        empty_at: When it was known to be empty, or its messages to be old, by our monotonic clock; None for never.
    """

    email: str
    expires_at: datetime | None = None
    empty_at: float | None = None

    @classmethod
    def of(cls, mailbox: Mailbox | str) -> MailboxRef:
        """Return the reference to a mailbox given by value or by address."""
        expires_at = mailbox.expires_at if isinstance(mailbox, Mailbox) else None
        return cls(address_of(mailbox).lower(), expires_at)


@frozen
class News:
    """What one answer says.

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
        caller: How to send requests for it. They are sent in the context in which it was made, so that they count
            against the budget that was given to its maker.
        deadline: When its time is over, by the transport's clock; None for never.
        last_poll: When it wants a poll whatever the schedule says; None for no such time.
        interval: Seconds between two polls, if it wants a fixed pace.
    """

    __slots__ = ("caller", "context", "deadline", "interval", "last_poll", "stood_still")

    is_urgent = False
    """Whether its polls come first: it waits for one message, and not for whatever comes."""

    def __init__(
        self,
        caller: Caller,
        *,
        deadline: float | None = None,
        last_poll: float | None = None,
        interval: float | None = None,
    ) -> None:
        self.caller = caller
        self.deadline = deadline
        self.last_poll = last_poll
        self.interval = interval
        self.stood_still = 0.0  # seconds for which the process did not run when the deadline came
        self.context = copy_context()

    @property
    def is_full(self) -> bool:
        """Whether it has enough to do with what was delivered, so that no poll is needed for it."""
        return False

    @property
    def has_seen_the_end(self) -> bool:
        """Whether a poll succeeded that began when its last one was due, or later."""
        return True

    def outwaits(self, seconds: float, /) -> bool:
        """Say whether it would still wait after so many seconds, in which no poll is allowed."""
        return self.deadline is None or self.caller.core.transport.now() + seconds < self.deadline

    def on_poll(self, begun: float, /, *, counted: bool) -> None:  # noqa: B027 - only for those who count polls
        """Count a poll that succeeded; this is called after what it brought was delivered."""

    @abstractmethod
    def on_messages(self, email: str, messages: list[Message], unreadable: tuple[err.APIResponseError, ...], /) -> bool:
        """Take in a mailbox's list, which differs from the last one, and return whether it holds anything new."""

    def on_fault(self, email: str, error: err.TempMailError, /) -> None:  # noqa: B027 - the same
        """Take in a poll that failed and will be repeated."""

    def on_pause(self, email: str, /) -> None:  # noqa: B027 - only for those who can be full
        """Take in that a mailbox is not polled until `Poller.resume`, because all its listeners are full."""

    @abstractmethod
    def on_gone(self, email: str, error: err.MailboxGoneError, /) -> None:
        """Take in that a mailbox is gone; it is no longer listened to."""

    @abstractmethod
    def on_end(self, error: Exception) -> None:
        """Stop listening everywhere, for this reason."""

    def on_deadline(self) -> None:  # noqa: B027 - only for those who have one
        """Take in that the deadline has come."""


class Inbox:
    """One mailbox that is polled.

    Ten thousand of these have to fit into a process, so neither bodies nor messages are kept, only what shows whether
    the next body is the same.
    """

    __slots__ = (
        "awaited_since",
        "begun",
        "call",
        "chance",
        "digest",
        "email",
        "ended",
        "error",
        "etag",
        "expires_at",
        "faults",
        "first_poll",
        "gap",
        "interval",
        "is_urgent",
        "is_watched",
        "joined",
        "last_slot",
        "last_slot_end",
        "listeners",
        "plan",
        "poll",
        "quiet_since",
        "succeeded",
        "verdicts",
    )

    def __init__(self, ref: MailboxRef, now: float) -> None:
        self.email = ref.email
        self.call: Call[list[Message]] = list_messages(ref.email)
        self.expires_at = ref.expires_at
        self.listeners: tuple[Listener, ...] = ()
        self.is_urgent = False  # one of its listeners is urgent
        self.is_watched = False  # one of its listeners is not urgent
        self.interval: float | None = None  # the shortest fixed interval that a listener wants
        self.joined = self.quiet_since = now
        self.begun = -math.inf  # the last poll
        self.ended = -math.inf  # the same poll's end
        self.succeeded = -math.inf  # the beginning of the last poll that succeeded
        self.awaited_since = now  # since when somebody has been waiting for the whole list
        self.first_poll = now  # when that somebody's first poll is due
        self.gap = 60.0  # seconds between two polls at the minimum rate
        self.last_slot: float | None = None  # when the last poll before the expiry is due, and
        self.last_slot_end = 0.0  # the expiry that this was made for
        self.chance = 0.5  # of [0, 1): where within the jitter the next poll is due
        self.plan = 0  # the plan by which the next poll was set
        # Python's own keyed hash takes half of the time of the fastest in hashlib, and its 64 bits are enough: the list
        # with a new message would have to collide with the one before it, and would be found with the next change.
        self.digest: int | None = None
        self.etag: str | None = None
        self.faults = 0  # in a row
        self.verdicts = 0  # answers in a row that would end it, if they were not single
        self.error: err.TempMailError | None = None  # the last poll's
        self.poll: asyncio.Task[News] | None = None

    def join(self, listener: Listener, ref: MailboxRef, now: float) -> None:
        """Add a listener, which gets all messages with the next poll."""
        self._set_listeners((*self.listeners, listener))
        self.expires_at = ref.expires_at or self.expires_at
        self.awaited_since = now
        self.forget_list()

    def leave(self, listener: Listener) -> None:
        """Remove a listener."""
        self._set_listeners(tuple(other for other in self.listeners if other is not listener))

    def _set_listeners(self, listeners: tuple[Listener, ...]) -> None:
        """Take in who listens, and what follows from that for each poll."""
        urgent = [each for each in listeners if each.is_urgent]
        self.listeners = listeners
        self.is_urgent, self.is_watched = bool(urgent), len(urgent) < len(listeners)
        self.interval = min((each.interval for each in listeners if each.interval is not None), default=None)

    def forget_list(self) -> None:
        """Treat the next list as new, whatever it holds."""
        self.digest = self.etag = None

    @property
    def is_awaited(self) -> bool:
        """Whether somebody has not got the whole list yet."""
        return self.succeeded < self.awaited_since

    @property
    def headers(self) -> dict[str, str]:
        """What to send with the next poll."""
        return {} if self.etag is None else {"If-None-Match": self.etag}

    def read(self, response: Response) -> News:
        """Return what an answer says; a body that did not change is recognised before it is decoded.

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
        return News(True, messages, tuple(unreadable))


def age_of(message: Message) -> float:
    """Return when a message was received, as a number by which messages are put in order."""
    return message.received_at.timestamp()
