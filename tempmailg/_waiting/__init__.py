"""Wait, expect, watch: which mailbox to poll next, what is new, and for whom."""

from __future__ import annotations

from tempmailg._waiting._beside import run_user_code_in_threads
from tempmailg._waiting._clear import Cleared, clear
from tempmailg._waiting._criteria import Criteria, code_finder, link_finder
from tempmailg._waiting._pacer import Forecast
from tempmailg._waiting._poller import check_preference, forecast
from tempmailg._waiting._wait import ExpectedMessage, assert_no_message, wait_for_finding, wait_for_messages
from tempmailg._waiting._watch import Watch, WatchHealth

__all__ = [
    "Cleared",
    "Criteria",
    "ExpectedMessage",
    "Forecast",
    "Watch",
    "WatchHealth",
    "assert_no_message",
    "check_preference",
    "clear",
    "code_finder",
    "forecast",
    "link_finder",
    "run_user_code_in_threads",
    "wait_for_finding",
    "wait_for_messages",
]
