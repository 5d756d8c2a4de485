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

from tempmailg import AsyncClient, _fixtures
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


def test_a_failed_setup_shows_what_arrived(run_pytest: Run, tmp_path: Path) -> None:
    """A fixture that signs up and waits for mail fails with the same report as a test, and counts as no test."""
    (tmp_path / "test_it.py").write_text(
        """
import pytest

@pytest.fixture
def signed_up(tempmailg_client, tempmailg_mailbox, tempmailg_sandbox):
    tempmailg_sandbox.deliver(tempmailg_mailbox, subject="Welcome", text="No code today", sender="a@b.example")
    tempmailg_client.wait_for_code(tempmailg_mailbox, timeout=0)

def test_it(signed_up):
    pass
""",
        encoding="utf-8",
    )
    run = run_pytest()
    assert outcome(run) == "1 error", run.stdout + run.stderr
    assert "a@b.example  'Welcome', 13 characters of text" in run.stdout
    assert "_client.py" not in run.stdout.partition("what arrived")[0]


LIVE = """
import pytest

@pytest.mark.parametrize("n", range(3))
def test_mailbox(n, tempmailg_mailbox, tempmailg_client):
    assert tempmailg_client.list_messages(tempmailg_mailbox) == []

def test_sandbox_only(tempmailg_sandbox):
    pass
"""


def test_live_runs_spare_the_quota_and_say_what_they_cost(run_pytest: Run, tmp_path: Path) -> None:
    """On the real service a mailbox is renewed rather than made anew, and the run's cost is reported."""
    (tmp_path / "test_it.py").write_text(LIVE, encoding="utf-8")
    with Sandbox() as service:  # another process's sandbox plays the real service
        environment = {"TEMPMAILG_API_KEY": service.api_key, "TEMPMAILG_BASE_URL": service.base_url}
        run = run_pytest("--tempmailg-live", **environment)
        sent = [entry.endpoint for entry in service.journal]
    assert outcome(run) == "3 passed, 1 skipped", run.stdout + run.stderr
    renewals = ["update_mailbox", "list_messages"] * 2
    assert sent == ["list_domains", "create_mailbox", "list_messages", *renewals, "delete_mailbox"]
    costs = "tempmailg: 8 requests of the quota spent, 49992 left; a test costs 2.7, and 6249 such runs fit until 2"
    assert costs in run.stdout


def test_live_costs_are_added_up_over_workers(run_pytest: Run, tmp_path: Path) -> None:
    """Under pytest-xdist the summary counts what all workers sent."""
    (tmp_path / "test_it.py").write_text(LIVE, encoding="utf-8")
    with Sandbox() as service:
        environment = {"TEMPMAILG_API_KEY": service.api_key, "TEMPMAILG_BASE_URL": service.base_url}
        run = run_pytest("--tempmailg-live", "-n", "2", **environment)
        sent = len(service.journal)
    assert outcome(run) == "3 passed, 1 skipped", run.stdout + run.stderr
    left = 50_000 - sent
    assert f"tempmailg: {sent} requests of the quota spent, {left} left; a test costs {sent / 3:.1f}, " in run.stdout


def test_live_runs_are_skipped_when_the_quota_is_too_small(run_pytest: Run, tmp_path: Path) -> None:
    """A suite that the quota cannot pay for is not begun: one request shows it, and the report names the reset."""
    (tmp_path / "test_it.py").write_text(LIVE, encoding="utf-8")
    with Sandbox(quota=14) as service:
        environment = {"TEMPMAILG_API_KEY": service.api_key, "TEMPMAILG_BASE_URL": service.base_url}
        run = run_pytest("--tempmailg-live", "-rs", **environment)
        sent = [entry.endpoint for entry in service.journal]
    assert outcome(run) == "4 skipped", run.stdout + run.stderr
    assert sent == ["list_domains"]
    text = " ".join(run.stdout.split())
    assert (
        "13 requests of the quota are left, and the 3 tests of this suite cost about 15; it starts again at 20" in text
    )


def test_live_runs_remember_what_they_cost(run_pytest: Run, tmp_path: Path) -> None:
    """The second run knows from the first what a test costs, and begins with a quota that a guess would refuse."""
    (tmp_path / "test_it.py").write_text(LIVE, encoding="utf-8")
    with Sandbox(quota=22) as service:
        environment = {"TEMPMAILG_API_KEY": service.api_key, "TEMPMAILG_BASE_URL": service.base_url}
        runs = [run_pytest("--tempmailg-live", **environment) for _ in range(3)]
    assert [outcome(run) for run in runs] == ["3 passed, 1 skipped"] * 2 + ["4 skipped"]


def test_a_failed_wait_points_at_the_users_line(run_pytest: Run, tmp_path: Path) -> None:
    """The traceback of what a test asked for ends at the test; `--full-trace` shows the rest."""
    (tmp_path / "test_it.py").write_text(
        """
def test_it(tempmailg_client, tempmailg_mailbox):
    tempmailg_client.wait_for_code(tempmailg_mailbox, timeout=0)
""",
        encoding="utf-8",
    )
    plain, full = run_pytest().stdout, run_pytest("--full-trace").stdout
    assert "test_it.py:3: WaitTimeoutError" in plain
    assert "WaitTimeoutError: no message" in plain
    assert "tempmailg/_" not in plain
    assert "tempmailg/_" in full


FAILING = """
def test_it(tempmailg_mailbox, tempmailg_sandbox):
    text = "Dear Ann, your code is 482913. Or go to https://shop.example/confirm?token=abcdef now."
    tempmailg_sandbox.deliver(tempmailg_mailbox, subject="Code 482913", text=text)
    raise ValueError("the sign-up failed")
"""
REDACTED = "Dear Ann, your code is •••. Or go to https://shop.example/••• now."


def test_a_failure_attaches_the_redacted_mail_to_pytest_html(run_pytest: Run, tmp_path: Path) -> None:
    """The page shows the mail of a failed test, without its code and the secret part of its link."""
    (tmp_path / "test_it.py").write_text(FAILING, encoding="utf-8")
    plugins = (*OURS, "-p", "pytest_metadata.plugin", "-p", "pytest_html.plugin")
    run = run_pytest("--html=report.html", plugins=plugins)
    assert outcome(run) == "1 failed", run.stdout + run.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8") + "".join(
        path.read_text(encoding="utf-8") for path in (tmp_path / "assets").rglob("*.txt")
    )
    assert "mail in the tempmailg mailbox" in page
    assert REDACTED in page


def test_a_failure_attaches_the_redacted_mail_to_allure(run_pytest: Run, tmp_path: Path) -> None:
    """Allure gets the mail of a failed test as a text, without its code and the secret part of its link."""
    (tmp_path / "test_it.py").write_text(FAILING, encoding="utf-8")
    run = run_pytest("--alluredir=results", plugins=(*OURS, "-p", "allure_pytest.plugin"))
    assert outcome(run) == "1 failed", run.stdout + run.stderr
    texts = [path.read_text(encoding="utf-8") for path in (tmp_path / "results").glob("*-attachment.txt")]
    assert len([text for text in texts if REDACTED in text]) == 1
    (result,) = (tmp_path / "results").glob("*-result.json")
    assert "mail in the tempmailg mailbox" in result.read_text(encoding="utf-8")


def test_live_without_a_key_says_what_to_do(run_pytest: Run, tmp_path: Path) -> None:
    """Without a key the fixtures fail with one line of advice."""
    (tmp_path / "test_it.py").write_text(LIVE, encoding="utf-8")
    run = run_pytest("--tempmailg-live")
    assert "no API key: pass api_key=… or set TEMPMAILG_API_KEY" in run.stdout


def test_the_plugin_takes_no_part_in_tests_that_do_not_use_it(run_pytest: Run, tmp_path: Path) -> None:
    """None of its hooks is called for each test before the first one with a mailbox: a large suite pays nothing."""
    (tmp_path / "test_it.py").write_text(
        """
def hooks(config):
    ours = [p for p in config.pluginmanager.get_plugins() if getattr(type(p), "__module__", "").startswith("tempmailg")]
    ours.append(config.pluginmanager.get_plugin("tempmailg.pytest_plugin"))
    return {caller.name for plugin in ours for caller in config.pluginmanager.get_hookcallers(plugin)}

def test_before(pytestconfig):
    assert "pytest_addoption" in hooks(pytestconfig)
    assert not [name for name in hooks(pytestconfig) if "runtest" in name or "item" in name or "fixture" in name]

def test_with_mailbox(pytestconfig, tempmailg_mailbox):
    assert "pytest_runtest_makereport" in hooks(pytestconfig)
""",
        encoding="utf-8",
    )
    run = run_pytest()
    assert outcome(run) == "2 passed", run.stdout + run.stderr


def test_the_plugin_loads_nothing_heavy(run_pytest: Run, tmp_path: Path) -> None:
    """A project that does not use the fixtures pays for no HTTP client."""
    (tmp_path / "test_it.py").write_text(
        """
import sys

def test_it():
    heavy = {"aiohttp", "anyio", "attrs", "cattrs", "click", "rich", "tempmailg._fixtures", "tempmailg.sandbox"}
    assert not heavy & set(sys.modules)
""",
        encoding="utf-8",
    )
    run = run_pytest()
    assert outcome(run) == "1 passed", run.stdout + run.stderr


def test_the_plugin_is_found_without_being_named() -> None:
    """An installed package announces the plugin to pytest."""
    (point,) = [point for point in entry_points(group="pytest11") if point.name == "tempmailg"]
    assert point.value == "tempmailg.pytest_plugin"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Your code is QWERTZ", "Your code is •••"),
        ("Your code is ABC-DEF", "Your code is •••"),
        ("Your code is ABCD EFGH", "Your code is ••• •••"),
        ("Your code is q w e r t y", "Your code is •••"),
        ("code: kqzx-wvut-abcd", "code: •••"),
        ("Your code is qwERtz, Ann", "Your code is •••, Ann"),
        ("Your Shop has no code for you", "Your Shop has no code for you"),
    ],
)
async def test_a_code_of_letters_alone_stays_out_of_a_report(written: str, shown: str) -> None:
    """Neither subject nor text of a report shows a code without digits; ordinary words stay."""
    sandbox = Sandbox()
    async with AsyncClient(transport=sandbox.transport()) as client:
        mailbox = await client.create_mailbox()
        sandbox.deliver(mailbox, subject=written, text=written)
        (message,) = await client.list_messages(mailbox)
    lines = _fixtures._redacted(message).splitlines()
    assert (lines[1], lines[-1]) == (f"Subject: {shown}", shown)
    assert repr(shown) in _fixtures._describe(message)
