"""The command line as a user has it: a home of its own, a sandbox as the service."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.pty import Terminal
from support.scripts import DEVELOPMENT
from tempmailg._cli import run
from tempmailg._cli._recent import newest_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tempmailg.sandbox import Sandbox

__all__ = ["Outcome", "Shell"]

# What would change the commands under test.
_MEANINGFUL = ("TEMPMAILG_", "XDG_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_")

# In development mode a command prints what it prints in any other, and no warning of its own.
PROGRAM = (sys.executable, *DEVELOPMENT, "-m", "tempmailg")


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    stdout: str
    stderr: str


class Shell:
    """Runs commands against a sandbox.

    Args:
        sandbox: The service.
        home: The folder that is home and working directory.
        patch: Sets the environment of commands that run in this process.
    """

    def __init__(
        self, sandbox: Sandbox, home: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.sandbox = sandbox
        self.home = home
        self._patch = patch
        self._capture = capture
        for name in [name for name in os.environ if name.startswith(_MEANINGFUL)]:
            patch.delenv(name)
        self.set(
            HOME=str(home),
            TERM="xterm-256color",
            LC_ALL="C.UTF-8",
            PYTHONPATH=os.pathsep.join(sys.path),
            TEMPMAILG_API_KEY=sandbox.api_key,
            TEMPMAILG_BASE_URL=sandbox.base_url,
        )
        patch.chdir(home)

    def set(self, **variables: str | None) -> None:
        """Change the environment; None unsets."""
        for name, value in variables.items():
            if value is None:
                self._patch.delenv(name, raising=False)
            else:
                self._patch.setenv(name, value)

    def run(self, *arguments: str) -> Outcome:
        """Run a command in this process, its output captured as in a pipe."""
        self._capture.readouterr()
        status = run(arguments)
        captured = self._capture.readouterr()
        return Outcome(status, captured.out, captured.err)

    def answer(self, *arguments: str) -> str:
        """Run a command that must succeed and return its stdout without the line's end."""
        outcome = self.run(*arguments)
        assert outcome.status == 0, outcome
        return outcome.stdout.removesuffix("\n")

    def process(self, *arguments: str) -> Outcome:
        """Run a command in a process of its own, its output in pipes."""
        done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=40, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own, its output in pipes."""
        return subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def terminal(self, *arguments: str, piped: bool = False, columns: int = 100) -> Terminal:
        """Run a command on a terminal."""
        return self.terminal_of(*PROGRAM, *arguments, piped=piped, columns=columns)

    def terminal_of(self, *program: str, piped: bool = False, columns: int = 100) -> Terminal:
        """Run any program on a terminal."""
        path = shutil.which(program[0])
        assert path is not None
        return Terminal([path, *program[1:]], env=os.environ, piped=piped, columns=columns)

    def add_to_path(self) -> None:
        """Make `tempmailg` a program that other programs find, installed or not."""
        folder = self.home / "bin"
        folder.mkdir()
        program = folder / "tempmailg"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
        program.chmod(0o755)
        self.set(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")

    @property
    def newest(self) -> str:
        """The address of the newest mailbox."""
        address = newest_address()
        assert address is not None
        return address


@pytest.fixture(scope="session")
def shell_sandbox() -> Iterator[Sandbox]:
    """One sandbox for the commands of all tests; a test that needs it empty or faulty resets it."""
    from tempmailg.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def shell(
    shell_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    """A shell in an empty home, with the sandbox's key."""
    yield Shell(shell_sandbox, tmp_path, monkeypatch, capsys)
    shell_sandbox.faults.clear()
