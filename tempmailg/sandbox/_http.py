"""The HTTP door: the service on a socket, with the control routes beside it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from aiohttp import web
from multidict import CIMultiDict

from tempmailg._settings import is_loopback
from tempmailg.sandbox._answers import PLAIN, Answer, error_answer, pieces
from tempmailg.sandbox._mail import CHUNK
from tempmailg.sandbox._net import Refusing, listen

if TYPE_CHECKING:
    from tempmailg.sandbox._control import Control
    from tempmailg.sandbox._service import Service

__all__ = ["HttpDoor"]

_API: Final = "/api/"
_CONTROL: Final = "/_sandbox/"
_CROWDED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    b"Content-Length: 74\r\nConnection: close\r\n\r\n"
    b'{"status":false,"message":"The sandbox has too many connections already."}'
)
_MAX_LINE: Final = 64 * 1024  # bytes of the request line, and of one header
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger


class HttpDoor:
    """Serves the API and the control routes on one port."""

    def __init__(self, service: Service, control: Control, *, host: str) -> None:
        self._service = service
        self._control = control
        self._host = host
        self._is_remote = not is_loopback(host)
        self._limits = service.state.limits
        self._closing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._protocols = web.Server(
            self._answer,
            handler_cancellation=True,
            access_log=None,
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
        self._protocols.pre_shutdown()
        await self._protocols.shutdown(timeout=1.0)

    def _connect(self) -> asyncio.BaseProtocol:
        if len(self._protocols.connections) >= self._limits.connections:
            return Refusing(_CROWDED)
        return self._protocols()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._send(request, self._refusal(request) or await self._routed(request))

    async def _routed(self, request: web.BaseRequest) -> Answer:
        target = _origin_form(request.raw_path)
        if target.startswith(_API):
            return self._service.handle(request.method, target[len(_API) - 1 :], request.headers)
        if target.startswith(_CONTROL):
            body = await self._body(request)
            if body is None:
                return error_answer(413, f"The body is longer than {self._max_body} bytes.")
            return self._control.handle(request.method, target[len(_CONTROL) :], request.headers, body)
        return error_answer(
            404, f"There is nothing here: the API is below {_API}, the sandbox's controls below {_CONTROL}"
        )

    def _refusal(self, request: web.BaseRequest) -> Answer | None:
        """Refuse what a page of another origin can send: by a name rebound to this address, or as itself.

        A sandbox that other machines may reach has names that it cannot know; its key keeps strangers out.
        """
        if not self._is_remote and not _is_local(f"//{request.headers.get('Host', '')}"):
            return error_answer(421, "The sandbox answers to its own address only; see the Host header.")
        origin = request.headers.get("Origin")
        if origin is not None and not _is_local(origin):
            return error_answer(403, "The sandbox takes no requests from pages of other origins.")
        return None

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

    async def _write(self, response: web.StreamResponse, answer: Answer) -> None:
        rate = answer.delivery.rate
        for piece in pieces(answer):
            if rate:
                await asyncio.sleep(len(piece) / rate)
            async with asyncio.timeout(self._limits.idle_seconds):  # of a reader who does not read
                await response.write(piece)


def _hang_up(request: web.BaseRequest, *, reset: bool) -> None:
    transport = request.transport
    if transport is None:
        return
    if reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    else:
        transport.close()


def _is_local(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _origin_form(target: str) -> str:
    """Return path and query of a request target, which may name the whole URL (RFC 9112)."""
    if target.startswith("/"):
        return target
    _, _, rest = target.partition("://")
    _, slash, path = rest.partition("/")
    return slash + path
