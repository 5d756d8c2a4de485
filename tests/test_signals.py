"""How commands end by signals when a script runs them: as background jobs of `sh`, in which SIGINT is ignored."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.scripts import Ended, run_script

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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_command_ends_by_a_signal_that_its_parent_had_blocked(
    silent_service: socket.socket, number: signal.Signals
) -> None:
    """A program that blocks signals hands that down to the commands that it starts, which can be ended all the same."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP, signal.SIGINT})
    try:
        command = subprocess.Popen([sys.executable, "-m", "tempmailg", "wait", "a@example.org"], stderr=subprocess.PIPE)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with command, asked(silent_service):
        command.send_signal(number)
        try:
            assert command.wait(LIMIT) == 128 + number
        finally:
            command.kill()


MOMENTS = {
    "the command line loads": ("tempmailg.__main__", "_run"),
    "its options are read": ("tempmailg._cli._sandbox_arguments", "sandbox_arguments"),
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


def test_a_server_that_fails_is_not_excused_by_a_signal() -> None:
    """An error stays one although a signal came as well; what is no server ends by the signal."""
    ended = run_script("""
    import signal, sys
    from tempmailg import __main__

    sys.argv[1:] = ["sandbox"]
    print(*(__main__._status_after(signal.SIGTERM, status) for status in (0, 1, 2, 130)))
    sys.argv[1:] = ["mcp"]
    print(*(__main__._status_after(signal.SIGTERM, status) for status in (0, 1, 130)))
    sys.argv[1:] = ["watch"]
    print(*(__main__._status_after(signal.SIGTERM, status) for status in (0, 1, 130)))
    """)
    assert ended.lines == ["0 143 143 0", "0 143 0", "0 143 143"]


@pytest.mark.parametrize("options", [[], ["-X", "dev"]], ids=["as usual", "in development mode"])
def test_a_command_ends_at_once_and_in_good_order(options: list[str]) -> None:
    """It runs what libraries ask for at the end, and takes Python's modules apart only in the development mode."""
    code = """if True:
        import atexit, os, sys
        from tempmailg import __main__

        class Module:
            def __del__(self):
                os.write(1, b"taken apart\\n")

        sys.modules["left"] = Module()
        atexit.register(os.write, 1, b"exit function\\n")
        __main__._run = lambda: 3
        __main__.main()
    """
    ended = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (3, "")
    assert ended.stdout.splitlines() == ["exit function", *(["taken apart"] if options else [])]


def test_a_program_around_a_command_goes_on_after_its_end(shell: Shell) -> None:
    """A profiler writes its profile, and a test that runs the command within itself goes on."""
    code = """if True:
        import sys
        from tempmailg.__main__ import main

        def test():
            sys.argv = ["tempmailg", "domains", "--json"]
            try:
                main()
            except SystemExit as end:
                print("goes on after", end.code)

        test()
    """
    profile = shell.home / "profile"
    for program in (["-m", "cProfile", "-o", str(profile), "-m", "tempmailg", "domains"], ["-c", code]):
        ended = subprocess.run([sys.executable, *program], capture_output=True, text=True, timeout=LIMIT, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
    assert profile.stat().st_size > 0
    assert ended.stdout.endswith("goes on after 0\n")


def test_a_command_looks_for_garbage_only_while_it_works() -> None:
    """Nothing that is imported becomes garbage; a watch or a sandbox that runs for days makes some."""
    ended = run_script("""
    import gc
    from tempmailg import __main__, _signals

    async def work():
        print("at work", gc.isenabled(), gc.get_freeze_count() > 0, flush=True)

    def run():
        print("imports", gc.isenabled())
        _signals.run(work)
        return 0

    __main__._run = run
    __main__.main()
    """)
    assert ended.lines == ["imports False", "at work True True"]


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


IN_THE_LOOP = {
    "the loop is made": "asyncio.events, 'new_event_loop'",
    "the command takes its first step": "_actions, 'opened'",
    "its client is opened": "AsyncClient, '__aenter__'",
    "a request is sent": "AsyncClient, 'list_messages'",
    "the loop closes": "asyncio.runners, '_cancel_all_tasks'",
    "the loop has closed": "asyncio.BaseEventLoop, 'close'",
}

PRESS = """
import asyncio, os, signal, sys
from tempmailg import AsyncClient, __main__
from tempmailg._cli import _actions

def press(times):
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)

def press_at(owner, name, times):
    original = getattr(owner, name)

    def pressing(*args, **options):
        setattr(owner, name, original)
        press(times)
        return original(*args, **options)

    setattr(owner, name, pressing)
"""


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("moment", IN_THE_LOOP.values(), ids=list(IN_THE_LOOP))
def test_ctrl_c_ends_a_command_at_any_moment_of_its_loop(shell: Shell, moment: str, times: int) -> None:
    """Whatever the loop is doing, one Ctrl-C or three end the command with status 130 and one line."""
    ended = run_script(f"""{PRESS}
sys.argv[1:] = ["messages", {shell.answer("new")!r}]
press_at({moment}, {times})
__main__.main()
""")
    assert (ended.status, ended.stderr) == (130, "tempmailg: interrupted\n")


# The second Ctrl-C comes when the loop has taken from its queue the step in which the cancelled task ends.
PRESS_AGAIN_AT_THE_LAST_STEP = """
run_handle = asyncio.Handle._run

def pressing(handle):
    owner = getattr(handle._callback, "__self__", None)
    if isinstance(owner, asyncio.Task) and owner.cancelling():
        asyncio.Handle._run = run_handle
        press(2)
    run_handle(handle)

asyncio.Handle._run = pressing
"""


def test_a_second_ctrl_c_does_not_lose_the_step_in_which_a_wait_ends(silent_service: socket.socket) -> None:
    """A cancelled task whose last step were lost would be waited for as long as the process lives."""
    script = f"""{PRESS}{PRESS_AGAIN_AT_THE_LAST_STEP}
import threading
threading.Thread(target=lambda: (sys.stdin.readline(), press(1)), daemon=True).start()
sys.argv[1:] = ["wait", "a@example.org"]
__main__.main()
"""
    command = [sys.executable, "-c", script]
    waiting = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with waiting, asked(silent_service):
        _, errors = waiting.communicate("\n", timeout=LIMIT)
    assert (waiting.returncode, errors) == (130, "tempmailg: interrupted\n")


def test_a_second_ctrl_c_does_not_keep_a_sandbox_of_ones_own_alive() -> None:
    """A program that runs a sandbox by `run` ends as surely."""
    ended = run_script(f"""{PRESS}{PRESS_AGAIN_AT_THE_LAST_STEP}
from tempmailg import sandbox
press_at(sandbox._sandbox.json, "dumps", 1)
sandbox.run(sandbox.Sandbox())
""")
    assert ended.status == 0
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_clean_up_that_hangs_ends_in_time(number: signal.Signals) -> None:
    """What does not end in good order ends without it, and gives the terminal back."""
    ended = _ended_by(
        number,
        """
        with _signals.undone_at_the_end(lambda: print("given back", flush=True)):
            try:
                press()
            finally:
                print("interrupted", flush=True)
                threading.Event().wait()
        """,
    )
    assert (ended.status, ended.lines) == (128 + number, ["interrupted", "given back"])


def test_a_terminal_that_takes_nothing_holds_up_no_end() -> None:
    """A terminal that was stopped cannot be given back: the command ends all the same."""
    ended = _ended_by(
        signal.SIGTERM,
        """
        with _signals.undone_at_the_end(threading.Event().wait):
            try:
                press()
            finally:
                threading.Event().wait()
        """,
    )
    assert ended.status == 128 + signal.SIGTERM


def test_an_interrupt_that_is_swallowed_ends_the_command() -> None:
    """An exception cannot leave `__del__`: Python reports it and goes on, and so a Ctrl-C would be lost."""
    ended = _ended_by(
        signal.SIGINT,
        """
        class Swallowing:
            def __del__(self):
                press()

        Swallowing()
        print("swallowed", flush=True)
        threading.Event().wait()
        """,
    )
    assert (ended.status, ended.lines, ended.stderr) == (130, ["swallowed"], "")


def test_an_interrupt_that_was_swallowed_while_a_command_loads_keeps_it_from_beginning() -> None:
    """What was interrupted before its loop began sends nothing any more."""
    ended = _ended_by(
        signal.SIGINT,
        """
        class Swallowing:
            def __del__(self):
                press()

        Swallowing()
        _signals.run(lambda: print("begun", flush=True))
        """,
    )
    assert (ended.status, ended.lines) == (130, [])


def test_an_import_that_makes_an_error_of_the_interrupt_is_an_interrupt() -> None:
    """A module in C that is interrupted as it loads raises an ImportError: no bug of the command."""
    ended = _ended_by(
        signal.SIGINT,
        """
        from tempmailg._cli import _local, run

        def load(*args):
            try:
                press()
            except KeyboardInterrupt:
                raise ImportError("could not import module") from None

        _local.demo = load
        return run(["demo"])
        """,
    )
    assert (ended.status, ended.stderr) == (130, "tempmailg: interrupted\n")


def test_a_signal_needs_no_lock_of_the_thread_that_it_interrupts() -> None:
    """A signal that comes while the main thread starts or ends another thread ends the command as well."""
    ended = _ended_by(
        signal.SIGTERM,
        """
        with threading._active_limbo_lock:
            press()
        """,
    )
    assert (ended.status, ended.lines) == (128 + signal.SIGTERM, [])


def test_an_interrupted_command_waits_for_no_lock_of_another_thread() -> None:
    """A thread that is stopped amid an import keeps the lock of it, for which the interpreter's own end would wait."""
    ended = _ended_by(
        signal.SIGINT,
        """
        import _imp, sys

        def hold():
            _imp.acquire_lock()
            holds.set()
            threading.Event().wait()

        class Importing:
            def __del__(self):
                import this

        holds = threading.Event()
        threading.Thread(target=hold, daemon=True).start()
        holds.wait()
        sys.importing = Importing()
        press()
        """,
    )
    assert (ended.status, ended.lines) == (130, [])


def test_an_interrupted_command_does_what_libraries_ask_for_at_its_end() -> None:
    """Functions that were registered for the exit are called after a signal, too."""
    ended = _ended_by(
        signal.SIGINT,
        """
        import atexit

        atexit.register(print, "cleaned up", flush=True)
        press()
        """,
    )
    assert (ended.status, ended.lines) == (130, ["cleaned up"])


def test_where_no_thread_can_be_started_a_later_signal_ends_the_command() -> None:
    """Without the thread that ends the command in any case, the next Ctrl-C does so when the time is over."""
    ended = _ended_by(
        signal.SIGINT,
        """
        def refuse(*args):
            raise RuntimeError("can't start new thread")

        _signals._thread.start_new_thread = refuse
        _signals.allow(-1.0)
        try:
            press()
        finally:
            press()
        """,
    )
    assert ended.status == 130


def _ended_by(number: signal.Signals, body: str) -> Ended:
    """Run a command of these lines, in which `press()` sends a signal."""
    return run_script(f"""
import os, signal, threading
from tempmailg import _signals, __main__

def press():
    os.kill(os.getpid(), {int(number)})

def command():
{textwrap.indent(textwrap.dedent(body), "    ")}

__main__._run = command
__main__.main()
""")


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
