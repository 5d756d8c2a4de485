"""Times in words."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["ago", "clock", "stamp", "until"]

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def ago(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago a moment was; of one that is still to come, how far it is."""
    seconds = _seconds(moment, now)
    if abs(seconds) < 1:
        return "now"
    return f"in {_rough(seconds)}" if seconds > 0 else f"{_rough(-seconds)} ago"


def until(moment: datetime, now: datetime | None = None) -> str:
    """Return how long it is until a moment, as a countdown: ``9:48``, or ``0:00`` when it is over."""
    return clock(max(0.0, _seconds(moment, now)))


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, with hours if there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def stamp(moment: datetime) -> str:
    """Return a moment in ISO 8601 with its offset."""
    return moment.isoformat(timespec="seconds")


def _seconds(moment: datetime, now: datetime | None) -> float:
    return (moment - (now or datetime.now(UTC))).total_seconds()


def _rough(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1, "s"))
    return f"{int(seconds // size)} {unit}"
