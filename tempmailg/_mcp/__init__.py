"""`tempmailg mcp`: an inbox for agents, as tools of the Model Context Protocol over stdin and stdout.

    _load      loads the server's half of the package `mcp`
    _stdio     the protocol's lines
    _text      what of a stranger's mail a language model may see, and how
    _schemas   the arguments and results of the tools
    _session   the client of one session, its mailboxes, and what it may spend
    _waits     waits that go on from call to call
    _tools     what the tools do
    _server    the tools as the protocol has them

Nothing but the protocol reaches stdout. The package `mcp` loads when a server starts.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tempmailg import _signals as signals
from tempmailg._errors import ConfigurationError
from tempmailg._mcp._load import server_alone
from tempmailg._mcp._options import Access, ServerOptions

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Access", "ServerOptions", "run"]


def run(access: Access | None, options: ServerOptions) -> None:
    """Serve one host over stdin and stdout until it closes stdin, or sends SIGTERM.

    Args:
        access: The key and the URL of the service; None for a sandbox on this machine.
        options: What the session may do.

    Raises:
        ConfigurationError: The package `mcp` is not installed, or there is no stdin.
    """
    if find_spec("mcp") is None:
        raise ConfigurationError('the server needs one more package: pip install "tempmailg[mcp]"')
    if sys.stdin is None:  # its number belongs to something else by now
        raise ConfigurationError("stdin is closed, so no host can speak: start the server through a host")
    signals.allow(options.farewell)
    try:
        serve = _load().serve
        signals.run(lambda: serve(access, options))
    except KeyboardInterrupt:
        if signals.received() is None:  # SIGTERM is how a host ends a server: no failure
            raise


def _load() -> ModuleType:
    from tempmailg._mcp import _schemas as _schemas  # complete before threads use them

    try:
        with server_alone():
            from tempmailg._mcp import _server
    except (ImportError, AttributeError):  # another release of `mcp` may need its other half
        from tempmailg._mcp import _server
    return _server
