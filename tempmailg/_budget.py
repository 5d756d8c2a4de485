"""How many requests a block of code may still send."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from attrs import define

from tempmailg import _errors as err

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["RequestBudget", "request_budget", "take_from_request_budget"]


@define(eq=False)
class RequestBudget:
    """The requests of one block, or of several that share them; a block within a block spends from both.

    Args:
        total: How many requests may be sent.
        outer: The budget of the block around it.
        spent: How many of them are sent.
    """

    total: int
    outer: RequestBudget | None = None
    spent: int = 0

    @property
    def left(self) -> int:
        """How many requests may still be sent."""
        return self.total - self.spent

    def take(self) -> bool:
        if self.spent >= self.total or (self.outer is not None and not self.outer.take()):
            return False
        self.spent += 1
        return True

    @contextmanager
    def applied(self) -> Generator[None]:
        """Have the code in the block, in this task and those that it starts, spend from this budget."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[RequestBudget | None] = ContextVar("tempmailg_request_budget", default=None)


@contextmanager
def request_budget(requests: int) -> Generator[None]:
    """Bound what the code in the block sends, in this task and those that it starts, to a number of requests."""
    with RequestBudget(requests, _current.get()).applied():
        yield


def take_from_request_budget() -> None:
    """Count one request against the block of code around it, if there is one.

    Raises:
        QuotaExceededError: The block may send no more.
    """
    budget = _current.get()
    if budget is not None and not budget.take():
        raise err.QuotaExceededError(f"the budget of {budget.total} requests is spent")
