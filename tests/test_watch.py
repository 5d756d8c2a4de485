"""Watching many mailboxes: each message once, whatever happens."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.virtual import START, http_date, listing, message, others, transport_of, virtual_client

from tempmailg import (
    AsyncClient,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    Mailbox,
    MailboxGoneError,
    Message,
    PermissionDeniedError,
    QuotaExceededError,
    Watch,
)
from tempmailg._waiting import _inbox, _poller, _schedule, _watch
from tempmailg.sandbox import Duplicate, Edit, RateLimited, Reorder, Reset, Sandbox, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tempmailg.transport import Request, Response

BOX = "box@example.com"


@pytest.fixture
def service() -> Sandbox:
    """A sandbox that was not started: its clock leaps."""
    return Sandbox(seed=1, start=START, order="shuffled")


@pytest.fixture
async def user(service: Sandbox) -> AsyncIterator[AsyncClient]:
    """A client of that sandbox."""
    async with AsyncClient(transport=service.transport()) as client:
        yield client
        assert not others(), "every watch takes its tasks with it"


async def mailboxes(user: AsyncClient, count: int) -> list[Mailbox]:
    return [await user.create_mailbox() for _ in range(count)]


async def take(watch: Watch, count: int) -> list[Message]:
    """Take so many messages, which must come within a virtual minute each."""
    return [await anext(watch) for _ in range(count)]


def polls_of(service: Sandbox) -> int:
    return sum(entry.endpoint == "list_messages" for entry in service.journal)


async def is_quiet(watch: Watch, service: Sandbox, seconds: float = 60) -> bool:
    """Say whether a watch delivers nothing for some time."""
    task = asyncio.create_task(anext(watch))
    await service.clock.sleep(seconds)
    if task.done():
        return False
    task.cancel()
    await asyncio.wait({task})
    return True


# -------------------------------------------------------------------------------------------------------- exactly once


async def test_each_message_is_told_once(user: AsyncClient, service: Sandbox) -> None:
    """Old and new messages of all mailboxes come, each once, and within one list the oldest first."""
    boxes = await mailboxes(user, 5)
    for box in boxes:
        for second in (3, 1, 2):
            service.deliver(box, subject=f"{box.id} {second}", received_at=START + timedelta(seconds=second))
    subjects: list[str] = []
    async with user.watch(*boxes) as watch:
        subjects += [item.subject for item in await take(watch, 15)]
        for box in boxes:
            service.deliver(box, subject=f"{box.id} 4")
        subjects += [item.subject for item in await take(watch, 5)]
        assert await is_quiet(watch, service)
    for box in boxes:
        assert [subject for subject in subjects if subject.startswith(f"{box.id}")] == [
            f"{box.id} {n}" for n in (1, 2, 3, 4)
        ]
    assert len(subjects) == 20


async def test_changes_that_are_no_news_tell_nothing(user: AsyncClient, service: Sandbox) -> None:
    """A message that was opened, listed twice, in another order, or next to a deleted one is not delivered again."""
    (box,) = await mailboxes(user, 1)
    first, second = service.deliver(box, subject="1"), service.deliver(box, subject="2")
    async with user.watch(box) as watch:
        await take(watch, 2)
        await user.get_message(first)
        service.faults.next("list_messages", Duplicate(), Reorder(), Duplicate())
        assert await is_quiet(watch, service, 20)
        await user.delete_message(second)
        assert await is_quiet(watch, service, 20)


async def test_a_message_that_vanishes_for_a_moment_is_not_told_again() -> None:
    """A stale replica's list without a message does not make it new."""
    lists = [[message("a"), message("b")], [message("a")], [], [message("b"), message("a"), message("c")]]
    async with virtual_client(lambda n, request: listing(*lists[min(n, 4) - 1])) as client, client.watch(BOX) as watch:
        assert {item.id for item in await take(watch, 3)} == {"a", "b", "c"}
        assert set(watch.seen()[BOX]) == {"a", "b"}


async def test_what_is_remembered_of_vanished_messages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox whose messages are deleted as they come does not make the watch grow for ever."""
    monkeypatch.setattr(_watch, "MAX_ABSENT", 10)
    async with (
        virtual_client(lambda n, request: listing(message(f"m{n}"), message(f"k{n}"))) as client,
        client.watch(BOX) as watch,
    ):
        await take(watch, 101)
        assert len(watch.seen()[BOX]) <= 12


async def test_the_same_id_in_two_mailboxes_is_two_messages() -> None:
    """Ids are distinguished by mailbox."""
    async with (
        virtual_client(lambda n, request: listing(message("a"))) as client,
        client.watch("one@example.com", "two@example.com") as watch,
    ):
        await take(watch, 2)
        assert await anext_or_none(watch, client) is None


async def anext_or_none(watch: Watch, client: AsyncClient) -> Message | None:
    """Return what a watch delivers within ten virtual minutes."""
    task = asyncio.create_task(anext(watch))
    alarm = asyncio.create_task(transport_of(client).sleep(600))
    await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
    for each in (task, alarm):
        each.cancel()
    await asyncio.wait({task, alarm})
    return None if task.cancelled() else task.result()


async def test_a_cancelled_step_loses_nothing(user: AsyncClient, service: Sandbox) -> None:
    """Giving up on a step, at any moment, neither loses a message nor delivers one twice."""
    (box,) = await mailboxes(user, 1)
    subjects: list[str] = []
    async with user.watch(box) as watch:
        for number in range(40):
            task = asyncio.create_task(anext(watch))
            if number % 4 == 0:
                service.deliver(box, subject=f"{number}")
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(result, Message):
                subjects.append(result.subject)
        while len(subjects) < 10:
            subjects.append((await anext(watch)).subject)
        assert await is_quiet(watch, service)
    assert sorted(subjects, key=int) == [f"{number}" for number in range(0, 40, 4)]


async def test_every_step_may_run_in_a_task_of_its_own(user: AsyncClient, service: Sandbox) -> None:
    """Nothing binds a watch to one task: the blocking client enters, steps and leaves in different ones."""
    (box,) = await mailboxes(user, 1)
    watch = user.watch(box)
    await asyncio.create_task(watch.__aenter__())
    for number in range(3):
        service.deliver(box, subject=f"{number}")
        item = await asyncio.create_task(_next_of(watch))
        assert item.subject == f"{number}"
    await asyncio.create_task(watch.__aexit__(None, None, None))


async def _next_of(watch: Watch) -> Message:
    return await anext(watch)


# ------------------------------------------------------------------------------------------------------ seen and state


async def test_a_message_is_seen_when_the_next_is_asked_for(user: AsyncClient, service: Sandbox) -> None:
    """What the consumer was working on when it stopped is not in the state."""
    (box,) = await mailboxes(user, 1)
    ids = [
        service.deliver(box, subject=f"{number}", received_at=START + timedelta(seconds=number)) for number in range(3)
    ]
    seen: list[list[str]] = []
    async with user.watch(box) as watch:
        assert watch.seen() == {box.email: []}
        async for item in watch:
            seen.append(watch.seen()[box.email])
            if item.id == ids[2]:
                break
    assert [sorted(each) for each in seen] == [[], sorted(ids[:1]), sorted(ids[:2])]
    assert sorted(watch.seen()[box.email]) == sorted(ids[:2]), "also after the watch was left"


async def test_a_watch_goes_on_from_a_state(user: AsyncClient, service: Sandbox) -> None:
    """After a restart the state, which went through JSON, keeps what was delivered from being delivered again."""
    one, two = await mailboxes(user, 2)
    for number in range(3):
        service.deliver(one, subject=f"one {number}", received_at=START + timedelta(seconds=number))
    service.deliver(two, subject="two")
    async with user.watch(one) as watch:
        await take(watch, 3)
        state = json.loads(json.dumps(watch.seen()))
    service.deliver(one, subject="one 3", received_at=START + timedelta(seconds=3))
    async with user.watch(one, two, state=state) as again:
        assert sorted(item.subject for item in await take(again, 3)) == ["one 2", "one 3", "two"]
        assert await is_quiet(again, service)


async def test_a_state_waits_for_mailboxes_added_later(user: AsyncClient, service: Sandbox) -> None:
    """The state counts for mailboxes that are added after the watch was entered, too."""
    one, two = await mailboxes(user, 2)
    seen = service.deliver(two, subject="two")
    async with user.watch(one, state={two.email: [seen]}) as watch:
        watch.add(two)
        assert await is_quiet(watch, service)
        assert watch.seen() == {one.email: [], two.email: [seen]}


@pytest.mark.parametrize("state", [[], 7, {"a@b.example": "id"}, {"a@b.example": [1]}, {1: ["id"]}], ids=str)
async def test_a_state_of_another_shape_is_refused(user: AsyncClient, state: Any) -> None:
    """A wrong state is refused at once instead of delivering old messages again."""
    with pytest.raises(ConfigurationError, match=r"watch\.seen\(\)"):
        user.watch(state=state)


# ------------------------------------------------------------------------------------------------ mailboxes come and go


async def test_mailboxes_are_added_and_discarded(user: AsyncClient, service: Sandbox) -> None:
    """`add` and `discard` work at any time; what is discarded is neither delivered nor polled."""
    one, two, three = await mailboxes(user, 3)
    watch = user.watch()
    watch.add(one, two)
    watch.discard(two, "never@example.com")
    async with watch:
        assert repr(watch) == "<Watch of 1 mailboxes>"
        service.deliver(one, subject="one")
        assert (await anext(watch)).subject == "one"
        pending = asyncio.create_task(anext(watch))
        await service.clock.sleep(100)
        service.deliver(three, subject="three")
        watch.add(three, three.email)
        assert (await pending).subject == "three"
        service.deliver(one, subject="dropped")
        await service.clock.sleep(60)
        watch.discard(one)
        before = polls_of(service)
        watch.discard(three)
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
        await service.clock.sleep(60)
        assert polls_of(service) == before
        assert watch.seen() == {}
        watch.add(three)
        assert (await anext(watch)).subject == "three", "a mailbox that is added again begins anew"


async def test_a_gone_mailbox_does_not_disturb_the_others(user: AsyncClient, service: Sandbox) -> None:
    """It is reported after its messages, by the callback and in the health; the rest goes on."""
    one, two = await mailboxes(user, 2)
    order: list[str] = []
    service.deliver(one, subject="last words")
    async with user.watch(one, two.email, on_gone=lambda error: order.append(error.email)) as watch:
        pending = asyncio.create_task(anext(watch))
        assert (await pending).subject == "last words"
        order.append("last words")
        await user.delete_mailbox(one)
        later = asyncio.create_task(anext(watch))
        await service.clock.sleep(90)
        service.deliver(two, subject="still here")
        assert (await later).subject == "still here"
        assert order == ["last words", one.email]
        assert list(watch.health.gone) == [one.email]
        assert isinstance(watch.health.gone[one.email], MailboxGoneError)
        assert list(watch.seen()) == [two.email]


async def test_a_mailbox_expires_after_telling_what_arrived(user: AsyncClient, service: Sandbox) -> None:
    """The last poll is made just before the expiry; with the last mailbox the iteration ends."""
    boxes = await mailboxes(user, 3)
    gone: list[MailboxGoneError] = []

    async def on_gone(error: MailboxGoneError) -> None:
        await asyncio.sleep(0)
        gone.append(error)

    async def deliver() -> None:
        await service.clock.sleep(598.5)
        for box in boxes:
            service.deliver(box, subject=box.email)

    post = asyncio.create_task(deliver())
    subjects: list[str] = []
    async with user.watch(*boxes, on_gone=on_gone) as watch:
        async for item in watch:
            assert item.subject not in {error.email for error in gone}
            subjects.append(item.subject)
    await post
    assert sorted(subjects) == sorted(error.email for error in gone) == sorted(box.email for box in boxes)
    assert "expired at" in str(gone[0])
    polls = [entry.status for entry in service.journal if entry.endpoint == "list_messages"]
    assert polls[-3:] == [404] * 3
    assert polls.count(404) == 3, "each ends on the service's word, and one is enough when it was expected"


async def test_a_look_in_flight_at_the_expiry_still_tells() -> None:
    """An answer that was under way when the mailbox expired is delivered before the mailbox is reported."""
    box = Mailbox(
        id=1,
        email=BOX,
        domain="example.com",
        expires_at=START + timedelta(seconds=20),
        expires_in_seconds=20,
        created_at=START,
    )

    def answer(number: int, request: Request) -> Response:
        now = transport_of(client).now()
        return listing(message("late"), status=200 if now < 23 else 404) if now > 20 else listing()

    async with virtual_client(answer, latency=2.5) as client, client.watch(box) as watch:
        assert [item.id async for item in watch] == ["late"]
        assert "expired at" in str(watch.health.gone[BOX])


async def test_a_watch_that_is_to_go_on_for_ever_does(user: AsyncClient, service: Sandbox) -> None:
    """With `forever` a watch outlives its last mailbox and waits for the next."""
    (one,) = await mailboxes(user, 1)
    async with user.watch(one, forever=True) as watch:
        pending = asyncio.create_task(anext(watch))
        await service.clock.sleep(700)
        assert watch.health.mailboxes == 0
        two = await user.create_mailbox()
        service.deliver(two, subject="two")
        watch.add(two)
        assert (await pending).subject == "two"


async def test_the_reports_of_gone_mailboxes_are_bounded(
    monkeypatch: pytest.MonkeyPatch, user: AsyncClient, service: Sandbox
) -> None:
    """The health of a long watch shows the latest gone mailboxes, not all of them."""
    monkeypatch.setattr(_watch, "MAX_REPORTED", 3)
    boxes = [f"nobody{number}@example.com" for number in range(10)]
    async with user.watch(*boxes) as watch:
        assert [item async for item in watch] == []
        assert len(watch.health.gone) == 3


# -------------------------------------------------------------------------------------------------------------- faults


async def test_minutes_of_faults_are_survived_and_visible(user: AsyncClient, service: Sandbox) -> None:
    """A service that is down for five minutes costs few polls, shows in the health, and then nothing was lost."""
    boxes = await mailboxes(user, 50)
    async with user.watch(*boxes) as watch:
        service.faults.randomly(1.0, [Status(502), Status(503), Reset(), RateLimited(None)], seed=1)
        pending = asyncio.create_task(anext(watch))
        await service.clock.sleep(300)
        health = watch.health
        assert not health.is_good
        assert health.mailboxes == 50
        assert len(health.failing) >= 8
        assert health.last_error is not None
        assert health.quota_spent == 0
        assert health.polls == polls_of(service) < 100
        for box in boxes:
            service.deliver(box, subject=box.email)
        service.faults.clear()
        subjects = [(await pending).subject, *[item.subject for item in await take(watch, 49)]]
        assert sorted(subjects) == sorted(box.email for box in boxes)
        await service.clock.sleep(60)
        assert watch.health.is_good
        assert watch.health.last_error is not None


@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (403, PermissionDeniedError)])
async def test_a_rejected_key_ends_a_watch(
    user: AsyncClient, service: Sandbox, status: int, error: type[Exception]
) -> None:
    """After what had come was delivered, the watch ends with the error, and no poll follows."""
    boxes = await mailboxes(user, 20)
    service.deliver(boxes[0], subject="before")
    async with user.watch(*boxes) as watch:
        await service.clock.sleep(2)
        service.faults.next("list_messages", Status(status), times=1_000)
        assert (await anext(watch)).subject == "before"
        with pytest.raises(error):
            await anext(watch)
        before = polls_of(service)
        with pytest.raises(error):
            await anext(watch)
        watch.add("another@example.com")
        await service.clock.sleep(100)
        assert polls_of(service) == before


async def test_unreadable_messages_are_reported_once(
    user: AsyncClient, service: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A bad message among good ones is reported when it comes, not with each poll, wherever in the list it stands."""
    (box,) = await mailboxes(user, 1)
    service.deliver(box, subject="bad 1")
    service.faults.next("list_messages", Edit(_spoil), times=1_000)
    with caplog.at_level(logging.WARNING, "tempmailg"):
        async with user.watch(box) as watch:
            for number in range(4):
                service.deliver(box, subject=f"good {number}")
                assert (await anext(watch)).subject == f"good {number}"
            assert len(watch.health.unreadable) == 1
            service.deliver(box, subject="bad 2")
            assert await is_quiet(watch, service, 30)
            assert len(watch.health.unreadable) == 2
            assert "receivedAt" in str(watch.health.unreadable[0])
    assert len(caplog.records) == 2
    assert box.email not in caplog.text


def _spoil(answer: dict[str, list[dict[str, Any]]]) -> object:
    """Make the messages unreadable whose subject says "bad"."""
    for item in answer["messages"]:
        if "bad" in item["subject"]:
            item["receivedAt"] = "yesterday"
    return answer


async def test_a_message_that_becomes_readable_is_told() -> None:
    """An unreadable message was not delivered, so it is new when it can be read."""
    lists = [[message("a", receivedAt="?")], [message("a", receivedAt="?"), message("b")], [message("a"), message("b")]]
    async with virtual_client(lambda n, request: listing(*lists[min(n, 3) - 1])) as client, client.watch(BOX) as watch:
        assert [item.id for item in await take(watch, 2)] == ["b", "a"]
        assert len(watch.health.unreadable) == 1


async def test_an_empty_budget_ends_only_its_own_watch(user: AsyncClient, service: Sandbox) -> None:
    """A watch made in a bounded block ends with the block's budget."""
    (box,) = await mailboxes(user, 1)
    with user.budget(4):
        bounded = user.watch(box)
    async with bounded, user.watch(box) as free:
        with pytest.raises(QuotaExceededError, match="budget of 4"):
            await anext(bounded)
        service.deliver(box, subject="Here")
        assert (await anext(free)).subject == "Here"


async def test_closing_the_client_ends_a_watch(service: Sandbox) -> None:
    """A consumer that waits gets an error that the client was closed."""
    client = AsyncClient(transport=service.transport())
    (box,) = await mailboxes(client, 1)
    watch = client.watch(box)
    async with watch:
        pending = asyncio.create_task(anext(watch))
        await service.clock.sleep(10)
        await client.close()
        with pytest.raises(ClientClosedError):
            await pending
    with pytest.raises(ClientClosedError):
        await client.watch(box).__aenter__()
    assert not others()


# ------------------------------------------------------------------------------------------------------- pace and load


async def test_a_watch_keeps_the_pace_of_the_quota() -> None:
    """In the long run it spends what is left, evenly until the reset, and leaves the reserve."""
    limit, reserve, period = 2_000, 200, 86_400.0
    used = 0

    def answer(number: int, request: Request) -> Response:
        nonlocal used
        used += 1
        return listing(
            Date=http_date(transport_of(client).utcnow()),
            X_RateLimit_Limit=f"{limit}",
            X_RateLimit_Remaining=f"{limit - used}",
            X_RateLimit_Reset=(START + timedelta(seconds=period)).isoformat(),
        )

    async with (
        virtual_client(answer, quota_reserve=reserve) as client,
        client.watch(*(f"box{number}@example.com" for number in range(20))) as watch,
    ):
        pending = asyncio.create_task(anext(watch))
        for hour in range(1, 24):
            await transport_of(client).clock.sleep(3_600)
            assert used <= 300 + 1_800 * hour / 24
            assert used >= 0.8 * 1_800 * hour / 24
        assert not pending.done()
        pending.cancel()
        await asyncio.wait({pending})


async def test_the_reserve_ends_a_watch_before_the_request() -> None:
    """If others use the quota up, the watch ends with the time of the reset, and sends nothing more."""
    service = Sandbox(quota=100, start=START)
    async with AsyncClient(transport=service.transport(), quota_reserve=20) as client:
        (box,) = await mailboxes(client, 1)
        async with client.watch(box) as watch:
            pending = asyncio.create_task(anext(watch))
            await service.clock.sleep(5)
            while client.quota is None or client.quota.remaining > 20:
                await client.list_messages(box)
            count = len(service.journal)
            with pytest.raises(QuotaExceededError) as caught:
                await pending
            assert caught.value.resets_at == client.quota.resets_at
            assert len(service.journal) == count


async def test_waits_come_first(user: AsyncClient, service: Sandbox) -> None:
    """A wait beside a large watch is served at once, and does not slow down with it."""
    boxes = await mailboxes(user, 300)
    mailbox = await user.create_mailbox()
    async with user.watch(*boxes) as watch:
        pending = asyncio.create_task(anext(watch))
        await service.clock.sleep(30)
        begun = service.clock.monotonic()
        service.deliver(mailbox, subject="Here")
        assert (await user.wait_for_message(mailbox)).subject == "Here"
        assert service.clock.monotonic() - begun < 0.1
        pending.cancel()
        await asyncio.wait({pending})


async def test_looks_are_bounded_in_number() -> None:
    """However many mailboxes are watched, only so many polls are under way at a time."""
    most = now = 0

    def answer(number: int, request: Request) -> Response:
        nonlocal now
        now -= 1
        return listing()

    client = virtual_client(answer, latency=0.5)
    transport = transport_of(client)
    request = transport.request

    async def counted(*args: Any, **options: Any) -> Response:
        nonlocal most, now
        now += 1
        most = max(most, now)
        return await request(*args, **options)

    transport.request = counted  # type: ignore[method-assign] # counts on the way
    async with client, client.watch(*(f"box{number}@example.com" for number in range(100))) as watch:
        pending = asyncio.create_task(anext(watch))
        await transport.clock.sleep(60)
        assert watch.health.polls > 100
        pending.cancel()
        await asyncio.wait({pending})
    assert _schedule.FIRST_WINDOW < most <= _schedule.LARGEST_WINDOW


async def test_a_slow_consumer_stops_the_looks(
    monkeypatch: pytest.MonkeyPatch, user: AsyncClient, service: Sandbox
) -> None:
    """What waits for the consumer is bounded: the service keeps the rest until the consumer has caught up."""
    monkeypatch.setattr(_watch, "MAX_BACKLOG", 10_000)
    boxes = await mailboxes(user, 100)
    for box in boxes:
        service.deliver(box, subject=box.email, text="x" * 1_000)
    async with user.watch(*boxes) as watch:
        await service.clock.sleep(100)
        backlog = watch.health.backlog
        assert 5 <= backlog < 5 + _schedule.LARGEST_WINDOW
        before = polls_of(service)
        await service.clock.sleep(100)
        assert polls_of(service) == before
        subjects = [item.subject for item in await take(watch, 100)]
    assert sorted(subjects) == sorted(box.email for box in boxes)


async def test_a_paused_mailbox_can_be_discarded_or_go(
    monkeypatch: pytest.MonkeyPatch, user: AsyncClient, service: Sandbox
) -> None:
    """A watch that holds back forgets what it shall forget, and learns of expiries."""
    monkeypatch.setattr(_watch, "MAX_BACKLOG", 100)
    one, two = await mailboxes(user, 2)
    service.deliver(one, subject="one")
    service.deliver(two, subject="two")
    async with user.watch(one, two) as watch:
        await service.clock.sleep(50)
        watch.discard(one)
        assert (await anext(watch)).subject == "two"
        await service.clock.sleep(700)
        assert [item async for item in watch] == []


async def test_a_watched_mailbox_is_small() -> None:
    """What a watch keeps of a mailbox with twenty messages is below 4 KiB."""
    count = 500
    texts = [message(f"{number:046d}") for number in range(20)]
    async with (
        virtual_client(lambda n, request: listing(*texts)) as client,
        client.watch(*(f"box{number}@example.com" for number in range(count))) as watch,
    ):
        for _ in range(count * 20):
            await anext(watch)
        gc.collect()
        poller = _poller.Poller.of(client._caller.core)
        kept = _size_of(poller._inboxes, set()) + _size_of(watch._subscription._known, set())
    assert kept / count < 4_096


def _size_of(thing: object, known: set[int]) -> int:
    """Return the bytes of a thing and of the things in it, as far as they are its own."""
    if id(thing) in known or thing is None:
        return 0
    known.add(id(thing))
    inside: list[object] = []
    if isinstance(thing, dict):
        inside = [part for item in cast("dict[object, object]", thing).items() for part in item]
    elif isinstance(thing, tuple):
        inside = list(cast("tuple[object, ...]", thing))
    elif isinstance(thing, _inbox.Inbox):
        inside = [getattr(thing, name) for name in thing.__slots__]
    elif not isinstance(thing, (str, bytes, int, float)):
        return 0  # not its own
    return sys.getsizeof(cast("object", thing)) + sum(_size_of(item, known) for item in inside)


# ------------------------------------------------------------------------------------------------------------ wrong use


async def test_wrong_use_is_told(user: AsyncClient, service: Sandbox) -> None:
    """A watch is entered once, before it is asked, and has one consumer; behind the block it has ended."""
    (box,) = await mailboxes(user, 1)
    watch = user.watch(box)
    with pytest.raises(ConfigurationError, match="enter the watch first"):
        await anext(watch)
    async with watch:
        with pytest.raises(ConfigurationError, match="entered once"):
            await watch.__aenter__()
        pending = asyncio.create_task(anext(watch))
        await asyncio.sleep(0)
        with pytest.raises(ConfigurationError, match="one consumer"):
            await anext(watch)
    with pytest.raises(StopAsyncIteration):
        await pending
    with pytest.raises(StopAsyncIteration):
        await anext(watch)
    with pytest.raises(ConfigurationError, match="entered once"):
        await watch.__aenter__()
    with pytest.raises(ConfigurationError, match="like 'name@example"):
        user.watch("nobody")


async def test_a_health_without_faults_is_good(user: AsyncClient, service: Sandbox) -> None:
    """The health is a value that shows counts, and no error where there was none."""
    (box,) = await mailboxes(user, 1)
    service.deliver(box, subject="Here")
    async with user.watch(box) as watch:
        await take(watch, 1)
        health = watch.health
    assert health.is_good
    assert (health.mailboxes, health.backlog, health.polls, health.quota_spent) == (1, 0, 1, 1)
    assert (dict(health.failing), health.last_error, dict(health.gone), tuple(health.unreadable)) == ({}, None, {}, ())
