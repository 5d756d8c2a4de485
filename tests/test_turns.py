"""Turns: so much work at once, in order, and none lost to a cancellation."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from support.fault_server import STALL, FaultServer, reply

from tempmailg import AiohttpTransport, APITimeoutError, AsyncClient, MessageList, TempMailError
from tempmailg._turns import Turns


async def _begin_waiting(turns: Turns, order: list[str], *names: str) -> list[asyncio.Task[None]]:
    async def wait(name: str) -> None:
        turn = turns.take()
        assert turn is not None
        try:
            await turn
            order.append(name)
        except asyncio.CancelledError:
            turns.give_back(turn)
            raise

    tasks = [asyncio.create_task(wait(name)) for name in names]
    await asyncio.sleep(0)
    return tasks


async def test_turns_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    """Nobody overtakes those who wait, and a turn that is given back goes to one of them alone."""
    turns, order = Turns(1), list[str]()
    assert turns.take() is None
    first, second = await _begin_waiting(turns, order, "first", "second")
    turns.give_back(None)
    await first
    late = turns.take()
    assert late is not None
    assert order == ["first"]
    turns.give_back(None)
    await second
    turns.give_back(None)
    assert late.done()
    turns.give_back(late)
    assert turns.take() is None


async def test_a_wait_that_is_cancelled_takes_no_turn() -> None:
    """A turn passes over who no longer waits, and comes back once."""
    turns, order = Turns(1), list[str]()
    turns.take()
    gone, there = await _begin_waiting(turns, order, "gone", "there")
    gone.cancel()
    await asyncio.wait([gone])
    assert order == []
    turns.give_back(None)
    await there
    assert order == ["there"]
    turns.give_back(None)
    assert turns.take() is None
    assert turns.take() is not None


async def test_a_wait_that_is_given_up_without_a_cancellation_takes_no_turn() -> None:
    """A turn that never came is nobody's, also when a coroutine that waited for it is closed."""
    turns = Turns(1)
    turns.take()
    turn = turns.take()
    turns.give_back(turn)
    turns.give_back(None)
    assert turns.take() is None
    assert turns.take() is not None


async def test_a_turn_that_comes_with_a_cancellation_is_passed_on() -> None:
    """Who is cancelled in the moment in which the turn comes does not take it along."""
    turns, order = Turns(1), list[str]()
    turns.take()
    gone, there = await _begin_waiting(turns, order, "gone", "there")
    turns.give_back(None)
    gone.cancel()
    await asyncio.wait([gone, there])
    assert gone.cancelled()
    assert order == ["there"]


async def test_a_pool_without_a_limit_has_a_turn_for_everybody() -> None:
    """A pool of any size, which aiohttp writes as one of zero connections, lets nobody wait."""
    turns = Turns(0)
    assert all(turns.take() is None for _ in range(1_000))


EMPTY = reply(body=b'{"status": true, "messages": []}', headers=[("Connection", "keep-alive")])


async def _begun(client: AsyncClient, server: FaultServer, calls: int) -> list[asyncio.Task[MessageList]]:
    """Begin calls that the server does not answer, until it has as many as it gets."""
    tasks = [asyncio.create_task(client.list_messages("box@example.com")) for _ in range(calls)]
    async with asyncio.timeout(5):
        while len(server.requests) < 2:  # noqa: ASYNC110 - a socket in a test
            await asyncio.sleep(0.01)
    return tasks


async def test_calls_beyond_the_connections_wait_unsent_and_can_leave() -> None:
    """With two connections a third call sends nothing, says so at its deadline, and a cancelled one leaves no gap."""
    async with (
        FaultServer((STALL,), (STALL,), (EMPTY,)) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2)) as session,
        AsyncClient("tm_key", transport=AiohttpTransport(server.base_url, session=session), max_retries=0) as client,
    ):
        first, second, third, fourth = await _begun(client, server, 4)
        third.cancel()
        await asyncio.wait({third})
        with pytest.raises(APITimeoutError) as caught:
            await client.with_options(timeout=0.05).list_messages("box@example.com")
        assert caught.value.sent is False
        assert len(server.requests) == 2
        first.cancel()
        assert await fourth == []
        second.cancel()
        await asyncio.wait({first, second})


async def test_closing_ends_calls_that_wait_for_their_turn() -> None:
    """A client that is closed leaves nobody waiting, whether sent or not."""
    async with FaultServer((STALL,), (STALL,)) as server:
        client = AsyncClient("tm_key", base_url=server.base_url, max_retries=0)
        tasks = await _begun(client, server, 120)
        async with asyncio.timeout(5):
            await client.close()
            done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, TempMailError) for each in done)
