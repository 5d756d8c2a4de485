"""What the pytest plugin costs: a suite that does not use it, and a test that has a mailbox in the sandbox.

A run of pytest varies by ten times what the plugin adds to it. So the suite that does not use it loads twenty copies of
it, each of a package of its own, and a twentieth of the difference counts.
"""

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

import tempmailg
from benchmarks._harness import Goal, Measure, Row, Sample, Spread, interleaved, spread

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["measures"]

ROUNDS: Final = 15
TESTS: Final = 100
COPIES: Final = 20

WITHOUT, UNUSED, MAILBOXES = "without the plugin", f"{COPIES} copies, not used", "plugin, a mailbox a test"

EMPTY_TEST: Final = "import pytest\n@pytest.mark.parametrize('n', range({tests}))\ndef test_it(n): pass\n"
MAILBOX_TEST: Final = (
    "import pytest\n@pytest.mark.parametrize('n', range({tests}))\ndef test_it(n, tempmailg_mailbox): pass\n"
)

# Loads plugins as pytest loads those of installed packages, without the search for them, which each run makes anyway.
CONFTEST: Final = """
from importlib import import_module
import pytest

NAMES = {names}
pytest.register_assert_rewrite(*NAMES)

def pytest_addoption(parser, pluginmanager):
    for name in NAMES:
        pluginmanager.register(import_module(name + ".pytest_plugin"))
"""


def measures(*, short: bool) -> list[Measure]:
    """Measure whole runs of pytest, each in an interpreter of its own, with no other plugin."""
    tests = 3 if short else TESTS
    with tempfile.TemporaryDirectory() as folder:
        contestants = {
            WITHOUT: partial(_run, _suite(folder, "without", EMPTY_TEST, tests)),
            UNUSED: partial(_run, _with_copies(_suite(folder, "unused", EMPTY_TEST, tests))),
            MAILBOXES: partial(_run, _suite(folder, "used", MAILBOX_TEST, tests), "-p", "tempmailg.pytest_plugin"),
        }
        for run in contestants.values():
            run()  # compiles what will be imported
        samples = interleaved(contestants, 1 if short else ROUNDS)
    rows = [
        Row(name, {"CPU ms": _median(s.cpu for s in taken), "clock ms": _median(s.wall for s in taken)})
        for name, taken in samples.items()
    ]
    goals = [
        Goal("CPU ms that the plugin adds to a suite that does not use it", 3, _added(samples, UNUSED, COPIES)),
        Goal(
            f"CPU ms of a test with a mailbox, in a suite of {tests}, the sandbox's start included",
            15,
            _added(samples, MAILBOXES, tests),
        ),
    ]
    return [Measure(f"The pytest plugin, {tests} tests", rows, goals)]


def _suite(folder: str, name: str, text: str, tests: int) -> Path:
    """Write a suite of one file, and return its folder."""
    suite = Path(folder, name)
    suite.mkdir()
    (suite / "test_it.py").write_text(text.format(tests=tests), encoding="utf-8")
    return suite


def _with_copies(suite: Path) -> Path:
    """Give a suite copies of the plugin, with all that it imports and with names of their own."""
    names = [f"tempmailg{number}" for number in range(COPIES)]
    for name in names:
        (suite / name).mkdir()
        for module in Path(tempmailg.__file__).parent.glob("*.py"):
            text = module.read_text(encoding="utf-8").replace("tempmailg", name)
            (suite / name / module.name).write_text(text, encoding="utf-8")
    (suite / "conftest.py").write_text(CONFTEST.format(names=names), encoding="utf-8")
    return suite


def _run(suite: Path, *options: str) -> Sample:
    """Run pytest on a suite; the CPU time includes the interpreter's start and end."""
    environment = os.environ | {
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(suite / "bytecode"),
    }
    cpu, begun = _cpu_of_children(), time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", *options, "test_it.py"]
    subprocess.run(command, check=True, cwd=suite, env=environment, stdout=subprocess.DEVNULL)
    return Sample(1, time.perf_counter() - begun, _cpu_of_children() - cpu)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _median(seconds: Iterable[float]) -> float:
    return spread(each * 1e3 for each in seconds).median


def _added(samples: dict[str, list[Sample]], name: str, parts: int) -> Spread:
    """Return the milliseconds of the processor that a run takes beyond the one without the plugin, a part."""
    pairs = zip(samples[name], samples[WITHOUT], strict=True)
    return spread((mine.cpu - without.cpu) * 1e3 / parts for mine, without in pairs)
