"""How many requests a block of code may still send."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from attrs import define

from tempmailg import _errors as err

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["request_budget", "take_from_request_budget"]


@define
class _RequestBudget:
    """The requests of one block; a block within a block spends from both."""

    total: int
    outer: _RequestBudget | None
    spent: int = 0

    def take(self) -> bool:
        if self.spent >= self.total or (self.outer is not None and not self.outer.take()):
            return False
        self.spent += 1
        return True


_current: ContextVar[_RequestBudget | None] = ContextVar("tempmailg_request_budget", default=None)


@contextmanager
def request_budget(requests: int) -> Generator[None]:
    """Bound what the code in the block sends, in this task and those that it starts, to a number of requests."""
    token = _current.set(_RequestBudget(requests, _current.get()))
    try:
        yield
    finally:
        _current.reset(token)


def take_from_request_budget() -> None:
    """Count one request against the block of code around it, if there is one.

    Raises:
        QuotaExceededError: The block may send no more.
    """
    budget = _current.get()
    if budget is not None and not budget.take():
        raise err.QuotaExceededError(f"the budget of {budget.total} requests is spent")
