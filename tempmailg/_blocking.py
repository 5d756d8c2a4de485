"""`Client`: `AsyncClient` for programs without an event loop, run on the portal."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

from tempmailg import _errors as err
from tempmailg._client import AsyncClient
from tempmailg._portal import Lease
from tempmailg._stream import AttachmentStream
from tempmailg._waiting import ExpectedMessage, Watch, next_message, run_user_code_in_threads

if TYPE_CHECKING:
    import os
    import re
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import TracebackType

    import aiohttp

    from tempmailg._models import Attachment, DomainList, DomainType, Mailbox, Message, Quota
    from tempmailg._portal import Portal
    from tempmailg._quota import Preference
    from tempmailg._transport import Transport
    from tempmailg._waiting import Cleared, Forecast, WatchHealth

__all__ = ["BlockingAttachmentStream", "BlockingExpectedMessage", "BlockingWatch", "Client"]

T = TypeVar("T")
ManagerT = TypeVar("ManagerT", bound=AbstractAsyncContextManager[Any])


class Client:
    """The Temp Mail user API for programs without an event loop.

    Use it as ``with Client() as client:``, or call `close` when done. Any number of threads may share one client. All
    clients of a process work on one background thread, which lives as long as one of them is open.

    Args:
        api_key: The user API key; by default the environment's ``TEMPMAILG_API_KEY``.
        base_url: Where the API stands; by default ``TEMPMAILG_BASE_URL``, or the service's own address. It must be
            https, or http on loopback.
        timeout: The deadline of each call in seconds, retries and waits included. A download has no total limit.
        max_retries: How many further requests a call may send after a failure that may pass.
        session: Must be None: an aiohttp session belongs to the event loop on which it was made; see `AsyncClient`.
        transport: What to send requests with instead of aiohttp, such as ``sandbox.transport()``.
        proxy: The URL of an HTTP proxy; by default the environment's ``HTTPS_PROXY`` and ``NO_PROXY`` decide.
        ssl_context: What to trust instead of the system's certificates.
        quota_reserve: How many requests of the quota waits and watches must leave for other calls.
        preference: What waits and watches care for more: ``fast`` delivers early for about twice the requests,
            ``thrifty`` takes less than half of them. Where the quota is scarce, all of them become rarer.
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
        user_agent: str | None = None,
    ) -> None:
        if session is not None:
            raise err.ConfigurationError(
                "session belongs to the event loop on which it was made: give it to AsyncClient there, "
                "or let this client make its own"
            )
        try:
            self._client = AsyncClient(
                api_key,
                base_url=base_url,
                timeout=timeout,
                max_retries=max_retries,
                transport=transport,
                proxy=proxy,
                ssl_context=ssl_context,
                quota_reserve=quota_reserve,
                preference=preference,
                user_agent=user_agent,
            )
        except err.ConfigurationError as error:
            del api_key, base_url, proxy  # they may be secret, and a traceback may show the locals of its frames
            raise error.with_traceback(None) from None
        run_user_code_in_threads(self._client)
        self._lease = Lease(self._client.close)

    def with_options(self, *, timeout: float | None = None, max_retries: int | None = None) -> Self:
        """Return a client with other options that shares connections, quota and retry budget with this one.

        Args:
            timeout: The deadline of each call in seconds; None keeps this client's.
            max_retries: Further requests after a failure; None keeps this client's.

        Returns:
            The sibling. Closing either closes both.
        """
        sibling = object.__new__(type(self))
        sibling.__dict__.update(
            self.__dict__, _client=self._client.with_options(timeout=timeout, max_retries=max_retries)
        )
        return sibling

    def __enter__(self) -> Self:
        self._lease.check_open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; may be called more than once. An injected session or transport stays open."""
        self._lease.close()

    def __repr__(self) -> str:
        lease: Lease | None = getattr(self, "_lease", None)  # None while __init__ fails
        return f"<{type(self).__name__}{' closed' if lease and lease.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client holds a key and connections, so it cannot be pickled or copied: make one where it is needed"
        )

    @property
    def quota(self) -> Quota | None:
        """The quota that the last answer told, or None before the first."""
        return self._client.quota

    # ------------------------------------------------------------------------------------------------- the endpoints

    def list_domains(self, type: DomainType = "free") -> DomainList:  # noqa: A002 - the API's own parameter name
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
        return self._lease.run(self._client.list_domains, type)

    def create_mailbox(self) -> Mailbox:
        """Create a mailbox with a random address (`POST /emails`).

        Returns:
            The mailbox. It lives about 600 seconds: see `Mailbox.expires_at`.

        Raises:
            APIConnectionError: The connection broke. If `sent` is true, the mailbox may exist all the same: the request
                is not repeated, since it would make a second one.
            TempMailError: The request failed.
        """
        return self._lease.run(self._client.create_mailbox)

    def update_mailbox(self, mailbox: Mailbox | str, username: str, domain: str) -> Mailbox:
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
        return self._lease.run(self._client.update_mailbox, mailbox, username, domain)

    def delete_mailbox(self, mailbox: Mailbox | str) -> None:
        """Delete a mailbox and its messages (`DELETE /emails/{email}`).

        Args:
            mailbox: The mailbox or its address.

        Raises:
            NotFoundError: There is no such mailbox.
            TempMailError: The request failed.
        """
        self._lease.run(self._client.delete_mailbox, mailbox)

    def list_messages(self, mailbox: Mailbox | str) -> list[Message]:
        """List all messages of a mailbox, contents included (`GET /messages`).

        Args:
            mailbox: The mailbox or its address.

        Returns:
            The messages in the service's order, which it does not promise.

        Raises:
            NotFoundError: There is no such mailbox, or it has expired.
            TempMailError: The request failed.
        """
        return self._lease.run(self._client.list_messages, mailbox)

    def get_message(self, message: Message | str) -> Message:
        """Get one message; the service marks it as seen (`GET /messages/{id}`).

        Args:
            message: The message or its id.

        Raises:
            NotFoundError: There is no such message, or its mailbox has expired.
            TempMailError: The request failed.
        """
        return self._lease.run(self._client.get_message, message)

    def delete_message(self, message: Message | str) -> None:
        """Delete one message (`DELETE /messages/{id}`).

        Args:
            message: The message or its id.

        Raises:
            NotFoundError: There is no such message.
            TempMailError: The request failed.
        """
        self._lease.run(self._client.delete_message, message)

    def stream_attachment(
        self,
        attachment: Attachment | tuple[str, str],
        *,
        minimum_speed: float = 1024.0,
        speed_window: float = 30.0,
    ) -> BlockingAttachmentStream:
        """Stream an attachment's bytes as they arrive (`GET /messages/{id}/attachments/{name}`).

        ::

            with client.stream_attachment(message.attachments[0]) as stream:
                for chunk in stream: ...

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
        return BlockingAttachmentStream(
            self._lease,
            self._client.stream_attachment(attachment, minimum_speed=minimum_speed, speed_window=speed_window),
        )

    def download_attachment(
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
            attachment: The attachment, or a pair of message id and file name. The size that an attachment tells must
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
            DownloadError: The file is larger than `max_bytes`.
            APITimeoutError: The service is slower than the minimum speed.
            APIResponseError: The file was cut on its way, again and again.
            OSError: The file cannot be written, for instance because the disk is full.
            TempMailError: The request failed.
        """
        return self._lease.run(
            self._client.download_attachment,
            attachment,
            to,
            overwrite=overwrite,
            progress=progress,
            max_bytes=max_bytes,
            minimum_speed=minimum_speed,
            speed_window=speed_window,
        )

    def download_attachments(
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

        At the first failure the downloads under way are cancelled; files that are whole by then stay.

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
            NotFoundError: There is no such file, or the mailbox has expired.
            DownloadError: A file is larger than `max_bytes`.
            OSError: A file cannot be written, for instance because the disk is full.
            TempMailError: A request failed.
        """
        return self._lease.run(
            self._client.download_attachments,
            message,
            to,
            concurrency=concurrency,
            overwrite=overwrite,
            progress=progress,
            max_bytes=max_bytes,
            minimum_speed=minimum_speed,
            speed_window=speed_window,
        )

    # ------------------------------------------------------------------------------------------------------- on top

    def temporary_mailbox(self) -> AbstractContextManager[Mailbox]:
        """Create a mailbox for a block of code, and delete it behind the block.

        ::

            with client.temporary_mailbox() as mailbox: ...

        Raises:
            TempMailError: The mailbox could not be created or deleted; one that is gone already is no error.
        """
        return _Block(self._lease, self._client.temporary_mailbox())

    def wait_for_message(
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
        return self._lease.run(
            self._client.wait_for_message,
            mailbox,
            timeout=timeout,
            poll_interval=poll_interval,
            subject=subject,
            sender=sender,
            body=body,
            match=match,
            ignore=ignore,
        )

    def wait_for_messages(
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
        return self._lease.run(
            self._client.wait_for_messages,
            mailbox,
            count=count,
            timeout=timeout,
            poll_interval=poll_interval,
            subject=subject,
            sender=sender,
            body=body,
            match=match,
            ignore=ignore,
        )

    def wait_for_code(
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
        return self._lease.run(
            self._client.wait_for_code,
            mailbox,
            timeout=timeout,
            poll_interval=poll_interval,
            subject=subject,
            sender=sender,
            body=body,
            match=match,
            ignore=ignore,
            length=length,
            pattern=pattern,
        )

    def wait_for_link(
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
        return self._lease.run(
            self._client.wait_for_link,
            mailbox,
            timeout=timeout,
            poll_interval=poll_interval,
            subject=subject,
            sender=sender,
            body=body,
            match=match,
            ignore=ignore,
            contains=contains,
            text=text,
        )

    def assert_no_message(
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
        self._lease.run(
            self._client.assert_no_message,
            mailbox,
            within=within,
            poll_interval=poll_interval,
            subject=subject,
            sender=sender,
            body=body,
            match=match,
            ignore=ignore,
        )

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
    ) -> BlockingExpectedMessage:
        """Expect the message that a block of code causes, and no older one (`GET /messages`).

        ::

            with client.expect_message(mailbox) as expected:
                sign_up(mailbox.email)
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
            A context manager. Entering it notes which messages are there; if that fails, the block does not run.
            Leaving it waits for one that was not there, and puts it into `BlockingExpectedMessage.message`.

        Raises:
            WaitTimeoutError: None came in time; its text and fields say what was seen instead.
            MailboxGoneError: The mailbox expired or was deleted first.
            QuotaExceededError: The quota is down to the client's reserve, and starts again too late.
            TempMailError: The service refused the poll, for instance because of the key.
        """
        return BlockingExpectedMessage(
            self._lease,
            self._client.expect_message(
                mailbox,
                timeout=timeout,
                poll_interval=poll_interval,
                subject=subject,
                sender=sender,
                body=body,
                match=match,
            ),
        )

    def watch(
        self,
        *mailboxes: Mailbox | str,
        state: Mapping[str, Sequence[str]] | str | os.PathLike[str] | None = None,
        forever: bool = False,
        on_gone: Callable[[err.MailboxGoneError], object] | None = None,
        poll_interval: float | None = None,
    ) -> BlockingWatch:
        """Watch any number of mailboxes and deliver each message once (`GET /messages`).

        ::

            with client.watch(*mailboxes) as watch:
                for message in watch: ...

        Faults that may pass are survived; `BlockingWatch.health` shows them.

        Args:
            mailboxes: The mailboxes or their addresses; `BlockingWatch.add` and `BlockingWatch.discard` change them on
                the way.
            state: The path of a file in which the watch keeps what was seen, so that no later run delivers it again; it
                is made if it is missing. Or what `BlockingWatch.seen` returned in an earlier run, if you keep it
                yourself.
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
        """
        return BlockingWatch(
            self._lease,
            self._client.watch(*mailboxes, state=state, forever=forever, on_gone=on_gone, poll_interval=poll_interval),
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
        return self._client.forecast(timeout=timeout)

    def clear(self, mailbox: Mailbox | str, *, keep_address: bool = True) -> Cleared:
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
        return self._lease.run(self._client.clear, mailbox, keep_address=keep_address)

    def budget(self, requests: int) -> AbstractContextManager[None]:
        """Bound what a block of code sends to a number of requests, retries included.

        ::

            with client.budget(20): ...

        Args:
            requests: How many requests the block may send, through any client; tasks started in it count too.

        Returns:
            A context manager. Inside it the request that would be one too many raises `QuotaExceededError` unsent.
        """
        return self._client.budget(requests)


class _Twin(Generic[ManagerT]):
    """A context manager of `AsyncClient`, entered, used and left by calls on one portal.

    Entering and leaving are two calls, and so is each step of an iterator: nothing runs, and nothing can go wrong,
    between them. A scope held open on the portal would hang on Ctrl-C.
    """

    def __init__(self, lease: Lease, inner: ManagerT) -> None:
        lease.check_caller()
        self._lease = lease
        self._inner = inner
        self._portal: Portal | None = None

    def _enter(self, inner: AbstractAsyncContextManager[T]) -> T:
        self._portal = self._lease.portal
        return self._portal.enter(inner)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._home.leave(self._inner, kind, error, traceback)

    def __repr__(self) -> str:
        return f"<Blocking{repr(self._inner)[1:]}"

    def _use(self, function: Callable[..., T], *args: object) -> T:
        """Call a function that is not made for threads: on the loop, as long as something else may run there."""
        if self._portal is not None:
            with suppress(err.ClientClosedError):
                return self._portal.run(_called, function, *args)
        return function(*args)

    @property
    def _home(self) -> Portal:
        """The portal on which it was entered: after a fork this is not the client's."""
        return self._portal or self._lease.portal


class _Block(_Twin[AbstractAsyncContextManager[T]]):
    """A context manager that gives a plain value."""

    def __enter__(self) -> T:
        return self._enter(self._inner)


class BlockingAttachmentStream(_Twin[AttachmentStream]):
    """An attachment that is being received: a context manager, and an iterator of its bytes.

    Attributes:
        name: The file's name as the sender gave it; never use it as a path.
        size: The size in bytes, or None if the service does not declare it.
        content_type: The media type that the service declares, or an empty text.
    """

    @property
    def name(self) -> str:
        """The file's name as the sender gave it; never use it as a path."""
        return self._inner.name

    @property
    def size(self) -> int | None:
        """The size in bytes, or None if the service does not declare it."""
        return self._inner.size

    @property
    def content_type(self) -> str:
        """The media type that the service declares, or an empty text."""
        return self._inner.content_type

    def __enter__(self) -> Self:
        self._enter(self._inner)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(err.ClientClosedError):  # the client was closed in the block, and the stream with it
            super().__exit__(kind, error, traceback)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return _next(self._home, self._inner)


class BlockingExpectedMessage(_Twin[ExpectedMessage]):
    """The message that a block of code causes: a context manager; see `Client.expect_message`."""

    @property
    def message(self) -> Message:
        """The message; known behind the block.

        Raises:
            ConfigurationError: The block is not over yet.
        """
        return self._inner.message

    def __enter__(self) -> Self:
        self._enter(self._inner)
        return self


class BlockingWatch(_Twin[Watch]):
    """Delivers each message of any number of mailboxes once: a context manager and iterator.

    Made by `Client.watch`. A message counts as seen when the consumer asks for the next one, so what was being worked
    on when a program stopped is delivered again by a watch that goes on from `seen`.
    """

    def __init__(self, lease: Lease, inner: Watch) -> None:
        super().__init__(lease, inner)
        self._was_received = True  # whether the last message has reached the caller, whom a signal may interrupt

    def add(self, *mailboxes: Mailbox | str) -> None:
        """Watch further mailboxes. One that is watched already goes on as it is.

        Args:
            mailboxes: The mailboxes or their addresses.

        Raises:
            ConfigurationError: One of them cannot be a mailbox.
            ClientClosedError: The client is closed.
        """
        self._use(self._inner.add, *mailboxes)

    def discard(self, *mailboxes: Mailbox | str) -> None:
        """Stop watching these mailboxes: no message of theirs is delivered any more, and what was seen is forgotten.

        Args:
            mailboxes: The mailboxes or their addresses; one that is not watched does no harm.
        """
        self._use(self._inner.discard, *mailboxes)

    def seen(self) -> dict[str, list[str]]:
        """Return what was seen, ready for JSON and for `Client.watch(state=…)`.

        Returns:
            The ids of the messages by the address of their mailbox, also of mailboxes in the state that the watch began
            with and that were not added yet. The message that was delivered last is not among them before the next one
            is asked for.
        """
        return self._use(self._inner.seen)

    @property
    def health(self) -> WatchHealth:
        """How the watch is at this moment."""
        return self._use(lambda: self._inner.health)

    def __enter__(self) -> Self:
        self._enter(self._inner)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(err.ClientClosedError):  # the client was closed in the block, and the watch with it
            super().__exit__(kind, error, traceback)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        was_received, self._was_received = self._was_received, False
        try:
            message = self._home.run(partial(next_message, was_received=was_received), self._inner)
        except StopAsyncIteration:
            raise StopIteration from None
        self._was_received = True  # no signal is handled between here and the caller's next line
        return message

    def process(
        self,
        handler: Callable[[Message], Awaitable[object] | object],
        *,
        workers: int = 1,
        attempts: int = 3,
    ) -> None:
        """Handle every message at least once, several at a time, until no mailbox is left.

        A message counts as seen when its handler has returned. If the handler raises, the message is delivered to it
        again after a while.

        Args:
            handler: A function of a message, plain or async.
            workers: How many messages are handled at a time.
            attempts: How often a message is handled at most, if its handler raises. The last error ends `process`, and
                the message is not seen: a watch that goes on from the state delivers it again.

        Raises:
            ConfigurationError: Another task is waiting for the watch's next message.
            TempMailError: The watch cannot go on.
            Exception: What the handler raised, the last time that it was allowed to.
        """
        self._home.run(partial(self._inner.process, workers=workers, attempts=attempts), handler)


def _next(portal: Portal, iterator: AsyncIterator[T]) -> T:
    try:
        return portal.run(iterator.__anext__)
    except StopAsyncIteration:
        raise StopIteration from None


async def _called(function: Callable[..., T], *args: object) -> T:
    return function(*args)
