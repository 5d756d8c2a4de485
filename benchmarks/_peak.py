"""How much memory a piece of work takes at most."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from benchmarks._nginx import MEBIBYTE

__all__ = ["PeakMemory"]


class PeakMemory:
    """Watches how far this process's resident memory rises above what it is now."""

    def __init__(self) -> None:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak begins anew
        self._begin = self._peak()

    def growth(self) -> float:
        """Return by how many MiB it rose at most."""
        return (self._peak() - self._begin) / MEBIBYTE

    def _peak(self) -> int:
        import resource

        with contextlib.suppress(OSError):
            lines = Path("/proc/self/status").read_text().splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
