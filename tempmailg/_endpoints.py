"""The eight endpoints of the API: from arguments to the `Call` that says what to send and what comes back.

Nothing here does I/O. Arguments are checked here, before any request, and only for what would make the request mean
something else: what the service itself must judge is left to the service.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from typing import Final, Generic, Literal, TypeAlias, TypeVar, get_args
from urllib.parse import quote

from attrs import field, frozen

from tempmailg._errors import ConfigurationError
from tempmailg._models import Attachment, DomainList, DomainType, Mailbox, Message, MessageList

__all__ = [
    "Call",
    "EndpointName",
    "create_mailbox",
    "delete_mailbox",
    "delete_message",
    "get_message",
    "list_domains",
    "list_messages",
    "stream_attachment",
    "update_mailbox",
]

T_co = TypeVar("T_co", covariant=True)

EndpointName: TypeAlias = Literal[
    "list_domains",
    "create_mailbox",
    "update_mailbox",
    "delete_mailbox",
    "list_messages",
    "get_message",
    "delete_message",
    "stream_attachment",
]
"""The endpoints by the names of the client's methods: the one list, which calls, sandbox and contract are held to."""

_MAX_LENGTH: Final = 1_024  # characters of one path segment: longer addresses, ids and names do not exist
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")  # half characters: they have no UTF-8 form, so no URL can carry them
_SPACES = re.compile(r"\s")
_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")  # one part of a domain, of any script


@frozen
class Call(Generic[T_co]):
    """One request of the API as a value.

    Args:
        name: The client's public method, as it stands in errors.
        method: The HTTP method.
        route: The path as the API's documentation writes it; it stands in logs, where the arguments must not.
        segments: The path below the base URL, decoded, one item a segment.
        returns: The type of the result: that of None where the answer carries none, bytes where it is the body itself.
        query: Decoded query parameters.
    """

    name: EndpointName
    method: Literal["GET", "POST", "DELETE"]
    route: str
    segments: tuple[str, ...]
    returns: type[T_co]
    query: tuple[tuple[str, str], ...] = field(default=())

    @property
    def is_safe(self) -> bool:
        """Whether sending it twice leaves the account as sending it once does."""
        return self.method != "POST"

    @property
    def makes_mailbox(self) -> bool:
        """Whether the mailbox that comes back exists since this request, and so is empty."""
        return self.returns is Mailbox and not self.is_safe

    @cached_property
    def target(self) -> str:
        """Path and query, percent-encoded so that the server decodes exactly what the caller gave."""
        path = "".join(["/" + quote(segment, safe="") for segment in self.segments])
        if not self.query:
            return path
        return path + "?" + "&".join([f"{name}={quote(value, safe='')}" for name, value in self.query])


def list_domains(type: DomainType = "free") -> Call[DomainList]:  # noqa: A002 - the API's own parameter name
    """`GET /domains?type={type}`."""
    if type not in get_args(DomainType):
        raise ConfigurationError(f"type must be 'free', 'premium' or 'all', not {_shown(type)}")
    return Call("list_domains", "GET", "/domains", ("domains",), DomainList, query=(("type", type),))


def create_mailbox() -> Call[Mailbox]:
    """`POST /emails`."""
    return Call("create_mailbox", "POST", "/emails", ("emails",), Mailbox)


def update_mailbox(mailbox: Mailbox | str, username: str, domain: str) -> Call[Mailbox]:
    """`POST /emails/{current email}/{username}/{domain}`."""
    segments = ("emails", address_of(mailbox), _username(username), _domain(domain))
    return Call("update_mailbox", "POST", "/emails/{email}/{username}/{domain}", segments, Mailbox)


def delete_mailbox(mailbox: Mailbox | str) -> Call[None]:
    """`DELETE /emails/{email}`."""
    segments = ("emails", address_of(mailbox))
    return Call("delete_mailbox", "DELETE", "/emails/{email}", segments, type(None))


def list_messages(mailbox: Mailbox | str) -> Call[MessageList]:
    """`GET /messages?email={email}`."""
    return _list_messages(_text("mailbox", mailbox.email if isinstance(mailbox, Mailbox) else mailbox))


@lru_cache(maxsize=1_024)  # the same mailboxes are polled again and again
def _list_messages(address: str) -> Call[MessageList]:
    query = (("email", address_of(address)),)
    return Call("list_messages", "GET", "/messages", ("messages",), MessageList, query)


def get_message(message: Message | str) -> Call[Message]:
    """`GET /messages/{message id}`."""
    return Call("get_message", "GET", "/messages/{id}", ("messages", _message_id(message)), Message)


def delete_message(message: Message | str) -> Call[None]:
    """`DELETE /messages/{message id}`."""
    segments = ("messages", _message_id(message))
    return Call("delete_message", "DELETE", "/messages/{id}", segments, type(None))


def stream_attachment(attachment: Attachment | tuple[str, str]) -> Call[bytes]:
    """`GET /messages/{message id}/attachments/{file name}`; the attachment's `url` is never used."""
    message_id, name = names_of(attachment)
    segments = ("messages", message_id, "attachments", name)
    return Call("stream_attachment", "GET", "/messages/{id}/attachments/{name}", segments, bytes)


def address_of(mailbox: Mailbox | str) -> str:
    """Return the address of a mailbox given by value or by address; refuse what cannot be one."""
    address = _segment("mailbox", mailbox.email if isinstance(mailbox, Mailbox) else mailbox)
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or _CONTROLS.search(address) or _SPACES.search(domain):
        raise ConfigurationError(f"mailbox must be an address like 'name@example.com', not {_shown(address)}")
    return address


def names_of(attachment: Attachment | tuple[str, str]) -> tuple[str, str]:
    """Return the message id and the file name of an attachment given by value or as that pair."""
    if isinstance(attachment, Attachment):
        attachment = (attachment.message_id, attachment.name)
    if not isinstance(attachment, tuple) or len(attachment) != 2:  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        raise ConfigurationError(
            f"attachment must be an Attachment or a pair (message id, file name), not {_shown(attachment)}"
        )
    return _message_id(attachment[0]), _segment("attachment name", attachment[1])


def _message_id(message: Message | str) -> str:
    return _segment("message", message.id if isinstance(message, Message) else message)


def _username(username: str) -> str:
    _segment("username", username)
    if "@" in username or _SPACES.search(username) or _CONTROLS.search(username):
        raise ConfigurationError(
            f"username must be the part of an address before the '@', without spaces, not {_shown(username)}"
        )
    return username


def _domain(domain: str) -> str:
    _segment("domain", domain)
    if not all(_LABEL.fullmatch(label) for label in domain.removesuffix(".").split(".")):
        raise ConfigurationError(f"domain must be a name like 'example.com', not {_shown(domain)}")
    return domain


def _text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{what} must be text, not {_shown(value)}")
    return value


def _segment(what: str, value: object) -> str:
    value = _text(what, value)
    if value in ("", ".", ".."):
        raise ConfigurationError(f"{what} must not be {value!r}: it would change the path of the request")
    if len(value) > _MAX_LENGTH:
        raise ConfigurationError(f"{what} must have at most {_MAX_LENGTH} characters, not {len(value)}")
    if _SURROGATES.search(value):
        raise ConfigurationError(f"{what} holds half a character (a surrogate), which no URL can carry")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
