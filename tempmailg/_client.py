"""`AsyncClient`: send with retries, within a deadline; one coroutine for each endpoint, and the helpers on top."""

from __future__ import annotations

import platform
import sys
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, NoReturn, Self

from tempmailg import _core
from tempmailg import _endpoints as endpoints
from tempmailg import _errors as err
from tempmailg import _settings as settings
from tempmailg import _waiting as waiting
from tempmailg._budget import request_budget
from tempmailg._grace import shielded
from tempmailg._logs import log_as_environment_says
from tempmailg._public import public
from tempmailg._quota import check_preference
from tempmailg._version import __version__

if TYPE_CHECKING:
    import os
    import re
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import aiohttp

    from tempmailg._models import Attachment, DomainList, DomainType, Mailbox, Message, MessageList, Quota
    from tempmailg._quota import Preference
    from tempmailg._stores import SeenStore
    from tempmailg._stream import AttachmentStream
    from tempmailg._waiting import Cleared, ExpectedMessage, Forecast, Watch
    from tempmailg.transport import Transport

__all__ = ["AsyncClient"]


@public
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
        preference: What waits and watches care for more: ``fast`` delivers early for about twice the requests,
            ``thrifty`` takes less than half of them. Where the quota is scarce, all of them become rarer.
        on_attempt: Called after each request with an `Attempt`, for traces and metrics. It runs in the event loop, so
            it must be quick; what it raises is logged and ends no call.
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
        preference: Preference = "balanced",
        on_attempt: Callable[[_core.Attempt], object] | None = None,
        user_agent: str | None = None,
    ) -> None:
        try:
            log_as_environment_says()
            seconds = settings.check_seconds("timeout", timeout)
            retries = settings.check_count("max_retries", max_retries)
            reserve = settings.check_count("quota_reserve", quota_reserve)
            check_preference(preference)
            if transport is not None:
                _check_transport(transport)
                _check_alone(base_url, session, proxy, ssl_context)
                api_key = api_key or transport.api_key
            key = settings.resolve_key(api_key)
            chosen = transport or _real_transport(base_url, session, proxy, ssl_context)
            agent = settings.check_user_agent(user_agent, default=_own_user_agent())
        except err.ConfigurationError as error:
            del api_key, base_url, proxy  # they may be secret, and a traceback may show the locals of its frames
            raise error.with_traceback(None) from None
        core = _core.ClientState(
            key,
            chosen,
            agent,
            owns_transport=transport is None,
            quota_reserve=reserve,
            preference=preference,
            on_attempt=on_attempt,
        )
        self._caller = _core.Caller(core, seconds, retries)

    def with_options(self, *, timeout: float | None = None, max_retries: int | None = None) -> Self:
        """Return a client with other options that shares connections, quota and retry budget with this one.

        Args:
            timeout: The deadline of each call in seconds; None keeps this client's.
            max_retries: Further requests after a failure; None keeps this client's.

        Returns:
            The sibling. Closing either closes both.
        """
        mine = self._caller
        seconds = mine.timeout if timeout is None else settings.check_seconds("timeout", timeout)
        retries = mine.max_retries if max_retries is None else settings.check_count("max_retries", max_retries)
        sibling = object.__new__(type(self))
        sibling.__dict__.update(self.__dict__, _caller=_core.Caller(mine.core, seconds, retries))
        return sibling

    async def __aenter__(self) -> Self:
        self._caller.core.check_open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; may be called more than once. An injected session or transport stays open."""
        await self._caller.core.close()

    def __repr__(self) -> str:
        caller: _core.Caller | None = getattr(self, "_caller", None)  # None while __init__ fails
        return f"<{type(self).__name__}{f' {caller.summary}' if caller else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client holds a key and connections, so it cannot be pickled or copied: make one where it is needed"
        )

    @property
    def quota(self) -> Quota | None:
        """The quota that the last answer reported, or None before the first."""
        return self._caller.core.quota

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
        return await self._caller.call(endpoints.list_domains(type))

    async def create_mailbox(self) -> Mailbox:
        """Create a mailbox with a random address (`POST /emails`).

        Returns:
            The mailbox. It lives about 600 seconds: see `Mailbox.expires_at`.

        Raises:
            APIConnectionError: The connection broke. If `sent` is true, the mailbox may exist all the same: the request
                is not repeated, since it would make a second one.
            TempMailError: The request failed.
        """
        return await self._caller.call(endpoints.create_mailbox())

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
        return await self._caller.call(endpoints.update_mailbox(mailbox, username, domain))

    async def delete_mailbox(self, mailbox: Mailbox | str) -> None:
        """Delete a mailbox and its messages (`DELETE /emails/{email}`).

        Args:
            mailbox: The mailbox or its address.

        Raises:
            NotFoundError: There is no such mailbox.
            TempMailError: The request failed.
        """
        await self._caller.delete(endpoints.delete_mailbox(mailbox))

    async def list_messages(self, mailbox: Mailbox | str) -> MessageList:
        """List all messages of a mailbox, contents included (`GET /messages`).

        Args:
            mailbox: The mailbox or its address.

        Returns:
            The messages in the service's order, which it does not promise. One that cannot be read does not hide the
            others: `MessageList.unreadable` has an error for it.

        Raises:
            NotFoundError: There is no such mailbox, or it has expired.
            TempMailError: The request failed.
        """
        messages = await self._caller.call(endpoints.list_messages(mailbox))
        for error in messages.unreadable:
            self._caller.core.redact(error)
        return messages

    async def get_message(self, message: Message | str) -> Message:
        """Get one message; the service marks it as seen (`GET /messages/{id}`).

        Args:
            message: The message or its id.

        Raises:
            NotFoundError: There is no such message, or its mailbox has expired.
            TempMailError: The request failed.
        """
        return await self._caller.call(endpoints.get_message(message))

    async def delete_message(self, message: Message | str) -> None:
        """Delete one message (`DELETE /messages/{id}`).

        Args:
            message: The message or its id.

        Raises:
            NotFoundError: There is no such message.
            TempMailError: The request failed.
        """
        await self._caller.delete(endpoints.delete_message(message))

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
        from tempmailg._stream import AttachmentStream, SpeedLimit

        call = endpoints.stream_attachment(attachment)
        limit = SpeedLimit(minimum_speed, settings.check_seconds("speed_window", speed_window))
        return AttachmentStream(self._caller, attachment, call, limit)

    async def download_attachment(
        self,
        attachment: Attachment | tuple[str, str],
        to: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: Callable[[int, int | None], object] | None = None,
        max_bytes: int | None = None,
        minimum_speed: float = 1024.0,
        speed_window: float = 30.0,
    ) -> Path:
        """Download an attachment to a file that is whole or absent (`GET /messages/{id}/attachments/{name}`).

        The client's `timeout` bounds how long the service may take to answer; the body has no total limit, but a
        minimum speed. A broken connection is resumed where the service allows it, else the file is fetched anew; both
        count among the client's `max_retries`. The file can be read by its owner only.

        Args:
            attachment: The attachment, or a pair of message id and file name. The size that an attachment declares must
                be reached where the service's answer declares none; give the pair if it is known to be wrong.
            to: A folder, or the full path of the file. What ends with a slash is a folder, made if it is missing. In a
                folder the file gets the sender's name, made safe; if there is a ``file.txt``, it becomes
                ``file (1).txt``.
            overwrite: Replace a file that is there, instead of numbering the name (in a folder) or raising
                `FileExistsError` (for a full path). A symlink is replaced, never followed.
            progress: A function that is called with the bytes so far and the bytes in all (None if the service does
                not declare them), at most ten times a second, and once at the end. It runs in the event loop, so it
                must be quick. The bytes so far fall back when the file has to be fetched anew.
            max_bytes: The longest file to accept, in bytes; None for any.
            minimum_speed: The slowest acceptable speed, in bytes a second; 0 accepts any that is not a standstill.
            speed_window: Over how many seconds of waiting for the service the speed is measured.

        Returns:
            The path of the file.

        Raises:
            NotFoundError: There is no such message or file, or the mailbox has expired.
            DownloadError: The file is larger than `max_bytes`, or somebody replaced its part file.
            APITimeoutError: The service is slower than the minimum speed.
            APIResponseError: The file was cut on its way, again and again.
            OSError: The file cannot be written, for instance because the disk is full or the folder was moved.
            TempMailError: The request failed.
        """
        from tempmailg._download import DownloadOptions, download

        options = DownloadOptions(overwrite, progress, max_bytes, minimum_speed, speed_window)
        return await download(self._caller, attachment, to, options)

    async def download_attachments(
        self,
        message: Message,
        to: str | os.PathLike[str],
        *,
        concurrency: int = 4,
        overwrite: bool = False,
        progress: Callable[[int, int | None], object] | None = None,
        max_bytes: int | None = None,
        minimum_speed: float = 1024.0,
        speed_window: float = 30.0,
    ) -> list[Path]:
        """Download all attachments of a message to a folder (`GET /messages/{id}/attachments/{name}`).

        A file that cannot be downloaded does not stop the others. A failure that concerns them all (the key, the quota,
        the connection, the disk) cancels the downloads under way; files that are whole by then stay.

        Args:
            message: The message.
            to: The folder; it is made if it is missing.
            concurrency: How many files to receive at a time.
            overwrite: Replace files that are there, instead of numbering the names. Files of one message never replace
                each other.
            progress: As in `download_attachment`, for all files together.
            max_bytes: The longest file to accept, in bytes; None for any.
            minimum_speed: The slowest acceptable speed of each file, in bytes a second.
            speed_window: Over how many seconds of waiting for the service the speed is measured.

        Returns:
            The paths of the files, in the order of the message's attachments.

        Raises:
            IncompleteDownloadError: Some files are saved, others could not be; it names both.
            NotFoundError: None of the files is there, or the mailbox has expired.
            DownloadError: No file could be downloaded, for instance because each is larger than `max_bytes`.
            OSError: A file cannot be written, for instance because the disk is full.
            TempMailError: A request failed.
        """
        from tempmailg._download import DownloadOptions, download_all

        options = DownloadOptions(overwrite, progress, max_bytes, minimum_speed, speed_window)
        return await download_all(self._caller, message.attachments, to, options, concurrency)

    # ------------------------------------------------------------------------------------------------------- on top

    @asynccontextmanager
    async def temporary_mailbox(self) -> AsyncGenerator[Mailbox]:
        """Create a mailbox for a block of code, and delete it behind the block.

        ::

            async with client.temporary_mailbox() as mailbox: ...

        If the task is cancelled (a time-out, Ctrl-C) while the request for the mailbox is under way, the answer is
        awaited for up to a second more, so that the mailbox can be deleted. A second cancellation ends that at once;
        a scope of anyio lets the deletion take up to a second. What could not be deleted expires by itself.

        Raises:
            TempMailError: The mailbox could not be created or deleted; one that is gone already is no error.
        """
        mailbox = await self._caller.make(endpoints.create_mailbox(), self.delete_mailbox)
        try:
            yield mailbox
        finally:
            with _core.gone_is_fine(), shielded():  # expired, or deleted in the block: what was wanted is so
                await self.delete_mailbox(mailbox)

    async def wait_for_message(
        self,
        mailbox: Mailbox | str,
        *,
        timeout: float | None = 60.0,
        poll_interval: float | None = None,
        subject: str | re.Pattern[str] | None = None,
        sender: str | re.Pattern[str] | None = None,
        body: str | re.Pattern[str] | None = None,
        match: Callable[[Message], bool | Awaitable[bool]] | None = None,
        ignore: Iterable[Message | str] = (),
    ) -> Message:
        """Wait for the message that meets all criteria, polling as often as is worth its quota (`GET /messages`).

        Messages that are there already count. If several fit, the newest is returned.

        Args:
            mailbox: The mailbox or its address.
            timeout: How long to wait, in seconds; None waits until the mailbox is gone, 0 polls once.
            poll_interval: Seconds between two polls, instead of a pace that follows the quota and what was learned.
            subject: What the subject must contain, in any case, or a compiled pattern to find in it.
            sender: The same for the sender's name and address.
            body: The same for the body's readable text or its raw content.
            match: A function of the message, plain or async, that must return something true.
            ignore: Messages, or their ids, that do not count.

        Returns:
            The message.

        Raises:
            WaitTimeoutError: None came in time; its text and fields say what was seen instead.
            MailboxGoneError: The mailbox expired or was deleted first.
            QuotaExceededError: The quota is down to the client's reserve, and starts again too late.
            TempMailError: The service refused the poll, for instance because of the key.
        """
        criteria = waiting.Criteria(subject=subject, sender=sender, body=body, match=match, ignore=ignore)
        messages = await waiting.wait_for_messages(
            self._caller, mailbox, criteria, timeout=timeout, count=1, interval=poll_interval
        )
        return messages[0]

    async def wait_for_messages(
        self,
        mailbox: Mailbox | str,
        *,
        count: int,
        timeout: float | None = 60.0,
        poll_interval: float | None = None,
        subject: str | re.Pattern[str] | None = None,
        sender: str | re.Pattern[str] | None = None,
        body: str | re.Pattern[str] | None = None,
        match: Callable[[Message], bool | Awaitable[bool]] | None = None,
        ignore: Iterable[Message | str] = (),
    ) -> list[Message]:
        """Wait until so many messages meet all criteria (`GET /messages`).

        Args:
            mailbox: The mailbox or its address.
            count: How many messages to wait for. If more fit, the newest are returned.
            timeout: How long to wait, in seconds; None waits until the mailbox is gone, 0 polls once.
            poll_interval: Seconds between two polls, instead of a pace that follows the quota and what was learned.
            subject: What the subject must contain, in any case, or a compiled pattern to find in it.
            sender: The same for the sender's name and address.
            body: The same for the body's readable text or its raw content.
            match: A function of the message, plain or async, that must return something true.
            ignore: Messages, or their ids, that do not count.

        Returns:
            The messages, the oldest first.

        Raises:
            WaitTimeoutError: None came in time; its text and fields say what was seen instead.
            MailboxGoneError: The mailbox expired or was deleted first.
            QuotaExceededError: The quota is down to the client's reserve, and starts again too late.
            TempMailError: The service refused the poll, for instance because of the key.
        """
        criteria = waiting.Criteria(subject=subject, sender=sender, body=body, match=match, ignore=ignore)
        return await waiting.wait_for_messages(
            self._caller, mailbox, criteria, timeout=timeout, count=count, interval=poll_interval
        )

    async def wait_for_code(
        self,
        mailbox: Mailbox | str,
        *,
        timeout: float | None = 60.0,
        poll_interval: float | None = None,
        subject: str | re.Pattern[str] | None = None,
        sender: str | re.Pattern[str] | None = None,
        body: str | re.Pattern[str] | None = None,
        match: Callable[[Message], bool | Awaitable[bool]] | None = None,
        ignore: Iterable[Message | str] = (),
        length: int | None = None,
        pattern: str | re.Pattern[str] | None = None,
    ) -> str:
        """Wait for a message with a code that its reader is asked to type, and return the code (`GET /messages`).

        Args:
            mailbox: The mailbox or its address.
            timeout: How long to wait, in seconds; None waits until the mailbox is gone, 0 polls once.
            poll_interval: Seconds between two polls, instead of a pace that follows the quota and what was learned.
            subject: What the subject must contain, in any case, or a compiled pattern to find in it.
            sender: The same for the sender's name and address.
            body: The same for the body's readable text or its raw content.
            match: A function of the message, plain or async, that must return something true.
            ignore: Messages, or their ids, that do not count.
            length: How many characters the code must have, separators not counted.
            pattern: A regular expression that the whole code must match.

        Returns:
            The code, as `Message.find_code` finds it. A message without a clear one does not count.

        Raises:
            WaitTimeoutError: None came in time; its text and fields say what was seen instead.
            MailboxGoneError: The mailbox expired or was deleted first.
            QuotaExceededError: The quota is down to the client's reserve, and starts again too late.
            TempMailError: The service refused the poll, for instance because of the key.
        """
        criteria = waiting.Criteria(subject=subject, sender=sender, body=body, match=match, ignore=ignore)
        find = waiting.code_finder(length=length, pattern=pattern)
        return await waiting.wait_for_finding(
            self._caller, mailbox, criteria, find, timeout=timeout, interval=poll_interval
        )

    async def wait_for_link(
        self,
        mailbox: Mailbox | str,
        *,
        timeout: float | None = 60.0,
        poll_interval: float | None = None,
        subject: str | re.Pattern[str] | None = None,
        sender: str | re.Pattern[str] | None = None,
        body: str | re.Pattern[str] | None = None,
        match: Callable[[Message], bool | Awaitable[bool]] | None = None,
        ignore: Iterable[Message | str] = (),
        contains: str | None = None,
        text: str | None = None,
    ) -> str:
        """Wait for a message with a link that its reader is asked to follow, and return the link (`GET /messages`).

        Args:
            mailbox: The mailbox or its address.
            timeout: How long to wait, in seconds; None waits until the mailbox is gone, 0 polls once.
            poll_interval: Seconds between two polls, instead of a pace that follows the quota and what was learned.
            subject: What the subject must contain, in any case, or a compiled pattern to find in it.
            sender: The same for the sender's name and address.
            body: The same for the body's readable text or its raw content.
            match: A function of the message, plain or async, that must return something true.
            ignore: Messages, or their ids, that do not count.
            contains: Text that the link's address must contain, in any case.
            text: Text that the link's visible words must contain, in any case.

        Returns:
            The link, as `Message.find_link` finds it; it is never fetched. A message without a clear one does not
            count.

        Raises:
            WaitTimeoutError: None came in time; its text and fields say what was seen instead.
            MailboxGoneError: The mailbox expired or was deleted first.
            QuotaExceededError: The quota is down to the client's reserve, and starts again too late.
            TempMailError: The service refused the poll, for instance because of the key.
        """
        criteria = waiting.Criteria(subject=subject, sender=sender, body=body, match=match, ignore=ignore)
        find = waiting.link_finder(contains=contains, text=text)
        return await waiting.wait_for_finding(
            self._caller, mailbox, criteria, find, timeout=timeout, interval=poll_interval
        )

    async def assert_no_message(
        self,
        mailbox: Mailbox | str,
        *,
        within: float,
        poll_interval: float | None = None,
        subject: str | re.Pattern[str] | None = None,
        sender: str | re.Pattern[str] | None = None,
        body: str | re.Pattern[str] | None = None,
        match: Callable[[Message], bool | Awaitable[bool]] | None = None,
        ignore: Iterable[Message | str] = (),
    ) -> None:
        """Wait a while and make sure that no message meets all criteria (`GET /messages`).

        Messages that are there already count. The last poll is at the end of the time, and it must have succeeded.

        Args:
            mailbox: The mailbox or its address.
            within: How long to wait, in seconds; 0 polls once.
            poll_interval: Seconds between two polls, instead of a pace that follows the quota and what was learned.
            subject: What the subject must contain, in any case, or a compiled pattern to find in it.
            sender: The same for the sender's name and address.
            body: The same for the body's readable text or its raw content.
            match: A function of the message, plain or async, that must return something true.
            ignore: Messages, or their ids, that do not count.

        Raises:
            AssertionError: There is one; the text says which.
            MailboxGoneError: The mailbox expired or was deleted first.
            QuotaExceededError: The quota is down to the client's reserve, and starts again too late.
            TempMailError: The last poll failed, so nothing can be said.
        """
        criteria = waiting.Criteria(subject=subject, sender=sender, body=body, match=match, ignore=ignore)
        await waiting.assert_no_message(self._caller, mailbox, criteria, within=within, interval=poll_interval)

    def expect_message(
        self,
        mailbox: Mailbox | str,
        *,
        timeout: float | None = 60.0,
        poll_interval: float | None = None,
        subject: str | re.Pattern[str] | None = None,
        sender: str | re.Pattern[str] | None = None,
        body: str | re.Pattern[str] | None = None,
        match: Callable[[Message], bool | Awaitable[bool]] | None = None,
    ) -> ExpectedMessage:
        """Expect the message that a block of code causes, and no older one (`GET /messages`).

        ::

            async with client.expect_message(mailbox) as expected:
                await sign_up(mailbox.email)
            print(expected.message.find_code())

        Args:
            mailbox: The mailbox or its address.
            timeout: How long to wait behind the block, in seconds; None waits until the mailbox is gone, 0 polls once.
            poll_interval: Seconds between two polls, instead of a pace that follows the quota and what was learned.
            subject: What the subject must contain, in any case, or a compiled pattern to find in it.
            sender: The same for the sender's name and address.
            body: The same for the body's readable text or its raw content.
            match: A function of the message, plain or async, that must return something true.

        Returns:
            A context manager. Entering it lists the messages that are there; if that fails, the block does not run.
            Leaving it waits for one that was not there, and puts it into `ExpectedMessage.message`.

        Raises:
            WaitTimeoutError: None came in time; its text and fields say what was seen instead.
            MailboxGoneError: The mailbox expired or was deleted first.
            QuotaExceededError: The quota is down to the client's reserve, and starts again too late.
            TempMailError: The service refused the poll, for instance because of the key.
        """
        criteria = waiting.Criteria(subject=subject, sender=sender, body=body, match=match)
        return waiting.ExpectedMessage(self._caller, mailbox, criteria, timeout=timeout, interval=poll_interval)

    def watch(
        self,
        *mailboxes: Mailbox | str,
        state: Mapping[str, Sequence[str]] | str | os.PathLike[str] | None = None,
        store: SeenStore | None = None,
        forever: bool = False,
        on_gone: Callable[[err.MailboxGoneError], object] | None = None,
        poll_interval: float | None = None,
    ) -> Watch:
        """Watch any number of mailboxes and deliver each message once (`GET /messages`).

        ::

            async with client.watch(*mailboxes) as watch:
                async for message in watch: ...

        Faults that may pass are survived; `Watch.health` shows them.

        Args:
            mailboxes: The mailboxes or their addresses; `Watch.add` and `Watch.discard` change them on the way.
            state: The path of a file in which the watch keeps what was seen, so that no later run delivers it again; it
                is made if it is missing. Or what `Watch.seen` returned in an earlier run, if you keep it yourself.
            store: What this watch shares with others, in this process or elsewhere, so that one of them delivers each
                message: a `FileStore`, a `RedisStore`, or your own.
            forever: Whether to go on when the last mailbox is gone, because others will be added. If not, the iteration
                ends then.
            on_gone: Called for each mailbox that expired or was deleted, after its messages were delivered.
            poll_interval: Seconds between two polls of a mailbox, instead of a pace that follows the quota. Without it,
                a mailbox is polled every minute, or every tenth of its life, as long as the quota can pay for that, and
                always just before it expires.

        Returns:
            A context manager and iterator of messages. A message counts as seen when the next one is asked for.

        Raises:
            AuthenticationError: The key was rejected; this ends the watch, and so does `PermissionDeniedError`.
            QuotaExceededError: The quota is down to the client's reserve, and no mailbox lives until it starts again;
                this ends the watch, too.
            Exception: What the store raised; the message is not lost, and the next step claims it again.
        """
        return waiting.Watch(
            self._caller,
            mailboxes,
            state=state,
            store=store,
            forever=forever,
            on_gone=on_gone,
            interval=poll_interval,
        )

    def forecast(self, *, timeout: float | None = None) -> Forecast:
        """Return what a wait is expected to cost here, and how many of them fit until the quota starts again.

        Nothing is sent: it follows from the last answer's quota, from what this client has seen of its own demand and
        of others with the same key, and from the times at which mail has come.

        Args:
            timeout: The timeout of the waits in question, in seconds; by default the mean of those that were made.

        Returns:
            The forecast. Creating and deleting mailboxes is not part of a wait's cost.
        """
        return waiting.forecast(self._caller.core, timeout)

    async def clear(self, mailbox: Mailbox | str, *, keep_address: bool = True) -> Cleared:
        """Empty a mailbox for the next test, as cheaply as that can be done.

        The messages are listed (`GET /messages`) and deleted one by one (`DELETE /messages/{id}`). If the address may
        change and there are three or more, another mailbox is cheaper (`DELETE /emails/{email}`, `POST /emails`).

        Args:
            mailbox: The mailbox or its address.
            keep_address: Whether the mailbox must keep its address.

        Returns:
            The mailbox that is empty now, and what that took of the quota.

        Raises:
            NotFoundError: There is no such mailbox.
            TempMailError: A request failed; some of the messages may be deleted.
        """
        return await waiting.clear(self, mailbox, keep_address=keep_address)

    def budget(self, requests: int) -> AbstractContextManager[None]:
        """Bound what a block of code sends to a number of requests, retries included.

        ::

            with client.budget(20): ...

        Args:
            requests: How many requests the block may send, through any client; tasks started in it count too.

        Returns:
            A context manager. Inside it the request that would be one too many raises `QuotaExceededError` unsent.
        """
        return request_budget(settings.check_count("requests", requests, least=1))


def _own_user_agent() -> str:
    """Return what this client calls itself: versions of the library, Python, the system and, if it is used, aiohttp."""
    http = sys.modules.get("aiohttp")
    parts = [f"tempmailg/{__version__}", f"Python/{platform.python_version()}", platform.system() or "unknown"]
    return " ".join(parts if http is None else [*parts, f"aiohttp/{http.__version__}"])


def _check_transport(transport: object) -> None:
    if not callable(getattr(transport, "request", None)):
        raise err.ConfigurationError(
            f"transport must be a tempmailg.transport.Transport, not {type(transport).__name__}"
        )


def _check_alone(*settings_of_the_real_transport: object) -> None:
    if any(setting is not None for setting in settings_of_the_real_transport):
        raise err.ConfigurationError(
            "transport replaces base_url, session, proxy and ssl_context: give one or the others"
        )


def _real_transport(
    base_url: str | None,
    session: aiohttp.ClientSession | None,
    proxy: str | None,
    ssl_context: ssl.SSLContext | None,
) -> Transport:
    from tempmailg._aiohttp import AiohttpTransport  # aiohttp loads with the first client

    return AiohttpTransport(base_url, session=session, proxy=proxy, ssl_context=ssl_context)
