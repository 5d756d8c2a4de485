"""How rare polls have to be: an economy of values, without a clock and without I/O.

The theory. A quota is spent on four things, and in this order:

1. The *last poll* of each watched mailbox before it expires. It alone decides between late and lost, so one request is
   kept for each, and whatever else wants the last requests is refused.
2. The *minimum*: a watched mailbox is polled every minute, or every tenth of its life if that is less. Where the quota
   cannot pay for that until the reset, the minimum of all mailboxes is stretched by one factor, `Plan.minimum`.
3. What other calls, and other processes with the same key, are expected to send.
4. *Speed*: polls beyond the minimum, soon after a wait begins or a mailbox is added. They share what is left, by one
   factor again, `Plan.stretch`; both factors are 1 where the quota is rich.

Scarcity is always a factor and never a debt, so polls become rarer and never stop. Demand is what is known (mailboxes
that are watched now) and what is expected until the reset: rates, learned from what was seen. They begin with a
*pseudo-time* in which nothing happened, so that the first minutes of a program are not taken for the whole month.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from attrs import define, frozen

from tempmailg._waiting._learned import as_mapping, as_numbers

if TYPE_CHECKING:
    from tempmailg._quota import Preference

__all__ = ["BASE_STRETCH", "Claim", "Demand", "Experience", "Plan", "Rate", "Supply", "claim_of", "plan"]

BASE_STRETCH: Final[dict[Preference, float]] = {"fast": 0.5, "balanced": 1.0, "thrifty": 2.5}
"""The stretch of each preference where the quota is rich."""

MINIMUM_GAP: Final = 60.0  # seconds between two polls of a watched mailbox, and
MINIMUM_SHARE: Final = 0.1  # of its life, if that is less
LONGEST_STRETCH: Final = 10.0  # of a wait: its polls become rarer, but it keeps three or four
WARN_BEYOND: Final = 10.0  # how far the minimum is stretched when the log gets a warning

PSEUDO_WAITS: Final = 6 * 3_600.0  # seconds; of the client's own waits and calls
PSEUDO_MAILBOXES: Final = 24 * 3_600.0  # seconds; of watched mailboxes, and of what others spend
PSEUDO_SHARE: Final = 0.05  # of the time to the reset, if that is less: a short period is learned in a short time
MEMORY: Final = 7 * 86_400.0  # seconds until what was seen counts 1 / e
RECENT: Final = 43_200.0  # seconds; the same for the shares of a fleet

AT_ONCE: Final = 0.4  # of what is left, for the minimum of the mailboxes known now, before a day's demand is known
FAIRNESS: Final = 0.5  # of a fleet: below 1, whoever has the smaller share gains, so that shares become equal
RESTRAINT: Final = 6.0  # of a fleet: how strongly it takes back what fairness makes it spend too fast
LARGEST_EXCESS: Final = 1.25  # that it answers to; many polls at once are no reason to become silent
LEAST: Final = 0.5  # of its share: what a client keeps when it yields
FOR_OTHERS: Final = 0.75  # of what is left: the most that forecasts may take from the mailboxes known now
KEPT: Final = 12.0  # requests that speed leaves alone: the last calls before the reset must not be refused

UNKNOWN_QUOTA: Final = 86_400.0  # requests a day: what is assumed where the service declares none
UNKNOWN_PERIOD: Final = 86_400.0  # seconds


@define
class Rate:
    """How often something happens, learned from what was seen.

    Args:
        pseudo: Seconds without any event that count as seen at the beginning.
        memory: Seconds until what was seen counts 1 / e.
    """

    pseudo: float
    memory: float = MEMORY
    total: float = 0.0
    weight: float = -1.0
    at: float | None = None

    def add(self, amount: float, now: float, over: float = 0.0) -> None:
        """Count an event, or more, or a part of one; those that happened over the last seconds are partly forgotten."""
        self._forget(now)
        past = over / self.memory
        self.total += amount if past < 1e-6 else amount * -math.expm1(-past) / past

    def per_second(self, now: float) -> float:
        """Return how many events a second are to be expected."""
        self._forget(now)
        return self.total / max(1e-9, self.weight)

    def seconds(self, now: float) -> float:
        """Return the time over which events were counted, pseudo-time included."""
        self._forget(now)
        return self.weight

    def _forget(self, now: float) -> None:
        if self.at is None:
            self.at, self.weight = now, self.pseudo
        kept = math.exp(-max(0.0, now - self.at) / self.memory)
        self.total *= kept
        self.weight = self.weight * kept + self.memory * (1.0 - kept)
        self.at = max(self.at, now)


@frozen
class Supply:
    """What there is to spend.

    Args:
        left: Requests above the reserve.
        seconds: Time until the quota starts again.
    """

    left: float
    seconds: float


@frozen
class Claim:
    """What one watched mailbox, or many, will want until the reset.

    Args:
        last: Last polls.
        minimum: Polls at the minimum rate.
        speed: Polls beyond, if the quota is rich.
    """

    last: float = 0.0
    minimum: float = 0.0
    speed: float = 0.0


@frozen
class Demand:
    """What is wanted.

    Args:
        known: What the mailboxes watched now will want.
        expected: What mailboxes that are not known yet will want.
        other: Requests that are expected from other calls of this client.
        foreign: Requests that are expected from others with the same key.
        waits_fixed: Polls of expected waits that no stretch spares.
        waits_speed: Polls of expected waits that the stretch divides.
        share: This client's share of what is spent now, of (0, 1].
        pace: Requests that all who have the key will send until the reset if they go on as now.
        trust: How far what is known now is the whole truth: 1 for a program that has just begun, 0 after days.
    """

    known: Claim = Claim()
    expected: Claim = Claim()
    other: float = 0.0
    foreign: float = 0.0
    waits_fixed: float = 0.0
    waits_speed: float = 0.0
    share: float = 1.0
    pace: float = 0.0
    trust: float = 1.0


@frozen
class Plan:
    """How rare polls have to be.

    Args:
        minimum: How far the gaps of the minimum rate are stretched; at least 1.
        stretch: How far the gaps of everything else are stretched; infinite if nothing is left for speed.
    """

    minimum: float = 1.0
    stretch: float = 1.0

    @property
    def stretch_of_waits(self) -> float:
        """The stretch of a wait, which is in a hurry."""
        return min(LONGEST_STRETCH, self.stretch)


def plan(supply: Supply, demand: Demand, base: float = 1.0) -> Plan:
    """Return how rare polls have to be, so that the quota lasts until the reset.

    Args:
        supply: What there is.
        demand: What is wanted.
        base: The stretch where the quota is rich.
    """
    left = max(1.0, supply.left - demand.known.last)
    future = min(FOR_OTHERS * left, demand.expected.last)
    is_scarce = demand.known.minimum > 0 and demand.known.minimum + demand.expected.minimum > left - future
    minimum = _minimum(demand, left, future, is_scarce=is_scarce)
    if is_scarce:  # not even the minimum can be paid in full, so nothing is left for speed
        return Plan(minimum, math.inf)
    paid = demand.known.last + demand.expected.last + (demand.known.minimum + demand.expected.minimum) / minimum
    kept = min(KEPT, supply.left / 4)
    rest = supply.left - kept - paid - demand.other - demand.foreign - demand.waits_fixed
    wanted = demand.known.speed + demand.expected.speed + demand.waits_speed
    if wanted <= base * rest:
        return Plan(minimum, base)
    return Plan(minimum, max(base, wanted / rest) if rest > 0.001 * wanted else math.inf)


def _minimum(demand: Demand, left: float, future: float, *, is_scarce: bool) -> float:
    """Return how far the minimum has to be stretched."""
    known = demand.known.minimum
    if known <= 0:
        return 1.0
    wanted, at_once = known + demand.expected.minimum, AT_ONCE * demand.trust * left
    if is_scarce:
        share = _fair_share(demand, left)
        affordable, at_once = (left - future) * share, at_once * share
    else:
        affordable = max((1 - FOR_OTHERS) * left, left - future - demand.foreign)
    return max(1.0, min(wanted / affordable, known / max(1e-9, at_once)))


def _fair_share(demand: Demand, left: float) -> float:
    """Return the share of what is left that this client may spend.

    It is more than the client's share of today if that is small, so that the shares of a fleet become equal. Together
    the shares of n clients would then be n ** (1 - FAIRNESS): a fleet would spend too fast in the beginning, and poll
    ever more rarely towards the reset. So all yield for as long as all together spend too fast.
    """
    excess = min(LARGEST_EXCESS, max(1.0, demand.pace / left))
    return max(LEAST * demand.share, math.pow(demand.share, FAIRNESS) / math.pow(excess, RESTRAINT))


def claim_of(life: float, gap: float, early: float, speed: float, *, expires: bool) -> Claim:
    """Return what one watched mailbox will want.

    Args:
        life: Seconds for which it will be polled: until it expires, or until the reset.
        gap: Seconds between two polls at the minimum rate.
        early: Polls at its beginning, where the gap is shorter.
        speed: Polls that it is worth, if the quota is rich.
        expires: Whether it is known to expire before the reset.
    """
    minimum = life / gap + early
    return Claim(1.0 if expires else 0.0, minimum, max(0.0, speed - minimum))


_LEARNED: Final = ("_waits", "_other", "_lasts", "_minima", "_speeds", "_foreign")


class Experience:
    """The demand that a client has seen, and what it makes expect until the reset.

    Args:
        period: Seconds until the reset, when the client began.
    """

    __slots__ = (
        "_began",
        "_counted",
        "_foreign",
        "_lasts",
        "_minima",
        "_other",
        "_own",
        "_recent",
        "_speeds",
        "_timeout",
        "_waits",
    )

    def __init__(self, period: float, now: float) -> None:
        waits, mailboxes = min(PSEUDO_WAITS, PSEUDO_SHARE * period), min(PSEUDO_MAILBOXES, 4 * PSEUDO_SHARE * period)
        self._began = self._counted = now
        self._waits, self._other = Rate(waits), Rate(waits)
        self._lasts, self._minima, self._speeds = Rate(mailboxes), Rate(mailboxes), Rate(mailboxes)
        self._foreign = Rate(mailboxes)
        self._own, self._recent = Rate(waits, RECENT), Rate(waits, RECENT)
        self._timeout = 60.0  # seconds: what waits are given on average

    def record_wait(self, timeout: float, now: float) -> None:
        """Count a wait that begins, with the seconds that it may take."""
        self._waits.add(1.0, now)
        self._timeout += (min(600.0, timeout) - self._timeout) / 10

    def record_mailbox(self, claim: Claim, life: float, seconds: float, now: float) -> None:
        """Count a mailbox that is watched from now on. One that lives for days is no sign of many to come.

        Args:
            claim: What it will want.
            life: How long it will be polled, in seconds.
            seconds: Time until the reset.
            now: Our monotonic time, in seconds.
        """
        share = min(1.0, self._lasts.seconds(now) / max(1.0, life)) * max(0.0, 1.0 - life / seconds)
        self._lasts.add(share, now)
        self._minima.add(share * claim.minimum, now)
        self._speeds.add(share * claim.speed, now)

    def record_spending(self, *, polls: float, other: float, foreign: float, now: float) -> None:
        """Count requests: this client's polls, its other calls, and what others with the key have spent."""
        self._other.add(other, now)
        self._foreign.add(foreign, now)
        self._own.add(polls + other, now)
        self._recent.add(foreign, now, now - self._counted)  # it is known from an answer, and happened before it
        if polls or other:
            self._counted = now

    def demand(self, known: Claim, seconds: float, shares: tuple[float, float], now: float) -> Demand:
        """Return what is wanted until the reset.

        Args:
            known: What the mailboxes watched now will want.
            seconds: Time until the reset.
            shares: The parts of a wait's polls: those that no stretch spares, those that it divides.
            now: Our monotonic time, in seconds.
        """
        waits = self._waits.per_second(now) * seconds
        own, foreign = self._own.per_second(now), self._recent.per_second(now)
        return Demand(
            known=known,
            expected=Claim(*(rate.per_second(now) * seconds for rate in (self._lasts, self._minima, self._speeds))),
            other=self._other.per_second(now) * seconds,
            foreign=self._foreign.per_second(now) * seconds,
            waits_fixed=waits * shares[0],
            waits_speed=waits * shares[1],
            share=max(1 / 64, own / (own + foreign)) if own + foreign > 0 else 1.0,
            pace=(own + foreign) * seconds,
            trust=PSEUDO_WAITS / (PSEUDO_WAITS + max(0.0, now - self._began)),
        )

    @property
    def timeout(self) -> float:
        """What waits are given on average, in seconds."""
        return self._timeout

    def as_state(self, now: float) -> dict[str, list[float]]:
        """Return what was learned, ready for JSON."""
        return {name: [rate.total, rate.seconds(now)] for name in _LEARNED for rate in (self._rate(name),)}

    def restore(self, state: object, now: float) -> None:
        """Go on from what `as_state` returned; anything else is ignored, since it is no more than experience."""
        found = as_mapping(state)
        for name in _LEARNED:
            values = as_numbers(found.get(name), 2)
            if values is not None:
                rate = self._rate(name)
                rate.total, rate.weight, rate.at = values[0], max(1.0, values[1]), now

    def _rate(self, name: str) -> Rate:
        rate: Rate = getattr(self, name)
        return rate
