"""The names of aiohttp that are used here although they are not public, each proven to exist before anything is sent.

aiohttp offers no public way to any of this. A release without one of these names must not make the client weaker in
silence (take a foreign answer, send a DELETE twice, accept an unchecked certificate): importing this module then fails
with an error that says what to do.
"""

from __future__ import annotations

import gc
import importlib
import math
import time
import warnings
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import aiohttp
from aiohttp import client_proto, helpers
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import HttpResponseParserPy

from tempmailg._errors import ConfigurationError

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Callable, Sequence

    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

__all__ = [
    "NAMES",
    "ConnectionPool",
    "PrivateName",
    "certificate_check",
    "check_names",
    "forbid_resending",
    "parse_leniently",
    "read_in_pieces",
]


class PrivateName(NamedTuple):
    """A private name of another library's class.

    Args:
        owner: The class.
        name: The attribute.
        set_by: The method that gives it to each instance, where the class itself does not show it.
    """

    owner: type
    name: str
    set_by: str | None = None

    @property
    def exists(self) -> bool:
        """Whether the installed release has it."""
        if self.set_by is None:
            return hasattr(self.owner, self.name)
        return self.name in getattr(getattr(self.owner, self.set_by, None), "__code__", _NO_CODE).co_names

    @property
    def library(self) -> str:
        """The library that the class is from."""
        return self.owner.__module__.partition(".")[0]


_NO_CODE: Final = (lambda: None).__code__

NAMES: Final = (
    PrivateName(aiohttp.ClientSession, "_retry_connection", set_by="__init__"),
    PrivateName(aiohttp.TCPConnector, "_ssl", set_by="__init__"),
    PrivateName(aiohttp.BaseConnector, "_conns", set_by="__init__"),
    PrivateName(aiohttp.BaseConnector, "_get"),
    PrivateName(aiohttp.BaseConnector, "_close"),
    PrivateName(aiohttp.BaseConnector, "__del__"),
    PrivateName(ResponseHandler, "should_close"),
    PrivateName(ResponseHandler, "is_connected"),
)


def check_names(names: Sequence[PrivateName] = NAMES) -> None:
    """Refuse a release of a library that lacks a name on which a promise rests.

    Args:
        names: The names, all of one library.

    Raises:
        ConfigurationError: A name is missing.
    """
    missing = [f"{name.owner.__name__}.{name.name}" for name in names if not name.exists]
    if missing:
        from importlib.metadata import version  # takes longer than all else here

        library = names[0].library
        raise ConfigurationError(
            f"{library} {version(library)} has no {', '.join(missing)}, on which this release of tempmailg relies:"
            f" install an older {library} or a newer tempmailg"
        )


check_names()


def forbid_resending(session: aiohttp.ClientSession) -> None:
    """Keep aiohttp from sending a GET or DELETE again by itself when a kept connection turns out dead.

    Every attempt must go through the client's own retries, or a budget of three requests sends six.
    """
    session._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def certificate_check(connector: aiohttp.TCPConnector) -> ssl.SSLContext | bool | aiohttp.Fingerprint:
    """Return which certificates a connector accepts: False means any."""
    return connector._ssl  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def read_in_pieces(transport: asyncio.BaseTransport | None, size: int) -> None:
    """Have a connection receive at most so many bytes at a time.

    asyncio makes room for 256 KiB before each receipt, and gives most of it back. The C library maps and unmaps memory
    for that each time, which is a sixth of the processor time of a call; room of less than 128 KiB it has at hand.
    Other event loops have no such number, or another way.
    """
    its: Any = transport
    if hasattr(its, "max_size"):
        its.max_size = size


def parse_leniently(is_ours: Callable[[], bool]) -> None:
    """Have aiohttp parse answers in Python's development mode as it does outside of it.

    There it refuses what real servers send, such as lines that end without CR, so that a test under ``-X dev`` would
    see another client than production has. Without the names that this uses, it would have no effect.

    Args:
        is_ours: Whether the request under way is one of this package; the parsing of others stays as it is.
    """
    if not helpers.DEBUG:
        return
    protocol: Any = client_proto
    parser_class = protocol.HttpResponseParser
    leniently = _LenientParser if parser_class is HttpResponseParserPy else _lenient_in_c

    def parser(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever aiohttp passes
        return leniently(*args, **options) if is_ours() else parser_class(*args, **options)

    protocol.HttpResponseParser = parser


def _lenient_in_c(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever aiohttp passes
    module: Any = importlib.import_module("aiohttp._http_parser")
    module.DEBUG = False  # the parser reads it once, while it is made
    try:
        return module.HttpResponseParser(*args, **options)
    finally:
        module.DEBUG = True


class _LenientParser(HttpResponseParserPy):
    """aiohttp's parser without its extension in C."""

    lax = True

    def feed_data(self, data: bytes, SEP: Any = None, *args: Any, **options: Any) -> Any:  # noqa: ANN401, N803 - as its base
        return super().feed_data(data, SEP or b"\n", *args, **options)


class ConnectionPool(aiohttp.TCPConnector):
    """A pool of connections that asks `is_usable` of each kept one before it is used again."""

    def is_usable(self, connection: Connection) -> bool:
        """Return whether nothing came in on a kept connection since its last answer, as far as the event loop has read.

        What a server sends unasked (408 before it hangs up, a second answer) would be taken for the next answer.
        """
        protocol = connection.protocol
        return protocol is None or not protocol.should_close

    def may_use(self, key: ConnectionKey) -> bool:  # noqa: ARG002 - for those who decide by it
        """Return whether the kept connection whose turn it is may be used; else a new one is made."""
        return True

    def was_emptied(self) -> None:
        """Take in that the event loop has found the kept connections closed, or that they were too old."""

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while self.may_use(key):
            keeps_any = bool(self._conns)
            connection = await super()._get(key, traces)
            if connection is None:
                if keeps_any:
                    self.was_emptied()
                return None
            if self.is_usable(connection):
                return connection
            connection.close()
        return None

    def idle_of_oldest(self, key: ConnectionKey) -> float:
        """Return for how many seconds the kept connection whose turn it is has been idle; infinite if there is none."""
        kept = self._conns.get(key)
        while kept:
            protocol, idle_since = kept[0]
            if protocol.is_connected():
                return time.monotonic() - idle_since
            protocol.close()
            kept.popleft()
        return math.inf

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
