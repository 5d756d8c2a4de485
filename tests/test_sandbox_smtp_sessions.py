"""The SMTP door as applications use it: logins, TLS, extensions, addresses of others, and the journal of it all."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import logging
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import pytest
import trustme
from support.smtp import SENDER, Wire, connected, mailbox, stored, trusting

from tempmailg._errors import ConfigurationError
from tempmailg.sandbox import Limits, Sandbox, SmtpEntry
from tempmailg.sandbox._certificate import ServerTls, certificate_hosts
from tempmailg.sandbox._local_delivery import LocalDelivery

PASSWORD = "pass-Zeilenumbruch-99"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox in a thread of its own."""
    with Sandbox() as running:
        yield running


def mail(subject: str = "x", **headers: str) -> EmailMessage:
    made = EmailMessage()
    made["Subject"], made["From"] = subject, SENDER
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content("Your code is 482913.")
    return made


def token(*parts: str) -> bytes:
    return base64.b64encode("\0".join(parts).encode())


# ---------------------------------------------------------------------------------------------------------- logins


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram_md5"])
def test_any_login_is_accepted_on_a_plain_connection(sandbox: Sandbox, mechanism: str) -> None:
    """Each mechanism takes any name and any password; the name is in the journal and the password nowhere."""
    email = mailbox(sandbox)
    with connected(sandbox) as smtp:
        smtp.ehlo()
        smtp.user, smtp.password = "app@example.com", PASSWORD
        authenticate: Callable[..., Any] = getattr(smtp, f"auth_{mechanism}")
        assert smtp.auth(mechanism.upper().replace("_", "-"), authenticate)[0] == 235
        smtp.send_message(mail(), SENDER, [email])
    (entry,) = sandbox.smtp_journal
    assert (entry.login, entry.status, len(stored(sandbox, email))) == ("app@example.com", 250, 1)
    assert PASSWORD not in repr(entry) + str(entry.to_json()) + str(sandbox.dump())


def test_logins_are_read_however_they_are_spelt(sandbox: Sandbox) -> None:
    """A mechanism's name has no case, its first response may come with it, and nonsense is refused without a crash."""
    with Wire(sandbox) as wire:
        assert wire.say(b"AUTH PLAIN x")[0].startswith("503")
        wire.say(b"EHLO x")
        assert wire.say(b"auth plain " + token("", "a", "b")) == ["235 2.7.0 Authentication successful"]
        assert wire.say(b"AUTH PLAIN " + token("", "a", "b"))[0].startswith("503")
    with Wire(sandbox) as wire:
        wire.say(b"EHLO x")
        assert [answer[:3] for answer in wire.say(b"AUTH", b"AUTH NTLM", b"AUTH PLAIN ###")] == ["501", "504", "501"]
        assert [answer[:3] for answer in wire.say(b"AUTH CRAM-MD5", base64.b64encode(b"no digest"))] == ["334", "501"]
        assert [answer[:3] for answer in wire.say(b"AUTH CRAM-MD5", b"*")] == ["334", "501"]
        assert [answer[:3] for answer in wire.say(b"AUTH LOGIN " + token("ann"), token("pw"))] == ["334", "235"]


def test_a_challenge_is_answered_by_a_digest(sandbox: Sandbox) -> None:
    """CRAM-MD5's challenge is one that RFC 2195's digest can be made of."""
    with Wire(sandbox) as wire:
        wire.say(b"EHLO x")
        challenge = base64.b64decode(wire.say(b"AUTH CRAM-MD5")[0][4:])
        assert challenge.startswith(b"<")
        assert challenge.endswith(b">")
        digest = hmac.new(PASSWORD.encode(), challenge, "md5").hexdigest()
        assert wire.say(base64.b64encode(b"ann " + digest.encode()))[0].startswith("235")


# ------------------------------------------------------------------------------------------------------------- TLS


def test_starttls_and_tls_serve_a_certificate_that_the_authority_vouches_for(sandbox: Sandbox) -> None:
    """A client that verifies accepts both ports, by name and by address; the journal says which TLS it was."""
    email = mailbox(sandbox)
    for host in ("localhost", "127.0.0.1"):
        with smtplib.SMTP(host, sandbox.smtp_port, timeout=20) as smtp:
            smtp.starttls(context=trusting(sandbox))
            smtp.login("app", PASSWORD)
            smtp.send_message(mail(), SENDER, [email])
        with smtplib.SMTP_SSL(host, sandbox.smtp_tls_port, timeout=20, context=trusting(sandbox)) as smtp:
            smtp.ehlo()
            assert not smtp.has_extn("starttls")
            smtp.login("app", PASSWORD)
            smtp.send_message(mail(), SENDER, [email])
    assert [entry.tls for entry in sandbox.smtp_journal] == ["TLSv1.3"] * 4
    assert {entry.login for entry in sandbox.smtp_journal} == {"app"}
    assert len(stored(sandbox, email)) == 4


def test_what_was_said_before_tls_is_forgotten(sandbox: Sandbox) -> None:
    """A login, a transaction and commands sent ahead of STARTTLS do not reach into the session behind it."""
    email = mailbox(sandbox)
    with connected(sandbox) as smtp:
        smtp.login("before", PASSWORD)
        smtp.mail(SENDER)
        smtp.starttls(context=trusting(sandbox))
        assert smtp.docmd("DATA")[0] == 503
        smtp.send_message(mail(), SENDER, [email])
    assert [(entry.status, entry.login, entry.tls) for entry in sandbox.smtp_journal] == [
        (0, "before", ""),
        (250, "", "TLSv1.3"),
    ]


def test_a_certificate_of_ones_own_is_served() -> None:
    """With `ssl_context` the sandbox makes none."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)  # pyright: ignore[reportUnknownMemberType] - it takes pyOpenSSL's contexts too
    authority.configure_trust(client)  # pyright: ignore[reportUnknownMemberType] - the same
    with Sandbox(ssl_context=server) as sandbox:
        assert sandbox.ca_pem is None
        with smtplib.SMTP_SSL("localhost", sandbox.smtp_tls_port, timeout=20, context=client) as smtp:
            assert smtp.noop()[0] == 250
        with smtplib.SMTP("localhost", sandbox.smtp_port, timeout=20) as smtp:
            assert smtp.starttls(context=client)[0] == 220


def test_the_certificate_names_where_the_door_is_reached() -> None:
    """Loopback's names, the address listened on and further names are in it; the unspecified address is no name."""
    local = ("localhost", "127.0.0.1", "::1")
    assert certificate_hosts("127.0.0.1") == (*local, "127.0.0.1")
    assert certificate_hosts("0.0.0.0", ["sandbox"]) == (*local, "sandbox")
    assert certificate_hosts("::", []) == local
    assert certificate_hosts("mail.test") == (*local, "mail.test")
    tls = ServerTls(certificate_hosts("192.0.2.7", ["sandbox"]))
    tls.load()
    client = ssl.create_default_context(cadata=tls.ca_pem)
    for name in (*local, "192.0.2.7", "sandbox"):
        assert shaken_hands(tls.context, client, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken_hands(tls.context, client, "other.example")


def shaken_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    """Let both sides of TLS talk in memory until they agree."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(back, there, server_hostname=name),
        server.wrap_bio(there, back, server_side=True),
    ]
    waiting = 10
    while sides and waiting:
        waiting -= 1
        for side in list(sides):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
                sides.remove(side)
    return not sides


@pytest.mark.parametrize("debug", ["", "1"], ids=["production", "asyncio's debug mode"])
def test_a_client_that_distrusts_the_certificate_leaves_a_trace_and_no_traceback(
    debug: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The journal says why nothing came, the log stays silent, and the next client is served."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", debug)
    with Sandbox() as sandbox:
        _be_distrusted(sandbox)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def _be_distrusted(sandbox: Sandbox) -> None:
    with connected(sandbox) as smtp, pytest.raises(ssl.SSLCertVerificationError):
        smtp.starttls(context=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        smtplib.SMTP_SSL("127.0.0.1", sandbox.smtp_tls_port, timeout=20, context=ssl.create_default_context())
    with connected(sandbox) as smtp:
        assert smtp.noop()[0] == 250
    assert [entry.status for entry in sandbox.smtp_journal] == [454, 454]
    assert all("TLS could not be set up" in entry.reason for entry in sandbox.smtp_journal)
    assert all("unknown ca" in entry.reason for entry in sandbox.smtp_journal)


def test_a_client_that_takes_the_wrong_port_leaves_a_trace(sandbox: Sandbox) -> None:
    """TLS on the plain port is refused at once and recorded, instead of a silence."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        smtplib.SMTP_SSL("localhost", sandbox.smtp_port, timeout=20, context=trusting(sandbox))
    with Wire(sandbox) as wire:
        wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01")
        assert wire.is_closed()
    assert {(entry.status, entry.reason) for entry in sandbox.smtp_journal} == {
        (500, "the client began with TLS on the port for plain connections and STARTTLS")
    }


def test_the_authority_is_made_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox without TLS never loads the library that makes certificates; a missing one is said with its remedy."""
    monkeypatch.setitem(__import__("sys").modules, "trustme", None)
    with Sandbox() as sandbox:
        email = mailbox(sandbox)
        with connected(sandbox) as smtp:
            smtp.send_message(mail(), SENDER, [email])
        with pytest.raises(ConfigurationError, match=r"tempmailg\[sandbox\]"):
            assert sandbox.ca_pem


# ------------------------------------------------------------------------------------------------------ extensions


def test_what_is_announced_is_true(sandbox: Sandbox) -> None:
    """PIPELINING, CHUNKING, BINARYMIME, DSN, SIZE, 8BITMIME, SMTPUTF8, AUTH and STARTTLS are announced."""
    with connected(sandbox) as smtp:
        smtp.ehlo()
        assert set(smtp.esmtp_features) >= {
            *("pipelining", "chunking", "binarymime", "dsn", "size", "8bitmime", "smtputf8", "starttls", "auth")
        }
        assert sorted(smtp.esmtp_features["auth"].split()) == ["CRAM-MD5", "LOGIN", "PLAIN"]


def test_parameters_for_delivery_reports_are_accepted(sandbox: Sandbox) -> None:
    """RET, ENVID, NOTIFY, ORCPT and AUTH change nothing here, and refuse nobody; an unknown one is refused."""
    email = mailbox(sandbox)
    with Wire(sandbox) as wire:
        wire.say(b"EHLO x")
        assert wire.say(b"MAIL FROM:<a@b.example> RET=HDRS ENVID=QQ314159 AUTH=<> SIZE=10 BODY=8BITMIME") == ["250 OK"]
        assert wire.say(f"RCPT TO:<{email}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;{email}".encode()) == ["250 OK"]
        assert wire.say(f"RCPT TO:<{email}> FOO=BAR".encode())[0].startswith("555")


def test_a_mail_in_chunks_arrives(sandbox: Sandbox) -> None:
    """BDAT needs no dots and no line ends, its pieces may be cut anywhere, and commands may follow at once."""
    email = mailbox(sandbox)
    begin = f"EHLO x\r\nMAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<{email}>\r\n".encode()
    with Wire(sandbox) as wire:
        wire.send(begin + b"BDAT 16\r\nSubject: a\r\n\r\n.\rBDAT 5\r\n\n\x00\xff\r\nBDAT 0 LAST\r\nNOOP\r\n")
        answers = [wire.answer() for _ in range(7)]
    assert [answer[:3] for answer in answers] == ["250"] * 7
    assert [bytes(message.raw or b"") for message in sandbox._state.messages.values()] == [
        b"Subject: a\r\n\r\n.\r\n\x00\xff\r\n"
    ]


def test_a_whole_session_may_come_in_one_packet(sandbox: Sandbox) -> None:
    """Commands sent ahead, in either case of letters, are answered one by one, and both mails arrive."""
    email = mailbox(sandbox)
    one = f"mail from:<a@b.example>\r\nrcpt to:<{email}>\r\ndata\r\nSubject: 1\r\n\r\n.\r\n"
    two = f"MAIL FROM: a@b.example\r\nRCPT TO: {email}\r\nDATA\r\nSubject: 2\r\n\r\n.\r\n"
    with Wire(sandbox) as wire:
        wire.send(f"ehlo x\r\n{one}{two}quit\r\n".encode())
        answers = [wire.answer()[:3] for _ in range(10)]
        assert answers == ["250", *["250", "250", "354", "250"] * 2, "221"]
        assert wire.is_closed()
    assert [mail.subject for mail in stored(sandbox, email)] == ["2", "1"]


def test_a_mailbox_among_many_strangers_gets_its_mail(sandbox: Sandbox) -> None:
    """One recipient of a hundred and one is accepted, the others are refused one by one, and the journal names all."""
    email = mailbox(sandbox)
    strangers = [f"stranger{number}@nowhere.example" for number in range(100)]
    with connected(sandbox) as smtp:
        refused = smtp.send_message(mail(), SENDER, [*strangers[:50], email, *strangers[50:]])
    assert sorted(refused) == sorted(strangers)
    assert len(stored(sandbox, email)) == 1
    assert [recipient.status for recipient in only(sandbox).recipients] == [*[550] * 50, 250, *[550] * 50]


def test_a_mail_that_drips_is_cut() -> None:
    """Who sends a mail byte by byte has the allowed time for all of it, and what came is forgotten."""
    with Sandbox(limits=Limits(idle_seconds=0.3)) as sandbox:
        email = mailbox(sandbox)
        with Wire(sandbox) as wire:
            wire.begin(email)
            with pytest.raises(ConnectionError):
                for _ in range(1_000):
                    wire.send(b"x")
                    time.sleep(0.01)
        assert stored(sandbox, email) == []


def test_chunks_out_of_order_are_refused_and_skipped(sandbox: Sandbox) -> None:
    """A chunk that nobody waits for is read all the same, so that its bytes are never taken for commands."""
    email = mailbox(sandbox)
    with Wire(sandbox) as wire:
        wire.send(b"EHLO x\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
        assert [wire.answer()[:3] for _ in range(3)] == ["250", "503", "250"]
        assert wire.say(b"BDAT", b"BDAT x", b"BDAT 5 FIRST", b"BDAT -1") == ["501 Syntax: BDAT <size> [LAST]"] * 4
        wire.say(b"MAIL FROM:<a@b.example>", f"RCPT TO:<{email}>".encode())
        wire.send(b"BDAT 2\r\nhi")
        assert wire.answer().startswith("250")
        assert wire.say(b"DATA", b"RSET", b"NOOP") == [
            "503 5.5.1 A mail begun by BDAT ends by BDAT",
            "250 OK",
            "250 OK",
        ]
    assert stored(sandbox, email) == []


def test_chunks_are_capped() -> None:
    """A mail in chunks that is too large is refused as any other, and no byte of it is kept."""
    with Sandbox(limits=Limits(message_bytes=1_000)) as sandbox:
        email = mailbox(sandbox)
        with Wire(sandbox) as wire:
            wire.say(b"EHLO x", b"MAIL FROM:<a@b.example>", f"RCPT TO:<{email}>".encode())
            for _ in range(3):
                wire.send(b"BDAT 600000\r\n" + b"x" * 600_000)
                wire.answer()
            wire.send(b"BDAT 0 LAST\r\n")
            assert wire.answer().startswith("552")
        (entry,) = sandbox.smtp_journal
        assert (entry.status, entry.size, entry.source) == (552, 1_800_000, None)


# ------------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "written",
    [
        "ann@münchen.example",
        "ann@xn--mnchen-3ya.example",
        "ANN@MÜNCHEN.example",
        "ann+newsletter@münchen.example",
        "ann+a+b@XN--MNCHEN-3YA.example",
        '"ann"@münchen.example',
    ],
)
@pytest.mark.parametrize("known", ["ann@münchen.example", "ann@xn--mnchen-3ya.example"])
def test_all_spellings_of_an_address_reach_its_mailbox(sandbox: Sandbox, known: str, written: str) -> None:
    """Either alphabet of a domain, either case, a tag behind a plus and needless quotes name one mailbox."""
    with sandbox._state.lock:
        sandbox._state.open(known, sandbox.api_key)
    with Wire(sandbox) as wire:
        wire.say(b"EHLO x", b"MAIL FROM:<a@b.example> SMTPUTF8")
        assert wire.say(f"RCPT TO:<{written}>".encode(), b"DATA")[0] == "250 OK"
        wire.send(b"hi\r\n.\r\n")
        assert wire.answer() == "250 OK"
    assert len(stored(sandbox, known)) == 1


def test_a_mailbox_with_a_plus_in_its_name_is_its_own(sandbox: Sandbox) -> None:
    """A tag is one only where no mailbox has the whole name."""
    with sandbox._state.lock:
        for name in ("ann", "ann+tag"):
            sandbox._state.open(f"{name}@example.com", sandbox.api_key)
    with connected(sandbox) as smtp:
        smtp.send_message(mail(), SENDER, ["ann+tag@example.com"])
    assert [len(stored(sandbox, f"{name}@example.com")) for name in ("ann", "ann+tag")] == [0, 1]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (b"<a@b.example>", "250"),
        (b"a@b.example", "250"),
        (b" <a@b.example>", "250"),
        (b"<>", "250"),
        (b"<@relay.example,@two.example:a@b.example>", "250"),
        (b'<"a b"@c.example>', "250"),
        (b"<root>", "250"),
        (b"<a b@c.example>", "553"),
        (b"<a@b.example", "553"),
        (b"<" + b"(" * 10_000, "553"),
        (b'<"' + b"\\" * 10_001 + b">", "553"),
        (b"", "553"),
    ],
    ids=range(12),
)
def test_senders_are_understood_in_linear_time(sandbox: Sandbox, path: bytes, answer: str) -> None:
    """Whatever stands for an address is accepted or refused, without a recursion to exhaust."""
    with Wire(sandbox) as wire:
        wire.say(b"EHLO x")
        assert wire.say(b"MAIL FROM:" + path)[0][:3] == answer


def test_mail_for_others_may_be_discarded() -> None:
    """`others="discard"` accepts every recipient and keeps the copies of the mailboxes only."""
    with Sandbox(others="discard") as sandbox:
        email = mailbox(sandbox)
        with connected(sandbox) as smtp:
            assert smtp.send_message(mail(), SENDER, ["admin@gmail.example", email]) == {}
            assert smtp.send_message(mail(), SENDER, ["admin@gmail.example"]) == {}
        assert len(stored(sandbox, email)) == 1
        assert [(entry.status, len(entry.message_ids)) for entry in sandbox.smtp_journal] == [(250, 1), (250, 0)]


def test_mail_for_others_may_be_kept() -> None:
    """`others="keep"` makes a mailbox of the first account for whoever is written to, once the mail is there."""
    with Sandbox(others="keep") as sandbox:
        with Wire(sandbox) as wire:
            wire.say(b"EHLO x", b"MAIL FROM:<a@b.example>", b"RCPT TO:<never@sent.example>")
        with connected(sandbox) as smtp:
            smtp.send_message(mail(), SENDER, ["admin@corp.example", "ops@corp.example"])
            sandbox.clock.advance(601)
            smtp.send_message(mail(), SENDER, ["admin@corp.example"])
        assert len(stored(sandbox, "admin@corp.example")) == 1
        assert sandbox._state.box("never@sent.example") is None
        assert {box.key for box in sandbox._state.boxes.values()} == {sandbox.api_key}


# --------------------------------------------------------------------------------------------------------- journal


def only(sandbox: Sandbox) -> SmtpEntry:
    (entry,) = sandbox.smtp_journal
    return entry


def test_the_journal_keeps_envelope_headers_and_source(sandbox: Sandbox) -> None:
    """A mail that arrived is there as it came: Bcc in the envelope, all headers in their order, the raw bytes."""
    email, secret = mailbox(sandbox), mailbox(sandbox)
    with connected(sandbox) as smtp:
        smtp.ehlo("app.example")
        message = mail("Grüße", To=email, Reply_To="reply@example.org", List_Unsubscribe="<https://example.org/u>")
        smtp.send_message(message, "bounce@example.org", [email, secret])
    entry = only(sandbox)
    assert (entry.id, entry.status, entry.reason, entry.sender) == (1, 250, "", "bounce@example.org")
    assert [(recipient.address, recipient.status) for recipient in entry.recipients] == [(email, 250), (secret, 250)]
    assert (entry.client, entry.tls, entry.login, entry.fault) == ("app.example", "", "", "")
    assert entry.peer.startswith("127.0.0.1:")
    assert [name for name, _ in entry.headers][:4] == ["Subject", "From", "To", "Reply-To"]
    assert dict(entry.headers)["Subject"] == "Grüße"
    assert entry.source is not None
    assert (entry.size, bytes(entry.source)) == (len(entry.source), message.as_bytes().replace(b"\n", b"\r\n"))
    messages = sandbox._state.messages
    assert list(entry.message_ids) == list(messages)
    assert [message.envelope for message in messages.values()] == [entry, entry]
    assert entry.to_json()["recipients"][1] == {"address": secret, "status": 250, "reason": ""}


def test_why_did_it_not_arrive() -> None:
    """Every way in which a mail is not kept leaves an entry that says why."""
    with Sandbox() as sandbox:
        email = mailbox(sandbox)
        with Wire(sandbox) as wire:
            wire.say(b"MAIL FROM:<no@greeting.example>", b"EHLO x", b"MAIL FROM:<a b>")
            wire.say(b"MAIL FROM:<big@b.example> SIZE=999999999", b"MAIL FROM:<a@b.example>", b"RCPT TO:<no@w.example>")
            wire.say(b"RSET", b"MAIL FROM:<a@b.example>", f"RCPT TO:<{email}>".encode(), b"RSET")
            wire.say(b"MAIL FROM:<>", f"RCPT TO:<{email}>".encode(), b"RCPT TO:<no@w.example>", b"DATA")
            wire.send(b"half")
    entries = sandbox.smtp_journal
    assert [(entry.sender, entry.status, entry.reason[:20]) for entry in entries] == [
        ("no@greeting.example", 503, "Error: send HELO fir"),
        ("<a b>", 553, "5.1.3 Error: malform"),
        ("big@b.example", 552, "Error: message size "),
        ("a@b.example", 550, "5.1.1 The sandbox ha"),
        ("a@b.example", 0, "the client ended the"),
        ("", 0, "the client ended the"),
    ]
    assert [(recipient.address, recipient.status) for recipient in entries[-1].recipients] == [
        (email, 250),
        ("no@w.example", 550),
    ]


def test_a_refused_mail_keeps_its_source() -> None:
    """What was read before the refusal can be seen: a sandbox that is full says so, with the mail."""
    with Sandbox(limits=Limits(messages=0)) as sandbox:
        email = mailbox(sandbox)
        with connected(sandbox) as smtp, pytest.raises(smtplib.SMTPDataError):
            smtp.sendmail(SENDER, [email], "Subject: lost\r\n\r\n")
        entry = only(sandbox)
        assert (entry.status, entry.reason, entry.headers) == (
            452,
            "4.3.1 The sandbox is full",
            [("Subject", "lost")],
        )


def test_the_journal_is_bounded_and_can_be_cleared() -> None:
    """Beyond its caps the oldest sources go first, then the oldest entries; clearing and resetting forget all."""
    with Sandbox(limits=Limits(journal=3, journal_bytes=250)) as sandbox:
        email = mailbox(sandbox)
        with connected(sandbox) as smtp:
            for _ in range(4):
                smtp.sendmail(SENDER, [email], b"x" * 98)
        entries = sandbox.smtp_journal
        assert [(entry.id, entry.size, entry.source is not None) for entry in entries] == [
            (2, 100, False),
            (3, 100, True),
            (4, 100, True),
        ]
        sandbox.clear_journal()
        assert sandbox.smtp_journal == []
        with connected(sandbox) as smtp:
            smtp.sendmail(SENDER, [email], b"x")
        sandbox.reset()
        assert sandbox.smtp_journal == []


# ---------------------------------------------------------------------------------------------------------- safety


@pytest.mark.parametrize("method", ["GET", "POST", "CONNECT", "OPTIONS", "PRI", "post"])
def test_a_request_of_http_ends_the_session(sandbox: Sandbox, method: str) -> None:
    """A browser's request whose body is SMTP delivers nothing: the first line ends the session."""
    email = mailbox(sandbox)
    smuggled = f"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<{email}>\r\nDATA\r\nSubject: evil\r\n\r\n.\r\nQUIT\r\n"
    with Wire(sandbox) as wire:
        wire.send(f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n{smuggled}".encode())
        assert wire.answer().startswith("421")
        assert wire.is_closed()
    assert stored(sandbox, email) == []
    assert sandbox.smtp_journal == []


def test_what_clients_send_is_logged_clean(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """Escape sequences reach no log, and passwords do not either, even where everything is logged."""
    with caplog.at_level(logging.DEBUG), Wire(sandbox) as wire:
        wire.say(b"\033]0;title\007 y", b"EHLO \033[31m\xc2\x9b", b"MAIL FROM:<\033[2Ja@b.example>")
        wire.say(b"RCPT TO:<\033[2J>", b"AUTH LOGIN", base64.b64encode(b"ann"), b"not base64 " + PASSWORD.encode())
        wire.say(b"AUTH PLAIN " + token("", "ann", PASSWORD))
        wire.say(b"NOOP")
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "unrecognised" in logged
    assert not [character for character in logged if not character.isprintable() and character != "\n"]
    assert PASSWORD not in logged
    assert base64.b64encode(PASSWORD.encode()).decode() not in logged
    assert token("", "ann", PASSWORD).decode() not in logged


def test_a_failure_of_the_sandbox_is_said_and_survived(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets a temporary refusal, the log the traceback, and the session goes on."""

    def fail(_delivery: LocalDelivery, _address: str) -> str:
        raise ZeroDivisionError

    email = mailbox(sandbox)
    with Wire(sandbox) as wire:
        wire.say(b"EHLO x", b"MAIL FROM:<a@b.example>")
        with monkeypatch.context() as broken:
            broken.setattr(LocalDelivery, "refusal", fail)
            assert wire.say(f"RCPT TO:<{email}>".encode()) == ["451 4.3.0 The sandbox failed: ZeroDivisionError"]
        assert wire.say(f"RCPT TO:<{email}>".encode(), b"MAIL FROM:<nested@b.example>") == [
            "250 OK",
            "503 5.5.1 Error: nested MAIL command",
        ]
    assert [record.exc_info is not None for record in caplog.records if record.levelno == logging.ERROR] == [True]


async def test_clients_that_hang_up_leave_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """A reset connection, at any moment, is the client's business: nothing is logged as an error."""
    handled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: handled.append(context))
    async with Sandbox() as sandbox:
        email = mailbox(sandbox)
        for text in (b"", b"EHLO x\r\n" * 5_000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"):
            for port in (sandbox.smtp_port, sandbox.smtp_tls_port):
                _, writer = await asyncio.open_connection(sandbox.smtp_host, port)
                writer.write(text)
                writer.transport.abort()

        def send() -> None:
            with connected(sandbox) as smtp:
                smtp.sendmail(SENDER, [email], b"still alive")

        await asyncio.to_thread(send)
    assert handled == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
