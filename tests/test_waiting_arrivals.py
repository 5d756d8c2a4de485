"""The law of arrivals: polls where mail is likely, learned from few waits."""

from __future__ import annotations

import json
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempmailg._waiting._arrivals import LONGEST_GAP, MEDIAN, SIGMA, Arrivals

CHANCES = st.floats(0, 1, exclude_max=True)


def polls_in(law: Arrivals, seconds: float, stretch: float = 1.0) -> list[float]:
    """Return the times of a wait's polls, without jitter."""
    times = [law.first(stretch)]
    while (following := law.next(times[-1], stretch, 0.5)) < seconds:
        times.append(following)
    return times


def polls_about(median: float, times: list[float]) -> int:
    return sum(median / 2 < time < median * 2 for time in times)


def polls_before(median: float, times: list[float]) -> int:
    return sum(time < median / 2 for time in times)


def taught(median: float, count: int = 200) -> Arrivals:
    law, chance = Arrivals(), Random(1)
    for _ in range(count):
        law.record(chance.lognormvariate(math.log(median), SIGMA), arrived=True)
    for _ in range(count // 10):
        law.record(300, arrived=False)
    return law


def test_a_fruitless_wait_is_cheap() -> None:
    """Five minutes cost fewer than fifty polls, and none is made at 0 s or 1 s."""
    times = polls_in(Arrivals(), 300)
    assert len(times) < 50
    assert times[0] > 1


@given(time=st.floats(0, 1e6), stretch=st.floats(0.1, 10), chance=CHANCES)
def test_time_goes_on(time: float, stretch: float, chance: float) -> None:
    """The next poll is later than the last, and not much later than it should be at most."""
    following = Arrivals().next(time, stretch, chance)
    assert time < following <= time + 1.11 * 1.2 * stretch * LONGEST_GAP


@given(time=st.floats(0, 1e4))
def test_polls_are_counted_up(time: float) -> None:
    """The count of polls grows with time."""
    law = Arrivals()
    assert law.polls_until(time) < law.polls_until(time + 1)


@pytest.mark.parametrize("median", [1.0, 2.0, 15.0, 30.0])
def test_the_law_is_learned(median: float) -> None:
    """Polls move to where mail comes."""
    before, after = polls_in(Arrivals(), 300), polls_in(taught(median), 300)
    assert polls_about(median, after) > polls_about(median, before) or median > MEDIAN
    assert polls_before(median, after) < polls_before(median, before) or median < MEDIAN


def test_a_law_that_changes_is_learned_again() -> None:
    """What was seen long ago counts less."""
    law = taught(2.0, 2_000)
    chance = Random(2)
    for _ in range(1_000):
        law.record(chance.lognormvariate(math.log(30.0), SIGMA), arrived=True)
    assert law.cost(60, 1.0).requests > taught(2.0).cost(60, 1.0).requests


def test_mail_that_tends_to_be_there_is_polled_for_at_once() -> None:
    """After one wait that need not have waited, the next polls at once; a habit of waiting brings the pause back."""
    law = Arrivals()
    law.record(0.5, arrived=True, instant=True)
    assert law.first(1.0) == 0
    for _ in range(20):
        law.record(6.0, arrived=True)
    assert law.first(1.0) > 1


def test_the_cost_of_a_wait_is_foreseen() -> None:
    """What a wait is said to cost is what its polls cost on average."""
    law, chance = Arrivals(), Random(3)
    times = [chance.lognormvariate(math.log(MEDIAN), SIGMA) if chance.random() > 0.1 else 1e9 for _ in range(5_000)]
    for stretch in (1.0, 3.0):
        polls = [*polls_in(law, 59, stretch), 60.0]
        real = sum(next((n for n, poll in enumerate(polls, 1) if poll >= time), len(polls)) for time in times)
        assert law.cost(60, stretch).requests == pytest.approx(real / len(times), rel=0.1)


def test_what_was_learned_goes_through_json_and_bears_nonsense() -> None:
    """A restored law polls like the one that was kept; anything else is ignored."""
    law, again = taught(2.0), Arrivals()
    again.restore(json.loads(json.dumps(law.as_state())))
    assert polls_in(again, 300) == polls_in(law, 300)
    for nonsense in (
        None,
        7,
        {},
        {"seen": [1]},
        {**law.as_state(), "exposure": ["x"] * 30},
        {**law.as_state(), "waits": -1},
    ):
        again.restore(nonsense)
    assert polls_in(again, 300) == polls_in(law, 300)
