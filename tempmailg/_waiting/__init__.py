"""Wait, expect, watch: which mailbox to poll next, what is new, and for whom.

Names load on first use: most calls of a client wait for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tempmailg._lazy import loaded

if TYPE_CHECKING:
    from tempmailg._waiting._clear import Cleared, clear
    from tempmailg._waiting._criteria import Criteria, code_finder, link_finder
    from tempmailg._waiting._pacer import Forecast
    from tempmailg._waiting._poller import forecast
    from tempmailg._waiting._wait import ExpectedMessage, assert_no_message, wait_for_finding, wait_for_messages
    from tempmailg._waiting._watch import Watch, WatchHealth

# Where each name lives. A test proves that it agrees with the imports above.
_HOMES: Final = {
    "_clear": ("Cleared", "clear"),
    "_criteria": ("Criteria", "code_finder", "link_finder"),
    "_pacer": ("Forecast",),
    "_poller": ("forecast",),
    "_wait": ("ExpectedMessage", "assert_no_message", "wait_for_finding", "wait_for_messages"),
    "_watch": ("Watch", "WatchHealth"),
}

__all__ = [
    "Cleared",
    "Criteria",
    "ExpectedMessage",
    "Forecast",
    "Watch",
    "WatchHealth",
    "assert_no_message",
    "clear",
    "code_finder",
    "forecast",
    "link_finder",
    "wait_for_finding",
    "wait_for_messages",
]


def __getattr__(name: str) -> object:
    return loaded(__name__, _HOMES, name)
