"""The benchmarks work. What they measure is for people to judge: nothing here judges a time."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support.redis_server import needs_redis

from benchmarks import _nginx as nginx
from benchmarks import _plots as plots
from benchmarks import _publish as publish
from benchmarks import _several as several
from benchmarks import command, fleet, plugin
from benchmarks._harness import (
    Goal,
    Measure,
    Row,
    Spread,
    as_json,
    interleaved,
    ratio,
    show,
    spread,
)
from benchmarks._mail import PREFIXES, answer_body
from benchmarks._server import running_server
from benchmarks._worker import Worker
from tempmailg import Message
from tempmailg._convert import Decoder

ROOT = Path(__file__).parents[1]


def measure() -> Measure:
    figures = {"CPU µs/call": 100.0, "calls/s": 9_000.0}
    rows = [
        Row("tempmailg", figures, Spread(0.5, 0.4, 0.6)),
        Row("a < b", {**figures, "CPU µs/call": 200.0}, Spread(1, 1, 1)),
    ]
    goals = [Goal("CPU, tempmailg / a < b", 1.0, Spread(0.5, 0.4, 0.6))]
    return Measure("Some calls", rows, goals, "a < b", command="python -m benchmarks listing")


def test_the_command_measures_what_it_is_told_and_writes_it_down(tmp_path: Path) -> None:
    """One command runs benchmarks by name, shows a table with goals, and writes JSON for the plot and the README."""
    file = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "server", "--short", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "floor + json" in done.stdout
    results = json.loads(file.read_text())
    assert results["machine"]["python"]
    assert [goal["limit"] for goal in results["measures"][0]["goals"]] == [3]


def test_the_answers_are_as_documented() -> None:
    """A message that lacked a new field would be read by the slower way, and no figure would be that of users."""
    for message in json.loads(answer_body(8))["messages"]:
        assert Decoder().quick(Message)(message) is not None


def test_an_unknown_name_is_refused() -> None:
    """A mistyped name measures nothing and says so, instead of measuring everything else."""
    command = [sys.executable, "-m", "benchmarks", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no such benchmark: nothing" in done.stderr


def test_contestants_do_the_same_work() -> None:
    """The client and what one would write by hand read the same fields from the same bytes."""
    with running_server() as origin:
        read: list[Any] = []
        for name in ("tempmailg", "aiohttp + json + dataclasses"):
            with Worker(name, origin + PREFIXES[50], concurrency=2) as worker:
                assert worker.run(4).calls == 4
                read.append(worker.fields)
    assert read[0] == read[1]
    assert len(read[0]) == 50


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_contestants_take_turns_in_one_process(loop: str) -> None:
    """Both make their calls on the loop that was asked for, and each is measured alone."""
    pytest.importorskip(loop)
    with (
        running_server() as origin,
        Worker("tempmailg", origin + PREFIXES[1], concurrency=2, loop=loop, beside=["aiohttp + json"]) as worker,
    ):
        assert [worker.run(4).calls, worker.run(6, 1).calls, worker.round_of(0.001, 1)().calls] == [4, 6, 8]


def test_rounds_alternate_and_rotate() -> None:
    """Every contestant works once a round, and none always comes first."""
    order: list[str] = []
    interleaved({name: partial(order.append, name) for name in "abc"}, 3)
    assert "".join(order) == "abcbcacab"


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that is slow for a whole round changes no ratio."""
    assert ratio([1.0, 20.0, 3.0], [2.0, 40.0, 6.0]) == Spread(0.5, 0.5, 0.5)
    assert spread([1, 2, 3, 4, 5]) == Spread(3, 2, 4)
    assert spread([7]) == Spread(7, 7, 7)


@pytest.mark.parametrize(("at_most", "measured", "is_met"), [(True, 1.0, True), (True, 1.1, False), (False, 1.1, True)])
def test_goals_say_whether_they_are_met(at_most: bool, measured: float, is_met: bool) -> None:  # noqa: FBT001 - a table
    """A goal is judged by its median, on the right side."""
    goal = Goal("a / b", 1.0, Spread(measured, 0, 9), at_most=at_most)
    assert goal.is_met is is_met
    assert ("MISSED" in str(goal)) is not is_met


def test_the_terminal_shows_every_row_and_goal(capsys: pytest.CaptureFixture[str]) -> None:
    """The table on the terminal holds names, figures, ratios and the verdict."""
    show(measure())
    shown = capsys.readouterr().out
    assert "tempmailg" in shown
    assert "9,000" in shown
    assert "0.5 (0.4 to 0.6): met" in shown


def test_the_plot_is_an_svg_of_the_results() -> None:
    """The plot is well-formed whatever the names are, and its bars are as long as the figures say."""
    picture = ET.fromstring(plots.plot(as_json([measure()])["measures"]))
    bars = [float(bar.attrib["width"]) for bar in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars == [plots.BARS / 2, plots.BARS]


def test_a_readme_gets_its_part_between_the_markers() -> None:
    """Publishing again replaces that part and nothing else."""
    part = publish.costs(as_json([measure()]))
    blank = "before\n<!-- costs: written by `python -m benchmarks --publish` -->\nold\n<!-- /costs -->\nafter\n"
    once = publish.with_part(blank, "costs", part)
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "| **tempmailg** | 100 µs | 0.50 | 9,000 |" in once
    assert "old" not in once
    assert publish.with_part(once, "costs", part) == once


def test_numbers_that_mean_nothing_are_not_published_here() -> None:
    """A trial run of the command leaves the repository's results alone."""
    command = [sys.executable, "-m", "benchmarks", "--short", "--publish"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--into a copy" in done.stderr


def test_every_goal_is_published_with_its_verdict() -> None:
    """The goals say what was to be measured, where, and what came out."""
    lines = publish.goals(as_json([measure()])).splitlines()[2:]
    assert len(lines) == len(measure().goals) > 0
    assert all(measure().title in line and line.endswith(("| met |", "| missed |")) for line in lines)


def test_only_what_compares_calls_is_in_the_table() -> None:
    """A measure without calls a second, such as that of a look, is left to the goals."""
    other = Measure("a look", [Row("tempmailg", {"CPU µs/call": 1.0})])
    assert "a look" not in publish.costs(as_json([measure(), other]))


def test_a_readme_without_markers_is_refused() -> None:
    """A table that has no place is an error, not a silent loss."""
    with pytest.raises(ValueError, match="no place for the results"):
        publish.with_part("nothing here", "costs", "part")


def test_the_plugin_is_measured() -> None:
    """Runs of pytest without the plugin, with it unused, and with a mailbox a test have their rows and goals."""
    (found,) = plugin.measures(short=True)
    assert [row.name for row in found.rows] == [plugin.WITHOUT, plugin.UNUSED, plugin.MAILBOXES]
    assert [goal.limit for goal in found.goals] == [3, 15]
    assert found.rows[2].figures["CPU ms"] > found.rows[0].figures["CPU ms"] > 0


def test_calls_and_waits_of_the_command_are_measured() -> None:
    """The command line's call is compared with importing aiohttp, and its wait ends with the code that was sent."""
    found = {measure.title: measure for measure in command.measures(short=True)}
    assert list(found) == ["Help at the shell", "One call at the shell", "tempmailg wait --code"]
    assert all(goal.measured.median > 0 for measure in found.values() for goal in measure.goals)


def test_eight_attachments_at_once_are_measured(tmp_path: Path) -> None:
    """Asynchronous, blocking and by default, this client saves eight files of each size, and each has its row."""
    files = tmp_path / "www" / nginx.ATTACHMENTS
    with nginx.serving(tmp_path / "www") as (origin, _):
        files.mkdir(parents=True)
        large, small = several.measures(origin, files, tmp_path, short=True)
    assert large.title == "8 attachments of 1 MiB at once to disk"
    assert small.title == "8 attachments of 256 KiB at once to disk"
    ours = [row for row in (*large.rows, *small.rows) if row.name.startswith("tempmailg")]
    assert len(ours) == 6
    assert all(0 < row.figures["ms"] < row.figures["ms, whole process"] for row in ours)


def test_files_at_once_are_compared_by_their_speed() -> None:
    """Half of curl's time is twice its speed, and the goal counts the transfers of large files, not the processes."""
    ours = {"seconds": 1.0, "process": 4.0, "growth": 7.0}
    theirs = {"seconds": 2.0, "process": 2.0}
    taken = {several.OURS: [ours], several.BLOCKING: [ours], several.CURL: [theirs]}
    large, small = (several.compared(taken, size, []) for size in (several.LARGE, several.SMALL))
    assert [row.ratio for row in large.rows] == [Spread(2, 2, 2), Spread(2, 2, 2), Spread(1, 1, 1)]
    assert [(goal.limit, goal.measured.median, goal.at_most) for goal in large.goals] == [(1.5, 2, False)] * 2
    assert small.goals == []


@needs_redis
def test_a_fleet_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """Workers in processes of their own deliver all messages of their shards; each size of the fleet has its row."""
    (found,) = fleet.measures(short=True)
    show(found)
    assert [row.name for row in found.rows] == ["1 worker", "2 workers", "4 workers"]
    assert all(figure > 0 for row in found.rows for name, figure in row.figures.items() if "Redis" not in name)
    assert "400 mailboxes" in capsys.readouterr().out


def test_a_fleet_without_redis_is_not_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The terminal and the manual say which tool is missing, and all else is published."""
    monkeypatch.setenv("PATH", "")
    (found,) = fleet.measures(short=True)
    assert found.notes == ["not measured: redis-server is not installed"]
    show(found)
    assert found.notes[0] in capsys.readouterr().out
    results = as_json([replace(found, command="python -m benchmarks fleet"), measure()])
    assert found.notes[0] in publish.tables("fleet")(results)
    assert "Some calls" in publish.costs(results)


@needs_redis
def test_fleets_of_any_size_are_measured(tmp_path: Path) -> None:
    """The command takes how many workers and mailboxes there are, and writes what it has measured."""
    file = tmp_path / "fleet.json"
    fleet.main(["--workers", "3", "--mailboxes", "30", "--json", str(file)])
    (found,) = json.loads(file.read_text(encoding="utf-8"))["measures"]
    assert [row["name"] for row in found["rows"]] == ["3 workers"]
    assert found["notes"] == ["30 mailboxes with a message each, dealt out to the workers"]


@pytest.mark.parametrize("options", [["--workers", "0"], ["--workers", "2", "4", "--mailboxes", "3"]])
def test_a_worker_without_a_mailbox_is_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A fleet whose shards would be empty is a mistake of the command, said before anything starts."""
    with pytest.raises(SystemExit) as ended:
        fleet.main(options)
    assert ended.value.code == 2
    assert "each worker needs a mailbox" in capsys.readouterr().err
