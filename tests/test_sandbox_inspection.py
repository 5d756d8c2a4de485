"""What was sent can be seen: messages with source, headers and envelope, refused mail, and events as they happen."""

from __future__ import annotations

import http.client
import json
import smtplib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.control import KEY, call, control, mailbox, sent

from tempmailg.sandbox import Limits, Sandbox, SandboxFullError

MAIL = (
    b"From: Example Shop <shop@example.org>\r\nTo: list@example.org\r\nReply-To: help@example.org\r\n"
    b"Subject: Your code\r\nMessage-ID: <1@example.org>\r\n\r\nYour code is 482913.\r\n"
)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox in a thread of its own."""
    with Sandbox() as running:
        yield running


def send(sandbox: Sandbox, *recipients: str) -> None:
    """Send the mail by SMTP, with a login."""
    with smtplib.SMTP(sandbox.smtp_host, sandbox.smtp_port, timeout=20) as client:
        client.login("app", "secret")
        client.sendmail("bounces@example.org", recipients, MAIL)


def test_a_message_shows_all_that_the_api_hides(sandbox: Sandbox) -> None:
    """Headers, envelope (Bcc, login), size and source of a mail are there, with the code that was found in it."""
    email = mailbox(sandbox)
    other = mailbox(sandbox)
    send(sandbox, email, other)
    summaries = control(sandbox, "GET", "messages")
    assert [summary["mailbox"] for summary in summaries] == [email, other]
    (summary,) = control(sandbox, "GET", f"messages?mailbox={email}")
    message = control(sandbox, "GET", f"messages/{summary['id']}")
    assert summary == {name: value for name, value in message.items() if name in summary}
    assert (message["code"], message["link"], message["text"].strip()) == ("482913", None, "Your code is 482913.")
    assert ["Reply-To", "help@example.org"] in message["headers"]
    assert (message["has_source"], message["size"], message["is_seen"]) == (True, len(MAIL), False)
    envelope = message["envelope"]
    assert (envelope["sender"], envelope["login"], envelope["tls"]) == ("bounces@example.org", "app", "")
    assert [recipient["address"] for recipient in envelope["recipients"]] == [email, other]
    status, headers, source = sent(sandbox, "GET", f"/_sandbox/messages/{summary['id']}/raw")
    assert (status, headers["Content-Type"], source) == (200, "message/rfc822", MAIL)
    assert "secret" not in json.dumps(message)


def test_a_message_made_of_fields_has_neither_source_nor_envelope(sandbox: Sandbox) -> None:
    """What was delivered without SMTP says so, instead of inventing a mail."""
    identifier = sandbox.deliver(mailbox(sandbox), html="<p>Your code is 482913</p>", attachments=[("a.bin", b"\0")])
    message = control(sandbox, "GET", f"messages/{identifier}")
    assert (message["has_source"], message["envelope"], message["headers"]) == (False, None, [])
    assert message["attachments"] == [{"name": "a.bin", "content_type": "application/octet-stream", "size": 1}]
    status, answer = call(sandbox, "GET", f"/_sandbox/messages/{identifier}/raw")
    assert (status, "delivered by its fields" in answer["message"]) == (404, True)


def test_showing_a_message_leaves_it_unseen(sandbox: Sandbox) -> None:
    """The control routes change nothing: a page that shows a mailbox does not mark its messages as seen."""
    identifier = sandbox.deliver(email := mailbox(sandbox), text="hello")
    control(sandbox, "GET", f"messages/{identifier}")
    (box,) = control(sandbox, "GET", "mailboxes")
    assert (box["email"], box["messages"], box["unseen"], box["expires_in_seconds"]) == (email, 1, 1, 600)


def test_refused_mail_leaves_a_trace(sandbox: Sandbox) -> None:
    """Why a mail did not arrive is answered: recipient, reason and sender of what was refused, beside what was kept."""
    email = mailbox(sandbox)
    send(sandbox, email)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(sandbox, "nobody@example.net")
    kept, refused = control(sandbox, "GET", "smtp/journal")
    assert (kept["is_kept"], kept["has_source"], refused["is_kept"]) == (True, True, False)
    assert control(sandbox, "GET", "smtp/journal?status=kept") == [kept]
    assert control(sandbox, "GET", "smtp/journal?status=refused") == [refused]
    (recipient,) = refused["recipients"]
    assert (recipient["address"], recipient["status"]) == ("nobody@example.net", 550)
    assert "no such mailbox" in recipient["reason"]
    assert ["Subject", "Your code"] in control(sandbox, "GET", f"smtp/journal/{kept['id']}")["headers"]
    assert sent(sandbox, "GET", f"/_sandbox/smtp/journal/{kept['id']}/raw")[2] == MAIL
    assert call(sandbox, "GET", f"/_sandbox/smtp/journal/{refused['id']}/raw")[0] == 404
    control(sandbox, "DELETE", "journal")
    assert control(sandbox, "GET", "smtp/journal") == []


def test_a_full_mailbox_refuses_mail_and_says_why() -> None:
    """Mail that would make a mailbox's list too long for clients is refused, and the journal says why."""
    with Sandbox(limits=Limits(listing_bytes=2_000)) as sandbox:
        email = mailbox(sandbox)
        send(sandbox, email)
        with pytest.raises(smtplib.SMTPDataError, match="longer than clients read"):
            send(sandbox, email)
        (refused,) = control(sandbox, "GET", "smtp/journal?status=refused")
        assert (refused["status"], "delete messages" in refused["reason"]) == (552, True)
        with pytest.raises(SandboxFullError, match=email):
            sandbox.deliver(email, text="one more")
        assert len(control(sandbox, "GET", "messages")) == 1


@pytest.mark.parametrize(
    ("route", "status"),
    [
        ("messages/nothing", 404),
        ("messages/nothing/raw", 404),
        ("messages?mailbox=no@where.invalid", 404),
        ("smtp/journal/7", 404),
        ("smtp/journal/x/raw", 404),
        ("smtp/journal?status=lost", 422),
        ("events?after=x", 422),
    ],
)
def test_what_is_not_there_is_said(sandbox: Sandbox, route: str, status: int) -> None:
    """Unknown messages, mailboxes and transactions are 404 with a reason, and a wrong filter is 422."""
    got, answer = call(sandbox, "GET", f"/_sandbox/{route}")
    assert (got, answer["status"]) == (status, False)


def test_an_expired_mailbox_shows_nothing(sandbox: Sandbox) -> None:
    """A message goes with its mailbox, for the control routes as for the API."""
    identifier = sandbox.deliver(mailbox(sandbox), text="hello")
    sandbox.clock.advance(600)
    assert call(sandbox, "GET", f"/_sandbox/messages/{identifier}")[0] == 404
    assert control(sandbox, "GET", "messages") == control(sandbox, "GET", "mailboxes") == []


def test_faults_of_smtp_are_scripted_over_http(sandbox: Sandbox) -> None:
    """A greylisting is scripted, listed, met by the next sender, and cleared; faults by chance come with a seed."""
    email = mailbox(sandbox)
    pending = control(sandbox, "POST", "smtp/faults", {"stage": "rcpt", "fault": {"kind": "greylist", "seconds": 5}})
    assert pending == control(sandbox, "GET", "smtp/faults")
    assert pending == [{"stage": "rcpt", "times": 1, "fault": {"kind": "greylist", "seconds": 5}}]
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(sandbox, email)
    assert control(sandbox, "GET", "smtp/journal")[0]["fault"] == "greylist"
    body = {"rate": 1, "faults": [{"kind": "smtp_reply", "code": 554}], "stages": ["mail"]}
    control(sandbox, "PUT", "smtp/faults/random", body)
    with pytest.raises(smtplib.SMTPSenderRefused):
        send(sandbox, email)
    control(sandbox, "DELETE", "smtp/faults")
    sandbox.clock.advance(5)
    send(sandbox, email)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"fault": {"kind": "smtp_reply"}}, "stage is missing"),
        ({"stage": "end", "fault": {"kind": "smtp_reply"}}, "stage must be one of connect, auth"),
        ({"stage": "mail", "fault": {"kind": "greylist"}}, "greylist can happen at rcpt, not at 'mail'"),
        ({"stage": "mail", "fault": {"kind": "smtp_reply", "code": 250}}, "fault.code must be a reply code"),
        ({"stage": "mail", "fault": {"kind": "smtp_reply", "text": "a\nb"}}, "fault.text must be one line"),
        ({"stage": "mail", "fault": {"kind": "smtp_reply", "minutes": 1}}, "fault.minutes is unknown"),
        ({"stage": "mail", "fault": {"kind": "status"}}, "fault.kind must be one of greylist"),
        ({"stage": "mail", "fault": 5}, "fault must be a fault"),
    ],
)
def test_wrong_faults_of_smtp_are_refused(sandbox: Sandbox, body: dict[str, Any], words: str) -> None:
    """A mistake is named by its path, and nothing is scripted."""
    status, answer = call(sandbox, "POST", "/_sandbox/smtp/faults", body)
    assert (status, words in answer["message"]) == (422, True), answer
    assert control(sandbox, "GET", "smtp/faults") == []


# -------------------------------------------------------------------------------------------------------------- events


class Feed:
    """The events of a sandbox, read one by one."""

    def __init__(self, sandbox: Sandbox, path: str = "/_sandbox/events", headers: dict[str, str] | None = None) -> None:
        place = urlsplit(sandbox.base_url)
        self.connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {KEY}", **(headers or {})})
        self.answer = self.connection.getresponse()
        self.first = self.next()

    def next(self) -> tuple[str, dict[str, Any]]:
        """Return the next event's kind and data."""
        fields: dict[str, str] = {}
        while line := self.answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            fields[name] = value
        self.last_id = fields.get("id", "")
        return fields.get("event", ""), json.loads(fields.get("data", "{}"))

    def close(self) -> None:
        """Hang up."""
        self.answer.close()
        self.connection.close()


def test_events_come_as_they_happen(sandbox: Sandbox) -> None:
    """Mailboxes made, deleted and expired, mail delivered and refused, and a reset are reported at once, in order."""
    with closing(Feed(sandbox)) as feed:
        assert feed.answer.headers["Content-Type"] == "text/event-stream"
        assert feed.first == ("ready", {})
        email = mailbox(sandbox)
        kind, data = feed.next()
        assert (kind, data["email"]) == ("mailbox_created", email)
        assert datetime.fromisoformat(data["at"]).tzinfo == UTC
        send(sandbox, email)
        kind, delivered = feed.next()
        assert (kind, delivered["mailbox"]) == ("message_delivered", email)
        assert feed.next()[0] == "mail_accepted"
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(sandbox, "nobody@example.net")
        kind, data = feed.next()
        assert (kind, data["recipients"]) == ("mail_refused", ["nobody@example.net"])
        call(sandbox, "DELETE", f"/api/messages/{delivered['id']}")
        kind, data = feed.next()
        assert (kind, data["id"]) == ("message_deleted", delivered["id"])
        call(sandbox, "DELETE", f"/api/emails/{email}")
        assert feed.next()[0] == "mailbox_deleted"
        second = mailbox(sandbox)
        assert feed.next()[0] == "mailbox_created"
        sandbox.clock.advance(601)
        kind, data = feed.next()
        assert (kind, data["email"]) == ("mailbox_expired", second)
        sandbox.reset()
        assert feed.next()[0] == "reset"


def test_a_client_that_was_away_gets_what_it_missed(sandbox: Sandbox) -> None:
    """Last-Event-ID, or ?after=, brings what happened since, and says so if that is more than is remembered."""
    with closing(Feed(sandbox)) as feed:
        mailbox(sandbox)
        feed.next()
        known = feed.last_id
    email = mailbox(sandbox)
    for path, headers in (("", {"Last-Event-ID": known}), (f"?after={known}", {})):
        with closing(Feed(sandbox, f"/_sandbox/events{path}", headers)) as feed:
            kind, data = feed.next()
            assert (kind, data["email"]) == ("mailbox_created", email)
    for _ in range(1_000):
        sandbox._state.events.publish("reset")
    with closing(Feed(sandbox, f"/_sandbox/events?after={known}")) as feed:
        assert feed.next() == ("missed", {})
        assert feed.next()[0] == "reset"


def test_followers_do_not_keep_the_sandbox_from_ending(sandbox: Sandbox) -> None:
    """A page that follows the events sees the stream end when the sandbox stops."""
    with closing(Feed(sandbox)) as feed:
        sandbox.stop()
        assert feed.answer.read() == b""
