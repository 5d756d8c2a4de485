"""What is due when: things in the order of their times, which may change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tempmailg._waiting._agenda import Agenda

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 9), st.floats(0, 100)),
        st.tuples(st.just("drop"), st.integers(0, 9), st.just(0.0)),
        st.tuples(st.just("take"), st.just(0), st.floats(0, 100)),
    ),
    max_size=200,
)


@given(STEPS)
def test_an_agenda_is_a_table_of_times(steps: list[tuple[str, int, float]]) -> None:
    """Whatever is set, moved, dropped and taken, it gives what a plain table would: of the earliest, the oldest."""
    agenda: Agenda[int] = Agenda()
    table: dict[int, float] = {}  # in the order in which the times were set
    for step, thing, at in steps:
        if step == "set":
            table.pop(thing, None)
            table[thing] = at
            agenda.set(thing, at)
        elif step == "drop":
            table.pop(thing, None)
            agenda.drop(thing)
        else:
            earliest = min(table, key=table.__getitem__, default=None)
            due = earliest if earliest is not None and table[earliest] <= at else None
            assert agenda.take(at) == due
            table = {other: time for other, time in table.items() if other != due}
        assert agenda.first() == min(table.values(), default=None)
        assert agenda.time_of(thing) == table.get(thing)


def test_moving_a_thing_again_and_again_takes_no_room() -> None:
    """The old places of things that were moved are cleared away in time."""
    agenda: Agenda[int] = Agenda()
    for number in range(10_000):
        agenda.set(number % 3, float(number))
    assert len(agenda._heap) <= 2 * 3 + 64
    assert [agenda.take(1e9) for _ in range(4)] == [9_997 % 3, 9_998 % 3, 9_999 % 3, None]
