"""Event loops that are ours alone: asyncio's development mode finds nothing to say of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import pytest

from tempmailg import Client
from tempmailg import _signals as signals
from tempmailg.sandbox import Sandbox

SLOW = 0.11
"""Seconds after which asyncio finds a step slow, and a little more."""


async def work() -> None:
    time.sleep(SLOW)  # noqa: ASYNC251 - a step that holds up its loop


def in_a_command(_sandbox: Sandbox) -> None:
    """Take a slow step on the loop of a command."""
    signals.run(work)


def in_the_blocking_client(sandbox: Sandbox) -> None:
    """Take a slow step on the loop of the blocking client."""
    with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        client._lease.run(work)


def in_a_sandbox(sandbox: Sandbox) -> None:
    """Take a slow step on the loop of a sandbox in a thread."""
    assert sandbox._thread is not None
    loop, _ = sandbox._thread._ready.result()
    asyncio.run_coroutine_threadsafe(work(), loop).result()


@pytest.mark.parametrize("take_step", [in_a_command, in_the_blocking_client, in_a_sandbox])
def test_slow_steps_are_nobodys_business(
    take_step: Callable[[Sandbox], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a loop that nobody shares, asyncio's debug mode logs no step that takes long: modules are loaded there."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    with Sandbox() as sandbox:
        take_step(sandbox)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_slow_steps_of_others_are_theirs_to_see(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a loop of the user's own, a sandbox leaves asyncio's debug mode as it is."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")

    async def main() -> None:
        async with Sandbox():
            caplog.clear()
            await asyncio.sleep(0)
            time.sleep(SLOW)  # noqa: ASYNC251 - a step that holds up its loop

    asyncio.run(main())
    assert any("Executing" in record.getMessage() for record in caplog.records)
