"""Ports of servers that are other people's programs, and must be given one."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import subprocess

__all__ = ["await_port", "free_port"]

PATIENCE: Final = 10.0
"""Seconds within which a server must listen."""


def free_port() -> int:
    """Return a port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def await_port(port: int, server: subprocess.Popen[Any]) -> None:
    """Wait until a server listens.

    Raises:
        RuntimeError: It has ended, or does not listen in time.
    """
    until = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"a server does not listen on port {port}: {server.args!r}")
