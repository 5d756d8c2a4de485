"""A sandbox's moment in JSON's types, and back; accounts are named by a fingerprint, so that no key is among it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from tempmailg._errors import ConfigurationError
from tempmailg.sandbox._mail import Mail, distinct, to_base64
from tempmailg.sandbox._state import Account, Box, Plan, Stored, mailbox_key
from tempmailg.sandbox._structure import Address, Count, StructureError, Timestamp, structured

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tempmailg.sandbox._state import State

__all__ = ["Dump", "dumped", "fingerprint", "read_dump", "restore"]

_VERSION: Final = 1


@frozen
class DumpedAccount:
    """An account; see `Account`."""

    plan: Plan
    limit: Count
    used: Count


@frozen
class DumpedMessage:
    """A message: its source, or what it says."""

    id: str
    received: Timestamp
    is_seen: bool
    raw: bytes | None = None
    mail: Mail | None = None


@frozen
class DumpedMailbox:
    """A mailbox and its messages."""

    id: int
    email: Address
    account: str
    created: Timestamp
    expires: Timestamp
    token: str
    messages: tuple[DumpedMessage, ...]


@frozen
class Dump:
    """What `dumped` describes."""

    version: int
    time: datetime
    last_id: Count
    resets_at: Timestamp
    accounts: Mapping[str, DumpedAccount]
    mailboxes: tuple[DumpedMailbox, ...]


def fingerprint(key: str) -> str:
    """Return what stands for a key where the key itself must not stand."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def dumped(state: State) -> dict[str, Any]:
    """Describe accounts, mailboxes and messages in JSON's types."""
    with state.lock:
        return {
            "version": _VERSION,
            "time": state.clock.utcnow().isoformat(),
            "last_id": state.last_id,
            "resets_at": state.resets_at,
            "accounts": {
                fingerprint(key): {"plan": account.plan, "limit": account.limit, "used": account.used}
                for key, account in state.accounts.items()
            },
            "mailboxes": [_mailbox_to_json(box) for box in state.boxes.values()],
        }


def read_dump(value: object) -> Dump:
    """Read what `dumped` described.

    Raises:
        ConfigurationError: It is no dump.
    """
    try:
        return structured(value, Dump, "the dump")
    except StructureError as error:
        raise ConfigurationError(f"this is no dump of a sandbox: {error}") from None


def restore(state: State, dump: Dump) -> None:
    """Go on from the moment of a dump, its time included.

    Args:
        state: Where.
        dump: The dump of a sandbox with the same keys.

    Raises:
        ConfigurationError: It is of a sandbox with other keys, or contradicts itself; nothing is changed.
    """
    if dump.version != _VERSION:
        raise ConfigurationError(f"the dump is of version {dump.version} instead of {_VERSION}")
    with state.lock:
        keys = {fingerprint(key): key for key in state.accounts}
        if not keys.keys() >= dump.accounts.keys():
            raise ConfigurationError("the dump is of a sandbox with other keys: make this one with the same")
        boxes = [_mailbox(box, number, keys) for number, box in enumerate(dump.mailboxes)]
        _check_distinct("email", (mailbox_key(box.email) for box in boxes))
        _check_distinct("id of a message", (message for box in boxes for message in box.messages))
        state.clock.set(dump.time)
        for name, account in dump.accounts.items():
            state.accounts[keys[name]] = Account(account.plan, account.limit, account.used)
        state.replace(boxes, last_id=dump.last_id, resets_at=dump.resets_at)


def _check_distinct(what: str, values: Iterable[str]) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ConfigurationError(f"the dump holds one {what} twice: {twice[0]!r}")


def _mailbox_to_json(box: Box) -> dict[str, Any]:
    return {
        "id": box.id,
        "email": box.email,
        "account": fingerprint(box.key),
        "created": box.created,
        "expires": box.expires,
        "token": box.token,
        "messages": [
            {
                "id": message.id,
                "received": message.received,
                "is_seen": message.is_seen,
                **({"mail": message.mail.to_json()} if message.raw is None else {"raw": to_base64(message.raw)}),
            }
            for message in box.messages.values()
        ],
    }


def _mailbox(dump: DumpedMailbox, number: int, keys: Mapping[str, str]) -> Box:
    key = keys.get(dump.account)
    if key is None:
        raise ConfigurationError(f"mailboxes[{number}].account is none of the dump's accounts")
    box = Box(dump.id, dump.email, key, dump.created, dump.expires, dump.token)
    for position, item in enumerate(dump.messages):
        message = _message(item, box, f"mailboxes[{number}].messages[{position}]")
        box.messages[message.id] = message
    if len(box.messages) != len(dump.messages):
        raise ConfigurationError(f"mailboxes[{number}].messages holds one id twice")
    return box


def _message(dump: DumpedMessage, box: Box, path: str) -> Stored:
    if dump.id in ("", ".", ".."):
        raise ConfigurationError(f"{path}.id must be the id of a message, not {dump.id!r}")
    if (dump.raw is None) == (dump.mail is None):
        raise ConfigurationError(f"{path} must hold either raw or mail")
    if dump.mail is None:
        raw = dump.raw or b""
        return Stored(dump.id, box, dump.received, len(raw), raw, is_seen=dump.is_seen)
    mail = evolve(dump.mail, files=distinct(dump.mail.files))
    return Stored(dump.id, box, dump.received, mail.size, None, mail, is_seen=dump.is_seen)
