"""`TEMPMAILG_LOG`: what the library logs, without a line of code and without the key."""

from __future__ import annotations

import pytest
from support.scripts import run_script

from tempmailg import AsyncClient, ConfigurationError

PROGRAM = """
    import logging, sys
    from tempmailg import Client
    from tempmailg.sandbox import Sandbox
    {setup}
    with Sandbox(api_key="canary-key") as sandbox:
        for _ in range(2):
            with Client("canary-key", base_url=sandbox.base_url) as client:
                client.list_domains()
"""


def test_the_variable_shows_each_request() -> None:
    """With `TEMPMAILG_LOG=debug` each request is one line on stderr, once, without the key."""
    ended = run_script(PROGRAM.format(setup=""), TEMPMAILG_LOG="debug")
    lines = [line for line in ended.stderr.splitlines() if "tempmailg DEBUG: GET /domains: ok, attempt 1, " in line]
    assert ended.status == 0
    assert len(lines) == 2
    assert "canary-key" not in ended.stderr


@pytest.mark.parametrize("level", ["", "warning", "ERROR"])
def test_a_higher_level_shows_no_request(level: str) -> None:
    """Without the variable, or with a level above debug, requests are not shown."""
    ended = run_script(PROGRAM.format(setup=""), TEMPMAILG_LOG=level)
    assert (ended.status, ended.stderr) == (0, "")


def test_a_program_that_logs_keeps_its_own_form() -> None:
    """Where logging is set up already, its handlers get the lines, and get them once."""
    setup = "logging.basicConfig(format='mine: %(message)s', stream=sys.stdout)"
    ended = run_script(PROGRAM.format(setup=setup), TEMPMAILG_LOG="debug")
    requests = [line.partition(",")[0] for line in ended.lines if "GET" in line]  # asyncio may remark on a slow machine
    assert requests == ["mine: GET /domains: ok"] * 2
    assert ended.stderr == ""


def test_a_level_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt level is an error when a client is made, not silence for ever."""
    monkeypatch.setenv("TEMPMAILG_LOG", "verbose")
    with pytest.raises(ConfigurationError, match="TEMPMAILG_LOG must be one of debug, info, warning, error"):
        AsyncClient("key")


def test_importing_loads_no_logging() -> None:
    """The variable costs nothing until a client is made."""
    ended = run_script("import sys, tempmailg; print('logging' in sys.modules)", TEMPMAILG_LOG="debug")
    assert ended.lines == ["False"]
