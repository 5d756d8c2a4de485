"""The second that whatever is interrupted still has, to delete what it has made and to close what it has opened."""

from __future__ import annotations

import math
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Final

__all__ = ["GRACE", "shielded"]

GRACE: Final = 1.0
"""Seconds."""


def shielded() -> AbstractContextManager[object]:
    """Let the end of a block run for `GRACE` seconds where a cancelled scope of anyio surrounds it.

    asyncio cancels a task once. A scope of anyio cancels every await until the scope is left, those of a clean-up too.
    """
    if "anyio" not in sys.modules:  # then there is no scope, and an import costs more than a call
        return nullcontext()
    import anyio

    if anyio.current_effective_deadline() > -math.inf:
        return nullcontext()
    return anyio.move_on_after(GRACE, shield=True)
