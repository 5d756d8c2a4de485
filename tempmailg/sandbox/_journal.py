"""What came by SMTP: every transaction, kept or refused, so that "why did it not arrive?" has an answer.

`Sandbox.smtp_journal` is a list of `SmtpEntry`, the oldest first; the requests of the HTTP API stand in
`Sandbox.journal`. A transaction begins with MAIL and ends with the answer to its mail, or earlier: refused, reset, or
left by a client that hung up. An entry whose status is 250 was kept (its `message_ids` name the copies in mailboxes,
and `Stored.envelope` of each copy is the entry); every other one says in `reason` why it was not.
"""

from __future__ import annotations

import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import asdict, evolve, field, fields, frozen

from tempmailg.sandbox._mail import header_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SmtpEntry", "SmtpJournal", "SmtpRecipient"]


@frozen
class SmtpRecipient:
    """One RCPT command and its answer.

    Args:
        address: The address, as the client wrote it.
        status: The answer's code: 250 if the recipient was accepted.
        reason: The answer's text if it was not.
    """

    address: str
    status: int
    reason: str = ""


@frozen(kw_only=True)
class SmtpEntry:
    """One SMTP transaction.

    Args:
        id: Its number in this sandbox, counted from 1.
        at: When it ended, by the sandbox's clock, aware, in UTC.
        status: The code that ended it: 250 if the mail was kept, 4xx or 5xx if it was refused, 0 if the client went
            away or began anew before there was anything to answer.
        reason: Why the mail was not kept; empty if it was.
        sender: The envelope's sender; empty for the null sender.
        recipients: Everybody the client named, Bcc included, each with the answer.
        size: The mail's bytes, as far as they were read.
        client: The name with which the client greeted.
        peer: The client's address, such as ``127.0.0.1:40312``.
        tls: The version of TLS, such as ``TLSv1.3``; empty on a plain connection.
        login: The user name with which the client logged in; empty without a login. Passwords are kept nowhere.
        fault: The kind of scripted fault that happened to it; empty if none.
        message_ids: The ids of the copies in mailboxes.
        source: The mail as it came; None if none came, or if `Limits.journal_bytes` had it forgotten.
    """

    id: int = 0
    at: datetime
    status: int
    reason: str = ""
    sender: str
    recipients: tuple[SmtpRecipient, ...]
    size: int = 0
    client: str = ""
    peer: str = ""
    tls: str = ""
    login: str = ""
    fault: str = ""
    message_ids: tuple[str, ...] = ()
    source: bytes | bytearray | None = field(default=None, repr=False)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All header fields of the mail in their order, unfolded and decoded."""
        return header_fields(self.source or b"")

    def to_json(self) -> dict[str, Any]:
        """Describe it in JSON's types, without its source."""
        described = asdict(self, filter=lambda attribute, _: attribute is not fields(SmtpEntry).source)
        return {**described, "at": self.at.isoformat(), "headers": [list(pair) for pair in self.headers]}


class SmtpJournal:
    """The transactions that are remembered; all methods may be called from any thread.

    Args:
        entries: How many are remembered; older ones are forgotten.
        source_bytes: Bytes of their sources together; older sources are forgotten.
    """

    def __init__(self, entries: int, source_bytes: int) -> None:
        self._max_entries, self._max_bytes = entries, source_bytes
        self._lock = threading.Lock()
        self._last_id = 0
        self.clear()

    def clear(self) -> None:
        """Forget all of them; ids go on."""
        with self._lock:
            self._entries: dict[int, SmtpEntry] = {}
            self._with_source: dict[int, int] = {}  # sizes of the sources by ids, the oldest first
            self._bytes = 0

    def entries(self) -> Sequence[SmtpEntry]:
        """Return what is remembered, the oldest first."""
        with self._lock:
            return list(self._entries.values())

    def record(self, entry: SmtpEntry) -> SmtpEntry:
        """Remember a transaction.

        Returns:
            The entry, with its id.
        """
        with self._lock:
            self._last_id += 1
            entry = evolve(entry, id=self._last_id)
            self._entries[entry.id] = entry
            if entry.source is not None:
                self._with_source[entry.id] = len(entry.source)
                self._bytes += len(entry.source)
            self._forget()
            return entry

    def replace(self, entry: SmtpEntry) -> None:
        """Put an entry in the place of the one with its id, if that is still remembered."""
        with self._lock:
            if entry.id in self._entries:
                source = entry.source if entry.id in self._with_source else None
                self._entries[entry.id] = evolve(entry, source=source)

    def _forget(self) -> None:
        while len(self._entries) > self._max_entries:
            oldest = next(iter(self._entries))
            self._forget_source(oldest)
            del self._entries[oldest]
        while self._bytes > self._max_bytes:
            self._forget_source(next(iter(self._with_source)))

    def _forget_source(self, number: int) -> None:
        self._bytes -= self._with_source.pop(number, 0)
        self._entries[number] = evolve(self._entries[number], source=None)
