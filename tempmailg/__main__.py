"""The command: `tempmailg` and `python -m tempmailg`."""

from __future__ import annotations

import gc
import sys
from typing import Final

from tempmailg import _signals as signals

_INTERRUPTED: Final = 130


def main() -> None:
    """Run the command line and exit with its status."""
    gc.disable()  # nothing that is imported becomes garbage, until `signals.run` begins the command's work
    try:
        signals.handle_signals()
        status = _run()
        signals.leave_to_the_system()
    except KeyboardInterrupt:  # before or after the command itself
        status = _INTERRUPTED
        signals.leave_to_the_system()  # no second one is raised
    signals.leave(_status_after(signals.received(), status))


def _status_after(ended_by: int | None, status: int) -> int:
    """Return the exit status, with the signal that ended the command: by one is how a server is meant to end."""
    if not status or ended_by is None:
        return status
    is_server = sys.argv[1:2] in (["sandbox"], ["mcp"])  # which may not have got as far as to know that itself
    return 0 if is_server and status == _INTERRUPTED else 128 + ended_by


def _run() -> int:
    try:
        from tempmailg._cli import run
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write('tempmailg: the command line needs two more packages: pip install "tempmailg[cli]"\n')
        return 1
    return run()


if __name__ == "__main__":
    main()
