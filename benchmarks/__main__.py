"""``python -m benchmarks [NAME…] [--short] [--json FILE] [--publish]``: measure, show, keep."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks._harness import as_json, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks._harness import Measure

__all__ = ["main"]

SUBJECTS: Final = ("listing", "scaling", "startup", "memory", "waiting", "download", "extraction", "sandbox")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmarks that the arguments name, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast the client is.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(SUBJECTS)}; by default all")
    parser.add_argument("--short", action="store_true", help="only check that they work: the numbers mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(SUBJECTS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    found: list[Measure] = []
    for name in options.names or SUBJECTS:
        found += _run(name, short=options.short)
    if options.json:
        options.json.write_text(json.dumps(as_json(found), indent=1, ensure_ascii=False) + "\n")


def _run(name: str, *, short: bool) -> list[Measure]:
    subject = importlib.import_module(f"benchmarks.{name}")
    if not hasattr(subject, "measures"):  # it shows its results itself
        subject.main(["--short"] if short else [])
        return []
    measures: list[Measure] = subject.measures(short=short)
    for measure in measures:
        show(measure)
    return measures


if __name__ == "__main__":
    main()
