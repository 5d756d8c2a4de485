"""The sandbox's faults: scripted or random, each the same on the socket and in virtual time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.doors import WAYS, Door, opened

from tempmailg import APIConnectionError, APIResponseError, APITimeoutError, ConfigurationError
from tempmailg.sandbox import (
    BadJson,
    Delay,
    Duplicate,
    Edit,
    Fault,
    Headers,
    HtmlPage,
    RateLimited,
    Reorder,
    Reply,
    Reset,
    Sandbox,
    Slow,
    Stall,
    Status,
    Truncate,
)
from tempmailg.sandbox._faults import fault_from_json, fault_to_json
from tempmailg.transport import Request

both_ways = pytest.mark.parametrize("way", WAYS)
FREE = "/domains?type=free"


async def timed(door: Door, method: str, target: str, timeout: float) -> float:
    """Send a request that runs into its deadline; return how long that took by the transport's clock."""
    begun = door.transport.now()
    request = Request(method, target, {"Authorization": f"Bearer {door.sandbox.api_key}"})
    with pytest.raises(APITimeoutError) as caught:
        await door.transport.request(request, timeout=timeout, max_bytes=1_000_000)
    assert caught.value.sent
    return door.transport.now() - begun


@both_ways
async def test_the_next_two_list_calls_fail_and_no_others(way: str) -> None:
    """A script meets the calls of its endpoint, in order and as often as it says; None means any endpoint."""
    async with opened(way) as door:
        email = await door.mailbox()
        faults = door.sandbox.faults
        faults.next("list_messages", Status(502), times=2)
        faults.next("list_messages", Status(503), HtmlPage())
        faults.next(None, Status(500))
        assert (len(faults), len(faults.pending())) == (5, 4)
        statuses = [(await door.send("GET", FREE)).status]
        statuses += [(await door.send("GET", f"/messages?email={email}")).status for _ in range(5)]
        assert statuses == [500, 502, 502, 503, 503, 200]
        assert [entry.fault for entry in door.sandbox.journal][1:] == ["status"] * 4 + ["html_page", ""]


@both_ways
@pytest.mark.parametrize(
    ("fault", "status", "content_type", "start"),
    [
        (Status(502, "Gone fishing.", {"Retry-After": "7"}), 502, "application/json", b'{"status":false'),
        (HtmlPage(403, "<h1>Checking</h1>"), 403, "text/html; charset=utf-8", b"<h1>Checking</h1>"),
        (Reply(200, "{}"), 200, "application/json", b"{}"),
        (Reply(302, b"\xff", {"Location": "//evil.invalid"}), 302, None, b"\xff"),
        (RateLimited(), 429, "application/json", b'{"status":false'),
    ],
)
async def test_a_refusing_fault_does_nothing_else(
    way: str, fault: Fault, status: int, content_type: str | None, start: bytes
) -> None:
    """Where a fault answers instead of the service, nothing is made and nothing is counted."""
    async with opened(way) as door:
        door.sandbox.faults.next("create_mailbox", fault)
        response = await door.send("POST", "/emails")
        assert response.status == status
        assert response.body.startswith(start)
        if content_type:
            assert response.headers.get("Content-Type") == content_type
        assert door.sandbox.dump()["mailboxes"] == []
        assert door.sandbox.account().used == 0


@both_ways
@pytest.mark.parametrize(
    ("retry_after", "sent"),
    [(3, "3"), ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT"), (None, None)],
)
async def test_a_rate_limit_says_when_to_come_back(way: str, retry_after: float | str | None, sent: str | None) -> None:
    """Retry-After is sent as given, or not at all."""
    async with opened(way) as door:
        door.sandbox.faults.next(None, RateLimited(retry_after))
        response = await door.send("GET", FREE)
        assert (response.status, response.headers.get("Retry-After")) == (429, sent)


@both_ways
async def test_headers_can_be_replaced_and_removed(way: str) -> None:
    """A malformed quota, or none, arrives in an answer that is honest otherwise."""
    async with opened(way) as door:
        door.sandbox.faults.next(None, Headers({"x-ratelimit-limit": "many", "X-RateLimit-Reset": None, "X-New": "1"}))
        response = await door.send("GET", FREE)
        found = [
            response.headers.get(name)
            for name in ("X-RateLimit-Limit", "X-RateLimit-Reset", "X-New", "X-RateLimit-Used")
        ]
        assert found == ["many", None, "1", "1"]
        assert json.loads(response.body)["status"] is True


@both_ways
async def test_bad_json_is_half_of_an_answer_that_was_given(way: str) -> None:
    """The mailbox is made, but its answer cannot be read."""
    async with opened(way) as door:
        door.sandbox.faults.next("create_mailbox", BadJson())
        response = await door.send("POST", "/emails")
        assert response.headers.get("Content-Length") == str(len(response.body))
        with pytest.raises(ValueError, match=r"."):
            json.loads(response.body)
        assert len(door.sandbox.dump()["mailboxes"]) == 1


@both_ways
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Duplicate(), [2, 1, 0, 2, 1, 0]),
        (Reorder(), [0, 1, 2]),
        (Edit(lambda answer: {**answer, "messages": answer["messages"][:1]}), [2]),
    ],
)
async def test_lists_can_be_bent(way: str, fault: Fault, expected: list[int]) -> None:
    """Messages arrive twice, in the opposite order, or as a function of the tester's wants them."""
    async with opened(way) as door:
        email = await door.mailbox()
        for number in range(3):
            door.sandbox.deliver(email, text=str(number))
        door.sandbox.faults.next("list_messages", fault)
        assert [int(message["content"]) for message in await door.messages(email)] == expected
        assert [int(message["content"]) for message in await door.messages(email)] == [2, 1, 0]
        door.sandbox.faults.next("list_domains", Duplicate())
        assert (await door.json("GET", FREE))["status"] is True


@both_ways
async def test_a_delayed_answer_comes_whole(way: str) -> None:
    """A delay shorter than the deadline only takes time."""
    async with opened(way) as door:
        door.sandbox.faults.next(None, Delay(0.05))
        begun = door.transport.now()
        assert (await door.send("GET", FREE)).status == 200
        assert door.transport.now() - begun >= 0.05


@both_ways
@pytest.mark.parametrize("fault", [Delay(9), Stall(), Stall(done=False), Stall(after=5), Slow(10)])
async def test_an_answer_that_takes_too_long_meets_the_deadline(way: str, fault: Fault) -> None:
    """Late, silent, half-silent and dripping answers end with the caller's deadline, not before and not long after."""
    async with opened(way) as door:
        door.sandbox.faults.next("create_mailbox", fault)
        assert 0.2 <= await timed(door, "POST", "/emails", 0.2) < 0.2 + (5 if way == "http" else 0.01)
        done = not (isinstance(fault, Stall) and not fault.done)
        assert len(door.sandbox.dump()["mailboxes"]) == done


@both_ways
@pytest.mark.parametrize(("fault", "done"), [(Reset(), True), (Reset(done=False), False)])
async def test_a_reset_before_the_answer_may_have_done_the_work(way: str, fault: Fault, *, done: bool) -> None:
    """A connection that breaks before the headers leaves the caller in doubt, rightly."""
    async with opened(way) as door:
        door.sandbox.faults.next("create_mailbox", fault)
        with pytest.raises(APIConnectionError) as caught:
            await door.send("POST", "/emails")
        assert caught.value.sent
        assert not isinstance(caught.value, APITimeoutError)
        assert len(door.sandbox.dump()["mailboxes"]) == done


@both_ways
@pytest.mark.parametrize("fault", [Truncate(), Truncate(0), Truncate(3), Reset(after=3)])
async def test_an_answer_cut_in_its_body_is_reported_as_cut(way: str, fault: Fault) -> None:
    """Fewer bytes than announced are an unusable answer, whether the connection was closed or reset."""
    async with opened(way) as door:
        door.sandbox.faults.next(None, fault)
        with pytest.raises(APIResponseError, match="cut"):
            await door.send("GET", FREE)
        assert (await door.send("GET", FREE)).status == 200


@both_ways
async def test_a_slow_download_comes_in_pieces(way: str) -> None:
    """A dripping file arrives piece by piece, whole in the end, at about the rate that was set."""
    async with opened(way) as door:
        message = door.sandbox.deliver(await door.mailbox(), attachments=[("a", b"x" * 2_000)])
        door.sandbox.faults.next("stream_attachment", Slow(10_000))
        request = Request(
            "GET", f"/messages/{message}/attachments/a", {"Authorization": f"Bearer {door.sandbox.api_key}"}
        )
        begun = door.transport.now()
        stream = await door.transport.stream(request, timeout=5)
        pieces: list[bytes] = []
        while piece := await stream.read(5):
            pieces.append(piece)
        stream.close()
        assert b"".join(pieces) == b"x" * 2_000
        assert len(pieces) > 1
        assert door.transport.now() - begun >= 0.19


@both_ways
@pytest.mark.parametrize("fault", [Duplicate(), Reorder()])
async def test_a_file_cannot_be_bent(way: str, fault: Fault) -> None:
    """A fault that changes JSON leaves a file as it is, whatever endpoint it was scripted for."""
    async with opened(way) as door:
        message = door.sandbox.deliver(await door.mailbox(), attachments=[("a", b"[1, 2]")])
        door.sandbox.faults.next(None, fault)
        assert (await door.send("GET", f"/messages/{message}/attachments/a")).body == b"[1, 2]"


def test_a_whole_number_may_have_a_fraction_of_zero() -> None:
    """JSON knows one kind of number: 502.0 is the status 502."""
    assert fault_from_json(json.loads('{"kind": "status", "status": 502.0}')) == Status(502)


async def test_random_faults_repeat_with_their_seed() -> None:
    """The same seed and the same calls meet the same faults; scripted ones come first; a rate of 0 ends it."""

    def course(seed: int) -> list[str]:
        faults = Sandbox().faults
        faults.randomly(0.5, [Status(502), BadJson()], seed=seed, endpoints=["list_messages", "get_message"])
        faults.next("list_messages", Reset())
        met = [faults.take("list_messages") for _ in range(50)] + [faults.take("list_domains") for _ in range(50)]
        faults.randomly(0, [Status(502)])
        met += [faults.take("list_messages") for _ in range(50)]
        return [fault.kind if fault else "" for fault in met]

    assert course(1) == course(1)
    assert course(1) != course(2)
    assert course(1)[0] == "reset"
    assert set(course(1)[1:50]) == {"", "status", "bad_json"}
    assert set(course(1)[50:]) == {""}


def test_clear_forgets_all_faults() -> None:
    """After clear() nothing goes wrong any more."""
    faults = Sandbox().faults
    faults.next(None, Status())
    faults.randomly(1, [Status()])
    faults.clear()
    assert faults.take("list_messages") is None


def test_a_wrong_script_is_refused_at_once() -> None:
    """A mistyped endpoint or an impossible number is refused where it is written, not where it fails to happen."""
    faults: Any = Sandbox().faults
    with pytest.raises(ConfigurationError, match="list_messages"):
        faults.next("list_mesages", Status())
    with pytest.raises(ConfigurationError, match="times"):
        faults.next(None, Status(), times=0)
    with pytest.raises(ConfigurationError, match="rate"):
        faults.randomly(1.5, [Status()])
    with pytest.raises(ConfigurationError, match="endpoint"):
        faults.randomly(0.5, [Status()], endpoints=["all"])


WRONG: list[tuple[Any, tuple[Any, ...], str]] = [
    (Status, (99,), "status"),
    (Status, ("502",), "status"),
    (HtmlPage, (200, b""), "body"),
    (Headers, (["a"],), "headers"),
    (Delay, (-1,), "seconds"),
    (Slow, ("fast",), "rate"),
    (Truncate, (-2,), "after"),
    (Reset, (None,), "after"),
    (Reply, (200, 1), "body"),
    (Reply, (200, "\ud800"), "body"),
    (Reply, (200, "", {"Content-Length": "1"}), "headers"),
    (Reply, (200, "", {}, 1), "done"),
    (Status, (True,), "status"),
    (Status, (500, "\ud800"), "message"),
    (Status, (500, "x", {"X": 5}), "headers"),
    (Status, (500, "x", {"X": "a\r\nB: c"}), "headers"),
    (Status, (500, "x", {"two words": "a"}), "headers"),
    (Headers, ({"X": 5},), "headers"),
    (RateLimited, ("x\r\nY: z",), "retry_after"),
    (RateLimited, (-1,), "retry_after"),
    (Delay, (float("nan"),), "seconds"),
    (Delay, (float("inf"),), "seconds"),
    (Delay, (True,), "seconds"),
]


@pytest.mark.parametrize(
    ("make", "arguments", "words"),
    WRONG,
)
def test_an_impossible_fault_is_refused_at_once(make: Any, arguments: tuple[Any, ...], words: str) -> None:
    """A fault that could not happen is refused where it is made, with the argument that is wrong."""
    with pytest.raises(ConfigurationError, match=words):
        make(*arguments)


@pytest.mark.parametrize(
    "fault",
    [
        Status(502, "x", {"A": "b"}),
        RateLimited("soon"),
        HtmlPage(),
        BadJson(),
        Reply(200, "{}", done=True),
        Headers({"A": None}),
        Duplicate(),
        Reorder(),
        Delay(2),
        Slow(3),
        Truncate(4),
        Reset(5, done=False),
        Stall(6),
    ],
)
def test_faults_travel_as_json(fault: Fault) -> None:
    """Each fault can be sent to a control route and arrives as the same value."""
    assert fault_from_json(json.loads(json.dumps(fault_to_json(fault)))) == fault


def test_what_json_cannot_carry_is_shown_as_text() -> None:
    """Bytes and functions in a script are described, never an error in the list of pending faults."""
    assert fault_to_json(Reply(body=b"\xff"))["body"] == "\N{REPLACEMENT CHARACTER}"
    assert "function" in fault_to_json(Edit(lambda answer: answer))["change"]


@pytest.mark.parametrize(
    "value", [{}, {"kind": "edit"}, {"kind": "status", "colour": 1}, {"kind": ["status"]}, {"kind": "nothing"}]
)
def test_an_unknown_fault_is_refused(value: dict[str, Any]) -> None:
    """Kinds and arguments that do not exist are named."""
    with pytest.raises(ConfigurationError, match="kind"):
        fault_from_json(value)
