"""How a command was asked to speak."""

from __future__ import annotations

__all__ = ["Manner"]


class Manner:
    """The options that every command has.

    Attributes:
        json: Whether stdout is for a program that reads JSON.
        quiet: Whether stderr is to tell of nothing but errors.
        debug: Whether an error is to show its traceback.
    """

    __slots__ = ("debug", "json", "quiet")

    def __init__(self) -> None:
        self.json = False
        self.quiet = False
        self.debug = False
