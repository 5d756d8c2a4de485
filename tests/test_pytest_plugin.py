"""The pytest plugin, used as a user would: in a project of its own, in a pytest of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from support.chromium import chromium

from tempmailg.sandbox import Sandbox

SAMPLE = Path(__file__).parent / "sample_project"
PLAYWRIGHT = Path(__file__).parent / "sample_playwright"
INI = """
[pytest]
filterwarnings = error
"""

# Only the plugins that a test is about: the others of this environment take seconds to load.
ENVIRONMENT = {
    "PATH": "",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
}
OURS = ("-p", "tempmailg.pytest_plugin", "-p", "xdist")
ASYNCHRONOUS = (
    *("-p", "anyio.pytest_plugin", "-p", "pytest_asyncio.plugin"),
    *("-o", "asyncio_default_fixture_loop_scope=function"),
)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_pytest(tmp_path: Path) -> Run:
    """Run pytest in a project of its own, away from this one's settings."""

    def run(*arguments: str, plugins: tuple[str, ...] = OURS, **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "pytest.ini").write_text(INI, encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *plugins, *arguments],
            cwd=tmp_path,
            env=ENVIRONMENT | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )

    return run


def outcome(run: subprocess.CompletedProcess[str]) -> str:
    """Return the closing line, without its time."""
    assert run.stdout, run.stderr
    return run.stdout.strip().splitlines()[-1].partition(" in ")[0]


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "two workers"])
def test_the_sample_project_passes(run_pytest: Run, tmp_path: Path, options: list[str]) -> None:
    """A sign-up by mail is tested with plain functions, pytest-asyncio and anyio, alone and under pytest-xdist."""
    shutil.copytree(SAMPLE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    run = run_pytest(*options, plugins=OURS + ASYNCHRONOUS)
    assert outcome(run) == "6 passed", run.stdout + run.stderr


def test_the_playwright_project_passes(run_pytest: Run, tmp_path: Path) -> None:
    """A browser signs up, opens the mail on the sandbox's page and clicks its link, blocking and asynchronously."""
    folder = Path(chromium()).parent
    shutil.copytree(PLAYWRIGHT, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    run = run_pytest(plugins=OURS + ASYNCHRONOUS, PATH=f"{folder}{os.pathsep}{os.defpath}", HOME=str(tmp_path))
    assert outcome(run) == "2 passed", run.stdout + run.stderr


def test_each_test_has_a_fresh_mailbox_that_is_deleted(run_pytest: Run, tmp_path: Path) -> None:
    """No test sees another's mailbox, and none is left behind."""
    (tmp_path / "test_it.py").write_text(
        """
import pytest
import tempmailg

seen = []

@pytest.mark.parametrize("n", [1, 2])
def test_fresh(n, tempmailg_mailbox, tempmailg_client):
    assert tempmailg_client.list_messages(tempmailg_mailbox) == []
    seen.append(tempmailg_mailbox)

def test_gone(tempmailg_client):
    assert len({mailbox.email for mailbox in seen}) == 2
    for mailbox in seen:
        with pytest.raises(tempmailg.NotFoundError):
            tempmailg_client.list_messages(mailbox)
""",
        encoding="utf-8",
    )
    run = run_pytest()
    assert outcome(run) == "3 passed", run.stdout + run.stderr


def test_a_failure_shows_what_arrived_but_no_code(run_pytest: Run, tmp_path: Path) -> None:
    """The report of a failed test lists the arrivals of its mailbox; codes and bodies stay out of the log."""
    (tmp_path / "test_it.py").write_text(
        """
def test_it(tempmailg_mailbox, tempmailg_sandbox):
    code = 482913
    tempmailg_sandbox.deliver(
        tempmailg_mailbox, subject=f"Code {code} for you", text=f"It is {code}", sender="a@b.example"
    )
    assert 1 + 1 == 3
""",
        encoding="utf-8",
    )
    report = run_pytest().stdout
    assert "what arrived in the tempmailg mailbox" in report
    assert "1 message(s)" in report
    assert "a@b.example  'Code ••• for you', 12 characters of text" in report
    arrivals = report.partition("what arrived in the tempmailg mailbox")[2]
    assert "482913" not in arrivals.partition("short test summary")[0]


LIVE = """
import pytest

@pytest.mark.parametrize("n", range(3))
def test_mailbox(n, tempmailg_mailbox, tempmailg_client):
    assert tempmailg_client.list_messages(tempmailg_mailbox) == []

def test_sandbox_only(tempmailg_sandbox):
    pass
"""


def test_live_runs_spare_the_quota_and_say_what_they_cost(run_pytest: Run, tmp_path: Path) -> None:
    """On the real service a mailbox is renewed rather than made anew, and the run's cost is told."""
    (tmp_path / "test_it.py").write_text(LIVE, encoding="utf-8")
    with Sandbox() as service:  # another process's sandbox plays the real service
        environment = {"TEMPMAILG_API_KEY": service.api_key, "TEMPMAILG_BASE_URL": service.base_url}
        run = run_pytest("--tempmailg-live", **environment)
        sent = [entry.endpoint for entry in service.journal]
    assert outcome(run) == "3 passed, 1 skipped", run.stdout + run.stderr
    assert sent == ["create_mailbox", "list_messages"] + ["update_mailbox", "list_messages"] * 2 + ["delete_mailbox"]
    assert "tempmailg: 7 requests of the quota spent, 49993 left" in run.stdout


def test_live_costs_are_added_up_over_workers(run_pytest: Run, tmp_path: Path) -> None:
    """Under pytest-xdist the summary counts what all workers sent."""
    (tmp_path / "test_it.py").write_text(LIVE, encoding="utf-8")
    with Sandbox() as service:
        environment = {"TEMPMAILG_API_KEY": service.api_key, "TEMPMAILG_BASE_URL": service.base_url}
        run = run_pytest("--tempmailg-live", "-n", "2", **environment)
        sent = len(service.journal)
    assert outcome(run) == "3 passed, 1 skipped", run.stdout + run.stderr
    assert f"tempmailg: {sent} requests of the quota spent" in run.stdout


def test_live_without_a_key_says_what_to_do(run_pytest: Run, tmp_path: Path) -> None:
    """Without a key the fixtures fail with one line of advice."""
    (tmp_path / "test_it.py").write_text(LIVE, encoding="utf-8")
    run = run_pytest("--tempmailg-live")
    assert "no API key: pass api_key=… or set TEMPMAILG_API_KEY" in run.stdout


def test_the_plugin_loads_nothing_heavy(run_pytest: Run, tmp_path: Path) -> None:
    """A project that does not use the fixtures pays for no HTTP client."""
    (tmp_path / "test_it.py").write_text(
        """
import sys

def test_it():
    assert not {"aiohttp", "attrs", "cattrs", "tempmailg._client", "tempmailg.sandbox"} & set(sys.modules)
""",
        encoding="utf-8",
    )
    run = run_pytest()
    assert outcome(run) == "1 passed", run.stdout + run.stderr


def test_the_plugin_is_found_without_being_named() -> None:
    """An installed package announces the plugin to pytest."""
    (point,) = [point for point in entry_points(group="pytest11") if point.name == "tempmailg"]
    assert point.value == "tempmailg.pytest_plugin"
