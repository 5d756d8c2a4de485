"""The sandbox's SMTP door: real mail by smtplib and by raw sockets, honest and hostile."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTPUTF8
from typing import Any

import pytest
from support.smtp import SENDER, Wire, connected, mailbox, stored

from tempmailg.sandbox import Limits, Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox in a thread of its own."""
    with Sandbox() as running:
        yield running


def test_a_multipart_mail_arrives_whole(sandbox: Sandbox) -> None:
    """HTML, text and files sent by smtplib are stored byte for byte under their names."""
    email = mailbox(sandbox)
    data = bytes(range(256)) * 20_000
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Ihr Code ✓", "Jürgen <j@example.org>", email
    mail.set_content("plain")
    mail.add_alternative("<b>123456</b>", subtype="html")
    mail.add_attachment(data, maintype="application", subtype="zip", filename="größe.zip")
    with connected(sandbox) as smtp:
        smtp.send_message(mail)
    (read,) = stored(sandbox, email)
    assert (read.subject, read.from_name, read.is_html, read.content) == (
        "Ihr Code ✓",
        "Jürgen",
        True,
        "<b>123456</b>\n",
    )
    assert [(file.name, b"".join(file.blob.chunks()) == data) for file in read.files] == [("größe.zip", True)]


def test_mail_for_strangers_is_refused_and_never_relayed(sandbox: Sandbox) -> None:
    """An address that is no mailbox gets 550, before and after it expired, and the others get their copy."""
    email = mailbox(sandbox)
    with connected(sandbox) as smtp:
        refused = smtp.sendmail(SENDER, [email, "nobody@example.com", "someone@gmail.com"], b"Subject: x\r\n\r\n")
        assert {address: code for address, (code, _) in refused.items()} == {
            "nobody@example.com": 550,
            "someone@gmail.com": 550,
        }
        assert len(stored(sandbox, email)) == 1
        sandbox.clock.advance(600)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            smtp.sendmail(SENDER, [email], b"late")


def test_several_recipients_get_one_copy_each(sandbox: Sandbox) -> None:
    """An address named twice, in any case of letters, gets one."""
    first, second = mailbox(sandbox), mailbox(sandbox)
    with connected(sandbox) as smtp:
        smtp.sendmail(SENDER, [first, second, first.upper()], b"Subject: x\r\n\r\n")
    assert [len(stored(sandbox, email)) for email in (first, second)] == [1, 1]


def test_unusual_addresses_are_understood(sandbox: Sandbox) -> None:
    """Plus signs, slashes and other scripts before the @ are addresses, and the null sender is one, too."""
    for name in ("a+b", "a/b?c=d#e%f", "grüße", "日本"):
        with sandbox._state.lock:
            sandbox._state.open(f"{name}@example.com", sandbox.api_key)
        with Wire(sandbox) as wire:
            wire.say(b"EHLO x")
            assert wire.say(b"MAIL FROM:<> SMTPUTF8") == ["250 OK"]
            assert wire.say(f"RCPT TO:<{name}@example.com>".encode()) == ["250 OK"]


def test_a_mail_in_utf8_is_read(sandbox: Sandbox) -> None:
    """SMTPUTF8 headers arrive as they were written."""
    email = mailbox(sandbox)
    mail = EmailMessage(policy=SMTPUTF8)
    mail["Subject"], mail["From"] = "Grüße 日本", "jürgen@example.org"
    mail.set_content("ü")
    with connected(sandbox) as smtp:
        smtp.sendmail(SENDER, [email], mail.as_bytes(), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    (read,) = stored(sandbox, email)
    assert (read.subject, read.from_email, read.content) == ("Grüße 日本", "jürgen@example.org", "ü\n")


@pytest.mark.parametrize(
    ("sent", "raw"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"a.\r\nb..\r\n..c\r\n.d\r\n.\r\n", b"a.\r\nb..\r\n.c\r\nd\r\n"),
        (b"x" * 600_000 + b"\r\n" + b"y" * 300_000 + b"\r\n.\r\n", b"x" * 600_000 + b"\r\n" + b"y" * 300_000 + b"\r\n"),
    ],
)
def test_a_mail_is_stored_without_its_dots(sandbox: Sandbox, sent: bytes, raw: bytes) -> None:
    """Dot-stuffing is undone (RFC 5321 4.5.2), for empty mails and for lines of any length."""
    email = mailbox(sandbox)
    with Wire(sandbox) as wire:
        wire.begin(email)
        wire.send(sent)
        assert wire.answer() == "250 OK"
    assert [bytes(message.raw or b"") for message in sandbox._state.messages.values()] == [raw]


@pytest.mark.parametrize(
    "ending",
    [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r\n\x00.\r\n", b"\r\n. \r\n"],
)
def test_smuggling_sequences_end_no_mail(sandbox: Sandbox, ending: bytes) -> None:
    """Only CRLF.CRLF ends a mail: with any other dot in it, no second mail is smuggled in."""
    email = mailbox(sandbox)
    with Wire(sandbox) as wire:
        wire.begin(email)
        smuggled = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<" + email.encode() + b">\r\nDATA\r\nSubject: evil\r\n\r\n"
        wire.send(b"Subject: honest\r\n\r\nhi" + ending + smuggled + b"\r\n.\r\n")
        assert wire.answer() == "250 OK"
        assert wire.say(b"NOOP") == ["250 OK"]
    assert [mail.subject for mail in stored(sandbox, email)] == ["honest"]


def test_every_place_of_the_end_is_found(sandbox: Sandbox) -> None:
    """The end of a mail is seen wherever the network cuts it."""
    email = mailbox(sandbox)
    text = b"Subject: x\r\n\r\nbody.\r\n..\r\n.\r\n"
    with Wire(sandbox) as wire:
        for cut in range(len(text) - 6, len(text)):
            wire.begin(email)
            wire.send(text[:cut])
            wire.send(text[cut:])
            assert wire.answer() == "250 OK"
            wire.say(b"RSET")
    assert {mail.content for mail in stored(sandbox, email)} == {"body.\n.\n"}


def test_commands_out_of_order_are_refused(sandbox: Sandbox) -> None:
    """DATA without a greeting, without recipients or with an argument is refused and stores nothing."""
    email = mailbox(sandbox)
    with Wire(sandbox) as wire:
        assert wire.say(b"DATA")[0].startswith("503")
        assert (
            wire.say(b"EHLO x", b"DATA", b"MAIL FROM:<a@b.example>", b"DATA")[1::2]
            == ["503 Error: need RCPT command"] * 2
        )
        assert wire.say(f"RCPT TO:<{email}>".encode(), b"DATA now")[1].startswith("501")
    assert stored(sandbox, email) == []


def test_a_broken_connection_stores_nothing(sandbox: Sandbox) -> None:
    """A mail without its end never arrived, however the connection was lost."""
    email = mailbox(sandbox)
    with Wire(sandbox) as wire:
        wire.begin(email)
        wire.send(b"Subject: half\r\n\r\nhi")
    with Wire(sandbox) as wire:
        wire.begin(email)
        wire.send(b"Subject: whole\r\n\r\nhi\r\n.\r\n")
        assert wire.answer() == "250 OK"
    assert [mail.subject for mail in stored(sandbox, email)] == ["whole"]


def test_caps_refuse_loudly_and_keep_what_was_accepted() -> None:
    """Mails that are too large or too many are refused with 552 and 452; accepted ones stay."""
    with Sandbox(limits=Limits(message_bytes=1_000, messages=2)) as sandbox:
        email = mailbox(sandbox)
        with connected(sandbox) as smtp:
            with pytest.raises(smtplib.SMTPSenderRefused) as announced:
                smtp.sendmail(SENDER, [email], b"x" * 2_000)
            assert announced.value.smtp_code == 552
            smtp.esmtp_features.pop("size")
            with pytest.raises(smtplib.SMTPDataError) as sent:
                smtp.sendmail(SENDER, [email], b"x" * 2_000_000)
            assert sent.value.smtp_code == 552
            smtp.sendmail(SENDER, [email], b"x" * 998)
            smtp.sendmail(SENDER, [email], b"two")
            with pytest.raises(smtplib.SMTPDataError) as full:
                smtp.sendmail(SENDER, [email], b"three")
            assert full.value.smtp_code == 452
        assert len(stored(sandbox, email)) == 2


def test_a_mailbox_that_expires_during_a_mail_refuses_it(sandbox: Sandbox) -> None:
    """A mail is delivered to all of its recipients or to none."""
    first = mailbox(sandbox)
    sandbox.clock.advance(300)
    second = mailbox(sandbox)
    with Wire(sandbox) as wire:
        wire.say(
            b"EHLO x",
            b"MAIL FROM:<a@example.org>",
            f"RCPT TO:<{first}>".encode(),
            f"RCPT TO:<{second}>".encode(),
            b"DATA",
        )
        sandbox.clock.advance(300)
        wire.send(b"hi\r\n.\r\n")
        assert wire.answer().startswith("550")
    assert stored(sandbox, second) == []


def test_too_many_recipients_are_refused(sandbox: Sandbox) -> None:
    """One mail takes a thousand recipients and no more."""
    email = mailbox(sandbox)
    with Wire(sandbox) as wire:
        wire.say(b"EHLO x", b"MAIL FROM:<a@example.org>")
        answers = wire.say(*[f"RCPT TO:<{email}>".encode()] * 1_001)
        assert answers[999:] == ["250 OK", "452 4.5.3 Too many recipients"]


def test_connections_are_capped() -> None:
    """One connection too many gets a reply that says so, and is closed; when another ends, there is room again."""
    with Sandbox(limits=Limits(connections=2)) as sandbox, Wire(sandbox) as first:
        with Wire(sandbox) as second, Wire(sandbox) as third:
            assert [wire.greeting[:3] for wire in (first, second, third)] == ["220", "220", "421"]
            assert third.is_closed()
        assert first.say(b"NOOP") == ["250 OK"]
        assert any(greeting(sandbox).startswith("220") for _ in range(100))


def greeting(sandbox: Sandbox) -> str:
    with Wire(sandbox) as wire:
        return wire.greeting


def test_silent_connections_are_closed() -> None:
    """Who says nothing for the allowed time is hung up on."""
    with Sandbox(limits=Limits(idle_seconds=0.1)) as sandbox, Wire(sandbox) as wire:
        assert wire.is_closed()


def test_the_sandbox_ends_with_open_connections(sandbox: Sandbox) -> None:
    """Clients that stay connected do not keep the sandbox from ending."""
    wires = [Wire(sandbox) for _ in range(3)]
    wires[0].begin(mailbox(sandbox))
    sandbox.__exit__(None, None, None)
    for wire in wires:
        with wire:
            assert wire.is_closed()


async def test_mail_arrives_over_many_connections_at_once() -> None:
    """A hundred concurrent senders lose nothing."""
    async with Sandbox() as sandbox:
        emails = [mailbox(sandbox) for _ in range(10)]

        def send(number: int) -> None:
            with connected(sandbox) as smtp:
                for email in emails:
                    smtp.sendmail(SENDER, [email], f"Subject: {number}\r\n\r\n".encode())

        await asyncio.gather(*(asyncio.to_thread(send, number) for number in range(100)))
        for email in emails:
            assert sorted(int(mail.subject) for mail in stored(sandbox, email)) == list(range(100))


def test_a_file_of_50_megabytes_is_held_once(sandbox: Sandbox) -> None:
    """What is kept of a large mail is its bytes as they came; the file in it is decoded while it is read."""
    email = mailbox(sandbox)
    data = hashlib.shake_128(b"seed").digest(50_000_000)
    head = b"Content-Type: application/zip; name=big.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    raw = head + base64.encodebytes(data).replace(b"\n", b"\r\n")
    with Wire(sandbox) as wire:
        wire.begin(email)
        wire.send(raw + b".\r\n")
        assert wire.answer() == "250 OK"
    (message,) = sandbox._state.messages.values()
    assert message.raw == raw
    blob: Any = message.mail.files[0].blob
    assert blob.raw is message.raw
    digest = hashlib.sha256()
    for chunk in blob.chunks():
        assert len(chunk) < 2**19
        digest.update(chunk)
    assert digest.digest() == hashlib.sha256(data).digest()
    assert blob.size == len(data)
