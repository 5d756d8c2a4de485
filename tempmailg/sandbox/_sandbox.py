"""The sandbox as its users hold it: the service, its clock, and the doors that open on demand."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from concurrent.futures import Future
from contextlib import suppress
from email.message import EmailMessage
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Self

from tempmailg._errors import ConfigurationError
from tempmailg.sandbox._clock import Clock
from tempmailg.sandbox._control import Control
from tempmailg.sandbox._inprocess import InProcessTransport
from tempmailg.sandbox._mail import BytesBlob, File, Mail, address_of, distinct
from tempmailg.sandbox._net import is_loopback, url_host
from tempmailg.sandbox._service import Service
from tempmailg.sandbox._state import Account, Limits, SandboxDomain, State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from tempmailg._models import Mailbox
    from tempmailg.sandbox._faults import Faults
    from tempmailg.sandbox._http import HttpDoor
    from tempmailg.sandbox._service import JournalEntry
    from tempmailg.sandbox._smtp import SmtpDoor
    from tempmailg.sandbox._state import Order, Plan

__all__ = ["Sandbox", "run", "serve"]

_KEY: Final = "sandbox-key"
_UNSTARTED_URL: Final = "http://sandbox.invalid/api"  # RFC 6761: a name that never exists
_SENDER: Final = "Example Sender <hello@example.org>"
_DOMAINS: Final = (
    SandboxDomain("example.com"),
    SandboxDomain("example.org"),
    SandboxDomain("premium.example", "premium"),
)


class Sandbox:
    """The Temp Mail user API on your own machine, fed by real SMTP or from Python.

    Opened with ``async with`` it runs in the current event loop, with ``with`` in a thread of its own. Not opened, it
    serves `transport`: in process, and in virtual time.

    Args:
        host: The address to listen on.
        port: The HTTP port; 0 picks a free one.
        smtp_port: The SMTP port; 0 picks a free one.
        api_key: The key of the first account.
        plan: That account's plan.
        quota: Requests that this account may make in a month.
        accounts: Further accounts by their keys.
        domains: The domains; by default two free ones and a premium one.
        lifetime: Seconds that a mailbox lives.
        order: The order in which messages are listed; the API promises none.
        etags: Whether answers carry ETags and honour If-None-Match and Range; the API promises neither.
        seed: Makes addresses, ids and tokens repeatable; by default they differ each time.
        start: The clock's time at the beginning, aware; by default now.
        limits: The caps.
        allow_remote: Whether `host` may be an address that other machines reach; it takes a key of your own then.

    Raises:
        ConfigurationError: An argument is wrong, or would open the sandbox to other machines by accident.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        smtp_port: int = 0,
        api_key: str = _KEY,
        plan: Plan = "free",
        quota: int = 50_000,
        accounts: Mapping[str, Account] | None = None,
        domains: Sequence[SandboxDomain] = _DOMAINS,
        lifetime: float = 600.0,
        order: Order = "newest",
        etags: bool = False,
        seed: int | None = None,
        start: datetime | None = None,
        limits: Limits | None = None,
        allow_remote: bool = False,
    ) -> None:
        if not is_loopback(host):
            _check_remote(host, api_key, allow_remote=allow_remote)
        if not any(domain.plan == "free" for domain in domains):
            raise ConfigurationError("domains must hold a free one, for every account makes mailboxes there")
        self._host = "127.0.0.1" if host == "localhost" else host
        self._ports_asked = port, smtp_port
        self._key = api_key
        self._seed = seed
        self._state = State(
            Clock(start),
            accounts={api_key: Account(plan, quota), **(accounts or {})},
            domains=domains,
            lifetime=lifetime,
            order=order,
            seed=seed,
            limits=limits or Limits(),
        )
        self._service = Service(self._state, base_url=_UNSTARTED_URL, etags=etags)
        self._doors: list[HttpDoor | SmtpDoor] = []
        self._smtp_port: int | None = None
        self._thread: _Thread | None = None

    def __repr__(self) -> str:
        return "<Sandbox, not started>" if self._smtp_port is None else f"<Sandbox at {self.base_url}>"

    # --------------------------------------------------------------------------------------------- where it is

    @property
    def base_url(self) -> str:
        """The API's base URL, such as ``http://127.0.0.1:8025/api``."""
        return self._service.base_url

    @property
    def api_key(self) -> str:
        """The key of the first account."""
        return self._key

    @property
    def smtp_host(self) -> str:
        """The SMTP server's address."""
        return self._host

    @property
    def smtp_port(self) -> int:
        """The SMTP server's port, once the sandbox is started."""
        if self._smtp_port is None:
            raise ConfigurationError("the sandbox is not started: use `with Sandbox() as sandbox:`")
        return self._smtp_port

    # -------------------------------------------------------------------------------- what a tester does to it

    @property
    def clock(self) -> Clock:
        """The sandbox's time."""
        return self._state.clock

    @property
    def faults(self) -> Faults:
        """What is still to go wrong."""
        return self._service.faults

    @property
    def journal(self) -> list[JournalEntry]:
        """The requests that were answered, the oldest first."""
        with self._state.lock:
            return list(self._service.journal)

    def clear_journal(self) -> None:
        """Forget the requests that were answered."""
        with self._state.lock:
            self._service.journal.clear()

    def transport(self) -> InProcessTransport:
        """Return a transport for `AsyncClient(transport=…)`: no sockets, and the sandbox's clock.

        As long as the sandbox is not started, nobody waits in real time: as soon as everything on the event loop waits
        for the clock, it leaps to the moment that the first of them waits for.
        """
        return InProcessTransport(self._service, api_key=self._key, base_url=self.base_url, seed=self._seed or 0)

    def deliver(
        self,
        mailbox: Mailbox | str,
        message: EmailMessage | bytes | None = None,
        *,
        subject: str = "",
        sender: str = _SENDER,
        text: str = "",
        html: str | None = None,
        attachments: Iterable[tuple[str, bytes] | tuple[str, bytes, str]] = (),
        received_at: datetime | None = None,
    ) -> str:
        """Put a message into a mailbox, without SMTP.

        Args:
            mailbox: The mailbox, or its address.
            message: An e-mail, as a value or as bytes; without it, the fields below make the message.
            subject: The subject.
            sender: The sender's name and address.
            text: The content, unless there is HTML.
            html: The content as HTML.
            attachments: Files: name, bytes and, if wanted, the media type. Names are told exactly as given.
            received_at: When it was received, aware; now by default.

        Returns:
            The message's id.

        Raises:
            MailboxUnknownError: There is no such mailbox, or it has expired.
            SandboxFullError: A cap is reached.
        """
        email = mailbox if isinstance(mailbox, str) else mailbox.email
        received = received_at.timestamp() if received_at else None
        if isinstance(message, EmailMessage):
            message = message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
        if message is not None:
            return self._state.deliver([email], bytes(message), received=received)[0]
        name, address = address_of(sender)
        files = distinct(map(_file, attachments))
        mail = Mail(subject, name, address, html is not None, text if html is None else html, files)
        return self._state.deliver([email], mail, received=received)[0]

    def account(self, api_key: str | None = None) -> Account:
        """Return the account behind a key as it stands.

        Args:
            api_key: The key; the first account's by default.

        Raises:
            ConfigurationError: There is no such key.
        """
        with self._state.lock:
            account = self._state.account(api_key or self._key)
        if account is None:
            raise ConfigurationError("the sandbox has no account with this key: make it with set_account()")
        return account

    def set_account(
        self,
        api_key: str | None = None,
        *,
        plan: Plan | None = None,
        limit: int | None = None,
        used: int | None = None,
        remaining: int | None = None,
    ) -> Account:
        """Change the account behind a key, or make one.

        Args:
            api_key: The key; the first account's by default.
            plan: Its plan.
            limit: Requests it may make until the reset.
            used: Requests it has made.
            remaining: Requests that are left, instead of `used`.

        Returns:
            The account.
        """
        if plan not in (None, "free", "premium"):
            raise ConfigurationError(f"plan must be 'free' or 'premium', not {plan!r}")
        for name, count in (("limit", limit), ("used", used), ("remaining", remaining)):
            if count is not None and not (isinstance(count, int) and count >= 0):  # pyright: ignore[reportUnnecessaryIsInstance] - the control route passes JSON on
                raise ConfigurationError(f"{name} must be a number of requests, not {count!r}")
        with self._state.lock:
            account = self._state.accounts.setdefault(api_key or self._key, Account())
            account.plan = account.plan if plan is None else plan
            account.limit = account.limit if limit is None else limit
            account.used = account.used if used is None else used
            account.used = account.used if remaining is None else max(0, account.limit - remaining)
        return account

    def knows(self, api_key: str) -> bool:
        """Say whether a key is one of the sandbox's."""
        return api_key in self._state.accounts

    def reset(self) -> None:
        """Forget mailboxes, messages, faults and journal; accounts are as at the beginning, and the clock goes on."""
        with self._state.lock:
            self._state.reset()
            self._service.journal.clear()
        self.faults.clear()

    def dump(self) -> dict[str, Any]:
        """Describe accounts, mailboxes and messages in JSON's types; no key is among it."""
        return self._state.dump()

    def load(self, dump: Mapping[str, Any]) -> None:
        """Go on from the moment of a dump, its time included.

        Args:
            dump: What `dump` returned, in a sandbox with the same keys.

        Raises:
            ConfigurationError: It is no dump, or one of a sandbox with other keys.
        """
        self._state.load(dump)

    # ---------------------------------------------------------------------------------------------------- life

    async def __aenter__(self) -> Self:
        self._check_unstarted()
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    def __enter__(self) -> Self:
        self._check_unstarted()
        thread = _Thread(self._open, self._close)
        thread.start()
        self._thread = thread
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    def _check_unstarted(self) -> None:
        if self._doors or self._thread is not None:
            raise ConfigurationError("the sandbox is started already")

    async def _open(self) -> None:
        http_door, smtp_door = _door_types()
        control = Control(self, needs_key=not is_loopback(self._host))
        http, smtp = http_door(self._service, control, host=self._host), smtp_door(self._state, host=self._host)
        self._doors = [http, smtp]
        try:
            port, self._smtp_port = await http.open(self._ports_asked[0]), await smtp.open(self._ports_asked[1])
        except BaseException:
            await self._close()
            raise
        self._service.base_url = f"http://{url_host(self._host)}:{port}/api"
        self.clock.run()

    async def _close(self) -> None:
        doors, self._doors = self._doors, []
        self._smtp_port = None
        self._service.base_url = _UNSTARTED_URL
        self.clock.stand()
        for door in doors:
            await door.close()


class _Thread:
    """A thread with an event loop in which a sandbox lives."""

    def __init__(self, open_: Callable[[], Awaitable[None]], close: Callable[[], Awaitable[None]]) -> None:
        self._open, self._close = open_, close
        self._ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(target=self._run, name="tempmailg-sandbox", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.result()

    def stop(self) -> None:
        loop, stop = self._ready.result()
        loop.call_soon_threadsafe(stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        stop = asyncio.Event()
        try:
            await self._open()
        except BaseException as error:  # noqa: BLE001 - told to the thread that waits for it
            self._ready.set_exception(error)
            return
        self._ready.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
        await self._close()


async def serve(sandbox: Sandbox, *, on_ready: Callable[[], object] | None = None) -> None:
    """Run a sandbox until cancelled; its one line on stdout says, as JSON, that it is ready and where.

    Args:
        sandbox: The sandbox, not yet started.
        on_ready: Called when it is started, before that line is printed.
    """
    async with sandbox:
        if on_ready is not None:
            on_ready()
        place = {
            "base_url": sandbox.base_url,
            "api_key": sandbox.api_key,
            "smtp_host": sandbox.smtp_host,
            "smtp_port": sandbox.smtp_port,
        }
        print(json.dumps(place), flush=True)  # noqa: T201 - the line that programs wait for
        await asyncio.Event().wait()


def run(sandbox: Sandbox) -> None:
    """Run a sandbox until Ctrl-C or SIGTERM, as `serve` does.

    Args:
        sandbox: The sandbox, not yet started.
    """
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve_until_terminated(sandbox))


async def _serve_until_terminated(sandbox: Sandbox) -> None:
    task = asyncio.ensure_future(serve(sandbox))
    with suppress(NotImplementedError):  # Windows has no such handlers
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def _check_remote(host: str, key: str, *, allow_remote: bool) -> None:
    if not allow_remote:
        raise ConfigurationError(
            f"host {host!r} can be reached from other machines: say allow_remote=True if you want that"
        )
    if key == _KEY:
        raise ConfigurationError("a sandbox that other machines can reach needs an api_key of your own")


def _door_types() -> tuple[type[HttpDoor], type[SmtpDoor]]:
    if find_spec("aiosmtpd") is None:
        raise ConfigurationError(
            'the sandbox receives mail by aiosmtpd, which is not installed: pip install "tempmailg[sandbox]"'
        )
    from tempmailg.sandbox._http import HttpDoor
    from tempmailg.sandbox._smtp import SmtpDoor

    return HttpDoor, SmtpDoor


def _file(attachment: tuple[str, bytes] | tuple[str, bytes, str]) -> File:
    content_type = attachment[2] if len(attachment) == 3 else "application/octet-stream"
    return File(attachment[0], content_type, BytesBlob(bytes(attachment[1])))
