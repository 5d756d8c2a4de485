"""The command: `tempmailg` and `python -m tempmailg`."""

from __future__ import annotations

import sys

from tempmailg import _signals as signals


def main() -> None:
    """Run the command line and exit with its status."""
    signals.handle_signals()
    try:
        status = _run()
    except KeyboardInterrupt:  # before or after the command itself
        status = 130
    signals.leave_signals_to_the_system()
    ended_by = signals.received()
    sys.exit(128 + ended_by if status and ended_by else status)


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
