"""Programs of a few lines, each run in a process of its own: for what concerns threads, signals, forks and exits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from attrs import frozen

import tempmailg

__all__ = ["DEVELOPMENT", "Ended", "run_script"]

LIMIT: Final = 100.0
"""Seconds that a script may take. It needs one or two: who reaches the limit hangs."""

DEVELOPMENT: Final = ("-X", "dev", "-W", "error")
"""Options of Python with which every warning is an error, and what would only be logged is printed."""

STRICT: Final = (*DEVELOPMENT, "-W", "ignore:This process:DeprecationWarning")  # tests fork beside threads

_SLOW_MACHINE = re.compile(r"^Executing <.*> took [0-9.]+ seconds\n", re.MULTILINE)


@frozen
class Ended:
    """A script that has ended.

    Args:
        status: The exit status.
        lines: What it printed.
        stderr: What it complained of; asyncio's remarks on slow machines left out.
    """

    status: int
    lines: list[str]
    stderr: str


def run_script(code: str, *, uvloop: bool = True, **environment: str) -> Ended:
    """Run Python code in a process of its own, with all warnings as errors.

    Args:
        code: The program, indented or not.
        uvloop: Whether the blocking client runs on uvloop, where that is installed.
        environment: What to add to the environment's variables.
    """
    program = textwrap.dedent(code)
    loop = "uvloop" if uvloop and find_spec("uvloop") else "asyncio"
    root = str(Path(tempmailg.__file__).parents[1])
    ended = subprocess.run(
        [sys.executable, *STRICT, "-c", program],
        env={**os.environ, "PYTHONPATH": root, "TEMPMAILG_LOOP": loop, **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout.splitlines(), _SLOW_MACHINE.sub("", ended.stderr))
