"""How measuring is done: rounds that alternate between the contestants, medians, and ratios within a round.

A machine is never quite idle, and never twice the same. So nothing here is compared with a number from another run: in
each round every contestant works once, in an order that rotates, and what counts is its ratio to the baseline of the
same round. The table shows the median of these ratios and, as their spread, the quartiles.
"""

from __future__ import annotations

import platform
import statistics
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import tempmailg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Goal", "Measure", "Row", "Sample", "Spread", "as_json", "figure", "interleaved", "ratio", "show", "spread"]

T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """What a number of calls took.

    Args:
        calls: How many there were.
        wall: Seconds on the clock.
        cpu: Seconds of the processor, in all threads of the process.
    """

    calls: int
    wall: float
    cpu: float

    @property
    def wall_each(self) -> float:
        """Seconds on the clock for one call."""
        return self.wall / self.calls

    @property
    def cpu_each(self) -> float:
        """Seconds of the processor for one call."""
        return self.cpu / self.calls


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{figure(self.median)} ({figure(self.low)} to {figure(self.high)})"


@dataclass(frozen=True)
class Row:
    """One line of a measure's table.

    Args:
        name: Whose line it is.
        figures: What was measured, by column.
        ratio: How much of the measure's main quantity it takes, compared with the baseline.
    """

    name: str
    figures: Mapping[str, float]
    ratio: Spread | None = None


@dataclass(frozen=True)
class Goal:
    """What a measured quantity, mostly a ratio, should be.

    Args:
        text: Which quantity.
        limit: What it should be.
        measured: What it was.
        at_most: Whether it should be at most the limit; at least if not.
    """

    text: str
    limit: float
    measured: Spread
    at_most: bool = True

    @property
    def is_met(self) -> bool:
        """Whether the median is on the right side of the limit."""
        return self.measured.median <= self.limit if self.at_most else self.measured.median >= self.limit

    def __str__(self) -> str:
        verdict = "met" if self.is_met else "MISSED"
        return f"{self.text}: {'≤' if self.at_most else '≥'} {self.limit:g}, measured {self.measured}: {verdict}"


@dataclass(frozen=True)
class Measure:
    """A table of rows with its goals.

    Args:
        title: What was measured.
        rows: The lines.
        goals: What the ratios should be.
        baseline: Whose line the rows' ratios are compared with.
        notes: What a reader should know, such as who could not take part.
        command: What measures it again.
    """

    title: str
    rows: Sequence[Row]
    goals: Sequence[Goal] = ()
    baseline: str = ""
    notes: Sequence[str] = field(default=())
    command: str = ""


# ---------------------------------------------------------------------------------------------------- measuring


def interleaved(contestants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Let each contestant work once a round, in an order that rotates, and return what each gave."""
    names = list(contestants)
    results: dict[str, list[T]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            results[name].append(contestants[name]())
    return results


def ratio(of: Iterable[float], to: Iterable[float]) -> Spread:
    """Return the ratio of two series, taken within each round."""
    return spread(mine / theirs for mine, theirs in zip(of, to, strict=True))


def spread(values: Iterable[float]) -> Spread:
    """Return median and quartiles."""
    several = list(values)
    if len(several) == 1:
        return Spread(several[0], several[0], several[0])
    low, median, high = statistics.quantiles(several, n=4, method="inclusive")
    return Spread(median, low, high)


# ---------------------------------------------------------------------------------------------------- showing


def show(measure: Measure) -> None:
    """Print a measure as a table, its goals below."""
    columns = list(measure.rows[0].figures) if measure.rows else []  # no rows where a tool is missing
    head = ["", *columns, *([f"x {measure.baseline}"] if measure.baseline else [])]
    lines = [head, *([row.name, *_cells(row)] for row in measure.rows)]
    widths = [max(len(line[column]) for line in lines if column < len(line)) for column in range(len(head))]
    print(f"\n{measure.title}")
    for line in lines:
        first, *others = (cell.rjust(width) for cell, width in zip(line, widths, strict=False))
        print("  " + "  ".join([first.strip().ljust(widths[0]), *others]).rstrip())
    for remark in [*measure.goals, *measure.notes]:
        print(f"  - {remark}")


def _cells(row: Row) -> list[str]:
    return [*map(figure, row.figures.values()), str(row.ratio or "")]


def figure(value: float) -> str:
    """Write a number with three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def as_json(measures: Sequence[Measure]) -> dict[str, Any]:
    """Return measures as plain data, with their date and the machine that they come from."""
    today = datetime.now(UTC).date().isoformat()
    return {
        "machine": machine(),
        "measures": [
            asdict(measure)
            | {"date": today, "goals": [asdict(goal) | {"is_met": goal.is_met} for goal in measure.goals]}
            for measure in measures
        ],
    }


def machine() -> dict[str, str]:
    """Return what ran the benchmark: processor, system, Python, and the packages that matter."""
    packages = ("aiohttp", "attrs", "cattrs", "anyio", "orjson", "uvloop", "httpx", "pydantic", "requests", "urllib3")
    return {
        "processor": _processor(),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "tempmailg": tempmailg.__version__,
    } | {package: _version(package) for package in packages}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
