"""What the service answers, as frozen values.

Times are aware datetimes and sizes are bytes. A value holds data only: it does not know the network, so it can be
compared, copied, pickled and made by hand in a test.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from attrs import field, fields, frozen, resolve_types

from tempmailg._public import public
from tempmailg._serial import ONLY_IF_FILLED, SECRET, Value

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Mapping

    from tempmailg._errors import APIResponseError
    from tempmailg._extract import CodeCandidate, LinkCandidate

__all__ = ["Attachment", "Domain", "DomainList", "DomainType", "Mailbox", "Message", "MessageList", "Quota"]

DomainType = Literal["free", "premium", "all"]
"""Which domains to list: those of the free plan, of the premium plan, or all."""

_REPR_LIMIT = 80  # characters of a mail's own text in a repr: enough to recognise it, too little to flood a log


def _shortened(text: str) -> str:
    return repr(text) if len(text) <= _REPR_LIMIT else f"{text[:_REPR_LIMIT]!r}… ({len(text)} characters)"


@frozen(kw_only=True)
class Domain(Value):
    """One domain on which a mailbox can be made.

    Args:
        domain: The domain's name, such as ``example.com``.
        type: The plan that it belongs to, in the service's own words (``Free``, ``Premium``).
        custom: Whether the account brought the domain itself.
    """

    domain: str
    type: str = ""
    custom: bool = False


@frozen(kw_only=True)
class DomainList(Value):
    """The domains that the account's plan allows (`GET /domains`).

    Args:
        requested_type: The type that was asked for.
        allowed_types: The types that the plan may ask for.
        domains: The domains themselves.
        problems: What of the answer could not be read and was left out, each with its place on the wire.
    """

    requested_type: str = ""
    allowed_types: tuple[str, ...] = ()
    domains: tuple[Domain, ...] = ()
    problems: tuple[str, ...] = field(default=(), repr=False, metadata={ONLY_IF_FILLED: True})


@frozen(kw_only=True)
class Mailbox(Value):
    """A mailbox owned by the account (`POST /emails`).

    Args:
        id: The service's number for it; it changes when the mailbox is switched to another address. This and the
            times are None where the service does not say: the address is all that is needed to use a mailbox.
        email: The address that receives mail.
        domain: The part of the address behind the ``@``.
        expires_at: When the service will drop the mailbox and its messages.
        expires_in_seconds: How many seconds the mailbox had left when the service answered.
        created_at: When it was made.
        email_token: The mailbox's secret; it never appears in a repr.
        problems: What of the answer could not be read and was left out, each with its place on the wire.
    """

    id: int | None = None
    email: str
    domain: str = ""
    expires_at: datetime | None = None
    expires_in_seconds: int | None = None
    created_at: datetime | None = None
    email_token: str = field(default="", repr=False, metadata={SECRET: True})
    problems: tuple[str, ...] = field(default=(), repr=False, metadata={ONLY_IF_FILLED: True})


@frozen(kw_only=True)
class Attachment(Value):
    """A file that came with a message.

    Args:
        name: The file's name as the sender gave it: never use it as a path; `download_attachment` makes it safe.
        extension: The name's extension, without the dot.
        size: The size in bytes, or None where the service does not say.
        url: Where the service says the file is. It is shown, never followed.
        message_id: The message that it belongs to.
    """

    name: str
    extension: str = ""
    size: int | None = None
    url: str = ""
    message_id: str


@frozen(kw_only=True)
class Message(Value):
    """A message that a mailbox received (`GET /messages`).

    Args:
        id: The service's opaque identifier.
        subject: The subject line, decoded.
        from_name: The sender's display name.
        from_email: The sender's address.
        to: The address it was sent to.
        received_at: When the service received it.
        is_seen: Whether it was opened before.
        is_html: Whether `content` is HTML.
        content: The body, exactly as the service sends it. Mail is written by strangers: prefer `text` for showing it.
        attachments: The files that came with it.
        problems: What of it could not be read and was left out, each with its place on the wire; a file without a name,
            for instance.
    """

    id: str
    subject: str = field(default="", repr=_shortened)
    from_name: str = field(default="", repr=_shortened)
    from_email: str = field(default="", repr=_shortened)
    to: str = field(default="", repr=_shortened)
    received_at: datetime
    is_seen: bool = False
    is_html: bool = False
    content: str = field(default="", repr=_shortened)
    attachments: tuple[Attachment, ...] = ()
    problems: tuple[str, ...] = field(default=(), repr=False, metadata={ONLY_IF_FILLED: True})

    @property
    def text(self) -> str:
        """The body as readable plain text, whether it came as HTML or as text."""
        from tempmailg import _extract

        return _extract.to_text(self.content, is_html=self.is_html)

    def as_page(self, attachments: Mapping[str, bytes] | None = None, *, links: bool = False) -> str:
        """Return a complete HTML document that shows the message in a browser, and does nothing else.

        Nothing in it loads anything, runs a script, sends a form or leads the browser elsewhere, whatever the sender
        wrote: the content stands in a sandboxed frame under a policy that forbids it.

        Args:
            attachments: Files by name, such as ``{"logo.png": data}``: images that the message shows from within
                (``cid:``) are put in their place. Without it they stay empty.
            links: Whether a click on a link opens it, in a new tab and without a referrer.

        Returns:
            The document; write it to a file in UTF-8.
        """
        from tempmailg import _page

        return _page.safe_page(
            self.content, is_html=self.is_html, title=self.subject, attachments=attachments, links=links
        )

    def find_code(self, *, length: int | None = None, pattern: str | re.Pattern[str] | None = None) -> str | None:
        """Return the one code that the message asks its reader to type, or None rather than a guess.

        Args:
            length: How many characters the code must have, separators not counted.
            pattern: A regular expression that the whole code must match.

        Returns:
            The code without spaces, other separators as displayed; None if no candidate stands clear of the others.
        """
        from tempmailg import _extract

        return _extract.find_code(
            self.content,
            is_html=self.is_html,
            subject=self.subject,
            sender_name=self.from_name,
            length=length,
            pattern=pattern,
        )

    def find_codes(
        self, *, length: int | None = None, pattern: str | re.Pattern[str] | None = None
    ) -> list[CodeCandidate]:
        """Return everything that could be a code, the likeliest first.

        Args:
            length: How many characters a code must have, separators not counted.
            pattern: A regular expression that a whole code must match.

        Returns:
            The candidates, each with its score, its reason in words and where it stands.
        """
        from tempmailg import _extract

        return _extract.find_codes(
            self.content,
            is_html=self.is_html,
            subject=self.subject,
            sender_name=self.from_name,
            length=length,
            pattern=pattern,
        )

    def find_link(self, *, contains: str | None = None, text: str | None = None) -> str | None:
        """Return the one link that the message asks its reader to follow; it is never fetched.

        Without arguments that is a link to verify, confirm, sign in, reset, unlock or accept an invitation. Any other
        call to action (track, download, sign) is named: the only link that fits the arguments needs no more evidence.

        Args:
            contains: Text that the link's address must contain, compared as it is read.
            text: Text that the link's visible words must contain, compared as it is read.

        Returns:
            The exact address with entities decoded, or None if no link stands clear of the others.

        Raises:
            ConfigurationError: An argument is blank or no text.
        """
        from tempmailg import _extract

        return _extract.find_link(
            self.content,
            is_html=self.is_html,
            subject=self.subject,
            sender_name=self.from_name,
            contains=contains,
            text=text,
        )

    def find_links(self, *, contains: str | None = None, text: str | None = None) -> list[LinkCandidate]:
        """Return the links of the message, the likeliest to be followed first; none is fetched.

        Args:
            contains: Text that a link's address must contain, compared as it is read.
            text: Text that a link's visible words must contain, compared as it is read.

        Returns:
            The candidates, each with its score, its reason in words, and whether its visible address misleads.

        Raises:
            ConfigurationError: An argument is blank or no text.
        """
        from tempmailg import _extract

        return _extract.find_links(
            self.content,
            is_html=self.is_html,
            subject=self.subject,
            sender_name=self.from_name,
            contains=contains,
            text=text,
        )


@public
class MessageList(list[Message]):
    """The messages of a mailbox: a list, and beside it what of the answer could not be read.

    Args:
        messages: The messages.
        unreadable: An error for each message that could not be read; its text says which field was wrong, its `body`
            shows the beginning of the message. They do not hide the other messages.
    """

    def __init__(self, messages: Iterable[Message] = (), *, unreadable: Iterable[APIResponseError] = ()) -> None:
        super().__init__(messages)
        self.unreadable: tuple[APIResponseError, ...] = tuple(unreadable)


@frozen(kw_only=True)
class Quota(Value):
    """How many requests the key may still make (the ``X-RateLimit-*`` headers).

    Args:
        limit: Requests allowed until the reset.
        used: Requests used; the service counts successful answers only.
        remaining: Requests left.
        resets_at: When the count starts again, or None where the service does not say.
    """

    limit: int
    used: int
    remaining: int
    resets_at: datetime | None = None


for _kind in (Attachment, Domain, DomainList, Mailbox, Message, Quota):
    # cattrs, pydantic and subclasses read the annotations, which only this module can resolve
    resolve_types(_kind, globals())
    public(_kind).__annotations__ = {each.name: each.type for each in fields(_kind)}
