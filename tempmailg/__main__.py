"""The command: `tempmailg` and `python -m tempmailg`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line and exit with its status."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = _run()
    except KeyboardInterrupt:  # before or after the command itself
        status = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not spoil the exit with a traceback
    sys.exit(status)


def _interrupt(_number: int, _frame: object) -> None:
    """Treat SIGTERM, which `timeout` and CI runners send, as Ctrl-C: both end a command in good order."""
    signal.raise_signal(signal.SIGINT)


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
