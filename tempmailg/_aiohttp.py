"""The transport that reaches the service: one aiohttp session, one origin.

Errors of aiohttp, asyncio and the operating system become ours here, by the table `_FOREIGN`, and pass no further:
theirs hold the request's headers, and with them the key. Ours are raised outside of the `except` block, so that they do
not even carry the foreign one as their context.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import random
import ssl
import time
import urllib.request
import warnings
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

import aiohttp
from attrs import define, frozen
from yarl import URL

from tempmailg import _errors as err
from tempmailg._deadlines import Deadlines
from tempmailg._resolver import DaemonResolver
from tempmailg._settings import is_loopback, proxy_of
from tempmailg._transport import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.client_reqrep import ClientRequest, ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from tempmailg._transport import AnswerHeaders, Request

__all__ = ["AiohttpTransport", "environment_proxy"]

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for one connection to be made: less than the usual deadline, so that a lost packet does not eat it whole."""

READ_AHEAD: Final = 256 * 1024
"""Bytes of a body that may wait for their reader before the connection is held up. The event loop receives so many at
once: with fewer, each piece of a download would stop the connection and start it again."""


class AiohttpTransport:
    """Sends requests with aiohttp.

    Args:
        base_url: The URL below which all targets stand.
        session: A session whose connection pool is used and never closed; by default a pool of its own.
        proxy: The URL of a proxy; None for a direct connection.
        ssl_context: What to trust instead of the system's certificates.

    Raises:
        ConfigurationError: The key would travel in clear text, or to somebody whose certificate nobody checks.
    """

    _session: aiohttp.ClientSession | None = None
    _deadlines: Deadlines

    def __init__(
        self,
        base_url: str,
        *,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if proxy is not None and not base_url.startswith("https:") and not is_loopback(urlsplit(proxy).hostname or ""):
            raise err.ConfigurationError("an http base_url must not go through a proxy: it would see the key")
        self._base_url = base_url
        self._injected = session
        self._proxy = proxy
        self._ssl: ssl.SSLContext | bool = True if ssl_context is None else _checking("ssl_context", ssl_context)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._streams: WeakSet[_AiohttpStream] = WeakSet()  # those that somebody may still read

    def __del__(self) -> None:
        self._let_go()

    def let_go_at_exit(self) -> None:
        """Let go while all modules still work; a loop that still runs is the blocking client's, which sees to it."""
        if self._loop is not None and self._loop.is_closed():
            self._let_go()

    def _let_go(self) -> None:
        """Warn if nobody closed this, and leave nothing open; no more than that, since it may happen in any thread."""
        session = self._own_session()
        if session is None or session.closed:
            return
        if not self._abandon(session):
            return
        warnings.warn(
            "a client was not closed: use it in `async with AsyncClient() as client:`, or await client.close()",
            ResourceWarning,
            stacklevel=1,  # whoever forgot it is not on the stack; `source` tells where it was made
            source=self,
        )

    def _abandon(self, session: aiohttp.ClientSession) -> bool:
        """Close connections without their loop; return False for somebody else's, which are theirs to close."""
        connector = session.connector
        session.detach()  # aiohttp would warn in its own words
        if self._loop is None or not isinstance(connector, _Connector):
            return False
        with suppress(RuntimeError):  # the loop may be closing in its own thread
            connector.abandon(self._loop)
        return True

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        """See `Transport.request`."""
        attempt = self._attempt()
        session, deadlines = self._session_here(), self._deadlines
        try:
            with deadlines.within(timeout):
                answer = await self._open(session, request, attempt)
                body = await _read_all(answer, max_bytes)
        except _FOREIGN_TYPES as error:
            failure = attempt.translated(error)
        else:
            return Response(answer.status, answer.headers, body)
        raise failure

    async def stream(self, request: Request, *, timeout: float) -> _AiohttpStream:
        """See `Transport.stream`."""
        attempt = self._attempt()
        session, deadlines = self._session_here(), self._deadlines
        try:
            with deadlines.within(timeout):
                stream = _AiohttpStream(await self._open(session, request, attempt), attempt, deadlines)
        except _FOREIGN_TYPES as error:
            failure = attempt.translated(error)
        else:
            self._streams.add(stream)
            return stream
        raise failure

    async def sleep(self, seconds: float) -> None:
        """See `Transport.sleep`."""
        await asyncio.sleep(seconds)

    def now(self) -> float:
        """See `Transport.now`."""
        return time.monotonic()

    def utcnow(self) -> datetime:
        """See `Transport.utcnow`."""
        return datetime.now(UTC)

    def random(self) -> float:
        """See `Transport.random`."""
        return random.random()  # noqa: S311 - jitter, not a secret

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        session = self._own_session()
        if session is None:
            return
        if self._loop is not asyncio.get_running_loop():
            await self._close_from_elsewhere(session)
            return
        self._session = None
        self._deadlines.stop()
        for stream in tuple(self._streams):
            stream.close()  # or aiohttp warns of each that was not left before the client was closed
        await session.close()

    async def _close_from_elsewhere(self, session: aiohttp.ClientSession) -> None:
        """Close from another event loop than the one that has the connections."""
        if self._loop is not None and self._loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.aclose(), self._loop))
        elif self._loop is not None and not self._loop.is_closed():
            raise err.ConfigurationError(
                "this client was first used on another event loop, which is open but does not run: close it there"
            )
        else:
            self._session = None
            self._abandon(session)

    def _attempt(self) -> _Attempt:
        # Somebody else's connection pool does not tell when it has a connection, so assume the worst: that it had one.
        return _Attempt(self._base_url, "connecting" if self._injected is None else "waiting")

    async def _open(
        self, session: aiohttp.ClientSession, request: Request, attempt: _Attempt
    ) -> aiohttp.ClientResponse:
        token = _current_attempt.set(attempt)
        try:
            answer = await session.request(
                request.method,
                URL(self._base_url + request.target, encoded=True),
                headers=request.headers,
                allow_redirects=False,
                proxy=self._proxy,
                ssl=self._ssl,
            )
        finally:
            _current_attempt.reset(token)
        attempt.stage = "reading"
        return answer

    def _session_here(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._own_session()
        if session is None:
            session = self._session = self._new_session()
            self._loop, self._pid, self._deadlines = loop, os.getpid(), Deadlines(loop)
            _in_use.add(self)
        elif self._loop is not loop:
            raise err.ConfigurationError(
                "this client was first used on another event loop: make one on each loop, or use the blocking Client"
            )
        elif session.closed:
            raise _closed_session()
        return session

    def _own_session(self) -> aiohttp.ClientSession | None:
        """Return the session, unless it is that of the process from which this one was forked."""
        if self._session is not None and self._pid != os.getpid():
            self._session.detach()  # neither used nor closed here: its connections are the parent's
            self._session = None
            self._streams.clear()
        return self._session

    def _new_session(self) -> aiohttp.ClientSession:
        # aiohttp would send a GET or DELETE again by itself when a kept connection turns out dead; every attempt must
        # go through our own retries, or a budget of three requests sends six.
        session = aiohttp.ClientSession(
            connector=self._connector(),
            connector_owner=self._injected is None,
            cookie_jar=_NoCookies(),
            trust_env=False,  # it would read netrc and send somebody's credentials
            trace_configs=self._injected.trace_configs if self._injected else None,
            read_bufsize=READ_AHEAD,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=CONNECT_TIMEOUT, sock_read=None),
        )
        session._retry_connection = False  # noqa: SLF001 - aiohttp offers no public switch  # pyright: ignore[reportPrivateUsage]
        return session

    def _connector(self) -> aiohttp.BaseConnector:
        if self._injected is None:
            return _Connector(resolver=DaemonResolver())
        connector = self._injected.connector
        if self._injected.closed or connector is None:
            raise _closed_session()
        if self._base_url.startswith("https:"):
            _checking("the connector of the session", getattr(connector, "_ssl", True))
        return connector


def _closed_session() -> err.ClientClosedError:
    return err.ClientClosedError("the session given to the client is closed: keep it open as long as the client")


_T = TypeVar("_T")


def _checking(what: str, trust: _T) -> _T:
    """Return what is to decide on certificates, or refuse what accepts any: the key would go to anybody."""
    blind = isinstance(trust, ssl.SSLContext) and (
        trust.verify_mode is not ssl.CERT_REQUIRED or not trust.check_hostname
    )
    if blind or trust is False:
        raise err.ConfigurationError(
            f"{what} must check certificates and host names: to trust a private authority, load it into"
            " ssl.create_default_context(cafile=…)"
        )
    return trust


_in_use: WeakSet[AiohttpTransport] = WeakSet()


@atexit.register
def _let_go_at_exit() -> None:
    for transport in tuple(_in_use):
        transport.let_go_at_exit()


class _AiohttpStream:
    """An answer whose body is still arriving."""

    def __init__(self, answer: aiohttp.ClientResponse, attempt: _Attempt, deadlines: Deadlines) -> None:
        self._answer = answer
        self._attempt = attempt
        self._deadlines = deadlines

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> AnswerHeaders:
        return self._answer.headers

    async def read(self, timeout: float) -> bytes:
        try:
            with self._deadlines.within(timeout):
                return await self._answer.content.readany()
        except _FOREIGN_TYPES as error:
            failure = self._attempt.translated(error)
        raise failure

    def close(self) -> None:
        self._answer.close()


class _NoCookies(aiohttp.DummyCookieJar):
    """Keeps no cookie, and does not even read one: what aiohttp cannot read, it logs."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Do nothing."""


class _Connector(aiohttp.TCPConnector):
    """A connection pool that tells the attempt when it has its connection."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:
        """Return a connection."""
        try:
            connection = await super().connect(req, traces, timeout)
        except asyncio.CancelledError:
            if self.closed and not _is_cancelled():  # closing cancels those who wait for a connection, not their tasks
                raise aiohttp.ClientConnectionError("closed") from None
            raise
        attempt = _current_attempt.get()
        if attempt is not None:
            attempt.stage = "waiting"
        return connection

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        """Return a kept connection, but only one on which nothing came in since its last answer.

        What a server sends unasked (408 before it hangs up, a second answer) would be taken for the next answer.
        """
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()
        return None

    def abandon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let go of the connections of a client that nobody closed, from whatever thread finds it."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._close)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # asyncio's, one a connection: ours has said it
            self._conns.clear()
            gc.collect()  # a transport without a loop can only be collected

    def __del__(self, *args: object) -> None:
        # The transport has warned. A forked child, above all, must leave its parent's connections alone: they share
        # the epoll from which closing would take them out.
        pass


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _read_all(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Read a body, but never more of it than `max_bytes`, counted after decompression."""
    declared = answer.content_length
    chunks: list[bytes] = []
    size = 0
    try:
        while declared is None or declared <= max_bytes:
            chunk = await answer.content.readany()
            if not chunk:
                return b"".join(chunks)  # most bodies are a single chunk, which is then not even copied
            chunks.append(chunk)
            size += len(chunk)
            if size > max_bytes:
                break
    except BaseException:  # a cancellation, too: a connection with half an answer in it must not be used again
        answer.close()
        raise
    answer.close()
    raise err.APIResponseError(f"the answer cannot be used: it is larger than {max_bytes} bytes", status=answer.status)


def environment_proxy(base_url: str) -> str | None:
    """Return the proxy that the environment (`HTTPS_PROXY`, `NO_PROXY`) names for a URL.

    aiohttp's own `trust_env` is not used, since it also reads netrc. A loopback address never goes through a proxy: the
    key would leave the machine in clear text.
    """
    parts = urlsplit(base_url)
    if parts.scheme == "http" or _bypassed(parts.netloc):
        return None
    proxies = urllib.request.getproxies_environment()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    return proxy_of(proxy if "://" in proxy else f"http://{proxy}", "HTTPS_PROXY")


def _bypassed(netloc: str) -> bool:
    return bool(urllib.request.proxy_bypass_environment(netloc))  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] - missing from typeshed


# ---------------------------------------------------------------------------------------------------- foreign errors


@define
class _Attempt:
    """How far one request came."""

    base_url: str
    stage: Literal["connecting", "waiting", "reading"]

    def translated(self, error: BaseException) -> err.TempMailError:
        """Return our error for a foreign one."""
        if isinstance(error, err.TempMailError):
            return error
        meaning = next(meaning for meaning in _FOREIGN if isinstance(error, meaning.foreign))
        if self.stage == "reading" and meaning.ours is err.APIConnectionError:
            meaning = _CUT
        failure = meaning.ours(meaning.text.format(url=self.base_url, reason=_reason(error)))
        failure.repeat = meaning.repeat
        if isinstance(failure, err.APIConnectionError):
            failure.sent = meaning.may_be_sent and self.stage != "connecting"
            if not failure.sent and meaning.repeat == "safe":
                failure.repeat = "always"
        return failure


_current_attempt: ContextVar[_Attempt | None] = ContextVar("tempmailg_attempt", default=None)


@frozen
class _Meaning:
    """What a foreign error means to us."""

    foreign: type[BaseException]
    ours: type[err.TempMailError]
    text: str
    repeat: Literal["never", "safe", "always"]
    may_be_sent: bool = True


def _reason(error: BaseException) -> str:
    """Return what the operating system or TLS said; never the text of aiohttp's errors, which can hold headers."""
    if isinstance(error, ssl.SSLCertVerificationError) and not isinstance(error, aiohttp.ClientError):
        return error.verify_message
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _reason(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return _reason(error.os_error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"status {error.status}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


_CUT: Final = _Meaning(
    aiohttp.ClientPayloadError, err.APIResponseError, "the answer cannot be used: it was cut off", "safe"
)

# The first that fits counts, so the order goes from the special to the general.
_FOREIGN: Final = (
    _Meaning(
        aiohttp.ClientConnectorCertificateError,
        err.APIConnectionError,
        "the certificate of {url} was refused: {reason}",
        "never",
        may_be_sent=False,
    ),
    _Meaning(
        aiohttp.ClientSSLError,
        err.APIConnectionError,
        "no TLS with {url}: {reason}",
        "never",
        may_be_sent=False,
    ),
    _Meaning(
        aiohttp.ClientProxyConnectionError,
        err.APIConnectionError,
        "cannot connect to the proxy: {reason}",
        "always",
        may_be_sent=False,
    ),
    _Meaning(
        aiohttp.ClientConnectorError,
        err.APIConnectionError,
        "cannot connect to {url}: {reason}",
        "always",
        may_be_sent=False,
    ),
    _Meaning(
        aiohttp.ConnectionTimeoutError,
        err.APITimeoutError,
        "connecting to {url} took too long",
        "always",
        may_be_sent=False,
    ),
    _Meaning(
        aiohttp.ClientHttpProxyError,
        err.APIConnectionError,
        "the proxy refused to connect to {url}: {reason}",
        "never",
        may_be_sent=False,
    ),
    _CUT,
    _Meaning(
        aiohttp.ClientResponseError,
        err.APIResponseError,
        "the answer cannot be used: it is no valid HTTP",
        "never",
    ),
    _Meaning(TimeoutError, err.APITimeoutError, "no complete answer from {url} in time", "safe"),
    _Meaning(OSError, err.APIConnectionError, "the connection to {url} broke: {reason}", "safe"),
    _Meaning(aiohttp.ClientError, err.APIConnectionError, "the connection to {url} broke: {reason}", "safe"),
    _Meaning(ValueError, err.APIResponseError, "the answer cannot be used: it is no valid HTTP", "never"),
    # What aiohttp says when a connection was closed under it.
    _Meaning(RuntimeError, err.APIConnectionError, "the connection to {url} broke: it was closed", "safe"),
)

_FOREIGN_TYPES: Final = (aiohttp.ClientError, OSError, ValueError, RuntimeError)
