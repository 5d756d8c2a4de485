"""What the sandbox knows: accounts, mailboxes and messages, on a controllable clock. No I/O, no protocol."""

from __future__ import annotations

import hashlib
import random
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from attrs import define, evolve, field, frozen

from tempmailg._errors import ConfigurationError, TempMailError
from tempmailg.sandbox import _mail
from tempmailg.sandbox._journal import SmtpEntry
from tempmailg.sandbox._mail import Mail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tempmailg.sandbox._clock import Clock

__all__ = [
    "Account",
    "Box",
    "Limits",
    "MailboxUnknownError",
    "Order",
    "Plan",
    "SandboxDomain",
    "SandboxFullError",
    "State",
    "Stored",
]

Plan: TypeAlias = Literal["free", "premium"]
Order: TypeAlias = Literal["newest", "oldest", "shuffled"]

TYPES: Final[Mapping[Plan, tuple[str, ...]]] = {"free": ("free",), "premium": ("free", "premium", "all")}
QUOTA_ZONE: Final = timezone(timedelta(hours=5))  # the documented reset is a month's first midnight at +05:00
_FIRST_ID: Final = 2301  # the documentation's sample
_ID_LENGTH: Final = 46  # the same
_TOKEN_LENGTH: Final = 64
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_DUMP_VERSION: Final = 1


class MailboxUnknownError(TempMailError):
    """There is no such mailbox in the sandbox, or no longer."""


class SandboxFullError(TempMailError):
    """A cap of the sandbox is reached; what was accepted before is kept."""


@frozen
class SandboxDomain:
    """A domain of the sandbox.

    Args:
        domain: Its name.
        plan: The plan that it takes; ``free`` is for everybody.
        custom: Whether the account brought it itself.
    """

    domain: str
    plan: Plan = "free"
    custom: bool = False


@frozen(kw_only=True)
class Limits:
    """What the sandbox holds at most; beyond, it refuses loudly and drops nothing that it accepted.

    Args:
        message_bytes: Bytes of one e-mail.
        messages: Messages of all mailboxes together.
        total_bytes: Bytes of all messages together.
        mailboxes: Living mailboxes of all accounts together.
        connections: Open connections of each door.
        idle_seconds: Seconds for which a connection may be silent, and which one mail or answer may take.
        journal: Requests, and SMTP transactions, that the journals remember; they forget older ones.
        journal_bytes: Bytes of mail that the SMTP journal remembers; it forgets older mails, not their entries.
    """

    message_bytes: int = 80 * 1024 * 1024
    messages: int = 100_000
    total_bytes: int = 1024 * 1024 * 1024
    mailboxes: int = 100_000
    connections: int = 2_000
    idle_seconds: float = 300.0
    journal: int = 10_000
    journal_bytes: int = 256 * 1024 * 1024


@define
class Account:
    """The account behind a key, as it stands.

    Args:
        plan: Its plan.
        limit: Requests it may make until the reset.
        used: Requests it has made; only successful ones count.
    """

    plan: Plan = "free"
    limit: int = 50_000
    used: int = 0

    @property
    def remaining(self) -> int:
        """Requests left until the reset."""
        return max(0, self.limit - self.used)


@define(eq=False)
class Box:
    """A mailbox; its version changes whenever its list of messages does."""

    id: int
    email: str
    key: str = field(repr=False)
    created: float
    expires: float
    token: str = field(repr=False)
    messages: dict[str, Stored] = field(factory=dict[str, "Stored"], repr=False)
    version: int = 0


@define(eq=False)
class Stored:
    """A message in a mailbox. An e-mail is kept as it came and read when somebody first asks for it."""

    id: str
    box: Box = field(repr=False)
    received: float
    size: int
    raw: bytes | bytearray | None = field(repr=False)
    read: Mail | None = field(default=None, repr=False)
    is_seen: bool = False
    envelope: SmtpEntry | None = field(default=None, repr=False)

    @property
    def mail(self) -> Mail:
        """What the message says."""
        if self.read is None:
            self.read = _mail.parse(self.raw or b"", sender=self.envelope.sender if self.envelope else "")
        return self.read


class State:
    """Accounts, mailboxes and messages.

    The lock is held by whoever works with the state, so that doors, testers and clients may live in different threads.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        accounts: Mapping[str, Account],
        domains: Sequence[SandboxDomain],
        lifetime: float,
        order: Order,
        seed: int | None,
        limits: Limits,
    ) -> None:
        self.clock = clock
        self.domains: tuple[SandboxDomain, ...] = tuple(domains)
        self.lifetime = lifetime
        self.order: Order = order
        self.limits = limits
        self.lock: threading.RLock = threading.RLock()
        self._seed = seed
        self._first_accounts = {key: evolve(account) for key, account in accounts.items()}
        self.reset()

    def reset(self) -> None:
        """Forget everything that happened; the clock goes on."""
        with self.lock:
            self._chance = random.Random(self._seed)  # noqa: S311 - names for tests, not secrets
            self.accounts: dict[str, Account] = {key: evolve(account) for key, account in self._first_accounts.items()}
            self.boxes: dict[str, Box] = {}
            self.messages: dict[str, Stored] = {}
            self.total_bytes: int = 0
            self.resets_at: float = self._next_reset()
            self._last_id = _FIRST_ID - 1

    # ------------------------------------------------------------------------------------------------ accounts

    def account(self, key: str) -> Account | None:
        """Return the account behind a key, its count started again if its time has come."""
        if self.clock.time() >= self.resets_at:
            self.resets_at = self._next_reset()
            for account in self.accounts.values():
                account.used = 0
        return self.accounts.get(key)

    def domains_of(self, account: Account) -> list[SandboxDomain]:
        """Return the domains that an account may use."""
        return [domain for domain in self.domains if domain.plan in TYPES[account.plan]]

    def _next_reset(self) -> float:
        now = self.clock.utcnow().astimezone(QUOTA_ZONE)
        first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return (first + timedelta(days=32)).replace(day=1).timestamp()

    # ----------------------------------------------------------------------------------------------- mailboxes

    def box(self, email: str) -> Box | None:
        """Return a living mailbox, whoever owns it."""
        box = self.boxes.get(_mailbox_key(email))
        if box is not None and box.expires <= self.clock.time():
            self.close(box)
            return None
        return box

    def recipient(self, address: str) -> Box | None:
        """Return the living mailbox that mail for an address goes to: ``ann+tag@…`` is a name of ``ann@…``."""
        box = self.box(address)
        if box is not None:
            return box
        name, _, domain = address.rpartition("@")
        plain, plus, _ = name.partition("+")
        return self.box(f"{plain}@{domain}") if plus else None

    def open_random(self, key: str, account: Account) -> Box:
        """Make a mailbox with a random name on a domain that the account may use."""
        domain = self._chance.choice(self.domains_of(account)).domain
        return self.open(f"{self._letters(12).lower()}@{domain}", key)

    def open(self, email: str, key: str) -> Box:
        """Make a mailbox.

        Raises:
            SandboxFullError: The cap is reached.
        """
        if len(self.boxes) >= self.limits.mailboxes:
            self._purge()
        if len(self.boxes) >= self.limits.mailboxes:
            raise SandboxFullError(f"the sandbox holds {self.limits.mailboxes} mailboxes: raise Limits(mailboxes=…)")
        self._last_id += 1
        now = self.clock.time()
        box = Box(self._last_id, email, key, now, now + self.lifetime, self._letters(_TOKEN_LENGTH))
        self.boxes[_mailbox_key(email)] = box
        return box

    def close(self, box: Box) -> None:
        """Delete a mailbox and its messages."""
        del self.boxes[_mailbox_key(box.email)]
        for message in list(box.messages.values()):
            self.drop(message)

    def _purge(self) -> None:
        now = self.clock.time()
        for box in [box for box in self.boxes.values() if box.expires <= now]:
            self.close(box)

    # ------------------------------------------------------------------------------------------------ messages

    def ordered(self, box: Box) -> list[Stored]:
        """Return a mailbox's messages in the order in which they are listed."""
        messages = list(box.messages.values())
        if self.order == "newest":
            messages.reverse()
        elif self.order == "shuffled":
            self._chance.shuffle(messages)
        return messages

    def deliver(
        self, emails: Iterable[str], source: bytes | bytearray | Mail, *, received: float | None = None
    ) -> list[str]:
        """Put a message into every one of these mailboxes, or into none.

        Args:
            emails: The addresses; one that is named twice gets one copy.
            source: An e-mail's bytes, or what the message says.
            received: When it was received, in seconds since 1970; now if None.

        Returns:
            The copies' ids.

        Raises:
            MailboxUnknownError: One of the addresses is no mailbox, or no longer.
            SandboxFullError: A cap is reached.
        """
        with self.lock:
            boxes = {box.id: box for box in map(self._known_box, emails)}
            size = source.size if isinstance(source, Mail) else len(source)
            self._check_room(size, len(boxes))
            at = self.clock.time() if received is None else received
            return [self._put(box, source, size, at) for box in boxes.values()]

    def touch(self, message: Stored) -> None:
        """Mark a message as seen."""
        if not message.is_seen:
            message.is_seen = True
            message.box.version += 1

    def drop(self, message: Stored) -> None:
        """Delete a message."""
        del self.messages[message.id]
        del message.box.messages[message.id]
        message.box.version += 1
        self.total_bytes -= message.size

    def _known_box(self, email: str) -> Box:
        box = self.box(email)
        if box is None:
            raise MailboxUnknownError(f"the sandbox has no mailbox {email!r}: create it first; perhaps it has expired")
        return box

    def _put(self, box: Box, source: bytes | bytearray | Mail, size: int, received: float) -> str:
        message = Stored(self._letters(_ID_LENGTH), box, received, size, None)
        if isinstance(source, Mail):
            message.read = source
        else:
            message.raw = source
        box.messages[message.id] = self.messages[message.id] = message
        box.version += 1
        self.total_bytes += size
        return message.id

    def _check_room(self, size: int, copies: int) -> None:
        limits = self.limits
        if size > limits.message_bytes:
            raise SandboxFullError(
                f"the message has {size} bytes, more than {limits.message_bytes}: raise Limits(message_bytes=…)"
            )
        if not self._has_room(size, copies):
            self._purge()
        if not self._has_room(size, copies):
            raise SandboxFullError(
                f"the sandbox holds {len(self.messages)} messages of {self.total_bytes} bytes: "
                "delete some, or raise Limits(messages=…, total_bytes=…)"
            )

    def _has_room(self, size: int, copies: int) -> bool:
        limits = self.limits
        messages, total = len(self.messages) + copies, self.total_bytes + size * copies
        return messages <= limits.messages and total <= limits.total_bytes

    def _letters(self, count: int) -> str:
        return "".join(self._chance.choices(_LETTERS, k=count))

    # ------------------------------------------------------------------------------------------- dump and load

    def dump(self) -> dict[str, Any]:
        """Describe everything in JSON's types; accounts are named by a fingerprint, so that no key is among it."""
        with self.lock:
            return {
                "version": _DUMP_VERSION,
                "time": self.clock.utcnow().isoformat(),
                "last_id": self._last_id,
                "resets_at": self.resets_at,
                "accounts": {
                    fingerprint(key): {"plan": account.plan, "limit": account.limit, "used": account.used}
                    for key, account in self.accounts.items()
                },
                "mailboxes": [_box_to_json(box) for box in self.boxes.values()],
            }

    def load(self, dump: Mapping[str, Any]) -> None:
        """Go on from the moment of a dump, its time included.

        Raises:
            ConfigurationError: It is no dump, or one of a sandbox with other keys.
        """
        with self.lock:
            keys = {fingerprint(key): key for key in self.accounts}
            try:
                memory = _memory_from_json(dump, keys)
            except ConfigurationError:
                raise
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise ConfigurationError(f"this is no dump of a sandbox: {type(error).__name__} {error}") from None
            self.clock.set(memory.time)
            self.accounts.update(memory.accounts)
            self.resets_at, self._last_id = memory.resets_at, memory.last_id
            self.boxes = {_mailbox_key(box.email): box for box in memory.boxes}
            self.messages = {message.id: message for box in memory.boxes for message in box.messages.values()}
            self.total_bytes = sum(message.size for message in self.messages.values())


@frozen
class _Memory:
    """What a dump holds."""

    time: datetime
    last_id: int
    resets_at: float
    accounts: Mapping[str, Account]
    boxes: Sequence[Box]


def _memory_from_json(dump: Mapping[str, Any], keys: Mapping[str, str]) -> _Memory:
    if dump["version"] != _DUMP_VERSION:
        raise ValueError(f"version {dump['version']} instead of {_DUMP_VERSION}")
    if not keys.keys() >= dump["accounts"].keys():
        raise ConfigurationError("the dump is of a sandbox with other keys: make this one with the same")
    return _Memory(
        time=datetime.fromisoformat(dump["time"]),
        last_id=int(dump["last_id"]),
        resets_at=float(dump["resets_at"]),
        accounts={keys[name]: Account(**account) for name, account in dump["accounts"].items()},
        boxes=[_box_from_json(box, keys) for box in dump["mailboxes"]],
    )


def _mailbox_key(email: str) -> str:
    """Return what all spellings of an address have in common: letters of either case, a domain of either alphabet."""
    name, at, domain = email.rpartition("@")
    return name.lower() + at + ".".join(map(_unicode_label, domain.lower().split(".")))


def _unicode_label(label: str) -> str:
    """Return a domain's label in its own alphabet (RFC 5890)."""
    if label.startswith("xn--"):
        with suppress(UnicodeError):
            label = label[4:].encode("ascii").decode("punycode")
    return unicodedata.normalize("NFKC", label).lower()


def fingerprint(key: str) -> str:
    """Return what stands for a key where the key itself must not stand."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _box_to_json(box: Box) -> dict[str, Any]:
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
                **({"mail": message.mail.to_json()} if message.raw is None else {"raw": _mail.to_base64(message.raw)}),
            }
            for message in box.messages.values()
        ],
    }


def _box_from_json(value: Mapping[str, Any], keys: Mapping[str, str]) -> Box:
    box = Box(value["id"], value["email"], keys[value["account"]], value["created"], value["expires"], value["token"])
    for item in value["messages"]:
        raw = _mail.from_base64(item["raw"]) if "raw" in item else None
        read = None if "raw" in item else Mail.from_json(item["mail"])
        size = len(raw) if raw is not None else read.size if read is not None else 0
        box.messages[item["id"]] = Stored(item["id"], box, item["received"], size, raw, read, item["is_seen"])
    return box
