"""Files that nginx serves on loopback, and a disk to save them to."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks._ports import await_port, free_port

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["ATTACHMENTS", "KEY", "MEBIBYTE", "make_file", "serving", "warm", "workplace"]

MEBIBYTE: Final = 2**20
ATTACHMENTS: Final = "api/messages/m1/attachments"
KEY: Final = "benchmark-key"


@contextlib.contextmanager
def workplace() -> Generator[Path]:
    """Make a folder on a disk: the usual temporary folder may be in memory."""
    disk = Path("/var/tmp")
    with tempfile.TemporaryDirectory(prefix="tempmailg-benchmark-", dir=disk if disk.is_dir() else None) as name:
        yield Path(name)


@contextlib.contextmanager
def serving(root: Path) -> Generator[tuple[str, str]]:
    """Serve a folder; yield the origin, and who serves it."""
    root.mkdir()
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    with _nginx(nginx, root) if nginx else _substitute(root) as origin:
        yield origin, "nginx" if nginx else "a substitute in Python, since nginx is not installed: compare with care"


CONFIGURATION: Final = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@contextlib.contextmanager
def _nginx(program: str, root: Path) -> Generator[str]:
    folder = root.parent / "nginx"
    folder.mkdir()
    port = free_port()
    (folder / "conf").write_text(CONFIGURATION.format(folder=folder, root=root, port=port))
    process = subprocess.Popen([program, "-p", folder, "-c", folder / "conf"], stderr=subprocess.DEVNULL)
    try:
        await_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _substitute(root: Path) -> Generator[str]:
    """Serve with the system's own way from file to socket, one thread a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, root), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _accept(listener: socket.socket, root: Path) -> None:
    with contextlib.suppress(OSError):  # the listener is closed: that is the end
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, root), daemon=True).start()


def _serve(connection: socket.socket, root: Path) -> None:
    with connection, connection.makefile("rb") as requests, contextlib.suppress(OSError):
        while line := requests.readline():
            while requests.readline().strip():
                pass
            with (root / line.split()[1].decode().lstrip("/")).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                connection.sendfile(file)


def make_file(path: Path, size: int) -> None:
    """Make a file to serve, and have the system hold it in memory, so that only the saving is left to the disk.

    Args:
        path: Where to.
        size: Its size in bytes.
    """
    block = os.urandom(min(size, MEBIBYTE))
    with path.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
    path.read_bytes()


def warm(folder: Path, size: int) -> None:
    """Have the system at hand what memory it needs for files of that size.

    Args:
        folder: Where the files are to stand.
        size: How many bytes they have together.
    """
    scratch, block = folder / "scratch", bytes(MEBIBYTE)
    with scratch.open("wb", buffering=0) as file:
        for _ in range(size // MEBIBYTE):
            file.write(block)
    scratch.unlink()
