"""The commands that work without a service: the sandbox, the demo, and the server for agents."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from tempmailg import _errors as err
from tempmailg import _signals as signals
from tempmailg._cli._config import find_access
from tempmailg._cli._log import log_shown_on
from tempmailg._cli._screen import Screen, naming_stdout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tempmailg._cli._options import OutputOptions
    from tempmailg._demo import Step
    from tempmailg.sandbox import Sandbox

__all__ = ["demo", "mcp", "sandbox"]


def sandbox(output: OutputOptions, values: Mapping[str, Any]) -> None:
    """Run a sandbox until interrupted; a signal that asks it to end is no failure, unlike Ctrl-C.

    Args:
        output: How to print.
        values: The values of the command's options.
    """
    try:
        from tempmailg._cli._sandbox_arguments import sandbox_arguments
        from tempmailg.sandbox import Sandbox
        from tempmailg.sandbox._sandbox import load

        arguments = sandbox_arguments(values)
        sandbox = Sandbox(**arguments)
        load()  # here a signal interrupts it
        signals.run(lambda: _serve(sandbox, Screen(output), arguments))
    except KeyboardInterrupt:
        if signals.received() is None:
            raise


async def _serve(sandbox: Sandbox, screen: Screen, arguments: Mapping[str, Any]) -> None:
    from tempmailg.sandbox import serve

    is_up = False

    def announce() -> None:
        nonlocal is_up
        is_up = True
        screen.remark(f"# the mail in a browser: {sandbox.base_url.removesuffix('api')}")
        for name, value in (("API_KEY", sandbox.api_key), ("BASE_URL", sandbox.base_url)):
            screen.remark(f"export TEMPMAILG_{name}={shlex.quote(value)}")

    try:
        with naming_stdout():
            await serve(sandbox, on_ready=announce)
    except OSError as error:
        if is_up:  # what it could not do is print
            raise
        raise err.ConfigurationError(_port_problem(error, arguments)) from None


def _port_problem(error: OSError, arguments: Mapping[str, Any]) -> str:
    host = arguments.get("host", "127.0.0.1")
    ports = " and ".join(str(value) for name, value in arguments.items() if name.endswith("port"))
    reason = error.strerror or error
    return (
        f"cannot listen on {host}, ports {ports} ({reason}):"
        " choose others with --port and --smtp-port, or 0 for free ones"
    )


def mcp(output: OutputOptions, values: Mapping[str, Any]) -> None:
    """Serve a language model's host until it leaves.

    Args:
        output: How to print.
        values: The values of the command's options.
    """
    from tempmailg import _mcp

    access = find_access()
    given = {name: value for name, value in values.items() if value is not None}
    screen = Screen(output)
    if access is None:
        screen.remark("no API key: mail is simulated on this machine; set TEMPMAILG_API_KEY for the real service")
    with log_shown_on(screen, debug=output.debug):
        _mcp.run(None if access is None else _mcp.Access(*access), _mcp.ServerOptions(**given))


def demo(output: OutputOptions) -> bool:
    """Run the demo and return whether everything held."""
    from tempmailg import _demo

    screen = Screen(output)
    steps: list[Step] = []

    def show(step: Step) -> None:
        steps.append(step)
        if not output.json:
            screen.step(step.text, ok=step.ok)

    holds = _demo.run(show)
    if not screen.as_json({"ok": holds, "steps": steps}):
        screen.step("everything is as it was sent" if holds else "something is not as it was sent", ok=holds)
    return holds
