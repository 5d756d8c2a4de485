"""Each number that the manuals show is one that was measured and kept, or one that was decided."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))  # the benchmarks are a package of the repository, not of the installation

from benchmarks import __main__ as command  # noqa: E402 - behind the path that makes it importable
from benchmarks import _publish as publish  # noqa: E402 - the same
from benchmarks import _results as kept  # noqa: E402 - the same
from benchmarks._harness import Measure, Row, machine  # noqa: E402 - the same

MANUALS = (
    "README.md",
    "benchmarks/README.md",
    *(str(path.relative_to(ROOT)) for path in ROOT.glob("tempmailg/**/README.md")),
)

NOTEBOOK = ("Where the time goes", "What was tried")
"""Sections of the benchmarks' manual that record experiments, each with how it was measured; nothing repeats them."""

FIGURE = re.compile(
    r"(?<![\w.,/#-])\d[\d,]*(?:\.\d+)?(?:\s?(?:to|–|→|or|and)\s?\d[\d,]*(?:\.\d+)?)?"  # noqa: RUF001 -- ranges
    r"(?:\s?(?:%|×|µs|ms|s|[KMG]i?B|F1)(?!\w)"  # noqa: RUF001 -- the sign of ratios
    r"|\s(?:times|seconds|bytes|(?:[a-z-]+ )?tests a day|(?:messages|requests|calls|polls)(?:/s| a second))(?!\w))"
)
"""A number with a unit or of a ratio."""

DECIDED = {
    "benchmarks/README.md": {
        "512 MiB": "the size of the attachment that is downloaded",
        "64 MiB": "the size of each of eight that are downloaded at once",
        "256 KiB": "the same, of small ones",
        "95 %": "the confidence of the intervals",
    },
    "tempmailg/README.md": {
        "32 MiB": "the limits of what `render` embeds, and of what a watch holds",
        "6 s": "the arrivals that a client assumes before it has seen any",
        "95 %": "the same",
        "40 s": "the same",
        "0 s": "a poll that is left out",
        "1 s": "a poll that is left out",
        "1 KiB": "the slowest download that is accepted",
        "30 s": "the window of that speed",
        "16 MiB": "the limit of an answer",
        "600 seconds": "the life of a mailbox in the service's documentation",
    },
    "tempmailg/_cli/README.md": {
        "64 KiB": "the limit of a file with a key",
        "1 GiB": "the limit of a file with a state",
        "0.8 seconds": "how long a clean-up may take after a signal",
    },
    "tempmailg/_mcp/README.md": {
        "30 to 60 seconds": "when hosts of agents give a call up",
        "25 MB": "the limit of a saved attachment",
        "1.8 seconds": "how long the server's end may take",
    },
    "tempmailg/sandbox/README.md": {
        "600 seconds": "the life of a mailbox",
        "256 MiB": "the limit of the journal",
        "0.8 seconds": "how long a clean-up may take after a signal",
    },
}
"""Numbers in running text that nobody measured: limits, defaults and definitions, with what each is."""


def figures(manual: str, text: str) -> list[str]:
    """Return the numbers that stand in a manual's running text: outside of code, written parts and the notebook."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!-- (\w+): written by .*?<!-- /\1 -->", "", text, flags=re.DOTALL)
    if manual == "benchmarks/README.md":
        text = re.sub(rf"^## (?:{'|'.join(NOTEBOOK)})\n.*?(?=^## |\Z)", "", text, flags=re.DOTALL | re.MULTILINE)
    return FIGURE.findall(re.sub(r"`[^`\n]*`", "", text))


@pytest.mark.parametrize("manual", MANUALS)
def test_a_number_in_running_text_was_decided_and_not_measured(manual: str) -> None:
    """What was measured stands in a part that is written from the results: no number outlives its measurement."""
    found = set(figures(manual, (ROOT / manual).read_text(encoding="utf-8")))
    assert found == DECIDED.get(manual, {}).keys(), "let benchmarks/_publish.py write it, or say here who decided it"


@pytest.mark.parametrize(
    "said", ["0.33 times", "1.7 KB", "1,135 messages a second", "8 to 10 %", "400 sign-up tests a day"]
)
def test_a_number_that_somebody_writes_by_hand_is_found(said: str) -> None:
    """Whatever the unit, a number in a sentence is seen, and one in code or in a written part is not."""
    part = "<!-- costs: written by `python -m benchmarks --publish` -->\n| 7 ms |\n<!-- /costs -->"
    text = f"It takes {said}, or `9 s`.\n{part}\n```sh\nsleep 5 s\n```\n"
    assert figures("README.md", text) == [said]


@pytest.mark.parametrize("manual", publish.PARTS)
def test_the_manuals_show_the_results_that_are_kept(manual: str) -> None:
    """No number of a written part was changed by hand, and none is older than the results."""
    results, text = kept.published(ROOT), (ROOT / manual).read_text(encoding="utf-8")
    for name, part in publish.PARTS[manual].items():
        assert publish.with_part(text, name, part(results)) == text, f"{name}: publish again"


def test_the_readme_shows_each_kind_beside_two_peers_with_intervals_and_what_goes_wrong() -> None:
    """Codes, links and invitations stand beside others, each share with both intervals, and the misses are counted."""
    results = kept.published(ROOT)
    part = publish.found(results)
    rows = [line for line in part.splitlines() if line.startswith("| ") and "Precision" not in line]
    for _, name, figures_of in publish.KINDS:
        assert len([row for row in rows if row.startswith((f"| **{name}** |", f"| {name}, "))]) == 3
        assert re.search(rf"^{name}: [a-z ]+ \(\d+\)", part, re.MULTILINE)
        assert results["extraction"][figures_of]
    share = r"(?:0\.\d{3}|1\.000)"
    both = rf"{share} \({share}\u2013{share}; {share}\u2013{share}\)"
    assert all(len(re.findall(both, row)) == 2 for row in rows)


def test_every_measure_is_shown_with_its_command_and_its_machine() -> None:
    """A new measure arrives in the manual by itself, and the reader can repeat it."""
    results = kept.published(ROOT)
    manual = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert f"{results['machine']['processor']}, {results['machine']['system']}" in manual
    for measure in results["measures"]:
        assert f"| {measure['title']} |" in manual
        assert re.search(rf"^`{re.escape(measure['command'])}`, \d{{4}}-\d\d-\d\d\b", manual, re.MULTILINE)


def copied(folder: Path) -> Path:
    """Return a copy of what publishing changes."""
    for manual in (*publish.PARTS, "benchmarks/extraction.json", "benchmarks/results.json"):
        (folder / manual).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / manual, folder / manual)
    return folder


def test_publishing_writes_the_results_the_pictures_and_the_manuals(tmp_path: Path) -> None:
    """One command replaces all numbers: what was measured anew stands in every document that shows it."""
    copied(tmp_path)
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    for measure in results["measures"]:
        for row in measure["rows"]:
            row["figures"] = dict.fromkeys(row["figures"], 777_777.0)
    publish.publish(results, tmp_path)
    assert json.loads((tmp_path / "benchmarks" / "results.json").read_text(encoding="utf-8")) == results
    assert "777,777 s late" in (tmp_path / "tempmailg" / "README.md").read_text(encoding="utf-8")
    for picture in ("results.svg", "waiting.svg"):
        assert (tmp_path / "benchmarks" / picture).read_text(encoding="utf-8").endswith("</svg>\n")
    shown = (tmp_path / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert all(f"| {measure['title']} | " in shown for measure in results["measures"])


class Subject:
    """A benchmark that gives what it is made with, or raises it."""

    def __init__(self, outcome: list[Measure] | Exception) -> None:
        self._outcome = outcome

    def measures(self, *, short: bool) -> list[Measure]:
        assert short
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def publish_some(monkeypatch: pytest.MonkeyPatch, folder: Path, **subjects: Subject) -> int:
    """Publish subjects into a copy of the repository, and return the status of the process."""
    for name, subject in subjects.items():
        monkeypatch.setitem(sys.modules, f"benchmarks.{name}", subject)
    with pytest.raises(SystemExit) as ended:
        command.main([*subjects, "--short", "--publish", "--into", str(folder)])
    return int(ended.value.code or 0)


def of(subject: str, root: Path) -> list[dict[str, Any]]:
    """Return the measures of a subject that a repository holds."""
    return [dict(each) for each in kept.of_subject(subject, kept.kept_results(root))]


def test_a_subject_that_fails_keeps_its_numbers_and_takes_nothing_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fifteen minutes of measuring are not lost to one failure, which is reported at the end and in the status."""
    root = copied(tmp_path)
    broken = subprocess.CalledProcessError(1, "redis-server", stderr="no memory\n")
    anew = Subject([Measure("The server anew", [Row("floor", {"answers/s": 777_777.0})])])
    assert publish_some(monkeypatch, root, fleet=Subject(broken), server=anew) == 1
    assert [(each["title"], each["date"]) for each in of("server", root)] == [
        ("The server anew", f"{datetime.now(UTC):%Y-%m-%d}")
    ]
    ours = machine()
    for subject in ("fleet", "listing"):
        assert [{**each, "machine": each.get("machine", ours)} for each in of(subject, root)] == [
            {**each, "machine": kept.kept_results(ROOT)["machine"]} for each in of(subject, ROOT)
        ]
    shown = (root / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert "| floor | 777,777 |" in shown
    assert all(f"| {each['title']} |" in shown for each in of("fleet", ROOT))
    last = capsys.readouterr().err.rpartition("fleet failed; its old numbers were kept: ")[2]
    assert "'redis-server' returned non-zero exit status 1" in last
    assert last.endswith("no memory\n\n")


def test_what_was_measured_is_on_the_disk_before_the_next_subject_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who interrupts the command keeps the results up to there."""
    root = copied(tmp_path)

    class Interrupted(Subject):
        def measures(self, *, short: bool) -> list[Measure]:
            raise KeyboardInterrupt

    anew = Subject([Measure("The server anew", [])])
    with pytest.raises(KeyboardInterrupt):
        publish_some(monkeypatch, root, server=anew, waiting=Interrupted([]))
    assert [each["title"] for each in of("server", root)] == ["The server anew"]


def one_of(subject: str) -> dict[str, Any]:
    """Return a measure of a subject, as results hold it."""
    command = f"python -m benchmarks {subject}"
    return {"title": subject, "command": command, "date": "2020-01-01", "baseline": "", "rows": [], "notes": []}


def test_numbers_from_another_machine_name_it() -> None:
    """A subject that was kept is not said to have been measured on the machine that measured the others."""
    old: dict[str, str] = {"processor": "a z80", "system": "CP/M", "python": "none"}
    new: dict[str, str] = {**old, "processor": "a 6502"}
    fleet, server, gone = map(one_of, ("fleet", "server", "gone"))
    measured: kept.Results = {"machine": new, "measures": [server]}
    subjects = ["fleet", "server"]
    once = kept.with_kept(measured, {"machine": old, "measures": [fleet, server, gone]}, subjects)
    again = kept.with_kept(measured, once, subjects)
    assert again["measures"] == once["measures"] == [{**fleet, "machine": old}, server]
    assert publish.tables("fleet")(again).endswith("2020-01-01, a z80, CP/M, none.")
    assert publish.tables("server")(again).endswith("2020-01-01, a 6502, CP/M, none.")
