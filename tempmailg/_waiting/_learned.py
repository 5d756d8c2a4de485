"""What was learned, as it comes back from JSON: experience that does not look right is no loss."""

from __future__ import annotations

import math
from typing import cast

__all__ = ["as_mapping", "as_numbers"]


def as_mapping(value: object) -> dict[str, object]:
    """Return a JSON object, or an empty one in place of anything else."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def as_numbers(value: object, count: int) -> list[float] | None:
    """Return so many finite numbers that are not negative, or None if the value is anything else."""
    if not isinstance(value, list):
        return None
    items = cast("list[object]", value)
    numbers = [float(item) for item in items if isinstance(item, (int, float)) and 0 <= item < math.inf]
    return numbers if len(numbers) == len(items) == count else None
