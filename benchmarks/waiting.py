"""What waiting costs: how late a message is delivered, what it takes of the quota, of memory and of the processor.

``python -m benchmarks.waiting [--short] [--json FILE]``
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Final

from benchmarks._arrivals import (
    NEVER,
    PATIENCE,
    arrivals,
    best_requests,
    cost_of,
    learned,
    polls_of,
    schedules,
)
from benchmarks._economy import beside, fleet, many, month
from benchmarks._harness import Goal, Measure, Row, as_json, ratio, show, spread
from benchmarks._inboxes import Count, Plan, running_inboxes
from benchmarks._watcher import begin, result_of
from tempmailg import AsyncClient
from tempmailg.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "measures"]

PROCESSES: Final = 8


def measures(*, short: bool = False) -> list[Measure]:
    """Measure everything; the short way only checks that it works."""
    return [
        _simulated(short=short),
        _learned(short=short),
        _months(short=short),
        _watched(short=short),
        _beside(short=short),
        _shared(short=short),
        _delivered(short=short),
        _flat(short=short),
        _unchanged(short=short),
        *_fleets(short=short),
    ]


# ---------------------------------------------------------------------------------------------------------- schedules


def _simulated(*, short: bool) -> Measure:
    times = arrivals(2_000 if short else 40_000)
    costs = {name: cost_of(schedule, times) for name, schedule in schedules().items()}
    ours, every_second = costs["tempmailg"], costs["every 1 s"]
    best = best_requests(times, ours.delay)
    real = asyncio.run(_through_the_client(times[: 20 if short else 1_000]))
    rows = [
        Row(
            name,
            {
                "mean delay s": cost.delay,
                "95 % delay s": cost.late,
                "requests, arrives": cost.found,
                "requests, never": cost.never,
                "requests, all": cost.requests,
            },
            spread([cost.requests / every_second.requests]),
        )
        for name, cost in costs.items()
    ]
    goals = [
        Goal("mean delay, s", 0.77, spread([ours.delay])),
        Goal("requests of a wait, at that delay", 12.4, spread([ours.requests])),
        Goal("requests of five minutes in vain", 60, spread([ours.never])),
    ]
    notes = [
        f"{len(times):,} arrivals, log-normal with a median of 6 s and a 95th percentile of 40 s",
        f"{NEVER:.0%} of all waits are for messages that never arrive, and give up after {PATIENCE:.0f} s",
        f"no schedule could make less than {best:.1f} requests at the delay of tempmailg",
        f"through the client, in a sandbox: mean delay {real[0]:.2f} s, {real[1]:.2f} requests",
    ]
    title = "A wait: how late its message is delivered, and what it takes of the quota (simulated)"
    return Measure(title, rows, goals, "every 1 s", notes)


def _learned(*, short: bool) -> Measure:
    """Compare the polls of a client that has seen fifty arrivals with the fewest that are possible at its delay."""
    rows: list[Row] = []
    goals: list[Goal] = []
    for median in (2.0, 15.0, 30.0):
        times = arrivals(500 if short else 20_000, median=median, seed=3)
        costs = [cost_of(polls_of(learned(median, 50, seed), 1.0), times) for seed in range(2 if short else 9)]
        shares = spread(cost.requests / best_requests(times, cost.delay) for cost in costs)
        figures = {"mean delay s": fmean(cost.delay for cost in costs), "requests": fmean(c.requests for c in costs)}
        rows.append(Row(f"median {median:g} s", figures, shares))
        goals.append(Goal(f"requests as a share of the fewest possible, median {median:g} s", 1.15, shares))
    return Measure("A wait after fifty arrivals of another law (simulated)", rows, goals, "the fewest possible")


def _months(*, short: bool) -> Measure:
    rows: list[Row] = []
    goals: list[Goal] = []
    for tests, limit in ((20, 0.76), (200, 1.5), (300, 3.0), (400, 6.0))[: 1 if short else None]:
        found = month(tests, 1 if short else 30)
        name = f"{tests} tests a day"
        figures = {
            "tests": found.wanted,
            "ran": found.ran,
            "mean delay s": found.delay,
            "requests left": found.left,
        }
        rows.append(Row(name, figures))
        goals.append(
            Goal(f"share of the tests that ran, {name}", 1.0, spread([found.ran / found.wanted]), at_most=False)
        )
        goals.append(Goal(f"mean delay, s, {name}", limit, spread([found.delay])))
    notes = ["a test creates a mailbox, waits for 60 s at most, and deletes it; 50,000 requests a month, 30 days"]
    return Measure("A month of tests (virtual time)", rows, goals, notes=notes)


def _watched(*, short: bool) -> Measure:
    rows: list[Row] = []
    goals: list[Goal] = []
    for count in (20,) if short else (50, 100, 500, 1_000, 5_000):
        for is_early in (True, False):
            for is_own in (True, False):
                found = many(count, is_early=is_early, is_own=is_own)
                name = f"{count:,}, mail {'early' if is_early else 'spread'}, made by {'it' if is_own else 'another'}"
                figures = {
                    "delivered": found.delivered,
                    "mean delay s": found.delay,
                    "latest s": found.latest,
                    "requests": found.requests,
                }
                rows.append(Row(name, figures))
                goals.append(Goal(f"delivered, {name}", 1.0, spread([found.delivered / found.sent]), at_most=False))
    notes = ["mailboxes of 600 s, one message each; 50,000 requests a month"]
    return Measure("Watched mailboxes (virtual time)", rows, goals, notes=notes)


def _beside(*, short: bool) -> Measure:
    messages = 2 if short else 20
    delays = {
        "the same client": beside(messages, is_same_client=True),
        "another process": beside(messages, is_same_client=False),
    }
    rows = [Row(f"beside waits of {name}", {"latest s": delay}) for name, delay in delays.items()]
    goals = [Goal(f"latest delivery, s, beside waits of {name}", 60, spread([delay])) for name, delay in delays.items()]
    return Measure("One watched mailbox beside waits (virtual time)", rows, goals)


def _shared(*, short: bool) -> Measure:
    found = fleet(PROCESSES, 20, 2 if short else 30)
    figures = {
        "granted": found.granted,
        "refused": found.refused,
        "oldest poll h": found.oldest / 3_600,
        "busiest / least busy": found.shares,
    }
    goals = [
        Goal("requests, as a share of the quota", 1.01, spread([(found.granted + found.refused) / 50_000])),
        Goal("longest time without a poll of some mailbox, h", 7, spread([found.oldest / 3_600])),
    ]
    notes = [
        "each watches 20 mailboxes that last; a poll a minute of each would take 140 times the quota",
        "with even shares, each mailbox is polled every 2.3 h",
    ]
    title = f"A month of {PROCESSES} processes with one key and 50,000 requests (virtual time)"
    return Measure(title, [Row("tempmailg", figures)], goals, notes=notes)


async def _through_the_client(times: Sequence[float]) -> tuple[float, float]:
    """Return the mean delay and the mean requests of real waits, in virtual time; the client does not learn."""
    delays: list[float] = []
    requests: list[int] = []
    for time in times:
        service = Sandbox(seed=1, lifetime=10 * PATIENCE)
        async with AsyncClient(transport=service.transport()) as client:
            mailbox = await client.create_mailbox()
            begun = service.clock.monotonic()
            waiting = asyncio.create_task(client.wait_for_message(mailbox, timeout=PATIENCE))
            await service.clock.sleep(time)
            service.deliver(mailbox)
            await waiting
            delays.append(service.clock.monotonic() - begun - time)
            requests.append(len(service.journal) - 1)
    return fmean(delays), fmean(requests)


# ------------------------------------------------------------------------------------------------------ one process


def _delivered(*, short: bool) -> Measure:
    mailboxes = 200 if short else 10_000
    plan = Plan(held=1, arriving=1, interval=3.0 if short else 20.0)
    with running_inboxes(plan) as (base_url, _):
        result = result_of(begin("deliveries", base_url, mailboxes=mailboxes, messages=plan.held + plan.arriving))
    wanted = mailboxes * (plan.held + plan.arriving)
    figures = {
        "messages": wanted,
        "delivered": result["delivered"],
        "distinct": result["distinct"],
        "seconds": result["seconds"],
        "polls/s": result["polls"] / result["seconds"],
        "CPU µs/poll": result["cpu_each"] * 1e6,
        "bytes/mailbox": result["memory_each"],
    }
    goals = [
        Goal("messages delivered, of all", 1.0, spread([result["delivered"] / wanted])),
        Goal("messages delivered, of all", 1.0, spread([result["distinct"] / wanted]), at_most=False),
        Goal("resident bytes of a mailbox", 2_048, spread([result["memory_each"]])),
    ]
    notes = ["with a quota of 10^12 requests, so that the process is the bound"]
    return Measure(f"{mailboxes:,} mailboxes watched by one process", [Row("tempmailg", figures)], goals, notes=notes)


def _flat(*, short: bool) -> Measure:
    """Compare what a poll costs in a small watch and in a large one, in rounds that alternate."""
    sizes = (50, 200) if short else (100, 50_000)
    small: list[float] = []
    large: list[float] = []
    for _ in range(1 if short else 3):
        for size, costs in zip(sizes, (small, large), strict=True):
            with running_inboxes(Plan(held=1)) as (base_url, _):
                result = result_of(begin("steady", base_url, mailboxes=size, calls=1_000 if short else 20_000))
            costs.append(result["cpu_each"])
    share = ratio(large, small)
    rows = [
        Row(f"{sizes[0]:,} mailboxes", {"CPU µs/poll": spread(small).median * 1e6}),
        Row(f"{sizes[1]:,} mailboxes", {"CPU µs/poll": spread(large).median * 1e6}, share),
    ]
    goals = [Goal(f"processor time of a poll, {sizes[1]:,} mailboxes / {sizes[0]:,}", 1.2, share)]
    return Measure("A poll in a watch of any size", rows, goals, f"{sizes[0]:,} mailboxes")


def _unchanged(*, short: bool) -> Measure:
    rows: list[Row] = []
    goals: list[Goal] = []
    for name, is_fast in (("tempmailg", False), ("tempmailg[fast]", True)):
        for length in (1, 10):
            plain, polls = _polls_and_lists(length, is_fast=is_fast, short=short)
            share, size = ratio(polls, plain), f"{name}, {2 * length} KB each"
            rows.append(Row(f"list_messages, {size}", {"CPU µs/call": spread(plain).median * 1e6}))
            rows.append(Row(f"a poll of a watch, {size}", {"CPU µs/call": spread(polls).median * 1e6}, share))
            goals.append(Goal(f"processor time of a poll, as a share of list_messages, {size}", 0.6, share))
    notes = ["32 at a time; the clock of the watch runs fast, so that polls are always due"]
    return Measure("A poll of an unchanged mailbox of 20 messages", rows, goals, "list_messages", notes)


def _polls_and_lists(length: int, *, is_fast: bool, short: bool) -> tuple[list[float], list[float]]:
    """Return the processor's seconds of a plain list and of a poll, by rounds."""
    size = (
        {"mailboxes": 100, "rounds": 1, "calls": 200} if short else {"mailboxes": 1_000, "rounds": 15, "calls": 1_000}
    )
    with running_inboxes(Plan(held=20, length=length)) as (base_url, _):
        result = result_of(begin("processor", base_url, is_fast=is_fast, messages=20, **size))
    return result["plain"], result["polls"]


# ---------------------------------------------------------------------------------------------------------- a fleet


def _fleets(*, short: bool) -> list[Measure]:
    seconds = 3.0 if short else 30.0
    quota = 200 if short else 3_000
    processes = 2 if short else PROCESSES
    title = f"{processes} processes share one key with {quota:,} requests for {seconds:.0f} s"
    pacing, hungry = Plan(held=1, quota=quota, period=seconds), Plan(held=1, quota=quota)
    watched = _fleet("fleet", pacing, processes=processes, mailboxes=200, seconds=seconds - 1)
    waited = _fleet("crowd", hungry, processes=processes, mailboxes=100, seconds=60.0)
    rows = [_fleet_row("watches", watched), _fleet_row("waits", waited)]
    goals = [
        Goal(f"requests of {name}, as a share of the quota", 1.01, spread([(count.granted + count.refused) / quota]))
        for name, count in (("watches", watched), ("waits", waited))
    ]
    notes = [
        "the watches end a second before the reset, and spread what there is over the time before it",
        "the waits, 100 in each process, want more than there is, and end with QuotaExceededError when nothing is left",
    ]
    return [Measure(title, rows, goals, notes=notes)]


def _fleet(task: str, plan: Plan, *, processes: int, mailboxes: int, seconds: float) -> Count:
    with running_inboxes(plan) as (base_url, count):
        fleet = [begin(task, base_url, mailboxes=mailboxes, seconds=seconds, number=n) for n in range(processes)]
        for process in fleet:
            result_of(process)
    return count


def _fleet_row(name: str, count: Count) -> Row:
    return Row(name, {"granted": count.granted, "refused": count.refused})


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, show, and keep what was found where the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description="What waiting costs.")
    parser.add_argument("--short", action="store_true", help="only check that it works: the numbers mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file")
    options = parser.parse_args(argv)
    found = measures(short=options.short)
    for measure in found:
        show(measure)
    if options.json:
        options.json.write_text(json.dumps(as_json(found), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
