"""What the pytest plugin costs: a suite that does not use it, and a test that has a mailbox in the sandbox."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks._harness import Goal, Measure, Row, Sample, Spread, interleaved, spread

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["measures"]

ROUNDS: Final = 15
TESTS: Final = 100

WITHOUT, UNUSED, MAILBOXES = "without the plugin", "plugin, not used", "plugin, a mailbox a test"

EMPTY_TEST: Final = "import pytest\n@pytest.mark.parametrize('n', range({tests}))\ndef test_it(n): pass\n"
MAILBOX_TEST: Final = (
    "import pytest\n@pytest.mark.parametrize('n', range({tests}))\ndef test_it(n, tempmailg_mailbox): pass\n"
)


def measures(*, short: bool) -> list[Measure]:
    """Measure whole runs of pytest, each in an interpreter of its own, with no other plugin."""
    tests = 3 if short else TESTS
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("test_empty.py", EMPTY_TEST), ("test_mailbox.py", MAILBOX_TEST)):
            Path(folder, name).write_text(text.format(tests=tests), encoding="utf-8")
        plugin = ("-p", "tempmailg.pytest_plugin")
        contestants = {
            WITHOUT: partial(_run, folder, "test_empty.py"),
            UNUSED: partial(_run, folder, "test_empty.py", *plugin),
            MAILBOXES: partial(_run, folder, "test_mailbox.py", *plugin),
        }
        for run in contestants.values():
            run()  # compiles what will be imported
        samples = interleaved(contestants, 1 if short else ROUNDS)
    rows = [
        Row(name, {"CPU ms": _median(s.cpu for s in taken), "clock ms": _median(s.wall for s in taken)})
        for name, taken in samples.items()
    ]
    goals = [
        Goal("CPU ms that the plugin adds to a suite that does not use it", 3, _added(samples, UNUSED, WITHOUT, 1)),
        Goal(
            f"CPU ms of a test with a mailbox, in a suite of {tests}, the sandbox's start included",
            15,
            _added(samples, MAILBOXES, UNUSED, tests),
        ),
    ]
    return [Measure(f"The pytest plugin, {tests} tests", rows, goals)]


def _run(folder: str, file: str, *plugin: str) -> Sample:
    """Run pytest on one file; the CPU time includes the interpreter's start and end."""
    environment = os.environ | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(Path(folder, "bytecode")),
    }
    cpu, begun = _cpu_of_children(), time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin, file]
    subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    return Sample(1, time.perf_counter() - begun, _cpu_of_children() - cpu)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _median(seconds: Iterable[float]) -> float:
    return spread(each * 1e3 for each in seconds).median


def _added(samples: dict[str, list[Sample]], name: str, to: str, tests: int) -> Spread:
    """Return the milliseconds of the processor that one run takes beyond another of its round, a test."""
    pairs = zip(samples[name], samples[to], strict=True)
    return spread((mine.cpu - theirs.cpu) * 1e3 / tests for mine, theirs in pairs)
