"""What the library logs, on the command's own screen, which cleans it and makes way for it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tempmailg._logs import LOGGER, environment_level

if TYPE_CHECKING:
    from collections.abc import Generator

    from tempmailg._cli._screen import Screen

__all__ = ["log_shown_on"]


@contextmanager
def log_shown_on(screen: Screen, *, debug: bool) -> Generator[None]:
    """Show warnings, such as that a message cannot be read, while the block runs.

    Args:
        screen: Where to show them.
        debug: Whether to show each request, too; `TEMPMAILG_LOG` may also ask for it.
    """
    level = logging.DEBUG if debug else environment_level() or logging.WARNING
    handler = _ScreenHandler(screen, level)
    before = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(level)
    try:
        yield
    finally:
        LOGGER.setLevel(before)
        LOGGER.removeHandler(handler)


class _ScreenHandler(logging.Handler):
    """Hands each record to a screen as one line."""

    def __init__(self, screen: Screen, level: int) -> None:
        super().__init__(level)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        self._screen.warn(record.getMessage())
