"""One SMTP connection: what aiosmtpd makes of the protocol, and what applications need besides.

aiosmtpd reads commands and keeps their order. Here stand any login, DSN parameters, BDAT, scripted faults, the journal,
and a reader of mails that neither copies them nor ends them early.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any, AnyStr, Final, NoReturn, Protocol

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, LoginPassword, Session, TLSSetupException
from attrs import evolve

from tempmailg._internals import PrivateName, check_names
from tempmailg.sandbox._journal import SmtpEntry
from tempmailg.sandbox._mail import clean_text
from tempmailg.sandbox._smtp_faults import LateDelivery, SmtpDelay, SmtpDisconnect, SmtpReply
from tempmailg.sandbox._smtp_transaction import Transaction, address_in, bounded, read_path
from tempmailg.sandbox._state import MailboxFullError, MailboxUnknownError, SandboxFullError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tempmailg.sandbox._certificate import ServerTls
    from tempmailg.sandbox._journal import SmtpJournal
    from tempmailg.sandbox._local_delivery import LocalDelivery
    from tempmailg.sandbox._smtp_faults import SmtpFault, SmtpFaults, SmtpStage
    from tempmailg.sandbox._state import State

__all__ = ["NAMES", "Connection", "MailDoor"]

_END: Final = b"\r\n.\r\n"  # the one sequence that ends a mail: any laxer one would smuggle a second mail in
_MAX_RECIPIENTS: Final = 1_000
_MAX_COMMAND: Final = 16 * 1024  # bytes of a command; a login token may have 12,288 (RFC 4954)
_CHUNK: Final = 256 * 1024
_EXTENSIONS: Final = ("250-PIPELINING", "250-CHUNKING", "250-BINARYMIME", "250-DSN")
# Parameters that a mail server may act on and a sandbox accepts: RFC 3461 (DSN), RFC 4954 (AUTH), RFC 2852, RFC 6710.
_IGNORED_PARAMETERS: Final = frozenset({"RET", "ENVID", "NOTIFY", "ORCPT", "AUTH", "BY", "MT-PRIORITY", "REQUIRETLS"})
_TLS_HELLO: Final = b"\x16\x03"
_HTTP_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PRI")
_HTTP_ANSWER: Final = "421 4.7.0 This is a mail server, and the sandbox's HTTP port is another"

NAMES: Final = (
    PrivateName(SMTP, "_reader", set_by="_cb_client_connected"),
    PrivateName(SMTP, "_handler_coroutine", set_by="__init__"),
    PrivateName(SMTP, "_smtp_methods", set_by="__init__"),
    PrivateName(SMTP, "_set_post_data_state"),
    PrivateName(SMTP, "_authenticate"),
    PrivateName(SMTP, "_getaddr"),
    PrivateName(SMTP, "_getparams"),
)
"""What is used here of aiosmtpd although it is not public, as in `tempmailg._internals`."""

check_names(NAMES)


class MailDoor(Protocol):
    """What a connection needs of the door that it came by."""

    state: State
    journal: SmtpJournal
    faults: SmtpFaults
    delivery: LocalDelivery
    tls: ServerTls

    def enter(self, connection: Connection) -> None:
        """Count a connection in."""
        ...

    def leave(self, connection: Connection) -> None:
        """Count a connection out."""
        ...

    def deliver_late(self, entry: SmtpEntry, addresses: Sequence[str], seconds: float) -> None:
        """Deliver a mail that was accepted, after a while."""
        ...


class Connection(SMTP):
    """One SMTP connection."""

    # Also how much the reader buffers. Mail programs write longer lines than RFC 5321's 998 characters, and a tester is
    # better served by seeing that mail than by its refusal.
    line_length_limit = 256 * 1024
    command_size_limit = _MAX_COMMAND
    command_size_limits: dict[str, int] = defaultdict(lambda: _MAX_COMMAND)  # noqa: RUF012 - aiosmtpd's, cleared for each connection
    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(self, door: MailDoor, *, starttls: bool) -> None:
        self._door = door
        self._state = door.state
        self._transaction: Transaction | None = None
        self._chunks: bytearray | None = None  # what BDAT brought so far
        self._data_fault: SmtpFault | None = None
        self._has_begun = False
        self._login = ""
        self._answer = "", ""  # the last one: its code and text
        super().__init__(
            _Hooks(self),
            data_size_limit=door.state.limits.message_bytes,
            enable_SMTPUTF8=True,
            hostname="sandbox.invalid",
            ident="tempmailg sandbox",
            timeout=door.state.limits.idle_seconds,
            auth_require_tls=False,
            authenticator=self._log_in,
            tls_context=door.tls.context if starttls else None,
            loop=asyncio.get_running_loop(),
        )
        self._smtp_methods.update(dict.fromkeys(_HTTP_METHODS, self._drop_http))

    # ---------------------------------------------------------------------------------------- the connection's life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or begin anew within TLS."""
        self._login = ""
        self._door.enter(self)
        super().connection_made(transport)
        if self._handler_coroutine is not None:
            self._handler_coroutine.add_done_callback(_retrieve)

    def data_received(self, data: bytes) -> None:
        """Take what came; TLS on a plain port cannot be understood, so the journal says that it came."""
        if not self._has_begun and data.startswith(_TLS_HELLO):
            self._record_session(500, "the client began with TLS on the port for plain connections and STARTTLS")
            self.abort()
            return
        self._has_begun = True
        super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self._end_transaction()
        super().connection_lost(error)
        self._door.leave(self)

    def abort(self) -> None:
        """Give the connection up."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def _hang_up(self) -> NoReturn:
        """End the connection and whatever the client sent ahead."""
        self.abort()
        raise ConnectionResetError

    async def push(self, status: AnyStr) -> None:
        """Send an answer."""
        text = status if isinstance(status, str) else status.decode("utf-8", "replace")
        self._answer = text[:3], text[4:]
        await super().push(status)

    async def handle_exception(self, error: Exception) -> str:
        """Answer to what went wrong; a client that gave up TLS is no failure of the sandbox."""
        if isinstance(error, TLSSetupException):
            self._record_session(454, f"TLS could not be set up: {error.__cause__}")
            return "454 TLS is not available"
        logging.getLogger("tempmailg.sandbox").error("an SMTP session failed", exc_info=error)
        return f"451 4.3.0 The sandbox failed: {type(error).__name__}"

    # --------------------------------------------------------------------------------------- greeting, login, TLS

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        """Announce what the sandbox can."""
        session.host_name = hostname
        return [*answers[:-1], *_EXTENSIONS, answers[-1]]

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Go on within TLS."""
        if self.tls_context is not None and not arg:
            self._end_transaction()  # RFC 3207: the server forgets what it knows of the client
            self._door.tls.load()
        await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Log in: whoever it is, by whatever password."""
        mechanism, _, rest = (arg or "").partition(" ")
        refusal = await self._scripted("auth")
        if refusal:
            self._record_session(int(refusal[:3]), refusal[4:], fault=SmtpReply.kind)
            await self.push(refusal)
            return
        await super().smtp_AUTH(f"{mechanism.upper()} {rest}".strip())

    async def auth_CRAM__MD5(self, _server: SMTP, _args: list[str]) -> AuthResult:  # noqa: N802 - aiosmtpd's name
        """Have the client prove a password that nobody checks (RFC 2195)."""
        challenge = f"<{os.getpid()}.{hashlib.sha256(os.urandom(16)).hexdigest()[:16]}@{self.hostname}>"
        response = await self.challenge_auth(challenge)
        if response is MISSING:
            return AuthResult(success=False)
        login, _, digest = response.rpartition(b" ")
        if not login or len(digest) != 32:
            await self.push("501 5.5.2 Expected a user name and a digest")
            return AuthResult(success=False)
        return self._authenticate("CRAM-MD5", LoginPassword(login, b""))

    def _log_in(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        self._login = bounded(data.login.decode("utf-8", "replace"))
        return AuthResult(success=True)

    async def _drop_http(self, _arg: str | None) -> None:
        """Drop a browser that was talked into sending mail: its request's body could be SMTP."""
        await self.push(_HTTP_ANSWER)
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.close()
        raise ConnectionResetError

    # ----------------------------------------------------------------------------------------------- the envelope

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Begin a transaction."""
        if self._transaction is not None:
            await self.push("503 5.5.1 Error: nested MAIL command")
            return
        self._transaction = Transaction(bounded(address_in(arg)))
        await super().smtp_MAIL(arg)
        if self.envelope is None or self.envelope.mail_from is None:
            self._transaction.end(" ".join(self._answer))
            self._end_transaction()

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept any sender."""
        refusal = await self._scripted("mail")
        if refusal:
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Name a recipient."""
        accepted = len(self.envelope.rcpt_tos) if self.envelope else 0
        await super().smtp_RCPT(arg)
        if self._transaction is not None and self.envelope is not None:
            code, text = self._answer
            is_accepted = len(self.envelope.rcpt_tos) > accepted
            self._transaction.add_recipient(address_in(arg), int(code), "" if is_accepted else text)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept those whom the sandbox delivers to."""
        if len(envelope.rcpt_tos) >= _MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        refusal = self._door.delivery.refusal(address) or await self._scripted("rcpt", address)
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        return read_path(arg)

    def _getparams(self, params: Sequence[str]) -> dict[str, str | bool] | None:
        known = [param for param in params if param.partition("=")[0] not in _IGNORED_PARAMETERS]
        parameters = super()._getparams(known)
        if parameters is not None and parameters.get("BODY") == "BINARYMIME":
            parameters["BODY"] = "8BITMIME"  # any mail is read as bytes
        return parameters

    # --------------------------------------------------------------------------------------------------- the mail

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Receive a mail.

        aiosmtpd's own method keeps a list of lines, which takes four times the mail's size and 0.1 s for each megabyte.
        """
        refusal = self._not_ready() or ("501 Syntax: DATA" if arg else "")
        if self._chunks is not None:
            refusal = "503 5.5.1 A mail begun by BDAT ends by BDAT"
        if refusal:
            await self.push(refusal)
            return
        self._begin_mail()
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        if isinstance(self._data_fault, SmtpDisconnect):
            await self._lose_mail()
        await self._finish_mail(await self._read_mail())

    async def smtp_BDAT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        """Receive a piece of a mail (RFC 3030)."""
        size, _, last = (arg or "").partition(" ")
        if not (size.isascii() and size.isdigit() and len(size) < 16) or last.strip().upper() not in ("", "LAST"):
            await self.push("501 Syntax: BDAT <size> [LAST]")
            return
        refusal = self._not_ready()
        if not refusal and self._chunks is None:
            self._begin_mail()
            self._chunks = bytearray()
        await self._read_chunk(int(size), is_kept=not refusal)
        if refusal or not last:
            await self.push(refusal or f"250 {size} bytes received")
            return
        mail, self._chunks = self._chunks, None
        await self._finish_mail(mail if mail is not None and len(mail) <= self._state.limits.message_bytes else None)

    def _not_ready(self) -> str:
        """Return why there is nobody to send a mail to, or nothing."""
        if self.session is None or not self.session.host_name:
            return "503 Error: send HELO first"
        return "" if self.envelope is not None and self.envelope.rcpt_tos else "503 Error: need RCPT command"

    def _begin_mail(self) -> None:
        self._data_fault = self._take("data")

    async def _read_chunk(self, size: int, *, is_kept: bool) -> None:
        """Read what BDAT announced; of a mail that is too large only so much that this can be seen is kept."""
        while size:
            piece = await self._reader.readexactly(min(size, _CHUNK))
            size -= len(piece)
            if not is_kept or self._chunks is None:
                continue
            self._count(len(piece))
            if len(self._chunks) <= self._state.limits.message_bytes:
                self._chunks += piece

    async def _read_mail(self) -> bytearray | None:
        """Return the mail, or None if it was too large and is forgotten."""
        limit = self._state.limits.message_bytes + len(_END)
        mail, is_too_large = bytearray(b"\r\n"), False  # the line break before the first line, which could be the last
        while not mail.endswith(_END):
            piece = await self._read_on()
            self._count(len(piece))
            mail += piece
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

    async def _lose_mail(self) -> NoReturn:
        """Read as much of a mail as is scripted, at most to its end, and hang up."""
        last = b"\r\n"
        while _END not in last:
            piece = await self._reader.read(_CHUNK)
            self._count(len(piece))
            last = last[1 - len(_END) :] + piece
        self._hang_up()

    async def _read_on(self) -> bytes:
        try:
            return await self._reader.readuntil(_END[2:])
        except asyncio.LimitOverrunError as error:
            return await self._reader.readexactly(error.consumed)

    def _count(self, read: int) -> None:
        """Count the mail's bytes, and hang up where that is scripted."""
        if self._transaction is not None:
            self._transaction.size += read
        fault = self._data_fault
        if isinstance(fault, SmtpDisconnect) and self._transaction is not None and self._transaction.size > fault.after:
            self._hang_up()

    async def _finish_mail(self, mail: bytearray | None) -> None:
        transaction, envelope = self._transaction, self.envelope
        if transaction is None or envelope is None:
            return
        if mail is not None:
            transaction.size, transaction.source = len(mail), mail
        fault, self._data_fault = self._data_fault, None
        answer = await self._perform(fault) or self._accept(transaction, envelope.rcpt_tos, mail, fault)
        transaction.end(answer)
        addresses = list(envelope.rcpt_tos)
        entry = self._end_transaction()
        self._set_post_data_state()
        if isinstance(fault, LateDelivery) and entry is not None and entry.status == 250:
            self._door.deliver_late(entry, addresses, fault.seconds)
        await self.push(answer)

    def _accept(
        self, transaction: Transaction, addresses: list[str], mail: bytearray | None, fault: SmtpFault | None
    ) -> str:
        if mail is None:
            return f"552 5.3.4 The sandbox takes mails of {self._state.limits.message_bytes} bytes at most"
        if isinstance(fault, LateDelivery):
            return "250 OK"
        try:
            transaction.message_ids = self._door.delivery.deliver(addresses, mail)
        except MailboxUnknownError:
            return "550 5.1.1 A mailbox expired while the mail was sent"
        except MailboxFullError:
            return "552 5.2.2 With this mail, the list of a mailbox would be longer than clients read: delete messages"
        except SandboxFullError:
            return "452 4.3.1 The sandbox is full"
        return "250 OK"

    # ----------------------------------------------------------------------------------------------------- faults

    def _take(self, stage: SmtpStage) -> SmtpFault | None:
        fault = self._door.faults.take(stage)
        if fault is not None and self._transaction is not None:
            self._transaction.fault = fault.kind
        return fault

    async def _scripted(self, stage: SmtpStage, address: str = "") -> str:
        """Let happen what is scripted for a stage; return the refusal, if it is one."""
        return await self._perform(self._take(stage), address)

    async def _perform(self, fault: SmtpFault | None, address: str = "") -> str:
        if isinstance(fault, SmtpReply):
            return f"{fault.code} {fault.text}"
        if isinstance(fault, SmtpDisconnect):
            self._hang_up()
        if isinstance(fault, SmtpDelay):
            await self._state.clock.sleep(fault.seconds)
        return self._greylisted(address, fault) if address else ""

    def _greylisted(self, address: str, fault: SmtpFault | None) -> str:
        pair = self._transaction.sender if self._transaction else "", address.lower()
        left = self._door.faults.greylisted(pair, self._state.clock.monotonic(), fault)
        return f"450 4.2.0 Greylisted, please try again in {left:.0f} seconds" if left else ""

    # ---------------------------------------------------------------------------------------------------- journal

    def _set_post_data_state(self) -> None:
        """Begin anew: with RSET, a second greeting, TLS, or behind a mail."""
        self._end_transaction()
        self._chunks = None
        super()._set_post_data_state()  # type: ignore[no-untyped-call] # aiosmtpd leaves it unannotated

    def _end_transaction(self) -> SmtpEntry | None:
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return None
        entry = self._door.journal.record(transaction.recorded(self._entry()))
        self._door.delivery.attach(entry)
        return entry

    def _record_session(self, status: int, reason: str, *, fault: str = "") -> None:
        """Record what ended a session before there was a transaction."""
        entry = evolve(self._entry(), status=status, reason=clean_text(reason), fault=fault)
        self._door.journal.record(entry)

    def _entry(self) -> SmtpEntry:
        """Return what is known of the session."""
        session = self.session
        return SmtpEntry(
            at=self._state.clock.utcnow(),
            status=0,
            sender="",
            recipients=(),
            client=bounded((session.host_name if session else None) or ""),
            peer=_peer(session),
            tls=_tls_version(self.transport),
            login=self._login,
        )


class _Hooks:
    """What aiosmtpd calls a handler; it inspects every member of it for each connection, so there are few."""

    def __init__(self, connection: Connection) -> None:
        self.handle_EHLO = connection.handle_EHLO
        self.handle_MAIL = connection.handle_MAIL
        self.handle_RCPT = connection.handle_RCPT


def _retrieve(session: asyncio.Future[Any]) -> None:
    """Take the end of a session for what it is: clients hang up."""
    if not session.cancelled():
        session.exception()


def _peer(session: Session | None) -> str:
    peer: Any = session.peer if session else None
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""


def _tls_version(transport: asyncio.BaseTransport | None) -> str:
    tls = transport.get_extra_info("ssl_object") if transport is not None else None
    return str(tls.version()) if tls is not None else ""
