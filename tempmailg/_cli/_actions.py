"""What the commands do: one coroutine for each."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec

import attrs
import click

from tempmailg import _errors as err
from tempmailg import _signals as signals
from tempmailg._cli import _recent
from tempmailg._cli._log import log_shown_on
from tempmailg._cli._screen import AnswerLostError, Screen
from tempmailg._cli._session import Session, opened
from tempmailg._cli._times import ago, clock, stamp, until
from tempmailg._models import Mailbox
from tempmailg._sanitize import ascii_url, sanitize_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tempmailg._cli._options import OutputOptions
    from tempmailg._client import AsyncClient
    from tempmailg._models import Attachment, DomainType, Message

P = ParamSpec("P")

Answer = Literal["code", "link"]


def start(
    output: OutputOptions, action: Callable[Concatenate[Session, P], Awaitable[None]], *args: P.args, **kwargs: P.kwargs
) -> None:
    """Run an action with a client, to its end or to Ctrl-C."""
    screen = Screen(output)

    async def act() -> None:
        async with opened(screen) as session:
            await action(session, *args, **kwargs)

    with log_shown_on(screen, debug=output.debug):
        signals.run(act)


# --------------------------------------------------------------------------------------------------------- mailboxes


async def domains(session: Session, kind: DomainType) -> None:
    """Print the domains."""
    listed = await session.client.list_domains(kind)
    if session.screen.as_json(listed):
        return
    rows = [(domain.domain, domain.type, "yes" if domain.custom else "no") for domain in listed.domains]
    session.screen.table(("DOMAIN", "PLAN", "YOUR OWN"), rows)


async def new(session: Session) -> None:
    """Make a mailbox and print its address."""
    _show_new(session, await session.client.create_mailbox())


async def switch(session: Session, name: str, username: str, domain: str) -> None:
    """Switch a mailbox to another address and print it."""
    _show_new(session, await session.client.update_mailbox(session.mailbox(name), username, domain))


def _show_new(session: Session, mailbox: Mailbox) -> None:
    session.remember(mailbox)
    try:
        session.screen.answer(mailbox, mailbox.email)
    except OSError as error:  # the mailbox is there, and was paid for: its address must not be lost
        session.screen.warn(f"the mailbox {mailbox.email} is made, but stdout did not take it: {error.strerror}")
        raise AnswerLostError from error
    expiry = f"expires in {until(mailbox.expires_at)}; " if mailbox.expires_at else ""
    session.screen.hint(f"{expiry}see its mail with: tempmailg messages")


async def rm(session: Session, name: str) -> None:
    """Delete a mailbox."""
    mailbox = session.mailbox(name)
    address = _address(mailbox)
    await session.client.delete_mailbox(mailbox)
    _recent.forget(address)
    _show_deleted(session, [address])


def _address(mailbox: Mailbox | str) -> str:
    return mailbox.email if isinstance(mailbox, Mailbox) else mailbox


def _show_deleted(session: Session, deleted: Sequence[str]) -> None:
    if not session.screen.as_json({"deleted": deleted}):
        session.screen.hint(f"deleted {', '.join(deleted)}")


async def quota(session: Session) -> None:
    """Print what is left of the quota."""
    await session.client.list_domains()  # the cheapest question: every answer carries the quota
    left = session.client.quota
    if left is None:
        raise err.APIResponseError("the service declared no quota in its answer: see its API management page")
    if session.screen.as_json(left):
        return
    rows = [(f"{left.remaining}", f"{left.used}", f"{left.limit}", left.resets_at or "")]
    session.screen.table(("REMAINING", "USED", "LIMIT", "RESETS"), rows)


# ---------------------------------------------------------------------------------------------------------- messages


async def messages(session: Session, name: str) -> None:
    """Print the messages of a mailbox."""
    answered = await session.client.list_messages(session.mailbox(name))
    for error in answered.unreadable:
        session.screen.warn(f"a message that cannot be read: {error}")
    listed = _oldest_first(answered)
    if session.screen.as_json(listed):
        return
    if not listed:
        session.screen.hint("no messages yet; tempmailg wait waits for one")
    elif session.screen.for_people:
        session.screen.table(("RECEIVED", "FROM", "SUBJECT AND ID"), map(_cells, listed))
    else:
        for message in listed:
            _show_in_pipe(session.screen, message)


def _oldest_first(listed: Sequence[Message]) -> list[Message]:
    """Return messages in the order of arrival; within one second, which is all that is known, in that of the list."""
    newest_first = bool(listed) and listed[0].received_at >= listed[-1].received_at
    return sorted(reversed(listed) if newest_first else listed, key=lambda message: message.received_at)


def _cells(message: Message) -> tuple[Any, ...]:
    # An id must be whole to be copied, and has the width of many a subject: it gets the line below.
    return message.received_at, message.from_email, f"{sanitize_line(_title(message))}\n{sanitize_line(message.id)}"


def _title(message: Message) -> str:
    files = len(message.attachments)
    return f"{message.subject}  [{files} attached]" if files else message.subject


def _show_in_pipe(screen: Screen, message: Message) -> None:
    screen.row(message.id, message.received_at, message.from_email, message.subject)


async def read(session: Session, message_id: str) -> None:
    """Print a message."""
    message = await session.client.get_message(message_id)
    for problem in message.problems:
        session.screen.warn(f"left out of the message: {problem}")
    if session.screen.as_json(message):
        return
    session.screen.page(
        (
            ("Subject", message.subject),
            ("From", f"{message.from_name} <{message.from_email}>"),
            ("To", message.to),
            ("Date", f"{stamp(message.received_at)} ({ago(message.received_at)})"),
        ),
        message.text,
    )
    if message.attachments:
        session.screen.heading("Attachments")
        session.screen.table(("NAME", "BYTES"), [(file.name, _bytes(file)) for file in message.attachments])


def _bytes(file: Attachment) -> str:
    return "unknown" if file.size is None else str(file.size)


async def save_html(session: Session, message_id: str, to: str | None) -> None:
    """Write a message's content to an HTML file and print its path."""
    message = await session.client.get_message(message_id)
    path = _new_file(to)
    from tempmailg._page import safe_page

    page = safe_page(message.content, is_html=message.is_html, title=sanitize_line(message.subject))
    path.write_text(page, encoding="utf-8", errors="replace", newline="")
    session.screen.path(path)
    session.screen.as_json({"path": str(path)})


def _new_file(to: str | None) -> Path:
    if to is None:
        handle, name = tempfile.mkstemp(prefix="tempmailg-", suffix=".html")
        os.close(handle)
        return Path(name)
    path = Path(to)
    path.touch(mode=0o600, exist_ok=False)
    return path


async def rm_message(session: Session, message_ids: Sequence[str]) -> None:
    """Delete messages."""
    for message_id in message_ids:
        await session.client.delete_message(message_id)
    _show_deleted(session, message_ids)


async def download(session: Session, message_id: str, names: Sequence[str], to: str, overwrite: bool) -> None:  # noqa: FBT001 - passed on from click
    """Save attachments and print their paths."""
    message = await session.client.get_message(message_id)
    files = _chosen(message, names)
    title = files[0].name if len(files) == 1 else f"{len(files)} files"
    chosen = attrs.evolve(message, attachments=tuple(files))
    with session.screen.progress(title) as progress:
        try:
            paths = await session.client.download_attachments(chosen, to, overwrite=overwrite, progress=progress)
        except err.IncompleteDownloadError as error:
            _show_saved(session.screen, files, error.paths)
            raise
    _show_saved(session.screen, files, paths)


def _show_saved(screen: Screen, files: Sequence[Attachment], paths: Sequence[Path | None]) -> None:
    saved = [(file, path) for file, path in zip(files, paths, strict=True) if path is not None]
    listed = [{"name": file.name, "path": str(path), "size": path.stat().st_size} for file, path in saved]
    if screen.as_json(listed):
        return
    for _, path in saved:
        screen.path(path)


def _chosen(message: Message, names: Sequence[str]) -> list[Attachment]:
    """Return the attachments that were named, exactly or as `read` shows them; all if none was."""
    if not names:
        return list(message.attachments)
    chosen: list[Attachment] = []
    for name in names:
        fitting = [file for file in message.attachments if name in (file.name, sanitize_line(file.name))]
        if not fitting:
            there = ", ".join(repr(sanitize_line(file.name)) for file in message.attachments) or "none"
            raise click.UsageError(f"the message has no attachment {name!r}; there are: {there}")
        chosen.append(fitting[0])
    return chosen


# ----------------------------------------------------------------------------------------------------------- waiting


async def wait(
    session: Session,
    name: str,
    answer: Answer | None,
    /,
    *,
    only_new: bool,
    timeout: float,
    **criteria: Any,  # noqa: ANN401 - those of the client
) -> None:
    """Wait for a message and print its id, or the code or link in it."""
    mailbox = session.mailbox(name)
    if answer is not None:
        from tempmailg._extract import warm_up

        warm_up()  # now, not between the poll that finds the code and the line that shows it
    ignore: Sequence[Message] = await session.client.list_messages(mailbox) if only_new else ()
    with session.screen.spinner(_waiting_line(session, mailbox, timeout)):
        value, text, hint = await _arrival(session.client, mailbox, answer, timeout=timeout, ignore=ignore, **criteria)
    session.screen.answer(value, text)
    session.screen.hint(hint)


async def _arrival(
    client: AsyncClient,
    mailbox: Mailbox | str,
    answer: Answer | None,
    **criteria: Any,  # noqa: ANN401 - those of the client
) -> tuple[object, str, str]:
    """Return what arrived: as a value, as the answer's text, and a hint for a person."""
    if answer == "code":
        code = await client.wait_for_code(mailbox, **criteria)
        return {"code": code}, code, ""
    if answer == "link":
        link = await client.wait_for_link(mailbox, **criteria)
        return {"link": link}, ascii_url(link), ""
    message = await client.wait_for_message(mailbox, **criteria)
    return message, message.id, f"{_title(message)} from {message.from_email}; show it with: tempmailg read ID"


def _waiting_line(session: Session, mailbox: Mailbox | str, timeout: float) -> Callable[[], str]:
    begun = time.monotonic()

    def line() -> str:
        parts = [f"waiting {clock(time.monotonic() - begun)} of {clock(timeout)}", _cost(session)]
        if isinstance(mailbox, Mailbox) and mailbox.expires_at:
            parts.append(f"expires in {until(mailbox.expires_at)}")
        return " · ".join((*parts, _address(mailbox)))  # the address last: a narrow terminal cuts it first

    return line


def _cost(session: Session) -> str:
    traffic = session.traffic
    return f"polls: {traffic.requests} · quota spent: {traffic.spent}"


async def watch(session: Session, names: Sequence[str], state: str | None, poll_interval: float | None) -> None:
    """Print each message once as it arrives."""
    mailboxes = [session.mailbox(name) for name in names]
    screen = session.screen
    async with session.client.watch(
        *mailboxes, state=state, poll_interval=poll_interval, on_gone=lambda gone: screen.warn(str(gone))
    ) as watching:
        printed = 0

        def line() -> str:
            health = watching.health
            failing = f" · failing: {len(health.failing)}" if health.failing else ""
            return f"watching · mailboxes: {health.mailboxes}{failing} · messages: {printed} · {_cost(session)}"

        with screen.spinner(line):
            async for message in watching:  # asking for the next one makes this one, which was printed, count as seen
                _show_arrival(screen, message)
                printed += 1


def _show_arrival(screen: Screen, message: Message) -> None:
    if screen.as_json(message):
        return
    if not screen.for_people:
        _show_in_pipe(screen, message)
        return
    time_of_day = f"{message.received_at.astimezone():%H:%M:%S}  "
    screen.styled((time_of_day, "dim"), (message.from_email, "bold"), "  ", _title(message))
    screen.styled((" " * len(time_of_day) + message.id, "dim"))
