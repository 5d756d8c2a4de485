"""`AsyncClient`: send with retries, within a deadline; one coroutine for each endpoint, and the helpers on top."""

from __future__ import annotations

from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import TYPE_CHECKING, NoReturn, Self

from tempmailg import _core
from tempmailg import _endpoints as endpoints
from tempmailg import _errors as err
from tempmailg import _settings as settings
from tempmailg._pace import SpeedLimit
from tempmailg._stream import AttachmentStream
from tempmailg._version import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator

    import aiohttp

    from tempmailg._models import Attachment, DomainList, DomainType, Mailbox, Message, Quota
    from tempmailg._transport import Transport

__all__ = ["AsyncClient"]


class AsyncClient:
    """The Temp Mail user API on asyncio.

    Use it as ``async with AsyncClient() as client:``, or call `close` when done. One client serves any number of
    concurrent tasks of one event loop.

    Args:
        api_key: The user API key; by default the environment's ``TEMPMAILG_API_KEY``.
        base_url: Where the API stands; by default ``TEMPMAILG_BASE_URL``, or the service's own address. It must be
            https, or http on loopback.
        timeout: The deadline of each call in seconds, retries and waits included. A download has no total limit.
        max_retries: How many further requests a call may send after a failure that may pass.
        session: An aiohttp session whose connection pool and trace configurations are used; it is never closed here.
        transport: What to send requests with instead of aiohttp, such as ``sandbox.transport()``.
        proxy: The URL of an HTTP proxy; by default the environment's ``HTTPS_PROXY`` and ``NO_PROXY`` decide.
        ssl_context: What to trust instead of the system's certificates.
        quota_reserve: How many requests of the quota waits and watches must leave for other calls.
        user_agent: The ``User-Agent`` to send instead of this library's own.

    Raises:
        ConfigurationError: A setting is wrong; the text says which, and how to mend it.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 30.0,
        max_retries: int = 2,
        session: aiohttp.ClientSession | None = None,
        transport: Transport | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        quota_reserve: int = 0,
        user_agent: str | None = None,
    ) -> None:
        seconds = settings.seconds_of("timeout", timeout)
        retries = settings.count_of("max_retries", max_retries)
        agent = settings.user_agent_of(user_agent, default=f"tempmailg/{__version__}")
        self._quota_reserve = settings.count_of("quota_reserve", quota_reserve)
        if transport is None:
            key = settings.key_of(api_key)
            chosen = _real_transport(base_url, session, proxy, ssl_context)
        elif (base_url, session, proxy, ssl_context) == (None, None, None, None):
            key = settings.key_of(
                api_key or getattr(transport, "api_key", None)
            )  # a sandbox's transport brings its own
            chosen = transport
        else:
            raise err.ConfigurationError(
                "transport replaces base_url, session, proxy and ssl_context: give one or the others"
            )
        core = _core.Core(key, chosen, agent, owns_transport=transport is None)
        self._sender = _core.Sender(core, seconds, retries)

    def with_options(self, *, timeout: float | None = None, max_retries: int | None = None) -> Self:
        """Return a client with other options that shares connections, quota and retry budget with this one.

        Args:
            timeout: The deadline of each call in seconds; None keeps this client's.
            max_retries: Further requests after a failure; None keeps this client's.

        Returns:
            The sibling. Closing either closes both.
        """
        mine = self._sender
        seconds = mine.timeout if timeout is None else settings.seconds_of("timeout", timeout)
        retries = mine.max_retries if max_retries is None else settings.count_of("max_retries", max_retries)
        sibling = object.__new__(type(self))
        sibling.__dict__.update(self.__dict__, _sender=_core.Sender(mine.core, seconds, retries))
        return sibling

    async def __aenter__(self) -> Self:
        self._sender.core.check_open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; may be called more than once. An injected session or transport stays open."""
        await self._sender.core.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{' closed' if self._sender.core.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client holds a key and connections, so it cannot be pickled or copied: make one where it is needed"
        )

    @property
    def quota(self) -> Quota | None:
        """The quota that the last answer told, or None before the first."""
        return self._sender.core.quota

    # ------------------------------------------------------------------------------------------------- the endpoints

    async def list_domains(self, type: DomainType = "free") -> DomainList:  # noqa: A002 - the API's own parameter name
        """List the domains that the account's plan allows (`GET /domains`).

        Args:
            type: ``free``, ``premium`` or ``all``; a free plan may ask for ``free`` only.

        Returns:
            The domains, and the types that the plan may ask for.

        Raises:
            ConfigurationError: The type is none of the three.
            PermissionDeniedError: The plan does not include the type.
            TempMailError: The request failed.
        """
        return await self._sender.call(endpoints.list_domains(type))

    async def create_mailbox(self) -> Mailbox:
        """Create a mailbox with a random address (`POST /emails`).

        Returns:
            The mailbox. It lives about 600 seconds: see `Mailbox.expires_at`.

        Raises:
            APIConnectionError: The connection broke. If `sent` is true, the mailbox may exist all the same: the request
                is not repeated, since it would make a second one.
            TempMailError: The request failed.
        """
        return await self._sender.call(endpoints.create_mailbox())

    async def update_mailbox(self, mailbox: Mailbox | str, username: str, domain: str) -> Mailbox:
        """Switch a mailbox to another address (`POST /emails/{email}/{username}/{domain}`).

        Args:
            mailbox: The mailbox or its address.
            username: The new part before the ``@``.
            domain: The new domain, one of those that the plan allows.

        Returns:
            The mailbox as it is now, with a new id and address.

        Raises:
            ConfigurationError: An argument cannot be what it should be.
            InvalidRequestError: The service refuses the username or the domain.
            TempMailError: The request failed.
        """
        return await self._sender.call(endpoints.update_mailbox(mailbox, username, domain))

    async def delete_mailbox(self, mailbox: Mailbox | str) -> None:
        """Delete a mailbox and its messages (`DELETE /emails/{email}`).

        Args:
            mailbox: The mailbox or its address.

        Raises:
            NotFoundError: There is no such mailbox.
            TempMailError: The request failed.
        """
        await self._sender.call(endpoints.delete_mailbox(mailbox))

    async def list_messages(self, mailbox: Mailbox | str) -> list[Message]:
        """List all messages of a mailbox, contents included (`GET /messages`).

        Args:
            mailbox: The mailbox or its address.

        Returns:
            The messages in the service's order, which it does not promise.

        Raises:
            NotFoundError: There is no such mailbox, or it has expired.
            TempMailError: The request failed.
        """
        return await self._sender.call(endpoints.list_messages(mailbox))

    async def get_message(self, message: Message | str) -> Message:
        """Get one message; the service marks it as seen (`GET /messages/{id}`).

        Args:
            message: The message or its id.

        Raises:
            NotFoundError: There is no such message, or its mailbox has expired.
            TempMailError: The request failed.
        """
        return await self._sender.call(endpoints.get_message(message))

    async def delete_message(self, message: Message | str) -> None:
        """Delete one message (`DELETE /messages/{id}`).

        Args:
            message: The message or its id.

        Raises:
            NotFoundError: There is no such message.
            TempMailError: The request failed.
        """
        await self._sender.call(endpoints.delete_message(message))

    def stream_attachment(
        self,
        attachment: Attachment | tuple[str, str],
        *,
        minimum_speed: float = 1024.0,
        speed_window: float = 30.0,
    ) -> AttachmentStream:
        """Stream an attachment's bytes as they arrive (`GET /messages/{id}/attachments/{name}`).

        ::

            async with client.stream_attachment(message.attachments[0]) as stream:
                async for chunk in stream: ...

        Args:
            attachment: The attachment, or a pair of message id and file name.
            minimum_speed: The slowest acceptable speed, in bytes a second; 0 accepts any that is not a standstill.
            speed_window: Over how many seconds of waiting for the service the speed is measured. The time that the
                consumer takes between two chunks does not count.

        Returns:
            A context manager and iterator of bytes. Entering it sends the request.

        Raises:
            NotFoundError: There is no such message or file, or the mailbox has expired.
            APITimeoutError: The service is slower than the minimum speed.
            APIResponseError: The file was cut on its way.
            TempMailError: The request failed.
        """
        call = endpoints.attachment(attachment)
        limit = SpeedLimit(minimum_speed, settings.seconds_of("speed_window", speed_window))
        return AttachmentStream(self._sender, attachment, call, limit)

    # ------------------------------------------------------------------------------------------------------- on top

    @asynccontextmanager
    async def temporary_mailbox(self) -> AsyncGenerator[Mailbox]:
        """Create a mailbox for a block of code, and delete it behind the block.

        ::

            async with client.temporary_mailbox() as mailbox: ...

        Raises:
            TempMailError: The mailbox could not be created or deleted; one that is gone already is no error.
        """
        mailbox = await self.create_mailbox()
        try:
            yield mailbox
        finally:
            with suppress(err.NotFoundError):  # expired, or deleted in the block: what was wanted is so
                await self.delete_mailbox(mailbox)

    def budget(self, requests: int) -> AbstractContextManager[None]:
        """Bound what a block of code sends to a number of requests, retries included.

        ::

            with client.budget(20): ...

        Args:
            requests: How many requests the block may send, through any client; tasks started in it count too.

        Returns:
            A context manager. Inside it the request that would be one too many raises `QuotaExceededError` unsent.
        """
        return _core.allowance(settings.count_of("requests", requests, least=1))


def _real_transport(
    base_url: str | None,
    session: aiohttp.ClientSession | None,
    proxy: str | None,
    ssl_context: ssl.SSLContext | None,
) -> Transport:
    url = settings.base_url_of(base_url)
    from tempmailg._aiohttp import AiohttpTransport, environment_proxy  # aiohttp loads with the first client

    return AiohttpTransport(
        url,
        session=session,
        proxy=settings.proxy_of(proxy) or environment_proxy(url),
        ssl_context=ssl_context,
    )
