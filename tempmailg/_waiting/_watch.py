"""Many mailboxes, one iterator: every message once, through faults, restarts and slow consumers."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from attrs import frozen

from tempmailg import _errors as err
from tempmailg import _settings as settings
from tempmailg._grace import shielded
from tempmailg._models import Message
from tempmailg._public import public
from tempmailg._stores import check_store
from tempmailg._waiting._beside import answer_of
from tempmailg._waiting._claims import Claim, Claims
from tempmailg._waiting._inbox import Listener, MailboxRef, age_of
from tempmailg._waiting._made import ref_of
from tempmailg._waiting._poller import Poller
from tempmailg._waiting._schedule import fault_delay
from tempmailg._waiting._state import StateFile, checked_state

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Callable, Iterable

    from tempmailg._core import Caller
    from tempmailg._models import Mailbox
    from tempmailg._stores import SeenStore

__all__ = ["Watch", "WatchHealth"]

_log = logging.getLogger("tempmailg")

MAX_BACKLOG: Final = 32 * 1024 * 1024
"""Characters of messages that wait for the consumer. Beyond, they are left out: the service keeps them until then."""

MESSAGE_WEIGHT: Final = 1_024  # characters that an empty message counts for
MAX_ABSENT: Final = 1_000  # ids kept for each mailbox of messages that its list no longer holds
MAX_REPORTED: Final = 1_000  # gone mailboxes, and unreadable messages, that the health shows
TOO_RARE: Final = 10.0  # how much rarer than wanted polls may be in a watch that is well

Event: TypeAlias = Message | err.MailboxGoneError


@public
@frozen(kw_only=True)
class WatchHealth:
    """How a watch is.

    Args:
        mailboxes: How many mailboxes are watched.
        backlog: How many messages wait for the consumer.
        polls: How many polls were made.
        quota_spent: How many requests of the quota they cost.
        oldest_poll: Seconds since the mailbox was polled that has not been polled for the longest time.
        wanted_rate: Polls a second that the client's watched mailboxes need to be polled every minute, or every tenth
            of their lives.
        allowed_rate: Polls a second that the quota allows for that, so that it lasts until its reset.
        unpaid: The mailboxes that will expire without a last poll, since the quota has no request left for them.
        failing: The mailboxes whose last poll failed, with what it met. They are polled again, less and less often.
        last_error: The last fault of all, healed or not; None if there was none.
        gone: The mailboxes that expired or were deleted, the latest thousand.
        unreadable: An error for each message that could not be read, the latest thousand.
    """

    mailboxes: int
    backlog: int
    polls: int
    quota_spent: int
    oldest_poll: float
    wanted_rate: float
    allowed_rate: float
    unpaid: Sequence[str]
    failing: Mapping[str, err.TempMailError]
    last_error: err.TempMailError | None
    gone: Mapping[str, err.MailboxGoneError]
    unreadable: Sequence[err.APIResponseError]

    @property
    def is_good(self) -> bool:
        """Whether every mailbox could be polled the last time, and is polled nearly as often as it should be."""
        return not self.failing and not self.unpaid and self.wanted_rate <= TOO_RARE * self.allowed_rate


@public
class Watch:
    """Delivers each message of any number of mailboxes once: an async context manager and iterator.

    Made by `AsyncClient.watch`. A message counts as seen when the consumer asks for the next one, so what was being
    worked on when a program stopped is delivered again by a watch that goes on from `seen`.
    """

    def __init__(
        self,
        caller: Caller,
        mailboxes: Iterable[Mailbox | str],
        *,
        state: Mapping[str, Sequence[str]] | str | os.PathLike[str] | None = None,
        store: SeenStore | None = None,
        forever: bool = False,
        on_gone: Callable[[err.MailboxGoneError], object] | None = None,
        interval: float | None = None,
    ) -> None:
        seconds = None if interval is None else settings.check_seconds("poll_interval", interval)
        self._subscription = _Subscription(caller, state, forever=forever, interval=seconds)
        self._claims = None if store is None else Claims(check_store(store), caller.core.transport)
        self._refs = [ref_of(caller.core, mailbox) for mailbox in mailboxes]
        self._on_gone = on_gone
        self._is_asked = False

    def add(self, *mailboxes: Mailbox | str, seen: Mapping[str, Sequence[str]] | None = None) -> None:
        """Watch further mailboxes. One that is watched already goes on as it is.

        Args:
            mailboxes: The mailboxes or their addresses.
            seen: What another watch's `discard` or `seen` returned: those messages are not delivered here.

        Raises:
            ConfigurationError: One of them cannot be a mailbox, or `seen` is something else.
            ClientClosedError: The client is closed.
        """
        refs = [ref_of(self._subscription.caller.core, mailbox) for mailbox in mailboxes]
        self._subscription.take_over({ref.email for ref in refs}, checked_state(seen, name="seen"))
        if self._subscription.is_open:
            self._subscription.add(refs)
        else:
            self._refs += refs

    def discard(self, *mailboxes: Mailbox | str) -> dict[str, list[str]]:
        """Stop watching these mailboxes: no message of theirs is delivered any more, and what was seen is forgotten.

        Args:
            mailboxes: The mailboxes or their addresses; one that is not watched does no harm.

        Returns:
            What was seen there, for `add` of another watch that takes over; the same as `seen` returns.
        """
        emails = {MailboxRef.of(mailbox).email for mailbox in mailboxes}
        self._refs = [ref for ref in self._refs if ref.email not in emails]
        seen = self._subscription.seen(emails)
        self._subscription.discard(emails)
        return seen

    def seen(self) -> dict[str, list[str]]:
        """Return what was seen, ready for JSON and for `AsyncClient.watch(state=…)`.

        Returns:
            The ids of the messages by the address of their mailbox, also of mailboxes in the state that the watch began
            with and that were not added yet. The message that was delivered last is not among them before the next one
            is asked for.
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
        with shielded():
            if self._claims is not None:
                await self._claims.close()
            await self._subscription.poller.settle()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        self._begin()
        try:
            await self._acknowledge()
            return await self._next()
        finally:
            self._is_asked = False

    async def process(
        self,
        handler: Callable[[Message], Awaitable[object] | object],
        *,
        workers: int = 1,
        attempts: int = 3,
    ) -> None:
        """Handle every message at least once, several at a time, until no mailbox is left.

        A message counts as seen when its handler has returned. If the handler raises, the message is delivered to it
        again after a while.

        Args:
            handler: A function of a message, plain or async.
            workers: How many messages are handled at a time.
            attempts: How often a message is handled at most, if its handler raises. The last error ends `process`, and
                the message is not seen: a watch that goes on from the state delivers it again.

        Raises:
            ConfigurationError: Another task is waiting for the watch's next message.
            TempMailError: The watch cannot go on.
            Exception: What the handler raised, the last time that it was allowed to.
        """
        count = settings.check_count("workers", workers, least=1)
        most = settings.check_count("attempts", attempts, least=1)
        self._begin()
        await self._acknowledge()
        tasks = [asyncio.create_task(self._work(handler, most)) for _ in range(count)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._is_asked = False
            self._subscription.release()
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _work(self, handler: Callable[[Message], Awaitable[object] | object], attempts: int) -> None:
        """Handle one message after another."""
        while True:
            try:
                message = await self._next()
            except StopAsyncIteration:
                return
            await self._handle(handler, message, attempts)
            await self._acknowledge(message)

    async def _handle(
        self, handler: Callable[[Message], Awaitable[object] | object], message: Message, attempts: int
    ) -> None:
        transport = self._subscription.caller.core.transport
        for attempt in range(1, attempts + 1):
            try:
                answer = answer_of(handler, message, beside=self._subscription.caller.core.user_code_in_threads)
                if inspect.isawaitable(answer):
                    await answer
            except Exception as error:
                if attempt == attempts:
                    raise
                _log.warning("the handler of a message raised %s, so it gets it again", type(error).__name__)
                await transport.sleep(fault_delay(attempt, transport.random()))
            else:
                return

    def _begin(self) -> None:
        if self._is_asked:
            raise err.ConfigurationError("a watch has one consumer: another task is waiting for its next message")
        self._is_asked = True

    async def _next(self) -> Message:
        while True:
            event = await self._subscription.next_event()
            if isinstance(event, Message):
                if await self._may_deliver(event):
                    return event
                continue
            answer = self._on_gone(event) if self._on_gone else None
            if inspect.isawaitable(answer):
                await answer

    async def _may_deliver(self, message: Message) -> bool:
        """Claim a message of which others may know; if one of them has it, take it in again after a while."""
        if self._claims is None:
            return True
        email = self._subscription.begin_claim(message)
        try:
            claim = await self._claims.claim(email, message.id)
        except BaseException:
            if self._subscription.end_claim(message):
                self._subscription.put_back(message)
            raise
        if not self._subscription.end_claim(message):
            return False
        if claim is Claim.DONE:
            self._subscription.acknowledge(message)
        elif claim is Claim.HELD:
            self._subscription.hold(message)
            self._claims.retry(email, message.id, partial(self._subscription.put_back, message))
        return claim is Claim.MINE

    async def _acknowledge(self, message: Message | None = None) -> None:
        """Count a message that was delivered as seen, or all of them, here and for others."""
        if self._claims is not None:
            for email, message_id in self._subscription.delivered(message):
                await self._claims.finish(email, message_id)
        self._subscription.acknowledge(message)

    def __repr__(self) -> str:
        return f"<Watch of {self._subscription.count} mailboxes>"


class _Subscription(Listener):
    """What a watch is at the poller: what came and was not delivered yet, and what is known of each mailbox."""

    __slots__ = (
        "_bad",
        "_changed",
        "_claiming",
        "_end",
        "_file",
        "_forever",
        "_gone",
        "_held",
        "_known",
        "_last_error",
        "_paused",
        "_polls",
        "_queue",
        "_resumed",
        "_spent",
        "_unreadable",
        "_unseen",
        "_weight",
        "is_open",
        "is_over",
        "poller",
    )

    def __init__(
        self,
        caller: Caller,
        state: Mapping[str, Sequence[str]] | str | os.PathLike[str] | None,
        *,
        forever: bool,
        interval: float | None,
    ) -> None:
        super().__init__(caller, interval=interval)
        self.poller = Poller.of(caller.core)
        self.is_open = self.is_over = False
        self._forever = forever
        self._file = None if state is None or isinstance(state, (Mapping, list)) else StateFile(_path_of(state))
        self._resumed = checked_state(state) if self._file is None else self._file.load()
        self._known: dict[str, tuple[str, ...]] = {}  # by mailbox, the ids of messages delivered or in the queue
        self._queue: deque[tuple[str, Event]] = deque()
        self._unseen: dict[int, tuple[str, Message]] = {}  # what the consumer works on, by identity
        self._claiming: set[int] = set()  # what of it was not delivered yet, but is being claimed
        self._held: dict[int, tuple[str, Message]] = {}  # what somebody else handles, by identity
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

    def open(self, refs: Iterable[MailboxRef]) -> None:
        """Begin to listen."""
        self.caller.core.check_open()
        if self._file is not None:
            for email, ids in self._file.open().items():
                self._resumed[email] = tuple(dict.fromkeys((*self._resumed.get(email, ()), *ids)))
            self.poller.pacer.restore(self._file.experience)
        self.is_open = True
        self.add(refs)

    def add(self, refs: Iterable[MailboxRef]) -> None:
        """Listen to further mailboxes."""
        self.caller.core.check_open()
        new = {ref.email: ref for ref in refs if ref.email not in self._known}
        if self._end is not None:
            return
        for email in new:
            self._known[email] = self._resumed.pop(email, ())
        self.poller.join_all(list(new.values()), self)

    def take_over(self, emails: set[str], seen: Mapping[str, tuple[str, ...]]) -> None:
        """Count messages as seen in those of the mailboxes that are not listened to yet."""
        for email in (emails & seen.keys()) - self._known.keys():
            self._resumed[email] = tuple(dict.fromkeys((*self._resumed.get(email, ()), *seen[email])))
            if self._file is not None:
                self._file.append_seen(email, *seen[email])

    def discard(self, emails: set[str]) -> None:
        """Listen to mailboxes no longer, and forget them."""
        for email in emails & self._known.keys():
            self._forget(email)
            self.poller.leave(email, self)
        for email in emails & self._resumed.keys():
            del self._resumed[email]
        self._queue = deque(item for item in self._queue if item[0] not in emails)
        self._held = {key: item for key, item in self._held.items() if item[0] not in emails}
        for key in [key for key in self._claiming if self._unseen[key][0] in emails]:
            del self._unseen[key]
        self._weight = sum(_weight_of(item) for _, item in self._queue if isinstance(item, Message))
        self._resume_paused()
        self._changed.set()

    def seen(self, emails: set[str] | None = None) -> dict[str, list[str]]:
        """See `Watch.seen`; of all mailboxes, or of some."""
        unseen = {(email, item.id) for email, item in self._queue if isinstance(item, Message)}
        unseen |= {(email, message.id) for email, message in (*self._unseen.values(), *self._held.values())}
        known = {
            email: [message_id for message_id in self._known[email] if (email, message_id) not in unseen]
            for email in (self._known if emails is None else self._known.keys() & emails)
        }
        resumed = self._resumed if emails is None else self._resumed.keys() & emails
        return {**{email: list(self._resumed[email]) for email in resumed}, **known}

    def health(self) -> WatchHealth:
        """See `Watch.health`."""
        errors = {email: self.poller.error_of(email) for email in self._known}
        wanted, allowed = self.poller.pacer.rates
        return WatchHealth(
            mailboxes=len(self._known),
            backlog=sum(isinstance(item, Message) for _, item in self._queue),
            polls=self._polls,
            quota_spent=self._spent,
            oldest_poll=max(map(self.poller.age_of, self._known), default=0.0),
            wanted_rate=wanted,
            allowed_rate=allowed,
            unpaid=tuple(email for email in self.poller.unpaid() if email in self._known)[:MAX_REPORTED],
            failing={email: error for email, error in errors.items() if error is not None},
            last_error=self._last_error,
            gone=dict(self._gone),
            unreadable=tuple(self._unreadable),
        )

    def acknowledge(self, message: Message | None = None) -> None:
        """Count a message that was delivered as seen, or all of them."""
        for key in list(self._unseen) if message is None else [id(message)]:
            found = self._unseen.pop(key, None)
            if found is not None and self._file is not None and found[0] in self._known:
                self._file.append_seen(found[0], found[1].id)

    def release(self) -> None:
        """Deliver again what was delivered and not acknowledged."""
        for message in reversed([message for _, message in self._unseen.values()]):
            self.put_back(message)

    def put_back(self, message: Message) -> None:
        """Deliver a message again that was not acknowledged, or that others held."""
        found = self._unseen.pop(id(message), None) or self._held.pop(id(message), None)
        if found is not None:
            self._queue.appendleft(found)
            self._weight += _weight_of(message)
            self._changed.set()

    def delivered(self, message: Message | None = None) -> list[tuple[str, str]]:
        """Return the mailbox and the id of a message that was delivered and not acknowledged, or of all of them."""
        found = self._unseen.values() if message is None else [self._unseen[id(message)]]
        return [(email, each.id) for email, each in found]

    def begin_claim(self, message: Message) -> str:
        """Return the mailbox of a message that is claimed before it is delivered."""
        self._claiming.add(id(message))
        return self._unseen[id(message)][0]

    def end_claim(self, message: Message) -> bool:
        """Return whether the message is still wanted: its mailbox may have been discarded."""
        self._claiming.discard(id(message))
        return id(message) in self._unseen

    def hold(self, message: Message) -> None:
        """Keep a message that somebody else handles, until it is put back."""
        self._held[id(message)] = self._unseen.pop(id(message))

    async def next_event(self) -> Event:
        """Return what came next.

        Raises:
            StopAsyncIteration: The watch was left, or no mailbox is left.
            TempMailError: The watch cannot go on.
        """
        while not self._queue or self.is_over:
            if self._end is not None:
                raise self._end
            if not self.is_open:
                self._check_was_open()
            if not self.is_open or (not self._known and not self._held and not self._forever):
                self._changed.set()  # others may wait for the same
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        email, item = self._queue.popleft()
        if isinstance(item, Message):
            self._unseen[id(item)] = email, item
            self._weight -= _weight_of(item)
            self._resume_paused()
        if not self._queue and not self._known:
            self._changed.set()  # it was the last
        return item

    def close(self) -> None:
        """Stop listening."""
        self.is_open, self.is_over = False, True
        for email in self._known:
            self.poller.leave(email, self)
        self._changed.set()
        if self._file is not None:
            self._file.close(self.seen(), self.poller.pacer.as_state())

    def _check_was_open(self) -> None:
        if not self.is_over:
            raise err.ConfigurationError("enter the watch first: async with client.watch(…) as watch")

    def _forget(self, email: str) -> None:
        del self._known[email]
        self._bad.pop(email, None)
        self._paused.discard(email)
        if self._file is not None:
            self._file.append_forgotten(email)

    def _resume_paused(self) -> None:
        """Poll the mailboxes again that were paused or left out, once half of the backlog is delivered."""
        if self._paused and self._weight <= MAX_BACKLOG // 2:
            paused, self._paused = self._paused, set()
            for email in paused:
                self.poller.resume(email)

    # -- what the poller reports ------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        return self._weight > MAX_BACKLOG

    def outwaits(self, seconds: float) -> bool:
        return self._forever or any(self.poller.life_of(email) > seconds for email in self._known)

    def on_poll(self, _begun: float, *, counted: bool) -> None:
        self._polls += 1
        self._spent += counted

    def on_messages(self, email: str, messages: list[Message], unreadable: tuple[err.APIResponseError, ...]) -> bool:
        known = set(self._known[email])
        there = {message.id: message for message in messages}  # a list may hold a message twice
        new = self._bounded(email, sorted((there[key] for key in there.keys() - known), key=age_of))
        absent = [key for key in self._known[email] if key not in there]
        kept = known | {message.id for message in new}
        self._known[email] = (*absent[-MAX_ABSENT:], *(key for key in there if key in kept))
        self._queue.extend((email, message) for message in new)
        self._report(email, unreadable)
        if new:
            self._changed.set()
        return bool(new)

    def _bounded(self, email: str, new: list[Message]) -> list[Message]:
        """Return the messages that the backlog has room for; the rest is new again when the consumer has caught up."""
        for number, message in enumerate(new):
            if self.is_full:
                self._paused.add(email)
                return new[:number]
            self._weight += _weight_of(message)
        return new

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


def _path_of(state: str | os.PathLike[str]) -> Path:
    try:
        return Path(state)
    except TypeError:
        raise err.ConfigurationError("state must be a path, or what watch.seen() returned") from None


def _problem_of(error: err.APIResponseError) -> str:
    return re.sub(r"messages\[\d+\]", "messages[…]", str(error))


def _weight_of(message: Message) -> int:
    return MESSAGE_WEIGHT + len(message.content)
