"""SMTP conversations by hand, and what a test asks a sandbox about the mail it took."""

from __future__ import annotations

import smtplib
import socket
import ssl
from typing import Any, Self

from tempmailg.sandbox import Sandbox

__all__ = ["SENDER", "Wire", "connected", "mailbox", "stored", "trusting"]

SENDER = "hello@example.org"


def mailbox(sandbox: Sandbox) -> str:
    """Make a mailbox and return its address."""
    with sandbox._state.lock:
        return sandbox._state.open_random(sandbox.api_key, sandbox.account()).email


def stored(sandbox: Sandbox, email: str) -> list[Any]:
    """Return what arrived, as the service declares it, the newest first."""
    with sandbox._state.lock:
        box = sandbox._state.box(email)
        assert box is not None
        return [message.mail for message in sandbox._state.ordered(box)]


def connected(sandbox: Sandbox) -> smtplib.SMTP:
    """Open a plain connection by the standard library."""
    return smtplib.SMTP(sandbox.smtp_host, sandbox.smtp_port, timeout=20)


def trusting(sandbox: Sandbox) -> ssl.SSLContext:
    """Return a client's context that trusts the sandbox's authority."""
    return ssl.create_default_context(cadata=sandbox.ca_pem)


class Wire:
    """A raw SMTP conversation."""

    def __init__(self, sandbox: Sandbox, port: int | None = None) -> None:
        self._socket = socket.create_connection((sandbox.smtp_host, port or sandbox.smtp_port), timeout=20)
        self._file = self._socket.makefile("rb")
        self.greeting = self.answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def answer(self) -> str:
        """Return the last line of the next answer."""
        while True:
            line = self._file.readline().decode()
            if line[3:4] != "-":
                return line.rstrip("\r\n")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def say(self, *lines: bytes) -> list[str]:
        """Send commands one by one and return their answers."""
        answers: list[str] = []
        for line in lines:
            self.send(line + b"\r\n")
            answers.append(self.answer())
        return answers

    def begin(self, email: str) -> None:
        """Go as far as the mail itself."""
        codes = self.say(b"EHLO x", b"MAIL FROM:<a@example.org>", f"RCPT TO:<{email}>".encode(), b"DATA")
        assert [code[:3] for code in codes] == ["250", "250", "250", "354"]

    def is_closed(self) -> bool:
        return self._file.read() == b""
