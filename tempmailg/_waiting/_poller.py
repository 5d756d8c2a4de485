"""The one scheduler of a client: which mailbox to poll next, within what the quota and the service bear."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

from tempmailg import _errors as err
from tempmailg._core import Sender
from tempmailg._waiting._agenda import Agenda
from tempmailg._waiting._inbox import Inbox
from tempmailg._waiting._schedule import fault_delay, poll_interval

if TYPE_CHECKING:
    from tempmailg._core import Core
    from tempmailg._waiting._inbox import Listener, MailboxRef, News

__all__ = ["Poller"]

CONCURRENT_POLLS: Final = 32
POLL_TIMEOUT: Final = 5.0  # seconds of the first try, doubled by each fault: a stall must not cost a whole wait
FAULTS_BORNE: Final = (
    8  # in a row, over all mailboxes; after them the service counts as ill and is asked by one at a time
)
LONGEST_PAUSE: Final = 3_600.0  # seconds that a 429 or 503 may ask for
DATE_GRAIN: Final = 2.0  # seconds: `Date` tells whole ones, so less than this is no news
BEFORE_EXPIRY: Final = 1.0  # seconds: when the last poll of a mailbox is made
SHORTEST_SLEEP: Final = 0.01  # seconds: what rounding leaves over is no reason to spin


class Poller:
    """Polls mailboxes for whoever listens; many listeners of one mailbox share its polls.

    Nothing runs unless somebody listens: polls are tasks, and an alarm, one more task, sleeps until the next is due.
    Whatever happens (a poll ends, the alarm rings, somebody comes) is followed by `_run_due`, which decides anew.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._transport = core.transport
        self._book = core.quota_book
        self._inboxes: dict[str, Inbox] = {}
        self._urgent: Agenda[Inbox] = Agenda()  # polls for waits
        self._patient: Agenda[Inbox] = Agenda()  # polls for watches only, at the quota's pace
        self._expiries: Agenda[Inbox] = Agenda()
        self._deadlines: Agenda[Listener] = Agenda()
        self._polls: set[asyncio.Task[News]] = set()
        self._ending: set[asyncio.Task[Any]] = set()  # cancelled, but not yet at their end
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = math.inf
        self._faults = 0  # in a row, over all mailboxes
        self._not_before = -math.inf

    @classmethod
    def of(cls, core: Core) -> Poller:
        """Return the poller of a client and its siblings."""
        if isinstance(core.background, cls):
            return core.background
        poller = core.background = cls(core)
        return poller

    # -- who listens ------------------------------------------------------------------------------------------------

    def join(self, ref: MailboxRef, listener: Listener) -> None:
        """Poll a mailbox for a listener, at once and then again and again."""
        self._core.check_open()
        now = self._transport.now()
        inbox = self._inboxes.get(ref.email)
        if inbox is None:
            inbox = self._inboxes[ref.email] = Inbox(ref, now)
        inbox.join(listener, ref, now)
        if listener.deadline is not None:
            self._deadlines.set(listener, listener.deadline)
        if inbox.poll is None:
            self._schedule(inbox, now)
        self._run_due()

    def leave(self, email: str, listener: Listener) -> None:
        """Poll a mailbox for a listener no longer."""
        self._deadlines.drop(listener)
        inbox = self._inboxes.get(email)
        if inbox is None:
            return
        inbox.leave(listener)
        if not inbox.listeners:
            self._forget(inbox)
        elif inbox.poll is None:
            now = self._transport.now()
            self._schedule(inbox, now)  # perhaps nobody is in a hurry any more
            self._set_alarm(now)

    def resume(self, email: str) -> None:
        """Poll a mailbox again whose listeners were full."""
        inbox = self._inboxes.get(email)
        if inbox is not None and inbox.poll is None:
            self._schedule(inbox, self._transport.now())
            self._run_due()

    def error_of(self, email: str) -> err.TempMailError | None:
        """Return what the last poll of a mailbox met, or None if it succeeded."""
        inbox = self._inboxes.get(email)
        return None if inbox is None else inbox.error

    async def settle(self) -> None:
        """Wait until the tasks that were cancelled have ended, so that none outlives the wait it belonged to."""
        if self._ending:
            await asyncio.wait(self._ending)

    async def stop(self) -> None:
        """See `Background.stop`."""
        error = err.ClientClosedError("the client was closed while this waited for messages")
        self._end(tuple(self._listeners()), error)
        await self.settle()

    def check_quota(self) -> None:
        """Raise if nothing is left above the reserve.

        Raises:
            QuotaExceededError: So it is.
        """
        self._book.refresh()
        if not self._book.pace.is_exhausted(self._transport.now()):
            return
        quota = self._book.quota
        resets_at = quota.resets_at if quota else None
        error = err.QuotaExceededError(
            "the quota is down to the reserve of this client (quota_reserve), so no poll was sent; it starts again at "
            f"{resets_at.isoformat() if resets_at else 'a time that the service does not tell'}",
            call="list_messages",
            quota=quota,
        )
        error.resets_at = resets_at
        raise error

    # -- what happens next ------------------------------------------------------------------------------------------

    def _run_due(self) -> None:
        """Do all that is due, and set the alarm for what is due next."""
        now = self._transport.now()
        self._book.refresh()
        while (listener := self._deadlines.take(now)) is not None:
            listener.on_deadline()
        while (expired := self._expiries.take(now)) is not None:
            self._expire(expired)
        while (inbox := self._next(now)) is not None:
            self._begin_poll(inbox, now)
        self._set_alarm(now)

    def _next(self, now: float) -> Inbox | None:
        """Take the inbox to poll now, if there is one."""
        if now < self._not_before or not self._has_room(now):
            return None
        inbox = self._urgent.take(now)
        if inbox is None and self._book.pace.delay(now) <= 0:
            inbox = self._patient.take(now)
        return inbox

    def _has_room(self, now: float) -> bool:
        limit = CONCURRENT_POLLS if self._faults <= FAULTS_BORNE else 1
        return len(self._polls) < limit and self._book.pace.has_room(now)

    def _schedule(self, inbox: Inbox, now: float) -> None:
        """Set when to poll an inbox next: at once if somebody has not heard of it yet, else as the pace says."""
        at = now if inbox.begun < inbox.awaited_since else self._pace(inbox, now)
        for last in self._last_polls(inbox, now):
            if inbox.begun < last < at:
                at = max(now, last)
        agenda, other = (self._urgent, self._patient) if inbox.is_urgent else (self._patient, self._urgent)
        other.drop(inbox)
        agenda.set(inbox, at)

    def _pace(self, inbox: Inbox, now: float) -> float:
        gap = poll_interval(now - inbox.quiet_since, self._transport.random())
        at = max(inbox.begun + gap, now + gap / 2)  # a service that answers slowly is not asked without a break
        if inbox.faults:
            at = max(at, now + fault_delay(inbox.faults, self._transport.random()))
        return at

    def _last_polls(self, inbox: Inbox, now: float) -> list[float]:
        lasts = [listener.last_poll for listener in inbox.listeners if listener.last_poll is not None]
        expiry = self._expiry_of(inbox, now)
        return lasts if expiry is None else [*lasts, expiry - BEFORE_EXPIRY]

    def _set_alarm(self, now: float) -> None:
        at = min(self._polls_resume(now), self._deadlines.first() or math.inf, self._expiries.first() or math.inf)
        if at == math.inf or (self._alarm is not None and self._alarm_at <= at):
            return  # it rings soon enough, and then sets itself anew
        self._cancel_alarm()
        self._alarm_at = at
        self._alarm = asyncio.create_task(self._sleep(max(SHORTEST_SLEEP, at - now)))
        self._alarm.add_done_callback(self._alarm_fired)

    def _polls_resume(self, now: float) -> float:
        """Return when the next poll can begin, unless the end of another one makes room for it."""
        if not self._has_room(now):
            return math.inf
        urgent, patient = self._urgent.first(), self._patient.first()
        at = math.inf if urgent is None else urgent
        if patient is not None:
            at = min(at, max(patient, now + self._book.pace.delay(now)))
        return max(at, self._not_before)

    async def _sleep(self, seconds: float) -> None:
        await self._transport.sleep(seconds)

    # -- a poll -----------------------------------------------------------------------------------------------------

    def _begin_poll(self, inbox: Inbox, now: float) -> None:
        """Begin a poll, unless nobody needs it or the quota forbids it."""
        if all(listener.is_full for listener in inbox.listeners):
            for listener in inbox.listeners:
                listener.on_pause(inbox.email)
            return
        try:
            self.check_quota()
        except err.QuotaExceededError as error:
            self._end(inbox.listeners, error)
            return
        inbox.begun = now
        payer = next((listener for listener in inbox.listeners if listener.is_urgent), inbox.listeners[0])
        inbox.poll = poll = asyncio.create_task(self._fetch(inbox, payer.sender), context=payer.context)
        self._book.pace.begin()
        self._polls.add(poll)
        poll.add_done_callback(lambda poll: self._poll_done(inbox, payer, poll))

    async def _fetch(self, inbox: Inbox, sender: Sender) -> News:
        patience = min(sender.timeout, POLL_TIMEOUT * 2.0 ** min(inbox.faults, 10))
        news = await Sender(self._core, patience, max_retries=0).fetch(inbox.call, inbox.headers, inbox.read)
        for error in news.unreadable:
            self._core.conceal(error)  # they go to logs and to the watch's health
        return news

    def _poll_done(self, inbox: Inbox, payer: Listener, poll: asyncio.Task[News]) -> None:
        """Draw the conclusions from a poll that ended, in whichever way."""
        inbox.poll = None
        self._polls.discard(poll)
        self._book.refresh()
        error = None if poll.cancelled() else poll.exception()
        is_good = not poll.cancelled() and error is None
        self._book.pace.end(counted=is_good and poll.result().counted)
        if self._inboxes.get(inbox.email) is inbox:
            if is_good:
                self._publish(inbox, poll.result())
            elif isinstance(error, err.TempMailError):
                self._fail(inbox, payer, error)
            else:
                self._end(inbox.listeners, error if isinstance(error, Exception) else _stopped())
        self._run_due()

    def _publish(self, inbox: Inbox, news: News) -> None:
        """Tell the listeners what a poll brought."""
        now = self._transport.now()
        self._faults = inbox.faults = 0
        inbox.error = None
        if news.messages is not None:
            told = [listener.on_messages(inbox.email, news.messages, news.unreadable) for listener in inbox.listeners]
            if any(told):
                inbox.quiet_since = now
        for listener in inbox.listeners:
            listener.on_poll(inbox.begun, counted=news.counted)
        self._reschedule(inbox, now)

    def _fail(self, inbox: Inbox, payer: Listener, error: err.TempMailError) -> None:
        """Do what a failed poll calls for."""
        now = self._transport.now()
        inbox.error = error
        if isinstance(error, err.NotFoundError):
            self._gone(inbox, f"there is no mailbox {inbox.email} (any more): it expired or was deleted")
        elif isinstance(error, err.QuotaExceededError) and error.status is None:
            self._end((payer,), error)  # its own budget is spent; that of the others is not
        elif isinstance(error, _FATAL):
            self._end(inbox.listeners, error)
        else:
            inbox.faults += 1
            self._faults += 1
            self._hold_back(error, now)
            for listener in inbox.listeners:
                listener.on_fault(inbox.email, error)
        self._reschedule(inbox, now)

    def _hold_back(self, error: err.TempMailError, now: float) -> None:
        """Leave the whole service alone for a while, if it asks for that or looks ill."""
        asked = error.retry_after if isinstance(error, err.APIStatusError) else None
        if asked is not None:
            pause = min(asked, LONGEST_PAUSE)
        elif isinstance(error, err.RateLimitError) or self._faults > FAULTS_BORNE:
            pause = fault_delay(max(1, self._faults - FAULTS_BORNE), self._transport.random())
        else:
            return
        self._not_before = max(self._not_before, now + pause)

    def _reschedule(self, inbox: Inbox, now: float) -> None:
        """Set the next poll, if somebody still listens to a mailbox that is still there."""
        if self._inboxes.get(inbox.email) is not inbox:
            return
        if inbox.is_over:
            self._expire(inbox)
        else:
            self._schedule(inbox, now)

    # -- ends -------------------------------------------------------------------------------------------------------

    def _expiry_of(self, inbox: Inbox, now: float) -> float | None:
        """Return when a mailbox expires, from the service's clock to our monotonic one; keep the agenda true."""
        clock = self._book.clock
        if inbox.expires_at is None or not clock.is_set:
            return None
        known, at = self._expiries.time_of(inbox), now + clock.until(inbox.expires_at, now)
        if known is not None and abs(known - at) < DATE_GRAIN:
            return known
        self._expiries.set(inbox, at)
        return at

    def _expire(self, inbox: Inbox) -> None:
        if inbox.poll is not None:
            inbox.is_over = True  # the poll under way may still tell what came before
        elif inbox.expires_at is not None:
            self._gone(inbox, f"the mailbox {inbox.email} expired at {inbox.expires_at.isoformat()}")

    def _gone(self, inbox: Inbox, text: str) -> None:
        error = err.MailboxGoneError(text, call="list_messages", quota=self._core.quota)
        error.email = inbox.email
        if isinstance(inbox.error, err.NotFoundError):
            error.status, error.body = inbox.error.status, inbox.error.body
        self._forget(inbox)
        for listener in inbox.listeners:
            listener.on_gone(inbox.email, error)

    def _end(self, listeners: tuple[Listener, ...], error: Exception) -> None:
        for listener in listeners:
            listener.on_end(error)

    def _forget(self, inbox: Inbox) -> None:
        del self._inboxes[inbox.email]
        for agenda in (self._urgent, self._patient, self._expiries):
            agenda.drop(inbox)
        if inbox.poll is not None:
            self._cancel(inbox.poll)
        if not self._inboxes:
            self._cancel_alarm()

    # -- tasks ------------------------------------------------------------------------------------------------------

    def _alarm_fired(self, alarm: asyncio.Task[None]) -> None:
        """Go on when the alarm has rung, unless it was replaced meanwhile."""
        if alarm is not self._alarm:
            return
        self._alarm, self._alarm_at = None, math.inf
        error = _stopped() if alarm.cancelled() else alarm.exception()
        if isinstance(error, Exception):  # without an alarm nobody would ever be told anything again
            self._end(tuple(self._listeners()), error)
        self._run_due()

    def _listeners(self) -> set[Listener]:
        return {listener for inbox in self._inboxes.values() for listener in inbox.listeners}

    def _cancel_alarm(self) -> None:
        alarm, self._alarm, self._alarm_at = self._alarm, None, math.inf
        if alarm is not None:
            self._cancel(alarm)

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        task.cancel()


# What no later poll can mend. Everything else is repeated: for watches for ever, for waits until they give up.
_FATAL: Final = (
    err.AuthenticationError,
    err.PermissionDeniedError,
    err.QuotaExceededError,
    err.ClientClosedError,
    err.ConfigurationError,
)


def _stopped() -> err.ClientClosedError:
    return err.ClientClosedError("the event loop is closing, so nobody polls for messages any more")
