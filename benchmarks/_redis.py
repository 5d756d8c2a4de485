"""A Redis of one's own, on a free port, which keeps nothing: for the benchmarks and for the tests."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks._ports import await_port, free_port

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["running_redis"]


@contextmanager
def running_redis(server: str) -> Generator[tuple[str, int]]:
    """Run a Redis for a block of code.

    Args:
        server: The path of the program.

    Returns:
        A context manager of the server's URL and its process id.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        with subprocess.Popen([server, *options], stdout=subprocess.DEVNULL) as process:
            try:
                await_port(port, process)
                yield f"redis://127.0.0.1:{port}/0", process.pid
            finally:
                process.kill()
