"""How long to wait between two polls of a mailbox: arithmetic, without a clock and without I/O."""

from __future__ import annotations

from typing import Final

__all__ = ["fault_delay", "poll_interval"]

BACKOFF_CAP: Final = 20.0  # seconds

# A message that comes t seconds after the last sign of life is delivered within max(1 s, 10 % of t), jitter aside. A
# fruitless wait of five minutes costs 47 polls, one of an hour costs about 105.
SHORTEST_GAP: Final = 1.0  # seconds between two polls of a mailbox
GAP_SHARE: Final = 0.1  # of the time that the mailbox has been quiet
LONGEST_GAP: Final = 60.0  # seconds: a watched mailbox that lives for days is still polled every minute
GAP_JITTER: Final = 0.1  # of the gap, up or down: watchers that began together drift apart

FAULT_BASE: Final = 1.0  # seconds after the first fault of a row


def poll_interval(quiet: float, chance: float) -> float:
    """Return the seconds between one poll of a mailbox and the next.

    Args:
        quiet: Seconds since the last sign of life: a new message, or somebody new who waits.
        chance: A random number of [0, 1).
    """
    gap = min(LONGEST_GAP, max(SHORTEST_GAP, GAP_SHARE * quiet))
    return gap * (1.0 + GAP_JITTER * (2.0 * chance - 1.0))


def fault_delay(faults: int, chance: float) -> float:
    """Return the seconds to leave a mailbox, or a whole service, alone after so many faults in a row.

    Args:
        faults: How many, at least one.
        chance: A random number of [0, 1). Half of the delay is fixed, lest a failing service be asked again at once.
    """
    return (0.5 + 0.5 * chance) * min(BACKOFF_CAP, FAULT_BASE * 2.0 ** min(faults - 1, 30))
