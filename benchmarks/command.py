"""How long the command line takes: a help text, one call, and a wait from the poll that found the code to its line."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks._answerer import Answerer
from benchmarks._harness import Goal, Measure, Row, Sample, Spread, interleaved, ratio, spread
from benchmarks._mail import MAILBOX, PREFIXES
from benchmarks._server import running_server

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["measures"]

ROUNDS: Final = 21
CLICK: Final = "click alone"
AIOHTTP: Final = "import aiohttp"

CLICK_ALONE: Final = ("-c", "import click; click.command()(lambda: None).main(['--help'])")
HELPS: Final = {
    CLICK: CLICK_ALONE,
    "tempmailg --help": ("-m", "tempmailg", "--help"),
    "tempmailg wait --help": ("-m", "tempmailg", "wait", "--help"),
    "tempmailg demo --help": ("-m", "tempmailg", "demo", "--help"),
}
CALLS: Final = {
    AIOHTTP: ("-c", "import aiohttp"),
    "tempmailg messages": ("-m", "tempmailg", "messages", "--json", MAILBOX),
}
WAIT: Final = ("-m", "tempmailg", "wait", "--code", "--timeout", "20", MAILBOX)


def measures(*, short: bool) -> list[Measure]:
    """Measure whole programs, from their start to their end, and the end of a wait."""
    rounds = 1 if short else ROUNDS
    with tempfile.TemporaryDirectory() as bytecode:
        environment = _environment(bytecode)
        helps = _programs("Help at the shell", HELPS, CLICK, 1.5, environment, rounds)
        with running_server() as origin:
            environment["TEMPMAILG_BASE_URL"] = origin + PREFIXES[1]
            calls = _programs("One call at the shell", CALLS, AIOHTTP, 1.15, environment, rounds)
        return [helps, calls, _waits(environment, rounds)]


def _environment(bytecode: str) -> dict[str, str]:
    """Return an environment in which everything is compiled after the first run, and no file of the user is read."""
    return os.environ | {
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": bytecode,
        "TEMPMAILG_API_KEY": "tm_benchmark",
        "HOME": bytecode,
        "XDG_STATE_HOME": bytecode,
    }


def _programs(
    title: str,
    programs: Mapping[str, tuple[str, ...]],
    baseline: str,
    limit: float,
    environment: dict[str, str],
    rounds: int,
) -> Measure:
    contestants = {name: partial(_run, arguments, dict(environment)) for name, arguments in programs.items()}
    for run in contestants.values():
        run()  # writes the bytecode and warms the disk's cache
    samples = interleaved(contestants, rounds)
    ratios = {name: _ratio(samples, name, baseline) for name in programs}
    rows = [
        Row(name, {"clock ms": spread(sample.wall * 1e3 for sample in taken).median}, ratios[name])
        for name, taken in samples.items()
    ]
    goals = [Goal(f"CPU, {name} / {baseline}", limit, ratios[name]) for name in programs if name != baseline]
    return Measure(title, rows, goals, baseline)


def _run(arguments: tuple[str, ...], environment: dict[str, str]) -> Sample:
    """Run a program in a new interpreter."""
    cpu, begun = _cpu_of_children(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
    return Sample(1, time.perf_counter() - begun, _cpu_of_children() - cpu)


def _waits(environment: dict[str, str], rounds: int) -> Measure:
    """Measure from the answer that holds the code, leaving the server, to the code on the command's stdout."""
    with Answerer() as answerer:
        environment = environment | {"TEMPMAILG_BASE_URL": answerer.url}
        _printed(answerer, environment)
        taken = spread(_printed(answerer, environment) * 1e3 for _ in range(rounds))
    goals = [Goal("ms from the poll's answer to the code on stdout", 50, taken)]
    return Measure("tempmailg wait --code", [Row("tempmailg wait --code", {"clock ms": taken.median})], goals)


def _printed(answerer: Answerer, environment: dict[str, str]) -> float:
    with subprocess.Popen([sys.executable, *WAIT], stdout=subprocess.PIPE, text=True, env=environment) as program:
        line = program.stdout.readline() if program.stdout else ""
        printed = time.perf_counter()
    if line.strip() != answerer.CODE:
        raise RuntimeError(f"the command printed {line!r}")
    return printed - answerer.answered


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _ratio(samples: dict[str, list[Sample]], name: str, baseline: str) -> Spread:
    return ratio((sample.cpu for sample in samples[name]), (sample.cpu for sample in samples[baseline]))
