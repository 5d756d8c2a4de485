"""What a tester does to a sandbox: deliver mail, move time, script faults, set accounts, read the journal.

`Sandbox` inherits it; the control routes do the same over HTTP. It knows nothing of doors, so that those may know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, Final

from tempmailg._errors import ConfigurationError
from tempmailg.sandbox._checks import check_address, check_key, check_moment, check_text, is_count
from tempmailg.sandbox._journal import SmtpEntry, SmtpJournal
from tempmailg.sandbox._mail import BytesBlob, File, Mail, address_of, distinct
from tempmailg.sandbox._smtp_faults import SmtpFaults
from tempmailg.sandbox._state import Account
from tempmailg.sandbox._views import is_kept

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tempmailg._models import Mailbox
    from tempmailg.sandbox._certificate import ServerTls
    from tempmailg.sandbox._clock import Clock
    from tempmailg.sandbox._dump import Dump
    from tempmailg.sandbox._faults import Faults
    from tempmailg.sandbox._journal import SmtpEntry
    from tempmailg.sandbox._service import JournalEntry, Service
    from tempmailg.sandbox._state import Plan, State

__all__ = ["SENDER", "Operations"]

SENDER: Final = "Example Sender <hello@example.org>"


class Operations:
    """What can be done to a sandbox while it runs.

    Args:
        service: The service that it plays.
        api_key: The key of the first account.
        host: The address of its doors.
        tls: The certificate of its SMTP door.
    """

    def __init__(self, service: Service, *, api_key: str, host: str, tls: ServerTls) -> None:
        self._service = service
        self._state = service.state
        self._key = api_key
        self._host = host
        self._tls = tls
        self._smtp_journal = _PublishedJournal(self._state)
        self._smtp_faults = SmtpFaults()
        self._smtp_port: int | None = None
        self._smtp_tls_port: int | None = None

    @property
    def base_url(self) -> str:
        """The API's base URL, such as ``http://127.0.0.1:8025/api``."""
        return self._service.base_url

    @property
    def api_key(self) -> str:
        """The key of the first account."""
        return self._key

    @property
    def control_url(self) -> str:
        """The URL of the control routes, such as ``http://127.0.0.1:8025/_sandbox``."""
        return self._service.base_url.removesuffix("/api") + "/_sandbox"

    @property
    def smtp_host(self) -> str:
        """The SMTP server's address."""
        return self._host

    @property
    def smtp_port(self) -> int:
        """The SMTP server's port, once the sandbox is started."""
        if self._smtp_port is None:
            raise ConfigurationError("the sandbox is not started: use `with Sandbox() as sandbox:`")
        return self._smtp_port

    @property
    def smtp_tls_port(self) -> int:
        """The port of the SMTP server for connections that begin with TLS, once the sandbox is started."""
        if self._smtp_tls_port is None:
            raise ConfigurationError("the sandbox is not started: use `with Sandbox() as sandbox:`")
        return self._smtp_tls_port

    @property
    def ca_pem(self) -> str | None:
        """The authority behind the SMTP server's certificate, as PEM; None if the certificate is your own.

        Making it takes a third of a second, once.
        """
        return self._tls.ca_pem

    @property
    def clock(self) -> Clock:
        """The sandbox's time."""
        return self._state.clock

    @property
    def faults(self) -> Faults:
        """What is still to go wrong."""
        return self._service.faults

    @property
    def smtp_faults(self) -> SmtpFaults:
        """What is still to go wrong while mail is sent."""
        return self._smtp_faults

    @property
    def smtp_journal(self) -> list[SmtpEntry]:
        """The SMTP transactions, kept and refused, the oldest first."""
        return list(self._smtp_journal.entries())

    @property
    def journal(self) -> list[JournalEntry]:
        """The requests that were answered, the oldest first."""
        with self._state.lock:
            return list(self._service.journal)

    def clear_journal(self) -> None:
        """Forget the requests that were answered and the SMTP transactions."""
        with self._state.lock:
            self._service.journal.clear()
        self._smtp_journal.clear()

    def deliver(
        self,
        mailbox: Mailbox | str,
        message: EmailMessage | bytes | None = None,
        *,
        subject: str = "",
        sender: str = SENDER,
        text: str = "",
        html: str | None = None,
        attachments: Iterable[tuple[str, bytes] | tuple[str, bytes, str]] = (),
        received_at: datetime | None = None,
    ) -> str:
        """Put a message into a mailbox, without SMTP.

        Args:
            mailbox: The mailbox, or its address.
            message: An e-mail, as a value or as bytes; without it, the fields below make the message.
            subject: The subject.
            sender: The sender's name and address.
            text: The content, unless there is HTML.
            html: The content as HTML.
            attachments: Files: name, bytes and, if wanted, the media type. Names are delivered exactly as given.
            received_at: When it was received, aware; now by default.

        Returns:
            The message's id.

        Raises:
            MailboxUnknownError: There is no such mailbox, or it has expired.
            SandboxFullError: A cap is reached.
            ConfigurationError: An argument is nothing that can be delivered.
        """
        email = check_address("mailbox", mailbox if isinstance(mailbox, str) else getattr(mailbox, "email", mailbox))
        received = None if received_at is None else check_moment("received_at", received_at).timestamp()
        if message is not None:
            return self._state.deliver([email], _source(message), received=received)[0]
        name, address = address_of(check_text("sender", sender))
        content = check_text("text", text) if html is None else check_text("html", html)
        files = distinct([_file(number, item) for number, item in enumerate(attachments)])
        mail = Mail(check_text("subject", subject), name, address, html is not None, content, files)
        return self._state.deliver([email], mail, received=received)[0]

    def account(self, api_key: str | None = None) -> Account:
        """Return the account behind a key as it stands.

        Args:
            api_key: The key; the first account's by default.

        Raises:
            ConfigurationError: There is no such key.
        """
        with self._state.lock:
            account = self._state.account(api_key or self._key)
        if account is None:
            raise ConfigurationError("the sandbox has no account with this key: make it with set_account()")
        return account

    def set_account(
        self,
        api_key: str | None = None,
        *,
        plan: Plan | None = None,
        limit: int | None = None,
        used: int | None = None,
        remaining: int | None = None,
    ) -> Account:
        """Change the account behind a key, or make one.

        Args:
            api_key: The key; the first account's by default.
            plan: Its plan.
            limit: Requests it may make until the reset.
            used: Requests it has made.
            remaining: Requests that are left, instead of `used`.

        Returns:
            The account.

        Raises:
            ConfigurationError: An argument is wrong.
        """
        if api_key is not None:
            check_key(api_key)
        if plan not in (None, "free", "premium"):
            raise ConfigurationError(f"plan must be 'free' or 'premium', not {plan!r}")
        for name, count in (("limit", limit), ("used", used), ("remaining", remaining)):
            if count is not None and not is_count(count):
                raise ConfigurationError(f"{name} must be a number of requests, not {count!r}")
        with self._state.lock:
            account = self._state.accounts.setdefault(api_key or self._key, Account())
            account.plan = account.plan if plan is None else plan
            account.limit = account.limit if limit is None else limit
            account.used = account.used if used is None else used
            account.used = account.used if remaining is None else max(0, account.limit - remaining)
        return account

    def knows(self, api_key: str) -> bool:
        """Say whether a key is one of the sandbox's."""
        return api_key in self._state.accounts

    def reset(self) -> None:
        """Forget mailboxes, messages, faults and journal; accounts are as at the beginning, and the clock goes on."""
        with self._state.lock:
            self._state.reset()
            self._service.journal.clear()
        self._smtp_journal.clear()
        self.faults.clear()
        self.smtp_faults.clear()

    def dump(self) -> dict[str, Any]:
        """Describe accounts, mailboxes and messages in JSON's types; no key is among it."""
        from tempmailg.sandbox._dump import dumped  # with cattrs, which opening a sandbox can do without

        return dumped(self._state)

    def load(self, dump: Mapping[str, Any] | Dump) -> None:
        """Go on from the moment of a dump, its time included.

        Args:
            dump: What `dump` returned, in a sandbox with the same keys.

        Raises:
            ConfigurationError: It is no dump, or one of a sandbox with other keys; nothing is changed.
        """
        from tempmailg.sandbox._dump import read_dump, restore

        restore(self._state, read_dump(dump) if isinstance(dump, Mapping) else dump)


class _PublishedJournal(SmtpJournal):
    """The SMTP journal of a sandbox, each of whose entries is an event."""

    def __init__(self, state: State) -> None:
        super().__init__(state.limits.journal, state.limits.journal_bytes)
        self._events = state.events

    def record(self, entry: SmtpEntry) -> SmtpEntry:
        """See `SmtpJournal.record`."""
        entry = super().record(entry)
        self._events.publish(
            "mail_accepted" if is_kept(entry) else "mail_refused",
            id=entry.id,
            status=entry.status,
            reason=entry.reason,
            sender=entry.sender,
            recipients=[recipient.address for recipient in entry.recipients],
        )
        return entry


def _source(message: EmailMessage | bytes) -> bytes:
    if isinstance(message, EmailMessage):
        return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    if not isinstance(message, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        raise ConfigurationError(f"message must be an EmailMessage or bytes, not {type(message).__name__}")
    return bytes(message)


def _file(number: int, attachment: tuple[str, bytes] | tuple[str, bytes, str]) -> File:
    what = f"attachments[{number}]"
    if not isinstance(attachment, tuple) or len(attachment) not in (2, 3):  # pyright: ignore[reportUnnecessaryIsInstance] - the same
        raise ConfigurationError(f"{what} must be a tuple: name, bytes and, if wanted, the media type")
    name, data, content_type = attachment if len(attachment) == 3 else (*attachment, "application/octet-stream")
    if not isinstance(data, bytes | bytearray | memoryview):  # pyright: ignore[reportUnnecessaryIsInstance] - the same
        raise ConfigurationError(f"the content of {what} must be bytes, not {type(data).__name__}")
    media_type = check_text(f"the media type of {what}", content_type)
    return File(check_text(f"the name of {what}", name), media_type, BytesBlob(bytes(data)))
