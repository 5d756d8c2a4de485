"""The Robot Framework library, used as a tester would: suites, run by the real runner."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from tempmailg.sandbox import Sandbox

SUITE = Path(__file__).parent / "robot" / "sign_up.robot"
COVERAGE = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


@frozen
class Run:
    """What a run of the suite left behind."""

    process: subprocess.CompletedProcess[str]
    reports: Path
    sent: list[str]
    api_key: str


def run_robot(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the suite away from this project, with warnings as errors; the reports go to a folder of their own."""
    options = ["--outputdir", str(folder), "--loglevel", "TRACE", "--debugfile", "debug.txt"]
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "robot", *options, str(SUITE)],
        cwd=folder,
        env={"PATH": "", "PYTHONDONTWRITEBYTECODE": "1", **COVERAGE, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The suite, run once: it takes seconds."""
    folder = tmp_path_factory.mktemp("reports")
    with Sandbox() as service:
        process = run_robot(
            folder,
            TEMPMAILG_API_KEY=service.api_key,
            TEMPMAILG_BASE_URL=service.base_url,
            SMTP_PORT=str(service.smtp_port),
        )
        sent = [str(entry.endpoint) for entry in service.journal if entry.status == 200]
        return Run(process, folder, sent, service.api_key)


def test_a_sign_up_is_tested_with_the_five_keywords(finished: Run) -> None:
    """Each keyword does what it says, in a suite that Robot Framework runs against real mail."""
    assert finished.process.returncode == 0, finished.process.stdout + finished.process.stderr
    assert "5 tests, 5 passed, 0 failed" in finished.process.stdout
    assert not finished.process.stderr


def test_the_mailboxes_of_tests_and_suites_are_deleted(finished: Run) -> None:
    """What a test made is deleted at its end, what the suite's setup made, at the end of the suite."""
    made = [n for n, endpoint in enumerate(finished.sent) if endpoint == "create_mailbox"]
    deleted = [n for n, endpoint in enumerate(finished.sent) if endpoint == "delete_mailbox"]
    assert len(made) == len(deleted) == 3
    assert deleted[0] < made[2]
    assert deleted[2] == len(finished.sent) - 1


def test_the_key_is_in_no_report(finished: Run) -> None:
    """Not even at the level at which Robot Framework logs each argument does the key or a mailbox's secret appear."""
    reports = [path.read_text(encoding="utf-8") for path in finished.reports.iterdir()]
    assert len(reports) == 4
    assert not [text for text in reports if finished.api_key in text or "email_token" in text]


def test_a_missing_key_fails_the_keyword_with_advice(tmp_path: Path) -> None:
    """Without a key the library loads, and the first keyword says what to do."""
    run = run_robot(tmp_path, SMTP_PORT="1")
    assert run.returncode == 5
    assert "no API key: pass api_key=… or set TEMPMAILG_API_KEY" in run.stdout.replace("\n", " ")


def test_the_documentation_of_the_keywords_is_complete(tmp_path: Path) -> None:
    """Robot Framework's own tool documents the five keywords, each with its arguments and an example."""
    target = tmp_path / "keywords.xml"
    run = subprocess.run(
        [sys.executable, "-m", "robot.libdoc", "tempmailg.robot", str(target)],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    text = target.read_text(encoding="utf-8")
    names = ["Clear Mailbox", "Expect Message", "New Mailbox", "Wait For Code", "Wait For Link"]
    assert [name for name in names if f'<kw name="{name}"' in text] == names
    assert text.count("<kw name=") == len(names)
