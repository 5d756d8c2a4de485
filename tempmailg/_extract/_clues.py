"""Clues: pieces of evidence, counted in points and explained in words."""

from __future__ import annotations

from typing import NamedTuple


class Clue(NamedTuple):
    """One piece of evidence for or against a candidate."""

    points: float
    words: str
