"""A large attachment to disk: this client beside curl, wget and the service's own sample.

nginx serves one file on loopback, and everybody saves it to the same disk, in turns. Python's contestants run each in a
process of their own, where a small file comes first, so that neither imports nor the first connection count; curl
reports its own time. The file of one run is removed, and the disk left to settle, before the next begins; then as much
is written and removed again, since a virtual machine's unused memory may be with its host, and the first to need it
would wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks._harness import Goal, Measure, Row, interleaved, ratio, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

__all__ = ["measures"]

MEBIBYTE: Final = 2**20
SIZE: Final = 512 * MEBIBYTE
SHORT_SIZE: Final = 4 * MEBIBYTE
ROUNDS: Final = 9

ASYNC: Final = "tempmailg"
BLOCKING: Final = "tempmailg, blocking"
CURL: Final = "curl -o"
WGET: Final = "wget"
SAMPLE: Final = "requests, 8 KB chunks"

ATTACHMENTS: Final = "api/messages/m1/attachments"
LARGE: Final = "large.bin"
SMALL: Final = "small.bin"
KEY: Final = "benchmark-key"

Taken = dict[str, float]
"""Seconds, and for Python's contestants by how many MiB the process's memory rose at most."""


def measures(*, short: bool) -> list[Measure]:
    """Measure how fast a large file is saved, and what memory that takes."""
    size = SHORT_SIZE if short else SIZE
    with _workplace() as folder, _serving(folder / "www") as (origin, server):
        _make_files(folder / "www" / ATTACHMENTS, size)
        able, missing = _contestants(origin, folder / "saved", size)
        taken = interleaved(able, 1 if short else ROUNDS)
    notes = [f"served by {server}", *(f"{name}: left out, since {reason}" for name, reason in missing.items())]
    return [_speed(taken, size, notes), _memory(taken, size)]


def _speed(taken: Mapping[str, list[Taken]], size: int, notes: list[str]) -> Measure:
    speeds = {name: [size / MEBIBYTE / each["seconds"] for each in several] for name, several in taken.items()}
    baseline = CURL if CURL in taken else ASYNC
    rows = [
        Row(name, {"MiB/s": spread(several).median}, ratio(several, speeds[baseline]))
        for name, several in speeds.items()
    ]
    goals = [
        Goal(f"speed, {name} / {other}", limit, ratio(speeds[name], speeds[other]), at_most=False)
        for name in (ASYNC, BLOCKING)
        for other, limit in ((CURL, 1.2 if name == ASYNC else 1.1), (SAMPLE, 2.0))
        if other in taken
    ]
    return Measure(f"An attachment of {size // MEBIBYTE} MiB to disk", rows, goals, baseline, notes)


def _memory(taken: Mapping[str, list[Taken]], size: int) -> Measure:
    growth = {name: [each["growth"] for each in several] for name, several in taken.items() if "growth" in several[0]}
    rows = [Row(name, {"MiB": spread(several).median}) for name, several in growth.items()]
    goals = [
        Goal(f"growth in MiB, {name}, the highest of all rounds", 8, spread([max(growth[name])]))
        for name in (ASYNC, BLOCKING)
    ]
    return Measure(f"Growth of resident memory during a download of {size // MEBIBYTE} MiB", rows, goals)


# ---------------------------------------------------------------------------------------------------- the contestants


def _contestants(origin: str, target: Path, size: int) -> tuple[dict[str, Callable[[], Taken]], dict[str, str]]:
    """Return who takes part, and why the others do not."""
    works: dict[str, Callable[[str, Path], Taken]] = {
        ASYNC: partial(_python, "asynchronous"),
        BLOCKING: partial(_python, "blocking"),
        CURL: _curl,
        WGET: _wget,
        SAMPLE: partial(_python, "sample"),
    }
    missing = {
        name: f"{name.split()[0]} is not installed" for name in (CURL, WGET) if not shutil.which(name.split()[0])
    }
    if not _has_requests():
        missing[SAMPLE] = "requests is not installed"
    able: dict[str, Callable[[], Taken]] = {}
    for name in (name for name in works if name not in missing):
        able[name] = partial(_checked, works[name], origin, target, size)
    return able, missing


def _checked(work: Callable[[str, Path], Taken], origin: str, target: Path, size: int) -> Taken:
    target.unlink(missing_ok=True)
    os.sync()
    taken = work(origin, target)
    if target.stat().st_size != size:
        raise RuntimeError(f"{target} has {target.stat().st_size} bytes instead of {size}")
    return taken


def _warm(target: Path) -> None:
    """Have the system at hand what memory it needs for a file of that size."""
    scratch, block = target.with_name("scratch"), bytes(MEBIBYTE)
    size = (target.parent / "www" / ATTACHMENTS / LARGE).stat().st_size
    with scratch.open("wb", buffering=0) as file:
        for _ in range(size // MEBIBYTE):
            file.write(block)
    scratch.unlink()


def _curl(origin: str, target: Path) -> Taken:
    command = ["curl", "-s", "-f", "-H", f"Authorization: Bearer {KEY}", "-o", str(target), "-w", "%{time_total}"]
    url = f"{origin}/{ATTACHMENTS}/{LARGE}"
    _warm(target)
    return {"seconds": float(subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout)}


def _wget(origin: str, target: Path) -> Taken:
    command = ["wget", "-q", f"--header=Authorization: Bearer {KEY}", "-O", str(target)]
    _warm(target)
    begun = time.perf_counter()
    subprocess.run([*command, f"{origin}/{ATTACHMENTS}/{LARGE}"], check=True)
    return {"seconds": time.perf_counter() - begun}


def _python(work: str, origin: str, target: Path) -> Taken:
    command = [sys.executable, "-m", "benchmarks.download", work, origin, str(target)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    taken: Taken = json.loads(answer.stdout)
    return taken


def _has_requests() -> bool:
    return subprocess.run([sys.executable, "-c", "import requests"], capture_output=True, check=False).returncode == 0


# ---------------------------------------------------------------------------------------------------- the server


@contextlib.contextmanager
def _workplace() -> Generator[Path]:
    """Make a folder on a disk: the usual temporary folder may be in memory."""
    disk = Path("/var/tmp")
    with tempfile.TemporaryDirectory(prefix="tempmailg-benchmark-", dir=disk if disk.is_dir() else None) as name:
        yield Path(name)


def _make_files(folder: Path, size: int) -> None:
    folder.mkdir(parents=True)
    (folder / SMALL).write_bytes(b"x" * 1_000)
    block = os.urandom(MEBIBYTE)
    with (folder / LARGE).open("wb") as file:
        for _ in range(size // MEBIBYTE):
            file.write(block)
    (folder / LARGE).read_bytes()  # into the cache, so that only the saving is left to the disk


@contextlib.contextmanager
def _serving(root: Path) -> Generator[tuple[str, str]]:
    """Serve a folder; yield the origin, and who serves it."""
    root.mkdir()
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    with _nginx(nginx, root) if nginx else _substitute(root) as origin:
        yield origin, "nginx" if nginx else "a substitute in Python, since nginx is not installed: compare with care"


_CONFIGURATION: Final = """
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
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "conf").write_text(_CONFIGURATION.format(folder=folder, root=root, port=port))
    process = subprocess.Popen([program, "-p", folder, "-c", folder / "conf"], stderr=subprocess.DEVNULL)
    try:
        _await_port(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("nginx did not start")


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


# ---------------------------------------------------------------------------------------------------- in the process


async def _asynchronous(origin: str, target: Path) -> Taken:
    from tempmailg import AsyncClient

    async with AsyncClient(KEY, base_url=f"{origin}/api") as client:
        await client.download_attachment(("m1", SMALL), target, overwrite=True)
        _warm(target)
        memory, begun = _Memory(), time.perf_counter()
        await client.download_attachment(("m1", LARGE), target, overwrite=True)
        return {"seconds": time.perf_counter() - begun, "growth": memory.growth()}


def _blocking(origin: str, target: Path) -> Taken:
    from tempmailg import Client

    with Client(KEY, base_url=f"{origin}/api") as client:
        client.download_attachment(("m1", SMALL), target, overwrite=True)
        _warm(target)
        memory, begun = _Memory(), time.perf_counter()
        client.download_attachment(("m1", LARGE), target, overwrite=True)
        return {"seconds": time.perf_counter() - begun, "growth": memory.growth()}


def _sample(origin: str, target: Path) -> Taken:
    """Do what the service's documentation shows."""
    import requests

    def save(name: str) -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}
        url = f"{origin}/{ATTACHMENTS}/{name}"
        with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
            answer.raise_for_status()
            with target.open("wb") as file:
                for chunk in answer.iter_content(chunk_size=8192):
                    file.write(chunk)

    save(SMALL)
    _warm(target)
    memory, begun = _Memory(), time.perf_counter()
    save(LARGE)
    return {"seconds": time.perf_counter() - begun, "growth": memory.growth()}


class _Memory:
    """Watches how far this process's resident memory rises above what it is now."""

    def __init__(self) -> None:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins anew
        self._begin = self._peak()

    def growth(self) -> float:
        return (self._peak() - self._begin) / MEBIBYTE

    def _peak(self) -> int:
        import resource

        with contextlib.suppress(OSError):
            lines = Path("/proc/self/status").read_text().splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(work: str, origin: str, target: str) -> None:
    """Do one contestant's work once and report what it took."""
    works: dict[str, Callable[[str, Path], Taken]] = {
        "asynchronous": lambda origin, target: asyncio.run(_asynchronous(origin, target)),
        "blocking": _blocking,
        "sample": _sample,
    }
    print(json.dumps(works[work](origin, Path(target))))


if __name__ == "__main__":
    main(*sys.argv[1:])
