"""Patterns that are compiled on first use: most messages do without them, and compiling is half of a first call."""

from __future__ import annotations

import re
from functools import cached_property


class Pattern:
    """A regular expression that not every message needs."""

    def __init__(self, source: str, flags: re.RegexFlag = re.NOFLAG) -> None:
        self._source, self._flags = source, flags

    @cached_property
    def ready(self) -> re.Pattern[str]:
        """The regular expression, compiled."""
        return re.compile(self._source, self._flags)
