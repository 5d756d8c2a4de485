"""The transport that reaches the service: one aiohttp session, one origin.

Errors of aiohttp, asyncio and the operating system become ours here, by the table `_FOREIGN`, and pass no further:
theirs hold the request's headers, and with them the key. Ours are raised outside of the `except` block, so that they do
not even carry the foreign one as their context.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import random
import ssl
import time
import urllib.request
import warnings
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypedDict, TypeVar
from weakref import WeakSet

import aiohttp
from aiohttp.http import HttpProcessingError
from aiohttp.streams import EofStream
from attrs import define
from yarl import URL

from tempmailg import _errors as err
from tempmailg._coding import ACCEPTED, decoded
from tempmailg._deadlines import Deadlines
from tempmailg._internals import (
    ConnectionPool,
    certificate_check,
    forbid_resending,
    parse_leniently,
    read_in_pieces,
)
from tempmailg._public import public
from tempmailg._resolver import DaemonResolver
from tempmailg._settings import check_is, is_loopback, resolve_base_url, resolve_proxy
from tempmailg._sockets import Receipt, is_readable
from tempmailg._turns import Turns
from tempmailg.transport import Response

if TYPE_CHECKING:
    from collections.abc import Sequence
    from http.cookies import BaseCookie

    from aiohttp.client_reqrep import ClientRequest, ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from tempmailg._settings import BaseUrl, Proxy
    from tempmailg.transport import AnswerHeaders, Request

__all__ = ["AiohttpTransport", "environment_proxy"]

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for one connection to be made: less than the usual deadline, so that a lost packet does not eat it whole."""

PROBATION: Final = 0.02
"""Seconds that a connection must have stood idle before a POST trusts it, where none is known to be kept: a server that
closes after each answer without announcing it does so a moment later."""

CAUTION: Final = 4
"""How much longer that is after each time that the server has hung up on a kept connection instead of answering: some
close a while after each answer."""

MOST_CAUTION: Final = 50
"""How many times `PROBATION` it is at most."""

PIECE: Final = 64 * 1024
"""Bytes of an answer that are received at a time: see `read_in_pieces`."""

READ_AHEAD: Final = 256 * 1024
"""Bytes of a body that may wait for their reader before the connection is held up. The event loop receives so many at
once: with fewer, each piece of a download would stop the connection and start it again."""


@public
class AiohttpTransport:
    """The transport that reaches the service: what `AsyncClient` uses unless it is given another.

    Make one to put a transport of your own around it; whoever made it closes it.

    Args:
        base_url: As for `AsyncClient`: by default the environment's ``TEMPMAILG_BASE_URL``, or the service's address.
        session: An aiohttp session whose connection pool is used and never closed; by default a pool of its own.
        proxy: The URL of an HTTP proxy; by default the environment's ``HTTPS_PROXY`` and ``NO_PROXY`` decide.
        ssl_context: What to trust instead of the system's certificates.

    Raises:
        ConfigurationError: The key would travel in clear text, or to somebody whose certificate nobody checks.
    """

    api_key: None = None  # the key is the client's
    _session: aiohttp.ClientSession | None = None
    _deadlines: Deadlines
    _turns: Turns

    def __init__(
        self,
        base_url: str | None = None,
        *,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        try:
            self.base_url: BaseUrl = resolve_base_url(base_url)
            self._proxy = resolve_proxy(proxy) or environment_proxy(self.base_url)
            _check_proxy(self._proxy, self.base_url)
            check_is("session", session, aiohttp.ClientSession)
            check_is("ssl_context", ssl_context, ssl.SSLContext)
            self._ssl: ssl.SSLContext | bool = True if ssl_context is None else _checking("ssl_context", ssl_context)
        except err.ConfigurationError as error:
            del base_url, proxy  # they may hold a secret, and a traceback may show the locals of its frames
            raise error.with_traceback(None) from None
        self._address = str(self.base_url)
        self._proxy_options = _proxy_options(self._proxy)
        self._proxy_headers = {} if self.base_url.is_encrypted else self._proxy_options.get("proxy_headers", {})
        self._injected = session
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._streams: WeakSet[_AiohttpStream] = WeakSet()  # those that somebody may still read

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._address}>"

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
            stacklevel=1,  # whoever forgot it is not on the stack; `source` says where it was made
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
        attempt = self._attempt(request, PIECE)
        session, deadlines, turns = self._session_here(), self._deadlines, self._turns
        try:
            with deadlines.within(timeout):
                turn = turns.take()
                try:
                    if turn is not None:
                        await turn
                    answer = await self._open(session, request, attempt)
                    body = await _read_all(answer, max_bytes)
                finally:
                    turns.give_back(turn)
        except _READING_TYPES as error:
            failure = attempt.translated(error)
        else:
            return Response(answer.status, answer.headers, body)
        raise failure

    async def stream(self, request: Request, *, timeout: float) -> _AiohttpStream:
        """See `Transport.stream`."""
        attempt = self._attempt(request, READ_AHEAD)
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

    def _attempt(self, request: Request, piece: int) -> _Attempt:
        return _Attempt(self._address, "connecting", is_safe=request.method != "POST", piece=piece)

    async def _open(
        self, session: aiohttp.ClientSession, request: Request, attempt: _Attempt
    ) -> aiohttp.ClientResponse:
        if self._injected is not None:
            attempt.stage = "waiting"  # somebody else's pool does not say when it has a connection: assume the worst
        token = _current_attempt.set(attempt)
        try:
            answer = await session.request(
                request.method,
                URL(self._address + request.target, encoded=True),
                headers={**request.headers, **self._proxy_headers} if self._proxy_headers else request.headers,
                allow_redirects=False,
                ssl=self._ssl,
                **self._proxy_options,
            )
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            attempt.was_hung_up_on(in_good_order=isinstance(error, aiohttp.ServerDisconnectedError))
            raise
        finally:
            _current_attempt.reset(token)
            attempt.drop_receipt()
        attempt.has_answer(answer)
        return answer

    def _session_here(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._own_session()
        if session is None:
            session = self._session = self._new_session()
            self._loop, self._pid, self._deadlines = loop, os.getpid(), Deadlines(loop)
            self._turns = Turns(session.connector.limit if session.connector else 0)
            _in_use.add(self)
        elif self._loop is not loop:
            raise err.ConfigurationError(
                "this client was first used on another event loop: make one on each loop, or use the blocking Client"
            )
        elif self._injected is not None and session.closed:  # our own is forgotten as it is closed
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
        session = aiohttp.ClientSession(
            connector=self._connector(),
            connector_owner=self._injected is None,
            cookie_jar=_NoCookies(),
            trust_env=False,  # it would read netrc and send somebody's credentials
            trace_configs=self._injected.trace_configs if self._injected else None,
            headers={"Accept-Encoding": ACCEPTED},
            auto_decompress=False,  # see `_coding`
            read_bufsize=READ_AHEAD,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=CONNECT_TIMEOUT, sock_read=None),
        )
        forbid_resending(session)
        return session

    def _connector(self) -> aiohttp.BaseConnector:
        if self._injected is None:
            return _Connector(resolver=DaemonResolver())
        connector = self._injected.connector
        if self._injected.closed or connector is None:
            raise _closed_session()
        if self.base_url.is_encrypted:
            if not isinstance(connector, aiohttp.TCPConnector):
                raise err.ConfigurationError(
                    "the connector of the session must be an aiohttp.TCPConnector, which is known to check certificates"
                )
            _checking("the connector of the session", certificate_check(connector))
        return connector


def _closed_session() -> err.ClientClosedError:
    return err.ClientClosedError("the session given to the client is closed: keep it open as long as the client")


_T = TypeVar("_T")


class _ProxyOptions(TypedDict, total=False):
    proxy: URL
    proxy_headers: dict[str, str]


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


def _check_proxy(proxy: Proxy | None, base_url: BaseUrl) -> None:
    if proxy is not None and not base_url.is_encrypted and not is_loopback(proxy.host):
        raise err.ConfigurationError("an http base_url must not go through a proxy: it would see the key")


def _proxy_options(proxy: Proxy | None) -> _ProxyOptions:
    """Return what aiohttp has to know of a proxy: the password as a header that no repr shows, not in the URL."""
    if proxy is None:
        return {}
    if proxy.authorization is None:
        return {"proxy": URL(proxy.url)}
    return {"proxy": URL(proxy.url), "proxy_headers": {"Proxy-Authorization": proxy.authorization}}


_in_use: WeakSet[AiohttpTransport] = WeakSet()


@atexit.register
def _let_go_at_exit() -> None:
    for transport in tuple(_in_use):
        transport.let_go_at_exit()


class _AiohttpStream:
    """An answer whose body is still arriving."""

    def __init__(self, answer: aiohttp.ClientResponse, attempt: _Attempt, deadlines: Deadlines) -> None:
        self._answer = answer
        self._read = decoded(answer.content.readany, answer.headers)
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
                return await self._read()
        except _READING_TYPES as error:
            failure = self._attempt.translated(error)
        raise failure

    def close(self) -> None:
        self._answer.close()


class _NoCookies(aiohttp.DummyCookieJar):
    """Keeps no cookie, and does not even read one: what aiohttp cannot read, it logs."""

    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Do nothing."""

    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:  # noqa: ARG002 - its base's
        """Return none; its base makes a new jar for that each time."""
        return _NO_COOKIES


_NO_COOKIES: Final = SimpleCookie()


class _Connector(ConnectionPool):
    """A connection pool that says to the attempt when it has its connection, and learns whether the server keeps any.

    Attributes:
        keeps: Whether the server keeps connections: it does if it answers on a kept one, it does not if one is found
            closed, and None means that the pool has seen neither.
        caution: How many times `PROBATION` a connection must have stood idle.
    """

    keeps: bool | None = None
    caution: int = 1

    def may_use(self, key: ConnectionKey) -> bool:
        """Return whether the attempt may use the kept connection whose turn it is."""
        if self.keeps:
            return True
        attempt = _current_attempt.get()
        return attempt is None or attempt.is_safe or self.idle_of_oldest(key) >= PROBATION * self.caution

    def is_usable(self, connection: Connection) -> bool:
        """Return whether nothing came in on a kept connection since its last answer.

        What the event loop has not read yet counts, too, above all the server's end of the connection. To ask costs a
        system call, so a request that may be sent twice goes without where the server is known to keep connections.
        """
        attempt = _current_attempt.get()
        is_trusted = bool(self.keeps) and attempt is not None and attempt.is_safe
        if not super().is_usable(connection) or not (is_trusted or _is_silent(connection)):
            self.keeps = False
            return False
        if attempt is not None:
            attempt.is_on_kept_connection = True
        return True

    def was_emptied(self) -> None:
        """See `ConnectionPool.was_emptied`: they are a sign that the server keeps none."""
        self.keeps = False

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
            read_in_pieces(connection.transport, attempt.piece)
            attempt.has_connection(self, connection)
        return connection


def _is_silent(connection: Connection) -> bool:
    return connection.transport is not None and not is_readable(connection.transport)


def _announces_keeping(answer: aiohttp.ClientResponse) -> bool:
    return "keep-alive" in answer.headers.get("Connection", "").lower()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _read_all(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Read a body, but never more of it than `max_bytes`, counted after decoding."""
    declared = answer.content_length
    content = answer.content
    read = decoded(content.readany, answer.headers)
    is_plain = read == content.readany  # of what is decoded, more may follow when all that is coded is there
    chunks: list[bytes] = []
    chunk = b""
    size = 0
    try:
        while declared is None or declared <= max_bytes:
            chunk = await read()
            if chunk:
                chunks.append(chunk)
                size += len(chunk)
                if size > max_bytes:
                    break
            if not chunk or (is_plain and content.at_eof()):
                if answer.connection is not None:  # aiohttp keeps it for what would follow an upgrade
                    answer.close()
                return b"".join(chunks)  # most bodies are a single chunk, which is then not even copied
    except BaseException:  # a cancellation, too: a connection with half an answer in it must not be used again
        answer.close()
        del chunks, chunk  # a traceback may show the locals of its frames
        raise
    answer.close()
    del chunks, chunk  # the same
    raise err.APIResponseError(f"the answer cannot be used: it is larger than {max_bytes} bytes", status=answer.status)


def environment_proxy(base_url: BaseUrl) -> Proxy | None:
    """Return the proxy that the environment (`HTTPS_PROXY`, `NO_PROXY`) names for a URL.

    aiohttp's own `trust_env` is not used, since it also reads netrc. A loopback address never goes through a proxy: the
    key would leave the machine in clear text.
    """
    if not base_url.is_encrypted or _bypassed(base_url.netloc):
        return None
    proxies = urllib.request.getproxies_environment()
    proxy = proxies.get(base_url.scheme) or proxies.get("all")
    if not proxy:
        return None
    return resolve_proxy(proxy if "://" in proxy else f"http://{proxy}", "HTTPS_PROXY")


def _bypassed(netloc: str) -> bool:
    return bool(urllib.request.proxy_bypass_environment(netloc))  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] - missing from typeshed


# ---------------------------------------------------------------------------------------------------- foreign errors


@define(eq=False)
class _Attempt:
    """How far one request came, and on what.

    Args:
        base_url: The service's address.
        stage: How far it came.
        is_safe: Whether it may be sent twice.
        piece: How many bytes of the answer are received at a time.
    """

    base_url: str
    stage: Literal["connecting", "waiting", "reading"]
    is_safe: bool
    piece: int
    receipt: Receipt | None = None
    pool: _Connector | None = None
    is_on_kept_connection: bool = False

    def has_connection(self, pool: _Connector, connection: Connection) -> None:
        """Take in that the request is about to be sent."""
        self.pool, self.stage = pool, "waiting"
        if not self.is_safe:  # what is safe is repeated without a proof
            self.receipt = Receipt.of(connection.transport)

    def has_answer(self, answer: aiohttp.ClientResponse) -> None:
        """Take in that the headers of an answer have come."""
        self.stage = "reading"
        if self.pool is None or self.pool.keeps:
            return
        if self.is_on_kept_connection or (self.pool.keeps is None and _announces_keeping(answer)):
            self.pool.keeps = True

    def was_hung_up_on(self, *, in_good_order: bool) -> None:
        """Take in that the server closed or reset the connection instead of answering."""
        if self.pool is not None and self.is_on_kept_connection:
            self.pool.keeps = False
            self.pool.caution = min(MOST_CAUTION, CAUTION * self.pool.caution)
        if in_good_order and self.receipt is not None and self.receipt.shows_nothing_taken():
            self.stage = "connecting"

    def drop_receipt(self) -> None:
        """Give back what the proof needed."""
        if self.receipt is not None:
            self.receipt.close()
            self.receipt = None

    def translated(self, error: BaseException) -> err.TempMailError:
        """Return our error for a foreign one."""
        if isinstance(error, err.TempMailError):
            return error.with_traceback(None)  # it would show the frames that read the body
        meaning = next(meaning for meaning in _FOREIGN if isinstance(error, meaning.foreign))
        if self.stage == "reading" and meaning.ours is err.APIConnectionError:
            meaning = _CUT
        if self.stage == "connecting" and meaning.foreign is TimeoutError:
            meaning = _BLACK_HOLE
        if self.stage == "connecting" and not issubclass(meaning.ours, err.APIConnectionError):
            meaning = _NO_WAY
        text = meaning.text.format(url=self.base_url, reason=_reason(error))
        if not issubclass(meaning.ours, err.APIConnectionError):
            return meaning.ours(text)
        sent = meaning.may_be_sent and self.stage != "connecting"
        return meaning.ours(text, sent=sent, status=_proxy_status(error))


_current_attempt: ContextVar[_Attempt | None] = ContextVar("tempmailg_attempt", default=None)

parse_leniently(lambda: _current_attempt.get() is not None)


class _Meaning(NamedTuple):
    """What a foreign error means to us."""

    foreign: type[BaseException]
    ours: type[err.TempMailError]
    text: str
    may_be_sent: bool = True


def _proxy_status(error: BaseException) -> int | None:
    return error.status if isinstance(error, aiohttp.ClientHttpProxyError) else None


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
    aiohttp.ClientPayloadError, err.IncompleteResponseError, "the answer cannot be used: it was cut off"
)

_BLACK_HOLE: Final = _Meaning(
    aiohttp.ConnectionTimeoutError, err.APITimeoutError, "connecting to {url} took too long", may_be_sent=False
)

_NO_WAY: Final = _Meaning(
    aiohttp.ClientResponseError,
    err.APIConnectionError,
    "cannot connect to {url}: the proxy's answer is no valid HTTP",
    may_be_sent=False,
)

_NO_HTTP: Final = _Meaning(
    aiohttp.ClientResponseError, err.APIResponseError, "the answer cannot be used: it is no valid HTTP"
)

# The first that fits counts, so the order goes from the special to the general.
_FOREIGN: Final = (
    _Meaning(
        aiohttp.ClientConnectorCertificateError,
        err.TLSError,
        "the certificate of {url} was refused: {reason}",
        may_be_sent=False,
    ),
    _Meaning(
        aiohttp.ClientSSLError,
        err.TLSError,
        "no TLS with {url}: {reason}",
        may_be_sent=False,
    ),
    _Meaning(
        aiohttp.ClientProxyConnectionError,
        err.APIConnectionError,
        "cannot connect to the proxy: {reason}",
        may_be_sent=False,
    ),
    _Meaning(
        aiohttp.ClientConnectorError,
        err.APIConnectionError,
        "cannot connect to {url}: {reason}",
        may_be_sent=False,
    ),
    _BLACK_HOLE,
    _Meaning(
        aiohttp.ClientHttpProxyError,
        err.APIConnectionError,
        "the proxy refused to connect to {url}: {reason}",
        may_be_sent=False,
    ),
    _CUT,
    _Meaning(EofStream, err.IncompleteResponseError, "the answer cannot be used: it was cut off"),
    _NO_HTTP,
    # aiohttp wraps those of its parser into the one above. Should it forget to, they mean the same.
    _NO_HTTP._replace(foreign=HttpProcessingError),
    _Meaning(TimeoutError, err.APITimeoutError, "no complete answer from {url} in time"),
    _Meaning(OSError, err.APIConnectionError, "the connection to {url} broke: {reason}"),
    _Meaning(aiohttp.ClientError, err.APIConnectionError, "the connection to {url} broke: {reason}"),
    _NO_HTTP._replace(foreign=ValueError),
    # What aiohttp says when a connection was closed under it.
    _Meaning(RuntimeError, err.APIConnectionError, "the connection to {url} broke: it was closed"),
)

_FOREIGN_TYPES: Final = (aiohttp.ClientError, HttpProcessingError, EofStream, OSError, ValueError, RuntimeError)

_READING_TYPES: Final = (*_FOREIGN_TYPES, err.APIResponseError)  # of ours, those that are raised while a body is read
