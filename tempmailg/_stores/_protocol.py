"""What a store of seen messages must be able to do.

The theory
==========

A message is *free*, *leased* or *done*. `claim` leases a free one, for a time; `done` marks a leased one as handled.
A worker that dies between the two leaves a lease behind. When it has run out, the message is free again, and whoever
claims it next handles it. So each message is delivered by one worker at a time and handled at least once; it is handled
twice only if a worker dies, or loses its store, after its work and before `done`.

A store without `done` has no leases: what was claimed counts as handled. Then each message is delivered at most once,
and one whose worker dies is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from tempmailg import _errors as err
from tempmailg import _settings as settings
from tempmailg._public import public

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

__all__ = ["DEFAULT_KEEP", "DEFAULT_LEASE", "SeenStore", "check_lease", "check_store"]

DEFAULT_LEASE: Final = 300.0  # seconds: longer than handling a mail takes
DEFAULT_KEEP: Final = 7 * 86_400.0  # seconds: longer than a mailbox lives


@public
class SeenStore(Protocol):
    """Which messages were delivered, known to all workers: give it to `AsyncClient.watch`.

    The methods may be plain or async; plain ones run in a thread. A store may also have ``done(mailbox, message_id)``,
    which is called when the message was handled. Without it a claimed message counts as handled at once.
    """

    def seen(self, mailbox: str, /) -> Iterable[str] | Awaitable[Iterable[str]]:
        """Return the ids of the messages that were handled.

        Args:
            mailbox: The mailbox's address, in lower case.
        """
        ...

    def claim(self, mailbox: str, message_id: str, /) -> bool | Awaitable[bool]:
        """Claim a message, and return whether the caller is to deliver it.

        Of any number of callers at the same time, one gets True.

        Args:
            mailbox: The mailbox's address, in lower case.
            message_id: The message's id.
        """
        ...


def check_store(store: SeenStore) -> SeenStore:
    """Return a store that has the methods of one.

    Raises:
        ConfigurationError: It has not.
    """
    missing = [name for name in ("seen", "claim") if not callable(getattr(store, name, None))]
    if missing:
        raise err.ConfigurationError(f"store has no method {missing[0]!r}: see tempmailg.SeenStore for what it must do")
    return store


def check_lease(lease: float, keep: float) -> tuple[float, float]:
    """Return the seconds of a lease, and those for which handled messages are remembered.

    Raises:
        ConfigurationError: They are no times, or a message would be forgotten before its lease ends.
    """
    seconds, kept = settings.check_seconds("lease", lease), settings.check_seconds("keep", keep)
    if kept < seconds:
        raise err.ConfigurationError("keep must not be shorter than lease: a message would be free before its time")
    return seconds, kept
