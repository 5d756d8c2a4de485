"""The transport that reaches the service: one aiohttp session, one origin.

Errors of aiohttp, asyncio and the operating system become ours here, by the table `_FOREIGN`, and pass no further:
theirs hold the request's headers, and with them the key. Ours are raised outside of the `except` block, so that they do
not even carry the foreign one as their context.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time
import urllib.request
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

import aiohttp
from attrs import define, frozen
from yarl import URL

from tempmailg import _errors as err
from tempmailg._transport import Response

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from tempmailg._transport import AnswerHeaders, Request

__all__ = ["AiohttpTransport", "environment_proxy"]

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for one connection to be made: less than the usual deadline, so that a lost packet does not eat it whole."""


class AiohttpTransport:
    """Sends requests with aiohttp.

    Args:
        base_url: The URL below which all targets stand.
        session: A session whose connection pool is used and never closed; by default a pool of its own.
        proxy: The URL of a proxy; None for a direct connection.
        ssl_context: What to trust instead of the system's certificates.
    """

    def __init__(
        self,
        base_url: str,
        *,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._base_url = base_url
        self._injected = session
        self._proxy = proxy
        self._ssl: ssl.SSLContext | bool = ssl_context or True
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Response:
        """See `Transport.request`."""
        attempt = self._attempt()
        try:
            async with asyncio.timeout(timeout):
                answer = await self._open(request, attempt)
                body = await _read_all(answer, max_bytes)
        except _FOREIGN_TYPES as error:
            failure = attempt.translated(error)
        else:
            return Response(answer.status, answer.headers, body)
        raise failure

    async def stream(self, request: Request, *, timeout: float) -> _AiohttpStream:
        """See `Transport.stream`."""
        attempt = self._attempt()
        try:
            async with asyncio.timeout(timeout):
                return _AiohttpStream(await self._open(request, attempt), attempt)
        except _FOREIGN_TYPES as error:
            failure = attempt.translated(error)
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
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _attempt(self) -> _Attempt:
        # Somebody else's connection pool does not tell when it has a connection, so assume the worst: that it had one.
        return _Attempt(self._base_url, "connecting" if self._injected is None else "waiting")

    async def _open(self, request: Request, attempt: _Attempt) -> aiohttp.ClientResponse:
        session = self._session_here()
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
        if self._session is None:
            self._session, self._loop = self._new_session(), loop
        elif self._loop is not loop:
            raise err.ConfigurationError(
                "this client was first used on another event loop: make one on each loop, or use the blocking Client"
            )
        return self._session

    def _new_session(self) -> aiohttp.ClientSession:
        # aiohttp would send a GET or DELETE again by itself when a kept connection turns out dead; every attempt must
        # go through our own retries, or a budget of three requests sends six.
        session = aiohttp.ClientSession(
            connector=self._connector(),
            connector_owner=self._injected is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # it would read netrc and send somebody's credentials
            trace_configs=self._injected.trace_configs if self._injected else None,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=CONNECT_TIMEOUT, sock_read=None),
        )
        session._retry_connection = False  # noqa: SLF001 - aiohttp offers no public switch  # pyright: ignore[reportPrivateUsage]
        return session

    def _connector(self) -> aiohttp.BaseConnector:
        if self._injected is None:
            return _Connector()
        if self._injected.closed or self._injected.connector is None:
            raise err.ClientClosedError("the session given to the client is closed: keep it open as long as the client")
        return self._injected.connector


class _AiohttpStream:
    """An answer whose body is still arriving."""

    def __init__(self, answer: aiohttp.ClientResponse, attempt: _Attempt) -> None:
        self._answer = answer
        self._attempt = attempt

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> AnswerHeaders:
        return self._answer.headers

    async def read(self, timeout: float) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await self._answer.content.readany()
        except _FOREIGN_TYPES as error:
            failure = self._attempt.translated(error)
        raise failure

    def close(self) -> None:
        self._answer.close()


class _Connector(aiohttp.TCPConnector):
    """A connection pool that tells the attempt when it has its connection, and that a forked child leaves alone."""

    def __init__(self) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] - aiohttp's own annotation
        self._pid = os.getpid()

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:
        connection = await super().connect(req, traces, timeout)
        attempt = _current_attempt.get()
        if attempt is not None:
            attempt.stage = "waiting"
        return connection

    def __del__(self, *args: object) -> None:
        # A child that collected its parent's pool would take the parent's sockets out of the epoll that they share.
        if getattr(self, "_pid", None) == os.getpid():
            super().__del__(*args)


async def _read_all(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Read a body, but never more of it than `max_bytes`, counted after decompression."""
    declared = answer.content_length
    body = bytearray()
    while declared is None or declared <= max_bytes:
        chunk = await answer.content.readany()
        if not chunk:
            return bytes(body)
        body += chunk
        if len(body) > max_bytes:
            break
    answer.close()
    raise err.APIResponseError(f"the answer cannot be used: it is larger than {max_bytes} bytes", status=answer.status)


def environment_proxy(base_url: str) -> str | None:
    """Return the proxy that the environment (`HTTPS_PROXY`, `NO_PROXY`) names for a URL.

    aiohttp's own `trust_env` is not used, since it also reads netrc. A loopback address never goes through a proxy: the
    key would leave the machine in clear text.
    """
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme == "http" or _bypassed(parts.netloc):
        return None
    proxies = urllib.request.getproxies_environment()
    return proxies.get(parts.scheme) or proxies.get("all") if host else None


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
        "the proxy refused to connect to {url}",
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
)

_FOREIGN_TYPES: Final = (aiohttp.ClientError, OSError, ValueError)
