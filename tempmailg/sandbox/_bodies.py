"""What the control routes take as JSON: one class for each body. A field without a default is required.

`openapi-control.json` describes them for other languages; schemathesis holds the two against each other.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import frozen

from tempmailg.sandbox._faults import Fault
from tempmailg.sandbox._smtp_faults import SmtpFault, SmtpStage
from tempmailg.sandbox._state import Plan
from tempmailg.sandbox._structure import Address, Chance, Count, Seconds, Times

__all__ = [
    "AccountBody",
    "AttachmentBody",
    "ClockBody",
    "EmptyBody",
    "FaultBody",
    "MessageBody",
    "RandomFaultsBody",
    "RandomSmtpFaultsBody",
    "SmtpFaultBody",
]

_NO_TIME: Final = Seconds(0.0)
_ONCE: Final = Times(1)


@frozen
class EmptyBody:
    """Nothing."""


@frozen
class AttachmentBody:
    """A file: its bytes as text or in base64."""

    name: str
    text: str | None = None
    base64: bytes | None = None
    content_type: str = "application/octet-stream"


@frozen
class MessageBody:
    """A message to deliver."""

    mailbox: Address
    subject: str = ""
    sender: str | None = None
    text: str = ""
    html: str | None = None
    attachments: tuple[AttachmentBody, ...] = ()
    received_at: datetime | None = None


@frozen
class ClockBody:
    """How to move the clock."""

    advance: Seconds = _NO_TIME
    freeze: bool | None = None


@frozen
class FaultBody:
    """A fault, and whom it meets how often."""

    fault: Fault
    endpoint: str | None = None
    times: Times = _ONCE


@frozen
class RandomFaultsBody:
    """Faults that happen by chance."""

    rate: Chance
    faults: tuple[Fault, ...]
    seed: int = 0
    endpoints: tuple[str, ...] | None = None


@frozen
class SmtpFaultBody:
    """A fault of SMTP, and where in a session it happens how often."""

    stage: SmtpStage
    fault: SmtpFault
    times: Times = _ONCE


@frozen
class RandomSmtpFaultsBody:
    """Faults of SMTP that happen by chance."""

    rate: Chance
    faults: tuple[SmtpFault, ...]
    stages: tuple[SmtpStage, ...]
    seed: int = 0


@frozen
class AccountBody:
    """What to change of an account."""

    api_key: str | None = None
    plan: Plan | None = None
    limit: Count | None = None
    used: Count | None = None
    remaining: Count | None = None
