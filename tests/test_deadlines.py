"""One timer for the deadlines of all requests, in virtual time: each ends its block, on time, and nothing else."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempmailg._deadlines import Deadlines

if TYPE_CHECKING:
    from collections.abc import Coroutine

SECONDS = st.floats(0, 1_000)


class LeapingSelector(selectors.SelectSelector):
    """Waits for no timer: the time leaps there."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time leaps from timer to timer."""

    def __init__(self) -> None:
        self.leaping = LeapingSelector()
        self.timers: list[asyncio.TimerHandle] = []
        super().__init__(self.leaping)

    def time(self) -> float:
        return self.leaping.now

    def call_at(self, when: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:  # type: ignore[override] # passes on
        self.timers.append(super().call_at(when, *args, **kwargs))
        return self.timers[-1]


def run(main: Coroutine[Any, Any, None]) -> VirtualLoop:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)
        loop = runner.get_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


async def within(deadlines: Deadlines, seconds: float, work: Coroutine[Any, Any, object]) -> float:
    """Do work under a deadline; return when it ended, or raise at its deadline."""
    with deadlines.within(seconds):
        await work
    return asyncio.get_running_loop().time()


async def cut_off(deadlines: Deadlines, seconds: float) -> float:
    with pytest.raises(TimeoutError):
        await within(deadlines, seconds, asyncio.Event().wait())
    return asyncio.get_running_loop().time()


@given(st.lists(SECONDS, min_size=1, max_size=20))
def test_each_block_ends_at_its_own_deadline(limits: list[float]) -> None:
    """However many blocks there are, in whatever order they were begun, none ends early and none late."""

    async def main() -> None:
        deadlines = Deadlines(asyncio.get_running_loop())
        ended = await asyncio.gather(*(cut_off(deadlines, limit) for limit in limits))
        assert ended == pytest.approx(limits, abs=1e-6)

    run(main())


@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=20))
def test_work_that_ends_in_time_is_left_alone(cases: list[tuple[float, float]]) -> None:
    """A deadline ends only the block that overruns it; what was quick enough has its result."""

    async def main() -> None:
        deadlines = Deadlines(asyncio.get_running_loop())
        tasks = [within(deadlines, limit, asyncio.sleep(work)) for limit, work in cases]
        for (limit, work), outcome in zip(cases, await asyncio.gather(*tasks, return_exceptions=True), strict=True):
            if isinstance(outcome, BaseException):
                assert isinstance(outcome, TimeoutError)
                assert limit <= work
            else:
                assert work <= limit + 1e-6

    run(main())


def test_requests_one_after_the_other_share_a_timer() -> None:
    """Ten thousand quick requests leave one timer in the loop, not ten thousand."""

    async def main() -> None:
        deadlines = Deadlines(asyncio.get_running_loop())
        for _ in range(10_000):
            await within(deadlines, 30.0, asyncio.sleep(0))
        deadlines.stop()

    timers = run(main()).timers
    assert len(timers) == 1
    assert timers[0].cancelled()


def test_a_block_keeps_its_deadline_when_the_client_is_closed() -> None:
    """What is still under way then, on a connection that somebody else lent, ends all the same."""

    async def main() -> None:
        deadlines = Deadlines(asyncio.get_running_loop())
        task = asyncio.create_task(cut_off(deadlines, 5.0))
        await asyncio.sleep(1.0)
        deadlines.stop()
        assert await task == pytest.approx(5.0)

    run(main())


def test_a_timer_that_nobody_needs_any_more_is_not_set_again() -> None:
    """When it rings after the last request, nothing happens; the next request sets it anew."""

    async def main() -> None:
        deadlines = Deadlines(asyncio.get_running_loop())
        await within(deadlines, 1.0, asyncio.sleep(0))
        await asyncio.sleep(5.0)
        assert await cut_off(deadlines, 2.0) == pytest.approx(7.0)

    run(main())


def test_a_cancellation_that_comes_with_the_deadline_is_not_lost() -> None:
    """Whoever cancels a task in the very moment of its deadline sees it cancelled, not timed out."""

    async def main() -> None:
        task = asyncio.create_task(within(Deadlines(asyncio.get_running_loop()), 1.0, asyncio.Event().wait()))
        asyncio.get_running_loop().call_at(1.0, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_an_error_in_the_moment_of_the_deadline_is_not_replaced() -> None:
    """What the block raises itself counts, and the task is not left half cancelled."""

    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("its own") from None

    async def main() -> None:
        with pytest.raises(ValueError, match="its own"):
            await within(Deadlines(asyncio.get_running_loop()), 1.0, fail())
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main())


def test_a_deadline_within_a_deadline_ends_at_the_nearer() -> None:
    """The inner block's end is not taken for the outer's, nor the other way round."""

    async def main() -> None:
        deadlines = Deadlines(asyncio.get_running_loop())
        assert await within(deadlines, 5.0, cut_off(deadlines, 2.0)) == pytest.approx(2.0)
        with pytest.raises(TimeoutError):
            await within(deadlines, 1.0, within(deadlines, 2.0, asyncio.Event().wait()))
        assert asyncio.get_running_loop().time() == pytest.approx(3.0)

    run(main())


def test_a_cancelled_request_is_cancelled_not_timed_out() -> None:
    """Somebody else's cancellation passes through as what it is."""

    async def main() -> None:
        task = asyncio.create_task(within(Deadlines(asyncio.get_running_loop()), 10.0, asyncio.Event().wait()))
        await asyncio.sleep(1.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
