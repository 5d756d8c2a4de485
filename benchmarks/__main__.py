"""``python -m benchmarks [NAME…] [--short] [--json FILE] [--publish]``: measure, show, keep."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks._harness import as_json, show
from benchmarks._publish import publish
from benchmarks._results import kept_results, with_kept, write_json, write_results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._harness import Measure
    from benchmarks._results import Results

__all__ = ["SUBJECTS", "main"]

HERE: Final = Path(__file__).parent

SUBJECTS: Final = tuple(sorted(path.stem for path in HERE.glob("[!_]*.py")))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmarks that the arguments name, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast the client is.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(SUBJECTS)}; by default all"
    )
    parser.add_argument("--short", action="store_true", help="only check that they work: the numbers mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="write the results, their plots and all that shows them; what is not named, or fails, keeps its numbers",
    )
    parser.add_argument("--into", type=Path, default=HERE.parent, metavar="FOLDER", help="a copy of the repository")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(SUBJECTS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if options.publish and options.short and options.into == HERE.parent:
        parser.error("--short measures nothing that should be published here: write it --into a copy")
    names = options.names or SUBJECTS
    outcome = _Outcome(options.json, options.into if options.publish else None)
    for name in names:
        outcome.take(name, short=options.short)
    if options.publish:
        publish(outcome.results(), options.into)
    sys.exit(outcome.report())


class _Outcome:
    """What the subjects gave so far, on the disk as soon as it is there: one that fails takes nothing from the others.

    Args:
        file: Where to write what was measured, or None.
        root: The repository whose results it replaces, subject by subject, or None.
    """

    def __init__(self, file: Path | None, root: Path | None) -> None:
        self._file = file
        self._root = root
        self._found: list[Measure] = []
        self._failures: dict[str, Exception] = {}

    def take(self, name: str, *, short: bool) -> None:
        """Run one subject and keep what it gives."""
        try:
            self._found += _run(name, short=short)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported, and the next subject has its turn
            traceback.print_exc()
            self._failures[name] = error
            return
        if self._file:
            write_json(self._file, as_json(self._found))
        if self._root:
            write_results(self._root, self.results())

    def results(self) -> Results:
        """Return what was measured, and for all else what the repository had."""
        measured = as_json(self._found)
        return measured if self._root is None else with_kept(measured, kept_results(self._root), SUBJECTS)

    def report(self) -> int:
        """Say on stderr which subjects failed, and why; return the status of the process."""
        for name, error in self._failures.items():
            kept = "; its old numbers were kept" if self._root else ""
            print(f"{name} failed{kept}: {error}\n{_output_of(error)}", file=sys.stderr)
        return 1 if self._failures else 0


def _output_of(error: Exception) -> str:
    """Return what a program wrote to stderr before it failed, if that is what happened."""
    written = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    return (written.decode(errors="replace") if isinstance(written, bytes) else written) or ""


def _run(name: str, *, short: bool) -> list[Measure]:
    subject = importlib.import_module(f"benchmarks.{name}")
    found: list[Measure] = subject.measures(short=short)
    measures = [replace(measure, command=f"python -m benchmarks {name}") for measure in found]
    for measure in measures:
        show(measure)
    return measures


if __name__ == "__main__":
    main()
