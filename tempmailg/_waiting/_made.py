"""The mailboxes that a client has made: they were empty then, and when they expire is known, whatever names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from tempmailg._waiting._inbox import MailboxRef

if TYPE_CHECKING:
    from tempmailg._core import ClientState
    from tempmailg._models import Mailbox

__all__ = ["ref_of"]


def ref_of(core: ClientState, mailbox: Mailbox | str) -> MailboxRef:
    """Return the reference to a mailbox, with what is known of one that this client has made."""
    ref = MailboxRef.of(mailbox)
    made = core.made.get(ref.email)
    return ref if made is None else evolve(ref, empty_at=made[0], expires_at=ref.expires_at or made[1])
