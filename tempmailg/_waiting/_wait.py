"""One mailbox, one wait: until a message fits, the mailbox is gone, or the time is over."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Final, Self

from tempmailg import _endpoints as endpoints
from tempmailg import _errors as err
from tempmailg import _settings as settings
from tempmailg import _wire as wire
from tempmailg._public import public
from tempmailg._retry import may_retry
from tempmailg._waiting._criteria import summary
from tempmailg._waiting._inbox import Listener, MailboxRef
from tempmailg._waiting._poller import Poller

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tempmailg._core import Sender
    from tempmailg._models import Mailbox, Message
    from tempmailg._waiting._criteria import Criteria, Finder

__all__ = ["ExpectedMessage", "assert_no_message", "wait_for_finding", "wait_for_messages"]

LAST_POLL: Final = 1.0  # seconds before its end at which a wait polls once more; sooner if the wait is short
_REASONS: Final = 100  # messages whose rejection is explained


async def wait_for_messages(
    sender: Sender, mailbox: Mailbox | str, criteria: Criteria, *, timeout: float, count: int
) -> list[Message]:
    """Return so many messages that fit, the oldest first; see `AsyncClient.wait_for_messages`."""
    wanted = settings.count_of("count", count, least=1)
    fitting: list[Message] = []
    async with _Wait.until(sender, mailbox, criteria, timeout) as wait:
        while len(fitting) < wanted:
            for message in await wait.arrivals():
                if len(fitting) < wanted and await wait.accepts(message):
                    fitting.append(message)
    return sorted(fitting, key=_age)


async def wait_for_finding(
    sender: Sender, mailbox: Mailbox | str, criteria: Criteria, finder: Finder, *, timeout: float
) -> str:
    """Return what is found in the first message that fits and has it."""
    async with _Wait.until(sender, mailbox, criteria, timeout) as wait:
        while True:
            for message in await wait.arrivals():
                if not await wait.accepts(message):
                    continue
                found = finder.find(message)
                if found is not None:
                    return found
                wait.reject(message, finder.missing)


async def assert_no_message(sender: Sender, mailbox: Mailbox | str, criteria: Criteria, *, within: float) -> None:
    """Raise AssertionError if a message fits; see `AsyncClient.assert_no_message`."""
    seconds = settings.seconds_of("within", within)
    try:
        async with _Wait.through(sender, mailbox, criteria, seconds) as wait:
            while not wait.is_through:
                for message in await wait.arrivals():
                    if await wait.accepts(message):
                        raise AssertionError(f"a message came to {wait.email} that should not: {summary(message)}")
    except err.WaitTimeoutError as error:  # no poll at the end of the time succeeded
        raise error.last_error or error from None


@public
class ExpectedMessage:
    """The message that a block of code causes: an async context manager; see `AsyncClient.expect_message`."""

    def __init__(self, sender: Sender, mailbox: Mailbox | str, criteria: Criteria, *, timeout: float) -> None:
        self._sender = sender
        self._mailbox = mailbox
        self._criteria = self._new = criteria
        self._timeout = settings.seconds_of("timeout", timeout)
        self._ref = MailboxRef.of(mailbox)
        self._message: Message | None = None

    @property
    def message(self) -> Message:
        """The message; known behind the block.

        Raises:
            ConfigurationError: The block is not over yet.
        """
        if self._message is None:
            raise err.ConfigurationError("the message is known behind the block: leave the block first")
        return self._message

    async def __aenter__(self) -> Self:
        self._message = None
        there = await _ids_at(self._ref, self._sender)
        self._new = self._criteria.without(there, "it was there before the block")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        if kind is None:
            messages = await wait_for_messages(self._sender, self._mailbox, self._new, timeout=self._timeout, count=1)
            self._message = messages[0]

    def __repr__(self) -> str:
        return f"<ExpectedMessage {'pending' if self._message is None else self._message.id}>"


async def _ids_at(ref: MailboxRef, sender: Sender) -> list[str]:
    """Return the ids of the messages that are there."""
    Poller.of(sender.core).check_quota()
    try:
        messages, _ = await sender.fetch(endpoints.list_messages(ref.email), {}, wire.decode_messages)
    except err.NotFoundError as error:
        gone = err.MailboxGoneError(f"there is no mailbox {ref.email} (any more): {error}")
        gone.email, gone.status, gone.body, gone.quota = ref.email, error.status, error.body, error.quota
        raise gone from None
    return [message.id for message in messages]


def _age(message: Message) -> float:
    return message.received_at.timestamp()


class _Wait(Listener):
    """One wait's place at its mailbox: what has come, what became of it, and how the wait ends."""

    __slots__ = (
        "_arrived",
        "_bad",
        "_changed",
        "_criteria",
        "_end",
        "_has_seen_the_end",
        "_known",
        "_last_error",
        "_poller",
        "_polls",
        "_ref",
        "_rejected",
        "_spent",
        "_started",
    )

    def __init__(
        self, sender: Sender, mailbox: Mailbox | str, criteria: Criteria, *, last_poll: float, deadline: float
    ) -> None:
        started = sender.core.transport.now()
        super().__init__(sender, deadline=started + deadline, last_poll=started + last_poll)
        self._ref = MailboxRef.of(mailbox)
        self._poller = Poller.of(sender.core)
        self._criteria = criteria
        self._started = started
        self._known: set[str] = set()
        self._arrived: list[Message] = []
        self._rejected: list[str] = []
        self._bad: tuple[err.APIResponseError, ...] = ()
        self._polls = self._spent = 0
        self._last_error: err.TempMailError | None = None
        self._end: Exception | None = None
        self._changed = asyncio.Event()
        self._has_seen_the_end = False  # a poll succeeded that began when the last was due, or later

    @classmethod
    def until(cls, sender: Sender, mailbox: Mailbox | str, criteria: Criteria, timeout: float) -> Self:
        """Return a wait that ends after `timeout` seconds, shortly after a last poll."""
        seconds = settings.seconds_of("timeout", timeout)
        return cls(sender, mailbox, criteria, last_poll=seconds - min(LAST_POLL, seconds / 4), deadline=seconds)

    @classmethod
    def through(cls, sender: Sender, mailbox: Mailbox | str, criteria: Criteria, seconds: float) -> Self:
        """Return a wait whose last poll is made after `seconds` seconds, and may take as long as a call."""
        return cls(sender, mailbox, criteria, last_poll=seconds, deadline=seconds + sender.timeout)

    @property
    def email(self) -> str:
        """The mailbox's address."""
        return self._ref.email

    @property
    def is_through(self) -> bool:
        """Whether the last poll was made and all that came was handed out."""
        return self._has_seen_the_end and not self._arrived

    async def __aenter__(self) -> Self:
        self._poller.join(self._ref, self)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._poller.leave(self.email, self)
        await self._poller.settle()

    # -- what the waiting code asks for -----------------------------------------------------------------------------

    async def arrivals(self) -> list[Message]:
        """Return what has come since the last time, the newest first; it may be nothing when a poll is the news.

        Raises:
            TempMailError: The wait is over.
        """
        await self._changed.wait()
        if self._end is None:
            self._changed.clear()
        elif not self._arrived:
            raise self._end
        arrived, self._arrived = self._arrived, []
        return sorted(arrived, key=_age, reverse=True)

    async def accepts(self, message: Message) -> bool:
        """Return whether a message fits; if not, keep the reason."""
        mismatch_reason = self._criteria.mismatch_reason(message)
        if mismatch_reason is None and not await self._matches(message):
            mismatch_reason = "match says no"
        if mismatch_reason is not None:
            self.reject(message, mismatch_reason)
        return mismatch_reason is None

    def reject(self, message: Message, reason: str) -> None:
        """Keep why a message was not the one."""
        self._rejected.append(f"{summary(message)}: {reason}")
        del self._rejected[:-_REASONS]

    async def _matches(self, message: Message) -> bool:
        match = self._criteria.match
        answer = True if match is None else match(message)
        return bool(await self._in_time(answer)) if inspect.isawaitable(answer) else bool(answer)

    async def _in_time(self, answer: Awaitable[bool]) -> bool:
        """Wait for a predicate, but not beyond the deadline."""
        task = asyncio.ensure_future(answer)
        transport = self.sender.core.transport
        left = (self.deadline or 0.0) - transport.now()
        alarm = asyncio.ensure_future(transport.sleep(max(0.0, left)))
        try:
            await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self._arrived.clear()
            raise self._timed_out()
        finally:
            await _cancelled(task, alarm)

    # -- what the poller tells --------------------------------------------------------------------------------------

    def on_messages(self, _email: str, messages: list[Message], unreadable: tuple[err.APIResponseError, ...]) -> bool:
        new = {message.id: message for message in messages if message.id not in self._known}
        self._known.update(new)
        self._arrived.extend(new.values())
        self._bad = unreadable
        if new:
            self._changed.set()
        return bool(new)

    def on_poll(self, begun: float, *, counted: bool) -> None:
        self._polls += 1
        self._spent += counted
        if self.last_poll is not None and begun >= self.last_poll:
            self._has_seen_the_end = True
            self._changed.set()

    def on_fault(self, _email: str, error: err.TempMailError) -> None:
        self._polls += 1
        self._last_error = error
        if _is_hopeless(error) or self._is_put_off(error):
            self.on_end(error)

    def on_gone(self, _email: str, error: err.MailboxGoneError) -> None:
        self.on_end(error)

    def on_end(self, error: Exception) -> None:
        self._end = error
        self._poller.leave(self.email, self)
        self._changed.set()

    def on_deadline(self) -> None:
        self.on_end(self._timed_out())

    def _is_put_off(self, error: err.TempMailError) -> bool:
        """Say whether the service asks to come back when the wait is over."""
        asked = error.retry_after if isinstance(error, err.APIStatusError) else None
        return asked is not None and self.sender.core.transport.now() + asked > (self.deadline or 0.0)

    def _timed_out(self) -> err.WaitTimeoutError:
        core = self.sender.core
        waited = core.transport.now() - self._started
        unreadable = tuple(f"a message that cannot be read: {error}" for error in self._bad)
        rejected = (*self._rejected, *unreadable)
        text = [
            f"no message fitted within {waited:.1f} s at {self.email}",
            f"{self._polls} polls took {self._spent} requests of the quota",
            *(f"rejected {reason}" for reason in rejected),
            "no message came" if not rejected else "",
            f"last fault: {self._last_error}" if self._last_error else "",
        ]
        error = err.WaitTimeoutError(
            "; ".join(part for part in text if part),
            call="list_messages",
            quota=core.quota,
            attempts=self._polls,
            elapsed=waited,
        )
        error.waited, error.polls, error.quota_spent = waited, self._polls, self._spent
        error.rejected, error.last_error = rejected, self._last_error
        return error


def _is_hopeless(error: err.TempMailError) -> bool:
    """Say whether a later poll would fail in the same way, so that a wait had better end at once."""
    if isinstance(error, err.ServerError):
        return False
    if isinstance(error, err.APIResponseError):
        return error.status is not None and 300 <= error.status < 400
    return not may_retry(error)


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait for their ends."""
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)
