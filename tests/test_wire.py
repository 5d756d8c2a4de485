"""Answers become values, or errors that say what is wrong with them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted import answer

import tempmailg
from tempmailg import _endpoints as endpoints
from tempmailg import _errors as err
from tempmailg import _wire as wire
from tempmailg._retry import may_retry

SAMPLES = Path(__file__).parent / "samples"
MOMENT = datetime(2026, 6, 28, 9, 38, 51, tzinfo=UTC)
BOX = "randombox@example.com"
MESSAGE_ID = "ap94AWDg123ELQz07vrVB9dLXlbqZM5NGwYxOJKko8n6m1"


@pytest.fixture(autouse=True, params=["standard library", "orjson"])
def _decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test of this file with both JSON decoders."""
    if request.param == "orjson":
        orjson = pytest.importorskip("orjson")
        monkeypatch.setattr(wire, "_fast_loads", orjson.loads)
    else:
        monkeypatch.setattr(wire, "_fast_loads", json.loads)


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_bytes())


def decoded(call: endpoints.Call[Any], payload: object) -> Any:
    return wire.decode(call, answer(payload))


def message(**changes: object) -> dict[str, Any]:
    return {**sample("get_message")["data"], **changes}


def read(**changes: object) -> tempmailg.Message:
    """Decode the sample message with some of its fields changed."""
    return wire.decode(endpoints.get_message("x"), answer({"status": True, "data": message(**changes)}))


def expected_message(*, is_seen: bool) -> tempmailg.Message:
    return tempmailg.Message(
        id=MESSAGE_ID,
        subject="Welcome to Temp Mail",
        from_name="Example Sender",
        from_email="hello@example.org",
        to=BOX,
        received_at=MOMENT,
        is_seen=is_seen,
        is_html=True,
        content="<p>Hello from the inbox.</p>",
        attachments=(
            tempmailg.Attachment(
                name="file.txt",
                extension="txt",
                size=91,
                url=f"https://v1.tempmailg.com/api/messages/{MESSAGE_ID}/attachments/file.txt",
                message_id=MESSAGE_ID,
            ),
        ),
    )


def expected_mailbox(id: int, email: str) -> tempmailg.Mailbox:  # noqa: A002 - the field's own name
    return tempmailg.Mailbox(
        id=id,
        email=email,
        domain="example.com",
        expires_at=MOMENT + timedelta(seconds=600),
        expires_in_seconds=600,
        created_at=MOMENT,
        email_token="encrypted-email-token",
    )


EXPECTED: list[tuple[str, endpoints.Call[Any], Any]] = [
    (
        "list_domains",
        endpoints.list_domains(),
        tempmailg.DomainList(
            requested_type="free",
            allowed_types=("free",),
            domains=(tempmailg.Domain(domain="example.com", type="Free", custom=False),),
        ),
    ),
    ("create_mailbox", endpoints.create_mailbox(), expected_mailbox(2301, BOX)),
    (
        "update_mailbox",
        endpoints.update_mailbox(BOX, "demo123", "example.com"),
        expected_mailbox(2302, "demo123@example.com"),
    ),
    ("delete_mailbox", endpoints.delete_mailbox(BOX), None),
    ("list_messages", endpoints.list_messages(BOX), [expected_message(is_seen=False)]),
    ("get_message", endpoints.get_message(MESSAGE_ID), expected_message(is_seen=True)),
    ("delete_message", endpoints.delete_message(MESSAGE_ID), None),
]


@pytest.mark.parametrize(("name", "call", "expected"), EXPECTED, ids=[name for name, _, _ in EXPECTED])
def test_the_documented_answers_decode_to_the_documented_values(
    name: str, call: endpoints.Call[Any], expected: object
) -> None:
    """Each sample of the API's documentation becomes exactly the value that it describes."""
    assert wire.decode(call, answer(sample(name))) == expected


def test_every_time_is_aware() -> None:
    """A time without an offset is read as UTC, one with an offset keeps it, and none is naive."""
    assert read(receivedAt="2026-06-28 09:38:51").received_at == MOMENT
    assert read(receivedAt="2026-06-28T14:38:51+05:00").received_at == MOMENT
    assert read(receivedAt="2026-06-28T09:38:51.000000").received_at == MOMENT
    assert read(receivedAt="2026-06-28T09:38:51Z").received_at.utcoffset() == timedelta(0)


def test_the_mailboxs_token_is_in_no_repr() -> None:
    """The secret of a mailbox is kept as data but never shown."""
    mailbox = wire.decode(endpoints.create_mailbox(), answer(sample("create_mailbox")))
    assert mailbox.email_token == "encrypted-email-token"
    assert "encrypted-email-token" not in repr(mailbox) + str(mailbox)


TOLERATED: list[tuple[dict[str, object], str, object]] = [
    ({"is_seen": 1}, "is_seen", True),
    ({"is_seen": "0"}, "is_seen", False),
    ({"html": "true"}, "is_html", True),
    ({"html": None}, "is_html", False),
    ({"subject": None}, "subject", ""),
    ({"from": None}, "from_name", ""),
    ({"content": None}, "content", ""),
    ({"attachments": None}, "attachments", ()),
    ({"attachments": []}, "attachments", ()),
    ({"unknown": {"deep": [1]}}, "id", MESSAGE_ID),
]


@pytest.mark.parametrize(("changes", "attribute", "value"), TOLERATED, ids=[str(change) for change, _, _ in TOLERATED])
def test_what_the_reference_tolerates_is_tolerated(changes: dict[str, object], attribute: str, value: object) -> None:
    """Null text, numbers for booleans, absent lists and unknown fields do not cost a message."""
    assert getattr(read(**changes), attribute) == value


@pytest.mark.parametrize("size", ["91", 91])
def test_a_size_may_arrive_as_text(size: object) -> None:
    """A number in quotes is that number."""
    assert read(attachments=[{"name": "x", "size": size}]).attachments[0].size == 91


def test_missing_optional_fields_take_their_defaults() -> None:
    """Only id and time are needed to tell one message from another; the rest may be missing."""
    bare = decoded(endpoints.get_message("x"), {"data": {"id": "m", "receivedAt": "2026-06-28 09:38:51"}})
    assert bare == tempmailg.Message(id="m", received_at=MOMENT)


def test_a_mailbox_without_its_derived_fields_is_completed() -> None:
    """Domain and remaining seconds follow from address and times when the service leaves them out."""
    data = sample("create_mailbox")["data"]
    del data["domain"], data["expires_in_seconds"], data["email_token"]
    mailbox = decoded(endpoints.create_mailbox(), {"status": True, "data": data})
    assert (mailbox.domain, mailbox.expires_in_seconds, mailbox.email_token) == ("example.com", 600, "")


def test_an_empty_object_may_arrive_as_an_empty_list() -> None:
    """PHP's `[]` for an object is an object without fields."""
    assert decoded(endpoints.list_domains(), {"status": True, "data": []}) == tempmailg.DomainList()


BROKEN: list[tuple[dict[str, object], str]] = [
    ({"receivedAt": 5}, r"messages\[1\]\.receivedAt: expected a date and time, got 5"),
    ({"receivedAt": "yesterday"}, r'messages\[1\]\.receivedAt: expected a date and time, got "yesterday"'),
    ({"receivedAt": None}, r"messages\[1\]\.receivedAt: expected a date and time, got null"),
    ({"id": None}, r"messages\[1\]\.id: expected text, got null"),
    ({"id": ""}, r"messages\[1\]\.id: expected text"),
    ({"from": ["a"]}, r"messages\[1\]\.from: expected text, got a list"),
    ({"subject": 3}, r"messages\[1\]\.subject: expected text, got 3"),
    ({"is_seen": "maybe"}, r'messages\[1\]\.is_seen: expected true or false, got "maybe"'),
    ({"html": 2}, r"messages\[1\]\.html: expected true or false, got 2"),
    ({"attachments": "abc"}, r'messages\[1\]\.attachments: expected a list, got "abc"'),
    ({"attachments": [{"name": "a"}, {"size": 1}]}, r"messages\[1\]\.attachments\[1\]\.name: the field is missing"),
    ({"attachments": [{"name": "a", "size": 3.9}]}, r"attachments\[0\]\.size: expected a whole number, got 3\.9"),
    ({"attachments": [{"name": "a", "size": "9" * 10_000}]}, r"attachments\[0\]\.size: expected a whole number"),
    ({"attachments": [7]}, r"messages\[1\]\.attachments\[0\]: expected an object, got 7"),
]


@pytest.mark.parametrize(("changes", "text"), BROKEN, ids=[text for _, text in BROKEN])
def test_a_field_that_does_not_fit_is_named_by_its_path_on_the_wire(changes: dict[str, object], text: str) -> None:
    """What the reference does not tolerate raises, and the error names the field as the service writes it."""
    with pytest.raises(err.APIResponseError, match=text):
        decoded(endpoints.list_messages(BOX), {"status": True, "messages": [message(), message(**changes)]})


def test_one_bad_message_does_not_hide_the_good_ones() -> None:
    """Whoever waits for mail gets the readable messages, and an error for each unreadable one."""
    items = [message(id="a"), message(id="b", receivedAt=1), message(id="c"), 5]
    good, bad = wire.decode_messages(answer({"status": True, "messages": items}))
    assert [each.id for each in good] == ["a", "c"]
    assert [str(error).partition(": ")[2] for error in bad] == [
        "messages[1].receivedAt: expected a date and time, got 1",
        "messages[3]: expected an object, got 5",
    ]
    assert json.loads(bad[0].body)["id"] == "b"


def policy(error: err.TempMailError) -> str:
    """Return the retry policy that an error's class, `sent` and status amount to."""
    if may_retry(error, is_safe=False):
        return "always"
    if may_retry(error, attempt=2):
        return "safe"
    return "once" if may_retry(error) else "never"


UNUSABLE: list[tuple[bytes, str, str]] = [
    (b"", "an empty body", "once"),
    (b"<!doctype html><p>hi", "an HTML page instead of JSON", "once"),
    (b'{"status": true, "data"', "no valid JSON", "once"),
    (b"\xff\xfe\x00", "no valid JSON", "once"),
    (b"[" * 100_000, "no valid JSON", "never"),
    (b'"text"', 'expected an object, got "text"', "never"),
    (b"[]", "expected an object, got a list", "never"),
    (b'{"status": true}', "the field 'data' is missing", "never"),
    (b'{"data": 5}', "data: expected an object, got 5", "never"),
    (b'{"messages": null}', "messages: expected a list, got null", "never"),
]


@pytest.mark.parametrize(("body", "text", "repeat"), UNUSABLE, ids=[text for _, text, _ in UNUSABLE])
def test_an_unusable_answer_says_why(body: bytes, text: str, repeat: str) -> None:
    """HTML, cut or misshapen JSON is an error that says so; only what may be whole next time is worth a repeat."""
    with pytest.raises(err.APIResponseError, match=text.replace("[", r"\[")) as caught:
        wire.decode(
            endpoints.list_messages(BOX) if b"messages" in body else endpoints.get_message("x"), answer(body=body)
        )
    assert policy(caught.value) == repeat


def test_a_number_of_ten_thousand_digits_is_an_unusable_answer() -> None:
    """A number that Python refuses to read is an error of the answer, not a crash."""
    body = b'{"status": true, "data": {"id": %s}}' % (b"9" * 10_000)
    with pytest.raises(err.APIResponseError):
        wire.decode(endpoints.create_mailbox(), answer(body=body))


@pytest.mark.parametrize("refused", [False, 0, "false"])
def test_success_that_says_it_failed_is_a_rejection(refused: object) -> None:
    """Status 200 with `"status": false` raises with the service's reason."""
    with pytest.raises(err.RequestRejectedError, match="Mailbox limit reached") as caught:
        decoded(endpoints.create_mailbox(), {"status": refused, "message": "Mailbox limit reached"})
    assert caught.value.status == 200


def test_a_deletion_without_content_is_a_success() -> None:
    """204 with an empty body says that the mailbox is deleted."""
    wire.decode(endpoints.delete_mailbox(BOX), answer(status=204, body=b""))


STATUSES = [
    (400, err.BadRequestError, "never"),
    (401, err.AuthenticationError, "never"),
    (403, err.PermissionDeniedError, "never"),
    (404, err.NotFoundError, "never"),
    (409, err.ConflictError, "never"),
    (408, err.APIStatusError, "always"),
    (410, err.NotFoundError, "never"),
    (418, err.APIStatusError, "never"),
    (422, err.InvalidRequestError, "never"),
    (425, err.APIStatusError, "always"),
    (429, err.RateLimitError, "always"),
    (500, err.ServerError, "safe"),
    (501, err.ServerError, "never"),
    (502, err.ServerError, "safe"),
    (503, err.ServerError, "safe"),
    (504, err.ServerError, "safe"),
    (520, err.ServerError, "safe"),
    (524, err.ServerError, "safe"),
    (525, err.ServerError, "never"),
    (302, err.APIResponseError, "never"),
]


@pytest.mark.parametrize(("status", "kind", "repeat"), STATUSES, ids=[str(status) for status, _, _ in STATUSES])
def test_each_status_has_its_error(status: int, kind: type[Exception], repeat: str) -> None:
    """An error status becomes the class that the tree names for it, and knows whether it may be repeated."""
    error = wire.status_error(answer({"status": False, "message": "No such thing."}, status=status))
    assert (type(error), error.status, policy(error)) == (kind, status, repeat)
    assert status == 302 or "No such thing." in str(error)


def test_the_services_complaints_by_field_are_kept() -> None:
    """422 tells which field was refused and why, in the text and as data."""
    payload = {"status": False, "message": "Invalid.", "errors": {"username": ["Too short.", "Taken."], "domain": "?"}}
    error = wire.status_error(answer(payload, status=422))
    assert isinstance(error, err.InvalidRequestError)
    assert error.errors == {"username": ("Too short.", "Taken."), "domain": ("?",)}
    assert "username: Too short., Taken." in str(error)


def test_a_proxys_page_is_named_and_not_dumped() -> None:
    """A 403 challenge page says that a proxy answered; its HTML is not in the text."""
    page = b"<html><head><title>Just a moment...</title></head>" + b"<p>x</p>" * 10_000
    error = wire.status_error(answer(status=403, body=page, headers={"Content-Type": "text/html"}))
    assert isinstance(error, err.PermissionDeniedError)
    assert "a proxy in front of the service answered with an HTML page" in str(error)
    assert "<" not in str(error)
    assert len(error.body) <= 2_000


def test_control_characters_of_an_answer_reach_no_terminal() -> None:
    """Escape sequences, bidi marks and zero-width characters in the service's words are blanked out."""
    hostile = "a\x1b[31mred\x07\u202eevil\u200b\x9b1m"
    error = wire.status_error(answer({"message": hostile}, status=400))
    assert not set("\x1b\x07\u202e\u200b\x9b") & set(str(error) + error.body)


def test_nothing_left_of_the_quota_is_its_own_error() -> None:
    """429 with nothing remaining cannot be waited out, so it is not repeated and names the reset."""
    headers = {
        "X-RateLimit-Limit": "50000",
        "X-RateLimit-Used": "50000",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "2026-05-01T00:00:00+05:00",
    }
    error = wire.status_error(answer({}, status=429, headers=headers))
    assert isinstance(error, err.QuotaExceededError)
    assert policy(error) == "never"
    assert error.resets_at == datetime(2026, 4, 30, 19, tzinfo=UTC)


RETRY_AFTER = [
    (["7"], None, 7.0),
    (["0"], None, 0.0),
    (["Wed, 21 Oct 2026 07:28:30 GMT"], "Wed, 21 Oct 2026 07:28:00 GMT", 30.0),
    (["Wed, 21 Oct 2026 07:27:00 GMT"], "Wed, 21 Oct 2026 07:28:00 GMT", 0.0),
    (["Wed, 21 Oct 2026 07:28:30 GMT"], None, None),
    (["soon"], None, None),
    (["-3"], None, None),
    (["1.5e3"], None, None),
    (["\u0663"], None, None),
    (["3", "4"], None, None),
    (["9" * 400], None, 1e20),
]


@pytest.mark.parametrize(("values", "date", "seconds"), RETRY_AFTER, ids=[str(v)[:40] for v, _, _ in RETRY_AFTER])
def test_retry_after_is_read_on_the_services_own_clock(
    values: list[str], date: str | None, seconds: float | None
) -> None:
    """Seconds and dates count, a date from the answer's own; garbage and contradictions do not."""
    response = answer({}, status=429, headers={"Date": date} if date else {})
    for value in values:
        response.headers.add("Retry-After", value)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - a CIMultiDict in the tests
    error = wire.status_error(response)
    assert isinstance(error, err.RateLimitError)
    assert error.retry_after == pytest.approx(seconds)


def quota(**changes: str | None) -> tempmailg.Quota | None:
    headers = {
        "x-ratelimit-limit": "50000",
        "X-RATELIMIT-USED": "124",
        "X-RateLimit-Remaining": "49876",
        "X-RateLimit-Reset": "2026-05-01T00:00:00+05:00",
    }
    for name, value in changes.items():
        header = next(each for each in headers if each.lower().endswith(name))
        headers.pop(header)
        if value is not None:
            headers[header] = value
    return wire.quota_of(answer({}, headers=headers).headers)


def test_the_quota_is_read_from_headers_in_any_case() -> None:
    """The documented headers become a Quota, with the reset's own offset kept."""
    told = quota()
    assert told is not None
    assert (told.limit, told.used, told.remaining) == (50_000, 124, 49_876)
    assert told.resets_at is not None
    assert told.resets_at.isoformat() == "2026-05-01T00:00:00+05:00"


def test_a_quota_is_completed_where_it_can_be_and_ignored_where_it_is_garbage() -> None:
    """A missing count follows from the others; a malformed header makes the whole telling worthless."""
    told = quota(used=None, reset=None)
    assert told is not None
    assert (told.used, told.resets_at) == (124, None)
    assert quota(limit=None) is None
    assert quota(remaining="many") is None
    assert quota(reset="1780000000") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
field_names = st.sampled_from(["id", "receivedAt", "attachments", "html", "name", "size", "data", "messages", "status"])
shaped = st.recursive(
    json_values,
    lambda inner: st.dictionaries(field_names, inner, max_size=9) | st.lists(inner, max_size=3),
    max_leaves=20,
)


@given(payload=shaped)
def test_any_json_is_a_value_or_an_error_of_ours(payload: object) -> None:
    """Whatever JSON the server invents, decoding ends in a value or a TempMailError."""
    for call in (endpoints.list_domains(), endpoints.create_mailbox(), endpoints.list_messages(BOX)):
        try:
            wire.decode(call, answer({"status": True, "data": payload, "messages": payload}))
        except err.TempMailError as error:
            assert error.body
        try:
            wire.decode(call, answer(payload))
        except err.TempMailError as error:
            assert str(error)


@given(body=st.binary(max_size=200), status=st.integers(100, 599))
def test_any_bytes_are_a_value_or_an_error_of_ours(body: bytes, status: int) -> None:
    """Whatever bytes the server sends under whatever status, decoding ends in a value or a TempMailError."""
    try:
        wire.decode(endpoints.list_messages(BOX), answer(status=status, body=body))
    except err.TempMailError as error:
        assert error.status == status
