"""``python -m benchmarks [NAME…] [--short] [--json FILE] [--publish]``: measure, show, keep."""

from __future__ import annotations

import argparse
import importlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks._harness import as_json, show
from benchmarks._publish import publish, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._harness import Measure

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
    parser.add_argument("--publish", action="store_true", help="write the results, their plots and all that shows them")
    parser.add_argument("--into", type=Path, default=HERE.parent, metavar="FOLDER", help="a copy of the repository")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(SUBJECTS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if options.publish and options.names:
        parser.error("--publish replaces all results, so everything must be measured: leave the names out")
    if options.publish and options.short and options.into == HERE.parent:
        parser.error("--short measures nothing that should be published here: write it --into a copy")
    found: list[Measure] = []
    for name in options.names or SUBJECTS:
        found += _run(name, short=options.short)
    results = as_json(found)
    if options.json:
        write_json(options.json, results)
    if options.publish:
        publish(results, options.into)


def _run(name: str, *, short: bool) -> list[Measure]:
    subject = importlib.import_module(f"benchmarks.{name}")
    found: list[Measure] = subject.measures(short=short)
    measures = [replace(measure, command=f"python -m benchmarks {name}") for measure in found]
    for measure in measures:
        show(measure)
    return measures


if __name__ == "__main__":
    main()
