"""What the service tells us, as frozen values.

Times are aware datetimes and sizes are bytes. A value holds data only: it knows neither JSON nor the network, so it can
be compared, copied, pickled and made by hand in a test.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from attrs import field, frozen

if TYPE_CHECKING:
    import re

    from tempmailg._extract import CodeCandidate, LinkCandidate

__all__ = ["Attachment", "Domain", "DomainList", "DomainType", "Mailbox", "Message", "Quota"]

DomainType = Literal["free", "premium", "all"]
"""Which domains to list: those of the free plan, of the premium plan, or all."""

_REPR_LIMIT = 80  # characters of a mail's own text in a repr: enough to recognise it, too little to flood a log


def _shortened(text: str) -> str:
    return repr(text) if len(text) <= _REPR_LIMIT else f"{text[:_REPR_LIMIT]!r}… ({len(text)} characters)"


@frozen(kw_only=True)
class Domain:
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
class DomainList:
    """The domains that the account's plan allows (`GET /domains`).

    Args:
        requested_type: The type that was asked for.
        allowed_types: The types that the plan may ask for.
        domains: The domains themselves.
    """

    requested_type: str = ""
    allowed_types: tuple[str, ...] = ()
    domains: tuple[Domain, ...] = ()


@frozen(kw_only=True)
class Mailbox:
    """A mailbox owned by the account (`POST /emails`).

    Args:
        id: The service's number for it; it changes when the mailbox is switched to another address.
        email: The address that receives mail.
        domain: The part of the address behind the ``@``.
        expires_at: When the service will drop the mailbox and its messages.
        expires_in_seconds: How many seconds the mailbox had left when the service answered.
        created_at: When it was made.
        email_token: The mailbox's secret; it never appears in a repr.
    """

    id: int
    email: str
    domain: str
    expires_at: datetime
    expires_in_seconds: int
    created_at: datetime
    email_token: str = field(default="", repr=False)


@frozen(kw_only=True)
class Attachment:
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
class Message:
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
        content: The body, exactly as the service tells it. Mail is written by strangers: prefer `text` for showing it.
        attachments: The files that came with it.
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

    @property
    def text(self) -> str:
        """The body as readable plain text, whether it came as HTML or as text."""
        from tempmailg import _extract

        return _extract.to_text(self.content, is_html=self.is_html)

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
            contains: Text that the link's address must contain, in any case.
            text: Text that the link's visible words must contain, in any case.

        Returns:
            The exact address with entities decoded, or None if no link stands clear of the others.
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
            contains: Text that a link's address must contain, in any case.
            text: Text that a link's visible words must contain, in any case.

        Returns:
            The candidates, each with its score, its reason in words, and whether its visible address misleads.
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


@frozen(kw_only=True)
class Quota:
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
