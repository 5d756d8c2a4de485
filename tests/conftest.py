"""Fixtures and settings for the whole suite."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tempmailg import AsyncClient
    from tempmailg.sandbox import Sandbox

# A shell starts the background jobs of a script with SIGINT ignored, and `nohup` ignores SIGHUP. Tests press Ctrl-C and
# close terminals, here and in child processes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if os.name == "posix" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The same examples every time, and no example that fails because the machine was busy.
settings.register_profile("tempmailg", deadline=None, derandomize=True)
settings.load_profile("tempmailg")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tester's own key, proxy and configuration out of the tests."""
    for name in ("PYTEST_ADDOPTS", "TEMPMAILG_NO_SKIPS"):  # meant for this run, not for one that a test starts
        monkeypatch.delenv(name, raising=False)
    for name in ("API_KEY", "BASE_URL", "CONFIG"):
        monkeypatch.delenv(f"TEMPMAILG_{name}", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(autouse=True)
def _contract() -> Iterator[None]:
    """Hold every honest answer of every sandbox in this process against the OpenAPI contract."""
    from support.contract import watched

    found: list[str] = []
    with watched(found):
        yield
    assert found == [], found


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A running sandbox on free ports."""
    from tempmailg.sandbox import Sandbox

    async with Sandbox() as running:
        yield running


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[AsyncClient]:
    """A client of the running sandbox."""
    from tempmailg import AsyncClient

    async with AsyncClient(sandbox.api_key, base_url=sandbox.base_url) as connected:
        yield connected


collect_ignore = ["sample_playwright", "sample_project"]  # projects that tests/test_pytest_plugin.py runs


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything is installed (`.ci/run` says so), a test that was skipped has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("TEMPMAILG_NO_SKIPS"):
        return
    if reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
