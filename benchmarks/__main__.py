"""``python -m benchmarks [NAME…] [--short] [--json FILE] [--publish]``: measure, show, keep."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks._harness import as_json, show
from benchmarks._publish import costs, fleets, goals, headline, plot, with_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._harness import Measure

__all__ = ["PARTS", "SUBJECTS", "main"]

HERE: Final = Path(__file__).parent

# Which part of which README is made from the results.
PARTS: Final = ((HERE.parent / "README.md", headline), *((HERE / "README.md", part) for part in (costs, fleets, goals)))

SUBJECTS: Final = tuple(sorted(path.stem for path in HERE.glob("[!_]*.py")))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmarks that the arguments name, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast the client is.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(SUBJECTS)}; by default all"
    )
    parser.add_argument("--short", action="store_true", help="only check that they work: the numbers mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file")
    parser.add_argument("--publish", action="store_true", help="write the results, their plot and tables")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(SUBJECTS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if options.publish and options.names:
        parser.error("--publish replaces all results, so everything must be measured: leave the names out")
    found: list[Measure] = []
    for name in options.names or SUBJECTS:
        found += _run(name, short=options.short)
    results = as_json(found)
    if options.json:
        _write(options.json, results)
    if options.publish:
        _publish(results)


def _run(name: str, *, short: bool) -> list[Measure]:
    subject = importlib.import_module(f"benchmarks.{name}")
    if not hasattr(subject, "measures"):  # it shows its results itself
        subject.main(["--short"] if short else [])
        return []
    measures: list[Measure] = subject.measures(short=short)
    for measure in measures:
        show(measure)
    return measures


def _publish(results: dict[str, Any]) -> None:
    _write(HERE / "results.json", results)
    (HERE / "results.svg").write_text(plot(results), encoding="utf-8")
    for readme, part in PARTS:
        text = with_part(readme.read_text(encoding="utf-8"), part.__name__, part(results))
        readme.write_text(text, encoding="utf-8")


def _write(path: Path, results: dict[str, Any]) -> None:
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
