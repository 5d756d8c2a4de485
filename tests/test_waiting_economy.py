"""Waiting as an economy: nothing is lost while requests remain, and whoever can be served is served soon."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tempmailg import AsyncClient, Message, WaitTimeoutError
from tempmailg.sandbox import HtmlPage, Sandbox, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tempmailg import Watch

MAY = datetime(2026, 5, 2, tzinfo=UTC)


async def collect(watch: Watch, found: list[str]) -> None:
    async for message in watch:
        found.append(message.id)  # noqa: PERF401 - what was found is seen meanwhile


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize("maker", ["this client", "another"])
@pytest.mark.parametrize("count", [100, 250])
async def test_a_watch_loses_nothing(maker: str, count: int) -> None:
    """One message in each of many short-lived mailboxes: all are delivered, for a fraction of the month."""
    service = Sandbox(seed=1, start=MAY)
    async with AsyncClient(transport=service.transport()) as other, AsyncClient(transport=service.transport()) as user:
        boxes = [await (user if maker == "this client" else other).create_mailbox() for _ in range(count)]
        found: list[str] = []
        async with user.watch(*boxes) as watch:
            consumer = asyncio.create_task(collect(watch, found))
            await service.clock.sleep(5)
            sent = [service.deliver(box) for box in boxes]
            await service.clock.sleep(700)
            await consumer
            assert sorted(found) == sorted(sent)
            assert watch.health.quota_spent <= 18 * count


async def test_mail_of_the_last_minute_is_not_lost() -> None:
    """Five hundred mailboxes that expire together are each polled just before, though not at the same moment."""
    service = Sandbox(seed=1, start=MAY)
    async with AsyncClient(transport=service.transport()) as user:
        boxes = [await user.create_mailbox() for _ in range(500)]
        found: list[str] = []
        async with user.watch(*boxes) as watch:
            consumer = asyncio.create_task(collect(watch, found))
            await service.clock.sleep(590)
            sent = [service.deliver(box) for box in boxes]
            await service.clock.sleep(60)
            await consumer
            assert sorted(found) == sorted(sent)
        seconds = [int((entry.at - MAY).total_seconds()) for entry in service.journal]
        assert max(seconds.count(second) for second in range(594, 600)) <= 260


async def test_a_watch_is_not_starved_by_waits_of_its_client() -> None:
    """However many waits spend beside it, a watched mailbox is polled every minute."""
    service = Sandbox(seed=1, start=MAY, lifetime=1e6)
    async with AsyncClient(transport=service.transport()) as user:
        watched, used = await user.create_mailbox(), await user.create_mailbox()
        for number in range(80):
            async with user.expect_message(used):
                service.deliver(used, subject=f"{number}")
        async with user.watch(watched) as watch:
            service.deliver(watched)
            begun = service.clock.monotonic()
            await anext(watch)
            assert service.clock.monotonic() - begun <= 60
            service.deliver(watched)
            begun = service.clock.monotonic()
            await anext(watch)
            assert service.clock.monotonic() - begun <= 60


async def test_a_watch_is_not_starved_by_other_processes() -> None:
    """What another client with the same key spends in vain does not delay a watched mailbox's mail beyond a minute."""
    service = Sandbox(seed=1, start=MAY, lifetime=1e6)
    async with AsyncClient(transport=service.transport()) as user, AsyncClient(transport=service.transport()) as other:
        watched, used = await user.create_mailbox(), await other.create_mailbox()
        async with user.watch(watched) as watch:
            for _ in range(30):
                with pytest.raises(WaitTimeoutError):
                    await other.wait_for_message(used, timeout=60)
            for _ in range(5):
                await service.clock.sleep(25)
                service.deliver(watched)
                begun = service.clock.monotonic()
                await anext(watch)
                assert service.clock.monotonic() - begun <= 60


async def test_a_fleet_that_wants_too_much_polls_evenly_until_the_reset() -> None:
    """Clients that share a key poll about as often in the month's last days as in its first; none is silent."""
    service = Sandbox(seed=1, start=datetime(2026, 5, 31, 19, 0, 1, tzinfo=UTC), lifetime=1e9, quota=2_000)
    async with AsyncExitStack() as stack:
        maker = await stack.enter_async_context(AsyncClient(transport=service.transport()))
        watches: list[Watch] = []
        for _ in range(4):
            client = await stack.enter_async_context(AsyncClient(transport=service.transport()))
            boxes = [await maker.create_mailbox() for _ in range(5)]
            watches.append(await stack.enter_async_context(client.watch(*boxes)))
        even, oldest = 20 * 720 / 2_000, 0.0  # hours between two polls of a mailbox
        spent: list[int] = []
        for _ in range(29 * 4):
            await service.clock.sleep(6 * 3_600)
            oldest = max(oldest, *(watch.health.oldest_poll / 3_600 for watch in watches))
            spent.append(sum(watch.health.quota_spent for watch in watches))
        assert oldest <= 3 * even
        assert spent[len(spent) // 2] <= 0.58 * spent[-1]
        assert spent[-1] - spent[-17] >= 0.5 * (spent[16] - spent[0])
        assert not any(entry.status == 429 for entry in service.journal)


@pytest.fixture
async def service() -> Sandbox:
    """A sandbox whose clock leaps."""
    return Sandbox(seed=1, start=MAY)


@pytest.fixture
async def user(service: Sandbox) -> AsyncIterator[AsyncClient]:
    """A client of that sandbox."""
    async with AsyncClient(transport=service.transport()) as client:
        yield client


async def drained(watch: Watch) -> list[Message]:
    async with asyncio.timeout(3):
        return [message async for message in watch]


async def test_a_watch_of_nothing_ends(user: AsyncClient) -> None:
    """An end is a property of the state: without a mailbox there is nothing to wait for."""
    async with user.watch() as watch:
        assert await drained(watch) == []


async def test_a_watch_ends_with_its_last_mailbox_discarded(user: AsyncClient, service: Sandbox) -> None:
    """Whoever is waiting for a message when the last mailbox is discarded waits no longer."""
    box = await user.create_mailbox()
    async with user.watch(box) as watch:

        async def later() -> None:
            await service.clock.sleep(1)
            watch.discard(box)

        task = asyncio.create_task(later())
        assert await drained(watch) == []
        await task


async def test_a_watch_ends_though_on_gone_raised(user: AsyncClient, service: Sandbox) -> None:
    """The error of a callback comes out, and behind it the watch has ended like any other."""
    box = await user.create_mailbox()

    def broken(error: Exception) -> None:
        raise ZeroDivisionError

    async with user.watch(box, on_gone=broken) as watch:
        service.faults.next("list_messages", Status(404), times=2)
        with pytest.raises(ZeroDivisionError):
            await drained(watch)
        assert await drained(watch) == []


@pytest.mark.parametrize(
    "fault", [HtmlPage(404), HtmlPage(403), HtmlPage(401), Status(404), Status(401), Status(403)], ids=str
)
async def test_one_answer_ends_nothing(user: AsyncClient, service: Sandbox, fault: Status) -> None:
    """A foreign page, or a single refusal, is a fault like a 502: the message behind it is delivered."""
    box = await user.create_mailbox()
    service.faults.next("list_messages", fault)
    async with user.watch(box) as watch:
        await service.clock.sleep(1)
        key = service.deliver(box)
        assert (await anext(watch)).id == key
        assert watch.health.gone == {}
    service.faults.next("list_messages", fault)
    assert (await user.wait_for_message(box)).id == key
    service.faults.next("list_messages", fault)
    async with user.expect_message(box) as expected:
        service.deliver(box, subject="New")
    assert expected.message.subject == "New"


async def test_pages_of_a_proxy_never_end_a_watch(user: AsyncClient, service: Sandbox) -> None:
    """However often a proxy answers 404, it is not the service that says so."""
    box = await user.create_mailbox()
    service.faults.next("list_messages", HtmlPage(404), times=5)
    async with user.watch(box) as watch:
        key = service.deliver(box)
        assert (await anext(watch)).id == key


async def test_a_mailbox_that_is_there_beyond_its_expiry_is_watched_on(user: AsyncClient, service: Sandbox) -> None:
    """A mailbox is gone on evidence, not by arithmetic."""
    box = await user.create_mailbox()
    service.clock.set(datetime(2026, 5, 1, 23, 50, tzinfo=UTC))  # ten minutes more for the service, by its own clock
    async with user.watch(box) as watch:
        task = asyncio.create_task(collect(watch, []))
        await service.clock.sleep(900)
        assert not task.done()
        await ended(task)


async def test_a_full_watch_is_bounded_beside_a_fast_one(user: AsyncClient) -> None:
    """A slow consumer's bound holds beside any other listener of its mailbox, and the fast one gets it all."""
    service = Sandbox(seed=1, lifetime=1e6, quota=10**9)
    async with AsyncClient(transport=service.transport()) as client:
        box = await client.create_mailbox()
        fast: list[str] = []
        async with client.watch(box) as slow, client.watch(box) as other:
            consumer = asyncio.create_task(collect(other, fast))
            for _ in range(60):
                key = service.deliver(box, text="x" * 1_000_000)
                await service.clock.sleep(4)
                await client.delete_message(key)
            assert len(fast) == 60
            assert 30 <= slow.health.backlog <= 35
            kept = [service.deliver(box, subject=f"{number}") for number in range(3)]
            await service.clock.sleep(20)
            found = [(await anext(slow)).id for _ in range(slow.health.backlog + 3)]
            assert sorted(found[-3:]) == sorted(kept)
            await ended(consumer)


async def test_a_wait_that_stood_still_polls_once_more() -> None:
    """A process that was stopped beyond a wait's end finds the message that came meanwhile."""
    async with Sandbox() as service, AsyncClient(service.api_key, base_url=service.base_url) as client:
        box = await client.create_mailbox()
        task = asyncio.create_task(client.wait_for_message(box, timeout=0.6))
        await asyncio.sleep(0.1)
        key = service.deliver(box)
        time.sleep(1.2)  # noqa: ASYNC251 - the point of the test
        assert (await task).id == key


async def test_the_error_says_that_the_process_stood_still(user: AsyncClient, service: Sandbox) -> None:
    """A leap of the clock beyond the deadline is reported, and the poll that was due is made."""
    box = await user.create_mailbox()
    task = asyncio.create_task(user.wait_for_message(box, timeout=20))
    await service.clock.sleep(5)
    service.clock.advance(100)
    with pytest.raises(WaitTimeoutError, match=r"the process stood still for 8\d\.\d s"):
        await task
    assert service.clock.monotonic() < 110


async def test_a_reset_within_the_deadline_is_waited_for() -> None:
    """A wait outlives the end of the quota if it starts again in time."""
    service = Sandbox(seed=1, start=datetime(2026, 5, 31, 18, 59, 40, tzinfo=UTC))
    service.set_account(remaining=5)
    async with AsyncClient(transport=service.transport()) as client:
        box = await client.create_mailbox()
        with pytest.raises(WaitTimeoutError):
            await client.wait_for_message(box, timeout=60)
        service.deliver(box)
        await client.wait_for_message(box, timeout=60)
