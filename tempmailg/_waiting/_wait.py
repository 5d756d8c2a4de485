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
from tempmailg._waiting._beside import answer_of
from tempmailg._waiting._criteria import fingerprint, summary
from tempmailg._waiting._finality import Verdict, verdict_of
from tempmailg._waiting._inbox import Listener, MailboxRef, age_of
from tempmailg._waiting._made import ref_of
from tempmailg._waiting._poller import Poller
from tempmailg._waiting._schedule import fault_delay

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tempmailg._core import Caller
    from tempmailg._models import Mailbox, Message
    from tempmailg._waiting._criteria import Criteria, Finder

__all__ = ["ExpectedMessage", "assert_no_message", "check_timeout", "wait_for_finding", "wait_for_messages"]

LAST_POLL: Final = 1.0  # seconds before its end at which a wait polls once more; sooner if the wait is short
BASELINE_TRIES: Final = 3  # polls for the messages that are there, if one is answered in a way that may be a mistake
_REASONS: Final = 100  # messages whose rejection is explained


def check_timeout(what: str, value: float | None) -> float | None:
    """Return a number of seconds that is not negative, or None; refuse anything else."""
    if value is None or (value == 0 and not isinstance(value, bool)):
        return value
    try:
        return settings.check_seconds(what, value)
    except OverflowError:
        raise err.ConfigurationError(f"{what} must be a number of seconds that a clock can count") from None


async def wait_for_messages(
    caller: Caller,
    mailbox: Mailbox | str,
    criteria: Criteria,
    *,
    timeout: float | None,
    count: int,
    interval: float | None = None,
    empty_at: float | None = None,
) -> list[Message]:
    """Return so many messages that fit, the oldest first; see `AsyncClient.wait_for_messages`."""
    wanted = settings.check_count("count", count, least=1)
    fitting: dict[str, Message] = {}
    async with _Wait.until(caller, mailbox, criteria, timeout, interval, empty_at) as wait:
        while len(fitting) < wanted:
            for message in await wait.arrivals():
                if len(fitting) < wanted and message.id not in fitting and await wait.accepts(message):
                    fitting[message.id] = message
                    wait.found(message)
    return sorted(fitting.values(), key=age_of)


async def wait_for_finding(
    caller: Caller,
    mailbox: Mailbox | str,
    criteria: Criteria,
    finder: Finder,
    *,
    timeout: float | None,
    interval: float | None = None,
) -> str:
    """Return what is found in the first message that fits and has it."""
    async with _Wait.until(caller, mailbox, criteria, timeout, interval) as wait:
        while True:
            for message in await wait.arrivals():
                if not await wait.accepts(message):
                    continue
                found = finder.find(message)
                if found is not None:
                    wait.found(message)
                    return found
                wait.reject(message, finder.missing)


async def assert_no_message(
    caller: Caller, mailbox: Mailbox | str, criteria: Criteria, *, within: float, interval: float | None = None
) -> None:
    """Raise AssertionError if a message fits; see `AsyncClient.assert_no_message`."""
    seconds = 0.0 if within == 0 else settings.check_seconds("within", within)
    try:
        async with _Wait.through(caller, mailbox, criteria, seconds, interval) as wait:
            while not wait.is_through:
                for message in await wait.arrivals():
                    if await wait.accepts(message):
                        raise AssertionError(f"a message came to {wait.email} that should not: {summary(message)}")
    except err.WaitTimeoutError as error:  # no poll at the end of the time succeeded
        raise error.last_error or error from None


@public
class ExpectedMessage:
    """The message that a block of code causes: an async context manager; see `AsyncClient.expect_message`."""

    def __init__(
        self,
        caller: Caller,
        mailbox: Mailbox | str,
        criteria: Criteria,
        *,
        timeout: float | None,
        interval: float | None = None,
    ) -> None:
        self._caller = caller
        self._mailbox = mailbox
        self._criteria = self._new = criteria
        self._timeout = check_timeout("timeout", timeout)
        self._interval = _checked_interval(interval)
        self._ref = MailboxRef.of(mailbox)
        self._listed_at = 0.0  # when the list of the messages that were there was asked for
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
        self._listed_at = self._caller.core.transport.now()
        there = await _ids_at(self._ref, self._caller)
        self._new = self._criteria.without(there, "it was there before the block")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        if kind is not None:
            return
        messages = await wait_for_messages(
            self._caller,
            self._mailbox,
            self._new,
            timeout=self._timeout,
            count=1,
            interval=self._interval,
            empty_at=self._listed_at,
        )
        self._message = messages[0]

    def __repr__(self) -> str:
        return f"<ExpectedMessage {'pending' if self._message is None else self._message.id}>"


async def _ids_at(ref: MailboxRef, caller: Caller) -> list[str]:
    """Return the ids of the messages that are there."""
    Poller.of(caller.core).check_quota()
    for attempt in range(1, BASELINE_TRIES + 1):
        try:
            messages, _ = await caller.fetch(endpoints.list_messages(ref.email), {}, wire.decode_messages)
        except (err.NotFoundError, err.AuthenticationError, err.PermissionDeniedError) as error:
            if attempt == BASELINE_TRIES or (attempt > 1 and error.from_service):
                raise _gone(ref, error) if verdict_of(error) is Verdict.GONE else error from None
            transport = caller.core.transport
            await transport.sleep(fault_delay(attempt, transport.random()))
        else:
            return [message.id for message in messages]
    raise AssertionError("the last attempt returns or raises")


def _gone(ref: MailboxRef, error: err.TempMailError) -> err.MailboxGoneError:
    gone = err.MailboxGoneError(f"there is no mailbox {ref.email} (any more): {error}")
    gone.email, gone.status, gone.body, gone.quota = ref.email, error.status, error.body, error.quota
    return gone


def _checked_interval(interval: float | None) -> float | None:
    return None if interval is None else settings.check_seconds("poll_interval", interval)


class _Wait(Listener):
    """One wait at its mailbox: what has come, what became of it, and how the wait ends."""

    __slots__ = (
        "_arrived",
        "_bad",
        "_changed",
        "_criteria",
        "_end",
        "_has_seen_the_end",
        "_hopeless",
        "_is_single",
        "_known",
        "_last_error",
        "_learns",
        "_listed",
        "_poller",
        "_polls",
        "_ref",
        "_rejected",
        "_spent",
        "_started",
        "_waited",
        "_when",
    )

    is_urgent = True

    def __init__(
        self,
        caller: Caller,
        mailbox: Mailbox | str,
        criteria: Criteria,
        *,
        last_poll: float | None,
        deadline: float | None,
        interval: float | None,
    ) -> None:
        started = caller.core.transport.now()
        super().__init__(
            caller,
            deadline=None if deadline is None else started + deadline,
            last_poll=None if last_poll is None else started + last_poll,
            interval=_checked_interval(interval),
        )
        self._ref = ref_of(caller.core, mailbox)
        self._poller = Poller.of(caller.core)
        self._criteria = criteria
        self._started = self._listed = started  # the latter: when the last list was asked for
        self._known: dict[str, int] = {}  # the fingerprints of messages by their ids
        self._arrived: dict[str, Message] = {}
        self._when: dict[str, tuple[float, float]] = {}  # between which times each message came
        self._rejected: dict[str, str] = {}
        self._bad: tuple[err.APIResponseError, ...] = ()
        self._polls = self._spent = 0
        self._hopeless = 0  # answers in a row that would be the same the next time
        self._last_error: err.TempMailError | None = None
        self._end: Exception | None = None
        self._waited = 0.0  # seconds, once the time is over
        self._changed = asyncio.Event()
        self._has_seen_the_end = False  # a poll succeeded that began when the last was due, or later
        self._is_single = False
        self._learns = True  # whether this wait is for a message that is expected to come

    @classmethod
    def until(
        cls,
        caller: Caller,
        mailbox: Mailbox | str,
        criteria: Criteria,
        timeout: float | None,
        interval: float | None = None,
        empty_at: float | None = None,
    ) -> Self:
        """Return a wait that ends after `timeout` seconds, shortly after a last poll; for 0 after a single poll."""
        seconds = check_timeout("timeout", timeout)
        last_poll: float | None
        deadline: float | None
        if seconds == 0:
            last_poll, deadline = 0.0, caller.timeout
        elif seconds is None:
            last_poll = deadline = None
        else:
            last_poll, deadline = seconds - min(LAST_POLL, seconds / 4), seconds
        wait = cls(caller, mailbox, criteria, last_poll=last_poll, deadline=deadline, interval=interval)
        wait._is_single = seconds == 0
        wait._learns = seconds != 0
        if wait._is_single:
            wait._ref = MailboxRef(wait.email, wait._ref.expires_at)
        elif empty_at is not None:
            wait._ref = MailboxRef(wait.email, wait._ref.expires_at, empty_at)
        return wait

    @classmethod
    def through(
        cls, caller: Caller, mailbox: Mailbox | str, criteria: Criteria, seconds: float, interval: float | None = None
    ) -> Self:
        """Return a wait whose last poll is made after `seconds` seconds, and may take as long as a call."""
        deadline = seconds + caller.timeout
        wait = cls(caller, mailbox, criteria, last_poll=seconds, deadline=deadline, interval=interval)
        wait._learns = False
        return wait

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
        if self._learns:
            self._poller.pacer.arrivals.record(self.caller.core.transport.now() - self._started, arrived=False)
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
            raise self._timed_out() if isinstance(self._end, err.WaitTimeoutError) else self._end
        arrived, self._arrived = self._arrived, {}
        return sorted(arrived.values(), key=age_of, reverse=True)

    async def accepts(self, message: Message) -> bool:
        """Return whether a message fits; if not, keep the reason."""
        reason = self._criteria.mismatch_reason(message)
        if reason is None and not await self._matches(message):
            reason = "match says no"
        if reason is not None:
            self.reject(message, reason)
        return reason is None

    def reject(self, message: Message, reason: str) -> None:
        """Keep why a message was not the one."""
        self._rejected.pop(message.id, None)
        self._rejected[message.id] = f"{summary(message)}: {reason}"
        if len(self._rejected) > _REASONS:
            del self._rejected[next(iter(self._rejected))]

    def found(self, message: Message) -> None:
        """Learn when the message came that was waited for, but for one that may have been there long before."""
        if not self._learns:
            return
        self._learns = False
        earliest, latest = self._when[message.id]
        came = self.caller.core.quota_book.clock.until(message.received_at, 0.0) + 0.5  # times of receipt are cut
        is_known_new = self._ref.empty_at is not None
        if latest <= self._started and not is_known_new:
            return
        came = min(latest, max(earliest, came))
        self._poller.pacer.arrivals.record(
            max(0.01, came - self._started), arrived=True, instant=is_known_new and came - 1.0 <= self._started
        )

    async def _matches(self, message: Message) -> bool:
        match = self._criteria.match
        beside = self.caller.core.user_code_in_threads and not inspect.iscoroutinefunction(match)
        answer = True if match is None else answer_of(match, message, beside=beside)
        if not inspect.isawaitable(answer):
            return bool(answer)
        return bool(await (answer if beside else self._in_time(answer)))  # a thread cannot be cut

    async def _in_time(self, answer: Awaitable[bool]) -> bool:
        """Wait for a predicate, but not beyond the deadline."""
        if self.deadline is None:
            return await answer
        task = asyncio.ensure_future(answer)
        transport = self.caller.core.transport
        alarm = asyncio.ensure_future(transport.sleep(max(0.0, self.deadline - transport.now())))
        try:
            await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self._arrived.clear()
            self.on_deadline()
            raise self._timed_out()
        finally:
            await _cancelled(task, alarm)

    # -- what the poller reports ------------------------------------------------------------------------------------

    @property
    def has_seen_the_end(self) -> bool:
        return self._has_seen_the_end

    def on_messages(self, _email: str, messages: list[Message], unreadable: tuple[err.APIResponseError, ...]) -> bool:
        """Take in the messages that are new, and those whose content has changed since they were judged."""
        prints = {message.id: fingerprint(message) for message in messages}
        new = [message for message in messages if self._known.get(message.id) != prints[message.id]]
        period = (self._listed, self.caller.core.transport.now())
        for message in new:
            self._arrived[message.id] = message
            self._when.setdefault(message.id, period)
        self._known.update(prints)
        self._bad = unreadable
        if new:
            self._changed.set()
        return bool(new)

    def on_poll(self, begun: float, *, counted: bool) -> None:
        self._polls += 1
        self._spent += counted
        self._hopeless = 0
        self._listed = begun
        if self.last_poll is None or begun < self.last_poll:
            return
        self._has_seen_the_end = True
        self._changed.set()
        if self._is_single or self.stood_still:
            self.on_deadline()

    def on_fault(self, _email: str, error: err.TempMailError) -> None:
        self._polls += 1
        self._last_error = error
        self._hopeless = self._hopeless + 1 if _is_hopeless(error) else 0
        if self._hopeless > 1 or _was_not_sent(error) or self._is_put_off(error):
            self.on_end(error)
        elif self._is_single:
            self.on_deadline()

    def on_gone(self, _email: str, error: err.MailboxGoneError) -> None:
        self.on_end(error)

    def on_end(self, error: Exception) -> None:
        self._end = self._end or error
        self._poller.leave(self.email, self)
        self._changed.set()

    def on_deadline(self) -> None:
        if self._end is not None:
            return
        self._count_unanswered()
        self._waited = self.caller.core.transport.now() - self._started
        self.on_end(err.WaitTimeoutError("the time is over"))  # what to say is known when all that came was judged

    def _is_put_off(self, error: err.TempMailError) -> bool:
        """Say whether the service asks to come back when the wait is over."""
        asked = error.retry_after if isinstance(error, err.APIStatusError) else None
        return asked is not None and not self.outwaits(asked)

    def _count_unanswered(self) -> None:
        """Count the poll that is under way when the time is over: its request was sent and may have cost something."""
        seconds = self._poller.under_way_for(self.email)
        if seconds is None:
            return
        self._polls += 1
        text = f"the service has not answered a poll of {self.email} within {seconds:.1f} s"
        self._last_error = err.APITimeoutError(text, sent=True, call="list_messages", attempts=1, elapsed=seconds)

    def _timed_out(self) -> err.WaitTimeoutError:
        unreadable = tuple(f"a message that cannot be read: {error}" for error in self._bad)
        rejected = (*self._rejected.values(), *unreadable)
        text = [
            f"no message fitted within {self._waited:.1f} s at {self.email}",
            f"the process stood still for {self.stood_still:.1f} s when the time was over" if self.stood_still else "",
            f"{self._polls} polls took {self._spent} requests of the quota",
            *(f"rejected {reason}" for reason in rejected),
            "no message came" if not rejected else "",
            f"last fault: {self._last_error}" if self._last_error else "",
        ]
        error = err.WaitTimeoutError(
            "; ".join(part for part in text if part),
            call="list_messages",
            quota=self.caller.core.quota,
            attempts=self._polls,
            elapsed=self._waited,
        )
        error.waited, error.polls, error.quota_spent = self._waited, self._polls, self._spent
        error.rejected, error.last_error = rejected, self._last_error
        return error


def _is_hopeless(error: err.TempMailError) -> bool:
    """Say whether an answer would be the same the next time, so that a second one had better end the wait."""
    if isinstance(error, err.APIResponseError):
        return error.status is not None and 300 <= error.status < 400
    if isinstance(error, (err.NotFoundError, err.AuthenticationError, err.PermissionDeniedError)):
        return False  # the poller judges these
    return isinstance(error, (err.APIStatusError, err.RequestRejectedError)) and not may_retry(error)


def _was_not_sent(error: err.TempMailError) -> bool:
    """Say whether something on this side forbids the request, such as a certificate that must not be trusted."""
    return isinstance(error, err.APIConnectionError) and not may_retry(error)


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait for their ends."""
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)
