"""Name resolution that hangs holds nobody up: the resolver is stubbed, or replaced in a process of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from support.scripts import Ended, run_script

from tempmailg import APIConnectionError, AsyncClient
from tempmailg._resolver import DaemonResolver

posix = pytest.mark.skipif(os.name != "posix", reason="Windows sends no process Ctrl-C alone")

# A resolver that takes an hour, and presses Ctrl-C first where the environment says so.
STUB = """
import os, signal, socket, time

def getaddrinfo(*args, **options):
    if "PRESS" in os.environ:
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(3600)

socket.getaddrinfo = getaddrinfo
"""

PRELOADED = """
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    if (getenv("PRESS")) kill(getpid(), SIGINT);
    sleep(3600);
    return EAI_AGAIN;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared library with a `getaddrinfo` that hangs."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("cc and LD_PRELOAD are needed to replace the system's resolver")
    folder = tmp_path_factory.mktemp("resolver")
    (folder / "resolver.c").write_text(PRELOADED)
    target = folder / "resolver.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", target, folder / "resolver.c"], check=True)
    return target


class Runner:
    """Runs programs in which name resolution hangs."""

    def __init__(self, library: Path | None) -> None:
        self._library = library

    def run(self, program: str, *, uvloop: bool = False, **environment: str) -> Ended:
        environment |= {"TEMPMAILG_API_KEY": "key", "TEMPMAILG_BASE_URL": "https://service.example/api"}
        if self._library is None:
            return run_script(STUB + program, uvloop=uvloop, **environment)
        return run_script(program, uvloop=uvloop, LD_PRELOAD=str(self._library), **environment)


@pytest.fixture(params=["stub", "preloaded"])
def hanging(request: pytest.FixtureRequest) -> Runner:
    """Runs programs in which name resolution hangs: Python's, or the system's."""
    return Runner(None if request.param == "stub" else request.getfixturevalue("library"))


ASYNC = """
import asyncio
from tempmailg import AsyncClient, APITimeoutError

async def main():
    async with AsyncClient(timeout=TIMEOUT, max_retries=0) as client:
        try:
            await client.list_domains()
        except APITimeoutError:
            print("timed out")

asyncio.run(main())
"""

BLOCKING = """
from tempmailg import Client, APITimeoutError

with Client(timeout=TIMEOUT, max_retries=0) as client:
    try:
        client.list_domains()
    except APITimeoutError:
        print("timed out")
"""

COMMAND = """
import sys
sys.argv = ["tempmailg", "domains"]
from tempmailg.__main__ import main
main()
"""


@pytest.mark.parametrize("program", [ASYNC, BLOCKING], ids=["async", "blocking"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_program_ends_while_a_look_up_hangs(hanging: Runner, program: str, loop: str) -> None:
    """A call keeps its deadline, and the process does not wait for the look-up when it ends, nor crash."""
    ended = hanging.run(f"TIMEOUT = 0.2\n{program}", uvloop=loop == "uvloop")
    assert ended == Ended(0, ["timed out"], "")


@posix
@pytest.mark.parametrize("program", [ASYNC, BLOCKING], ids=["async", "blocking"])
def test_ctrl_c_ends_a_program_while_a_look_up_hangs(hanging: Runner, program: str) -> None:
    """Ctrl-C takes effect though nobody can cancel the look-up."""
    ended = hanging.run(f"TIMEOUT = 3600\n{program}", PRESS="1")
    assert (ended.status, ended.lines) == (-2, [])
    assert ended.stderr.splitlines()[-1] == "KeyboardInterrupt"


@posix
def test_ctrl_c_ends_the_command_while_a_look_up_hangs(hanging: Runner) -> None:
    """The command says that it was interrupted, as always."""
    assert hanging.run(COMMAND, PRESS="1") == Ended(130, [], "tempmailg: interrupted\n")


# ------------------------------------------------------------------------------------------- what does not hang works


async def test_names_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of the system's resolver arrives, a link-local address with its interface's name."""

    def name(_address: Any, _flags: int) -> tuple[str, str]:
        return "fe80::1%eth0", "443"

    monkeypatch.setattr(socket, "getnameinfo", name)
    found = {
        socket.AF_INET: ("192.0.2.1", 443),
        socket.AF_INET6: ("fe80::1", 443, 0, 2),
    }
    infos = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in found.items()]
    asked: list[tuple[Any, ...]] = []

    def resolve(*args: Any, **_options: Any) -> Any:
        asked.append((*args, threading.current_thread().daemon))
        return infos

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    resolved = await DaemonResolver().resolve("service.example", 443, socket.AF_UNSPEC)
    assert [each["host"] for each in resolved] == ["192.0.2.1", "fe80::1%eth0"]
    assert asked == [("service.example", 443, True)]


@pytest.mark.parametrize(
    "failure", [socket.gaierror(socket.EAI_NONAME, "Name or service not known"), UnicodeError("label too long")]
)
async def test_a_failed_look_up_is_a_connection_error(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    """What the resolver raises is raised where it is awaited, and the client makes an error of its own of it."""

    def fail(*_args: Any, **_options: Any) -> None:
        raise failure

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(type(failure)):
        await DaemonResolver().resolve("service.example", 443)


async def test_no_thread_for_a_look_up_is_a_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that can start no further thread gets an error of this package, and nothing was sent."""

    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with AsyncClient("key", base_url="https://service.example/api", max_retries=0) as client:
        monkeypatch.setattr(threading.Thread, "start", fail)
        with pytest.raises(APIConnectionError, match="can't start new thread") as caught:
            await client.list_domains()
    assert not caught.value.sent


async def test_an_answer_that_nobody_awaits_any_more_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up that ends after its call was cancelled changes nothing; neither does one that outlives its loop."""
    begun, may_end = threading.Event(), threading.Event()

    def resolve(*_args: Any, **_options: Any) -> list[Any]:
        begun.set()
        may_end.wait()
        return []

    async def ask() -> None:
        await DaemonResolver().resolve("service.example", 443)

    async def give_up() -> None:
        task = asyncio.ensure_future(ask())
        await asyncio.to_thread(begun.wait)
        task.cancel()

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    await asyncio.to_thread(asyncio.run, give_up())
    begun.clear()
    await give_up()
    may_end.set()
    for thread in threading.enumerate():
        if thread.name == "tempmailg-resolver":
            await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)
