"""The HTTP door: the service on a socket, with the control routes and the inbox page beside it."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.http import HttpProcessingError
from attrs import evolve
from multidict import CIMultiDict

from tempmailg._settings import is_loopback
from tempmailg.sandbox._answers import PLAIN, Answer, error_answer, pieces
from tempmailg.sandbox._control import EventFeed
from tempmailg.sandbox._guard import API, CONTROL, Guard
from tempmailg.sandbox._mail import CHUNK
from tempmailg.sandbox._net import Refusing, listen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tempmailg.sandbox._control import Control
    from tempmailg.sandbox._page import Page
    from tempmailg.sandbox._service import Service

__all__ = ["HttpDoor"]

_CROWDED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    b"Content-Length: 74\r\nConnection: close\r\n\r\n"
    b'{"status":false,"message":"The sandbox has too many connections already."}'
)
_LOG: Final = logging.getLogger("tempmailg.sandbox.http")  # failures of the sandbox; what clients do wrong is none
_MAX_LINE: Final = 64 * 1024  # bytes of the request line, and of one header
_MISSED: Final = b"event: missed\ndata: {}\n\n"  # reload: more has happened than is remembered
_PURGE_GAP: Final = 1.0  # seconds between two searches for expired mailboxes while somebody follows the events
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger


class HttpDoor:
    """Serves the API, the control routes and the inbox page on one port."""

    def __init__(
        self, service: Service, control: Control, page: Page, *, host: str, allow_hosts: Iterable[str] = ()
    ) -> None:
        self._service = service
        self._control = control
        self._page = page
        self._host = host
        self._guard = Guard(is_remote=not is_loopback(host), names=allow_hosts)
        self._limits = service.state.limits
        self._closing = asyncio.Event()
        self._feeds: set[asyncio.Event] = set()
        self._server: asyncio.Server | None = None
        self._protocols = web.Server(
            self._answer,
            handler_cancellation=True,
            access_log=None,
            logger=_LOG,
            keepalive_timeout=self._limits.idle_seconds,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
        )

    async def open(self, port: int) -> int:
        """Listen; return the port."""
        self._server, port = await listen(self._connect, self._host, port)
        return port

    async def close(self) -> None:
        """Stop listening and give up all connections."""
        if self._server is None:
            return
        self._server.close()
        self._closing.set()
        for changed in self._feeds:
            changed.set()
        self._protocols.pre_shutdown()
        await self._protocols.shutdown(timeout=1.0)

    def _connect(self) -> asyncio.BaseProtocol:
        if len(self._protocols.connections) >= self._limits.connections:
            return Refusing(_CROWDED)
        return self._protocols()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        target = _origin_form(request.raw_path)
        answer = self._guard.refusal(target, request.headers) or await self._routed(request, target)
        if isinstance(answer, EventFeed):
            return await self._send_events(request, answer)
        if target.startswith(API):
            answer = evolve(answer, headers=(*answer.headers, *self._guard.cors_headers(request.headers)))
        try:
            return await self._send(request, answer)
        except (ConnectionError, TimeoutError):  # the client has hung up, or reads nothing
            _hang_up(request, reset=True)
            return web.Response()

    async def _routed(self, request: web.BaseRequest, target: str) -> Answer | EventFeed:
        if target.startswith(API) and request.method == "OPTIONS":
            return self._service.options(target[len(API) - 1 :])
        if target.startswith(API):
            return self._service.handle(request.method, target[len(API) - 1 :], request.headers)
        page = self._page.handle(request.method, target, request.headers)
        if page is not None:
            return page
        if target.startswith(CONTROL):
            body = await self._body(request)
            if body is None:
                return error_answer(413, f"The body is longer than {self._max_body} bytes.")
            return self._control.handle(request.method, target[len(CONTROL) - 1 :], request.headers, body)
        return error_answer(
            404, f"There is nothing here: the page is /, the API is below {API}, the sandbox's controls below {CONTROL}"
        )

    @property
    def _max_body(self) -> int:
        return 2 * self._limits.total_bytes  # a dump, in base64 and with its frame

    async def _body(self, request: web.BaseRequest) -> bytes | None:
        body = bytearray()
        async with asyncio.timeout(self._limits.idle_seconds):
            async for chunk in request.content.iter_chunked(CHUNK):
                body += chunk
                if len(body) > self._max_body:
                    return None
        return bytes(body)

    async def _send(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        headers = CIMultiDict((*answer.headers, ("Server", "tempmailg-sandbox")))
        if answer.delivery == PLAIN and answer.body.size <= CHUNK:
            return web.Response(status=answer.status, headers=headers, body=b"".join(answer.body.chunks()))
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.content_length = answer.body.size
        await asyncio.sleep(answer.delivery.delay)
        if answer.delivery.after != -1:
            await response.prepare(request)
            await self._write(response, answer)
        if answer.delivery.ending == "stall":
            await self._closing.wait()
        if answer.delivery.ending != "end":
            _hang_up(request, reset=answer.delivery.ending == "reset")
        return response

    async def _send_events(self, request: web.BaseRequest, feed: EventFeed) -> web.StreamResponse:
        """Send events as they happen, until the client hangs up or the sandbox ends."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        self._feeds.add(changed)
        try:
            with feed.state.events.subscribed(lambda: loop.call_soon_threadsafe(changed.set)):
                await response.prepare(request)
                await self._follow(response, feed, changed)
        except (ConnectionError, TimeoutError):
            _hang_up(request, reset=True)
        finally:
            self._feeds.discard(changed)
        return response

    async def _follow(self, response: web.StreamResponse, feed: EventFeed, changed: asyncio.Event) -> None:
        sent = feed.after
        await self._write_all(response, f"id: {sent}\nevent: ready\ndata: {{}}\n\n".encode())
        while not self._closing.is_set():
            changed.clear()
            events = feed.state.events.since(sent)
            if events and events[0].id > sent + 1:
                await self._write_all(response, _MISSED)
            for event in events:
                await self._write_all(response, event.encoded())
                sent = event.id
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), _PURGE_GAP)
            with feed.state.lock:
                feed.state.purge()  # whoever watches wants to know at once

    async def _write_all(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(self._limits.idle_seconds):  # of a reader who does not read
            await response.write(data)

    async def _write(self, response: web.StreamResponse, answer: Answer) -> None:
        rate = answer.delivery.rate
        for piece in pieces(answer):
            if rate:
                await asyncio.sleep(len(piece) / rate)
            await self._write_all(response, piece)


def _is_failure(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, ConnectionError | TimeoutError | HttpProcessingError)


_LOG.addFilter(_is_failure)


def _hang_up(request: web.BaseRequest, *, reset: bool) -> None:
    transport = request.transport
    if transport is None:
        return
    if reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    else:
        transport.close()


def _origin_form(target: str) -> str:
    """Return path and query of a request target, which may name the whole URL (RFC 9112)."""
    if target.startswith("/"):
        return target
    _, _, rest = target.partition("://")
    _, slash, path = rest.partition("/")
    return slash + path
