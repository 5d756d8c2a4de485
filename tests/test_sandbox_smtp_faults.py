"""Scripted faults of the SMTP door: refusals, greylisting, lost connections and late mail."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.smtp import SENDER, Wire, connected, mailbox, stored

from tempmailg._errors import ConfigurationError
from tempmailg.sandbox import (
    Greylist,
    LateDelivery,
    Sandbox,
    SmtpDelay,
    SmtpDisconnect,
    SmtpFault,
    SmtpFaults,
    SmtpReply,
)
from tempmailg.sandbox._smtp_faults import smtp_fault_from_json, smtp_fault_to_json

MAIL = b"Subject: x\r\n\r\nhi"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox in a thread of its own, on a clock that the test moves."""
    with Sandbox() as running:
        running.clock.freeze()
        yield running


@pytest.mark.parametrize("stage", ["connect", "auth", "mail", "rcpt", "data"])
def test_each_stage_can_be_refused(sandbox: Sandbox, stage: str) -> None:
    """The next session that reaches the stage gets the scripted reply, once, and the one after that is served."""
    email = mailbox(sandbox)
    sandbox.smtp_faults.next(stage, SmtpReply(451, "4.7.1 Not now"))  # type: ignore[arg-type] # pytest passes text
    for expected in (["451"], []):
        refused = [answer for answer in conversation(sandbox, email) if answer.startswith("451")]
        assert [answer[:3] for answer in refused] == expected
        assert all(answer == "451 4.7.1 Not now" for answer in refused)
    assert len(stored(sandbox, email)) == (2 if stage == "auth" else 1)  # who may not log in may send all the same
    assert stage == "connect" or [entry.fault for entry in sandbox.smtp_journal if entry.fault] == ["smtp_reply"]


def conversation(sandbox: Sandbox, email: str) -> list[str]:
    with Wire(sandbox) as wire:
        if not wire.greeting.startswith("220"):
            return [wire.greeting]
        commands = [
            b"EHLO x",
            b"AUTH PLAIN AGEAYg==",
            b"MAIL FROM:<a@b.example>",
            f"RCPT TO:<{email}>".encode(),
            b"DATA",
        ]
        answers = wire.say(*commands)
        if answers[-1].startswith("354"):
            answers += wire.say(MAIL + b"\r\n.")
        return answers


def test_a_reply_lasts_as_often_as_it_is_scripted(sandbox: Sandbox) -> None:
    """`times` counts the meetings, and what smtplib raises is what an application has to handle."""
    email = mailbox(sandbox)
    sandbox.smtp_faults.next("data", SmtpReply(554, "Spam"), times=2)
    assert (len(sandbox.smtp_faults), sandbox.smtp_faults.pending()) == (2, [("data", SmtpReply(554, "Spam"), 2)])
    with connected(sandbox) as smtp:
        for _ in range(2):
            with pytest.raises(smtplib.SMTPDataError) as caught:
                smtp.sendmail(SENDER, [email], MAIL)
            assert (caught.value.smtp_code, caught.value.smtp_error) == (554, b"Spam")
        smtp.sendmail(SENDER, [email], MAIL)
    entries = sandbox.smtp_journal
    assert [(entry.status, entry.reason, entry.fault) for entry in entries[:2]] == [(554, "Spam", "smtp_reply")] * 2
    assert all(entry.source is not None for entry in entries)


def test_a_greylisted_recipient_is_accepted_after_a_while(sandbox: Sandbox) -> None:
    """The pair of sender and recipient is refused until the time has passed, and others are not concerned."""
    email, other = mailbox(sandbox), mailbox(sandbox)
    sandbox.smtp_faults.next("rcpt", Greylist(seconds=60))
    with connected(sandbox) as smtp:
        for _ in range(2):
            with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
                smtp.sendmail(SENDER, [email], MAIL)
            assert caught.value.recipients[email][0] == 450
        smtp.sendmail(SENDER, [other], MAIL)
        smtp.sendmail("second@example.org", [email], MAIL)
        sandbox.clock.advance(60)
        smtp.sendmail(SENDER, [email], MAIL)
        assert [len(stored(sandbox, address)) for address in (email, other)] == [2, 1]
        sandbox.smtp_faults.next("rcpt", Greylist(seconds=60))
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            smtp.sendmail(SENDER, [email], MAIL)
        sandbox.smtp_faults.clear()
        smtp.sendmail(SENDER, [email], MAIL)


@pytest.mark.parametrize("stage", ["connect", "auth", "mail", "rcpt", "data"])
def test_each_stage_can_lose_the_connection(sandbox: Sandbox, stage: str) -> None:
    """The client gets no answer and nothing is delivered; the journal says that it was scripted."""
    email = mailbox(sandbox)
    sandbox.smtp_faults.next(stage, SmtpDisconnect())  # type: ignore[arg-type] # pytest passes text
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)), connected(sandbox) as smtp:
        smtp.login("ann", "pw")
        smtp.sendmail(SENDER, [email], MAIL)
    assert stored(sandbox, email) == []
    if stage in ("mail", "rcpt", "data"):
        assert [(entry.status, entry.reason) for entry in sandbox.smtp_journal] == [
            (0, "the sandbox hung up, as scripted")
        ]


@pytest.mark.parametrize("command", ["DATA", "BDAT"])
def test_a_connection_is_lost_in_the_middle_of_a_mail(command: str) -> None:
    """After so many bytes of it the mail is given up, whichever way it is sent."""
    with Sandbox() as sandbox:
        email = mailbox(sandbox)
        sandbox.smtp_faults.next("data", SmtpDisconnect(after=1_000))
        with Wire(sandbox) as wire:
            wire.say(b"EHLO x", b"MAIL FROM:<a@b.example>", f"RCPT TO:<{email}>".encode())
            wire.send(f"{command}{' 2000 LAST' if command == 'BDAT' else ''}\r\n".encode())
            if command == "DATA":
                assert wire.answer().startswith("354")
            wire.send(b"x" * 998 + b"\r\n")
            wire.send(b"x" * 998 + b"\r\n")
            assert wire.is_closed()
        assert stored(sandbox, email) == []
    (entry,) = sandbox.smtp_journal
    assert (entry.status, entry.fault) == (0, "smtp_disconnect")
    assert entry.size > 1_000


def test_an_answer_can_be_late(sandbox: Sandbox) -> None:
    """The honest answer comes when the sandbox's clock has moved so far."""
    email = mailbox(sandbox)
    sandbox.clock.resume()
    for stage in ("auth", "mail", "rcpt", "data"):
        sandbox.smtp_faults.next(stage, SmtpDelay(0.01))
    with connected(sandbox) as smtp:
        smtp.login("ann", "pw")
        smtp.sendmail(SENDER, [email], MAIL)
    assert (len(stored(sandbox, email)), len(sandbox.smtp_faults)) == (1, 0)


async def test_a_mail_can_be_accepted_and_arrive_late() -> None:
    """The client gets its 250 at once, the mailbox its mail later, and the journal learns of both."""
    async with Sandbox() as sandbox:
        sandbox.clock.freeze()
        email, gone = mailbox(sandbox), mailbox(sandbox)
        sandbox.smtp_faults.next("data", LateDelivery(seconds=30), times=2)

        def send() -> None:
            with connected(sandbox) as smtp:
                smtp.sendmail(SENDER, [email], MAIL)
                smtp.sendmail(SENDER, [gone], MAIL)

        await asyncio.to_thread(send)
        assert stored(sandbox, email) == []
        assert [(entry.status, entry.message_ids) for entry in sandbox.smtp_journal] == [(250, ()), (250, ())]
        with sandbox._state.lock:
            sandbox._state.close(sandbox._state._known_box(gone))
        sandbox.clock.advance(30)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(stored(sandbox, email)) == 1
        kept, lost = sandbox.smtp_journal
        assert (kept.status, kept.message_ids) == (250, tuple(sandbox._state.messages))
        assert lost.status == 550
        assert lost.reason.startswith("accepted, and lost later")


def test_a_bad_day_can_be_repeated() -> None:
    """The same seed gives the same faults, and a rate of 0 ends them."""

    def day(seed: int) -> list[bool]:
        faults = SmtpFaults()
        faults.randomly(0.5, [SmtpReply()], seed=seed, stages=["mail"])
        assert faults.take("data") is None
        return [faults.take("mail") is not None for _ in range(50)]

    assert day(1) == day(1) != day(2)
    faults = SmtpFaults()
    faults.randomly(1, [SmtpReply()], stages=["mail"])
    faults.randomly(0, [SmtpReply()], stages=["mail"])
    assert faults.take("mail") is None
    faults.next("mail", SmtpReply())
    faults.clear()
    assert (faults.take("mail"), len(faults)) == (None, 0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SmtpReply(250), "code must be a reply code of 400 to 599"),
        (lambda: SmtpReply(451, "two\r\nlines"), "text must be one line"),
        (lambda: SmtpReply(451, " "), "text must be one line"),
        (lambda: SmtpDelay(float("nan")), "seconds must be a finite number"),
        (lambda: SmtpDelay(True), "seconds must be a finite number"),
        (lambda: SmtpDisconnect(-1), "after must be a number of bytes"),
        (lambda: SmtpFaults().next("data", Greylist()), "greylist can happen at rcpt, not at 'data'"),
        (lambda: SmtpFaults().next("rcpt", LateDelivery()), "late_delivery can happen at data"),
        (lambda: SmtpFaults().next("nowhere", SmtpReply()), "stage must be one of connect, auth"),  # type: ignore[arg-type] # wrong on purpose
        (lambda: SmtpFaults().next("mail", SmtpReply(), times=0), "times must be at least 1"),
        (lambda: SmtpFaults().randomly(2, [SmtpReply()], stages=["mail"]), "rate must be between 0 and 1"),
        (lambda: SmtpFaults().randomly(1, [Greylist()], stages=["mail"]), "greylist can happen at rcpt"),
        (lambda: smtp_fault_from_json({"kind": "status"}), "kind must be one of greylist"),
        (lambda: smtp_fault_from_json({"kind": "greylist", "minutes": 1}), "minutes is unknown"),
    ],
)
def test_wrong_faults_are_refused(make: Callable[[], object], words: str) -> None:
    """What cannot happen is refused when it is scripted, in words that say what could."""
    with pytest.raises(ConfigurationError, match=words):
        make()


@given(
    st.one_of(
        st.builds(SmtpReply, st.integers(400, 599)),
        st.builds(SmtpDisconnect, st.integers(0, 10**9)),
        st.builds(SmtpDelay, st.floats(0, 1e9)),
        st.builds(Greylist, st.floats(0, 1e9)),
        st.builds(LateDelivery, st.integers(0, 10**9)),
    )
)
def test_a_fault_survives_json(fault: SmtpFault) -> None:
    """Every kind is described in JSON's types and made from them again."""
    assert smtp_fault_from_json(smtp_fault_to_json(fault)) == fault
