"""When each mailbox is due: the arrivals that were learned, the plan that the quota allows, and what calls for more."""

from __future__ import annotations

import logging
import math
from collections import Counter
from typing import TYPE_CHECKING, Final

from attrs import frozen

from tempmailg._public import public
from tempmailg._quota import PROBE_GAP
from tempmailg._waiting._arrivals import Arrivals
from tempmailg._waiting._learned import as_mapping
from tempmailg._waiting._planner import (
    BASE_STRETCH,
    MINIMUM_GAP,
    MINIMUM_SHARE,
    UNKNOWN_PERIOD,
    UNKNOWN_QUOTA,
    WARN_BEYOND,
    Claim,
    Experience,
    Plan,
    Supply,
    claim_of,
    plan,
)
from tempmailg._waiting._schedule import fault_delay

if TYPE_CHECKING:
    from collections.abc import Collection

    from tempmailg._quota import Preference, QuotaBook
    from tempmailg._waiting._inbox import Inbox, Listener

__all__ = ["Forecast", "Pacer"]

_log = logging.getLogger("tempmailg")

BEFORE_EXPIRY: Final = 1.0  # seconds: when the last poll of a mailbox is made, if no other mailbox's is made then
AFTER_EXPIRY: Final = 0.5  # seconds: when the service is asked whether the mailbox is gone
OVERTIME: Final = 3.0  # seconds: a mailbox that is there so long after its expiry does not expire then
LAST_POLLS_A_SECOND: Final = 250  # the last polls of mailboxes that expire together are spread
SPREAD_SHARE: Final = 0.3  # of the rest of a mailbox's life: how far its last poll may be moved
USUAL_LIFE: Final = 600.0  # seconds: what the service documents
EARLY: Final = 8.0  # seconds: the first gap at the minimum rate; it doubles until it is the longest
GAP_JITTER: Final = 0.1  # of a gap at the minimum rate, and always downwards: a minimum is a promise

REPLAN_AFTER: Final = 10.0  # seconds, and
REPLAN_PER_MAILBOX: Final = 0.001  # seconds more for each mailbox, since a new plan goes through all of them
REPLAN_BEYOND: Final = 0.1  # or when so large a share of the mailboxes is new, or of the quota is spent
SHORTER: Final = 0.9  # gaps that shrink below this share are set anew at once


@public
@frozen
class Forecast:
    """What waits are expected to cost, and how many of them the quota still pays for.

    Args:
        requests: Requests of the quota that a wait takes on average.
        delay: Seconds between a message's arrival and its delivery, on average.
        waits: How many such waits fit until the reset, beside what is watched and what others spend; None if the
            service has not declared its quota yet.
        stretch: How far polls are stretched for the quota's sake: 1 or less if it is rich.
        seconds: Time until the reset; None if that is not known.
    """

    requests: float
    delay: float
    waits: int | None
    stretch: float
    seconds: float | None


class Pacer:
    """Says when a mailbox is due, and whether the quota has a request for it.

    Args:
        book: What the service says about its quota.
        preference: What the client's user cares for more.
    """

    def __init__(self, book: QuotaBook, preference: Preference) -> None:
        self._book = book
        self._base = BASE_STRETCH[preference]
        self.arrivals = Arrivals()
        self.plan = Plan(1.0, self._base)
        self.version = 0
        self.experience: Experience | None = None
        self.restored: object = None  # what a watch's state file says, until there is an experience to restore
        self._claim = Claim()
        self._wanted = 0.0
        self._planned: tuple[float, int, float] = (-math.inf, 0, 0.0)  # until when, for how many mailboxes, of how much
        self._counted = (0, 0, 0)  # polls, answers and requests spent, as far as the experience knows them
        self._slots: Counter[int] = Counter()
        self._has_warned = False
        self.polls = 0

    # -- the plan ---------------------------------------------------------------------------------------------------

    def refresh(self, inboxes: Collection[Inbox], now: float) -> bool:
        """Make a new plan if the old one is out of date, and say whether gaps have become shorter."""
        until, count, left = self._planned
        grown = abs(len(inboxes) - count) > 4 + REPLAN_BEYOND * count
        if now < until and not grown and (1 - REPLAN_BEYOND) * left <= self._left(now) <= (1 + REPLAN_BEYOND) * left:
            return False
        supply = self._supply(now)
        self._planned = (now + REPLAN_AFTER + REPLAN_PER_MAILBOX * len(inboxes), len(inboxes), supply.left)
        before, self.plan = self.plan, self._new_plan(inboxes, supply, now)
        self.version += 1
        self._warn()
        return (
            self.plan.stretch < SHORTER * before.stretch
            or self.plan.minimum < SHORTER * before.minimum
            or len(inboxes) > count + 64
        )

    def _new_plan(self, inboxes: Collection[Inbox], supply: Supply, now: float) -> Plan:
        experience = self._experienced(supply, now)
        claims = [self._claim_of(inbox, supply.seconds, now) for inbox in inboxes if inbox.is_watched]
        known = Claim(
            sum(claim.last for claim in claims),
            sum(claim.minimum for claim in claims),
            sum(claim.speed for claim in claims),
        )
        self._wanted = sum(1 / inbox.gap for inbox in inboxes if inbox.is_watched)
        self._claim = known
        shares = self.arrivals.shares(experience.timeout)
        return plan(supply, experience.demand(known, supply.seconds, shares, now), self._base)

    def _experienced(self, supply: Supply, now: float) -> Experience:
        """Return the experience, with what was spent since the last time."""
        if self.experience is None:
            self.experience = Experience(supply.seconds, now)
            self.experience.restore(self.restored, now)
        polls, answers, spent = self._counted
        self._counted = self.polls, self._book.answers, self._book.ledger.spent
        polled, answered, paid = (new - old for new, old in zip(self._counted, (polls, answers, spent), strict=True))
        other, foreign = max(0, answered - polled), max(0, paid - answered)
        self.experience.record_spending(polls=polled, other=other, foreign=foreign, now=now)
        return self.experience

    def _supply(self, now: float) -> Supply:
        seconds = None if self._is_unknown(now) else self._book.ledger.until_reset(now)
        return Supply(self._left(now), UNKNOWN_PERIOD if seconds is None else max(1.0, seconds))

    def _left(self, now: float) -> float:
        return UNKNOWN_QUOTA if self._is_unknown(now) else max(0.0, self._book.ledger.left(now))

    def _is_unknown(self, now: float) -> bool:
        """Say whether nobody knows how much there is to spend; then the ledger lets few polls through, evenly."""
        return self._book.ledger.left(now) == math.inf or self._book.ledger.lacks_reset

    def _claim_of(self, inbox: Inbox, seconds: float, now: float) -> Claim:
        end = self.end_of(inbox)
        life = self.life_of(inbox, now)
        polled = max(0.0, min(life, seconds))
        quiet = max(0.0, now - inbox.quiet_since)
        speed = self.arrivals.polls_until(quiet + polled) - self.arrivals.polls_until(quiet)
        early = max(0.0, math.log2(inbox.gap / max(EARLY, quiet)))
        return claim_of(polled, inbox.gap, early, speed, expires=end is not None and life <= seconds)

    def _warn(self) -> None:
        if self.plan.minimum <= WARN_BEYOND:
            self._has_warned &= self.plan.minimum > WARN_BEYOND / 2
        elif not self._has_warned:
            self._has_warned = True
            _log.warning(
                "watched mailboxes need %.3g polls a second, but the quota allows %.3g until it starts again",
                self._wanted,
                self.rates[1],
            )

    @property
    def rates(self) -> tuple[float, float]:
        """The polls a second that watched mailboxes want at least, and those that they get."""
        allowed = self._wanted / self.plan.minimum
        is_probed = self._book.ledger.lacks_reset
        return self._wanted, min(allowed, 1 / PROBE_GAP) if is_probed else allowed

    def forecast(self, timeout: float | None, now: float) -> Forecast:
        """Return what a wait of `timeout` seconds is expected to cost."""
        supply = self._supply(now)
        experience = self._experienced(supply, now)
        seconds = experience.timeout if timeout is None else timeout
        stretch = self.plan.stretch_of_waits
        cost = self.arrivals.cost(seconds, stretch)
        demand = experience.demand(self._claim, supply.seconds, (0.0, 0.0), now)
        rest = supply.left - demand.known.last - demand.known.minimum / self.plan.minimum - demand.foreign
        left = self._book.ledger.left(now)
        waits = 0 if left <= 0 else int(max(0.0, rest) / max(0.5, cost.requests))
        return Forecast(
            requests=cost.requests,
            delay=cost.delay,
            waits=waits if left < math.inf else None,
            stretch=stretch,
            seconds=self._book.ledger.until_reset(now),
        )

    def as_state(self) -> dict[str, object]:
        """Return what was learned, ready for JSON."""
        now = self._book.now()
        demand = None if self.experience is None else self.experience.as_state(now)
        return {"arrivals": self.arrivals.as_state(), "demand": demand}

    def restore(self, state: object) -> None:
        """Go on from what `as_state` returned, unless this client has learned something itself."""
        if self.arrivals.waits:
            return
        found = as_mapping(state)
        self.arrivals.restore(found.get("arrivals"))
        self.restored = found.get("demand")
        if self.experience is not None:
            self.experience.restore(self.restored, self._book.now())

    # -- one mailbox ------------------------------------------------------------------------------------------------

    def joined(self, inbox: Inbox, listener: Listener, empty_at: float | None, now: float) -> None:
        """Set when the first poll for a new listener is due, and learn that there is one."""
        first = self.arrivals.first(self.plan.stretch_of_waits)
        is_fresh = empty_at is not None and now - empty_at < first
        at = (empty_at or 0.0) + first if is_fresh else now
        inbox.first_poll = min(inbox.first_poll, at) if len(inbox.listeners) > 1 and inbox.is_awaited else at
        inbox.quiet_since = (empty_at or 0.0) if is_fresh else now
        supply = self._supply(now)
        experience = self._experienced(supply, now)
        if listener.is_urgent:
            experience.record_wait((listener.deadline or now + USUAL_LIFE) - now, now)
            return
        life = self.life_of(inbox, now)
        inbox.gap = min(MINIMUM_GAP, max(1.0, MINIMUM_SHARE * life))
        claim = self._claim_of(inbox, supply.seconds, now)
        experience.record_mailbox(claim, min(life, supply.seconds), supply.seconds, now)

    def end_of(self, inbox: Inbox) -> float | None:
        """Return when a mailbox expires, from the service's clock to our monotonic one; None if that is not known."""
        clock = self._book.clock
        return clock.until(inbox.expires_at, 0.0) if inbox.expires_at is not None and clock.is_set else None

    def life_of(self, inbox: Inbox, now: float) -> float:
        """Return how long a mailbox will be there, in seconds; one that outlived the usual life lasts."""
        end = self.end_of(inbox)
        if end is not None:
            return max(1.0, end - now)
        age = now - inbox.joined
        return USUAL_LIFE - age if age < USUAL_LIFE else math.inf

    def due(self, inbox: Inbox, now: float) -> float:
        """Return when the next poll of a mailbox is due, but for the last one before it expires."""
        at = self._regular(inbox)
        if inbox.faults:
            at = max(at, inbox.ended + fault_delay(inbox.faults, inbox.chance))
        for listener in inbox.listeners:
            if listener.last_poll is not None and inbox.begun < listener.last_poll < at:
                at = listener.last_poll
        end = self.end_of(inbox)
        if end is not None and inbox.begun < end + AFTER_EXPIRY < at and not inbox.faults:
            at = end + AFTER_EXPIRY
        return max(now, at)

    def _regular(self, inbox: Inbox) -> float:
        if inbox.is_awaited:
            return inbox.first_poll
        if inbox.interval is not None:
            return inbox.begun + inbox.interval
        since = inbox.begun - inbox.quiet_since
        at = inbox.begun + self._longest_gap(inbox, since)
        stretch = self.plan.stretch_of_waits if inbox.is_urgent else self.plan.stretch
        if stretch < math.inf:
            at = min(at, inbox.quiet_since + self.arrivals.next(since, stretch, inbox.chance))
        pause = (at - inbox.begun) / 2  # a service that answers slowly is not asked without a break
        return max(at, inbox.ended + pause)

    def _longest_gap(self, inbox: Inbox, since: float) -> float:
        """Return the gap at the minimum rate, which is shorter in the beginning: most mail comes early."""
        early = max(EARLY * self.plan.minimum**2, since)
        return min(inbox.gap * self.plan.minimum, early) * (1.0 - GAP_JITTER * inbox.chance)

    def last_slot(self, inbox: Inbox, now: float) -> float | None:
        """Return when the last poll of a mailbox before its expiry is due; None if it needs none, or no more."""
        end = self.end_of(inbox)
        if end is None or all(each.deadline is not None and each.deadline < end for each in inbox.listeners):
            inbox.last_slot = None
            return None
        if inbox.last_slot is None or abs(inbox.last_slot_end - end) > 0.25:
            inbox.last_slot, inbox.last_slot_end = self._new_slot(end, now), end
        if inbox.succeeded >= inbox.last_slot or now >= end:
            return None
        if inbox.begun >= inbox.last_slot:  # it failed: there is time for another
            return inbox.ended + min(fault_delay(inbox.faults, inbox.chance), (end - inbox.ended) / 2)
        return inbox.last_slot

    def _new_slot(self, end: float, now: float) -> float:
        second = int(end)
        spread = min(self._slots[second] / LAST_POLLS_A_SECOND, SPREAD_SHARE * max(0.0, end - now))
        self._slots[second] += 1
        if len(self._slots) > 4_096:
            self._slots = Counter({each: count for each, count in self._slots.items() if each > now})
        return end - BEFORE_EXPIRY - spread

    def outlived(self, inbox: Inbox) -> bool:
        """Say whether a mailbox was there long after its expiry, so that this is not to be believed."""
        end = self.end_of(inbox)
        return end is not None and inbox.succeeded >= end + OVERTIME
