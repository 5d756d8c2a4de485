"""The SMTP door: real mail into the sandbox's mailboxes, and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from attrs import evolve

from tempmailg.sandbox._journal import SmtpEntry
from tempmailg.sandbox._net import Refusing, listen
from tempmailg.sandbox._smtp_connection import Connection
from tempmailg.sandbox._smtp_faults import SmtpDisconnect, SmtpReply
from tempmailg.sandbox._state import MailboxUnknownError, SandboxFullError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from tempmailg.sandbox._certificate import ServerTls
    from tempmailg.sandbox._journal import SmtpJournal
    from tempmailg.sandbox._local_delivery import LocalDelivery
    from tempmailg.sandbox._smtp_faults import SmtpFaults
    from tempmailg.sandbox._state import State

__all__ = ["SmtpDoor"]

_CROWDED: Final = b"421 4.3.2 The sandbox has too many connections already\r\n"
_UNSAFE: Final = re.compile(r"[^\x20-\x7e]")
_NOT_LOGGED: Final = (
    "can't decode base64",  # a password, perhaps
    "login_data is deprecated",  # aiosmtpd warns of its own doing, once for each login
)
_FAILED_HANDSHAKE: Final = re.compile(
    r"Error on transport creation for incoming connection\n.*^protocol: <tempmailg\.sandbox\.", re.DOTALL | re.MULTILINE
)


class SmtpDoor:
    """Receives mail for the sandbox's mailboxes: on one port plain and with STARTTLS, on another within TLS."""

    def __init__(
        self,
        state: State,
        *,
        host: str,
        journal: SmtpJournal,
        faults: SmtpFaults,
        delivery: LocalDelivery,
        tls: ServerTls,
    ) -> None:
        self.state = state
        self.journal = journal
        self.faults = faults
        self.delivery = delivery
        self.tls = tls
        self._host = host
        self._servers: list[asyncio.Server] = []
        self._late: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()

    async def open(self, port: int) -> int:
        """Listen for plain connections, which may begin TLS later; return the port."""
        logging.getLogger("mail.log").addFilter(_is_logged)  # aiosmtpd's
        return await self._listen(self._connect, port)

    async def open_tls(self, port: int) -> int:
        """Listen for connections that begin with TLS; return the port."""
        logging.getLogger("asyncio").addFilter(_is_no_failed_handshake)
        return await self._listen(self._connect_tls, port, self.tls.observed(self._record_handshake))

    async def close(self) -> None:
        """Stop listening and give up all connections."""
        for server in self._servers:
            server.close()
        for task in self._late:
            task.cancel()
        for connection in self._connections:
            connection.abort()
        while self._connections:
            self._empty.clear()
            await self._empty.wait()

    def enter(self, connection: Connection) -> None:
        """Count a connection in."""
        self._connections.add(connection)

    def leave(self, connection: Connection) -> None:
        """Count a connection out."""
        self._connections.discard(connection)
        self._empty.set()

    def deliver_late(self, entry: SmtpEntry, addresses: Sequence[str], seconds: float) -> None:
        """Deliver a mail that was accepted, after a while."""
        task = asyncio.ensure_future(self._deliver_late(entry, addresses, seconds))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _deliver_late(self, entry: SmtpEntry, addresses: Sequence[str], seconds: float) -> None:
        await self.state.clock.sleep(seconds)
        try:
            ids = self.delivery.deliver(addresses, entry.source or b"")
        except (MailboxUnknownError, SandboxFullError) as error:
            self.journal.replace(evolve(entry, status=550, reason=f"accepted, and lost later: {error}"))
            return
        entry = evolve(entry, message_ids=ids)
        self.journal.replace(entry)
        self.delivery.attach(entry)

    async def _listen(
        self, factory: Callable[[], asyncio.BaseProtocol], port: int, tls: ssl.SSLContext | None = None
    ) -> int:
        server, port = await listen(factory, self._host, port, tls)
        self._servers.append(server)
        return port

    def _connect(self) -> asyncio.BaseProtocol:
        return self._refused() or Connection(self, starttls=True)

    def _connect_tls(self) -> asyncio.BaseProtocol:
        self.tls.load()  # before the handshake, which asks the context for a certificate
        return self._refused() or Connection(self, starttls=False)

    def _record_handshake(self, error: ssl.SSLError) -> None:
        reason = f"TLS could not be set up: {error}"
        self.journal.record(
            SmtpEntry(at=self.state.clock.utcnow(), status=454, reason=reason, sender="", recipients=())
        )

    def _refused(self) -> asyncio.BaseProtocol | None:
        if len(self._connections) >= self.state.limits.connections:
            return Refusing(_CROWDED)
        fault = self.faults.take("connect")
        if isinstance(fault, SmtpReply):
            return Refusing(f"{fault.code} {fault.text}\r\n".encode())
        return Refusing(b"") if isinstance(fault, SmtpDisconnect) else None


def _is_no_failed_handshake(record: logging.LogRecord) -> bool:
    """Drop what asyncio logs in development mode alone of a client that gave up TLS: the journal has it in any mode."""
    return not (isinstance(record.msg, str) and _FAILED_HANDSHAKE.match(record.msg))


def _is_logged(record: logging.LogRecord) -> bool:
    """Make a record of aiosmtpd's safe for terminals, and drop those that could hold a password."""
    with suppress(TypeError, ValueError):  # of arguments that do not fit: logging reports them itself
        text = record.getMessage()
        if any(part in text for part in _NOT_LOGGED):
            return False
        record.msg, record.args = _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text), None
    return True
