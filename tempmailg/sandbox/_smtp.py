"""The SMTP door: real mail into the sandbox's mailboxes, and nowhere else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from tempmailg.sandbox._net import Refusing, listen
from tempmailg.sandbox._state import MailboxUnknownError, SandboxFullError

if TYPE_CHECKING:
    from tempmailg.sandbox._state import State

__all__ = ["SmtpDoor"]

_END: Final = b"\r\n.\r\n"  # the one sequence that ends a mail: any laxer one would smuggle a second mail in
_MAX_RECIPIENTS: Final = 1_000
_CROWDED: Final = b"421 4.3.2 The sandbox has too many connections already\r\n"


class SmtpDoor:
    """Receives mail for the sandbox's mailboxes."""

    def __init__(self, state: State, *, host: str) -> None:
        self._state = state
        self._host = host
        self._server: asyncio.Server | None = None
        self.connections: set[_Connection] = set()
        self.empty = asyncio.Event()

    async def open(self, port: int) -> int:
        """Listen; return the port."""
        self._server, port = await listen(self._connect, self._host, port)
        return port

    async def close(self) -> None:
        """Stop listening and give up all connections."""
        if self._server is None:
            return
        self._server.close()
        for connection in self.connections:
            connection.abort()
        while self.connections:
            self.empty.clear()
            await self.empty.wait()

    def _connect(self) -> asyncio.BaseProtocol:
        if len(self.connections) >= self._state.limits.connections:
            return Refusing(_CROWDED)
        return _Connection(self, self._state)


class _Policy:
    """What aiosmtpd asks about a recipient."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept mail for living mailboxes only."""
        if len(envelope.rcpt_tos) >= _MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        with self._state.lock:
            known = self._state.box(address) is not None
        if not known:
            return "550 5.1.1 The sandbox has no such mailbox, and it relays nothing"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"


class _Connection(SMTP):
    """One SMTP connection."""

    # Also how much the reader buffers. Mail programs write longer lines than RFC 5321's 998 characters, and a tester is
    # better served by seeing that mail than by its refusal.
    line_length_limit = 256 * 1024

    def __init__(self, door: SmtpDoor, state: State) -> None:
        super().__init__(
            _Policy(state),
            data_size_limit=state.limits.message_bytes,
            enable_SMTPUTF8=True,
            hostname="sandbox.invalid",
            ident="tempmailg sandbox",
            timeout=state.limits.idle_seconds,
            loop=asyncio.get_running_loop(),
        )
        self._door = door
        self._state = state

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._door.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        super().connection_lost(error)
        self._door.connections.discard(self)
        self._door.empty.set()

    def abort(self) -> None:
        """Give the connection up."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Receive a mail.

        aiosmtpd's own method keeps a list of lines, which takes four times the mail's size and 0.1 s for each megabyte.
        """
        envelope = self.envelope
        if await self.check_helo_needed() or envelope is None:
            return
        if arg:
            await self.push("501 Syntax: DATA")
            return
        if not envelope.rcpt_tos:
            await self.push("503 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        mail = await self._read_mail()
        self._set_post_data_state()  # type: ignore[no-untyped-call] # aiosmtpd leaves it unannotated
        await self.push(self._accept(envelope.rcpt_tos, mail))

    async def _read_mail(self) -> bytearray | None:
        """Return the mail, or None if it was too large and is forgotten."""
        limit = self._state.limits.message_bytes + len(_END)
        mail, is_too_large = bytearray(b"\r\n"), False  # the line break before the first line, which could be the last
        while not mail.endswith(_END):
            mail += await self._read_on()
            is_too_large = is_too_large or len(mail) > limit
            if is_too_large:
                del mail[: -len(_END)]
        if is_too_large:
            return None
        del mail[-3:]
        if b"\r\n." in mail:
            mail = mail.replace(b"\r\n.", b"\r\n")  # RFC 5321 4.5.2
        del mail[:2]
        return mail

    async def _read_on(self) -> bytes:
        try:
            return await self._reader.readuntil(_END[2:])
        except asyncio.LimitOverrunError as error:
            return await self._reader.readexactly(error.consumed)

    def _accept(self, recipients: list[str], mail: bytearray | None) -> str:
        if mail is None:
            return f"552 5.3.4 The sandbox takes mails of {self._state.limits.message_bytes} bytes at most"
        try:
            self._state.deliver(recipients, mail)
        except MailboxUnknownError:
            return "550 5.1.1 A mailbox expired while the mail was sent"
        except SandboxFullError:
            return "452 4.3.1 The sandbox is full"
        return "250 OK"
