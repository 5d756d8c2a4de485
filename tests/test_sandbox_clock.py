"""The sandbox's clock: it runs, stands still, or leaps, and nobody waits in real time who need not."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tempmailg import ConfigurationError
from tempmailg.sandbox import Clock, Sandbox

START = datetime(2026, 6, 28, 9, 38, 51, tzinfo=UTC)


async def hour_of_naps(clock: Clock) -> list[str]:
    """Nap on a clock for an hour in two tasks, one of which gets items from a third; return what happened when."""
    happened: list[str] = []
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def teller() -> None:
        for number in range(60):
            await clock.sleep(60)
            queue.put_nowait(number)

    async def hearer() -> None:
        for _ in range(60):
            number = await queue.get()
            happened.append(f"{clock.monotonic():.0f} happened {number}")

    async def napper() -> None:
        while clock.monotonic() < 3600:
            await clock.sleep(45)
            happened.append(f"{clock.monotonic():.0f} napped")

    async with asyncio.TaskGroup() as group:
        for task in (teller(), hearer(), napper()):
            group.create_task(task)
    return happened


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_hour_passes_in_no_time_and_in_order(loop: str) -> None:
    """A standing clock leaps from sleeper to sleeper, every time in the same order, on any event loop."""
    loop_factory = pytest.importorskip(loop).new_event_loop

    def course() -> list[str]:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            clock = Clock(START)
            happened = runner.run(hour_of_naps(clock))
            assert clock.monotonic() == 3600
            assert clock.utcnow() == START + timedelta(hours=1)
        return happened

    begun = time.process_time()
    first = course()
    assert time.process_time() - begun < 30  # an hour would be 3600
    assert first == course()
    assert first[:3] == ["45 napped", "60 happened 0", "90 napped"]


async def test_a_leap_waits_for_chains_of_tasks() -> None:
    """News that passes through several tasks arrives before the clock moves on."""
    clock = Clock()
    queues: list[asyncio.Queue[float]] = [asyncio.Queue() for _ in range(6)]

    async def pass_on(source: asyncio.Queue[float], target: asyncio.Queue[float]) -> None:
        target.put_nowait(await source.get())

    tasks = [asyncio.create_task(pass_on(a, b)) for a, b in pairwise(queues)]
    background = asyncio.create_task(clock.sleep(1_000))
    await clock.sleep(10)
    queues[0].put_nowait(clock.monotonic())
    assert await queues[-1].get() == clock.monotonic() == 10
    background.cancel()
    await asyncio.gather(*tasks)


async def test_a_frozen_clock_moves_only_when_told() -> None:
    """Frozen, sleepers wait for advance(), and wake in the order of their times."""
    clock = Clock(START)
    clock.freeze()
    woken: list[int] = []

    async def nap(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(nap(seconds)) for seconds in (30, 10, 20)]
    for _ in range(100):
        await asyncio.sleep(0)
    assert (clock.mode, clock.monotonic(), woken) == ("frozen", 0, [])
    clock.advance(19.5)
    await asyncio.sleep(0.01)
    assert woken == [10]
    clock.resume()
    await asyncio.gather(*tasks)
    assert (clock.mode, clock.monotonic(), woken) == ("leaping", 30, [10, 20, 30])


async def test_a_running_clock_follows_real_time_plus_what_it_was_advanced() -> None:
    """Once the sandbox listens, time runs; advance() wakes sleepers early and freeze() stops it."""
    clock = Clock(START)
    clock.run()
    nap = asyncio.create_task(clock.sleep(3600))
    await clock.sleep(0.01)
    assert clock.mode == "running"
    assert clock.monotonic() >= 0.01
    clock.advance(3600)
    await nap
    clock.freeze()
    at = clock.monotonic()
    await asyncio.sleep(0.01)
    assert clock.monotonic() == at >= 3600
    clock.resume()
    await asyncio.sleep(0.001)
    assert clock.monotonic() > at


async def test_sleepers_survive_a_change_of_mode() -> None:
    """Who sleeps while the sandbox starts wakes in real time, and who sleeps while it stops is leapt to."""
    clock = Clock()
    clock.freeze()
    first = asyncio.create_task(clock.sleep(0.02))
    await asyncio.sleep(0)
    clock.run()
    clock.resume()
    await first
    second = asyncio.create_task(clock.sleep(5_000))
    await asyncio.sleep(0)
    clock.stand()
    await second
    assert clock.mode == "leaping"


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """A cancelled sleep neither wakes anybody nor moves the clock."""
    clock = Clock()
    nap = asyncio.create_task(clock.sleep(5))
    await asyncio.sleep(0)
    nap.cancel()
    with pytest.raises(asyncio.CancelledError):
        await nap
    for _ in range(100):
        await asyncio.sleep(0)
    assert clock.monotonic() == 0
    await clock.sleep(7)
    assert clock.monotonic() == 7


async def test_no_time_is_no_time() -> None:
    """Sleeping for nothing lets others run and moves nothing."""
    clock = Clock()
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.monotonic() == 0


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_time_does_not_run_backwards(seconds: float) -> None:
    """advance() refuses what would turn the clock back."""
    with pytest.raises(ConfigurationError, match="at least 0"):
        Clock().advance(seconds)


def test_setting_the_wall_clock_disturbs_no_sleeper() -> None:
    """set() moves the date and leaves the monotonic time alone."""
    clock = Clock()
    clock.advance(5)
    clock.set(START)
    assert (clock.monotonic(), clock.utcnow()) == (5, START)
    assert repr(clock) == "<Clock leaping at 2026-06-28T09:38:51+00:00>"


def test_another_thread_may_advance_the_clock() -> None:
    """A sleeper of one thread's loop is woken by another thread, and a loop that is gone is no harm."""
    clock = Clock()
    clock.freeze()
    woken = threading.Event()
    asleep = threading.Event()

    async def nap() -> None:
        task = asyncio.create_task(clock.sleep(60))
        await asyncio.sleep(0)
        asleep.set()
        await task
        woken.set()

    thread = threading.Thread(target=lambda: asyncio.run(nap()))
    thread.start()
    assert asleep.wait(10)
    clock.advance(60)
    assert woken.wait(10)
    thread.join()


def test_a_loop_that_ended_holds_nobody_back() -> None:
    """Sleepers that were left on a closed loop are skipped, whoever moves the clock next."""
    clock = Clock()
    loop = asyncio.new_event_loop()
    left = loop.create_task(clock.sleep(1))
    loop.run_until_complete(asyncio.sleep(0))
    left.cancel()
    loop.run_until_complete(asyncio.gather(left, return_exceptions=True))
    loop.close()
    asyncio.run(clock.sleep(5))
    assert clock.monotonic() == 5


async def test_what_a_signals_handler_raises_does_not_stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time limit that strikes while the clock watches the loop is lost in asyncio, and the sleepers still wake."""
    clock, lost = Clock(), list[BaseException]()
    leap = clock._leap

    def exceeded(loop: asyncio.AbstractEventLoop) -> bool:
        if not lost:
            pytest.fail("the time is over")  # which raises no Exception
        return leap(loop)

    monkeypatch.setattr(clock, "_leap", exceeded)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context["exception"]))
    await asyncio.wait_for(clock.sleep(5), 5)
    assert (clock.monotonic(), len(lost)) == (5, 1)


async def test_a_transport_tells_the_sandboxs_time() -> None:
    """now, utcnow and sleep of the in-process transport are the clock's, and its chance repeats with the seed."""
    sandbox = Sandbox(seed=3, start=START)
    transport = sandbox.transport()
    await transport.sleep(90)
    assert (transport.now(), transport.utcnow()) == (90, START + timedelta(seconds=90))
    numbers = [transport.random() for _ in range(5)]
    other = Sandbox(seed=3).transport()
    assert numbers == [other.random() for _ in range(5)]
    assert all(0 <= number < 1 for number in numbers)
    await transport.aclose()
    assert "leaping" in repr(transport)
