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
from tempmailg.sandbox._journal import SmtpEntry, SmtpRecipient
from tempmailg.sandbox._local_delivery import Others
from tempmailg.sandbox._sandbox import Sandbox, run, serve
from tempmailg.sandbox._service import JournalEntry
from tempmailg.sandbox._smtp_faults import (
    Greylist,
    LateDelivery,
    SmtpDelay,
    SmtpDisconnect,
    SmtpFault,
    SmtpFaults,
    SmtpReply,
    SmtpStage,
)
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
    "Greylist",
    "Headers",
    "HtmlPage",
    "InProcessTransport",
    "JournalEntry",
    "LateDelivery",
    "Limits",
    "MailboxUnknownError",
    "Others",
    "RateLimited",
    "Reorder",
    "Reply",
    "Reset",
    "Sandbox",
    "SandboxDomain",
    "SandboxFullError",
    "Slow",
    "SmtpDelay",
    "SmtpDisconnect",
    "SmtpEntry",
    "SmtpFault",
    "SmtpFaults",
    "SmtpRecipient",
    "SmtpReply",
    "SmtpStage",
    "Stall",
    "Status",
    "Truncate",
    "run",
    "serve",
]
