"""How long to wait between two polls of a mailbox: arithmetic in values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tempmailg._quota import BURST
from tempmailg._waiting._schedule import BACKOFF_CAP, GAP_JITTER, LONGEST_GAP, fault_delay, poll_interval

CHANCES = st.floats(0, 1, exclude_max=True)


def polls_in(seconds: float, chance: float) -> int:
    """Count the polls of a wait that sees no sign of life."""
    at, polls = 0.0, 1
    while (at := at + poll_interval(at, chance)) < seconds:
        polls += 1
    return polls


@given(quiet=st.floats(0, 1e6), chance=CHANCES)
def test_a_message_is_delivered_within_a_second_or_a_tenth_of_its_time(quiet: float, chance: float) -> None:
    """No gap is longer than max(1 s, a tenth of the quiet before it), jitter aside, nor longer than a minute."""
    gap = poll_interval(quiet, chance)
    assert 0 < gap <= max(1.0, 0.1 * quiet) * (1 + GAP_JITTER)
    assert gap <= LONGEST_GAP * (1 + GAP_JITTER)


@given(CHANCES)
def test_five_fruitless_minutes_cost_at_most_sixty_polls(chance: float) -> None:
    """Patience is cheap: not three hundred polls, whatever the jitter."""
    assert 40 <= polls_in(300, chance) <= 60


def test_the_costs_in_the_comments_are_true() -> None:
    """The documented numbers of polls follow from the parameters."""
    assert polls_in(300, 0.5) + 1 == 47  # and the last one, just before the end
    assert polls_in(600, 0.5) + 2 == 55 < BURST
    assert 100 < polls_in(3_600, 0.5) < 110


@given(faults=st.integers(1, 10_000), chance=CHANCES)
def test_faults_put_the_next_poll_off_but_not_for_ever(faults: int, chance: float) -> None:
    """The delay doubles up to its cap, and half of it is certain."""
    delay = fault_delay(faults, chance)
    assert min(BACKOFF_CAP, 2.0 ** min(faults - 1, 30)) / 2 <= delay <= BACKOFF_CAP
