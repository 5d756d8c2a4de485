"""How commands end by signals when a script runs them: as background jobs of `sh`, in which SIGINT is ignored."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.scripts import run_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.shell import Shell

pytest_plugins = ["support.shell"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has neither sh nor these signals")

LIMIT: Final = 20.0
"""Seconds after which a command counts as one that does not end; all that are tested here run for longer."""


class Job:
    """A command in the background of a shell script.

    Args:
        arguments: The command's arguments.
        ignoring: Signals that the script ignores, as `nohup` does.
    """

    def __init__(self, *arguments: str, ignoring: str = "") -> None:
        prologue = f"trap '' {ignoring}; " if ignoring else ""
        script = f'{prologue}"$@" 2>&2 & echo $! >&2; wait $!; echo $? >&2'
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", script, "sh", sys.executable, "-m", "tempmailg", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._shell.stdout is not None
        assert self._shell.stderr is not None
        self.stdout = self._shell.stdout
        self._pid = int(self._shell.stderr.readline())

    def send(self, number: int) -> None:
        """Send the command a signal."""
        os.kill(self._pid, number)

    def status(self) -> int:
        """Wait for the end and return the exit status, as the script sees it."""
        try:
            _, complaints = self._shell.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            self._shell.communicate()
            raise
        return int(complaints.splitlines()[-1])


@pytest.fixture
def silent_service(shell: Shell) -> Iterator[socket.socket]:
    """A service that takes requests and never answers: each command waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT)
        shell.set(TEMPMAILG_BASE_URL=f"http://127.0.0.1:{listener.getsockname()[1]}")
        yield listener


def asked(listener: socket.socket) -> socket.socket:
    """Return the connection of a command that has sent its request."""
    connection, _ = listener.accept()
    connection.settimeout(LIMIT)
    assert connection.recv(65536)
    return connection


LONG_COMMANDS = [
    ["watch", "a@example.org"],
    ["wait", "a@example.org"],
    ["messages", "a@example.org"],
    ["new"],
    ["download", "message-id", "a.txt"],
]


@pytest.mark.parametrize("command", LONG_COMMANDS, ids=[command[0] for command in LONG_COMMANDS])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_background_job_ends_by_a_signal(
    silent_service: socket.socket, command: list[str], number: signal.Signals
) -> None:
    """SIGTERM and SIGHUP end each command with the status that shells give a command so ended; SIGINT does nothing."""
    job = Job(*command)
    with asked(silent_service):
        job.send(signal.SIGINT)
        job.send(number)
        assert job.status() == 128 + number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_sandbox_in_the_background_ends_well(shell: Shell, number: signal.Signals) -> None:
    """A script that starts a sandbox and kills it at its end gets status 0."""
    job = Job("sandbox", "--port", "0", "--smtp-port", "0")
    assert job.stdout.readline().startswith("{")
    job.send(signal.SIGINT)
    job.send(number)
    assert job.status() == 0


MOMENTS = {
    "the command line loads": ("tempmailg.__main__", "_run"),
    "its options are read": ("tempmailg._cli._local", "sandbox_arguments"),
    "it begins to listen": ("tempmailg.sandbox", "serve"),
}


@pytest.mark.parametrize(("module", "function"), MOMENTS.values(), ids=list(MOMENTS))
def test_a_sandbox_that_is_killed_while_it_starts_ends_well(module: str, function: str) -> None:
    """Whatever the sandbox has come to, SIGTERM is no failure."""
    ended = run_script(f"""
    import importlib, os, signal, sys
    from tempmailg import __main__

    module = importlib.import_module("{module}")
    original = module.{function}

    def interrupted(*args, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*args, **options)

    module.{function} = interrupted
    sys.argv[1:] = ["sandbox", "--port", "0", "--smtp-port", "0"]
    __main__.main()
    """)
    assert ended.status == 0
    assert "Traceback" not in ended.stderr


def test_a_sandbox_that_fails_is_not_excused_by_a_signal() -> None:
    """An error stays one although a signal came as well; what is no sandbox ends by the signal."""
    ended = run_script("""
    import signal, sys
    from tempmailg import __main__

    sys.argv[1:] = ["sandbox"]
    print(*(__main__._status_after(signal.SIGTERM, status) for status in (0, 1, 2, 130)))
    sys.argv[1:] = ["watch"]
    print(*(__main__._status_after(signal.SIGTERM, status) for status in (0, 1, 130)))
    """)
    assert ended.lines == ["0 143 143 0", "0 143 143"]


def test_a_demo_in_the_background_ends(shell: Shell) -> None:
    """The demo, which runs a blocking client beside its sandbox, ends by SIGTERM as well."""
    job = Job("demo")
    assert job.stdout.readline()
    job.send(signal.SIGTERM)
    assert job.status() == 128 + signal.SIGTERM


def test_what_nohup_ignores_stays_ignored(silent_service: socket.socket) -> None:
    """A command under `nohup` survives the end of its terminal, and ends by SIGTERM."""
    job = Job("watch", "a@example.org", ignoring="HUP")
    with asked(silent_service):
        job.send(signal.SIGHUP)
        job.send(signal.SIGTERM)
        assert job.status() == 128 + signal.SIGTERM


def test_a_clean_up_that_hangs_ends_in_time() -> None:
    """What does not end in good order ends without it."""
    ended = run_script("""
    import os, signal, threading
    from tempmailg import _signals, __main__

    def hang():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait()
        finally:
            print("interrupted", flush=True)
            threading.Event().wait()

    __main__._run = hang
    __main__.main()
    """)
    assert (ended.status, ended.lines) == (128 + signal.SIGTERM, ["interrupted"])


def test_the_command_sets_its_signals_in_one_place_only() -> None:
    """Importing the library or running a command inside of a program changes no signal's handler."""
    ended = run_script("""
    import signal
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    import tempmailg.__main__
    from tempmailg._cli import run
    assert run(["--version"]) == 0
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    """)
    assert (ended.status, ended.stderr) == (0, "")


def test_this_suite_runs_in_the_background() -> None:
    """Tests that press Ctrl-C pass when the whole run is a background job, whose SIGINT is ignored."""
    test = Path(__file__).with_name("test_portal.py")
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test), "-k", "second_ctrl_c"]
    script = ["/bin/sh", "-c", '"$@" & wait $!', "sh", *run]
    ended = subprocess.run(script, cwd=test.parents[1], capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout
