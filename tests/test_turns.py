"""Turns: so much work at once, in order, and none lost to a cancellation."""

from __future__ import annotations

import asyncio

from tempmailg._turns import Turns


async def _begin_waiting(turns: Turns, order: list[str], *names: str) -> list[asyncio.Task[None]]:
    async def wait(name: str) -> None:
        await turns.wait()
        order.append(name)

    tasks = [asyncio.create_task(wait(name)) for name in names]
    await asyncio.sleep(0)
    return tasks


async def test_turns_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    """Nobody overtakes those who wait, and a turn that is given back goes to one of them alone."""
    turns, order = Turns(1), list[str]()
    assert turns.take()
    first, second = await _begin_waiting(turns, order, "first", "second")
    turns.give_back()
    await first
    assert not turns.take()
    assert order == ["first"]
    turns.give_back()
    await second
    turns.give_back()
    assert turns.take()


async def test_a_wait_that_is_cancelled_takes_no_turn() -> None:
    """A turn passes over who no longer waits."""
    turns, order = Turns(1), list[str]()
    turns.take()
    gone, there = await _begin_waiting(turns, order, "gone", "there")
    gone.cancel()
    await asyncio.wait([gone])
    turns.give_back()
    await there
    assert order == ["there"]


async def test_a_turn_that_comes_with_a_cancellation_is_passed_on() -> None:
    """Who is cancelled in the moment in which the turn comes does not take it along."""
    turns, order = Turns(1), list[str]()
    turns.take()
    gone, there = await _begin_waiting(turns, order, "gone", "there")
    turns.give_back()
    gone.cancel()
    await asyncio.wait([gone, there])
    assert gone.cancelled()
    assert order == ["there"]


async def test_a_pool_without_a_limit_has_a_turn_for_everybody() -> None:
    """A pool of any size, which aiohttp writes as one of zero connections, lets nobody wait."""
    turns = Turns(0)
    assert all(turns.take() for _ in range(1_000))
