"""How the sandbox behaves, over HTTP and in process alike: the eight endpoints, keys, plans, quota and time."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.doors import WAYS, opened

from tempmailg import ConfigurationError
from tempmailg._wire import MAX_BODY
from tempmailg.sandbox import Account, Limits, MailboxUnknownError, Sandbox, SandboxDomain, SandboxFullError

SAMPLES = Path(__file__).parent / "samples"
FIRST_OF_JUNE = datetime(2026, 6, 1, 12, tzinfo=UTC)
NASTY = [
    "a+b",
    "100%",
    "a%2Fb",
    "a/b",
    "a?b=c",
    "a#b",
    "a b",
    "grüße.txt",
    "日本",
    "a..b",
    "../../etc/passwd",
    "a;b=c",
    "a&b",
]

pytestmark = pytest.mark.parametrize("way", WAYS)


def shape(value: Any) -> Any:
    """Return the names and types in an answer; of a list, those of its first item."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: shape(item) for name, item in fields.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]  # pyright: ignore[reportUnknownVariableType] - mypy knows it is Any
    return type(value).__name__


async def test_every_answer_has_the_shape_of_the_documented_sample(way: str) -> None:
    """Names, nesting and types of all seven JSON answers are those of the API's documentation."""
    async with opened(way) as door:
        created = await door.json("POST", "/emails")
        first = created["data"]["email"]
        updated = await door.json("POST", f"/emails/{first}/demo123/example.com")
        door.sandbox.deliver("demo123@example.com", html="<p>Hello</p>", attachments=[("file.txt", b"x" * 91)])
        listed = await door.json("GET", "/messages?email=demo123@example.com")
        one = listed["messages"][0]["id"]
        answers = {
            "create_mailbox": created,
            "update_mailbox": updated,
            "list_messages": listed,
            "list_domains": await door.json("GET", "/domains?type=free"),
            "get_message": await door.json("GET", f"/messages/{one}"),
            "delete_message": await door.json("DELETE", f"/messages/{one}"),
            "delete_mailbox": await door.json("DELETE", "/emails/demo123@example.com"),
        }
    for name, answer in answers.items():
        sample = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
        assert shape(answer) == shape(sample), name


async def test_a_message_is_seen_once_it_was_opened(way: str) -> None:
    """Listing leaves a message unseen; getting it by its id marks it."""
    async with opened(way) as door:
        email = await door.mailbox()
        message_id = door.sandbox.deliver(email, text="hello")
        assert [message["is_seen"] for message in await door.messages(email)] == [False]
        assert (await door.json("GET", f"/messages/{message_id}"))["data"]["is_seen"] is True
        assert [message["is_seen"] for message in await door.messages(email)] == [True]


async def test_only_successes_count_against_the_quota(way: str) -> None:
    """The used count rises after 2xx answers and stays after refusals, and every answer to a known key states it."""
    async with opened(way, quota=10) as door:
        used: list[str | None] = []
        for target in (
            "/domains?type=free",
            "/domains?type=premium",
            "/domains?type=odd",
            "/messages?email=no@where.invalid",
        ):
            response = await door.send("GET", target)
            used.append(response.headers.get("X-RateLimit-Used"))
            assert response.headers.get("X-RateLimit-Limit") == "10"
        assert used == ["1", "1", "1", "1"]
        assert (await door.send("GET", "/domains?type=free")).headers.get("X-RateLimit-Remaining") == "8"


async def test_a_used_up_quota_refuses_until_the_month_turns(way: str) -> None:
    """With nothing left every call is 429 and changes nothing, and the count starts again at the stated time."""
    async with opened(way, quota=1, start=FIRST_OF_JUNE) as door:
        email = await door.mailbox()
        refused = await door.send("DELETE", f"/emails/{email}")
        assert (refused.status, refused.headers.get("X-RateLimit-Remaining")) == (429, "0")
        assert refused.headers.get("X-RateLimit-Reset") == "2026-07-01T00:00:00+05:00"
        assert door.sandbox.deliver(email, text="still there")
        resets_at = datetime.fromisoformat(refused.headers.get("X-RateLimit-Reset") or "")
        door.sandbox.clock.advance((resets_at - door.sandbox.clock.utcnow()).total_seconds())
        assert (await door.send("POST", "/emails")).headers.get("X-RateLimit-Used") == "1"


async def test_an_account_can_be_changed_while_the_sandbox_runs(way: str) -> None:
    """Plan and quota of each key are the tester's to set, and a quota nearly used up is one call away."""
    async with opened(way) as door:
        door.sandbox.set_account(remaining=1, plan="premium")
        assert door.sandbox.account() == Account("premium", 50_000, 49_999)
        assert (await door.send("GET", "/domains?type=all")).status == 200
        assert (await door.send("GET", "/domains?type=all")).status == 429
        door.sandbox.set_account("second", limit=5, used=2)
        assert (await door.send("GET", "/domains?type=free", key="second")).headers.get("X-RateLimit-Remaining") == "2"
        with pytest.raises(ConfigurationError, match="set_account"):
            door.sandbox.account("third")
        with pytest.raises(ConfigurationError, match="plan"):
            door.sandbox.set_account(plan="gold")  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("authorization", ["Bearer wrong", "Bearer", "Basic c2FuZGJveC1rZXk=", "sandbox-key", ""])
async def test_a_missing_or_wrong_key_is_refused_before_anything_else(way: str, authorization: str) -> None:
    """Without the right bearer key the answer is 401, whatever was requested, and states no quota."""
    async with opened(way) as door:
        email = await door.mailbox()
        for method, target in (("GET", "/domains?type=odd"), ("DELETE", f"/emails/{email}"), ("GET", "/messages/x")):
            response = await door.send(method, target, headers={"Authorization": authorization})
            assert response.status == 401
            assert response.headers.get("X-RateLimit-Limit") is None
        assert await door.messages(email) == []


async def test_an_account_reaches_only_what_it_owns(way: str) -> None:
    """Mailboxes, messages and files of another key are 403, and stay as they are."""
    async with opened(way, accounts={"second": Account()}) as door:
        email = await door.mailbox()
        message = door.sandbox.deliver(email, text="mine", attachments=[("a.txt", b"a")])
        for method, target in (
            ("GET", f"/messages?email={email}"),
            ("POST", f"/emails/{email}/other/example.com"),
            ("DELETE", f"/emails/{email}"),
            ("GET", f"/messages/{message}"),
            ("DELETE", f"/messages/{message}"),
            ("GET", f"/messages/{message}/attachments/a.txt"),
        ):
            assert (await door.send(method, target, key="second")).status == 403, target
        assert [item["is_seen"] for item in await door.messages(email)] == [False]


async def test_a_mailbox_ends_after_600_seconds_with_its_messages(way: str) -> None:
    """At the stated moment mailbox, messages and files are gone, mail for it is refused, and its address is free."""
    async with opened(way) as door:
        door.sandbox.clock.freeze()
        data = (await door.json("POST", "/emails"))["data"]
        assert data["expires_in_seconds"] == 600
        message = door.sandbox.deliver(data["email"], text="hello", attachments=[("a.txt", b"a")])
        door.sandbox.clock.advance(599)
        assert len(await door.messages(data["email"])) == 1
        door.sandbox.clock.advance(1)
        for target in (
            f"/messages?email={data['email']}",
            f"/messages/{message}",
            f"/messages/{message}/attachments/a.txt",
        ):
            assert (await door.send("GET", target)).status == 404
        with pytest.raises(MailboxUnknownError, match="expired"):
            door.sandbox.deliver(data["email"], text="late")
        other = await door.mailbox()
        name, _, domain = data["email"].partition("@")
        assert (await door.json("POST", f"/emails/{other}/{name}/{domain}"))["data"]["email"] == data["email"]


@pytest.mark.parametrize(
    ("plan", "wanted", "status", "count"),
    [
        ("free", "free", 200, 2),
        ("free", "premium", 403, 0),
        ("free", "all", 403, 0),
        ("premium", "free", 200, 2),
        ("premium", "premium", 200, 1),
        ("premium", "all", 200, 3),
        ("premium", "odd", 422, 0),
    ],
)
async def test_the_plan_decides_which_domains_are_listed(
    way: str, plan: str, wanted: str, status: int, count: int
) -> None:
    """A free plan lists free domains only, a premium plan all three types, and other types do not exist."""
    async with opened(way, plan=plan) as door:
        response = await door.send("GET", f"/domains?type={wanted}")
        answer = json.loads(response.body)
        assert response.status == status
        assert len(answer.get("data", {}).get("domains", [])) == count
        assert ("type" in answer.get("errors", {})) is (status == 422)


async def test_missing_query_parameters_are_named(way: str) -> None:
    """A request without its query parameter is 422 and says which field it lacks."""
    async with opened(way) as door:
        for target, field in (("/domains", "type"), ("/messages", "email"), ("/messages?email=", "email")):
            response = await door.send("GET", target)
            assert (response.status, list(json.loads(response.body)["errors"])) == (422, [field])


async def test_an_update_moves_to_a_new_mailbox(way: str) -> None:
    """The new address has a new id and a full life, the old one is gone with its mail, in any case of letters."""
    async with opened(way) as door:
        first = (await door.json("POST", "/emails"))["data"]
        door.sandbox.deliver(first["email"], text="old")
        second = (await door.json("POST", f"/emails/{first['email'].upper()}/Demo.User/EXAMPLE.org"))["data"]
        assert (second["email"], second["domain"]) == ("Demo.User@example.org", "example.org")
        assert second["id"] != first["id"]
        assert second["email_token"] != first["email_token"]
        assert await door.messages("demo.user@example.org") == []
        assert (await door.send("GET", f"/messages?email={first['email']}")).status == 404


@pytest.mark.parametrize(
    ("username", "domain", "status", "field"),
    [
        ("demo", "premium.example", 403, None),
        ("demo", "nowhere.invalid", 422, "domain"),
        ("two words", "example.com", 422, "username"),
        ("a@b", "example.com", 422, "username"),
        (".dot", "example.com", 422, "username"),
        ("x" * 65, "example.com", 422, "username"),
        ("", "example.com", 422, "username"),
        ("taken", "example.com", 409, None),
    ],
)
async def test_an_update_to_a_forbidden_address_changes_nothing(
    way: str, username: str, domain: str, status: int, field: str | None
) -> None:
    """Foreign plans, unknown domains, impossible names and taken addresses are refused, and the mailbox stays."""
    async with opened(way) as door:
        await door.json("POST", f"/emails/{await door.mailbox()}/taken/example.com")
        email = await door.mailbox()
        response = await door.send("POST", f"/emails/{email}/{quote(username, safe='')}/{domain}")
        assert response.status == status
        assert list(json.loads(response.body).get("errors", [None])) == [field]
        assert await door.messages(email) == []


async def test_a_mailbox_may_be_updated_to_its_own_address(way: str) -> None:
    """Switching to the current address renews the mailbox."""
    async with opened(way) as door:
        email = await door.mailbox()
        name, _, domain = email.partition("@")
        assert (await door.json("POST", f"/emails/{email}/{name}/{domain}"))["data"]["email"] == email


@pytest.mark.parametrize("name", NASTY)
async def test_nasty_names_arrive_as_they_were_meant(way: str, name: str) -> None:
    """Addresses, usernames, ids and file names reach the endpoint exactly, whatever characters they hold."""
    coded = quote(name, safe="")
    async with opened(way) as door:
        await door.send("GET", f"/messages?email={coded}%40example.com")
        await door.send("DELETE", f"/emails/{coded}%40example.com")
        await door.send("POST", f"/emails/{coded}%40example.com/{coded}/{coded}")
        await door.send("GET", f"/messages/{coded}")
        await door.send("GET", f"/messages/{coded}/attachments/{coded}")
        assert [dict(entry.arguments) for entry in door.sandbox.journal] == [
            {"email": f"{name}@example.com"},
            {"email": f"{name}@example.com"},
            {"email": f"{name}@example.com", "username": name, "domain": name},
            {"id": name},
            {"id": name, "name": name},
        ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: name not in (".", "..")))
def test_any_name_arrives_as_it_was_meant(way: str, name: str) -> None:
    """A file of any name at all can be fetched under that name."""

    async def check() -> None:
        async with opened(way) as door:
            email = await door.mailbox()
            message = door.sandbox.deliver(email, attachments=[(name, name.encode())])
            found = (await door.messages(email))[0]["attachments"][0]
            assert found["name"] == name
            assert found["url"] == f"{door.sandbox.base_url}/messages/{message}/attachments/{quote(name, safe='')}"
            file = await door.send("GET", found["url"].removeprefix(door.sandbox.base_url))
            assert file.body == name.encode()

    asyncio.run(check())


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/nothing", 404),
        ("GET", "/emails//", 404),
        ("GET", "/messages/1/2/3", 404),
        ("GET", "/messages/1/attachments/2/3", 404),
        ("PUT", "/emails", 405),
        ("GET", "/emails/a@b", 405),
        ("PATCH", "/messages/1", 405),
        ("DELETE", "/messages/1/attachments/2", 405),
        ("GET", "/messages/%ff", 400),
    ],
)
async def test_unknown_routes_and_methods_are_refused_in_json(way: str, method: str, target: str, status: int) -> None:
    """What is no endpoint is 404, 405 with Allow, or 400, in the envelope of every error."""
    async with opened(way) as door:
        response = await door.send(method, target)
        assert response.status == status
        assert json.loads(response.body)["status"] is False
        assert (response.headers.get("Allow") is not None) is (status == 405)
        assert [entry.endpoint for entry in door.sandbox.journal] == [""]


async def test_a_plus_in_a_query_is_a_space(way: str) -> None:
    """A query is decoded as forms are, so a client that forgets to encode its plus meets what PHP would do."""
    async with opened(way) as door:
        await door.send("GET", "/messages?email=a+b%2Bc@example.com")
        assert door.sandbox.journal[-1].arguments == {"email": "a b+c@example.com"}


@pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
async def test_the_order_of_messages_is_a_setting(way: str, order: str) -> None:
    """Newest first, oldest first, or shuffled anew for each list, since the API promises nothing."""
    async with opened(way, order=order, seed=1) as door:
        email = await door.mailbox()
        ids = [door.sandbox.deliver(email, text=str(number)) for number in range(8)]
        first = [message["id"] for message in await door.messages(email)]
        second = [message["id"] for message in await door.messages(email)]
        assert sorted(first) == sorted(ids)
        assert {"newest": first == ids[::-1], "oldest": first == ids, "shuffled": first not in (ids, second)}[order]


async def test_a_seed_makes_everything_repeatable(way: str) -> None:
    """Two sandboxes with one seed and one start give the same answers, and others do not."""

    async def found(seed: int | None) -> object:
        async with opened(way, seed=seed, start=FIRST_OF_JUNE) as door:
            door.sandbox.clock.freeze()
            made = await door.json("POST", "/emails")
            door.sandbox.deliver(made["data"]["email"], text="hello")
            return made, await door.messages(made["data"]["email"])

    assert await found(7) == await found(7)
    assert await found(7) != await found(8)
    assert await found(None) != await found(None)


async def test_fields_become_the_message_that_is_told(way: str) -> None:
    """A message made of fields is delivered as given, to the second of its arrival."""
    async with opened(way) as door:
        email = await door.mailbox()
        at = datetime(2026, 6, 28, 11, 38, 51, tzinfo=UTC).astimezone() - timedelta(microseconds=0)
        message_id = door.sandbox.deliver(
            email, subject="Hi ✓", sender="Ann <ann@example.org>", html="<b>x</b>", text="unused", received_at=at
        )
        assert await door.messages(email) == [
            {
                "is_seen": False,
                "subject": "Hi ✓",
                "from": "Ann",
                "from_email": "ann@example.org",
                "to": email,
                "receivedAt": "2026-06-28 11:38:51",
                "id": message_id,
                "html": True,
                "content": "<b>x</b>",
                "attachments": [],
            }
        ]


async def test_an_email_becomes_the_message_that_is_told(way: str) -> None:
    """EmailMessage values and raw bytes are read alike."""
    mail = EmailMessage()
    mail["Subject"], mail["From"] = "Grüße", "Jürgen <j@example.org>"
    mail.set_content("plain\n")
    mail.add_attachment(b"\x00\xff", maintype="application", subtype="pdf", filename="ä.pdf")
    async with opened(way) as door:
        email = await door.mailbox()
        door.sandbox.deliver(email, mail)
        door.sandbox.deliver(email, mail.as_bytes())
        for message in await door.messages(email):
            assert (message["subject"], message["from"], message["content"]) == ("Grüße", "Jürgen", "plain\n")
            assert [(file["name"], file["extension"], file["size"]) for file in message["attachments"]] == [
                ("ä.pdf", "pdf", 2)
            ]


async def test_an_attachment_is_sent_as_a_file(way: str) -> None:
    """Bytes, length, media type and name arrive, and a page made by a stranger is not shown as one."""
    data = bytes(range(256)) * 4096
    async with opened(way) as door:
        email = await door.mailbox()
        message = door.sandbox.deliver(email, attachments=[("a ü.html", data, "text/html"), ("b", b"", "no type\r\n")])
        file = await door.send("GET", f"/messages/{message}/attachments/a%20%C3%BC.html")
        empty = await door.send("GET", f"/messages/{message}/attachments/b")
        assert (file.status, file.body, file.headers.get("Content-Length")) == (200, data, str(len(data)))
        assert file.headers.get("Content-Type") == "text/html"
        assert file.headers.get("Content-Disposition") == "attachment; filename*=UTF-8''a%20%C3%BC.html"
        assert file.headers.get("X-Content-Type-Options") == "nosniff"
        assert (empty.body, empty.headers.get("Content-Type")) == (b"", "application/octet-stream")
        assert (await door.send("GET", f"/messages/{message}/attachments/c")).status == 404


async def test_nothing_is_promised_about_etags_unless_asked_for(way: str) -> None:
    """By default no answer offers an ETag or ranges, and conditional requests are answered in full."""
    async with opened(way) as door:
        email = await door.mailbox()
        message = door.sandbox.deliver(email, attachments=[("a", b"0123456789")])
        for target in (f"/messages?email={email}", f"/messages/{message}/attachments/a"):
            response = await door.send("GET", target, headers={"If-None-Match": "*", "Range": "bytes=2-3"})
            assert response.status == 200
            assert (response.headers.get("ETag"), response.headers.get("Accept-Ranges")) == (None, None)


async def test_a_list_that_did_not_change_is_304(way: str) -> None:
    """With ETags on, arrival, opening and deletion change the list's ETag; without change it is 304, and free."""
    async with opened(way, etags=True) as door:
        email = await door.mailbox()
        seen: list[str] = []

        async def etag() -> str:
            full = await door.send("GET", f"/messages?email={email}")
            value = full.headers.get("ETag") or ""
            again = await door.send("GET", f"/messages?email={email}", headers={"If-None-Match": f'"x", W/{value}'})
            assert (again.status, again.body, again.headers.get("ETag")) == (304, b"", value)
            assert again.headers.get("X-RateLimit-Used") == full.headers.get("X-RateLimit-Used")
            seen.append(value)
            return value

        await etag()
        message = door.sandbox.deliver(email, text="hello")
        await etag()
        await door.json("GET", f"/messages/{message}")
        await etag()
        await door.json("DELETE", f"/messages/{message}")
        await etag()
        assert len(set(seen)) == 4


@pytest.mark.parametrize(
    ("headers", "status", "body", "content_range"),
    [
        ({}, 200, b"0123456789", None),
        ({"Range": "bytes=2-4"}, 206, b"234", "bytes 2-4/10"),
        ({"Range": "bytes=7-"}, 206, b"789", "bytes 7-9/10"),
        ({"Range": "bytes=7-99"}, 206, b"789", "bytes 7-9/10"),
        ({"Range": "bytes=-4"}, 206, b"6789", "bytes 6-9/10"),
        ({"Range": "bytes=-99"}, 206, b"0123456789", "bytes 0-9/10"),
        ({"Range": "bytes=10-"}, 416, None, "bytes */10"),
        ({"Range": "bytes=4-2"}, 416, None, "bytes */10"),
        ({"Range": "bytes=0-1,4-5"}, 200, b"0123456789", None),
        ({"Range": "lines=1-2"}, 200, b"0123456789", None),
        ({"Range": "bytes=2-4", "If-Range": "ETAG"}, 206, b"234", "bytes 2-4/10"),
        ({"Range": "bytes=2-4", "If-Range": '"other"'}, 200, b"0123456789", None),
        ({"Range": "bytes=2-4", "If-None-Match": "ETAG"}, 304, b"", None),
    ],
)
async def test_a_download_can_be_resumed(
    way: str, headers: dict[str, str], status: int, body: bytes | None, content_range: str | None
) -> None:
    """With ETags on, attachments honour Range, If-Range and If-None-Match as RFC 9110 says."""
    async with opened(way, etags=True) as door:
        email = await door.mailbox()
        target = f"/messages/{door.sandbox.deliver(email, attachments=[('a', b'0123456789')])}/attachments/a"
        etag = (await door.send("GET", target)).headers.get("ETag") or ""
        sent = {name: value.replace("ETAG", etag) for name, value in headers.items()}
        response = await door.send("GET", target, headers=sent)
        assert response.status == status
        assert response.headers.get("Content-Range") == content_range
        if body is not None:
            assert response.body == body


async def test_a_range_reaches_across_chunks(way: str) -> None:
    """A range of a large file that came as base64 is cut at the right bytes."""
    data = bytes(number * 7 % 251 for number in range(1_000_000))
    mail = EmailMessage()
    mail.add_attachment(data, maintype="application", subtype="zip", filename="a.zip")
    async with opened(way, etags=True) as door:
        target = f"/messages/{door.sandbox.deliver(await door.mailbox(), mail)}/attachments/a.zip"
        for first, last in ((0, 0), (262_143, 262_144), (100_000, 900_000), (999_999, 999_999)):
            part = await door.send("GET", target, headers={"Range": f"bytes={first}-{last}"})
            assert part.body == data[first : last + 1]


async def test_the_journal_says_what_was_asked_but_no_key(way: str) -> None:
    """Each request is kept with its arguments, headers and status, but not its key, and the oldest are forgotten."""
    async with opened(way, limits=Limits(journal=2)) as door:
        await door.send("GET", "/nothing")
        await door.send("GET", "/domains?type=free", headers={"User-Agent": "tester"})
        await door.send("GET", "/domains?type=all")
        first, second = door.sandbox.journal
        assert (first.method, first.target, first.endpoint, first.status) == (
            "GET",
            "/domains?type=free",
            "list_domains",
            200,
        )
        assert first.headers["user-agent"] == "tester"
        assert second.status == 403
        assert door.sandbox.api_key not in repr(door.sandbox.journal) + json.dumps(
            [dict(e.headers) for e in door.sandbox.journal]
        )
        door.sandbox.clear_journal()
        assert door.sandbox.journal == []


async def test_caps_refuse_and_never_drop(way: str) -> None:
    """A full sandbox refuses mailboxes and mail, and keeps every message that it accepted."""
    limits = Limits(mailboxes=2, messages=3, total_bytes=100, message_bytes=60)
    async with opened(way, limits=limits) as door:
        email, other = await door.mailbox(), await door.mailbox()
        assert (await door.send("POST", "/emails")).status == 503
        with pytest.raises(SandboxFullError, match="message_bytes"):
            door.sandbox.deliver(email, b"x" * 61)
        door.sandbox.deliver(email, b"x" * 60)
        with pytest.raises(SandboxFullError, match="total_bytes"):
            door.sandbox.deliver(email, b"x" * 41)
        door.sandbox.deliver(email, b"x" * 10)
        door.sandbox.deliver(other, b"x" * 10)
        with pytest.raises(SandboxFullError, match="messages"):
            door.sandbox.deliver(email, b"")
        assert (len(await door.messages(email)), len(await door.messages(other))) == (2, 1)


async def test_what_ended_makes_room(way: str) -> None:
    """Expired and deleted mail no longer counts against the caps."""
    async with opened(way, limits=Limits(mailboxes=1, messages=1)) as door:
        door.sandbox.deliver(await door.mailbox(), text="first")
        door.sandbox.clock.advance(600)
        email = await door.mailbox()
        message = door.sandbox.deliver(email, text="second")
        await door.json("DELETE", f"/messages/{message}")
        assert door.sandbox.deliver(email, text="third")
        door.sandbox.clock.advance(600)
        assert await door.mailbox()


async def test_reset_brings_the_beginning_back(way: str) -> None:
    """After a reset mailboxes, faults and journal are gone and accounts are as they were made."""
    async with opened(way, quota=5) as door:
        email = await door.mailbox()
        door.sandbox.set_account(plan="premium", limit=1)
        door.sandbox.set_account("second")
        door.sandbox.reset()
        assert door.sandbox.account() == Account("free", 5, 0)
        assert not door.sandbox.knows("second")
        assert (await door.send("GET", f"/messages?email={email}")).status == 404
        assert len(door.sandbox.journal) == 1


async def test_a_dump_brings_a_moment_back(way: str) -> None:
    """A dump is JSON without any key; another sandbox with the same keys goes on from it, its time included."""
    mail = EmailMessage()
    mail["Subject"] = "raw"
    mail.add_attachment(b"\x00\xff", maintype="application", subtype="pdf", filename="a.pdf")
    async with opened(way, start=FIRST_OF_JUNE) as door, opened(way) as other:
        email = await door.mailbox()
        door.sandbox.deliver(email, mail)
        opened_id = door.sandbox.deliver(email, html="<p>fields</p>", attachments=[("b.bin", b"\x01\xfe")])
        await door.json("GET", f"/messages/{opened_id}")
        door.sandbox.clock.freeze()
        other.sandbox.clock.freeze()
        text = json.dumps(door.sandbox.dump())
        assert door.sandbox.api_key not in text
        other.sandbox.load(json.loads(text))
        before, after = await door.messages(email), await other.messages(email)
        assert json.dumps(after).replace(other.sandbox.base_url, door.sandbox.base_url) == json.dumps(before)
        assert other.sandbox.clock.utcnow() == door.sandbox.clock.utcnow()
        assert other.sandbox.account() == door.sandbox.account()
        assert json.dumps(other.sandbox.dump()) == json.dumps(door.sandbox.dump())
        new = [(await one.json("POST", "/emails"))["data"]["id"] for one in (door, other)]
        assert new[0] == new[1]


async def test_a_dump_of_something_else_is_refused_and_changes_nothing(way: str) -> None:
    """Other keys, other versions and damaged dumps are refused, and the sandbox stays as it was."""
    async with opened(way) as door:
        email = await door.mailbox()
        dump = door.sandbox.dump()
        changes: list[dict[str, Any]] = [{"version": 2}, {"mailboxes": [{}]}, {"time": "late"}, {"accounts": 1}]
        with pytest.raises(ConfigurationError, match="other keys"):
            Sandbox(api_key="another").load(dump)
        for damaged in [{}, *({**dump, **change} for change in changes)]:
            with pytest.raises(ConfigurationError, match="dump"):
                door.sandbox.load(damaged)
        assert await door.messages(email) == []


@pytest.mark.parametrize("source", ["fields", "mail"])
async def test_a_mailbox_takes_no_more_than_clients_read(way: str, source: str) -> None:
    """Mail that would make the list too long for any client is refused with the reason, and what came before stays."""
    async with opened(way) as door:
        email, other = await door.mailbox(), await door.mailbox()
        text = "\u00e4\u0001" * 700_000  # 5.6 MB of JSON, so that three of them are too long
        mail = EmailMessage()
        mail.set_content(text)
        assert Limits().listing_bytes == MAX_BODY

        def deliver(address: str) -> None:
            if source == "mail":
                door.sandbox.deliver(address, mail)
            else:
                door.sandbox.deliver(address, text=text)

        deliver(email)
        deliver(email)
        with pytest.raises(SandboxFullError, match=r"the list of .* would take .* clients read 16777216"):
            deliver(email)
        assert len(await door.messages(email)) == 2
        deliver(other)
        first = (await door.messages(email))[0]["id"]
        await door.json("DELETE", f"/messages/{first}")
        deliver(email)
        door.sandbox.deliver(email, attachments=[("big.bin", bytes(20_000_000))])  # files are not in the list


async def test_small_messages_are_not_read_before_somebody_wants_them(way: str) -> None:
    """Delivery stays cheap: a mail is parsed when it is listed, or when its mailbox comes close to the cap."""
    async with opened(way) as door:
        email = await door.mailbox()
        stored = door.sandbox._state.messages[door.sandbox.deliver(email, b"Subject: a\r\n\r\nhello")]
        assert stored.read is None
        door.sandbox.deliver(email, b"\r\n" + b"x" * 2_000_000)
        assert stored.read is not None
        assert stored.listing < 2_000


async def test_messages_are_listed_in_the_order_of_their_times(way: str) -> None:
    """A message with an older `received_at` stands behind newer ones, and those of one moment as they arrived."""
    async with opened(way) as door:
        email = await door.mailbox()
        door.sandbox.clock.freeze()
        for subject, received in (("first", None), ("second", None), ("older", FIRST_OF_JUNE), ("third", None)):
            door.sandbox.deliver(email, subject=subject, received_at=received)
        assert [message["subject"] for message in await door.messages(email)] == ["third", "second", "first", "older"]


async def test_a_thousand_clients_at_once_lose_nothing(way: str) -> None:
    """A thousand mailboxes are made, mailed, listed and deleted concurrently without an error."""
    async with opened(way, domains=[SandboxDomain("one.example")]) as door:

        async def one(number: int) -> str:
            email = await door.mailbox()
            door.sandbox.deliver(email, subject=str(number))
            assert [message["subject"] for message in await door.messages(email)] == [str(number)]
            await door.json("DELETE", f"/emails/{email}")
            return email

        assert len(set(await asyncio.gather(*map(one, range(1_000))))) == 1_000
        assert door.sandbox.dump()["mailboxes"] == []
