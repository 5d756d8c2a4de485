"""The two commands that need no service: the sandbox and the demo."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tempmailg import _errors as err
from tempmailg import _signals as signals
from tempmailg._cli._screen import Screen

if TYPE_CHECKING:
    from tempmailg._cli._manner import Manner
    from tempmailg._demo import Step

__all__ = ["demo", "sandbox"]


def sandbox(port: int, smtp_port: int) -> None:
    """Run a sandbox until interrupted; a signal that asks it to end is no failure, unlike Ctrl-C."""
    from tempmailg.sandbox import Sandbox, serve

    try:
        asyncio.run(serve(Sandbox(port=port, smtp_port=smtp_port)))
    except KeyboardInterrupt:
        if signals.received() is None:
            raise
    except OSError as error:
        raise err.ConfigurationError(
            f"cannot listen on 127.0.0.1, ports {port} and {smtp_port} ({error.strerror or error}):"
            " choose others with --port and --smtp-port, or 0 for free ones"
        ) from None


def demo(manner: Manner) -> bool:
    """Run the demo and return whether everything held."""
    from tempmailg import _demo

    screen = Screen(manner)
    steps: list[Step] = []

    def tell(step: Step) -> None:
        steps.append(step)
        if not manner.json:
            screen.step(step.text, ok=step.ok)

    holds = _demo.run(tell)
    if not screen.as_json({"ok": holds, "steps": steps}):
        screen.step("everything is as it was sent" if holds else "something is not as it was sent", ok=holds)
    return holds
