"""The names of aiohttp that are used here although they are not public, each proven to exist before anything is sent.

aiohttp offers no public way to any of this. A release without one of these names must not make the client weaker in
silence (take a foreign answer, send a DELETE twice, accept an unchecked certificate): importing this module then fails
with an error that says what to do.
"""

from __future__ import annotations

import gc
import time
import warnings
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from attrs import frozen

from tempmailg._errors import ConfigurationError
from tempmailg._sockets import is_readable

if TYPE_CHECKING:
    import asyncio
    import ssl

    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

__all__ = ["NAMES", "ConnectionPool", "PrivateName", "certificate_check", "check_names", "forbid_resending"]


@frozen
class PrivateName:
    """A private name of another library's class.

    Args:
        owner: The class.
        name: The attribute.
        made_by_init: Whether each instance gets it in ``__init__``, so that the class itself does not show it.
    """

    owner: type
    name: str
    made_by_init: bool = False

    @property
    def exists(self) -> bool:
        """Whether the installed release has it."""
        if not self.made_by_init:
            return hasattr(self.owner, self.name)
        return self.name in self.owner.__init__.__code__.co_names  # type: ignore[misc] # read, not called


NAMES: Final = (
    PrivateName(aiohttp.ClientSession, "_retry_connection", made_by_init=True),
    PrivateName(aiohttp.TCPConnector, "_ssl", made_by_init=True),
    PrivateName(aiohttp.BaseConnector, "_conns", made_by_init=True),
    PrivateName(aiohttp.BaseConnector, "_get"),
    PrivateName(aiohttp.BaseConnector, "_close"),
    PrivateName(aiohttp.BaseConnector, "__del__"),
    PrivateName(ResponseHandler, "should_close"),
)


def check_names(names: tuple[PrivateName, ...] = NAMES) -> None:
    """Refuse a release of aiohttp that lacks a name on which the client's promises rest.

    Raises:
        ConfigurationError: A name is missing.
    """
    missing = [f"{name.owner.__name__}.{name.name}" for name in names if not name.exists]
    if missing:
        raise ConfigurationError(
            f"aiohttp {aiohttp.__version__} has no {', '.join(missing)}, on which this release of tempmailg relies:"
            " install an older aiohttp or a newer tempmailg"
        )


check_names()


def forbid_resending(session: aiohttp.ClientSession) -> None:
    """Keep aiohttp from sending a GET or DELETE again by itself when a kept connection turns out dead.

    Every attempt must go through the client's own retries, or a budget of three requests sends six.
    """
    session._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def certificate_check(connector: aiohttp.TCPConnector) -> ssl.SSLContext | bool | aiohttp.Fingerprint:
    """Return what a connector was told of certificates: False means that it accepts any."""
    return connector._ssl  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


class ConnectionPool(aiohttp.TCPConnector):
    """A pool of connections that asks `is_usable` of each kept one before it is used again."""

    def is_usable(self, connection: Connection) -> bool:
        """Return whether nothing came in on a kept connection since its last answer.

        What a server sends unasked (408 before it hangs up, a second answer) would be taken for the next answer. What
        has arrived without the event loop's having read it counts, above all the server's end of the connection.
        """
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            return False
        return not protocol.should_close and not is_readable(transport)

    def may_use(self, idle: float) -> bool:  # noqa: ARG002 - for those who decide by it
        """Return whether a connection may be used that has been idle for so many seconds; else a new one is made."""
        return True

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (idle := self._idle_of_oldest(key)) is not None and self.may_use(idle):
            connection = await super()._get(key, traces)
            if connection is None or self.is_usable(connection):
                return connection
            connection.close()
        return None

    def _idle_of_oldest(self, key: ConnectionKey) -> float | None:
        """Return how long the kept connection whose turn it is has been idle, or None if there is none."""
        kept = self._conns.get(key)
        while kept:
            protocol, idle_since = kept[0]
            if protocol.is_connected():
                return time.monotonic() - idle_since
            protocol.close()
            kept.popleft()
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
