"""What was measured, as JSON in the repository: each subject's numbers stay until it is measured again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = [
    "Results",
    "kept_results",
    "machine_of",
    "of_subject",
    "published",
    "with_kept",
    "write_json",
    "write_results",
]

Results = dict[str, Any]


def kept_results(root: Path) -> Results:
    """Return the results that a repository holds."""
    results: Results = json.loads((root / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    return results


def published(root: Path) -> Results:
    """Return the results that a repository holds, with those on mail that it does not hold."""
    extraction = json.loads((root / "benchmarks" / "extraction.json").read_text(encoding="utf-8"))
    return kept_results(root) | {"extraction": extraction}


def write_results(root: Path, results: Results) -> None:
    """Write the results into a repository, and nothing that shows them."""
    write_json(root / "benchmarks" / "results.json", results)


def write_json(path: Path, results: Results) -> None:
    """Write results as people can read them."""
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def with_kept(measured: Results, kept: Results, subjects: Sequence[str]) -> Results:
    """Return what was measured, and the kept measures of all other subjects, with their dates and their machines.

    Args:
        measured: What was measured now.
        kept: What was measured before.
        subjects: All that there are, in their order; measures of others are dropped.
    """
    measures: list[Mapping[str, Any]] = []
    for subject in subjects:
        measures += of_subject(subject, measured) or _kept(subject, kept, measured)
    return measured | {"measures": measures}


def _kept(subject: str, kept: Results, measured: Results) -> list[Mapping[str, Any]]:
    """Return a subject's kept measures; one from another machine than the new results says from which."""
    measures: list[Mapping[str, Any]] = []
    for measure in of_subject(subject, kept):
        machine = machine_of(measure, kept)
        alone = {name: value for name, value in measure.items() if name != "machine"}
        measures.append(alone if machine == measured["machine"] else {**alone, "machine": machine})
    return measures


def machine_of(measure: Mapping[str, Any], results: Results) -> Mapping[str, Any]:
    """Return what ran a measure: its own machine if it has been kept from a run on another."""
    machine: Mapping[str, Any] = measure.get("machine", results["machine"])
    return machine


def of_subject(subject: str, results: Results) -> Sequence[Mapping[str, Any]]:
    """Return the measures of a subject."""
    return [measure for measure in results["measures"] if measure["command"] == f"python -m benchmarks {subject}"]
