"""What a session of the server may do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from attrs import field, frozen

__all__ = ["WAIT_LIMIT", "Access", "ServerOptions"]

WAIT_LIMIT: Final = 24.0
"""Seconds that one call waits: hosts cut a call off after 30 to 60, and the answer shall be there after 25."""


@frozen
class Access:
    """Where the service is, and the key to it.

    Args:
        api_key: The user API key; it never appears in a repr.
        base_url: Where the API stands; None for the service's own address.
    """

    api_key: str = field(repr=False)
    base_url: str | None = None


@frozen(kw_only=True)
class ServerOptions:
    """What a session may do.

    Args:
        max_requests: How many requests it may send, retries included.
        max_mailboxes: How many mailboxes it may make.
        any_mailbox: Whether it may name mailboxes and messages of the account that it has not made itself.
        folder: Where attachments are saved; None for a new folder that nobody else can read.
        max_attachment: The longest attachment to save, in bytes.
        smtp_port: The SMTP port of the sandbox, where there is no key; 0 picks a free one.
        wait_limit: How long one call waits at most, in seconds.
        farewell: How long it may take at its end to delete its mailboxes, in seconds. Hosts kill after two.
    """

    max_requests: int = 500
    max_mailboxes: int = 10
    any_mailbox: bool = False
    folder: Path | None = None
    max_attachment: int = 25_000_000
    smtp_port: int = 0
    wait_limit: float = WAIT_LIMIT
    farewell: float = 1.8
