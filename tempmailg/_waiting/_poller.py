"""The one scheduler of a client: it polls mailboxes for whoever listens, within what the quota and the service bear.

The theory
==========

*Who there is.* A `Listener` waits for messages: a wait for one (urgent), a watch for all that come. An `Inbox` is one
mailbox with its listeners; they share its polls. The `Pacer` says when an inbox is due, the ledger of the quota whether
a request is left. Polls are tasks of their own. Nothing runs unless somebody listens.

*The states of an inbox* that has listeners. Each transition is made by the method named, and by no other.

::

    due at a time ──_begin_poll──▶ polling ──_poll_done──▶ due at a time
      │     ▲                         │
      │     └──── resume ──── paused  └──_forget──▶ gone (no listener left, or the mailbox is gone)
      └──_begin_poll──▶ paused

- *due*: it stands in `_urgent` or `_patient`, by whether one of its listeners is urgent; and also in `_lasts` as long
  as its last poll before the expiry was not made. `_schedule` puts it there, and only if it is not polling.
- *polling*: `inbox.poll` is its task. It stands in `_lasts` at most, unless this is its last poll.
- *paused*: all its listeners are full. It stands in `_lasts` at most; `resume` makes it due again.

*Who may wake whom.* Whatever happens is followed by `_run_due`, which does everything that is due now and sets the
alarm for what is due next. It is called when somebody joins, when a poll has ended, when the alarm rings, and when a
paused inbox is resumed; not by `leave`, which only drops what nobody wants any more. `_run_due` reads the time and the
headers of the last answer once, at its beginning. Listeners are called from within it and from `_poll_done`; they may
call `join`, `leave` and `resume` at any time, but they never block.

*Invariants.*

1. An inbox has at least one listener; a listener's inboxes know it. The last one to leave takes the inbox with it.
2. An inbox is polled once at a time.
3. While there is an inbox, there is a poll or an alarm, or every inbox is paused: nothing that is due is forgotten.
4. A poll begins only if the quota has a request above the reserve; where it has none and the service declares no usable
   reset, a probe is made every minute, and at the beginning and the end of each wait. Of those requests, one is kept
   for each inbox in `_lasts`: only a last poll may take it. So no mailbox expires unpolled while requests remain.
5. One answer ends nothing. A mailbox is gone when the service itself says so after its expiry, or twice before;
   a key is refused when the service itself says so twice in a row. Everything else is a fault, and repeated.
6. A deadline that passed while the process stood still is put off once, until the poll that was due before it was made.

*Order.* Of what is due, last polls come first, then waits, then watches; but a watch that is overdue longer than
`PATIENCE` comes before a wait that is not. How many polls may be under way follows the load, see `Window`.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tempmailg import _errors as err
from tempmailg import _settings as settings
from tempmailg._core import Caller
from tempmailg._waiting._agenda import Agenda
from tempmailg._waiting._finality import Verdict, verdict_of
from tempmailg._waiting._inbox import Inbox
from tempmailg._waiting._pacer import Pacer
from tempmailg._waiting._schedule import Window, fault_delay

if TYPE_CHECKING:
    from tempmailg._core import ClientState
    from tempmailg._waiting._inbox import Listener, MailboxRef, News
    from tempmailg._waiting._pacer import Forecast

__all__ = ["Poller", "forecast"]

POLL_TIMEOUT: Final = 5.0  # seconds of the first try, doubled by each fault: a stall must not cost a whole wait
FAULTS_BORNE: Final = (
    8  # in a row, over all mailboxes; after them the service counts as ill and is asked by one at a time
)
LONGEST_PAUSE: Final = 3_600.0  # seconds that a 429 or 503 may ask for
SHORTEST_SLEEP: Final = 0.01  # seconds: what rounding leaves over is no reason to spin
PATIENCE: Final = 10.0  # seconds for which a watch's poll lets polls of waits go first
STANDSTILL: Final = 0.25  # seconds by which an alarm may be late before the process counts as having stood still
GRACE: Final = 2.0  # seconds for the poll that was due before a standstill


class Poller:
    """Polls mailboxes for whoever listens; see the theory above."""

    def __init__(self, core: ClientState) -> None:
        self._core = core
        self._transport = core.transport
        self._book = core.quota_book
        self.pacer = Pacer(core.quota_book, core.preference)
        self._inboxes: dict[str, Inbox] = {}
        self._lasts: Agenda[Inbox] = Agenda()  # last polls before an expiry
        self._urgent: Agenda[Inbox] = Agenda()  # polls for waits
        self._patient: Agenda[Inbox] = Agenda()  # polls for watches only
        self._deadlines: Agenda[Listener] = Agenda()
        self._window = Window()
        self._ending: set[asyncio.Task[Any]] = set()  # cancelled, but not yet at their end
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = math.inf
        self._faults = 0  # in a row, over all mailboxes
        self._not_before = -math.inf

    @classmethod
    def of(cls, core: ClientState) -> Poller:
        """Return the poller of a client and its siblings."""
        if isinstance(core.background, cls):
            return core.background
        poller = core.background = cls(core)
        return poller

    # -- who listens ------------------------------------------------------------------------------------------------

    def join(self, ref: MailboxRef, listener: Listener) -> None:
        """Poll a mailbox for a listener, as soon as there may be something to see and then again and again."""
        self.join_all([ref], listener)

    def join_all(self, refs: list[MailboxRef], listener: Listener) -> None:
        """Poll mailboxes for a listener."""
        self._core.check_open()
        now = self._transport.now()
        self._book.refresh()
        if listener.deadline is not None:
            self._deadlines.set(listener, listener.deadline)
        for ref in refs:
            inbox = self._inboxes.get(ref.email)
            if inbox is None:
                inbox = self._inboxes[ref.email] = Inbox(ref, now)
            inbox.join(listener, ref, now)
            self.pacer.joined(inbox, listener, ref.empty_at, now)
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
        """Poll a mailbox again for a listener that was full, and treat its list as new: some of it was left out."""
        inbox = self._inboxes.get(email)
        if inbox is None:
            return
        inbox.forget_list()
        inbox.awaited_since = inbox.first_poll = self._transport.now()
        if inbox.poll is None:
            self._schedule(inbox, inbox.awaited_since)
            self._run_due()

    async def settle(self) -> None:
        """Wait until the tasks that were cancelled have ended, so that none outlives the wait it belonged to."""
        if self._ending:
            await asyncio.wait(self._ending)

    async def stop(self) -> None:
        """See `Background.stop`."""
        error = err.ClientClosedError("the client was closed while this waited for messages")
        self._end(tuple(self._listeners()), error)
        await self.settle()

    # -- what others may ask ----------------------------------------------------------------------------------------

    def check_quota(self) -> None:
        """Raise if nothing is left above the reserve, and the service says until when.

        Raises:
            QuotaExceededError: So it is.
        """
        self._book.refresh()
        now = self._transport.now()
        if self._book.ledger.opens_at(now) > -math.inf and not self._book.ledger.lacks_reset:
            raise self._out_of_quota()

    def error_of(self, email: str) -> err.TempMailError | None:
        """Return what the last poll of a mailbox met, or None if it succeeded."""
        inbox = self._inboxes.get(email)
        return None if inbox is None else inbox.error

    def age_of(self, email: str) -> float:
        """Return the seconds since a mailbox was polled with success, or since it was added."""
        inbox = self._inboxes.get(email)
        return 0.0 if inbox is None else self._transport.now() - max(inbox.joined, inbox.succeeded)

    def life_of(self, email: str) -> float:
        """Return how long a mailbox is expected to be there, in seconds."""
        inbox = self._inboxes.get(email)
        return 0.0 if inbox is None else self.pacer.life_of(inbox, self._transport.now())

    def under_way_for(self, email: str) -> float | None:
        """Return for how many seconds a mailbox's poll has waited for its answer; None if there is no such poll."""
        inbox = self._inboxes.get(email)
        return None if inbox is None or inbox.poll is None else self._transport.now() - inbox.begun

    def unpaid(self) -> list[str]:
        """Return the mailboxes that will expire unpolled, since the quota has no request for them before its reset."""
        now = self._transport.now()
        self._book.refresh()
        left = self._book.ledger.left(now) - self._book.ledger.under_way
        kept = self._kept(now)
        return [] if left >= len(kept) else [inbox.email for inbox in kept[max(0, int(left)) :]]

    # -- what happens next ------------------------------------------------------------------------------------------

    def _run_due(self) -> None:
        """Do all that is due, and set the alarm for what is due next."""
        now = self._transport.now()
        self._book.refresh()
        if self.pacer.refresh(self._inboxes.values(), now):
            self._schedule_all(now)
        while (listener := self._deadlines.take(now)) is not None:
            self._meet_deadline(listener, now)
        while (inbox := self._next(now)) is not None:
            self._begin_poll(inbox, now)
        self._set_alarm(now)

    def _meet_deadline(self, listener: Listener, now: float) -> None:
        """End a listener's time, unless the process stood still when its last poll was due."""
        late = now - (listener.deadline or now)
        if late < STANDSTILL or listener.stood_still or listener.has_seen_the_end:
            listener.on_deadline()
            return
        listener.stood_still, listener.last_poll, listener.deadline = late, now, now + GRACE
        self._deadlines.set(listener, listener.deadline)
        for inbox in self._inboxes.values():
            if inbox.poll is None and listener in inbox.listeners:
                self._schedule(inbox, now)

    def _next(self, now: float) -> Inbox | None:
        """Take the inbox to poll now, if there is one."""
        while now >= self._not_before and self._has_room(now):
            inbox = self._take(now)
            if inbox is not None and inbox.poll is not None:
                continue  # its slot has come while it is polled; `_poll_done` sees to that
            if inbox is None or inbox.plan == self.pacer.version or self._due_now(inbox, now):
                return inbox
            self._schedule(inbox, now)  # there is a new plan, by which it is not due yet
        return None

    def _take(self, now: float) -> Inbox | None:
        inbox = self._lasts.take(now)
        if inbox is not None:
            return inbox
        urgent, patient = self._urgent.first(), self._patient.first()
        if urgent is None or (patient is not None and patient < min(urgent, now) - PATIENCE):
            return self._patient.take(now)
        return self._urgent.take(now) or self._patient.take(now)

    def _due_now(self, inbox: Inbox, now: float) -> bool:
        slot = self.pacer.last_slot(inbox, now)
        return self.pacer.due(inbox, now) <= now or (slot is not None and slot <= now)

    def _has_room(self, now: float) -> bool:
        under_way = self._book.ledger.under_way
        if not self._book.ledger.has_room(now) or (self._faults > FAULTS_BORNE and under_way):
            return False
        return self._window.has_room(under_way)

    def _schedule(self, inbox: Inbox, now: float) -> None:
        """Set when to poll an inbox next."""
        inbox.plan = self.pacer.version
        agenda, other = (self._urgent, self._patient) if inbox.is_urgent else (self._patient, self._urgent)
        other.drop(inbox)
        agenda.set(inbox, self.pacer.due(inbox, now))
        slot = self.pacer.last_slot(inbox, now)
        if slot is None:
            self._lasts.drop(inbox)
        elif self._lasts.time_of(inbox) != slot:
            self._lasts.set(inbox, slot)

    def _schedule_all(self, now: float) -> None:
        for inbox in self._inboxes.values():
            if inbox in self._urgent or inbox in self._patient:
                self._schedule(inbox, now)

    def _set_alarm(self, now: float) -> None:
        at = min(self._polls_resume(now), self._deadlines.first() or math.inf)
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
        times = (self._lasts.first(), self._urgent.first(), self._patient.first())
        at = max(self._not_before, min((time for time in times if time is not None), default=math.inf))
        reset = self._book.ledger.until_reset(now)
        return at if reset is None or not self._inboxes else min(at, now + reset)  # then gaps may become shorter

    async def _sleep(self, seconds: float) -> None:
        await self._transport.sleep(seconds)

    # -- a poll -----------------------------------------------------------------------------------------------------

    def _begin_poll(self, inbox: Inbox, now: float) -> None:
        """Begin a poll, unless nobody needs it or the quota forbids it."""
        self._urgent.drop(inbox)
        self._patient.drop(inbox)
        if all(listener.is_full for listener in inbox.listeners):
            for listener in inbox.listeners:
                listener.on_pause(inbox.email)
            return
        if not self._may_spend(inbox, now):
            return
        if (self._lasts.time_of(inbox) or math.inf) <= now:
            self._lasts.drop(inbox)
        inbox.begun, inbox.chance = now, self._transport.random()
        payer = next(each for each in inbox.listeners if each.is_urgent) if inbox.is_urgent else inbox.listeners[0]
        patience = min(payer.caller.timeout, POLL_TIMEOUT * 2.0 ** min(inbox.faults, 10))
        fetch = Caller(self._core, patience, max_retries=0).fetch(inbox.call, inbox.headers, inbox.read)
        inbox.poll = poll = asyncio.create_task(fetch, context=payer.context)
        self._book.ledger.begin()
        poll.add_done_callback(partial(self._poll_done, inbox, payer))

    def _poll_done(self, inbox: Inbox, payer: Listener, poll: asyncio.Task[News]) -> None:
        """Draw the conclusions from a poll that ended, in whichever way."""
        inbox.poll, inbox.ended = None, self._transport.now()
        self._book.refresh()
        self.pacer.polls += 1
        error = asyncio.CancelledError() if poll.cancelled() else poll.exception()
        news = poll.result() if error is None else None
        self._book.ledger.end(counted=news is not None and news.counted)
        if self._inboxes.get(inbox.email) is inbox:
            if news is not None:
                self._publish(inbox, news)
            elif isinstance(error, err.TempMailError):
                self._fail(inbox, payer, error)
            else:
                self._end(inbox.listeners, error if isinstance(error, Exception) else _stopped())
            self._reschedule(inbox)
        self._run_due()

    def _publish(self, inbox: Inbox, news: News) -> None:
        """Deliver to the listeners what a poll brought."""
        self._faults = inbox.faults = inbox.verdicts = 0
        self._window.succeeded(inbox.ended - inbox.begun)
        inbox.error, inbox.succeeded = None, inbox.begun
        for problem in news.unreadable:
            self._core.redact(problem)  # they go to logs and to the watch's health
        if news.messages is not None:
            new = [listener.on_messages(inbox.email, news.messages, news.unreadable) for listener in inbox.listeners]
            if any(new):
                inbox.quiet_since = inbox.ended
        for listener in inbox.listeners:
            listener.on_poll(inbox.begun, counted=news.counted)
        if self.pacer.outlived(inbox):
            inbox.expires_at = None

    def _reschedule(self, inbox: Inbox) -> None:
        """Set the next poll, if somebody still listens."""
        if self._inboxes.get(inbox.email) is inbox and inbox.poll is None:
            self._schedule(inbox, inbox.ended)

    # -- the quota --------------------------------------------------------------------------------------------------

    def _may_spend(self, inbox: Inbox, now: float) -> bool:
        """Say whether the quota has a request for a poll; if not, put it off, or end who cannot wait so long."""
        opens_at = self._book.ledger.opens_at(now)
        if opens_at > -math.inf and not self._may_probe(inbox, now):
            self._put_off(inbox, self._out_of_quota(), now)
            return False
        slot = self.pacer.last_slot(inbox, now)
        if (slot is not None and slot <= now) or not self._is_scarce(now):
            return True
        for listener in inbox.listeners:
            if listener.is_urgent:
                listener.on_end(self._out_of_quota("what is left is kept for mailboxes that expire before the reset"))
        if inbox.listeners:
            self._patient.set(inbox, now + inbox.gap * self.pacer.plan.minimum)
        return False

    def _put_off(self, inbox: Inbox, error: err.QuotaExceededError, now: float) -> None:
        """Poll an inbox when the quota is open again, for those of its listeners who can wait so long."""
        end = self.pacer.end_of(inbox)
        if end is not None and now >= end:  # there is nothing to wait for, and no request left to ask for evidence
            self._gone(inbox, error)
            return
        opens_at = self._opens_at(inbox, now)
        is_probed = self._book.ledger.lacks_reset  # so a watch goes on: its next poll does not hang on a reset
        for listener in inbox.listeners:
            if not listener.outwaits(opens_at - now) and (listener.is_urgent or not is_probed):
                listener.on_end(error)
        if inbox.listeners:
            (self._urgent if inbox.is_urgent else self._patient).set(inbox, opens_at)
            self._lasts.drop(inbox)

    def _may_probe(self, inbox: Inbox, now: float) -> bool:
        """Say whether a wait may poll though nothing seems to be left: the service says nothing of a reset.

        A wait polls once when it begins and once when it ends, unless the service itself refuses a poll meanwhile.
        """
        if not (inbox.is_urgent and self._book.ledger.lacks_reset):
            return False
        is_unanswered = inbox.faults > 0 and not isinstance(inbox.error, err.QuotaExceededError)
        return inbox.begun < inbox.awaited_since or is_unanswered or self._final_poll(inbox) <= now

    def _opens_at(self, inbox: Inbox, now: float) -> float:
        """Return from when on an inbox may be polled that may not be polled now."""
        opens_at = self._book.ledger.opens_at(now)
        return min(opens_at, self._final_poll(inbox)) if self._book.ledger.lacks_reset else opens_at

    def _final_poll(self, inbox: Inbox) -> float:
        """Return when the next wait at an inbox ends with a poll; never if the service has refused the last one."""
        if isinstance(inbox.error, err.QuotaExceededError):
            return math.inf
        times = [each.last_poll for each in inbox.listeners if each.is_urgent and each.last_poll is not None]
        return min((time for time in times if inbox.begun < time), default=math.inf)

    def _is_scarce(self, now: float) -> bool:
        """Say whether the requests that are left are all needed for last polls; where none is, this poll is a probe."""
        if self._book.ledger.lacks_reset:
            return False
        left = self._book.ledger.left(now) - self._book.ledger.under_way
        return left <= len(self._lasts) and left <= len(self._kept(now))

    def _kept(self, now: float) -> list[Inbox]:
        """Return the inboxes for which a request is kept, in the order of their last polls."""
        seconds = self._book.ledger.until_reset(now)
        kept = [(at, inbox) for inbox, at in self._lasts.items() if seconds is None or at < now + seconds]
        return [inbox for _, inbox in sorted(kept, key=lambda item: item[0])]

    def _out_of_quota(self, reason: str = "") -> err.QuotaExceededError:
        quota = self._book.quota
        resets_at = quota.resets_at if quota else None
        is_ahead = self._book.ledger.until_reset(self._transport.now()) is not None
        start = resets_at.isoformat() if resets_at and is_ahead else "a time that the service does not declare"
        error = err.QuotaExceededError(
            f"{reason or 'the quota is down to the reserve of this client (quota_reserve)'}, so no poll was sent; "
            f"it starts again at {start}",
            call="list_messages",
            quota=quota,
        )
        error.resets_at = resets_at
        return error

    # -- faults and ends --------------------------------------------------------------------------------------------

    def _fail(self, inbox: Inbox, payer: Listener, error: err.TempMailError) -> None:
        """Do what a failed poll calls for."""
        inbox.error = error
        verdict = verdict_of(error)
        if verdict is Verdict.BUDGET:
            self._end((payer,), error)  # its own budget is spent; that of the others is not
        elif verdict is Verdict.LOCAL:
            self._end(inbox.listeners, error)
        elif isinstance(error, err.QuotaExceededError) and self._book.ledger.opens_at(inbox.ended) > -math.inf:
            self._bear(inbox, error)
            self._put_off(inbox, error, inbox.ended)
        elif verdict is Verdict.PASSING or not self._is_confirmed(inbox, verdict):
            self._bear(inbox, error, is_answer=verdict is not Verdict.PASSING)
        elif verdict is Verdict.GONE:
            self._gone(inbox, error)
        else:
            self._end(inbox.listeners, error)

    def _is_confirmed(self, inbox: Inbox, verdict: Verdict) -> bool:
        """Say whether an answer that would end something is not the only one, or was to be expected."""
        inbox.verdicts += 1
        end = self.pacer.end_of(inbox)
        return inbox.verdicts > 1 or (verdict is Verdict.GONE and end is not None and inbox.ended >= end)

    def _bear(self, inbox: Inbox, error: err.TempMailError, *, is_answer: bool = False) -> None:
        """Take a fault as one that will pass."""
        inbox.faults += 1
        if not is_answer:
            self._faults += 1
            self._window.failed()
            self._hold_back(error, inbox.ended)
        for listener in inbox.listeners:
            listener.on_fault(inbox.email, error)

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

    def _gone(self, inbox: Inbox, reason: err.TempMailError) -> None:
        end = self.pacer.end_of(inbox)
        if end is not None and inbox.ended >= end and inbox.expires_at is not None:
            text = f"the mailbox {inbox.email} expired at {inbox.expires_at.isoformat()}"
        else:
            text = f"there is no mailbox {inbox.email} (any more): it expired or was deleted"
        error = err.MailboxGoneError(text, call="list_messages", quota=self._book.quota)
        error.email, error.status, error.body = inbox.email, reason.status, reason.body
        listeners = inbox.listeners
        self._forget(inbox)
        for listener in listeners:
            listener.on_gone(inbox.email, error)

    def _end(self, listeners: tuple[Listener, ...], error: Exception) -> None:
        for listener in listeners:
            listener.on_end(error)

    def _forget(self, inbox: Inbox) -> None:
        del self._inboxes[inbox.email]
        for agenda in (self._lasts, self._urgent, self._patient):
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
        if isinstance(error, Exception):  # without an alarm nothing would ever be delivered again
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


def forecast(core: ClientState, timeout: float | None) -> Forecast:
    """Return what a wait of this client is expected to cost; see `AsyncClient.forecast`."""
    seconds = None if timeout is None else settings.check_seconds("timeout", timeout)
    core.quota_book.refresh()
    return Poller.of(core).pacer.forecast(seconds, core.transport.now())


def _stopped() -> err.ClientClosedError:
    return err.ClientClosedError("the event loop is closing, so nobody polls for messages any more")
