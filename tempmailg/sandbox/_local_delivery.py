"""Who gets a mail: the recipients that the sandbox accepts, and the mailboxes that their mail goes to. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from tempmailg.sandbox._state import MailboxUnknownError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tempmailg.sandbox._journal import SmtpEntry
    from tempmailg.sandbox._state import Box, State

__all__ = ["LocalDelivery", "Others"]

Others: TypeAlias = Literal["refuse", "discard", "keep"]
"""What happens to mail for an address that is no mailbox."""

_UNKNOWN: Final = "550 5.1.1 The sandbox has no such mailbox, and it relays nothing"


class LocalDelivery:
    """Puts mail into the sandbox's mailboxes, and nowhere else.

    Args:
        state: What the sandbox knows.
        others: What happens to recipients without a mailbox: ``refuse`` them, accept and ``discard``, or ``keep`` the
            mail in a mailbox that is made for them.
    """

    def __init__(self, state: State, others: Others) -> None:
        self._state = state
        self._others: Others = others

    def refusal(self, address: str) -> str | None:
        """Return the answer to a recipient that is not accepted, or None."""
        with self._state.lock:
            is_accepted = self._others != "refuse" or self._state.recipient(address) is not None
        return None if is_accepted else _UNKNOWN

    def deliver(self, addresses: Iterable[str], mail: bytes | bytearray) -> tuple[str, ...]:
        """Put a mail into the mailboxes of all of these recipients, or of none.

        Returns:
            The copies' ids.

        Raises:
            MailboxUnknownError: One of the addresses is no mailbox any more.
            SandboxFullError: A cap is reached.
        """
        with self._state.lock:
            boxes = [box for box in map(self._box, addresses) if box is not None]
            return tuple(self._state.deliver([box.email for box in boxes], mail))

    def attach(self, entry: SmtpEntry) -> None:
        """Keep a transaction with the copies that it led to."""
        with self._state.lock:
            for message_id in entry.message_ids:
                message = self._state.messages.get(message_id)
                if message is not None:
                    message.envelope = entry

    def _box(self, address: str) -> Box | None:
        box = self._state.recipient(address)
        if box is not None or self._others == "discard":
            return box
        if self._others == "keep":
            return self._state.open(address, next(iter(self._state.accounts)))
        raise MailboxUnknownError(f"the mailbox {address!r} expired while the mail was sent")
