"""Receive e-mail in a program: the client for the Temp Mail user API, asynchronous and blocking.

::

    async with tempmailg.AsyncClient() as client:
        mailbox = await client.create_mailbox()
        message = await client.wait_for_message(mailbox)

Names load on first use, so that importing the package stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tempmailg._lazy import loaded
from tempmailg._version import __version__

if TYPE_CHECKING:
    from tempmailg._aiohttp import AiohttpTransport
    from tempmailg._blocking import Client
    from tempmailg._client import AsyncClient
    from tempmailg._core import Attempt
    from tempmailg._errors import (
        APIConnectionError,
        APIResponseError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        ClientClosedError,
        ConfigurationError,
        ConflictError,
        DownloadError,
        IncompleteDownloadError,
        IncompleteResponseError,
        InvalidRequestError,
        MailboxGoneError,
        NotFoundError,
        PermissionDeniedError,
        QuotaExceededError,
        RateLimitError,
        RequestRejectedError,
        ServerError,
        TempMailError,
        TLSError,
        UnreadableResponseError,
        WaitTimeoutError,
    )
    from tempmailg._extract import CodeCandidate, LinkCandidate
    from tempmailg._models import Attachment, Domain, DomainList, DomainType, Mailbox, Message, MessageList, Quota
    from tempmailg._stores import FileStore, RedisStore, SeenStore
    from tempmailg._stream import AttachmentStream
    from tempmailg._twins import BlockingAttachmentStream, BlockingExpectedMessage, BlockingWatch
    from tempmailg._waiting import Cleared, ExpectedMessage, Forecast, Watch, WatchHealth

# Where each public name lives. A test proves that it agrees with the imports above.
_HOMES = {
    "_aiohttp": ("AiohttpTransport",),
    "_blocking": ("Client",),
    "_client": ("AsyncClient",),
    "_core": ("Attempt",),
    "_errors": (
        "APIConnectionError",
        "APIResponseError",
        "APIStatusError",
        "APITimeoutError",
        "AuthenticationError",
        "BadRequestError",
        "ClientClosedError",
        "ConfigurationError",
        "ConflictError",
        "DownloadError",
        "IncompleteDownloadError",
        "IncompleteResponseError",
        "InvalidRequestError",
        "MailboxGoneError",
        "NotFoundError",
        "PermissionDeniedError",
        "QuotaExceededError",
        "RateLimitError",
        "RequestRejectedError",
        "ServerError",
        "TLSError",
        "TempMailError",
        "UnreadableResponseError",
        "WaitTimeoutError",
    ),
    "_extract": ("CodeCandidate", "LinkCandidate"),
    "_models": ("Attachment", "Domain", "DomainList", "DomainType", "Mailbox", "Message", "MessageList", "Quota"),
    "_stores": ("FileStore", "RedisStore", "SeenStore"),
    "_stream": ("AttachmentStream",),
    "_twins": ("BlockingAttachmentStream", "BlockingExpectedMessage", "BlockingWatch"),
    "_waiting": ("Cleared", "ExpectedMessage", "Forecast", "Watch", "WatchHealth"),
}

__all__ = [
    "APIConnectionError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "AiohttpTransport",
    "AsyncClient",
    "Attachment",
    "AttachmentStream",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "BlockingAttachmentStream",
    "BlockingExpectedMessage",
    "BlockingWatch",
    "Cleared",
    "Client",
    "ClientClosedError",
    "CodeCandidate",
    "ConfigurationError",
    "ConflictError",
    "Domain",
    "DomainList",
    "DomainType",
    "DownloadError",
    "ExpectedMessage",
    "FileStore",
    "Forecast",
    "IncompleteDownloadError",
    "IncompleteResponseError",
    "InvalidRequestError",
    "LinkCandidate",
    "Mailbox",
    "MailboxGoneError",
    "Message",
    "MessageList",
    "NotFoundError",
    "PermissionDeniedError",
    "Quota",
    "QuotaExceededError",
    "RateLimitError",
    "RedisStore",
    "RequestRejectedError",
    "SeenStore",
    "ServerError",
    "TLSError",
    "TempMailError",
    "UnreadableResponseError",
    "WaitTimeoutError",
    "Watch",
    "WatchHealth",
    "__version__",
]


def __getattr__(name: str) -> object:
    return loaded(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
