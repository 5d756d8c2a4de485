"""What the kernel knows of a kept connection: whether something waits in it, and whether the peer took what was sent.

A server that closes a kept connection does not ask whether a request is on its way to it. Most such ends are seen by
polling the idle socket before it is used. For the few that cross a request, TCP itself has the proof: a FIN carries an
acknowledgement, so a FIN that acknowledges no byte of the request was sent before the server's kernel had received any.
The server had hung up by then, and cannot have acted on the request.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    import asyncio

__all__ = ["Receipt", "is_readable"]

_BYTES_ACKED_AT: Final = 120
"""Where `tcpi_bytes_acked`, 64 bits, stands in Linux's `struct tcp_info` (since 4.1)."""


def is_readable(transport: asyncio.BaseTransport) -> bool:
    """Return whether bytes or an end wait to be read from a connection on which nothing is expected."""
    descriptor = _descriptor(transport)
    if descriptor < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


class Receipt:
    """What the peer had acknowledged when a request was about to be sent.

    It keeps a descriptor of its own, because the connection's is closed by the time the question arises.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._acknowledged = _bytes_acknowledged(connection)

    @classmethod
    def of(cls, transport: asyncio.BaseTransport | None) -> Receipt | None:
        """Return the receipt of a connection, or None where the system has no such books, or no descriptor left."""
        descriptor = -1 if transport is None else _descriptor(transport)
        if descriptor < 0 or sys.platform != "linux":
            return None
        try:
            connection = socket.socket(fileno=os.dup(descriptor))
        except OSError:  # the request goes without
            return None
        try:
            return cls(connection)
        except OSError:  # it is no TCP
            connection.close()
            return None

    def shows_nothing_taken(self) -> bool:
        """Return whether the peer has hung up in good order without having received a byte of what was sent since.

        A reset proves nothing: what it acknowledges is not counted.
        """
        try:
            has_ended = self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
            return has_ended and _bytes_acknowledged(self._connection) == self._acknowledged
        except OSError:  # still open, or reset
            return False

    def close(self) -> None:
        """Give the descriptor back."""
        self._connection.close()


def _descriptor(transport: asyncio.BaseTransport) -> int:
    """Return the descriptor of a connection's socket, or -1 if it has none any more."""
    connection = cast("socket.socket | None", transport.get_extra_info("socket"))
    return -1 if connection is None else connection.fileno()


def _bytes_acknowledged(connection: socket.socket) -> int:
    books = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED_AT + 8)
    if len(books) < _BYTES_ACKED_AT + 8:
        raise OSError("the kernel does not count acknowledged bytes")
    return int.from_bytes(books[_BYTES_ACKED_AT : _BYTES_ACKED_AT + 8], sys.byteorder)
