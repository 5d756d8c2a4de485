"""A command on a real pseudo-terminal: what a person would see of it, and what Ctrl-C does to it."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Terminal", "as_left", "as_seen"]

# Runs a program with the given descriptor as its controlling terminal, so that Ctrl-C reaches it as from a keyboard.
_SHIM = """
import os, sys
stdout = os.dup(1)
os.login_tty(int(sys.argv[1]))
if sys.argv[2] == "pipe":
    os.dup2(stdout, 1)
os.close(stdout)
os.execv(sys.argv[3], sys.argv[3:])
"""

# What rich writes by itself: styles, and the moves that redraw a line.
_OWN_CONTROLS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[2K|\x1b\[[0-9]*[AG]|\r")


def as_seen(written: str) -> str:
    """Return what was written to a terminal without the styles and moves that this package's output uses."""
    return _OWN_CONTROLS.sub("", written)


def as_left(written: str) -> str:
    """Return what stands on the screen in the end: lines that were taken away are gone."""
    rows, row, column = [""], 0, 0
    for number, control, character in re.findall(r"\x1b\[\??([0-9;]*)([A-Za-z])|([\s\S])", written):
        if control == "A":
            row -= int(number or 1)
        elif control == "K":
            rows[row] = ""
        elif character == "\r":
            column = 0
        elif character == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        elif character:
            rows[row] = rows[row][:column].ljust(column) + character + rows[row][column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in rows)


class Terminal:
    """A program that runs on a pseudo-terminal.

    Args:
        program: The program and its arguments.
        env: Its whole environment.
        piped: Whether its stdout is a pipe while stderr is the terminal, as in ``$(…)``.
        columns: The terminal's width.
    """

    def __init__(
        self, program: Sequence[str], *, env: Mapping[str, str], piped: bool = False, columns: int = 100
    ) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        shim = [sys.executable, "-S", "-c", _SHIM, str(slave), "pipe" if piped else "terminal"]
        self._process = subprocess.Popen(
            [*shim, *program], env=dict(env), pass_fds=[slave], stdout=subprocess.PIPE if piped else None
        )
        os.close(slave)
        self.written = ""
        self.piped = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        os.close(self._master)

    @property
    def seen(self) -> str:
        """What a person saw so far."""
        return as_seen(self.written)

    @property
    def left(self) -> str:
        """What a person sees at the end."""
        return as_left(self.written)

    def expect(self, text: str, *, timeout: float = 40.0) -> None:
        """Read until a person sees `text`."""
        deadline = time.monotonic() + timeout
        while text not in self.seen:
            assert self._read(deadline), f"{text!r} was never seen; at last: {self.seen[-500:]!r}"

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def finish(self, *, timeout: float = 40.0) -> int:
        """Read to the program's end and return its exit status."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        if self._process.stdout is not None:
            self.piped = self._process.stdout.read()
        return self._process.wait(timeout=max(0.1, deadline - time.monotonic()))

    def _read(self, deadline: float) -> bool:
        """Take what the program writes next; say whether there may be more."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise AssertionError(f"the program wrote nothing more in time; at last: {self.seen[-500:]!r}")
        try:
            data = os.read(self._master, 65536)
        except OSError:  # how Linux says that the program's end is closed
            return False
        self.written += data.decode("utf-8", "backslashreplace")
        return bool(data)
