"""How long to leave a failing service alone, and how many polls it may be asked for at once: arithmetic only."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["Window", "fault_delay"]

FAULT_BASE: Final = 1.0  # seconds after the first fault of a row
BACKOFF_CAP: Final = 20.0  # seconds

FIRST_WINDOW: Final = 32  # polls under way at the beginning,
SMALLEST_WINDOW: Final = 8  # after faults,
LARGEST_WINDOW: Final = 512  # and at most
CONGESTED: Final = 4.0  # times as long as the fastest: an answer that has stood in a queue
SLACK: Final = 0.01  # seconds: less is noise


def fault_delay(faults: int, chance: float) -> float:
    """Return the seconds to leave a mailbox, or a whole service, alone after so many faults in a row.

    Args:
        faults: How many, at least one.
        chance: A random number of [0, 1). Half of the delay is fixed, lest a failing service be asked again at once.
    """
    return (0.5 + 0.5 * chance) * min(BACKOFF_CAP, FAULT_BASE * 2.0 ** min(faults - 1, 30))


class Window:
    """How many polls may be under way: it follows the load, and shrinks when the service fails.

    It doubles in the time of one answer as long as polls have to wait for it, like TCP's slow start, so that a thousand
    waits are served nearly at once by a service that can. When answers take longer the more of them are awaited, there
    is nothing to gain, so it stops growing.
    """

    __slots__ = ("_fastest", "_is_short", "size")

    def __init__(self) -> None:
        self.size = FIRST_WINDOW
        self._is_short = False
        self._fastest = math.inf  # seconds that an answer took at least

    def has_room(self, under_way: int) -> bool:
        """Say whether one more poll may begin."""
        self._is_short |= under_way >= self.size
        return under_way < self.size

    def succeeded(self, seconds: float) -> None:
        """Let one more poll be under way, if there was a lack, or one less if answers take longer and longer.

        Args:
            seconds: How long the answer took.
        """
        self._fastest = min(self._fastest, seconds)
        if seconds > CONGESTED * self._fastest + SLACK:
            self.size = max(FIRST_WINDOW, self.size - 1)
        elif self._is_short and seconds <= 2 * self._fastest + SLACK:
            self.size = min(LARGEST_WINDOW, self.size + 1)
        self._is_short = False

    def failed(self) -> None:
        """Let fewer polls be under way."""
        self.size = max(SMALLEST_WINDOW, self.size // 2)
