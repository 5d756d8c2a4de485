"""How long to leave a failing service alone, and how many polls it is asked for at once: arithmetic in values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tempmailg._waiting._schedule import (
    BACKOFF_CAP,
    FIRST_WINDOW,
    LARGEST_WINDOW,
    SMALLEST_WINDOW,
    Window,
    fault_delay,
)


@given(faults=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_faults_put_the_next_poll_off_but_not_for_ever(faults: int, chance: float) -> None:
    """The delay doubles up to its cap, and half of it is certain."""
    delay = fault_delay(faults, chance)
    assert min(BACKOFF_CAP, 2.0 ** min(faults - 1, 30)) / 2 <= delay <= BACKOFF_CAP


def test_the_window_follows_the_load() -> None:
    """It doubles with each round of answers as long as polls wait for it, and stays as it is when none does."""
    window = Window()
    sizes: list[int] = []
    for _ in range(7):
        for _ in range(window.size):
            assert not window.has_room(window.size)
            window.succeeded(0.2)
        sizes.append(window.size)
    assert sizes[:2] == [2 * FIRST_WINDOW, 4 * FIRST_WINDOW]
    assert sizes[-1] == LARGEST_WINDOW
    idle = Window()
    for _ in range(100):
        assert idle.has_room(3)
        idle.succeeded(0.2)
    assert idle.size == FIRST_WINDOW


def test_the_window_stops_growing_when_answers_queue() -> None:
    """If answers take longer the more of them are awaited, more of them gain nothing."""
    window = Window()
    for _ in range(2_000):
        window.has_room(window.size)
        window.succeeded(0.1 * max(1.0, window.size / 64))
    assert 64 <= window.size <= 160
    for _ in range(2_000):
        window.has_room(window.size)
        window.succeeded(1.0)
    assert window.size == FIRST_WINDOW


def test_faults_make_the_window_smaller() -> None:
    """A service that fails is asked for less at once, but never for nothing."""
    window = Window()
    for _ in range(10):
        window.failed()
    assert window.size == SMALLEST_WINDOW
    assert window.has_room(0)
