"""Values cross borders: dicts, JSON text, pydantic's models, FastAPI's bodies, Celery's messages."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import attrs
import fastapi
import httpx
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils import json as kombu_json  # pyright: ignore[reportMissingTypeStubs]

from tempmailg import (
    Attachment,
    CodeCandidate,
    ConfigurationError,
    Domain,
    DomainList,
    LinkCandidate,
    Mailbox,
    Message,
    Quota,
)
from tempmailg._serial import Value, json_line

if TYPE_CHECKING:
    from support.shell import Shell

pytest_plugins = ["support.shell"]

MOMENT = datetime(2026, 6, 28, 9, 38, 51, tzinfo=UTC)
TOKEN = "t0ken-of-the-mailbox"
FILE = Attachment(name="file.txt", extension="txt", size=91, url="https://example.com/f", message_id="m1")
MESSAGE = Message(
    id="m1",
    subject="Grüße",
    from_name="Shop",
    from_email="shop@example.org",
    to="box@example.com",
    received_at=MOMENT,
    is_html=True,
    content="<p>\x7f",
    attachments=(FILE,),
    problems=("data.html: odd",),
)
MAILBOX = Mailbox(id=7, email="box@example.com", domain="example.com", expires_at=MOMENT, email_token=TOKEN)
SAMPLES: list[Value] = [
    MESSAGE,
    MAILBOX,
    FILE,
    Domain(domain="example.com", type="Free", custom=True),
    DomainList(requested_type="free", allowed_types=("free",), domains=(Domain(domain="example.com"),)),
    Quota(limit=10, used=3, remaining=7, resets_at=MOMENT),
    CodeCandidate("482913", 9.5, "alone on a line", "text", 4, 10),
    LinkCandidate("https://example.com/?a=1", "Confirm", 8.0, "a button", False, 0, 7),
]
samples = pytest.mark.parametrize("value", SAMPLES, ids=[type(value).__name__ for value in SAMPLES])

# --------------------------------------------------------------------------------------------------- there and back

texts = st.text(max_size=20)
counts = st.integers(-(2**63), 2**63)
moments = st.datetimes(
    timezones=st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)
problems = st.lists(texts, max_size=2).map(tuple)
domains = st.builds(Domain, domain=texts, type=texts, custom=st.booleans())
files = st.builds(Attachment, name=texts, extension=texts, size=st.none() | counts, url=texts, message_id=texts)
values: st.SearchStrategy[Value] = st.one_of(
    domains,
    files,
    st.builds(
        DomainList,
        requested_type=texts,
        allowed_types=st.lists(texts, max_size=3).map(tuple),
        domains=st.lists(domains, max_size=3).map(tuple),
        problems=problems,
    ),
    st.builds(
        Mailbox,
        id=st.none() | counts,
        email=texts,
        domain=texts,
        expires_at=st.none() | moments,
        expires_in_seconds=st.none() | counts,
        created_at=st.none() | moments,
        email_token=texts,
        problems=problems,
    ),
    st.builds(
        Message,
        id=texts,
        subject=texts,
        from_name=texts,
        from_email=texts,
        to=texts,
        received_at=moments,
        is_seen=st.booleans(),
        is_html=st.booleans(),
        content=texts,
        attachments=st.lists(files, max_size=2).map(tuple),
        problems=problems,
    ),
    st.builds(Quota, limit=counts, used=counts, remaining=counts, resets_at=st.none() | moments),
    st.builds(
        CodeCandidate, texts, st.floats(allow_nan=False), texts, st.sampled_from(["subject", "text"]), counts, counts
    ),
    st.builds(LinkCandidate, texts, texts, st.floats(allow_nan=False), texts, st.booleans(), counts, counts),
)


@given(values)
def test_every_value_comes_back_as_it_was(value: Value) -> None:
    """Through a dict, through JSON text and through any JSON library, nothing is lost and nothing changes."""
    kind = type(value)
    plain = value.to_dict(include_secrets=True)
    assert kind.from_dict(plain) == value
    assert kind.from_dict(json.loads(json.dumps(plain))) == value
    assert kind.from_json(value.to_json(include_secrets=True)) == value
    assert json.loads(value.to_json()) == value.to_dict()


@given(values)
def test_the_text_is_one_line_of_plain_characters(value: Value) -> None:
    """A terminal, a log or an old encoding cannot be harmed by a value's JSON."""
    text = value.to_json()
    assert text.isascii()
    assert text.isprintable()


def test_the_dict_holds_what_the_documentation_says() -> None:
    """Times are ISO 8601 with an offset, tuples lists, values dicts; problems are there if there are any."""
    assert MESSAGE.to_dict() == {
        "id": "m1",
        "subject": "Grüße",
        "from_name": "Shop",
        "from_email": "shop@example.org",
        "to": "box@example.com",
        "received_at": "2026-06-28T09:38:51+00:00",
        "is_seen": False,
        "is_html": True,
        "content": "<p>\x7f",
        "attachments": [
            {"name": "file.txt", "extension": "txt", "size": 91, "url": "https://example.com/f", "message_id": "m1"}
        ],
        "problems": ["data.html: odd"],
    }
    assert "problems" not in MAILBOX.to_dict()


def test_a_mailboxs_token_is_left_out_unless_it_is_asked_for() -> None:
    """What is written to a queue or a log holds no secret by accident; who needs it says so."""
    assert "email_token" not in MAILBOX.to_dict()
    assert TOKEN not in MAILBOX.to_json()
    assert MAILBOX.to_dict(include_secrets=True)["email_token"] == TOKEN
    assert TOKEN in MAILBOX.to_json(include_secrets=True)
    assert Mailbox.from_json(MAILBOX.to_json()).email_token == ""


def test_programs_of_different_versions_understand_each_other() -> None:
    """Fields with a default may be missing, and unknown ones are ignored."""
    assert Message.from_dict({"id": "m", "received_at": MOMENT.isoformat(), "new": 1}) == Message(
        id="m", received_at=MOMENT
    )
    assert Mailbox.from_dict({"email": "a@b.example"}) == Mailbox(email="a@b.example")


ODD: list[tuple[type[Value], object, str]] = [
    (Message, {}, r"Message cannot be made of this: the field is missing @ \$\.id"),
    (Message, [], "expected an object, got list"),
    (Message, None, "expected an object, got NoneType"),
    (Message, {"id": 5, "received_at": MOMENT}, r"expected text, got int @ \$\.id"),
    (Message, {"id": "m", "received_at": "2026-06-28 09:38:51"}, r"with an offset @ \$\.received_at"),
    (Message, {"id": "m", "received_at": MOMENT.replace(tzinfo=None)}, r"with an offset @ \$\.received_at"),
    (Message, {"id": "m", "received_at": 5}, r"with an offset @ \$\.received_at"),
    (Message, {"id": "m", "received_at": MOMENT, "is_seen": 1}, r"expected true or false, got int @ \$\.is_seen"),
    (Message, {"id": "m", "received_at": MOMENT, "attachments": "abc"}, "expected a list, got str"),
    (Message, {"id": "m", "received_at": MOMENT, "attachments": [5]}, r"expected an object @ \$\.attachments\[0\]"),
    (
        Message,
        {"id": "m", "received_at": MOMENT, "attachments": [{"name": "a", "message_id": "m", "size": "9"}]},
        r"\$\.attachments\[0\]\.size",
    ),
    (Mailbox, {"email": "a@b.example", "id": True}, r"expected a whole number, got bool @ \$\.id"),
    (Mailbox, {"email": "a@b.example", "email_token": [TOKEN]}, r"expected text, got list @ \$\.email_token"),
    (CodeCandidate, {**SAMPLES[6].to_dict(), "place": "footer"}, "expected one of 'subject', 'text'"),
    (CodeCandidate, {**SAMPLES[6].to_dict(), "score": "high"}, "expected a number, got str"),
]


@pytest.mark.parametrize(("kind", "data", "text"), ODD, ids=[text for *_, text in ODD])
def test_what_is_no_value_is_refused_with_the_place(kind: type[Value], data: Any, text: str) -> None:
    """Bad data is a ConfigurationError that names the field, and repeats nothing of it."""
    with pytest.raises(ConfigurationError, match=text) as caught:
        kind.from_dict(data)
    assert TOKEN not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", "\xff", b"\xff", "[" * 100_000, 5, None])
def test_what_is_no_json_object_is_refused(text: Any) -> None:
    """Bad text is a ConfigurationError, too."""
    with pytest.raises(ConfigurationError, match="Mailbox cannot be made of this"):
        Mailbox.from_json(text)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(SAMPLES), st.data())
def test_any_dict_is_a_value_or_a_clear_error(value: Value, data: st.DataObject) -> None:
    """Whatever replaces a field, reading ends in a value or in a ConfigurationError."""
    plain = value.to_dict(include_secrets=True)
    name = data.draw(st.sampled_from(sorted(plain)))
    try:
        found = type(value).from_dict({**plain, name: data.draw(anything)})
    except ConfigurationError:
        return
    assert type(value).from_dict(found.to_dict(include_secrets=True)) == found


# --------------------------------------------------------------------------------------------------- the command line


def test_the_command_line_prints_the_same(shell: Shell) -> None:
    """What a command prints with --json is what to_json returns, so that either can read the other."""
    address = json.loads(shell.run("new", "--json").stdout)["email"]
    shell.sandbox.deliver(address, subject="Grüße \x7f", text="hello", attachments=[("a.txt", b"abc")])
    printed = shell.run("messages", address, "--json").stdout.strip()
    listed = [Message.from_dict(each) for each in json.loads(printed)]
    assert printed == f"[{', '.join(message.to_json() for message in listed)}]"
    assert [file.name for file in listed[0].attachments] == ["a.txt"]
    for command, kind in (("domains", DomainList), ("quota", Quota), ("new", Mailbox)):
        printed = shell.run(command, "--json").stdout.strip()
        assert kind.from_json(printed).to_json() == printed


def test_what_has_no_form_in_json_is_named() -> None:
    """A line of JSON of something that is no value is refused by its type."""
    with pytest.raises(TypeError, match="set has no form in JSON"):
        json_line({"messages": {1}})


# ------------------------------------------------------------------------------------------------ pydantic and FastAPI


class Model(pydantic.BaseModel):
    """A model of a program that holds values."""

    mailbox: Mailbox
    messages: list[Message] = []
    quota: Quota | None = None
    domains: DomainList | None = None


@samples
def test_pydantic_takes_values_as_they_are(value: Value) -> None:
    """A value in a model is that very value, not a copy."""
    assert pydantic.TypeAdapter(type(value)).validate_python(value) is value


@samples
def test_pydantic_reads_and_writes_what_to_dict_does(value: Value) -> None:
    """JSON that pydantic writes is the value's own, and pydantic reads it back."""
    adapter = pydantic.TypeAdapter(type(value))
    assert adapter.dump_python(value, mode="json") == value.to_dict()
    assert json.loads(adapter.dump_json(value)) == value.to_dict()
    expected = type(value).from_dict(value.to_dict())
    assert adapter.validate_json(value.to_json()) == expected
    assert adapter.validate_python(value.to_dict()) == expected


def test_pydantics_models_hold_values() -> None:
    """A model with values survives its own JSON, but for the secret; in Python its times stay times."""
    model = Model(mailbox=MAILBOX, messages=[MESSAGE], quota=Quota(limit=1, used=1, remaining=0))
    again = Model.model_validate_json(model.model_dump_json())
    assert again.mailbox == Mailbox.from_dict(MAILBOX.to_dict())
    assert (again.messages, again.quota) == (model.messages, model.quota)
    dumped = model.model_dump()
    assert dumped["messages"][0]["received_at"] == MOMENT
    assert TOKEN not in model.model_dump_json() + str(dumped)
    assert Model.model_validate({"mailbox": MAILBOX.to_dict(include_secrets=True)}).mailbox == MAILBOX


def test_pydantics_errors_name_the_field() -> None:
    """What does not fit is reported as for pydantic's own models, by its place."""
    with pytest.raises(pydantic.ValidationError) as caught:
        Model.model_validate({"mailbox": {"email": 5, "expires_at": "2026-06-28T09:38:51"}, "messages": [{"id": "m"}]})
    places = {(error["loc"], error["type"]) for error in caught.value.errors()}
    assert places == {
        (("mailbox", "email"), "string_type"),
        (("mailbox", "expires_at"), "timezone_aware"),
        (("messages", 0, "received_at"), "missing"),
    }


def test_the_json_schema_describes_the_values() -> None:
    """Generated documentation names each value once, its required fields, and no secret in what is written."""
    read = Model.model_json_schema()["$defs"]
    written = Model.model_json_schema(mode="serialization")["$defs"]
    assert {"Mailbox", "Message", "Attachment", "Quota", "DomainList", "Domain"} == set(read) == set(written)
    assert {name: each["title"] for name, each in read.items()} == {name: name for name in read}
    assert read["Mailbox"]["required"] == ["email"]
    assert read["Message"]["properties"]["received_at"]["format"] == "date-time"
    assert "email_token" in read["Mailbox"]["properties"]
    assert "email_token" not in written["Mailbox"]["properties"]
    assert "problems" not in written["Message"]["required"]


def application() -> fastapi.FastAPI:
    """Return a service of somebody else that takes and returns values."""
    app = fastapi.FastAPI()

    def messages() -> list[Message]:
        return [MESSAGE]

    def echo(mailbox: Annotated[Mailbox, fastapi.Body()]) -> Mailbox:
        return mailbox

    app.get("/messages")(messages)
    app.post("/mailboxes")(echo)
    return app


async def test_fastapi_takes_and_returns_values() -> None:
    """Values are bodies and answers of FastAPI; what does not fit is its own 422."""
    transport = httpx.ASGITransport(application())
    async with httpx.AsyncClient(transport=transport, base_url="http://service.example") as client:
        listed = await client.get("/messages")
        assert listed.json() == [MESSAGE.to_dict()]
        made = await client.post("/mailboxes", json=MAILBOX.to_dict(include_secrets=True))
        assert made.json() == MAILBOX.to_dict()
        refused = await client.post("/mailboxes", json={"email": 5})
        assert refused.status_code == 422
        assert refused.json()["detail"][0]["loc"] == ["body", "email"]


def test_fastapis_documentation_knows_the_values() -> None:
    """The OpenAPI document has the values as components."""
    schemas = application().openapi()["components"]["schemas"]
    assert schemas["Message"]["properties"]["attachments"]["items"] == {"$ref": "#/components/schemas/Attachment"}
    assert {name for name in schemas if name.startswith("Mailbox")}


# --------------------------------------------------------------------------------------------------------------- Celery


def test_celerys_json_carries_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the one documented line, arguments of tasks may be values."""
    celery: Any = kombu_json
    for table in ("_encoders", "_decoders"):
        monkeypatch.setattr(kombu_json, table, dict(getattr(kombu_json, table)))
    with pytest.raises(TypeError):
        celery.dumps(MESSAGE)
    for kind in (Mailbox, Message, Attachment):
        celery.register_type(kind, kind.__name__, kind.to_dict, kind.from_dict)
    sent = celery.dumps({"args": [MESSAGE, [FILE], MAILBOX.email], "kwargs": {"mailbox": MAILBOX}})
    received = celery.loads(sent)
    assert received["args"] == [MESSAGE, [FILE], MAILBOX.email]
    assert received["kwargs"]["mailbox"] == Mailbox.from_dict(MAILBOX.to_dict())
    assert TOKEN not in sent


# --------------------------------------------------------------------------------------------------------------- cost


def test_a_program_that_needs_none_of_this_loads_none_of_it() -> None:
    """Writing a value loads neither cattrs nor pydantic; reading one loads no pydantic."""
    code = (
        "import sys, tempmailg; q = tempmailg.Quota(limit=1, used=1, remaining=0); text = q.to_json();"
        "first = {*sys.modules}; assert tempmailg.Quota.from_json(text) == q;"
        "print('cattrs' in first, 'pydantic' in sys.modules, 'pydantic_core' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "False", "False"]


VALUES = [Mailbox, Message, Attachment, Domain, DomainList, Quota, CodeCandidate, LinkCandidate]


@pytest.mark.parametrize("kind", VALUES)
def test_the_types_of_a_values_fields_can_be_read(kind: type) -> None:
    """Type hints resolve for whoever imports a value from `tempmailg`, a subclass in another module included."""
    hints = get_type_hints(type("Longer", (kind,), {}))
    assert all(not isinstance(hint, str) for hint in hints.values())
    assert hints.keys() >= {field.name for field in attrs.fields(kind)}
