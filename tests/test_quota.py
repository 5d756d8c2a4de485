"""What the service says about the quota and its time, and what may be spent: arithmetic in values."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from tempmailg import Quota
from tempmailg._quota import CROWD, OUT_OF_ORDER, PROBE_GAP, QuotaLedger, ServiceClock

NOON = datetime(2026, 6, 28, 12, tzinfo=UTC)


def quota(remaining: int, *, limit: int = 50_000, resets_at: datetime | None = NOON) -> Quota:
    return Quota(limit=limit, used=limit - remaining, remaining=remaining, resets_at=resets_at)


# ------------------------------------------------------------------------------------------------------ service clock


def test_the_services_clock_counts_not_ours() -> None:
    """A moment of the service's is measured from the time its answers declare, though our wall clock is a day off."""
    clock = ServiceClock()
    assert not clock.is_set
    clock.update(NOON, 100.0, fallback=lambda: NOON + timedelta(days=1))
    assert clock.is_set
    assert clock.until(NOON + timedelta(seconds=60), 110.0) == pytest.approx(50.0)


def test_our_clock_counts_only_until_the_service_declares_its_own() -> None:
    """Without any `Date` the wall clock must do; after one it never counts again."""
    clock = ServiceClock()
    clock.update(None, 0.0, fallback=lambda: NOON)
    assert clock.until(NOON, 0.0) == pytest.approx(0.0)
    clock.update(NOON + timedelta(hours=1), 0.0, fallback=lambda: NOON)
    clock.update(None, 0.0, fallback=lambda: NOON)
    assert clock.until(NOON, 0.0) == pytest.approx(-3600.0)


# ------------------------------------------------------------------------------------------------------------- ledger


def test_of_answers_that_agree_the_latest_second_counts() -> None:
    """`Date` is cut to whole seconds, so the clock believes the answer that came first within one."""
    clock = ServiceClock()
    clock.update(NOON, 100.9, fallback=lambda: NOON)
    clock.update(NOON + timedelta(seconds=1), 101.0, fallback=lambda: NOON)
    assert clock.until(NOON + timedelta(seconds=10), 101.0) == pytest.approx(9.0)
    clock.update(NOON + timedelta(seconds=1), 101.9, fallback=lambda: NOON)
    assert clock.until(NOON + timedelta(seconds=10), 101.0) == pytest.approx(9.0)
    clock.update(NOON, 102.9, fallback=lambda: NOON)
    assert clock.until(NOON + timedelta(seconds=10), 102.9) == pytest.approx(10.0), "a clock that was set back"


def test_what_others_spend_counts() -> None:
    """Whoever spends, the answers show it; a rise that is no reset gives nothing back."""
    ledger = QuotaLedger(0)
    for remaining in (10_000, 9_990, 9_995, 9_980):
        ledger.update(quota(remaining), 10_000, 0.0)
    assert ledger.spent == 20
    assert ledger.left(0.0) == 9_980


def test_the_reserve_stops_before_the_request() -> None:
    """When what remains falls to the reserve, nothing more may be sent until the reset."""
    ledger = QuotaLedger(10)
    assert ledger.opens_at(0.0) == -math.inf
    ledger.update(quota(11), 100, 0.0)
    assert ledger.opens_at(0.0) == -math.inf
    ledger.update(quota(10), 100, 0.0)
    assert ledger.opens_at(0.0) == 100.0
    assert ledger.opens_at(99.9) == 100.0
    assert ledger.opens_at(100.0) == -math.inf, "after the reset only a poll can say"


def test_answers_that_overtook_each_other_are_not_a_reset() -> None:
    """An older answer with a little more left changes nothing; another reset or a great rise does."""
    ledger = QuotaLedger(0)
    ledger.update(quota(0), 100, 0.0)
    ledger.update(quota(OUT_OF_ORDER), 100, 0.0)
    assert ledger.left(0.0) == 0
    ledger.update(quota(OUT_OF_ORDER + 1), 100, 0.0)
    assert ledger.left(0.0) > 0
    ledger.update(quota(0), 100, 0.0)
    ledger.update(quota(5, resets_at=NOON + timedelta(days=30)), 100, 0.0)
    assert ledger.left(0.0) == 5


def test_few_polls_are_under_way_when_little_is_left() -> None:
    """Polls that are sent together could overstep the quota together, so their number follows what is left."""
    ledger = QuotaLedger(0)
    ledger.update(quota(3 * CROWD), 100, 0.0)
    for _ in range(3):
        assert ledger.has_room(0.0)
        ledger.begin()
    assert not ledger.has_room(0.0)
    ledger.end(counted=True)
    assert ledger.has_room(0.0)


def test_the_first_poll_goes_alone() -> None:
    """Before an answer, and after a reset, nobody knows how little is left, so one poll has to find out."""
    ledger = QuotaLedger(0)
    ledger.begin()
    assert not ledger.has_room(0.0)
    ledger.end(counted=True)
    assert all(_begun(ledger, 0.0) for _ in range(32)), "a service that declares no quota sets no limit"
    known = QuotaLedger(0)
    known.update(quota(50_000), 100, 0.0)
    assert all(_begun(known, 99.0) for _ in range(32))
    assert not known.has_room(101.0)
    known.update(quota(50_000, resets_at=NOON + timedelta(days=30)), 1_000, 101.0)
    assert known.has_room(101.0)


def _begun(ledger: QuotaLedger, now: float) -> bool:
    has_room = ledger.has_room(now)
    ledger.begin()
    return has_room


@pytest.mark.parametrize("until_reset", [None, -5.0])
def test_an_empty_quota_without_a_reset_is_asked_for_again(until_reset: float | None) -> None:
    """What forbids polls never depends on an answer that only a poll can bring; the pace of the probes is steady."""
    ledger = QuotaLedger(0)
    ledger.update(quota(0, resets_at=None), until_reset, 0.0)
    assert ledger.opens_at(1.0) == PROBE_GAP
    now = 0.0
    for _ in range(12):
        assert ledger.lacks_reset
        assert ledger.opens_at(now) == now + PROBE_GAP
        now += PROBE_GAP
        assert ledger.opens_at(now) == -math.inf
        ledger.update(quota(0, resets_at=None), until_reset, now)
    now += PROBE_GAP
    ledger.update(quota(5, resets_at=None), until_reset, now)
    assert ledger.opens_at(now) == -math.inf
