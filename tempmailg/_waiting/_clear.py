"""Empty a mailbox, for as few requests as that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from attrs import frozen

from tempmailg._core import gone_is_fine
from tempmailg._models import Mailbox
from tempmailg._public import public

if TYPE_CHECKING:
    from tempmailg._models import Message

__all__ = ["Cleared", "clear"]

ANOTHER: Final = 2  # requests for another mailbox: the old one is deleted, a new one made


class _Client(Protocol):
    """What is needed of a client."""

    async def list_messages(self, mailbox: Mailbox | str) -> list[Message]: ...
    async def delete_message(self, message: Message | str) -> None: ...
    async def delete_mailbox(self, mailbox: Mailbox | str) -> None: ...
    async def create_mailbox(self) -> Mailbox: ...


@public
@frozen
class Cleared:
    """A mailbox that is empty now.

    Args:
        mailbox: The mailbox as it was given, or the one that took its place.
        deleted: How many messages were deleted.
        requests: How many requests of the quota that took.
    """

    mailbox: Mailbox | str
    deleted: int
    requests: int


async def clear(client: _Client, mailbox: Mailbox | str, *, keep_address: bool) -> Cleared:
    """Empty a mailbox; see `AsyncClient.clear`."""
    messages = {message.id: message for message in await client.list_messages(mailbox)}
    if not keep_address and len(messages) > ANOTHER:
        with gone_is_fine():  # it has expired meanwhile, which is as good
            await client.delete_mailbox(mailbox)
        return Cleared(await client.create_mailbox(), len(messages), 1 + ANOTHER)
    requests = 1
    for message in messages.values():
        with gone_is_fine():  # somebody else has deleted it
            await client.delete_message(message)
            requests += 1
    return Cleared(mailbox, len(messages), requests)
