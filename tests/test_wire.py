"""Answers become values, or errors that say what is wrong with them."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted import answer

import tempmailg
from tempmailg import _body as body
from tempmailg import _endpoints as endpoints
from tempmailg import _errors as err
from tempmailg import _headers
from tempmailg import _wire as wire
from tempmailg._retry import may_retry
from tempmailg.transport import Response

SAMPLES = Path(__file__).parent / "samples"
MOMENT = datetime(2026, 6, 28, 9, 38, 51, tzinfo=UTC)
BOX = "randombox@example.com"
MESSAGE_ID = "ap94AWDg123ELQz07vrVB9dLXlbqZM5NGwYxOJKko8n6m1"


@pytest.fixture(autouse=True, params=["standard library", "orjson"])
def _decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test of this file with both JSON decoders."""
    if request.param == "orjson":
        orjson = pytest.importorskip("orjson")
        monkeypatch.setattr(body, "_fast_loads", orjson.loads)
    else:
        monkeypatch.setattr(body, "_fast_loads", body.plain_loads)


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
    ({"is_seen": "True"}, "is_seen", True),
    ({"is_seen": "no"}, "is_seen", False),
    ({"is_seen": ""}, "is_seen", False),
    ({"html": "true"}, "is_html", True),
    ({"html": "YES"}, "is_html", True),
    ({"html": None}, "is_html", False),
    ({"subject": None}, "subject", ""),
    ({"from": None}, "from_name", ""),
    ({"content": None}, "content", ""),
    ({"id": 482913}, "id", "482913"),
    ({"subject": 482913}, "subject", "482913"),
    ({"subject": -7}, "subject", "-7"),
    ({"from": 2024}, "from_name", "2024"),
    ({"from_email": 5}, "from_email", "5"),
    ({"to": 5}, "to", "5"),
    ({"content": 0}, "content", "0"),
    ({"attachments": None}, "attachments", ()),
    ({"attachments": []}, "attachments", ()),
    ({"attachments": {}}, "attachments", ()),
    ({"unknown": {"deep": [1]}}, "id", MESSAGE_ID),
]


@pytest.mark.parametrize(("changes", "attribute", "value"), TOLERATED, ids=[str(change) for change, _, _ in TOLERATED])
def test_what_the_reference_tolerates_is_tolerated(changes: dict[str, object], attribute: str, value: object) -> None:
    """Null and numbers for text, odd spellings of flags, absent lists and unknown fields cost nothing of a message."""
    found = read(**changes)
    assert getattr(found, attribute) == value
    assert found.problems == ()


@pytest.mark.parametrize("size", ["91", 91, 91.0, "91.0"])
def test_a_size_may_arrive_in_several_spellings(size: object) -> None:
    """A whole number in quotes, or with an empty fraction, is that number."""
    assert read(attachments=[{"name": "x", "size": size}]).attachments[0].size == 91


@pytest.mark.parametrize("digits", ["18446744073709551616", "-9223372036854775809", "1" * 250])
def test_a_number_for_text_may_have_any_number_of_digits(digits: str) -> None:
    """It is its decimal text with either decoder, also where it would be a float in the one; so nothing is left out."""
    number = int(digits)
    odd = {"id": number, "subject": number, "attachments": [{"name": number}]}
    listed = decoded(endpoints.list_messages(BOX), {"messages": [message(), message(**odd)]})
    assert [each.id for each in listed] == [MESSAGE_ID, digits]
    assert (listed.unreadable, listed[1].subject, listed[1].attachments[0].name) == ((), digits, digits)
    found = read(**odd)
    assert (found.subject, found.problems) == (digits, ())


def test_the_texts_of_a_file_may_arrive_as_numbers() -> None:
    """A file called 2024 of the type 7 is that file, and knows its message, even if that is called 5."""
    found = read(id=5, attachments=[{"name": 2024, "extension": 7, "url": 1}])
    assert found.attachments == (tempmailg.Attachment(name="2024", extension="7", url="1", message_id="5"),)


def test_the_texts_of_a_mailbox_and_of_a_domain_may_arrive_as_numbers() -> None:
    """A token or a plan of digits alone is that text, as in a message."""
    made = decoded(endpoints.create_mailbox(), {"data": {**sample("create_mailbox")["data"], "email_token": 71}})
    assert made.email_token == "71"
    listed = decoded(
        endpoints.list_domains(), {"data": {"domains": [{"domain": 163, "type": 1}], "allowed_types": [2]}}
    )
    assert listed.domains == (tempmailg.Domain(domain="163", type="1"),)
    assert listed.allowed_types == ("2",)


def test_a_map_with_numeric_keys_is_the_list_of_its_values() -> None:
    """PHP writes a filtered array as an object; so may messages, files, domains and plans arrive."""
    files = {"2": {"name": "b"}, "7": {"name": "c"}}
    listed = decoded(
        endpoints.list_messages(BOX), {"messages": {"1": message(id="x", attachments=files), "3": message()}}
    )
    assert [each.id for each in listed] == ["x", MESSAGE_ID]
    assert [(file.name, file.message_id) for file in listed[0].attachments] == [("b", "x"), ("c", "x")]
    domains = decoded(
        endpoints.list_domains(), {"data": {"domains": {"4": {"domain": "a.example"}}, "allowed_types": {"0": "free"}}}
    )
    assert (domains.domains, domains.allowed_types) == ((tempmailg.Domain(domain="a.example"),), ("free",))


@pytest.mark.parametrize("nothing", [None, {}, []])
def test_an_empty_list_may_arrive_as_null_or_as_an_empty_object(nothing: object) -> None:
    """A mailbox without mail is a mailbox without mail, however the service writes that."""
    assert decoded(endpoints.list_messages(BOX), {"status": True, "messages": nothing}) == []
    domains = decoded(endpoints.list_domains(), {"data": {"domains": nothing, "allowed_types": nothing}})
    assert domains == tempmailg.DomainList()


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


UNREADABLE: list[tuple[dict[str, object], str]] = [
    ({"receivedAt": 5}, "messages[1].receivedAt: expected a date and time, got 5"),
    ({"receivedAt": "yesterday"}, 'messages[1].receivedAt: expected a date and time, got "yesterday"'),
    ({"receivedAt": None, "size": 1}, "messages[1].receivedAt: expected a date and time, got null"),
    ({"id": None}, "messages[1].id: expected text, got null"),
    ({"id": ""}, 'messages[1].id: expected text, got ""'),
    ({"id": True}, "messages[1].id: expected text, got true"),
    ({"id": 1.5, "subject": []}, "messages[1].id: expected text, got 1.5"),
    ({"id": {}, "attachments": [{"name": "a"}]}, "messages[1].id: expected text, got an object"),
]


@pytest.mark.parametrize(("changes", "text"), UNREADABLE, ids=[text for _, text in UNREADABLE])
def test_a_message_without_what_it_needs_is_reported_beside_its_neighbours(
    changes: dict[str, object], text: str
) -> None:
    """A message without id or time costs nobody else's; its error names the field as the service writes it."""
    items = [message(id="a"), message(**changes), message(id="c")]
    listed = decoded(endpoints.list_messages(BOX), {"status": True, "messages": items})
    assert [each.id for each in listed] == ["a", "c"]
    (error,) = listed.unreadable
    assert str(error) == f"the answer cannot be used: {text}"
    assert json.loads(error.body)["to"] == BOX
    assert (error.call, error.status) == ("list_messages", 200)


LEFT_OUT: list[tuple[dict[str, object], dict[str, object], list[str]]] = [
    ({"from": ["a"]}, {"from_name": ""}, ["data.from: expected text, got a list"]),
    ({"subject": 1e5}, {"subject": ""}, ["data.subject: expected text, got 100000.0"]),
    ({"subject": True}, {"subject": ""}, ["data.subject: expected text, got true"]),
    ({"is_seen": "maybe"}, {"is_seen": False}, ['data.is_seen: expected true or false, got "maybe"']),
    ({"html": 2}, {"is_html": False}, ["data.html: expected true or false, got 2"]),
    ({"html": [1]}, {"is_html": False}, ["data.html: expected true or false, got a list"]),
    ({"attachments": "abc"}, {"attachments": ()}, ['data.attachments: expected a list, got "abc"']),
    ({"attachments": {"a": 1}}, {"attachments": ()}, ["data.attachments: expected a list, got an object"]),
    (
        {"to": [], "content": {}},
        {"to": "", "content": ""},
        ["data.to: expected text, got a list", "data.content: expected text, got an object"],
    ),
]


@pytest.mark.parametrize(("changes", "values", "problems"), LEFT_OUT, ids=[problems[0] for _, _, problems in LEFT_OUT])
def test_an_optional_field_that_cannot_be_read_is_its_default(
    changes: dict[str, object], values: dict[str, object], problems: list[str]
) -> None:
    """One odd field never ends an answer: the rest is there, and the message says what was left out."""
    found = read(**changes)
    assert {name: getattr(found, name) for name in values} == values
    assert list(found.problems) == problems
    assert (found.id, found.received_at) == (MESSAGE_ID, MOMENT)


SIZES: list[object] = ["", "many", True, 3.9, "9" * 10_000, -(2**70), [], {}]


@pytest.mark.parametrize("size", SIZES, ids=[repr(size)[:20] for size in SIZES])
def test_a_size_that_cannot_be_read_is_unknown(size: object) -> None:
    """A file of an odd size is still a file."""
    found = read(attachments=[{"name": "x", "size": size}, {"name": "y", "size": 5}])
    assert [(file.name, file.size) for file in found.attachments] == [("x", None), ("y", 5)]
    (problem,) = found.problems
    assert problem.startswith("data.attachments[0].size: expected a whole number, got ")
    assert len(problem) < 200


def test_a_file_that_cannot_be_read_hides_neither_its_message_nor_its_neighbours() -> None:
    """A file without a name, or that is no file, is left out of its message, which says so."""
    files = [{"name": "a"}, {"size": 1}, 7, {"name": "d"}, {"name": None}]
    found = read(attachments=files)
    assert [file.name for file in found.attachments] == ["a", "d"]
    assert found.problems == (
        "data.attachments[1].name: the field is missing",
        "data.attachments[2]: expected an object, got 7",
        "data.attachments[4].name: expected text, got null",
    )


def test_a_domain_that_cannot_be_read_does_not_hide_its_neighbours() -> None:
    """The same holds for domains and for the plan's types."""
    data = {"domains": [{"domain": "a.example"}, {"type": "Free"}], "allowed_types": ["free", None]}
    found = decoded(endpoints.list_domains(), {"status": True, "data": data})
    assert ([each.domain for each in found.domains], found.allowed_types) == (["a.example"], ("free",))
    assert found.problems == (
        "data.allowed_types[1]: expected text, got null",
        "data.domains[1].domain: the field is missing",
    )


LIFETIMES: list[tuple[dict[str, object], int | None, bool]] = [
    ({"expires_in_seconds": 599.7}, 599, True),
    ({"expires_in_seconds": "599.7"}, 599, True),
    ({"expires_in_seconds": "600"}, 600, True),
    ({"expires_in_seconds": "soon"}, 600, True),
    ({"expires_in_seconds": float("inf")}, 600, True),
    ({"expire_at": None}, 600, False),
    ({"expire_at": "never"}, 600, False),
    ({"expire_at": None, "expires_in_seconds": None}, None, False),
    ({"expire_at": 5, "expires_in_seconds": True, "created_at": []}, None, False),
]


@pytest.mark.parametrize(("changes", "seconds", "is_dated"), LIFETIMES, ids=[str(each) for each, *_ in LIFETIMES])
def test_a_mailbox_is_usable_whatever_its_times_say(
    changes: dict[str, object], seconds: int | None, *, is_dated: bool
) -> None:
    """A mailbox that was made is returned, though its life cannot be read: its address is all that it takes."""
    payload = {"status": True, "data": {**sample("create_mailbox")["data"], **changes}}
    made = decoded(endpoints.create_mailbox(), payload)
    assert (made.email, made.expires_in_seconds) == (BOX, seconds)
    assert (made.expires_at is not None) == is_dated


def test_a_mailbox_needs_nothing_but_its_address() -> None:
    """Number, domain and times may all be missing; without an address there is no mailbox."""
    made = decoded(endpoints.create_mailbox(), {"data": {"id": "x", "email": BOX}})
    assert made == tempmailg.Mailbox(
        email=BOX, domain="example.com", problems=('data.id: expected a whole number, got "x"',)
    )
    with pytest.raises(err.APIResponseError, match=r"data\.email: the field is missing"):
        decoded(endpoints.create_mailbox(), {"data": {"id": 1}})


def test_a_token_that_cannot_be_read_is_not_shown() -> None:
    """What stands where the mailbox's secret should be is in none of the words about it."""
    data = {**sample("create_mailbox")["data"], "email_token": ["hidden"]}
    made = decoded(endpoints.create_mailbox(), {"data": data})
    assert made.problems == ("data.email_token: expected text",)


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


def test_a_list_of_messages_is_a_list_and_survives_a_journey() -> None:
    """What could not be read travels with the list through pickle and copy, and is not part of its comparison."""
    listed = decoded(endpoints.list_messages(BOX), {"messages": [message(), 5]})
    assert type(listed) is tempmailg.MessageList
    for copied in (pickle.loads(pickle.dumps(listed)), copy.copy(listed), copy.deepcopy(listed)):
        assert copied == listed == [read()]
        assert [str(error) for error in copied.unreadable] == [str(error) for error in listed.unreadable]


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
    (b'{"messages": 5}', "messages: expected a list, got 5", "never"),
    (b'{"messages": {"a": {}}}', "messages: expected a list, got an object", "never"),
]


@pytest.mark.parametrize(("body", "text", "repeat"), UNUSABLE, ids=[text for _, text, _ in UNUSABLE])
def test_an_unusable_answer_says_why(body: bytes, text: str, repeat: str) -> None:
    """HTML, cut or misshapen JSON is an error that says so; only what may be whole next time is worth a repeat."""
    with pytest.raises(err.APIResponseError, match=text.replace("[", r"\[")) as caught:
        wire.decode(
            endpoints.list_messages(BOX) if b"messages" in body else endpoints.get_message("x"), answer(body=body)
        )
    assert policy(caught.value) == repeat


@pytest.mark.parametrize("begin", [b"", b" \r\n\t", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"", b"\n", b" \r\n\t "])
def test_space_around_an_answer_does_not_matter(begin: bytes, end: bytes) -> None:
    """What JSON allows around a value, and a byte order mark before it, make no difference."""
    whole = answer(body=begin + b'{"status": true, "messages": []}' + end)
    assert wire.decode(endpoints.list_messages(BOX), whole) == []


@pytest.mark.parametrize("end", [b"x", b"\n{}", b"\x00", b"\x0b", b"\xc2\xa0"])
def test_an_answer_with_more_behind_it_is_no_json(end: bytes) -> None:
    """Two values, or a value with anything but space behind it, are no answer."""
    with pytest.raises(err.UnreadableResponseError):
        wire.decode(endpoints.list_messages(BOX), answer(body=b'{"status": true, "messages": []}' + end))


def test_a_number_of_ten_thousand_digits_is_an_unusable_answer() -> None:
    """A number that Python refuses to read is an error of the answer, not a crash."""
    body = b'{"status": true, "data": {"id": %s}}' % (b"9" * 10_000)
    with pytest.raises(err.APIResponseError):
        wire.decode(endpoints.create_mailbox(), answer(body=body))


DELETIONS: list[endpoints.Call[Any]] = [endpoints.delete_mailbox(BOX), endpoints.delete_message("x")]
deletions = pytest.mark.parametrize("deletion", DELETIONS, ids=[each.name for each in DELETIONS])

SUCCESSES: list[object] = [True, 1, "true", "1", "success", "ok", "OK", "True", None]


@deletions
@pytest.mark.parametrize("status", SUCCESSES)
def test_success_is_one_of_these(status: object, deletion: endpoints.Call[Any]) -> None:
    """These words, null and no word at all say that the request was done."""
    wire.decode(deletion, answer({"status": status, "message": "Deleted"}))
    wire.decode(deletion, answer({"message": "Deleted"}))
    wire.decode(deletion, answer({"success": status}))


STATUS_REFUSALS: list[object] = [
    *(False, 0, "false", "0", "error", "fail", "failed", "failure", "False", "FALSE", "no", "Error", "ERROR"),
    *("", " ", 404, "404", 2, -1, 0.5, [], {}, [True], {"a": 1}),
]
REFUSALS: list[dict[str, object]] = [
    *({"status": said} for said in STATUS_REFUSALS),
    {"success": False},
    {"success": "no", "status": True},
    {"error": "Mailbox limit reached"},
    {"error": {"code": 7}},
    {"error": True},
    {"errors": {"email": ["unknown"]}},
]


@deletions
@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_anything_else_is_a_rejection(refusal: dict[str, object], deletion: endpoints.Call[Any]) -> None:
    """What does not say that it is a success is none, for a deletion above all, which has no other proof."""
    for call in (deletion, endpoints.create_mailbox()):
        with pytest.raises(err.RequestRejectedError, match="Mailbox limit reached") as caught:
            decoded(call, {**sample("create_mailbox"), "message": "Mailbox limit reached", **refusal})
        assert caught.value.status == 200


@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        ({"error": "Unknown mailbox"}, "Unknown mailbox"),
        ({"error": {"message": "Unknown mailbox", "code": 7}}, "Unknown mailbox"),
        ({"errors": {"email": ["Unknown", "mailbox"]}}, "Unknown; mailbox"),
        ({"success": False}, "no reason given"),
        ({"status": 0, "message": 482913}, "482913"),
        ({"status": 0, "message": True}, "no reason given"),
    ],
    ids=str,
)
def test_a_rejection_says_why_wherever_the_reason_stands(envelope: dict[str, object], reason: str) -> None:
    """The service's words are found in all the places where they may be."""
    with pytest.raises(err.RequestRejectedError, match=f"rejected the request: {reason}$"):
        decoded(endpoints.delete_mailbox(BOX), envelope)


@pytest.mark.parametrize("nothing", [None, False, 0, "", [], {}, "0", "false"], ids=repr)
def test_an_empty_complaint_is_none(nothing: object) -> None:
    """A field for errors that holds none does not turn a success into a refusal."""
    decoded(endpoints.delete_mailbox(BOX), {"status": True, "error": nothing, "errors": nothing})


@deletions
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (204, b""),
        (204, b"gone"),
        (200, b""),
        (200, b" \n"),
        (200, b"[]"),
        (200, b"[ ]\n"),
        (200, b"{}"),
        (200, b"\xef\xbb\xbf[]"),
    ],
)
def test_a_deletion_without_content_is_a_success(status: int, body: bytes, deletion: endpoints.Call[Any]) -> None:
    """204, an empty body and an empty object or list say that it was done."""
    wire.decode(deletion, answer(status=status, body=body))


@pytest.mark.parametrize("body", [b"null", b"5", b"gone", b"<p>ok", b"[1]", b'["status"]'])
def test_a_deletion_that_is_answered_by_anything_else_is_unusable(body: bytes) -> None:
    """What the reference does not describe is no proof that something was deleted."""
    with pytest.raises(err.APIResponseError):
        wire.decode(endpoints.delete_mailbox(BOX), answer(body=body))


def test_the_body_of_an_attachment_is_its_value() -> None:
    """A call that returns bytes returns the body as it is, and an error status raises."""
    call = endpoints.stream_attachment(("m", "file.txt"))
    assert wire.decode(call, answer(body=b'{"status": false}')) == b'{"status": false}'
    with pytest.raises(err.NotFoundError):
        wire.decode(call, answer({}, status=404))


def test_an_empty_answer_is_no_value() -> None:
    """Where a value is expected, an empty body or 204 is an error, as before."""
    for empty in (answer(status=204, body=b""), answer(body=b""), answer(body=b"[]")):
        with pytest.raises(err.APIResponseError):
            wire.decode(endpoints.list_messages(BOX), empty)


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
    *((status, err.ServerError, "safe") for status in (525, 526, 530, 598, 599)),
    *((status, err.ServerError, "never") for status in (505, 507, 511, 519, 531, 597)),
    (302, err.APIResponseError, "never"),
]


@pytest.mark.parametrize(("status", "kind", "repeat"), STATUSES, ids=[str(status) for status, _, _ in STATUSES])
def test_each_status_has_its_error(status: int, kind: type[Exception], repeat: str) -> None:
    """An error status becomes the class that the tree names for it, and knows whether it may be repeated."""
    error = wire.status_error(answer({"status": False, "message": "No such thing."}, status=status))
    assert (type(error), error.status, policy(error)) == (kind, status, repeat)
    assert status == 302 or "No such thing." in str(error)


def test_the_services_complaints_by_field_are_kept() -> None:
    """422 says which field was refused and why, in the text and as data."""
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
    return _headers.quota_of(answer({}, headers=headers).headers)


def test_the_quota_is_read_from_headers_in_any_case() -> None:
    """The documented headers become a Quota, with the reset's own offset kept."""
    declared = quota()
    assert declared is not None
    assert (declared.limit, declared.used, declared.remaining) == (50_000, 124, 49_876)
    assert declared.resets_at is not None
    assert declared.resets_at.isoformat() == "2026-05-01T00:00:00+05:00"


def test_a_quota_is_completed_where_it_can_be_and_ignored_where_it_is_garbage() -> None:
    """A used count that is missing or malformed follows from the two others, without which there is no report."""
    for used in (None, "", "many", "9" * 400):
        declared = quota(used=used, reset=None)
        assert declared is not None
        assert (declared.used, declared.resets_at) == (124, None)
    assert quota(limit=None) is None
    assert quota(remaining="many") is None


RESETS = ["1780000000", "1780000000.5", "3600", "soon", "", "2026-13-01T00:00:00Z"]


@pytest.mark.parametrize("reset", RESETS)
def test_an_odd_reset_is_unknown_and_the_counts_are_known(reset: str) -> None:
    """An epoch, or whatever else cannot be read, costs that field and not the quota."""
    declared = quota(reset=reset)
    assert declared is not None
    assert (declared.limit, declared.used, declared.remaining, declared.resets_at) == (50_000, 124, 49_876, None)


def test_an_odd_reset_of_a_spent_quota_is_unknown_too() -> None:
    """That nothing is left is known, whenever that will end."""
    headers = {"X-RateLimit-Limit": "9", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1780000000"}
    error = wire.status_error(answer({}, status=429, headers=headers))
    assert isinstance(error, err.QuotaExceededError)
    assert error.resets_at is None


# ------------------------------------------------------------------------------------------------------ support cases


@pytest.mark.parametrize(
    ("status", "content", "from_service"),
    [
        (404, b'{"status": false, "message": "No such mailbox."}', True),
        (410, b"{}", True),
        (404, b"<html><p>404 Not Found</p></html>", False),
        (404, b"404 page not found", False),
        (404, b"", False),
        (404, b"[]", False),
        (404, b'"gone"', False),
        (404, b'{"status": fal', False),
        (403, b'{"message": "Not yours."}', True),
        (502, b"<p>Bad gateway", False),
    ],
)
def test_an_error_says_whether_it_is_the_services_own(status: int, content: bytes, *, from_service: bool) -> None:
    """Only JSON is the service's word; a 404 page of a proxy does not mean that a mailbox is gone."""
    error = wire.status_error(answer(status=status, body=content))
    assert isinstance(error, err.APIStatusError)
    assert error.from_service is from_service


def test_a_page_that_says_it_is_json_is_a_page() -> None:
    """JSON that is announced as HTML is not trusted to be the service's."""
    error = wire.status_error(answer({"status": False}, status=404, headers={"Content-Type": "text/html"}))
    assert isinstance(error, err.APIStatusError)
    assert not error.from_service


SUPPORT = {
    "CF-Ray": "8f1a-FRA",
    "X-Request-Id": "req-7\x1b[31m",
    "Server": "cloudflare",
    "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
    "Set-Cookie": "session=secret",
    "Authorization": "Bearer secret",
    "X-Debug": "secret",
    "Location": "https://user:secret@example.com/",
    "Via": "x" * 10_000,
}


@pytest.mark.parametrize(
    "response",
    [
        answer({"message": "no"}, status=403, headers=SUPPORT),
        answer(body=b"<p>oops", status=502, headers=SUPPORT),
        answer({"status": False}, headers=SUPPORT),
        answer(body=b"{", headers=SUPPORT),
        answer(status=302, headers=SUPPORT),
    ],
    ids=["403", "502", "rejected", "no JSON", "redirect"],
)
def test_an_error_carries_what_a_support_case_needs(response: Response) -> None:
    """Each error of an answer has the request's id and the harmless headers, cleaned and short, and no others."""
    with pytest.raises(err.TempMailError) as caught:
        wire.decode(endpoints.list_messages(BOX), response)
    error = caught.value
    assert error.request_id == "req-7 [31m"
    assert set(error.headers) == {"CF-Ray", "X-Request-Id", "Server", "Date", "Via"}
    assert len(error.headers["Via"]) == 200
    assert "secret" not in str(error.headers) + str(error)


def test_the_requests_id_is_in_the_text_of_a_status_error() -> None:
    """Who copies the line of a log into a mail to the support has said what they need to know."""
    error = wire.status_error(answer({"message": "Oops."}, status=500, headers={"CF-Ray": "8f1a-FRA"}))
    assert error.request_id == "8f1a-FRA"
    assert str(error) == "status 500: Oops. (request 8f1a-FRA)"
    bare = wire.status_error(answer({"message": "Oops."}, status=500))
    assert (bare.request_id, dict(bare.headers), str(bare)) == (None, {}, "status 500: Oops.")


def test_304_is_told_as_what_it_is() -> None:
    """An answer that was not modified is no redirect."""
    error = wire.status_error(answer(status=304, body=b""))
    assert isinstance(error, err.APIResponseError)
    assert "not modified" in str(error)
    assert "redirect" not in str(error)


@pytest.mark.parametrize(
    ("coding", "named"),
    [
        ("br", "br"),
        ("gzip, zstd", "zstd"),
        ("FOO\x9b", "foo"),
        ("gzip, gzip, gzip, gzip", "gzip, gzip, gzip, gzip"),
        *((known, None) for known in ("x-gzip", "gzip, gzip", "GZIP", " deflate", "none", "identity, identity", "")),
    ],
)
@pytest.mark.parametrize("status", [200, 502])
def test_an_encoding_that_was_not_asked_for_is_named(coding: str, named: str | None, status: int) -> None:
    """A body that nobody can decode is reported by its encoding, neither as bad JSON nor as the service's words."""
    response = answer(body=b"\x1f\x8b", headers={"Content-Encoding": coding}, status=status)
    with pytest.raises(err.TempMailError) as caught:
        wire.decode(endpoints.list_messages(BOX), response)
    assert (f"in the encoding {named!r}, which was not asked for" in str(caught.value)) == (named is not None)
    assert ("not asked for" in str(caught.value)) == (named is not None)
    assert type(caught.value) is {
        (200, True): err.UnreadableResponseError,
        (200, False): err.APIResponseError,
    }.get((status, named is None), err.ServerError)


def test_a_body_that_is_json_is_read_whatever_encoding_it_claims() -> None:
    """Servers that name a character set in `Content-Encoding` are understood."""
    response = answer({"messages": []}, headers={"Content-Encoding": "utf-8"})
    assert wire.decode(endpoints.list_messages(BOX), response) == []


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
