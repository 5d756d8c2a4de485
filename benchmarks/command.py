"""How long the command line needs to show a help text, beside the smallest program that click can make."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from functools import partial
from typing import Final

from benchmarks._harness import Goal, Measure, Row, Sample, Spread, interleaved, ratio, spread

__all__ = ["measures"]

ROUNDS: Final = 21
BASELINE: Final = "click alone"

CLICK_ALONE: Final = ("-c", "import click; click.command()(lambda: None).main(['--help'])")
PROGRAMS: Final = {
    BASELINE: CLICK_ALONE,
    "tempmailg --help": ("-m", "tempmailg", "--help"),
    "tempmailg wait --help": ("-m", "tempmailg", "wait", "--help"),
    "tempmailg demo --help": ("-m", "tempmailg", "demo", "--help"),
}


def measures(*, short: bool) -> list[Measure]:
    """Measure whole programs, from their start to their end."""
    contestants = {name: partial(_run, arguments) for name, arguments in PROGRAMS.items()}
    for run in contestants.values():
        run()  # writes the bytecode and warms the disk's cache
    samples = interleaved(contestants, 1 if short else ROUNDS)
    rows = [
        Row(name, {"clock ms": spread(sample.wall * 1e3 for sample in taken).median}, _ratio(samples, name))
        for name, taken in samples.items()
    ]
    goals = [Goal(f"CPU, {name} / {BASELINE}", 1.5, _ratio(samples, name)) for name in PROGRAMS if name != BASELINE]
    return [Measure("Help at the shell", rows, goals, BASELINE)]


def _run(arguments: tuple[str, ...]) -> Sample:
    """Run a program in a new interpreter."""
    cpu, begun = _cpu_of_children(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return Sample(1, time.perf_counter() - begun, _cpu_of_children() - cpu)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _ratio(samples: dict[str, list[Sample]], name: str) -> Spread:
    return ratio((sample.cpu for sample in samples[name]), (sample.cpu for sample in samples[BASELINE]))
