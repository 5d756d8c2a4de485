"""The Temp Mail user API on your own machine: offline, fed by real mail, with faults and time at your command."""

from tempmailg.sandbox._clock import Clock
from tempmailg.sandbox._faults import (
    BadJson,
    Delay,
    Duplicate,
    Edit,
    Fault,
    Faults,
    Headers,
    HtmlPage,
    RateLimited,
    Reorder,
    Reply,
    Reset,
    Slow,
    Stall,
    Status,
    Truncate,
)
from tempmailg.sandbox._inprocess import InProcessTransport
from tempmailg.sandbox._sandbox import Sandbox, run, serve
from tempmailg.sandbox._service import JournalEntry
from tempmailg.sandbox._state import Account, Limits, MailboxUnknownError, SandboxDomain, SandboxFullError

__all__ = [
    "Account",
    "BadJson",
    "Clock",
    "Delay",
    "Duplicate",
    "Edit",
    "Fault",
    "Faults",
    "Headers",
    "HtmlPage",
    "InProcessTransport",
    "JournalEntry",
    "Limits",
    "MailboxUnknownError",
    "RateLimited",
    "Reorder",
    "Reply",
    "Reset",
    "Sandbox",
    "SandboxDomain",
    "SandboxFullError",
    "Slow",
    "Stall",
    "Status",
    "Truncate",
    "run",
    "serve",
]
