"""How long the command line needs to show its help, beside the smallest program that click can make.

Run it on a quiet machine: ``python benchmarks/command_start.py``. It prints the median of interleaved runs and their
ratio; the promise is at most 1.5.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import Final

ROUNDS: Final = 25

CLICK_ALONE: Final = "import click; click.command()(lambda: None).main(['--help'])"
OURS: Final = "import sys; sys.argv = ['tempmailg', *{arguments}]; from tempmailg.__main__ import main; main()"


def main() -> None:
    """Measure and print."""
    programs = {
        "click alone": CLICK_ALONE,
        "tempmailg --help": OURS.format(arguments=["--help"]),
        "tempmailg wait --help": OURS.format(arguments=["wait", "--help"]),
        "tempmailg demo --help": OURS.format(arguments=["demo", "--help"]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(ROUNDS + 1):
        for name, code in programs.items():
            seconds[name].append(_measured(code))
    medians = {name: statistics.median(measured[1:]) for name, measured in seconds.items()}  # the first run warms up
    for name, median in medians.items():
        print(f"{name:24}{median * 1000:8.1f} ms{median / medians['click alone']:8.2f}")


def _measured(code: str) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
