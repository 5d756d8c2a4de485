"""Mailboxes, messages and SMTP transactions as the control routes show them: everything that the API hides. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from attrs import asdict, fields

from tempmailg._models import Message
from tempmailg.sandbox._answers import Answer, Refusal
from tempmailg.sandbox._journal import SmtpEntry
from tempmailg.sandbox._mail import BytesBlob, header_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tempmailg.sandbox._state import Box, State, Stored

__all__ = [
    "as_message",
    "is_kept",
    "mailboxes",
    "message",
    "messages",
    "smtp_entries",
    "smtp_entry",
    "source_answer",
    "stored_message",
    "summary",
]


def mailboxes(state: State) -> list[dict[str, Any]]:
    """Return the living mailboxes, the oldest first."""
    with state.lock:
        state.purge()
        return [_mailbox(box, state) for box in state.boxes.values()]


def messages(state: State, mailbox: str | None) -> list[dict[str, Any]]:
    """Return the messages of all living mailboxes, or of one, the oldest first, without their content."""
    with state.lock:
        state.purge()
        boxes = state.boxes.values() if mailbox is None else [_known_box(state, mailbox)]
        found = sorted((message for box in boxes for message in box.messages.values()), key=lambda one: one.received)
        return [summary(one) for one in found]


def message(state: State, message_id: str) -> dict[str, Any]:
    """Return one message whole: content, code and link in it, headers, files and envelope."""
    with state.lock:
        stored = stored_message(state, message_id)
        mail = stored.mail
        read = as_message(stored)
        return {
            **summary(stored),
            "content": mail.content,
            "text": read.text,
            "code": read.find_code(),
            "link": read.find_link(),
            "headers": [list(field) for field in header_fields(stored.raw or b"")],
            "attachments": [
                {"name": file.name, "content_type": file.content_type, "size": file.blob.size} for file in mail.files
            ],
        }


def as_message(stored: Stored) -> Message:
    """Return a message as the client sees it, without its files."""
    mail = stored.mail
    return Message(
        id=stored.id,
        subject=mail.subject,
        from_name=mail.from_name,
        from_email=mail.from_email,
        to=stored.box.email,
        received_at=datetime.fromtimestamp(stored.received, UTC),
        is_seen=stored.is_seen,
        is_html=mail.is_html,
        content=mail.content,
    )


def stored_message(state: State, message_id: str) -> Stored:
    """Return a message of a living mailbox.

    Raises:
        Refusal: There is none.
    """
    stored = state.messages.get(message_id)
    if stored is None or state.box(stored.box.email) is not stored.box:
        raise Refusal(404, "There is no such message, or its mailbox has expired.")
    return stored


def smtp_entries(entries: Iterable[SmtpEntry], status: str | None) -> list[dict[str, Any]]:
    """Return SMTP transactions, the oldest first, without their headers.

    Args:
        entries: The transactions.
        status: ``kept`` for those whose mail was kept for all recipients, ``refused`` for the others; None for all.
    """
    return [_entry(entry) for entry in entries if status is None or (status == "kept") == is_kept(entry)]


def smtp_entry(entries: Iterable[SmtpEntry], number: str) -> SmtpEntry:
    """Return one SMTP transaction.

    Raises:
        Refusal: There is none.
    """
    found = next((entry for entry in entries if str(entry.id) == number), None)
    if found is None:
        raise Refusal(404, "The journal has no such transaction, or has forgotten it.")
    return found


def is_kept(entry: SmtpEntry) -> bool:
    """Say whether a mail was accepted for all of its recipients."""
    return entry.status == 250 and all(recipient.status == 250 for recipient in entry.recipients)


def source_answer(source: bytes | bytearray | None, without: str) -> Answer:
    """Return the source of a mail as it came.

    Args:
        source: The source.
        without: What to say if there is none.

    Raises:
        Refusal: There is none.
    """
    if source is None:
        raise Refusal(404, without)
    headers = (("Content-Type", "message/rfc822"), ("X-Content-Type-Options", "nosniff"))
    return Answer(200, headers, BytesBlob(bytes(source)))


def _known_box(state: State, email: str) -> Box:
    box = state.box(email)
    if box is None:
        raise Refusal(404, "There is no such mailbox, or it has expired.")
    return box


def _mailbox(box: Box, state: State) -> dict[str, Any]:
    return {
        "id": box.id,
        "email": box.email,
        "created_at": _iso(box.created),
        "expires_at": _iso(box.expires),
        "expires_in_seconds": round(box.expires - state.clock.time()),
        "messages": len(box.messages),
        "unseen": sum(not message.is_seen for message in box.messages.values()),
    }


def summary(stored: Stored) -> dict[str, Any]:
    """Return what a list shows of a message."""
    mail, envelope = stored.mail, stored.envelope
    return {
        "id": stored.id,
        "mailbox": stored.box.email,
        "received_at": _iso(stored.received),
        "is_seen": stored.is_seen,
        "subject": mail.subject,
        "from_name": mail.from_name,
        "from_email": mail.from_email,
        "is_html": mail.is_html,
        "size": stored.size,
        "files": len(mail.files),
        "has_source": stored.raw is not None,
        "envelope": None if envelope is None else _entry(envelope),
    }


def _entry(entry: SmtpEntry) -> dict[str, Any]:
    described = asdict(entry, filter=lambda attribute, _: attribute is not fields(SmtpEntry).source)
    return {**described, "at": entry.at.isoformat(), "is_kept": is_kept(entry), "has_source": entry.source is not None}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
