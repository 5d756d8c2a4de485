"""The sandbox as its users hold it: the service, its clock, and the doors that open on demand."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Self

from tempmailg._errors import ConfigurationError
from tempmailg._loop import log_no_slow_steps
from tempmailg._settings import is_loopback
from tempmailg.sandbox._certificate import ServerTls, certificate_hosts
from tempmailg.sandbox._clock import Clock
from tempmailg.sandbox._inprocess import InProcessTransport
from tempmailg.sandbox._local_delivery import LocalDelivery
from tempmailg.sandbox._mail_settings import Framework, mail_settings
from tempmailg.sandbox._net import url_host
from tempmailg.sandbox._operations import Operations
from tempmailg.sandbox._options import (
    DEFAULT_KEY,
    check_domains,
    check_hosts,
    check_keys,
    check_options,
    check_ports,
    check_smtp,
)
from tempmailg.sandbox._service import Service
from tempmailg.sandbox._state import Account, Limits, SandboxDomain, State

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from tempmailg.sandbox._http import HttpDoor
    from tempmailg.sandbox._local_delivery import Others
    from tempmailg.sandbox._smtp import SmtpDoor
    from tempmailg.sandbox._state import Order, Plan

__all__ = ["Sandbox", "load", "run", "serve"]

_UNSTARTED_URL: Final = "http://sandbox.invalid/api"  # RFC 6761: a name that never exists
_DOMAINS: Final = (
    SandboxDomain("example.com"),
    SandboxDomain("example.org"),
    SandboxDomain("premium.example", "premium"),
)


class Sandbox(Operations):
    """The Temp Mail user API on your own machine, fed by real SMTP or from Python.

    Opened with ``async with`` it runs in the current event loop, with ``with`` in a thread of its own; `start` and
    `stop` do the latter for a prompt or a notebook. Not opened, it serves `transport`: in process, and in virtual time.

    Args:
        host: The address to listen on.
        port: The HTTP port; 0 picks a free one.
        smtp_port: The SMTP port, for plain connections and STARTTLS; 0 picks a free one.
        smtp_tls_port: The SMTP port for connections that begin with TLS; 0 picks a free one.
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
        allow_hosts: Further names in the Host header under which the sandbox may be addressed, such as ``sandbox``.
        others: What happens to mail for addresses that are no mailbox: ``refuse`` it, ``discard`` it silently, or
            ``keep`` it in a mailbox of the first account that is made for the address.
        ssl_context: A server's context with your own certificate, for mail by TLS; by default the sandbox makes an
            authority and a certificate, see `ca_pem`.

    Raises:
        ConfigurationError: An argument is wrong, or would open the sandbox to other machines by accident.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        smtp_port: int = 0,
        smtp_tls_port: int = 0,
        api_key: str = DEFAULT_KEY,
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
        allow_hosts: Iterable[str] = (),
        others: Others = "refuse",
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        further = check_keys(api_key, accounts)
        hosts = check_hosts(host, allow_hosts, api_key, allow_remote=allow_remote)
        check_ports(port=port, smtp_port=smtp_port, smtp_tls_port=smtp_tls_port)
        check_options(plan=plan, quota=quota, order=order, lifetime=lifetime, etags=etags, seed=seed, limits=limits)
        check_smtp(others, ssl_context)
        state = State(
            Clock(start),
            accounts={api_key: Account(plan, quota), **further},
            domains=check_domains(domains),
            lifetime=lifetime,
            order=order,
            seed=seed,
            limits=limits or Limits(),
        )
        service = Service(state, base_url=_UNSTARTED_URL, etags=etags)
        host = "127.0.0.1" if host == "localhost" else host
        tls = ServerTls(certificate_hosts(host, hosts), ssl_context)
        super().__init__(service, api_key=api_key, host=host, tls=tls)
        self._delivery = LocalDelivery(state, others)
        self._allow_hosts = hosts
        self._ports_wanted = port, smtp_port, smtp_tls_port
        self._seed = seed
        self._doors: list[HttpDoor | SmtpDoor] = []
        self._thread: _Thread | None = None

    def __repr__(self) -> str:
        return "<Sandbox, not started>" if self._smtp_port is None else f"<Sandbox at {self.base_url}>"

    def mail_settings(self, framework: Framework) -> dict[str, Any]:
        """Return the settings that make an application send its mail here.

        Args:
            framework: ``django`` for Django's ``EMAIL_*``, ``flask`` for Flask-Mail's ``MAIL_*``, ``environment`` for
                variables that many programs read: ``SMTP_HOST``, ``SMTP_PORT``, ``SMTP_URL`` and ``EMAIL_URL``.

        Raises:
            ConfigurationError: The framework is none of these, or the sandbox is not started.
        """
        return mail_settings(framework, self.smtp_host, self.smtp_port)

    def transport(self) -> InProcessTransport:
        """Return a transport for `AsyncClient(transport=…)`: no sockets, and the sandbox's clock.

        As long as the sandbox is not started, nobody waits in real time: as soon as everything on the event loop waits
        for the clock, it leaps to the moment that the first of them waits for.
        """
        return InProcessTransport(self._service, api_key=self._key, base_url=self.base_url, seed=self._seed or 0)

    # ---------------------------------------------------------------------------------------------------- life

    def start(self) -> Self:
        """Start the sandbox in a thread of its own, for a prompt or a notebook; `stop` ends it.

        Returns:
            The sandbox.

        Raises:
            ConfigurationError: It is started already.
            OSError: A port cannot be had.
        """
        self._check_unstarted()
        thread = _Thread(self._open, self._close)
        thread.start()
        self._thread = thread
        return self

    def stop(self) -> None:
        """Stop the sandbox that `start` started; what it holds stays, and one that is not started stays as it is."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    async def __aenter__(self) -> Self:
        self._check_unstarted()
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _check_unstarted(self) -> None:
        if self._doors or self._thread is not None:
            raise ConfigurationError("the sandbox is started already")

    async def _open(self) -> None:
        http, smtp = self._make_doors()
        self._doors = [http, smtp]
        port, smtp_port, smtp_tls_port = self._ports_wanted
        try:
            port = await http.open(port)
            self._smtp_port = await smtp.open(smtp_port)
            self._smtp_tls_port = await smtp.open_tls(smtp_tls_port)
        except BaseException:
            await self._close()
            raise
        self._service.base_url = f"http://{url_host(self._host)}:{port}/api"
        self.clock.run()

    def _make_doors(self) -> tuple[HttpDoor, SmtpDoor]:
        load()
        from tempmailg.sandbox._doors import Control, HttpDoor, Page, SmtpDoor

        is_remote = not is_loopback(self._host)
        control = Control(self, self._state, needs_key=is_remote)
        page = Page(self, self._state, needs_key=is_remote)
        http = HttpDoor(self._service, control, page, host=self._host, allow_hosts=self._allow_hosts)
        smtp = SmtpDoor(
            self._state,
            host=self._host,
            journal=self._smtp_journal,
            faults=self._smtp_faults,
            delivery=self._delivery,
            tls=self._tls,
        )
        return http, smtp

    async def _close(self) -> None:
        doors, self._doors = self._doors, []
        self._smtp_port = self._smtp_tls_port = None
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
        log_no_slow_steps(asyncio.get_running_loop())
        stop = asyncio.Event()
        try:
            await self._open()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for it
            self._ready.set_exception(error)
            return
        self._ready.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
        await self._close()


def load() -> None:
    """Load what a sandbox needs to listen: half a second, for which its start would hold up the event loop.

    Raises:
        ConfigurationError: A package is not installed.
    """
    if find_spec("aiosmtpd") is None:
        raise ConfigurationError(
            'the sandbox receives mail by aiosmtpd, which is not installed: pip install "tempmailg[sandbox]"'
        )
    import_module("tempmailg.sandbox._doors")


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
            "smtp_tls_port": sandbox.smtp_tls_port,
            "ca_pem": sandbox.ca_pem,
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
    loop = asyncio.get_running_loop()
    log_no_slow_steps(loop)
    with suppress(NotImplementedError):  # Windows has no such handlers
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            # asyncio raises KeyboardInterrupt amid the loop at a second Ctrl-C, and may wait for ever after that.
            loop.add_signal_handler(signal.SIGINT, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
