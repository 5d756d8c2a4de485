"""What a caller may choose, and what is shown: pace, preference, end; health, forecast, cost."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.virtual import listing, message, virtual_client

from tempmailg import AsyncClient, ConfigurationError, MailboxGoneError, Message, QuotaExceededError, WaitTimeoutError
from tempmailg._fields import FIELDS
from tempmailg.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tempmailg import Mailbox, Message
    from tempmailg.transport import Request, Response

MAY = datetime(2026, 5, 2, tzinfo=UTC)
BOX = "box@example.com"


@pytest.fixture
def service() -> Sandbox:
    """A sandbox whose clock leaps."""
    return Sandbox(seed=1, start=MAY)


@pytest.fixture
async def user(service: Sandbox) -> AsyncIterator[AsyncClient]:
    """A client of that sandbox."""
    async with AsyncClient(transport=service.transport()) as client:
        yield client


@pytest.fixture
async def mailbox(user: AsyncClient) -> Mailbox:
    """A mailbox in it."""
    return await user.create_mailbox()


def times_of(service: Sandbox) -> list[float]:
    """Return when mailboxes were polled, in seconds."""
    return [(entry.at - MAY).total_seconds() for entry in service.journal if entry.endpoint == "list_messages"]


# ---------------------------------------------------------------------------------------------------------------- ends


async def test_a_wait_without_timeout_ends_with_its_mailbox(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox
) -> None:
    """`timeout=None` waits until the message or the end of the mailbox, whichever comes first."""
    waiting = asyncio.create_task(user.wait_for_message(mailbox, timeout=None))
    await service.clock.sleep(590)
    key = service.deliver(mailbox)
    assert (await waiting).id == key
    with pytest.raises(MailboxGoneError):
        await user.wait_for_message(mailbox, timeout=None, subject="never")


async def test_a_wait_of_no_time_polls_once(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """`timeout=0` says whether the message is there, for one request."""
    with pytest.raises(WaitTimeoutError) as caught:
        await user.wait_for_message(mailbox, timeout=0)
    assert caught.value.polls == 1
    key = service.deliver(mailbox)
    assert (await user.wait_for_message(mailbox, timeout=0)).id == key
    with pytest.raises(AssertionError):
        await user.assert_no_message(mailbox, within=0)
    assert times_of(service) == [0.0, 0.0, 0.0]


# ---------------------------------------------------------------------------------------------------------------- pace


async def test_a_new_mailbox_is_not_polled_at_once(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """Neither a mailbox that this client has just made nor one behind a baseline is polled in the first second."""
    with pytest.raises(WaitTimeoutError):
        await user.wait_for_message(mailbox, timeout=20)
    assert times_of(service)[0] > 1
    service.clear_journal()
    begun = service.clock.monotonic()
    async with user.expect_message(mailbox):
        service.deliver(mailbox)
    baseline, first = (time - begun for time in times_of(service)[:2])
    assert baseline == 0
    assert first > 1


async def test_an_old_mailbox_is_polled_at_once(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """Mail may be there that came before the wait, so the first poll is at once."""
    await service.clock.sleep(30)
    service.deliver(mailbox)
    await user.wait_for_message(mailbox)
    assert times_of(service) == [30.0]


async def test_a_fixed_interval_is_kept(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """With `poll_interval` polls come every so many seconds, and once more at the end."""
    await service.clock.sleep(30)
    with pytest.raises(WaitTimeoutError):
        await user.wait_for_message(mailbox, timeout=20, poll_interval=4)
    assert [round(time - 30, 3) for time in times_of(service)] == [0, 4, 8, 12, 16, 19]
    service.clear_journal()
    async with user.watch(mailbox, poll_interval=100) as watch:
        pending = asyncio.create_task(anext(watch, None))
        await service.clock.sleep(540)
        assert times_of(service) == pytest.approx([50, 150, 250, 350, 450, 550])
        await service.clock.sleep(100)
        assert await pending is None
    assert any(598 <= time < 600 for time in times_of(service)), "the last poll is made all the same"


@pytest.mark.parametrize("interval", [0, -1, float("nan"), "1"])
async def test_an_interval_is_judged_at_the_call(user: AsyncClient, mailbox: Mailbox, interval: Any) -> None:
    """A wrong interval is refused before anything is sent, wherever it is given."""
    with pytest.raises(ConfigurationError, match="poll_interval must be"):
        await user.wait_for_message(mailbox, poll_interval=interval)
    with pytest.raises(ConfigurationError, match="poll_interval must be"):
        user.watch(mailbox, poll_interval=interval)
    with pytest.raises(ConfigurationError, match="poll_interval must be"):
        user.expect_message(mailbox, poll_interval=interval)


async def test_the_preference_shifts_the_pace(service: Sandbox) -> None:
    """Fast clients poll about twice as often, thrifty ones less than half as often."""
    polls: list[int] = []
    for preference in ("fast", "balanced", "thrifty"):
        async with AsyncClient(transport=service.transport(), preference=preference) as client:
            with pytest.raises(WaitTimeoutError) as caught:
                await client.wait_for_message(await client.create_mailbox(), timeout=60)
            polls.append(caught.value.polls)
    assert polls[0] > 1.7 * polls[1]
    assert polls[1] > 2 * polls[2]
    with pytest.raises(ConfigurationError, match="preference must be one of fast, balanced, thrifty"):
        AsyncClient(transport=service.transport(), preference="quick")  # type: ignore[arg-type] # wrong on purpose


async def test_a_thousand_waits_are_served_together() -> None:
    """Where answers take 0.2 s, polls under way follow the load instead of standing in a queue."""
    arrived = 5.0

    def answer(number: int, request: Request) -> Response:
        return listing(message("a")) if client._caller.core.transport.now() > arrived else listing()

    client = virtual_client(answer, latency=0.2)
    ends: list[float] = []

    async def wait(number: int) -> None:
        await client.wait_for_message(f"box{number}@example.com")
        ends.append(client._caller.core.transport.now() - arrived)

    async with client:
        await asyncio.gather(*(wait(number) for number in range(1_000)))
    assert sum(ends) / len(ends) < 2.0


# --------------------------------------------------------------------------------------------------------------- shown


async def test_scarcity_is_shown_and_warned_of_once(service: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """A watch whose polls are ten times rarer than they should be is not well, says so, and warns once."""
    service = Sandbox(seed=1, start=MAY, lifetime=1e9)
    async with AsyncClient(transport=service.transport()) as client:
        boxes = [await client.create_mailbox() for _ in range(300)]
        with caplog.at_level(logging.WARNING, "tempmailg"):
            async with client.watch(*boxes) as watch:
                await service.clock.sleep(86_400)
                health = watch.health
        assert health.wanted_rate == pytest.approx(5.0)
        assert health.allowed_rate < 0.2
        assert not health.is_good
        assert health.unpaid == ()
        assert 3_600 < health.oldest_poll < 8 * 3_600
    assert len(caplog.records) == 1
    assert re.search(r"need 5 polls a second", caplog.text)


async def test_mailboxes_that_nobody_can_pay_for_are_named(user: AsyncClient, service: Sandbox) -> None:
    """With fewer requests than mailboxes, those that expire last are said to expire unpolled."""
    boxes = [await user.create_mailbox() for _ in range(10)]
    async with user.watch(*boxes) as watch:
        pending = asyncio.create_task(anext(watch, None))
        await service.clock.sleep(100)
        assert watch.health.unpaid == ()
        service.set_account(remaining=5)
        await user.list_domains()
        await service.clock.sleep(1)
        assert len(watch.health.unpaid) == 6
        assert not watch.health.is_good
        pending.cancel()
        await asyncio.wait({pending})


async def test_last_polls_are_not_spent_on_waits(user: AsyncClient, service: Sandbox) -> None:
    """What is left is kept for watched mailboxes: a wait is refused, and the mail of the last minute comes."""
    boxes = [await user.create_mailbox() for _ in range(5)]
    used = await user.create_mailbox()
    async with user.watch(*boxes) as watch:
        await service.clock.sleep(300)
        service.set_account(remaining=6)
        await user.list_domains()
        with pytest.raises(QuotaExceededError, match="kept for mailboxes that expire"):
            await user.wait_for_message(used, timeout=60)
        sent = [service.deliver(box) for box in boxes]
        await service.clock.sleep(400)
        assert sorted([item.id async for item in watch]) == sorted(sent)


async def test_a_forecast_foresees(user: AsyncClient, service: Sandbox) -> None:
    """It says what a wait costs, how late its message is, and how many waits fit; a scarce quota stretches it."""
    await user.list_domains()
    rich = user.forecast(timeout=60)
    assert 8 < rich.requests < 12
    assert 0.5 < rich.delay < 1.0
    assert rich.stretch == 1.0
    assert rich.waits == pytest.approx(50_000 / rich.requests, rel=0.05)
    mailbox = await user.create_mailbox()
    for _ in range(50):
        async with user.expect_message(mailbox):
            service.deliver(mailbox)
    assert user.forecast().requests < rich.requests / 2, "mail that comes at once is waited for with fewer polls"
    with pytest.raises(ConfigurationError, match="timeout must be"):
        user.forecast(timeout=-1)


async def test_a_forecast_without_a_quota_knows_no_number(user: AsyncClient) -> None:
    """Before the first answer nobody knows how much is left."""
    found = user.forecast()
    assert found.waits is None
    assert found.seconds is None
    assert found.requests > 1


# --------------------------------------------------------------------------------------------------------------- clear


async def test_a_mailbox_is_cleared(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """Its messages are deleted, and what that cost is said; an empty one costs one request."""
    for _ in range(3):
        service.deliver(mailbox)
    before = user.quota
    found = await user.clear(mailbox)
    assert before is not None
    assert user.quota is not None
    assert (found.mailbox, found.deleted, found.requests) == (mailbox, 3, 4)
    assert before.remaining - user.quota.remaining == found.requests
    assert (await user.clear(mailbox)).requests == 1
    assert await user.list_messages(mailbox) == []


async def test_another_mailbox_may_be_cheaper(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """Where the address may change, ten messages cost no more than two requests and the list of them."""
    for _ in range(10):
        service.deliver(mailbox)
    found = await user.clear(mailbox, keep_address=False)
    assert found.requests == 3
    assert found.mailbox != mailbox
    assert await user.list_messages(found.mailbox) == []
    service.deliver(found.mailbox)
    again = await user.clear(found.mailbox, keep_address=False)
    assert (again.mailbox, again.requests) == (found.mailbox, 2)


# -------------------------------------------------------------------------------------------------------------- judging


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ("Cafe\u0301 Central", "Café"),
        ("Your\xa0code", "your code"),
        ("\uff23\uff2f\uff24\uff25 12", "code"),
        ("STRASSE", "straße"),
        ("Cafe\u0301", re.compile("Café")),
        ("Your  order\tis\u2003ready", "order is ready"),
        ("Your order", "Your \t order"),
        ("Con\u00adfirm your e\u200bmail", "confirm your email"),
        ("Confirm", "\ufeffConfirm"),
        ("Con\u00adfirm  it", re.compile("Confirm it")),
        ("\u0130stanbul", "istanbul"),
        ("istanbul", "\u0130STANBUL"),
    ],
)
async def test_texts_are_compared_as_they_are_read(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, subject: str, wanted: Any
) -> None:
    """Two spellings of one text are equal: decomposed and wide letters, blanks, invisible characters, case."""
    service.deliver(mailbox, subject=subject)
    assert (await user.wait_for_message(mailbox, subject=wanted, timeout=3)).subject == subject


async def test_letters_that_differ_stay_different(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """Comparing as one reads goes no further: accents and blanks between words count."""
    service.deliver(mailbox, subject="Cafe ouvert")
    for wanted in ("Café", "Cafeouvert"):
        with pytest.raises(WaitTimeoutError):
            await user.wait_for_message(mailbox, subject=wanted, timeout=1)


@pytest.mark.parametrize(
    ("method", "options", "text"),
    [
        ("wait_for_message", {"ignore": 5}, "ignore must be a list"),
        ("wait_for_message", {"ignore": [5]}, "ignore must hold messages or their ids"),
        ("wait_for_code", {"ignore": [None]}, "ignore must hold messages or their ids"),
        ("wait_for_message", {"subject": ""}, "subject must be text to find.*leave it out"),
        ("wait_for_message", {"sender": " "}, "sender must be text to find"),
        ("wait_for_message", {"body": "\u200b"}, "body must be text to find"),
        ("wait_for_link", {"contains": ""}, "contains must be text to find"),
        ("wait_for_link", {"text": "\n"}, "text must be text to find"),
        ("wait_for_link", {"contains": 5}, "contains must be text"),
    ],
)
async def test_criteria_that_say_nothing_are_refused(
    user: AsyncClient, service: Sandbox, method: str, options: dict[str, Any], text: str
) -> None:
    """What would match every message, or cannot be compared, is refused before a request is sent."""
    with pytest.raises(ConfigurationError, match=text):
        await getattr(user, method)(BOX, **options)
    assert not service.journal


@pytest.mark.parametrize("state", [[1], [], 5, {"a@b.example": 5}, {"a@b.example": [5]}], ids=repr)
async def test_a_state_that_is_none_is_refused(user: AsyncClient, state: Any) -> None:
    """The call says at once what a state must be."""
    with pytest.raises(ConfigurationError, match=r"what watch\.seen\(\) returned"):
        user.watch(BOX, state=state)


FILE = {
    "name": "a.pdf",
    "extension": "pdf",
    "size": 91,
    "url": "https://v1.tempmailg.com/api/messages/a/attachments/a.pdf",
}

CHANGES: dict[str, Any] = {
    "subject": "Another",
    "from": "Another",
    "from_email": "another@example.org",
    "to": "another@example.com",
    "receivedAt": "2026-06-28 09:30:01",
    "html": True,
    "content": "your code is 482913",
    "attachments": [FILE],
}


def test_each_field_of_a_message_is_among_the_changes() -> None:
    """A new field is tried here: either a message is judged again when it changes, or it says why not."""
    assert CHANGES.keys() | {"id", "is_seen"} == {field.wire for field in FIELDS[Message].values()}


@pytest.mark.parametrize(("name", "value"), [*CHANGES.items(), ("attachments", [{**FILE, "size": 92}])])
async def test_a_message_whose_content_changes_is_judged_again(name: str, value: Any) -> None:
    """A message that was rejected is judged again when anything of it changes, be it one of its attachments."""
    before: dict[str, Any] = {"attachments": [FILE]} if value != [FILE] else {}

    def answer(number: int, request: Request) -> Response:
        return listing(message("a", **before) if number < 3 else message("a", **{**before, name: value}))

    asked: list[Message] = []

    def accept_the_second(item: Message) -> bool:
        asked.append(item)
        return len(asked) == 2

    async with virtual_client(answer) as client:
        found = await client.wait_for_message(BOX, match=accept_the_second)
    assert [found] == asked[1:] != asked[:1]


async def test_a_message_that_was_only_opened_is_not_judged_again() -> None:
    """The predicate is asked once for each content, not with each list: a signed address of a file changes, too."""
    asked: list[str] = []

    def answer(number: int, request: Request) -> Response:
        file = {**FILE, "url": f"https://files.example/a.pdf?signature={number}"}
        return listing(message("a", is_seen=number % 2 == 0, attachments=[file]))

    def refuse(item: Message) -> bool:
        asked.append(item.id)
        return False

    async with virtual_client(answer) as client:
        with pytest.raises(WaitTimeoutError):
            await client.wait_for_message(BOX, match=refuse, timeout=20)
    assert asked == ["a"]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"pattern": "["}, "pattern must be a regular expression"),
        ({"pattern": re.compile(b"x")}, "pattern must be text"),
        ({"length": 0}, "length must be a whole number of at least 1"),
        ({"length": -3}, "length must be"),
    ],
    ids=str,
)
async def test_a_code_that_cannot_be_is_refused_at_the_call(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, wrong: dict[str, Any], text: str
) -> None:
    """What no message can fulfil is an error now, and not when mail comes."""
    with pytest.raises(ConfigurationError, match=text):
        await user.wait_for_code(mailbox, **wrong)
    with pytest.raises(ConfigurationError, match="contains must be text"):
        await user.wait_for_link(mailbox, contains=7)  # type: ignore[arg-type] # wrong on purpose
    assert times_of(service) == []


async def test_an_address_has_one_spelling(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """A mailbox that is given in two spellings is one mailbox."""
    service.deliver(mailbox)
    async with user.watch(mailbox.email, mailbox.email.upper(), mailbox) as watch:
        assert watch.health.mailboxes == 1
        await anext(watch)
        watch.discard(mailbox.email.title())
        assert watch.health.mailboxes == 0
