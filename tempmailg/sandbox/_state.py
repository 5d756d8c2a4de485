"""What the sandbox knows: accounts, mailboxes and messages, on a controllable clock. No I/O, no protocol."""

from __future__ import annotations

import json
import random
import threading
import unicodedata
from contextlib import suppress
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from attrs import define, evolve, field, frozen

from tempmailg._errors import TempMailError
from tempmailg.sandbox import _mail
from tempmailg.sandbox._checks import LONGEST, is_count, is_domain, is_number, must_be
from tempmailg.sandbox._events import Events
from tempmailg.sandbox._journal import SmtpEntry
from tempmailg.sandbox._mail import Mail

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tempmailg.sandbox._clock import Clock

__all__ = [
    "Account",
    "Box",
    "Limits",
    "MailboxFullError",
    "MailboxUnknownError",
    "Order",
    "Plan",
    "SandboxDomain",
    "SandboxFullError",
    "State",
    "Stored",
    "mailbox_key",
]

Plan: TypeAlias = Literal["free", "premium"]
Order: TypeAlias = Literal["newest", "oldest", "shuffled"]

TYPES: Final[dict[Plan, tuple[str, ...]]] = {"free": ("free",), "premium": ("free", "premium", "all")}
QUOTA_ZONE: Final = timezone(timedelta(hours=5))  # the documented reset is a month's first midnight at +05:00
_PLAN: Final = must_be("'free' or 'premium'", lambda value: isinstance(value, str) and value in TYPES)
_COUNT: Final = must_be("a whole number that is not negative", is_count)
_DOMAIN: Final = must_be("a domain's name, such as 'example.com'", is_domain)
_FLAG: Final = must_be("true or false", lambda value: isinstance(value, bool))
_IDLE: Final = must_be("a positive number of seconds", lambda value: is_number(value, 0, LONGEST) and value > 0)
_FRAME: Final = 1_024  # bytes of JSON around the texts of a message or of a file
_GROWTH: Final = 16  # bytes of JSON that a byte of a mail becomes at most: a mail of nothing but tiny files
_FIRST_ID: Final = 2301  # the documentation's sample
_ID_LENGTH: Final = 46  # the same
_TOKEN_LENGTH: Final = 64
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class MailboxUnknownError(TempMailError):
    """There is no such mailbox in the sandbox, or no longer."""


class SandboxFullError(TempMailError):
    """A cap of the sandbox is reached; what was accepted before is kept."""


class MailboxFullError(SandboxFullError):
    """The list of a mailbox would be longer than clients read."""


@frozen
class SandboxDomain:
    """A domain of the sandbox.

    Args:
        domain: Its name.
        plan: The plan that it takes; ``free`` is for everybody.
        custom: Whether the account brought it itself.
    """

    domain: str = field(validator=_DOMAIN)
    plan: Plan = field(default="free", validator=_PLAN)
    custom: bool = field(default=False, validator=_FLAG)


@frozen(kw_only=True)
class Limits:
    """What the sandbox holds at most; beyond, it refuses loudly and drops nothing that it accepted.

    Args:
        message_bytes: Bytes of one e-mail.
        messages: Messages of all mailboxes together.
        total_bytes: Bytes of all messages together.
        mailboxes: Living mailboxes of all accounts together.
        listing_bytes: Bytes that the list of one mailbox takes as JSON, files not counted; clients read no more.
        connections: Open connections of each door.
        idle_seconds: Seconds for which a connection may be silent, and which one mail or answer may take.
        journal: Requests, and SMTP transactions, that the journals remember; they forget older ones.
        journal_bytes: Bytes of mail that the SMTP journal remembers; it forgets older mails, not their entries.
    """

    message_bytes: int = field(default=80 * 1024 * 1024, validator=_COUNT)
    messages: int = field(default=100_000, validator=_COUNT)
    total_bytes: int = field(default=1024 * 1024 * 1024, validator=_COUNT)
    mailboxes: int = field(default=100_000, validator=_COUNT)
    listing_bytes: int = field(default=16 * 1024 * 1024, validator=_COUNT)
    connections: int = field(default=2_000, validator=_COUNT)
    idle_seconds: float = field(default=300.0, validator=_IDLE)
    journal: int = field(default=10_000, validator=_COUNT)
    journal_bytes: int = field(default=256 * 1024 * 1024, validator=_COUNT)


@define
class Account:
    """The account behind a key, as it stands.

    Args:
        plan: Its plan.
        limit: Requests it may make until the reset.
        used: Requests it has made; only successful ones count.
    """

    plan: Plan = field(default="free", validator=_PLAN)
    limit: int = field(default=50_000, validator=_COUNT)
    used: int = field(default=0, validator=_COUNT)

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
    listing: int = 0  # bytes that its list takes at most


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
    listing: int = -1  # bytes that it takes in a list, once it was measured

    @property
    def most_listing(self) -> int:
        """Bytes that it takes in a list at most."""
        return self.listing if self.listing >= 0 else _FRAME + _GROWTH * self.size

    def measure(self) -> None:
        """Read it, and count what it takes in a list."""
        if self.listing < 0:
            mail = self.mail
            texts = mail.subject, mail.from_name, mail.from_email, mail.content, *(3 * file.name for file in mail.files)
            self.listing = _FRAME * (1 + len(mail.files)) + sum(map(_json_bytes, texts))

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
        self.events: Events = Events(clock)
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
            self.last_id: int = _FIRST_ID - 1
            self.events.publish("reset")

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
        box = self.boxes.get(mailbox_key(email))
        if box is not None and box.expires <= self.clock.time():
            self._expire(box)
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
            self.purge()
        if len(self.boxes) >= self.limits.mailboxes:
            raise SandboxFullError(f"the sandbox holds {self.limits.mailboxes} mailboxes: raise Limits(mailboxes=…)")
        self.last_id += 1
        now = self.clock.time()
        box = Box(self.last_id, email, key, now, now + self.lifetime, self._letters(_TOKEN_LENGTH))
        self.boxes[mailbox_key(email)] = box
        self.events.publish("mailbox_created", id=box.id, email=email)
        return box

    def close(self, box: Box) -> None:
        """Delete a mailbox and its messages."""
        self._forget(box)
        self.events.publish("mailbox_deleted", id=box.id, email=box.email)

    def purge(self) -> None:
        """Delete the mailboxes whose time is over."""
        now = self.clock.time()
        for box in [box for box in self.boxes.values() if box.expires <= now]:
            self._expire(box)

    def _expire(self, box: Box) -> None:
        self._forget(box)
        self.events.publish("mailbox_expired", id=box.id, email=box.email)

    def _forget(self, box: Box) -> None:
        del self.boxes[mailbox_key(box.email)]
        for message in list(box.messages.values()):
            self._remove(message)

    # ------------------------------------------------------------------------------------------------ messages

    def ordered(self, box: Box) -> list[Stored]:
        """Return a mailbox's messages in the order in which they are listed."""
        messages = sorted(box.messages.values(), key=lambda message: message.received)  # of one moment: as they arrived
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
            MailboxFullError: With it, the list of a mailbox would be longer than clients read.
        """
        with self.lock:
            boxes = {box.id: box for box in map(self._known_box, emails)}
            size = source.size if isinstance(source, Mail) else len(source)
            self._check_room(size, len(boxes))
            at = self.clock.time() if received is None else received
            copies = [self._copy(box, source, size, at) for box in boxes.values()]
            for copy in copies:
                self._check_listing(copy)
            return [self._put(copy) for copy in copies]

    def touch(self, message: Stored) -> None:
        """Mark a message as seen."""
        if not message.is_seen:
            message.is_seen = True
            message.box.version += 1

    def drop(self, message: Stored) -> None:
        """Delete a message."""
        self._remove(message)
        self.events.publish("message_deleted", id=message.id, mailbox=message.box.email)

    def _remove(self, message: Stored) -> None:
        del self.messages[message.id]
        del message.box.messages[message.id]
        message.box.version += 1
        message.box.listing -= message.most_listing
        self.total_bytes -= message.size

    def _known_box(self, email: str) -> Box:
        box = self.box(email)
        if box is None:
            raise MailboxUnknownError(f"the sandbox has no mailbox {email!r}: create it first; perhaps it has expired")
        return box

    def _copy(self, box: Box, source: bytes | bytearray | Mail, size: int, received: float) -> Stored:
        message = Stored(self._letters(_ID_LENGTH), box, received, size, None)
        if isinstance(source, Mail):
            message.read = source
        else:
            message.raw = source
        return message

    def _check_listing(self, message: Stored) -> None:
        """Refuse a message with which nobody could list its mailbox any more; nothing is read unless it comes close."""
        box, most = message.box, self.limits.listing_bytes
        if box.listing + message.most_listing <= most:
            return
        for other in (*box.messages.values(), message):
            other.measure()
        box.listing = sum(other.listing for other in box.messages.values())
        if box.listing + message.listing > most:
            wanted = box.listing + message.listing
            raise MailboxFullError(
                f"with this message the list of {box.email} would take {wanted} bytes of JSON, and clients read "
                f"{most}: delete messages, or raise Limits(listing_bytes)"
            )

    def _put(self, message: Stored) -> str:
        box = message.box
        box.messages[message.id] = self.messages[message.id] = message
        box.version += 1
        box.listing += message.most_listing
        self.total_bytes += message.size
        self.events.publish("message_delivered", id=message.id, mailbox=box.email)
        return message.id

    def _check_room(self, size: int, copies: int) -> None:
        limits = self.limits
        if size > limits.message_bytes:
            raise SandboxFullError(
                f"the message has {size} bytes, more than {limits.message_bytes}: raise Limits(message_bytes=…)"
            )
        if not self._has_room(size, copies):
            self.purge()
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

    # -------------------------------------------------------------------------------------------------- a dump's end

    def replace(self, boxes: Iterable[Box], *, last_id: int, resets_at: float) -> None:
        """Go on with these mailboxes and their messages instead of those that are here.

        Args:
            boxes: The mailboxes.
            last_id: The id of the newest mailbox there was.
            resets_at: When the quotas start again, in seconds since 1970.
        """
        self.boxes = {mailbox_key(box.email): box for box in boxes}
        self.messages = {message.id: message for box in self.boxes.values() for message in box.messages.values()}
        self.total_bytes = sum(message.size for message in self.messages.values())
        for box in self.boxes.values():
            box.listing = sum(message.most_listing for message in box.messages.values())
        self.last_id, self.resets_at = last_id, resets_at
        self.events.publish("reset")


def _json_bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode(errors="replace"))


def mailbox_key(email: str) -> str:
    """Return what all spellings of an address have in common: letters of either case, a domain of either alphabet."""
    name, at, domain = email.rpartition("@")
    return name.lower() + at + ".".join(map(_unicode_label, domain.lower().split(".")))


def _unicode_label(label: str) -> str:
    """Return a domain's label in its own alphabet (RFC 5890)."""
    if label.startswith("xn--"):
        with suppress(UnicodeError):
            label = label[4:].encode("ascii").decode("punycode")
    return unicodedata.normalize("NFKC", label).lower()
