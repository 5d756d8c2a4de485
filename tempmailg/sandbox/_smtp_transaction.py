"""One SMTP transaction while it goes on, and the addresses in its commands. No I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field

from tempmailg.sandbox._journal import SmtpRecipient
from tempmailg.sandbox._mail import clean_text
from tempmailg.sandbox._smtp_faults import SmtpDisconnect

if TYPE_CHECKING:
    from tempmailg.sandbox._journal import SmtpEntry

__all__ = ["Transaction", "address_in", "bounded", "read_path"]

_MAX_RECORDED: Final = 2_000  # RCPT commands that the journal keeps of one transaction
_MAX_NAME: Final = 320  # characters that the journal keeps of a name or an address: 64, the @ and 255 (RFC 5321)
_PATH: Final = re.compile(r'<(?:@[^:<>]*:)?((?:"(?:[^"\\]|\\.)*"(?=@))?[^<>"\s]*)>(.*)|([^<>"\s]+)(.*)', re.DOTALL)
_QUOTED_WORD: Final = re.compile(r'"([\w!#$%&\'*+/=?^`{|}~.-]+)"(@.*)')  # quotes that are not needed


@define
class Transaction:
    """A transaction that goes on."""

    sender: str
    recipients: list[SmtpRecipient] = field(factory=list[SmtpRecipient])
    status: int = 0
    reason: str = ""
    size: int = 0
    fault: str = ""
    message_ids: tuple[str, ...] = ()
    source: bytearray | None = None

    def add_recipient(self, address: str, status: int, reason: str) -> None:
        """Take a RCPT command and its answer."""
        if len(self.recipients) < _MAX_RECORDED:
            self.recipients.append(SmtpRecipient(bounded(address), status, reason))

    def end(self, answer: str) -> None:
        """Take the answer that ends it."""
        self.status, self.reason = int(answer[:3]), "" if answer.startswith("250") else answer[4:]

    def recorded(self, entry: SmtpEntry) -> SmtpEntry:
        """Return the entry of its session with what happened in it."""
        status, reason = (self.status, self.reason) if self.status else self._why_unfinished()
        return evolve(
            entry,
            status=status,
            reason=clean_text(reason),
            sender=self.sender,
            recipients=tuple(self.recipients),
            size=self.size,
            fault=self.fault,
            message_ids=self.message_ids,
            source=self.source,
        )

    def _why_unfinished(self) -> tuple[int, str]:
        refused = [recipient for recipient in self.recipients if recipient.status != 250]
        if refused and len(refused) == len(self.recipients):
            return refused[-1].status, refused[-1].reason
        if self.fault == SmtpDisconnect.kind:
            return 0, "the sandbox hung up, as scripted"
        return 0, "the client ended the transaction before the mail was sent"


def bounded(text: str) -> str:
    """Return what a client says of itself as the journal can keep it."""
    return clean_text(text[:_MAX_NAME])


def read_path(arg: str) -> tuple[str | None, str | None]:
    """Return the address at the beginning of an argument and the rest, or twice None.

    It takes linear time and no recursion, which aiosmtpd's own way does not.
    """
    found = _PATH.fullmatch(arg)
    if found is None:
        return None, None
    if found[3]:
        return found[3], found[4]
    return _without_quotes(found[1]) or "<>", found[2]


def address_in(arg: str | None) -> str:
    """Return the address in a command's argument, however wrong the command is."""
    path = (arg or "").partition(":")[2].strip()
    return (read_path(path)[0] or path).removeprefix("<>")


def _without_quotes(address: str) -> str:
    found = _QUOTED_WORD.fullmatch(address)
    return found[1] + found[2] if found else address
