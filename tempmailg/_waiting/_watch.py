"""Many mailboxes, one iterator: each message once."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Self

from attrs import frozen

from tempmailg import _errors as err
from tempmailg._models import Message
from tempmailg._public import public
from tempmailg._waiting._inbox import Listener, MailboxRef
from tempmailg._waiting._poller import Poller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tempmailg._core import Sender
    from tempmailg._models import Mailbox

__all__ = ["Watch", "WatchHealth"]

_log = logging.getLogger("tempmailg")

MAX_BACKLOG: Final = 32 * 1024 * 1024
"""Characters of messages that wait for the consumer. Beyond, no poll is made: the service keeps the mail until then."""

MESSAGE_WEIGHT: Final = 1_024  # characters that an empty message counts for
MAX_ABSENT: Final = 1_000  # ids kept for each mailbox of messages that its list no longer holds
MAX_REPORTED: Final = 1_000  # gone mailboxes, and unreadable messages, that the health shows


@public
@frozen(kw_only=True)
class WatchHealth:
    """How a watch is.

    Args:
        mailboxes: How many mailboxes are watched.
        backlog: How many messages wait for the consumer.
        polls: How many polls were made.
        quota_spent: How many requests of the quota they cost.
        failing: The mailboxes whose last poll failed, with what it met. They are polled again, less and less often.
        last_error: The last fault of all, healed or not; None if there was none.
        gone: The mailboxes that expired or were deleted, the latest thousand.
        unreadable: An error for each message that could not be read, the latest thousand.
    """

    mailboxes: int
    backlog: int
    polls: int
    quota_spent: int
    failing: Mapping[str, err.TempMailError]
    last_error: err.TempMailError | None
    gone: Mapping[str, err.MailboxGoneError]
    unreadable: Sequence[err.APIResponseError]

    @property
    def is_good(self) -> bool:
        """Whether every mailbox could be polled the last time."""
        return not self.failing


@public
class Watch:
    """Delivers each message of any number of mailboxes once: an async context manager and iterator.

    Made by `AsyncClient.watch`. A message counts as seen when the consumer asks for the next one, so what was being
    worked on when a program stopped is delivered again by a watch that goes on from `seen`.
    """

    def __init__(
        self,
        sender: Sender,
        mailboxes: Iterable[Mailbox | str],
        *,
        state: Mapping[str, Sequence[str]] | None = None,
        forever: bool = False,
        on_gone: Callable[[err.MailboxGoneError], object] | None = None,
    ) -> None:
        self._subscription = _Subscription(sender, _checked(state))
        self._refs = [MailboxRef.of(mailbox) for mailbox in mailboxes]
        self._forever = forever
        self._on_gone = on_gone
        self._is_asked = False

    def add(self, *mailboxes: Mailbox | str) -> None:
        """Watch further mailboxes. One that is watched already goes on as it is.

        Args:
            mailboxes: The mailboxes or their addresses.

        Raises:
            ConfigurationError: One of them cannot be a mailbox.
            ClientClosedError: The client is closed.
        """
        refs = [MailboxRef.of(mailbox) for mailbox in mailboxes]
        if self._subscription.is_open:
            self._subscription.add(refs)
        else:
            self._refs += refs

    def discard(self, *mailboxes: Mailbox | str) -> None:
        """Stop watching these mailboxes: no message of theirs is delivered any more, and what was seen is forgotten.

        Args:
            mailboxes: The mailboxes or their addresses; one that is not watched does no harm.
        """
        emails = {MailboxRef.of(mailbox).email for mailbox in mailboxes}
        self._refs = [ref for ref in self._refs if ref.email not in emails]
        self._subscription.discard(emails)

    def seen(self) -> dict[str, list[str]]:
        """Return what was seen, ready for JSON and for `AsyncClient.watch(state=…)`.

        Returns:
            The ids of the messages by the address of their mailbox, for all mailboxes that are watched. The message
            that was delivered last is not among them before the next one is asked for.
        """
        return self._subscription.seen()

    @property
    def health(self) -> WatchHealth:
        """How the watch is at this moment."""
        return self._subscription.health()

    async def __aenter__(self) -> Self:
        if self._subscription.is_open or self._subscription.is_over:
            raise err.ConfigurationError("a watch can be entered once: call watch again, with state=watch.seen()")
        self._subscription.open(self._refs)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._subscription.close()
        await self._subscription.poller.settle()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        if self._is_asked:
            raise err.ConfigurationError("a watch has one consumer: another task is waiting for its next message")
        self._is_asked = True
        try:
            return await self._next()
        finally:
            self._is_asked = False

    async def _next(self) -> Message:
        self._subscription.acknowledge()
        while True:
            news = await self._subscription.next_event()
            if isinstance(news, Message):
                return news
            await self._report(news)
            if self._subscription.is_idle and not self._forever:
                raise StopAsyncIteration

    async def _report(self, error: err.MailboxGoneError) -> None:
        answer = self._on_gone(error) if self._on_gone else None
        if inspect.isawaitable(answer):
            await answer

    def __repr__(self) -> str:
        return f"<Watch of {self._subscription.count} mailboxes>"


class _Subscription(Listener):
    """The listening half of a watch: what came and was not told yet, and what is known of each mailbox."""

    __slots__ = (
        "_bad",
        "_changed",
        "_current",
        "_end",
        "_gone",
        "_known",
        "_last_error",
        "_paused",
        "_polls",
        "_queue",
        "_resumed",
        "_spent",
        "_unreadable",
        "_weight",
        "is_open",
        "is_over",
        "poller",
    )

    def __init__(self, sender: Sender, state: dict[str, tuple[str, ...]]) -> None:
        super().__init__(sender)
        self.poller = Poller.of(sender.core)
        self.is_open = self.is_over = False
        self._resumed = state
        self._known: dict[str, tuple[str, ...]] = {}  # by mailbox, the ids of messages told or waiting in the queue
        self._queue: deque[tuple[str, Message | err.MailboxGoneError]] = deque()
        self._current: tuple[str, str] | None = None  # mailbox and id of the message that the consumer works on
        self._weight = 0
        self._paused: set[str] = set()
        self._changed = asyncio.Event()
        self._end: Exception | None = None
        self._polls = self._spent = 0
        self._last_error: err.TempMailError | None = None
        self._gone: dict[str, err.MailboxGoneError] = {}
        self._bad: dict[str, Counter[str]] = {}  # by mailbox, the problems of unreadable messages and how often each
        self._unreadable: deque[err.APIResponseError] = deque(maxlen=MAX_REPORTED)

    # -- what the watch asks for ------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many mailboxes are watched."""
        return len(self._known)

    @property
    def is_idle(self) -> bool:
        """Whether no mailbox is left and nothing is left to tell."""
        return not self._known and not self._queue

    def open(self, refs: Iterable[MailboxRef]) -> None:
        """Begin to listen."""
        self.sender.core.check_open()
        self.is_open = True
        self.add(refs)

    def add(self, refs: Iterable[MailboxRef]) -> None:
        """Listen to further mailboxes."""
        self.sender.core.check_open()
        for ref in refs:
            if ref.email not in self._known and self._end is None:
                self._known[ref.email] = self._resumed.pop(ref.email, ())
                self.poller.join(ref, self)

    def discard(self, emails: set[str]) -> None:
        """Listen to mailboxes no longer, and forget them."""
        for email in emails & self._known.keys():
            self._forget(email)
            self.poller.leave(email, self)
        self._queue = deque(item for item in self._queue if item[0] not in emails)
        self._weight = sum(_weight_of(item) for _, item in self._queue if isinstance(item, Message))
        self._resume_paused()

    def seen(self) -> dict[str, list[str]]:
        """See `Watch.seen`."""
        unseen = {(email, item.id) for email, item in self._queue if isinstance(item, Message)}
        unseen.add(self._current or ("", ""))
        return {
            email: [message_id for message_id in ids if (email, message_id) not in unseen]
            for email, ids in self._known.items()
        }

    def health(self) -> WatchHealth:
        """See `Watch.health`."""
        errors = {email: self.poller.error_of(email) for email in self._known}
        return WatchHealth(
            mailboxes=len(self._known),
            backlog=sum(isinstance(item, Message) for _, item in self._queue),
            polls=self._polls,
            quota_spent=self._spent,
            failing={email: error for email, error in errors.items() if error is not None},
            last_error=self._last_error,
            gone=dict(self._gone),
            unreadable=tuple(self._unreadable),
        )

    def acknowledge(self) -> None:
        """Count the message that was told last as seen."""
        self._current = None

    async def next_event(self) -> Message | err.MailboxGoneError:
        """Return what came next.

        Raises:
            StopAsyncIteration: The watch was left.
            TempMailError: The watch cannot go on.
        """
        while not self._queue:
            if self._end is not None:
                raise self._end
            if not self.is_open:
                self._check_was_open()
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        email, item = self._queue.popleft()
        if isinstance(item, Message):
            self._current = (email, item.id)
            self._weight -= _weight_of(item)
            self._resume_paused()
        return item

    def close(self) -> None:
        """Stop listening."""
        self.is_open, self.is_over = False, True
        for email in self._known:
            self.poller.leave(email, self)
        self._queue.clear()
        self._changed.set()

    def _check_was_open(self) -> None:
        if not self.is_over:
            raise err.ConfigurationError("enter the watch first: async with client.watch(…) as watch")

    def _forget(self, email: str) -> None:
        del self._known[email]
        self._bad.pop(email, None)
        self._paused.discard(email)

    def _resume_paused(self) -> None:
        """Poll the mailboxes again that were paused, once half of the backlog is told."""
        if self._paused and self._weight <= MAX_BACKLOG // 2:
            paused, self._paused = self._paused, set()
            for email in paused:
                self.poller.resume(email)

    # -- what the poller tells --------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        return self._weight > MAX_BACKLOG

    def on_poll(self, _begun: float, *, counted: bool) -> None:
        self._polls += 1
        self._spent += counted

    def on_messages(self, email: str, messages: list[Message], unreadable: tuple[err.APIResponseError, ...]) -> bool:
        known = set(self._known[email])
        there = {message.id: message for message in messages}  # a list may hold a message twice
        new = sorted((there[key] for key in there.keys() - known), key=_age)
        absent = [key for key in self._known[email] if key not in there]
        self._known[email] = (*absent[-MAX_ABSENT:], *there)
        self._queue.extend((email, message) for message in new)
        self._weight += sum(map(_weight_of, new))
        self._report(email, unreadable)
        if new:
            self._changed.set()
        return bool(new)

    def on_fault(self, _email: str, error: err.TempMailError) -> None:
        self._polls += 1
        self._last_error = error

    def on_pause(self, email: str) -> None:
        self._paused.add(email)

    def on_gone(self, email: str, error: err.MailboxGoneError) -> None:
        self._forget(email)
        self._gone.pop(email, None)
        self._gone[email] = error
        if len(self._gone) > MAX_REPORTED:
            del self._gone[next(iter(self._gone))]
        self._queue.append((email, error))
        self._changed.set()

    def on_end(self, error: Exception) -> None:
        self._end = error
        for email in self._known:
            self.poller.leave(email, self)
        self._changed.set()

    def _report(self, email: str, unreadable: tuple[err.APIResponseError, ...]) -> None:
        """Report the unreadable messages of a list that were not in the last one: their places may have changed."""
        problems = [(_problem_of(error), error) for error in unreadable]
        before, now = self._bad.get(email, Counter[str]()), Counter[str]()
        for problem, error in problems:
            now[problem] += 1
            if now[problem] > before[problem]:
                self._unreadable.append(error)
                _log.warning("a message in a watched mailbox cannot be read: %s", error)
        if now:
            self._bad[email] = now
        else:
            self._bad.pop(email, None)


def _checked(state: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """Return a state that `Watch.seen` made, perhaps in another life."""
    if state is None:
        return {}
    if not isinstance(state, Mapping):
        raise _bad_state()
    for email, ids in state.items():
        if not isinstance(email, str) or isinstance(ids, str) or not isinstance(ids, Sequence):
            raise _bad_state()
        if not all(isinstance(message_id, str) for message_id in ids):
            raise _bad_state()
    return {email: tuple(ids) for email, ids in state.items()}


def _bad_state() -> err.ConfigurationError:
    return err.ConfigurationError("state must be what watch.seen() returned: lists of message ids by address")


def _problem_of(error: err.APIResponseError) -> str:
    return re.sub(r"messages\[\d+\]", "messages[…]", str(error))


def _weight_of(message: Message) -> int:
    return MESSAGE_WEIGHT + len(message.content)


def _age(message: Message) -> float:
    return message.received_at.timestamp()
