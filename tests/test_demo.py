"""The demo: a real mail's whole journey, and the honesty of its verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tempmailg import _demo

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from support.shell import Shell

pytest_plugins = ["support.shell"]


def test_the_demo_succeeds_and_tells_its_steps(shell: Shell) -> None:
    """`tempmailg demo` needs no key, uses all endpoints with both clients, and exits 0."""
    shell.set(TEMPMAILG_API_KEY=None, TEMPMAILG_BASE_URL=None)
    outcome = shell.process("demo")
    assert outcome.status == 0, outcome
    printed = outcome.stdout
    assert (
        printed.count("8 of 8 endpoints were used")
        == printed.count(", as sent\n")
        == printed.count("the code is ")
        == 2
    )
    assert "✗" not in printed
    assert printed.endswith("✓ everything is as it was sent\n")


def test_the_demo_speaks_json(shell: Shell) -> None:
    """With `--json` the transcript is one value."""
    printed = json.loads(shell.answer("demo", "--json"))
    assert printed["ok"] is True
    assert all(step["ok"] is not False and step["text"] for step in printed["steps"])


def test_a_changed_file_fails_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single flipped bit on the way is noticed, and the verdict says so."""
    steps: list[_demo.Step] = []
    monkeypatch.setattr(_demo._Mail, "digest", "0" * 64)
    assert not _demo.run(steps.append)
    failed = [step.text for step in steps if step.ok is False]
    assert len(failed) == 2
    assert all("SHA-256" in text for text in failed)


def test_a_failed_comparison_exits_1(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's status is the verdict."""

    def fail(report: Callable[[_demo.Step], None]) -> bool:
        report(_demo.Step("by the test", ok=False))
        return False

    monkeypatch.setattr(_demo, "run", fail)
    outcome = shell.run("demo")
    assert outcome.status == 1
    assert outcome.stdout == "✗ by the test\n✗ something is not as it was sent\n"
