"""Wait, expect, watch: which mailbox to poll next, what is new, who is told."""

from __future__ import annotations

from tempmailg._waiting._criteria import Criteria, code_finder, link_finder
from tempmailg._waiting._wait import ExpectedMessage, assert_no_message, wait_for_finding, wait_for_messages
from tempmailg._waiting._watch import Watch, WatchHealth

__all__ = [
    "Criteria",
    "ExpectedMessage",
    "Watch",
    "WatchHealth",
    "assert_no_message",
    "code_finder",
    "link_finder",
    "wait_for_finding",
    "wait_for_messages",
]
