"""A real e-mail's whole journey on this machine, reported step by step; every step is compared with what was sent.

The sandbox receives the mail by SMTP and plays the service; both clients are used as an application would use them.
"""

from __future__ import annotations

import hashlib
import os
import random
import smtplib
import tempfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

from attrs import define, field, frozen

from tempmailg import _signals as signals
from tempmailg._blocking import Client
from tempmailg._client import AsyncClient
from tempmailg._endpoints import EndpointName
from tempmailg._serial import Value
from tempmailg.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tempmailg._models import Attachment, Mailbox, Message, Quota

__all__ = ["Step", "run"]

_FILE_NAME: Final = "report.bin"
_FILE_SIZE: Final = 3 * 1024 * 1024  # bytes: more than one read of any buffer on the way


@frozen
class Step(Value):
    """One line of the transcript.

    Args:
        text: What happened.
        ok: Whether it is as it should be; None if there was nothing to compare.
    """

    text: str
    ok: bool | None = None


def run(report: Callable[[Step], None]) -> bool:
    """Run the demo.

    Args:
        report: Called with each step as it happens.

    Returns:
        Whether every comparison held.
    """
    with Sandbox() as sandbox:
        transcript = _Transcript(report, sandbox)
        transcript.say(f"sandbox: HTTP at {sandbox.base_url}, SMTP at {sandbox.smtp_host}:{sandbox.smtp_port}")
        signals.run(lambda: _asynchronously(sandbox, transcript))
        transcript.check_journal()
        sandbox.reset()
        _blockingly(sandbox, transcript)
        transcript.check_journal()
    return transcript.holds


async def _asynchronously(sandbox: Sandbox, transcript: _Transcript) -> None:
    transcript.say("asynchronous: AsyncClient")
    async with AsyncClient(sandbox.api_key, base_url=sandbox.base_url) as client:
        domains = await client.list_domains()
        transcript.domains(domain.domain for domain in domains.domains)
        before = client.quota
        mailbox = await client.create_mailbox()
        transcript.say(f"created {mailbox.email}")
        mailbox = await client.update_mailbox(mailbox, "demo", domains.domains[0].domain)
        transcript.mailbox(mailbox, "demo", domains.domains[0].domain)

        mail = _Mail.sent_to(mailbox, sandbox)
        transcript.sent(mail)
        arrived = await client.wait_for_message(mailbox, subject=mail.subject, timeout=30)
        transcript.arrived(arrived, mail)
        message = await client.get_message(arrived)
        transcript.read(message, mail)

        file = message.attachments[0]
        with tempfile.TemporaryDirectory() as folder:
            transcript.saved(await _streamed(client, file, folder), file, mail)

        await client.delete_message(message)
        transcript.emptied(await client.list_messages(mailbox))
        await client.delete_mailbox(mailbox)
        transcript.quota(before, client.quota)


async def _streamed(client: AsyncClient, file: Attachment, folder: str) -> Path:
    path = Path(folder, "attachment")
    async with client.stream_attachment(file) as stream:
        with path.open("xb") as target:  # noqa: ASYNC230 - a demo writes to disk without ceremony
            async for chunk in stream:
                target.write(chunk)
    return path


def _blockingly(sandbox: Sandbox, transcript: _Transcript) -> None:
    transcript.say("blocking: Client")
    with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        domains = client.list_domains()
        transcript.domains(domain.domain for domain in domains.domains)
        before = client.quota
        mailbox = client.create_mailbox()
        transcript.say(f"created {mailbox.email}")
        mailbox = client.update_mailbox(mailbox, "demo", domains.domains[0].domain)
        transcript.mailbox(mailbox, "demo", domains.domains[0].domain)

        mail = _Mail.sent_to(mailbox, sandbox)
        transcript.sent(mail)
        arrived = client.wait_for_message(mailbox, subject=mail.subject, timeout=30)
        transcript.arrived(arrived, mail)
        message = client.get_message(arrived)
        transcript.read(message, mail)

        file = message.attachments[0]
        with tempfile.TemporaryDirectory() as folder:
            transcript.saved(_streamed_blockingly(client, file, folder), file, mail)

        client.delete_message(message)
        transcript.emptied(client.list_messages(mailbox))
        client.delete_mailbox(mailbox)
        transcript.quota(before, client.quota)


def _streamed_blockingly(client: Client, file: Attachment, folder: str) -> Path:
    path = Path(folder, "attachment")
    with path.open("xb") as target, client.stream_attachment(file) as stream:
        for chunk in stream:
            target.write(chunk)
    return path


@frozen
class _Mail:
    """What was sent, to compare with what arrives."""

    subject: str
    code: str
    file: bytes = field(repr=False)

    @classmethod
    def sent_to(cls, mailbox: Mailbox, sandbox: Sandbox) -> _Mail:
        """Send a multipart e-mail by SMTP, as any application does."""
        code = f"{random.randrange(1_000_000):06}"  # noqa: S311 - the code of a demo guards nothing
        mail = cls("Your verification code", code, os.urandom(_FILE_SIZE))
        with smtplib.SMTP(sandbox.smtp_host, sandbox.smtp_port, timeout=30) as server:
            server.send_message(mail._as_email(mailbox.email))
        return mail

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.file).hexdigest()

    def _as_email(self, to: str) -> EmailMessage:
        email = EmailMessage()
        email["From"] = "Example Sign-up <no-reply@example.org>"
        email["To"] = to
        email["Subject"] = self.subject
        email.set_content(f"Your verification code is {self.code}.")
        email.add_alternative(f"<p>Your verification code is <b>{self.code}</b>.</p>", subtype="html")
        email.add_attachment(self.file, maintype="application", subtype="octet-stream", filename=_FILE_NAME)
        return email


@define
class _Transcript:
    """Reports the steps and remembers whether all of them held."""

    report: Callable[[Step], None]
    sandbox: Sandbox
    holds: bool = True

    def say(self, text: str) -> None:
        self.report(Step(text))

    def check(self, text: str, *, ok: bool) -> None:
        self.holds = self.holds and ok
        self.report(Step(text, ok))

    def domains(self, names: Iterable[str]) -> None:
        listed = list(names)
        self.check(f"domains: {', '.join(listed)}", ok=bool(listed))

    def mailbox(self, mailbox: Mailbox, username: str, domain: str) -> None:
        text = f"switched to {mailbox.email}, which lives {mailbox.expires_in_seconds} s"
        self.check(text, ok=mailbox.email == f"{username}@{domain}")

    def sent(self, mail: _Mail) -> None:
        self.say(f"sent by SMTP: {mail.subject!r} with a code in HTML and a file of {len(mail.file):,} bytes")

    def arrived(self, message: Message, mail: _Mail) -> None:
        self.check(f"arrived: {message.subject!r} from {message.from_email}", ok=message.subject == mail.subject)

    def read(self, message: Message, mail: _Mail) -> None:
        code = message.find_code()
        self.check(f"the code is {code}", ok=code == mail.code and message.is_html and message.is_seen)

    def saved(self, path: Path, file: Attachment, mail: _Mail) -> None:
        with path.open("rb") as saved:
            digest = hashlib.file_digest(saved, "sha256").hexdigest()
        text = f"streamed {file.name} to disk: {path.stat().st_size:,} bytes, SHA-256 {digest[:16]}…, as sent"
        self.check(text, ok=digest == mail.digest and file.name == _FILE_NAME)

    def emptied(self, messages: list[Message]) -> None:
        self.check(f"deleted the message: {len(messages)} left, and the mailbox", ok=not messages)

    def quota(self, before: Quota | None, after: Quota | None) -> None:
        if before is None or after is None:
            self.check("the service declared no quota", ok=False)
            return
        answered = sum(200 <= (entry.status or 0) < 300 for entry in self.sandbox.journal)
        text = f"quota used: {before.used} before, {after.used} after, of {after.limit:,}"
        self.check(text, ok=after.used - before.used == answered - 1)  # `before` came with the first answer

    def check_journal(self) -> None:
        """Compare what the sandbox was asked with the list of all endpoints."""
        used, known = {entry.endpoint for entry in self.sandbox.journal}, set(get_args(EndpointName))
        self.check(f"{len(used)} of {len(known)} endpoints were used", ok=used == known)
