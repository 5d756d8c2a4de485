"""Retries, deadlines and budgets, in virtual time: what is sent, when, and with which error it ends."""

from __future__ import annotations

import ast
import copy
import logging
import pickle
import re
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest
import trio
from support.scripted import ScriptedTransport, answer, refusal

import tempmailg
from tempmailg import AsyncClient, Attempt, Mailbox
from tempmailg import _errors as err
from tempmailg._endpoints import Call
from tempmailg._retry import RETRY_TOKENS, RetryBudget, retry_delay
from tempmailg._stream import SpeedLimit

if TYPE_CHECKING:
    from collections.abc import Awaitable

KEY = "k3y-that-must-not-leak"
MAILBOX = {
    "id": 1,
    "email": "box@example.com",
    "expire_at": "2026-06-28T09:48:51+00:00",
    "created_at": "2026-06-28T09:38:51+00:00",
}
CREATED = answer({"status": True, "data": MAILBOX})
EMPTY = answer({"status": True, "messages": []})
DONE = answer({"status": True, "message": "deleted"})


def client_of(transport: ScriptedTransport, **options: Any) -> AsyncClient:
    return AsyncClient(KEY, transport=transport, **options)


def broken(*, sent: bool) -> err.APIConnectionError:
    return err.APIConnectionError("broke", sent=sent)


def cut() -> err.APIResponseError:
    return err.UnreadableResponseError("garbled")


Method = Callable[[AsyncClient], "Awaitable[object]"]


def list_messages(client: AsyncClient) -> Awaitable[object]:
    return client.list_messages("box@example.com")


def create_mailbox(client: AsyncClient) -> Awaitable[object]:
    return client.create_mailbox()


def delete_mailbox(client: AsyncClient) -> Awaitable[object]:
    return client.delete_mailbox("box@example.com")


REPEATS: list[tuple[str, Callable[[], Any], Method, int]] = [
    ("GET after a broken connection", lambda: broken(sent=True), list_messages, 3),
    ("DELETE after a broken connection", lambda: broken(sent=True), delete_mailbox, 3),
    ("POST that may have run", lambda: broken(sent=True), create_mailbox, 1),
    ("POST that was never sent", lambda: broken(sent=False), create_mailbox, 3),
    ("GET after 502", lambda: refusal(502), list_messages, 3),
    ("POST after 502", lambda: refusal(502), create_mailbox, 1),
    ("POST after 503", lambda: refusal(503), create_mailbox, 1),
    ("POST after 503 with Retry-After", lambda: refusal(503, Retry_After="1"), create_mailbox, 3),
    ("POST after 429", lambda: refusal(429), create_mailbox, 3),
    ("GET after garbage", cut, list_messages, 2),
    ("POST after garbage", cut, create_mailbox, 1),
    ("GET after 404", lambda: refusal(404), list_messages, 1),
    ("GET after 401", lambda: refusal(401), list_messages, 1),
]


@pytest.mark.parametrize(("name", "failure", "method", "requests"), REPEATS, ids=[name for name, *_ in REPEATS])
async def test_a_request_is_repeated_only_where_it_may_be(
    name: str, failure: Callable[[], Any], method: Method, requests: int
) -> None:
    """Safe requests are repeated after passing faults, a POST only when it cannot have run, and never too often."""
    transport = ScriptedTransport(failure())
    with pytest.raises(err.TempMailError) as caught:
        await method(client_of(transport, max_retries=2))
    assert len(transport.requests) == caught.value.attempts == requests


async def test_a_call_that_recovers_returns_its_result() -> None:
    """A fault that passes costs a retry and nothing else."""
    transport = ScriptedTransport(refusal(502), broken(sent=True), EMPTY)
    assert await client_of(transport).list_messages("box@example.com") == []


async def test_a_deletion_whose_answer_was_lost_is_a_success() -> None:
    """404 for a repeated DELETE means that the first one did it."""
    transport = ScriptedTransport(broken(sent=True), refusal(404))
    await client_of(transport).delete_mailbox("box@example.com")
    assert len(transport.requests) == 2


async def test_a_deletion_that_never_left_and_finds_nothing_is_an_error() -> None:
    """404 after an attempt that cannot have arrived says that there was nothing to delete."""
    transport = ScriptedTransport(broken(sent=False), refusal(404))
    with pytest.raises(err.NotFoundError):
        await client_of(transport).delete_mailbox("box@example.com")


async def test_a_lost_creation_says_that_the_mailbox_may_exist() -> None:
    """Whoever cleans up must know that a mailbox may stand although the call failed."""
    with pytest.raises(err.APIConnectionError, match="the mailbox may exist") as caught:
        await client_of(ScriptedTransport(broken(sent=True))).create_mailbox()
    assert caught.value.sent


@pytest.mark.parametrize(("method", "new"), [("POST", {"box@example.com"}), ("GET", set[str]())])
async def test_a_mailbox_that_any_endpoint_makes_is_known_to_be_new(
    method: Literal["POST", "GET"], new: set[str]
) -> None:
    """Whichever call makes a mailbox, waits know that it is new; one that was only asked for may be old."""
    async with client_of(ScriptedTransport(CREATED)) as client:
        await client._caller.call(Call("create_mailbox", method, "/copies", ("copies",), Mailbox))
        assert client._caller.core.made.keys() == new


@pytest.mark.parametrize(
    ("days", "seconds", "sleeps"), [(0, 8, [10.0]), (1, 0, []), (2_000_000, 0, [])], ids=["soon", "far", "huge"]
)
async def test_a_date_to_retry_at_counts_from_our_clock_where_the_answer_has_none(
    days: int, seconds: int, sleeps: list[float]
) -> None:
    """A Retry-After that is a date is obeyed without a Date header: waited for if it fits, raised at once if not."""
    asked = timedelta(days=days, seconds=seconds)
    until = format_datetime(ScriptedTransport().utcnow() + asked, usegmt=True)
    transport = ScriptedTransport(refusal(429, Retry_After=until), EMPTY)
    with nullcontext() if sleeps else pytest.raises(err.RateLimitError) as caught:
        await client_of(transport, timeout=30).list_messages("box@example.com")
    assert transport.sleeps == sleeps
    assert caught is None or caught.value.retry_after == asked.total_seconds()


async def test_retry_after_is_waited_for() -> None:
    """The service's own word on when to come back is kept; up to a quarter is added to keep clients apart."""
    transport = ScriptedTransport(refusal(429, Retry_After="7"), EMPTY)
    await client_of(transport).list_messages("box@example.com")
    assert transport.sleeps == [7.0 * 1.25]


async def test_a_wait_that_does_not_fit_is_not_begun() -> None:
    """When Retry-After reaches past the deadline, the error comes at once instead of at the end."""
    transport = ScriptedTransport(refusal(429, Retry_After="60"))
    with pytest.raises(err.RateLimitError) as caught:
        await client_of(transport, timeout=30).list_messages("box@example.com")
    assert (transport.sleeps, caught.value.retry_after) == ([], 60.0)


@pytest.mark.parametrize(("left", "slept"), [(60.0, 24.0), (22.0, 20.8), (20.001, 20.0004)])
async def test_jitter_on_top_of_retry_after_never_costs_the_retry(left: float, slept: float) -> None:
    """A time that fits into the deadline is waited for, and half of what is left then stays for the request."""
    transport = ScriptedTransport(refusal(429, Retry_After="20"), EMPTY, chance=0.8)
    assert await client_of(transport, timeout=left).list_messages("box@example.com") == []
    assert transport.sleeps == pytest.approx([slept])


async def test_the_deadline_covers_attempts_and_waits() -> None:
    """Each attempt gets what is left of the call's time, and none starts after it."""
    transport = ScriptedTransport(refusal(502), seconds_each=4.0, chance=0.5)
    with pytest.raises(err.APITimeoutError) as caught:
        await client_of(transport, timeout=9, max_retries=10).list_messages("box@example.com")
    assert transport.timeouts == pytest.approx([9.0, 9.0 - 4.025, 9.0 - 8.075])
    assert caught.value.elapsed == pytest.approx(9.0)


async def test_an_attempt_that_takes_all_the_time_is_the_last() -> None:
    """A server that never answers costs one deadline, not several."""
    transport = ScriptedTransport(EMPTY, seconds_each=1e9)
    with pytest.raises(err.APITimeoutError) as caught:
        await client_of(transport, timeout=5).list_messages("box@example.com")
    assert len(transport.requests) == 1
    assert caught.value.elapsed == pytest.approx(5.0)


def test_backoff_doubles_with_full_jitter_up_to_its_cap() -> None:
    """Broken connections are retried soon, throttled calls later, nothing later than the cap, all of it at random."""

    def delays(error: err.TempMailError, chance: float) -> list[float | None]:
        return [retry_delay(error, attempt=n, is_safe=True, chance=chance) for n in (1, 2, 3, 20, 2_000)]

    throttled = err.RateLimitError(status=429)
    assert delays(broken(sent=True), 1.0) == pytest.approx([0.05, 0.1, 0.2, 20.0, 20.0])
    assert delays(throttled, 1.0) == pytest.approx([1.0, 2.0, 4.0, 20.0, 20.0])
    assert delays(throttled, 0.25) == pytest.approx([0.25, 0.5, 1.0, 5.0, 5.0])
    assert delays(throttled, 0.0) == [0.0] * 5


async def test_many_failing_calls_share_one_retry_budget() -> None:
    """A thousand calls against a failing service send little more than a thousand requests."""
    transport = ScriptedTransport(refusal(500))
    client = client_of(transport, max_retries=5)
    for _ in range(1_000):
        with pytest.raises(err.ServerError):
            await client.list_messages("box@example.com")
    assert len(transport.requests) == 1_000 + RETRY_TOKENS // 14


def test_the_retry_budget_pays_back_what_succeeded() -> None:
    """A retry that succeeds returns its price, a call without one earns a token, and the budget never overflows."""
    budget = RetryBudget()
    failing, throttled = err.ServerError(status=500), err.RateLimitError(status=429)
    assert (budget.take(failing), budget.tokens) == (14, 486)
    assert (budget.take(throttled), budget.tokens) == (5, 481)
    budget.give_back(14)
    budget.give_back(0)
    assert budget.tokens == 496
    budget.give_back(14)
    assert budget.tokens == RETRY_TOKENS
    budget.tokens = 13
    assert budget.take(failing) is None


async def test_a_block_sends_no_more_than_its_budget() -> None:
    """`client.budget(n)` lets n requests out, retries included, and refuses the next one unsent."""
    transport = ScriptedTransport(refusal(502), EMPTY)
    client = client_of(transport)
    with client.budget(3):
        await client.list_messages("box@example.com")
        with client.budget(5):
            await client.list_messages("box@example.com")
            with pytest.raises(err.QuotaExceededError, match="the budget of 5 requests is spent"):
                await client.list_messages("box@example.com")
    assert len(transport.requests) == 3
    await client.list_messages("box@example.com")
    assert len(transport.requests) == 4


async def test_every_answer_may_declare_the_quota() -> None:
    """The quota is read from successes and failures alike, and the last good report stays."""
    declared = {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "4"}
    transport = ScriptedTransport(
        answer({}, status=404, headers=declared),
        answer({"messages": []}, headers={**declared, "X-RateLimit-Remaining": "x"}),
    )
    client = client_of(transport)
    assert client.quota is None
    with pytest.raises(err.NotFoundError) as caught:
        await client.list_messages("box@example.com")
    assert caught.value.quota == client.quota == tempmailg.Quota(limit=10, used=6, remaining=4)
    await client.list_messages("box@example.com")
    assert client.quota is not None
    assert client.quota.remaining == 4


@pytest.mark.parametrize("lost", [{"X-RateLimit-Remaining": "x"}, {"Date": None}, {"X-RateLimit-Remaining": None}])
async def test_an_answer_that_declares_less_hides_nothing(lost: dict[str, str | None]) -> None:
    """What several answers declared is there when somebody asks later, though one between them declared only half."""
    whole: dict[str, str | None] = {
        "X-RateLimit-Limit": "10",
        "X-RateLimit-Remaining": "4",
        "X-RateLimit-Reset": "2026-06-29T00:00:00+00:00",
        "Date": "Sun, 28 Jun 2026 23:00:00 GMT",
    }
    less = {name: value for name, value in {**whole, **lost}.items() if value is not None}
    declared = {name: value for name, value in whole.items() if value is not None}
    transport = ScriptedTransport(
        answer({"messages": []}, headers={**declared, "X-RateLimit-Remaining": "5"}),
        answer({"messages": []}, headers=declared),
        answer({"messages": []}, headers=less),
    )
    client = client_of(transport)
    for _ in range(3):
        await client.list_messages("box@example.com")
    assert client.quota is not None
    assert client.quota.remaining == 4
    assert client.quota.resets_at is not None
    book = client._caller.core.quota_book
    book.refresh()
    assert book.clock.until(client.quota.resets_at, transport.now()) == pytest.approx(3_600)


async def test_the_ledger_counts_answers_that_nobody_read() -> None:
    """What the account spent between two questions is counted, however many answers declared it."""
    declared = {"X-RateLimit-Limit": "5000", "Date": "Sun, 28 Jun 2026 23:00:00 GMT"}
    spending = ({**declared, "X-RateLimit-Remaining": str(remaining)} for remaining in range(4_999, 0, -40))
    transport = ScriptedTransport(*(answer({"messages": []}, headers=headers) for headers in spending))
    client = client_of(transport)
    book = client._caller.core.quota_book
    await client.list_messages("box@example.com")
    book.refresh()
    assert book.ledger.spent == 0
    for _ in range(5):
        await client.list_messages("box@example.com")
    book.refresh()
    assert book.ledger.spent == 200
    assert book.answers == 6


async def test_siblings_share_everything_but_their_options() -> None:
    """`with_options` gives another deadline over the same pool, quota and retry budget."""
    transport = ScriptedTransport(EMPTY, seconds_each=2.0)
    client = client_of(transport, timeout=30)
    hasty = client.with_options(timeout=1.0, max_retries=0)
    with pytest.raises(err.APITimeoutError):
        await hasty.list_messages("box@example.com")
    assert await client.with_options().list_messages("box@example.com") == []
    await hasty.close()
    with pytest.raises(err.ClientClosedError, match="make a new one"):
        await client.list_messages("box@example.com")


async def test_a_transport_from_outside_is_never_closed() -> None:
    """Whoever made the transport closes it."""
    transport = ScriptedTransport(EMPTY)
    async with client_of(transport):
        pass
    assert transport.closed == 0


async def test_entering_a_closed_client_is_refused() -> None:
    """A closed client says so as soon as it is used, not at the first request."""
    client = client_of(ScriptedTransport(EMPTY))
    await client.close()
    await client.close()
    with pytest.raises(err.ClientClosedError):
        await client.__aenter__()


async def test_a_server_that_echoes_the_key_does_not_put_it_into_an_error() -> None:
    """What a lying server writes into its answer is shown without the key."""
    echo = answer({"status": False, "message": f"bad key {KEY}"}, status=401)
    with pytest.raises(err.AuthenticationError, match=r"bad key \*\*\*") as caught:
        await client_of(ScriptedTransport(echo)).list_messages("box@example.com")
    assert KEY not in str(caught.value) + caught.value.body + repr(vars(caught.value))


async def test_a_client_shows_its_key_to_nobody() -> None:
    """No repr, no dict, no copy and no pickle of a client gives the key away."""
    client = client_of(ScriptedTransport(EMPTY))
    shown = repr(client) + repr(vars(client)) + repr(client._caller.core.headers) + repr(client._caller.core.key)
    assert KEY not in shown
    for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="make one where it is needed"):
            duplicate(client)


async def test_logs_name_the_route_and_never_its_arguments(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG each attempt is one line: method, route, outcome, attempt, seconds."""
    caplog.set_level(logging.DEBUG, "tempmailg")
    await client_of(ScriptedTransport(refusal(502), EMPTY)).list_messages("box@example.com")
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["GET /messages: 502, attempt 1, 0.000 s", "GET /messages: ok, attempt 2, 0.000 s"]


async def test_each_attempt_is_reported_as_a_value() -> None:
    """`on_attempt` gets route, status or error class, number, seconds and quota of each request, and no address."""
    quota = {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "4"}
    empty = answer({"messages": []}, headers=quota)
    transport = ScriptedTransport(refusal(502), broken(sent=True), empty, refusal(404), seconds_each=0.5)
    seen: list[Attempt] = []
    client = client_of(transport, on_attempt=seen.append)
    await client.list_messages("box@example.com")
    with pytest.raises(err.NotFoundError):
        await client.with_options(max_retries=0).delete_mailbox("box@example.com")
    shown = [(each.number, each.status, each.error, each.seconds) for each in seen]
    assert shown == [
        (1, 502, "ServerError", 0.5),
        (2, None, "APIConnectionError", 0.5),
        (3, 200, None, 0.5),
        (1, 404, "NotFoundError", 0.5),
    ]
    assert {(each.call, each.method, each.route) for each in seen} == {
        ("list_messages", "GET", "/messages"),
        ("delete_mailbox", "DELETE", "/emails/{email}"),
    }
    assert [each.quota and each.quota.remaining for each in seen] == [None, None, 4, 4]
    assert "box@" not in repr(seen)


async def test_a_stream_is_an_attempt_until_its_headers() -> None:
    """A download's requests are reported, too."""
    seen: list[Attempt] = []
    client = client_of(ScriptedTransport(answer(body=b"whole")), on_attempt=seen.append)
    async with client.stream_attachment(("id", "name")):
        pass
    assert [(each.call, each.status) for each in seen] == [("stream_attachment", 200)]


async def test_a_hook_that_fails_is_logged_and_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What `on_attempt` raises ends no call and hides no error of one."""

    def broken_hook(_attempt: Attempt) -> None:
        raise ZeroDivisionError

    client = client_of(ScriptedTransport(EMPTY, refusal(404)), on_attempt=broken_hook)
    assert await client.list_messages("box@example.com") == []
    with pytest.raises(err.NotFoundError):
        await client.list_messages("box@example.com")
    assert [record.getMessage() for record in caplog.records] == ["on_attempt failed"] * 2


def is_client(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and "AsyncClient" in ast.unparse(node)


def program_of_the_manual(name: str) -> Callable[[Attempt], None]:
    """Return a function that the manual shows."""
    text = (Path(tempmailg.__file__).parent / "README.md").read_text(encoding="utf-8")
    (program,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if f"def {name}(" in block]
    tree = ast.parse(program)
    tree.body = [
        node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef))
    ]
    names: dict[str, Any] = {}
    exec(compile(tree, "README.md", "exec"), names)
    return cast("Callable[[Attempt], None]", names[name])


async def test_the_manuals_hook_makes_spans_of_opentelemetry() -> None:
    """The example turns each request into a span of the right name, times and status, below the caller's own."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    client = client_of(
        ScriptedTransport(refusal(502), EMPTY, seconds_each=2.0), on_attempt=program_of_the_manual("span")
    )
    with trace.get_tracer("test").start_as_current_span("the caller's") as outer:
        await client.list_messages("box@example.com")
    first, second, _ = exporter.get_finished_spans()
    assert [first.name, second.name] == ["GET /messages"] * 2
    assert [first.status.is_ok, second.status.is_ok] == [False, True]
    assert first.attributes is not None
    assert first.attributes["http.response.status_code"] == 502
    assert first.attributes["error.type"] == "ServerError"
    assert second.attributes is not None
    assert second.attributes["http.request.resend_count"] == 1
    assert first.parent is not None
    assert first.parent.span_id == outer.get_span_context().span_id
    assert ((first.end_time or 0) - (first.start_time or 0)) / 1e9 == pytest.approx(2.0, abs=0.01)


async def test_a_client_shows_where_it_sends_and_how() -> None:
    """The repr names address and options, and whether the client is closed; never the key."""
    client = AsyncClient(KEY, timeout=2.5, max_retries=0)
    assert repr(client) == "<AsyncClient https://v1.tempmailg.com/api timeout=2.5 max_retries=0>"
    await client.close()
    assert repr(client).endswith(" closed>")
    assert repr(client_of(ScriptedTransport(EMPTY))) == (
        "<AsyncClient over ScriptedTransport timeout=30 max_retries=2>"
    )


async def test_the_user_agent_names_what_a_support_case_asks_for() -> None:
    """By default it has the versions of the library, Python, the system and aiohttp; another one replaces it whole."""
    transport = ScriptedTransport(EMPTY)
    await client_of(transport).list_messages("box@example.com")
    await client_of(transport, user_agent="mine/1").list_messages("box@example.com")
    own, mine = (request.headers["User-Agent"] for request in transport.requests)
    assert re.fullmatch(r"tempmailg/[0-9.]+ Python/3\.[0-9.a-z+]+ \w+( aiohttp/[0-9.a-z]+)?", own)
    assert mine == "mine/1"


@pytest.mark.parametrize("use", ["enter", "call", "wait"])
def test_under_trio_the_client_says_at_once_that_it_needs_asyncio(use: str) -> None:
    """In another kind of event loop the first use is a clear error, and nothing is sent."""
    transport = ScriptedTransport(EMPTY)

    async def main() -> None:
        client = client_of(transport)
        if use == "enter":
            async with client:
                pass
        elif use == "call":
            await client.list_messages("box@example.com")
        else:
            await client.wait_for_message("box@example.com")

    with pytest.raises(
        err.ConfigurationError, match=r"needs a running asyncio event loop.*under trio, use the blocking"
    ):
        trio.run(main)
    assert transport.requests == []


def test_a_slow_body_is_noticed_and_a_slow_reader_is_not() -> None:
    """Only seconds spent waiting for the service count against the minimum speed."""
    limit = SpeedLimit(minimum=100.0, window=10.0)
    for _ in range(50):
        limit.record(500, 4.0)  # 125 bytes a second
    limit.record(1, 0.0)
    with pytest.raises(err.APITimeoutError, match="fewer than 100 bytes a second"):
        for _ in range(10):
            limit.record(1, 4.0)
    with pytest.raises(err.ConfigurationError, match="minimum_speed"):
        SpeedLimit(minimum=-1.0, window=10.0)


def test_without_a_minimum_only_a_standstill_is_too_slow() -> None:
    """A minimum speed of zero accepts one byte in a window, but not none."""
    limit = SpeedLimit(minimum=0.0, window=10.0)
    limit.record(1, 10.0)
    with pytest.raises(err.APITimeoutError):
        limit.record(0, 10.0)
