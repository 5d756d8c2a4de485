"""Months in virtual time: the client against the sandbox, with the quota, lives and month that are documented."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Final

from benchmarks._arrivals import NEVER, arrivals
from tempmailg import AsyncClient, QuotaExceededError, WaitTimeoutError
from tempmailg.sandbox import Sandbox

if TYPE_CHECKING:
    from tempmailg import Mailbox, Watch

__all__ = ["Delivered", "Fleet", "Month", "beside", "fleet", "many", "month"]

START: Final = datetime(2026, 5, 31, 19, 0, 1, tzinfo=UTC)  # a month begins for the sandbox's account
DAY: Final = 86_400.0
TIMEOUT: Final = 60.0  # seconds of a test's wait


@dataclass(frozen=True)
class Month:
    """What became of tests that were run all month.

    Args:
        wanted: How many were to be run.
        ran: How many ran to their end.
        delay: Seconds between a message's arrival and its delivery, on average.
        left: Requests that were left in the end.
    """

    wanted: int
    ran: int
    delay: float
    left: int


def month(tests_a_day: int, days: int) -> Month:
    """Create a mailbox, wait for its message and delete it, so many times a day, evenly."""
    return asyncio.run(_month(tests_a_day, days))


async def _month(tests_a_day: int, days: int) -> Month:
    service, chance = Sandbox(seed=1, start=START), Random(1)
    wanted, ran = tests_a_day * days, 0
    delays: list[float] = []
    async with AsyncClient(transport=service.transport()) as client:
        for number, time in enumerate(arrivals(wanted)):
            await service.clock.sleep(max(0.0, number * DAY / tests_a_day - service.clock.monotonic()))
            service.journal.clear()
            try:
                delay = await _test(client, service, None if chance.random() < NEVER or time > TIMEOUT else time)
            except QuotaExceededError:
                continue
            ran += 1
            if delay is not None:
                delays.append(delay)
        left = client.quota.remaining if client.quota else 0
    return Month(wanted, ran, fmean(delays), left)


async def _test(client: AsyncClient, service: Sandbox, time: float | None) -> float | None:
    """Run one test, and return how late its message was delivered; None if it did not come in time."""
    mailbox = await client.create_mailbox()
    begun = service.clock.monotonic()
    waiting = asyncio.create_task(client.wait_for_message(mailbox, timeout=TIMEOUT))
    if time is not None:
        await service.clock.sleep(time)
        service.deliver(mailbox)
    delay: float | None = None
    try:
        await waiting
        delay = service.clock.monotonic() - begun - (time or 0.0)
    except WaitTimeoutError:
        pass
    await client.delete_mailbox(mailbox)
    return delay


@dataclass(frozen=True)
class Delivered:
    """What became of messages in watched mailboxes.

    Args:
        sent: How many there were, one in each mailbox.
        delivered: How many were delivered.
        delay: Seconds until then, on average.
        latest: Seconds until then, for the latest.
        requests: Requests of the quota that the watch took.
    """

    sent: int
    delivered: int
    delay: float
    latest: float
    requests: int


def many(count: int, *, is_early: bool, is_own: bool) -> Delivered:
    """Watch mailboxes until they have expired.

    Args:
        count: How many; one message comes to each.
        is_early: Whether all messages come after five seconds, and not over the lives of the mailboxes.
        is_own: Whether the client that watches has made the mailboxes.
    """
    return asyncio.run(_many(count, is_early=is_early, is_own=is_own))


async def _many(count: int, *, is_early: bool, is_own: bool) -> Delivered:
    service, chance = Sandbox(seed=1, start=START), Random(1)
    async with AsyncClient(transport=service.transport()) as other, AsyncClient(transport=service.transport()) as user:
        boxes = [await (user if is_own else other).create_mailbox() for _ in range(count)]
        times = sorted((5.0 if is_early else chance.uniform(1.0, 570.0), index) for index in range(count))
        sent: dict[str, float] = {}
        async with user.watch(*boxes) as watch:
            consumer = asyncio.create_task(_delays(watch, service, sent))
            begun = service.clock.monotonic()
            for time, index in times:
                await service.clock.sleep(max(0.0, begun + time - service.clock.monotonic()))
                sent[service.deliver(boxes[index])] = service.clock.monotonic()
            delays = await consumer
            return Delivered(count, len(delays), fmean(delays), max(delays), watch.health.quota_spent)


async def _delays(watch: Watch, service: Sandbox, sent: dict[str, float]) -> list[float]:
    return [service.clock.monotonic() - sent[message.id] async for message in watch]


def beside(messages: int, *, is_same_client: bool) -> float:
    """Return the longest delay of a watched mailbox's messages beside waits that spend all they can.

    Args:
        messages: How many messages the watched mailbox gets.
        is_same_client: Whether the waits are made by the client that watches, and not by another with the key.
    """
    return asyncio.run(_beside(messages, is_same_client=is_same_client))


async def _beside(messages: int, *, is_same_client: bool) -> float:
    service = Sandbox(seed=1, start=START, lifetime=1e6)
    async with AsyncClient(transport=service.transport()) as user, AsyncClient(transport=service.transport()) as other:
        busy = user if is_same_client else other
        watched, used = await user.create_mailbox(), await busy.create_mailbox()
        latest = 0.0
        async with user.watch(watched) as watch:
            spending = asyncio.create_task(_spend(busy, service, used))
            for _ in range(messages):
                await service.clock.sleep(200)
                service.deliver(watched)
                begun = service.clock.monotonic()
                await anext(watch)
                latest = max(latest, service.clock.monotonic() - begun)
            spending.cancel()
            await asyncio.wait({spending})
    return latest


async def _spend(client: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """Wait in vain thirty times, then expect messages that do come."""
    for _ in range(30):
        try:
            await client.wait_for_message(mailbox, subject="never", timeout=TIMEOUT)
        except WaitTimeoutError:
            continue
    for number in range(80):
        async with client.expect_message(mailbox):
            service.deliver(mailbox, subject=f"{number}")


@dataclass(frozen=True)
class Fleet:
    """What became of a quota that several processes share.

    Args:
        granted: Requests that the service counted.
        refused: Requests that it refused, for the quota was used up.
        oldest: Seconds for which the mailbox that was polled the most rarely was not polled, at most.
        shares: The requests of the busiest process, as a multiple of those of the least busy.
    """

    granted: int
    refused: int
    oldest: float
    shares: float


def fleet(processes: int, mailboxes: int, days: int) -> Fleet:
    """Have clients with one key watch mailboxes that last, more of them than the month can pay a poll a minute for."""
    return asyncio.run(_fleet(processes, mailboxes, days))


async def _fleet(processes: int, mailboxes: int, days: int) -> Fleet:
    service = Sandbox(seed=1, start=START, lifetime=1e9)
    refused, oldest = 0, 0.0
    async with AsyncExitStack() as stack:
        maker = await stack.enter_async_context(AsyncClient(transport=service.transport()))
        watches: list[Watch] = []
        for _ in range(processes):
            client = await stack.enter_async_context(AsyncClient(transport=service.transport()))
            boxes = [await maker.create_mailbox() for _ in range(mailboxes)]
            watches.append(await stack.enter_async_context(client.watch(*boxes)))
        for _ in range(24 * days - 6):
            await service.clock.sleep(3_600)
            oldest = max(oldest, *(watch.health.oldest_poll for watch in watches))
            refused += sum(entry.status == 429 for entry in service.journal)
            service.journal.clear()
        spent = [watch.health.quota_spent for watch in watches]
    return Fleet(sum(spent) + processes * mailboxes, refused, oldest, max(spent) / max(1, min(spent)))
