"""What the service says about the quota and its time, and what may be spent: arithmetic in values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempmailg import Quota
from tempmailg._quota import (
    BURST,
    BURST_SHARE,
    CROWD,
    DEFAULT_PACE,
    OUT_OF_ORDER,
    QuotaPace,
    ServiceClock,
)

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


# --------------------------------------------------------------------------------------------------------------- pace


def spend(pace: QuotaPace, remaining: int, seconds: float, period: float) -> list[float]:
    """Poll whenever the pace allows it for some seconds, and return when; each poll costs one request."""
    times: list[float] = []
    now = 0.0
    pace.update(quota(remaining), period, now)
    while True:
        now += pace.delay(now)
        if now >= seconds or pace.is_exhausted(now):
            return times
        pace.begin()
        times.append(now)
        remaining -= 1
        pace.update(quota(remaining), period - now, now)
        pace.end(counted=True)
        now += 1e-3


@given(
    remaining=st.integers(200, 3_000),
    reserve=st.integers(0, 100),
    period=st.floats(600, 1e6),
    share=st.floats(0.05, 1.0),
)
def test_a_watch_keeps_the_quotas_pace(remaining: int, reserve: int, period: float, share: float) -> None:
    """In any time a watch spends a burst and its even share of what is left above the reserve, no more."""
    seconds = period * share
    times = spend(QuotaPace(reserve), remaining, seconds, period)
    left = remaining - reserve
    burst = min(BURST, BURST_SHARE * left)
    assert len(times) <= burst + left * share + 1
    assert len(times) >= 0.9 * left * share - 1
    assert len(times) <= left


def test_waits_make_watches_stand_back() -> None:
    """What waits spend beyond the pace, watches make up for by waiting."""
    pace = QuotaPace(0)
    pace.update(quota(10_000), 10_000, 0.0)
    assert pace.delay(0.0) == 0
    pace.update(quota(10_000 - BURST - 50), 10_000, 0.0)
    assert 50 < pace.delay(0.0) < 55


def test_what_others_spend_counts() -> None:
    """A fleet that shares one key keeps the pace together: the bucket pays for all that the answers show."""
    alone, among_others = QuotaPace(0), QuotaPace(0)
    for pace, step in ((alone, 1), (among_others, 8)):
        for number in range(BURST // 2):
            pace.update(quota(10_000 - number * step), 10_000, 0.0)
    assert alone.delay(0.0) == 0
    assert among_others.delay(0.0) > 0


def test_debt_has_a_floor() -> None:
    """However much was spent at once, watches come back: after two bursts at most."""
    pace = QuotaPace(0)
    pace.update(quota(40_000), 10_000, 0.0)
    pace.update(quota(10_000), 10_000, 0.0)
    assert pace.delay(0.0) <= BURST + 1


def test_without_quota_headers_the_default_pace_holds() -> None:
    """A service that declares nothing is polled once a second in the long run."""
    pace = QuotaPace(0)
    now, polls = 0.0, 0
    while now < 10_000:
        now += pace.delay(now)
        pace.begin()
        pace.end(counted=True)
        polls += 1
    assert polls == pytest.approx(BURST + DEFAULT_PACE * 10_000, abs=2)


def test_what_cost_nothing_is_not_paid_for() -> None:
    """Answers outside 2xx do not count against the quota, so they do not count here."""
    pace = QuotaPace(0)
    for _ in range(10 * BURST):
        pace.begin()
        pace.end(counted=False)
    assert pace.delay(0.0) == 0


def test_the_reserve_stops_before_the_request() -> None:
    """When what remains falls to the reserve, nothing more may be sent until the reset."""
    pace = QuotaPace(10)
    assert not pace.is_exhausted(0.0)
    pace.update(quota(11), 100, 0.0)
    assert not pace.is_exhausted(0.0)
    pace.update(quota(10), 100, 0.0)
    assert pace.is_exhausted(0.0)
    assert pace.delay(0.0) == 0, "the poll that follows is refused with its reason, not put off in silence"
    assert pace.is_exhausted(99.9)
    assert not pace.is_exhausted(100.0), "after the reset only a poll can tell"


def test_answers_that_overtook_each_other_are_not_a_reset() -> None:
    """An older answer with a little more left changes nothing; another reset or a great rise does."""
    pace = QuotaPace(0)
    pace.update(quota(0), 100, 0.0)
    pace.update(quota(OUT_OF_ORDER), 100, 0.0)
    assert pace.is_exhausted(0.0)
    pace.update(quota(OUT_OF_ORDER + 1), 100, 0.0)
    assert not pace.is_exhausted(0.0)
    pace.update(quota(0), 100, 0.0)
    pace.update(quota(5, resets_at=NOON + timedelta(days=30)), 100, 0.0)
    assert not pace.is_exhausted(0.0)


def test_a_reset_that_slides_with_every_answer_is_still_paid_for() -> None:
    """A service that says "in a minute from now" each time does not turn the pace off."""
    pace = QuotaPace(0)
    for number in range(3 * BURST):
        pace.update(quota(10_000 - number, resets_at=NOON + timedelta(seconds=number)), 10_000, 0.0)
    assert pace.delay(0.0) > 0


def test_few_polls_are_under_way_when_little_is_left() -> None:
    """Polls that are sent together could overstep the quota together, so their number follows what is left."""
    pace = QuotaPace(0)
    pace.update(quota(3 * CROWD), 100, 0.0)
    for _ in range(3):
        assert pace.has_room(0.0)
        pace.begin()
    assert not pace.has_room(0.0)
    pace.end(counted=True)
    assert pace.has_room(0.0)


def test_the_first_poll_goes_alone() -> None:
    """Before an answer, and after a reset, nobody knows how little is left, so one poll has to find out."""
    pace = QuotaPace(0)
    pace.begin()
    assert not pace.has_room(0.0)
    pace.end(counted=True)
    assert all(_begun(pace, 0.0) for _ in range(32)), "a service that declares no quota sets no limit"
    known = QuotaPace(0)
    known.update(quota(50_000), 100, 0.0)
    assert all(_begun(known, 99.0) for _ in range(32))
    assert not known.has_room(101.0)
    known.update(quota(50_000, resets_at=NOON + timedelta(days=30)), 1_000, 101.0)
    assert known.has_room(101.0)


def _begun(pace: QuotaPace, now: float) -> bool:
    has_room = pace.has_room(now)
    pace.begin()
    return has_room


def test_a_reset_in_the_past_is_none() -> None:
    """A service whose reset lies behind its own clock is treated as one that declares none."""
    pace = QuotaPace(0)
    pace.update(quota(0), -5.0, 0.0)
    assert pace.is_exhausted(10.0)


def test_a_quota_without_a_reset_is_kept_at_the_default_pace() -> None:
    """If the service does not say when the count starts again, the default pace and the reserve hold."""
    pace = QuotaPace(0)
    pace.update(quota(1_000, resets_at=None), None, 0.0)
    pace.update(quota(900, resets_at=None), None, 0.0)
    assert pace.delay(0.0) == pytest.approx(1 / DEFAULT_PACE)
    pace.update(quota(0, resets_at=None), None, 0.0)
    assert pace.is_exhausted(1e9)
