"""Waiting for a message: the right one, soon, for little, and with an explanation if it does not come."""

from __future__ import annotations

import asyncio
import pickle
import re
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from support.virtual import START, http_date, listing, message, others, transport_of, virtual_client

from tempmailg import (
    APIConnectionError,
    APITimeoutError,
    AsyncClient,
    AuthenticationError,
    ClientClosedError,
    ConfigurationError,
    Mailbox,
    MailboxGoneError,
    Message,
    QuotaExceededError,
    RateLimitError,
    RequestRejectedError,
    ServerError,
    TLSError,
    WaitTimeoutError,
)
from tempmailg.sandbox import (
    BadJson,
    Delay,
    Duplicate,
    Edit,
    HtmlPage,
    RateLimited,
    Reply,
    Reset,
    Sandbox,
    Stall,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tempmailg.sandbox._faults import Fault
    from tempmailg.transport import Request, Response

BOX = "box@example.com"


@pytest.fixture
def service() -> Sandbox:
    """A sandbox that was not started: its clock leaps."""
    return Sandbox(seed=1, start=START)


@pytest.fixture
async def user(service: Sandbox) -> AsyncIterator[AsyncClient]:
    """A client of that sandbox."""
    async with AsyncClient(transport=service.transport()) as client:
        yield client
        assert not others(), "every wait takes its tasks with it"


@pytest.fixture
async def mailbox(user: AsyncClient) -> Mailbox:
    """A mailbox in it."""
    return await user.create_mailbox()


class Later:
    """Delivers messages after some time, while the test waits."""

    def __init__(self, service: Sandbox) -> None:
        self.service = service
        self.tasks: list[asyncio.Task[None]] = []

    def __call__(self, seconds: float, mailbox: Mailbox, **fields: str) -> None:
        self.tasks.append(asyncio.create_task(self._deliver(seconds, mailbox, fields)))

    async def _deliver(self, seconds: float, mailbox: Mailbox, fields: dict[str, str]) -> None:
        await self.service.clock.sleep(seconds)
        self.service.deliver(mailbox, **fields)  # type: ignore[arg-type] # the fields are texts


@pytest.fixture
async def later(user: AsyncClient, service: Sandbox) -> AsyncIterator[Later]:
    """What delivers messages later."""
    post = Later(service)
    yield post
    for task in post.tasks:
        task.cancel()
    await asyncio.gather(*post.tasks, return_exceptions=True)


def polls_of(service: Sandbox) -> int:
    return sum(entry.endpoint == "list_messages" for entry in service.journal)


# ----------------------------------------------------------------------------------------------------- what to wait for


async def test_messages_that_are_there_already_count(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """A message that came before the wait ends it with the first poll."""
    service.deliver(mailbox, subject="Early")
    assert (await user.wait_for_message(mailbox)).subject == "Early"
    assert polls_of(service) == 1


@pytest.mark.parametrize("arrival", [0.5, 3.0, 9.0, 20.0, 45.0, 58.9])
async def test_a_message_is_told_soon(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later, arrival: float
) -> None:
    """It is delivered within a second or two, or a sixth of its waiting time, and just before the wait ends, too."""
    later(arrival, mailbox, subject="Here")
    begun = service.clock.monotonic()
    await user.wait_for_message(mailbox)
    assert service.clock.monotonic() - begun - arrival <= 1.5 * max(1.0, 0.11 * arrival)


def _is_from_the_shop(message: Message) -> bool:
    return message.from_name == "The Shop"


@pytest.mark.parametrize(
    "criteria",
    [
        {"subject": "code"},
        {"subject": re.compile(r"^Your C")},
        {"sender": "SHOP@example"},
        {"sender": "the shop"},
        {"body": "straße 7"},
        {"body": re.compile(r"\d{6}")},
        {"match": _is_from_the_shop},
        {"subject": "code", "sender": "shop", "body": "123456"},
    ],
    ids="-".join,
)
async def test_criteria_pick_the_message(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, criteria: dict[str, Any]
) -> None:
    """Texts are contained in any case, patterns are found, predicates asked; all criteria must hold."""
    service.deliver(mailbox, subject="Welcome", sender="Someone <someone@example.org>", text="Hello")
    service.deliver(mailbox, subject="Your CODE", sender="The Shop <shop@example.org>", text="123456, STRASSE 7")
    service.deliver(mailbox, subject="Bye", sender="Someone <someone@example.org>", text="Bye")
    assert (await user.wait_for_message(mailbox, **criteria)).subject == "Your CODE"


async def test_html_is_searched_as_its_reader_sees_it_and_as_it_came(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox
) -> None:
    """A criterion for the body finds displayed words as well as what stands in an attribute."""
    service.deliver(mailbox, html='<p>Caf&eacute; <b>Cen</b>tral <a href="https://example.com/x9">here</a></p>')
    await user.wait_for_message(mailbox, body="café central", timeout=2)
    await user.wait_for_message(mailbox, body="example.com/X9", timeout=2)


async def test_an_async_predicate_is_awaited(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """`match` may ask elsewhere, such as the service itself."""
    service.deliver(mailbox, subject="One")
    service.deliver(mailbox, subject="Two")

    async def fits(message: Message) -> bool:
        return (await user.get_message(message)).subject == "One"

    assert (await user.wait_for_message(mailbox, match=fits)).subject == "One"


async def test_a_predicate_does_not_outlive_the_deadline(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """An async predicate that never ends is cut when the wait is over, and leaves no task behind."""
    service.deliver(mailbox, subject="One")
    begun = service.clock.monotonic()
    was_cut = False

    async def fits(message: Message) -> bool:
        nonlocal was_cut
        try:
            await service.clock.sleep(1e6)
        except asyncio.CancelledError:
            was_cut = True
            raise
        return True

    with pytest.raises(WaitTimeoutError):
        await user.wait_for_message(mailbox, match=fits, timeout=7)
    assert service.clock.monotonic() - begun == pytest.approx(7, abs=0.5)
    assert was_cut


async def test_an_error_of_the_predicate_is_the_callers(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """What `match` raises comes out as it is."""
    service.deliver(mailbox)
    with pytest.raises(ZeroDivisionError):
        await user.wait_for_message(mailbox, match=lambda message: 1 / 0 > 0)


async def test_ignored_messages_do_not_count(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later
) -> None:
    """Messages and ids in `ignore` are passed over."""
    old = service.deliver(mailbox, subject="Old")
    older = await user.wait_for_message(mailbox)
    later(5, mailbox, subject="New")
    assert (await user.wait_for_message(mailbox, ignore=[older])).subject == "New"
    assert (await user.wait_for_message(mailbox, ignore=[old])).subject == "New"


async def test_of_several_the_newest_is_returned(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """Old mail is not returned for new: of the fitting messages it is the newest."""
    for minute in (3, 9, 5):
        service.deliver(mailbox, subject=f"{minute}", received_at=START + timedelta(minutes=minute))
    assert (await user.wait_for_message(mailbox)).subject == "9"


async def test_several_messages_are_collected(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later
) -> None:
    """`wait_for_messages` waits for as many as asked, and returns the oldest first."""
    for seconds in (2, 12, 4):
        later(seconds, mailbox, subject=f"Code {seconds}")
    later(3, mailbox, subject="Other")
    messages = await user.wait_for_messages(mailbox, count=3, subject="code")
    assert [message.subject for message in messages] == ["Code 2", "Code 4", "Code 12"]


async def test_a_message_listed_twice_counts_once(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """A duplicate in the service's list is not a second message."""
    service.deliver(mailbox, subject="One")
    service.faults.next("list_messages", Duplicate(), times=50)
    with pytest.raises(WaitTimeoutError):
        await user.wait_for_messages(mailbox, count=2, timeout=5)


async def test_a_code_is_waited_for(user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later) -> None:
    """A message without a code is passed over, and says so if the time is over."""
    service.deliver(mailbox, subject="Welcome", text="Thank you for coming.")
    later(4, mailbox, subject="Your verification code", text="Your verification code is 482913.")
    assert await user.wait_for_code(mailbox) == "482913"
    assert await user.wait_for_code(mailbox, length=6, subject="verification") == "482913"
    with pytest.raises(WaitTimeoutError, match="the subject lacks 'invoice'"):
        await user.wait_for_code(mailbox, subject="invoice", timeout=2)
    with pytest.raises(WaitTimeoutError, match="no code, or no clear one"):
        await user.wait_for_code(mailbox, length=4, timeout=2)


async def test_a_link_is_waited_for(user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later) -> None:
    """A message without a link is passed over, and says so if the time is over."""
    service.deliver(mailbox, subject="Welcome", text="Thank you for coming.")
    later(
        4,
        mailbox,
        html='<p>Hello,</p><a href="https://example.com/verify?token=4f9c2b7ae1d84c0f">Confirm your address</a>',
    )
    assert await user.wait_for_link(mailbox) == "https://example.com/verify?token=4f9c2b7ae1d84c0f"
    assert await user.wait_for_link(mailbox, contains="/verify") == "https://example.com/verify?token=4f9c2b7ae1d84c0f"
    with pytest.raises(WaitTimeoutError, match="no link, or no clear one"):
        await user.wait_for_link(mailbox, contains="/elsewhere", timeout=2)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"timeout": -1}, "timeout must be"),
        ({"timeout": 10**400}, "timeout must be"),
        ({"poll_interval": 0}, "poll_interval must be"),
        ({"timeout": float("inf")}, "timeout must be"),
        ({"subject": 7}, "subject must be text or a compiled pattern"),
        ({"sender": re.compile(rb"x")}, "sender must be text"),
        ({"match": "code"}, "match must be a function"),
        ({"ignore": "abc"}, "put the one into brackets"),
    ],
    ids=str,
)
async def test_wrong_arguments_are_refused_before_any_request(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, wrong: dict[str, object], text: str
) -> None:
    """A mistake in the call is refused at once, in words."""
    with pytest.raises(ConfigurationError, match=text):
        await user.wait_for_message(mailbox, **wrong)  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(ConfigurationError, match="like 'name@example"):
        await user.wait_for_message("nobody")
    with pytest.raises(ConfigurationError, match="count must be"):
        await user.wait_for_messages(mailbox, count=0)
    assert polls_of(service) == 0


# ----------------------------------------------------------------------------------------------------- what it costs


async def test_five_fruitless_minutes_cost_at_most_sixty_requests(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox
) -> None:
    """The interval grows, and the error says what the wait cost."""
    begun = service.clock.monotonic()
    with pytest.raises(WaitTimeoutError) as caught:
        await user.wait_for_message(mailbox, timeout=300)
    assert service.clock.monotonic() - begun == pytest.approx(300, abs=0.5)
    assert caught.value.polls == caught.value.quota_spent == polls_of(service) <= 60


async def test_many_waiters_share_one_poll(user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later) -> None:
    """Fifty waits on one mailbox cost as much as one, and each gets its own message."""
    for number in range(50):
        later(10, mailbox, subject=f"<{number}>")
    messages = await asyncio.gather(*(user.wait_for_message(mailbox, subject=f"<{n}>") for n in range(50)))
    assert [message.subject for message in messages] == [f"<{n}>" for n in range(50)]
    assert polls_of(service) < 15


async def test_somebody_new_is_served_at_once(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later
) -> None:
    """A wait that joins one in its long pauses sees what is there without delay, and its own time begins anew."""
    service.deliver(mailbox, subject="Old")
    patient = asyncio.create_task(user.wait_for_message(mailbox, subject="never", timeout=200))
    await service.clock.sleep(150)
    begun = service.clock.monotonic()
    assert (await user.wait_for_message(mailbox)).subject == "Old"
    assert service.clock.monotonic() == begun
    later(5, mailbox, subject="New")
    await user.wait_for_message(mailbox, subject="New")
    assert service.clock.monotonic() - begun < 6.5
    with pytest.raises(WaitTimeoutError, match=r"rejected 'New' .* the subject lacks 'never'"):
        await patient


async def test_a_list_that_did_not_change_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same body as before is recognised by its digest."""
    decoded = 0
    from tempmailg import _wire as wire

    decode = wire.decode_messages

    def counting(response: Response) -> object:
        nonlocal decoded
        decoded += 1
        return decode(response)

    monkeypatch.setattr(wire, "decode_messages", counting)
    async with virtual_client(lambda n, request: listing(message("a"))) as client:
        with pytest.raises(WaitTimeoutError) as caught:
            await client.wait_for_message(BOX, subject="other", timeout=30)
    assert caught.value.polls > 10
    assert decoded == 1
    assert len(caught.value.rejected) == 1


async def test_an_etag_is_sent_back_and_304_understood() -> None:
    """If an answer carried an ETag, the next poll asks only for news; 304 costs nothing and is no fault."""
    asked: list[str | None] = []

    def answer(number: int, request: Request) -> Response:
        asked.append(request.headers.get("If-None-Match"))
        if number < 5:
            return listing(ETag='"v1"') if asked[-1] is None else listing(status=304)
        return listing(message("a"), ETag='"v2"')

    async with virtual_client(answer) as client:
        assert (await client.wait_for_message(BOX)).id == "a"
        with pytest.raises(WaitTimeoutError) as caught:
            await client.wait_for_message(BOX, subject="other", timeout=1)
    assert asked[:5] == [None, '"v1"', '"v1"', '"v1"', '"v1"']
    assert asked[5] is None, "a new wait must see the whole list"
    assert asked[6:] == ['"v2"'] * len(asked[6:])
    assert caught.value.quota_spent == 1 + len(asked[6:])


async def test_304_costs_no_quota(user: AsyncClient) -> None:
    """Only 2xx answers are counted as spent."""
    service = Sandbox(etags=True)
    async with AsyncClient(transport=service.transport()) as client:
        mailbox = await client.create_mailbox()
        before = client.quota
        with pytest.raises(WaitTimeoutError) as caught:
            await client.wait_for_message(mailbox, timeout=30)
        assert caught.value.polls > 10
        assert caught.value.quota_spent == 1
        assert before is not None
        assert client.quota is not None
        assert client.quota.remaining == before.remaining - 1


async def test_an_absurd_etag_is_not_kept() -> None:
    """A long ETag is not carried along with every poll."""
    async with virtual_client(lambda n, request: listing(ETag=f'"{"x" * 300}"')) as client:
        with pytest.raises(WaitTimeoutError):
            await client.wait_for_message(BOX, timeout=3)
        assert all("If-None-Match" not in request.headers for request in transport_of(client).requests)


# ------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    "fault",
    [
        Status(500),
        Status(502),
        Status(503, headers={"Retry-After": "2"}),
        Status(521),
        RateLimited(None),
        RateLimited(3),
        RateLimited("soon"),
        HtmlPage(),
        HtmlPage(200),
        BadJson(),
        Reply(200, body=b""),
        Reply(200, body=b'{"status": true}'),
        Reset(),
        Reset(after=5),
        Stall(),
        Delay(12),
    ],
    ids=str,
)
async def test_passing_faults_do_not_end_a_wait(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, fault: Fault
) -> None:
    """Three faults in a row, of any kind that may pass, only delay the message."""
    service.deliver(mailbox, subject="Here")
    service.faults.next("list_messages", fault, times=3)
    assert (await user.wait_for_message(mailbox)).subject == "Here"
    assert polls_of(service) == (3 if fault == Delay(12) else 4), "a late answer gets more time each try"


async def test_a_wait_bears_faults_until_its_deadline(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """A service that stays ill is asked less and less, and the error names the last fault."""
    service.faults.next("list_messages", Status(502, "Bad gateway"), times=1_000)
    begun = service.clock.monotonic()
    with pytest.raises(WaitTimeoutError, match=r"last fault: list_messages: status 502") as caught:
        await user.wait_for_message(mailbox, timeout=60)
    assert service.clock.monotonic() - begun == pytest.approx(60, abs=0.5)
    assert isinstance(caught.value.last_error, ServerError)
    assert caught.value.quota_spent == 0
    assert 4 <= caught.value.polls == polls_of(service) <= 12


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Status(401), AuthenticationError),
        (Status(404), MailboxGoneError),
        (Status(410), MailboxGoneError),
        (Status(400), Exception),
        (Status(302), Exception),
        (Reply(200, body=b'{"status": false, "message": "no"}'), RequestRejectedError),
    ],
    ids=str,
)
async def test_hopeless_faults_end_a_wait_with_the_second(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, fault: Fault, error: type[Exception]
) -> None:
    """What no later poll can mend ends the wait when a second answer says the same: a single one may be a mistake."""
    service.faults.next("list_messages", fault, times=50)
    with pytest.raises(error) as caught:
        await user.wait_for_message(mailbox)
    assert not isinstance(caught.value, WaitTimeoutError)
    assert polls_of(service) == 2


async def test_a_retry_after_beyond_the_deadline_ends_a_wait_at_once(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox
) -> None:
    """If the service asks for more patience than the wait has, waiting on is useless."""
    service.faults.next("list_messages", RateLimited(90), times=50)
    begun = service.clock.monotonic()
    with pytest.raises(RateLimitError) as caught:
        await user.wait_for_message(mailbox, timeout=60)
    assert caught.value.retry_after == 90
    assert service.clock.monotonic() - begun < 2


async def test_a_retry_after_is_kept_by_all(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """A 429 belongs to the key, so polls of other mailboxes hold back, too."""
    other = await user.create_mailbox()
    service.deliver(other, subject="There")
    service.faults.next("list_messages", RateLimited(20))
    first = asyncio.create_task(user.wait_for_message(mailbox, timeout=40))
    await service.clock.sleep(2)
    begun = service.clock.monotonic()
    assert (await user.wait_for_message(other)).subject == "There"
    assert service.clock.monotonic() - begun >= 18.9
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_a_look_in_flight_does_not_stretch_the_deadline(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox
) -> None:
    """A deadline is a deadline, even while an answer is awaited; the message is there for the next wait."""
    service.deliver(mailbox, subject="Here")
    service.faults.next("list_messages", Stall())
    begun = service.clock.monotonic()
    with pytest.raises(WaitTimeoutError):
        await user.wait_for_message(mailbox, timeout=5)
    assert service.clock.monotonic() - begun == pytest.approx(5, abs=0.5)
    assert (await user.wait_for_message(mailbox)).subject == "Here"


async def test_an_unreadable_message_does_not_hide_the_good_ones(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox
) -> None:
    """One bad message among good ones is reported; the good ones count."""
    service.deliver(mailbox, subject="First")
    service.deliver(mailbox, subject="Second")
    service.faults.next("list_messages", Edit(spoiled), times=100)
    assert (await user.wait_for_message(mailbox)).subject == "First"
    with pytest.raises(WaitTimeoutError) as caught:
        await user.wait_for_message(mailbox, subject="Second", timeout=3)
    assert len(caught.value.rejected) == 2
    assert "messages[0].receivedAt" in caught.value.rejected[1]


def spoiled(answer: dict[str, list[dict[str, object]]]) -> object:
    """Make a list's first message, the newest, unreadable."""
    answer["messages"][0]["receivedAt"] = "yesterday"
    return answer


async def test_a_broken_transport_is_told_as_it_is() -> None:
    """An exception that no transport should raise ends the wait instead of hanging it."""

    def answer(number: int, request: Request) -> Response:
        raise LookupError("broken")

    async with virtual_client(answer) as client:
        with pytest.raises(LookupError, match="broken"):
            await client.wait_for_message(BOX)
    assert not others()


async def test_a_certificate_problem_ends_a_wait_at_once() -> None:
    """A connection that must not be made is no passing fault."""

    def answer(number: int, request: Request) -> Response:
        raise TLSError("the certificate was refused")

    async with virtual_client(answer) as client:
        with pytest.raises(APIConnectionError, match="certificate"):
            await client.wait_for_message(BOX)
        assert len(transport_of(client).requests) == 1


# ------------------------------------------------------------------------------------------------- the end of a mailbox


async def test_a_wait_ends_when_its_mailbox_expires(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later
) -> None:
    """A wait that outlives the mailbox ends at the expiry, after a last poll, with an error that says so."""
    begun = service.clock.monotonic()
    with pytest.raises(MailboxGoneError, match=r"expired at 2026-06-28T09:40:00\+00:00") as caught:
        await user.wait_for_message(mailbox, timeout=5_000)
    assert service.clock.monotonic() - begun == pytest.approx(600.5, abs=0.6)
    assert caught.value.email == mailbox.email
    assert [entry.status for entry in service.journal].count(404) == 1, "it ends on the service's word"


async def test_a_message_in_the_last_seconds_of_a_mailbox_is_told(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later
) -> None:
    """The last poll is made just before the expiry, whatever the schedule says."""
    later(598.5, mailbox, subject="Late")
    assert (await user.wait_for_message(mailbox, timeout=5_000)).subject == "Late"


async def test_the_expiry_is_judged_by_the_services_clock() -> None:
    """A local clock that is a day off neither ends a wait early nor late."""
    for skew in (-86_400, 86_400):
        now = START + timedelta(seconds=skew)

        def answer(number: int, request: Request, now: datetime = now) -> Response:
            age = transport_of(client).now()
            return listing(status=200 if age < 100 else 404, Date=http_date(now + timedelta(seconds=age)))

        async with virtual_client(answer) as client:
            with pytest.raises(MailboxGoneError):
                await client.wait_for_message(
                    Mailbox(
                        id=1,
                        email=BOX,
                        domain="example.com",
                        expires_at=now + timedelta(seconds=100),
                        expires_in_seconds=100,
                        created_at=now,
                    ),
                    timeout=5_000,
                )
            assert transport_of(client).now() == pytest.approx(101, abs=1.1)


async def test_a_deleted_mailbox_ends_a_wait(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later
) -> None:
    """For a bare address the service's 404 says that the mailbox is gone."""

    async def delete() -> None:
        await service.clock.sleep(20)
        await user.delete_mailbox(mailbox)

    deletion = asyncio.create_task(delete())
    with pytest.raises(MailboxGoneError, match="there is no mailbox") as caught:
        await user.wait_for_message(mailbox.email, timeout=100)
    assert caught.value.status == 404
    assert service.clock.monotonic() < 25
    await deletion


# -------------------------------------------------------------------------------------------------------------- quota


async def test_the_reserve_is_kept_before_the_request() -> None:
    """When what remains falls to `quota_reserve`, the wait ends without a further request; plain calls go on."""
    service = Sandbox(quota=20, start=START)
    async with AsyncClient(transport=service.transport(), quota_reserve=5) as client:
        mailbox = await client.create_mailbox()
        service.set_account(remaining=8)
        with pytest.raises(QuotaExceededError, match="quota_reserve") as caught:
            await client.wait_for_message(mailbox, timeout=500)
        assert client.quota is not None
        assert client.quota.remaining == 5
        assert caught.value.resets_at == client.quota.resets_at
        assert all(entry.status == 200 for entry in service.journal)
        count = len(service.journal)
        for waiting in (
            client.wait_for_message(mailbox),
            client.expect_message(mailbox).__aenter__(),
            client.assert_no_message(mailbox, within=5),
        ):
            with pytest.raises(QuotaExceededError):
                await waiting
        assert len(service.journal) == count
        await client.list_messages(mailbox)


async def test_a_quota_that_is_used_up_ends_a_wait(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """A 429 with nothing remaining is raised as it is, not waited for."""
    service.faults.next(
        "list_messages",
        Status(429, headers={"X-RateLimit-Limit": "9", "X-RateLimit-Remaining": "0", "Retry-After": "1"}),
    )
    with pytest.raises(QuotaExceededError):
        await user.wait_for_message(mailbox)


NOTHING_LEFT: dict[str, Any] = {"X_RateLimit_Limit": "50", "X_RateLimit_Used": "50", "X_RateLimit_Remaining": "0"}
NO_RESETS: dict[str, dict[str, Any]] = {
    "missing": {},
    "past": {"X_RateLimit_Reset": "2020-01-01T00:00:00+05:00"},
    "epoch": {"X_RateLimit_Reset": "1777777777"},
}


@pytest.mark.parametrize("reset", NO_RESETS.values(), ids=NO_RESETS)
async def test_an_exhausted_quota_without_a_reset_forbids_no_wait(reset: dict[str, Any]) -> None:
    """Each wait polls at once and when it ends, and finds mail, though answers go on saying that nothing is left."""
    mails: list[dict[str, Any]] = []
    client = virtual_client(lambda _number, _request: listing(*mails, **NOTHING_LEFT, **reset))
    times = transport_of(client).times
    await client.list_messages(BOX)
    for _ in range(3):
        times.clear()
        begun = transport_of(client).now()
        with pytest.raises(WaitTimeoutError):
            await client.wait_for_message(BOX, timeout=20)
        assert [time - begun for time in times] == pytest.approx([0, 19], abs=0.5)
    async with client.expect_message(BOX, timeout=20):
        mails.append(message("code", after=60, content="Your code is 482913"))
    assert await client.wait_for_code(BOX, timeout=3) == "482913"
    assert client.forecast().waits == 0


@pytest.mark.parametrize("reset", NO_RESETS.values(), ids=NO_RESETS)
async def test_an_exhausted_quota_without_a_reset_is_probed_at_a_steady_pace(reset: dict[str, Any]) -> None:
    """A long wait and a watch poll every minute, and at their usual pace once an answer says that there is a quota."""
    left: dict[str, Any] = {**NOTHING_LEFT, **reset}
    client = virtual_client(lambda _number, _request: listing(**left))
    times, clock = transport_of(client).times, transport_of(client).clock
    await client.list_messages(BOX)
    async with client.watch(BOX) as watch:
        pending = asyncio.create_task(anext(watch))
        await clock.sleep(601)
        assert [round(after - before) for before, after in pairwise(times)] == [60] * 10
        with pytest.raises(WaitTimeoutError):
            await client.wait_for_message(BOX, timeout=100)
        assert len(times) <= 11 + 4
        left.update(X_RateLimit_Remaining="40000", X_RateLimit_Reset=(START + timedelta(days=20)).isoformat())
        await clock.sleep(60)
        times.clear()
        with pytest.raises(WaitTimeoutError):
            await client.wait_for_message(BOX, timeout=60)
        assert len(times) > 5
        pending.cancel()
        await asyncio.wait({pending})


async def test_a_service_that_refuses_is_not_probed_at_the_end_of_a_wait() -> None:
    """Where the service itself says 429 and no reset, a wait that ends before the next probe ends with its word."""
    client = virtual_client(lambda _number, _request: listing(status=429, **NOTHING_LEFT))
    for count in (1, 2):
        with pytest.raises(QuotaExceededError):
            await client.wait_for_message(BOX, timeout=30)
        assert len(transport_of(client).times) == count


async def test_a_probe_that_got_no_answer_is_made_again() -> None:
    """A fault says nothing of the quota, so it costs a wait no more than at any other time."""

    def answer(number: int, _request: Request) -> Response:
        return listing(status=502) if number == 2 else listing(*([message("m")] if number > 2 else []), **NOTHING_LEFT)

    client = virtual_client(answer)
    await client.list_messages(BOX)
    assert (await client.wait_for_message(BOX, timeout=30)).id == "m"
    assert transport_of(client).now() < 10


async def test_a_poll_that_is_under_way_at_the_deadline_counts() -> None:
    """A service that accepts and never answers is named as that, and the poll is in the count."""
    client = virtual_client(lambda _number, _request: listing(), latency=1_000)
    with pytest.raises(WaitTimeoutError, match=r"1 polls took 0 requests.*has not answered a poll") as caught:
        await client.wait_for_message(BOX, timeout=3)
    assert (caught.value.polls, caught.value.quota_spent) == (1, 0)
    assert isinstance(caught.value.last_error, APITimeoutError)
    assert caught.value.last_error.sent
    with pytest.raises(WaitTimeoutError) as caught:
        await client.wait_for_code(BOX, timeout=30)
    assert caught.value.polls == len(transport_of(client).times) - 1
    assert "not answered" in str(caught.value.last_error)


async def test_looks_start_again_after_the_reset() -> None:
    """Nobody knows what the new quota is, so a poll is allowed to find out."""
    reset = (START + timedelta(seconds=100)).isoformat()

    def answer(number: int, request: Request) -> Response:
        left = "0" if transport_of(client).now() < 100 else "50"
        return listing(
            X_RateLimit_Limit="50",
            X_RateLimit_Remaining=left,
            X_RateLimit_Reset=reset,
            Date=http_date(transport_of(client).utcnow()),
        )

    client = virtual_client(answer)
    with pytest.raises(QuotaExceededError):
        await client.wait_for_message(BOX, timeout=10)
    await transport_of(client).clock.sleep(100)
    with pytest.raises(WaitTimeoutError):
        await client.wait_for_message(BOX, timeout=10)


async def test_a_budget_bounds_the_waits_in_its_block(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """Polls count against `client.budget` of the block that waits, and end no other wait."""
    before = len(service.journal)
    with user.budget(5), pytest.raises(QuotaExceededError, match="budget of 5 requests"):
        await user.wait_for_message(mailbox, timeout=100)
    assert len(service.journal) - before == 5
    with user.budget(3):
        bounded = asyncio.create_task(user.wait_for_message(mailbox, timeout=100))
    await asyncio.sleep(0)
    with pytest.raises(WaitTimeoutError):
        await user.wait_for_message(mailbox, timeout=20)
    with pytest.raises(QuotaExceededError, match="budget of 3 requests"):
        await bounded


# ---------------------------------------------------------------------------------------------------- the explanation


async def test_a_time_out_explains_itself(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """How long, how often, at what cost, and why each message was not the one: in words and in fields."""
    first = service.deliver(mailbox, subject="Welcome\x1b[31m", sender="Shop <shop@example.org>", text="Hi")
    service.deliver(mailbox, subject="Code", sender="Bank <bank@example.org>", text="No digits")
    service.deliver(mailbox, subject="Code 1", sender="Shop <shop@example.org>", text="No digits")
    service.deliver(mailbox, subject="Code 12", sender="Shop <shop@example.org>", text="Digits: 12")
    service.deliver(mailbox, subject="Code 13", sender="Shop <shop@example.org>", text="Digits: 13")
    old = [message for message in await user.list_messages(mailbox) if message.subject == "Code 13"]
    service.faults.next("list_messages", Status(502))
    with pytest.raises(WaitTimeoutError) as caught:
        await user.wait_for_message(
            mailbox,
            subject="code",
            sender="shop@",
            body=re.compile(r"\d\d"),
            match=lambda message: False,
            ignore=old,
            timeout=10,
        )
    error = caught.value
    assert first
    assert error.waited == pytest.approx(10, abs=0.5)
    assert error.polls == error.quota_spent + 1 == polls_of(service) - 1
    assert isinstance(error.last_error, ServerError)
    assert sorted(error.rejected) == [
        "'Code 1' from 'shop@example.org' at 09:30:00: the body lacks a match of '\\\\d\\\\d'",
        "'Code 12' from 'shop@example.org' at 09:30:00: match says no",
        "'Code 13' from 'shop@example.org' at 09:30:00: it is to be ignored",
        "'Code' from 'bank@example.org' at 09:30:00: the sender lacks 'shop@'",
        "'Welcome\\x1b[31m' from 'shop@example.org' at 09:30:00: the subject lacks 'code'",
    ]
    for part in (*error.rejected, "10.0 s", mailbox.email, f"{error.polls} polls", "last fault"):
        assert part in str(error)
    assert isinstance(error, TimeoutError)
    again = pickle.loads(pickle.dumps(error))
    assert (again.rejected, again.waited, again.polls) == (error.rejected, error.waited, error.polls)


async def test_the_explanation_is_bounded(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """A flooded mailbox does not flood the error."""
    for _ in range(150):
        service.deliver(mailbox, subject="x" * 10_000)
    with pytest.raises(WaitTimeoutError) as caught:
        await user.wait_for_message(mailbox, subject="code", timeout=2)
    assert len(caught.value.rejected) == 100
    assert len(str(caught.value)) < 20_000


async def test_a_time_out_holds_no_key() -> None:
    """The key appears in none of the texts, even if the service echoes it."""
    async with virtual_client(lambda n, request: listing(status=502), user_agent="x") as client:
        with pytest.raises(WaitTimeoutError) as caught:
            await client.wait_for_message(BOX, timeout=3)
    assert "secret-key" not in f"{caught.value!r} {caught.value.last_error!r} {caught.value.__dict__}"


# ----------------------------------------------------------------------------------------------------------- absence


async def test_the_absence_of_a_message_is_asserted(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later
) -> None:
    """Nothing that fits within the time is good; the last poll is at its end."""
    service.deliver(mailbox, subject="Other")
    later(11, mailbox, subject="Code, too late")
    begun = service.clock.monotonic()
    await user.assert_no_message(mailbox, within=10, subject="code")
    assert service.clock.monotonic() - begun == pytest.approx(10, abs=0.1)
    assert (service.journal[-1].at - START).total_seconds() == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("arrival", [0.0, 4.0, 9.99])
async def test_the_presence_of_a_message_fails_the_assertion(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later, arrival: float
) -> None:
    """A message that was there, that comes in between, or in the last moment, is found and named."""
    later(arrival, mailbox, subject="Your code")
    with pytest.raises(AssertionError, match=r"should not: 'Your code' from 'hello@example\.org'"):
        await user.assert_no_message(mailbox, within=10, subject="code")


async def test_absence_needs_a_last_look_that_succeeds(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """Faults before the end do not matter; if no poll succeeds at the end, nothing is asserted."""
    service.faults.next("list_messages", Status(502), times=3)
    await user.assert_no_message(mailbox, within=30)
    await service.clock.sleep(1)
    watchdog = asyncio.create_task(_fail_after(service, 25))
    with pytest.raises(ServerError):
        await user.assert_no_message(mailbox, within=30)
    await watchdog


async def _fail_after(service: Sandbox, seconds: float) -> None:
    await service.clock.sleep(seconds)
    service.faults.next("list_messages", Status(502), times=1_000)


async def test_absence_judges_all_that_came_even_if_judging_takes_time(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later
) -> None:
    """A message that comes while an async predicate is at work is judged before the verdict."""
    later(1, mailbox, subject="Slow to judge")
    later(9.5, mailbox, subject="Bad")

    async def fits(message: Message) -> bool:
        await service.clock.sleep(12)
        return message.subject == "Bad"

    with pytest.raises(AssertionError, match="'Bad'"):
        await user.assert_no_message(mailbox, within=10, match=fits)


# --------------------------------------------------------------------------------------------------------- expectation


async def test_an_expected_message_is_a_new_one(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox, later: Later
) -> None:
    """What was there before the block does not count, even if it claims to be from the future."""
    service.deliver(mailbox, subject="Code", received_at=START + timedelta(days=1))
    async with user.expect_message(mailbox, subject="code") as expected:
        with pytest.raises(ConfigurationError, match="behind the block"):
            _ = expected.message
        assert "pending" in repr(expected)
        service.deliver(mailbox, subject="Code", text="new", received_at=START - timedelta(days=1))
    assert expected.message.text == "new"
    assert expected.message.id in repr(expected)


async def test_without_a_baseline_the_block_does_not_run(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """If it is unknown what is there, nothing is triggered."""
    service.faults.next("list_messages", Status(401), times=2)
    with pytest.raises(AuthenticationError):
        async with user.expect_message(mailbox):
            pytest.fail("the block ran")
    await user.delete_mailbox(mailbox)
    with pytest.raises(MailboxGoneError, match=mailbox.email):
        async with user.expect_message(mailbox):
            pytest.fail("the block ran")


async def test_the_baseline_is_retried(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """A passing fault on entry is retried like any call."""
    service.faults.next("list_messages", Status(502))
    async with user.expect_message(mailbox) as expected:
        service.deliver(mailbox, subject="Here")
    assert expected.message.subject == "Here"


async def test_an_error_in_the_block_is_not_waited_on(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """What the block raises comes out at once."""
    with pytest.raises(ZeroDivisionError):
        async with user.expect_message(mailbox):
            _ = 1 / 0
    assert polls_of(service) == 1


async def test_an_expectation_that_fails_says_what_was_there(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox
) -> None:
    """The time-out names the old messages, too, and why they do not count."""
    service.deliver(mailbox, subject="Old")
    with pytest.raises(WaitTimeoutError, match="it was there before the block"):
        async with user.expect_message(mailbox, timeout=3):
            pass


async def test_an_expectation_can_be_entered_and_left_in_different_tasks(
    user: AsyncClient, service: Sandbox, mailbox: Mailbox
) -> None:
    """No scope binds it to the task that entered: the blocking client enters in one and leaves in another."""
    expected = user.expect_message(mailbox)
    await asyncio.create_task(expected.__aenter__())
    service.deliver(mailbox, subject="Here")
    await asyncio.create_task(expected.__aexit__(None, None, None))
    assert expected.message.subject == "Here"


# -------------------------------------------------------------------------------------------------- tasks and endings


@pytest.mark.parametrize("steps", range(0, 60, 3))
async def test_cancelling_a_wait_leaves_nothing_behind(steps: int) -> None:
    """Wherever a wait is cancelled, it ends with one CancelledError and no task; a later wait gets the message."""
    service = Sandbox(seed=1)
    async with AsyncClient(transport=service.transport()) as client:
        mailbox = await client.create_mailbox()

        async def fits(message: Message) -> bool:
            await service.clock.sleep(0.1)
            return message.subject == "Second"

        waiting = asyncio.create_task(client.wait_for_message(mailbox, match=fits))
        service.deliver(mailbox, subject="First")
        for _ in range(steps):
            await asyncio.sleep(0)
        if waiting.cancel():
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert not others() - {waiting}
        service.deliver(mailbox, subject="Second")
        assert (await client.wait_for_message(mailbox, match=fits)).subject == "Second"


async def test_closing_the_client_ends_its_waits(service: Sandbox) -> None:
    """A pending wait gets an error that the client was closed, and its tasks are gone when `close` returns."""
    client = AsyncClient(transport=service.transport())
    mailbox = await client.create_mailbox()
    waits = [asyncio.create_task(client.wait_for_message(mailbox, timeout=1e6)) for _ in range(3)]
    await service.clock.sleep(10)
    await client.close()
    assert not others() - set(waits)
    for waiting in waits:
        with pytest.raises(ClientClosedError):
            await waiting
    with pytest.raises(ClientClosedError):
        await client.wait_for_message(mailbox)
    with pytest.raises(ClientClosedError):
        async with client.expect_message(mailbox):
            pytest.fail("the block ran")


async def test_siblings_share_the_looks(user: AsyncClient, service: Sandbox, mailbox: Mailbox) -> None:
    """`with_options` makes no second scheduler."""
    sibling = user.with_options(timeout=5)
    results = await asyncio.gather(
        *(client.wait_for_message(mailbox, timeout=30) for client in (user, sibling)), return_exceptions=True
    )
    assert all(isinstance(result, WaitTimeoutError) for result in results)
    assert polls_of(service) < 25


def test_a_client_waits_on_one_loop_after_another() -> None:
    """Nothing of a finished loop is left in the client of an in-process sandbox."""
    service = Sandbox(seed=1)
    client = AsyncClient(transport=service.transport())
    mailbox = asyncio.run(client.create_mailbox())

    async def cancelled() -> None:
        task = asyncio.create_task(client.wait_for_message(mailbox))
        await service.clock.sleep(3)
        del task

    for _ in range(2):
        asyncio.run(cancelled())
        with pytest.raises(WaitTimeoutError):
            asyncio.run(client.wait_for_message(mailbox, timeout=3))
    service.deliver(mailbox, subject="Here")
    assert asyncio.run(client.wait_for_message(mailbox)).subject == "Here"


async def test_a_broken_clock_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the transport cannot sleep, waits end with its error instead of hanging."""
    async with virtual_client(lambda n, request: listing()) as client:

        async def sleep(seconds: float) -> None:
            raise LookupError("no time")

        monkeypatch.setattr(transport_of(client), "sleep", sleep)
        with pytest.raises(LookupError, match="no time"):
            await client.wait_for_message(BOX)
    assert not others()
