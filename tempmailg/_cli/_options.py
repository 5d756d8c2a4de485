"""How a command is to print."""

from __future__ import annotations

__all__ = ["OutputOptions"]


class OutputOptions:
    """The options that every command has.

    Attributes:
        json: Whether stdout is for a program that reads JSON.
        quiet: Whether stderr is for errors only.
        debug: Whether an error is to show its traceback.
    """

    __slots__ = ("debug", "json", "quiet")

    def __init__(self) -> None:
        self.json = False
        self.quiet = False
        self.debug = False
