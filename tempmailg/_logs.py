"""What the logger `tempmailg` shows without any code: `TEMPMAILG_LOG=debug` is enough.

The first client that is made reads the variable, so that importing the package loads and changes nothing.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import Final

from tempmailg._errors import ConfigurationError

__all__ = ["LOGGER", "environment_level", "log_as_environment_says"]

LOGGER: Final = logging.getLogger("tempmailg")

_VARIABLE: Final = "TEMPMAILG_LOG"
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def environment_level() -> int | None:
    """Return the level that `TEMPMAILG_LOG` asks for, or None.

    Raises:
        ConfigurationError: It is no level.
    """
    name = os.environ.get(_VARIABLE, "").strip().lower()
    if name and name not in _LEVELS:
        raise ConfigurationError(f"{_VARIABLE} must be one of {', '.join(_LEVELS)}, not {name!r}")
    return _LEVELS.get(name)


def log_as_environment_says() -> None:
    """Show on stderr what `TEMPMAILG_LOG` asks for, if it asks for anything."""
    level = environment_level()
    if level is not None:
        _show(level)


@cache
def _show(level: int) -> None:
    """Set the level, once in a process: whoever changes it later has the last word.

    A program that has set up logging gets the lines through its own handlers, not twice.
    """
    LOGGER.setLevel(level)
    if not LOGGER.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s: %(message)s"))
        LOGGER.addHandler(handler)
