"""How rare polls have to be: supply and demand in values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempmailg._waiting._planner import (
    KEPT,
    LONGEST_STRETCH,
    PSEUDO_WAITS,
    Claim,
    Demand,
    Experience,
    Rate,
    Supply,
    claim_of,
    plan,
)

MONTH = 30 * 86_400.0
AMOUNTS = st.floats(0, 1e6)
CLAIMS = st.builds(Claim, AMOUNTS, AMOUNTS, AMOUNTS)
DEMANDS = st.builds(Demand, CLAIMS, CLAIMS, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, st.floats(0.01, 1), st.floats(0, 1))


def test_where_the_quota_is_rich_nothing_is_stretched() -> None:
    """One watched mailbox and twenty tests a day do not notice the plan."""
    demand = Demand(known=claim_of(600, 60, 3, 80, expires=True), waits_fixed=600, waits_speed=6_600, other=1_200)
    assert plan(Supply(50_000, MONTH), demand).stretch == 1
    assert plan(Supply(50_000, MONTH), demand).minimum == 1


@pytest.mark.parametrize(("tests", "low", "high"), [(200, 1.5, 2.5), (300, 3, 5), (400, 5, 9)])
def test_a_month_of_tests_is_stretched_to_last(tests: int, low: float, high: float) -> None:
    """The more tests there are a day, the rarer the polls of each, and the sum is what there is."""
    waits = 30.0 * tests
    demand = Demand(waits_fixed=0.4 * waits, waits_speed=11 * waits, other=2 * waits)
    found = plan(Supply(50_000, MONTH), demand)
    assert low < found.stretch < high
    assert 2.4 * waits + 11 * waits / found.stretch == pytest.approx(50_000 - KEPT)


@given(left=st.floats(0, 1e6), demand=DEMANDS, base=st.sampled_from([0.5, 1.0, 2.5]))
def test_a_plan_is_never_silent(left: float, demand: Demand, base: float) -> None:
    """Whatever is wanted, waits keep polling and a watched mailbox is polled again after a finite time."""
    found = plan(Supply(left, MONTH), demand, base)
    assert base <= found.stretch
    assert 0 < found.stretch_of_waits <= LONGEST_STRETCH
    assert 1 <= found.minimum < math.inf


@given(left=st.floats(100, 1e5), demand=DEMANDS)
def test_more_quota_is_never_worse(left: float, demand: Demand) -> None:
    """With twice the requests no gap becomes longer."""
    poor, rich = plan(Supply(left, MONTH), demand), plan(Supply(2 * left, MONTH), demand)
    assert rich.minimum <= poor.minimum * 1.000001


def test_the_minimum_comes_before_what_others_are_expected_to_spend() -> None:
    """A watched mailbox that the month can pay for is polled every minute, though others spend a lot."""
    known = claim_of(1e6, 60, 3, 0, expires=True)
    for foreign in (0.0, 20_000.0, 1e6):
        assert plan(Supply(49_000, MONTH), Demand(known=known, foreign=foreign)).minimum <= 1.01


def test_what_cannot_be_paid_is_shared() -> None:
    """Three hundred mailboxes that last get the whole month's quota, evenly; a fleet's member takes its share."""
    known = claim_of(MONTH, 60, 0, 0, expires=False)
    many = Claim(0, 300 * known.minimum, 0)
    alone = plan(Supply(50_000, MONTH), Demand(known=many, trust=0))
    assert many.minimum / alone.minimum == pytest.approx(50_000)
    supply = Supply(50_000, MONTH)
    for share in (0.25, 0.5):
        shared = plan(supply, Demand(known=many, trust=0, share=share))
        assert alone.minimum < shared.minimum < alone.minimum / share


def test_a_fleet_that_spends_too_fast_yields() -> None:
    """The faster a fleet spends the less each takes, whoever has much the most; nobody gives up more than half."""
    many = Claim(0, 1e6, 0)

    def taken(share: float, pace: float) -> float:
        return 1e6 / plan(Supply(50_000, MONTH), Demand(known=many, trust=0, share=share, pace=pace)).minimum

    assert taken(0.2, 50_000) > taken(0.2, 55_000) > taken(0.2, 60_000)
    assert taken(0.05, 55_000) / 0.05 > taken(0.5, 55_000) / 0.5
    assert taken(0.9, 1e9) == pytest.approx(0.45 * 50_000)


def test_requests_seen_late_count_when_they_were_made() -> None:
    """What others spent over ten hours counts the same, whether it is seen at the end or every hour."""
    late, hourly = Rate(3_600, 43_200), Rate(3_600, 43_200)
    late.add(0, 0)
    for hour in range(11):
        hourly.add(100 * (hour > 0), 3_600.0 * hour, 3_600.0)
    late.add(1_000, 36_000.0, 36_000.0)
    assert late.per_second(36_000) == pytest.approx(hourly.per_second(36_000), rel=0.001)


def test_the_first_minutes_are_not_the_whole_month() -> None:
    """Twenty tests in ten minutes are twenty in six hours, until more is known; after days the mean counts."""
    waits = Rate(PSEUDO_WAITS)
    for number in range(20):
        waits.add(1, 30.0 * number)
    assert waits.per_second(600) * 86_400 == pytest.approx(20 * 24 / 6, rel=0.05)
    steady = Rate(PSEUDO_WAITS)
    for hour in range(24 * 14):
        steady.add(10, 3_600.0 * hour)
    assert steady.per_second(14 * 86_400.0) * 86_400 == pytest.approx(240, rel=0.05)


def test_one_mailbox_that_lasts_is_no_sign_of_many() -> None:
    """A claim for the whole month is not expected a second time."""
    experience = Experience(MONTH, 0.0)
    lasting = claim_of(MONTH, 60, 0, 0, expires=False)
    experience.record_mailbox(lasting, MONTH, MONTH, 0.0)
    assert experience.demand(lasting, MONTH, (1, 10), 0.0).expected.minimum == 0


def test_an_experience_goes_through_json_and_bears_nonsense() -> None:
    """What was learned is restored; anything else is ignored."""
    experience = Experience(MONTH, 0.0)
    for number in range(50):
        experience.record_wait(60, 100.0 * number)
    again = Experience(MONTH, 0.0)
    again.restore(experience.as_state(5_000.0), 0.0)
    expected = experience.demand(Claim(), MONTH, (1, 10), 5_000.0).waits_speed
    assert again.demand(Claim(), MONTH, (1, 10), 0.0).waits_speed == pytest.approx(expected, rel=1e-3)
    nonsenses: list[object] = [None, [], {"_waits": "x"}, {"_waits": [1]}, {"_waits": [-1, 2]}, {"_own": [1, 2]}]
    for nonsense in nonsenses:
        again.restore(nonsense, 0.0)
    assert again.demand(Claim(), MONTH, (1, 10), 0.0).waits_speed == pytest.approx(expected, rel=1e-3)
