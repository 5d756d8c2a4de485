"""The inbox page at the sandbox's own address, and each mail as a page of its own. No I/O but reading three files.

`page.html`, `page.css` and `page.js` are the page; what they ask for is below ``/_sandbox/page/``. Mail is a
stranger's: the page shows it as text, or in the frame that `safe_page` builds, and its own policy forbids everything
that it does not need.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from functools import cache
from heapq import nlargest
from importlib import resources
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from attrs import asdict, field, frozen

from tempmailg._page import MAIL_POLICY, safe_page
from tempmailg.sandbox import _views as views
from tempmailg.sandbox._answers import Answer, Refusal, error_answer, json_answer
from tempmailg.sandbox._guard import shown_key
from tempmailg.sandbox._mail import BytesBlob
from tempmailg.sandbox._operations import Operations
from tempmailg.sandbox._routes import Routes
from tempmailg.sandbox._state import SandboxFullError, State

if TYPE_CHECKING:
    from tempmailg.sandbox._state import Stored

__all__ = ["PAGE_ROUTES", "Page"]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types"
)
_HEADERS: Final = (
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_HTML: Final = "text/html; charset=utf-8"
_MOST: Final = 500  # mailboxes, messages or refused mails in one answer
_CANDIDATES: Final = 5  # codes, and links, that are shown of a mail
_IMAGE_BYTES: Final = 16 * 1024 * 1024  # of all images that are shown within one mail
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)
_WAITING: Final = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>No mail yet</title>
<p data-testid="no-mail">No mail for {to} yet: this page asks again every second.
"""


@frozen
class _Request:
    """A request of the page; the state is locked while it is answered."""

    sandbox: Operations = field(repr=False)
    state: State = field(repr=False)
    arguments: Mapping[str, str]


@frozen
class PageRoute:
    """One route of the page.

    Args:
        method: The HTTP method.
        path: Its path.
        handler: What it does; what it returns is the answer, or its JSON.
        query: Query parameters.
    """

    method: str
    path: str
    handler: Callable[[_Request], object]
    query: tuple[str, ...] = ()


class Page:
    """Answers what a browser asks for.

    Args:
        sandbox: The sandbox that is shown.
        state: What it knows.
        needs_key: Whether the browser must show an account's key, since other machines can reach the sandbox.
    """

    def __init__(self, sandbox: Operations, state: State, *, needs_key: bool) -> None:
        self._sandbox = sandbox
        self._state = state
        self._needs_key = needs_key
        self._routes = Routes(PAGE_ROUTES, what="page")

    def handle(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | None:
        """Answer a request, or return None for one that is not the page's.

        Args:
            method: The HTTP method.
            target: Path and query.
            headers: The request's headers, found in any case.
        """
        try:
            match = self._routes.find(method, target)
        except Refusal as refusal:
            return None if refusal.answer.status == 404 else refusal.answer
        if self._needs_key and not self._sandbox.knows(shown_key(headers)):
            realm = ("WWW-Authenticate", 'Basic realm="Any name, and the API key of the sandbox", charset="UTF-8"')
            return error_answer(401, "The page of this sandbox takes the key of an account as its password.", realm)
        try:
            with self._state.lock:
                result = match.route.handler(_Request(self._sandbox, self._state, match.arguments))
        except Refusal as refusal:
            return refusal.answer
        except SandboxFullError as error:
            return error_answer(507, f"{error}")
        return result if isinstance(result, Answer) else json_answer(200, result, *_HEADERS)


# ------------------------------------------------------------------------------------------------------ the three files


@cache
def _file(name: str) -> bytes:
    return resources.files("tempmailg.sandbox").joinpath(name).read_bytes()


def _static(name: str, content_type: str) -> Callable[[_Request], Answer]:
    def answer(_: _Request) -> Answer:
        headers = (("Content-Type", content_type), ("Content-Security-Policy", _POLICY), *_HEADERS)
        return Answer(200, headers, BytesBlob(_file(name)))

    return answer


# ------------------------------------------------------------------------------------------------------------ mailboxes


def _mailboxes(request: _Request) -> object:
    every = views.mailboxes(request.state)
    refused = sum(not views.is_kept(entry) for entry in request.sandbox.smtp_journal)
    return {
        "mailboxes": every[: -_MOST - 1 : -1],  # the newest first
        "total": len(every),
        "messages": len(request.state.messages),
        "refused": refused,
        "is_frozen": request.sandbox.clock.mode != "running",
    }


def _create_mailbox(request: _Request) -> object:
    key = request.sandbox.api_key
    return {"email": request.state.open_random(key, request.sandbox.account(key)).email}


def _delete_mailbox(request: _Request) -> object:
    box = request.state.box(request.arguments["email"])
    if box is None:
        raise Refusal(404, "There is no such mailbox, or it has expired.")
    request.state.close(box)
    return {}


def _settings(request: _Request) -> object:
    sandbox = request.sandbox
    return {
        "base_url": sandbox.base_url,
        "api_key": sandbox.api_key,
        "smtp_host": sandbox.smtp_host,
        "smtp_port": sandbox.smtp_port,
        "smtp_tls_port": sandbox.smtp_tls_port,
    }


def _refused(request: _Request) -> object:
    entries = [entry for entry in request.sandbox.smtp_journal if not views.is_kept(entry)]
    return {"refused": views.smtp_entries(reversed(entries[-_MOST:]), None)}


# ------------------------------------------------------------------------------------------------------------- messages


def _messages(request: _Request) -> object:
    request.state.purge()
    email = request.arguments.get("mailbox")
    box = request.state.box(email) if email else None
    found = request.state.messages if email is None else box.messages if box else {}
    first, count = _number(request, "offset", 0), min(_MOST, _number(request, "limit", _MOST))
    shown = nlargest(first + count, enumerate(found.values()), key=lambda item: (item[1].received, item[0]))
    return {"total": len(found), "messages": [views.summary(message) for _, message in shown[first:]]}


def _number(request: _Request, name: str, default: int) -> int:
    text = request.arguments.get(name, f"{default}")
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Refusal(422, f"The query parameter {name} must be a whole number.", field=name)
    return int(text)


def _message(request: _Request) -> object:
    stored = _stored(request)
    message = views.as_message(stored)
    return {
        **views.message(request.state, stored.id),
        "codes": [asdict(code) for code in message.find_codes()[:_CANDIDATES]],
        "links": [asdict(link) for link in message.find_links()[:_CANDIDATES]],
    }


def _delete_message(request: _Request) -> object:
    request.state.drop(_stored(request))
    return {}


def _attachment(request: _Request) -> Answer:
    name = request.arguments["name"]
    file = next((file for file in _stored(request).mail.files if file.name == name), None)
    if file is None:
        raise Refusal(404, "The message has no such file.")
    headers = (
        ("Content-Type", file.content_type if _MEDIA_TYPE.fullmatch(file.content_type) else "application/octet-stream"),
        ("Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}"),
        ("Content-Security-Policy", "default-src 'none'; sandbox"),
    )
    return Answer(200, (*headers, *_HEADERS), file.blob)


def _mail(request: _Request) -> Answer:
    return _mail_page(_stored(request))


def _latest(request: _Request) -> Answer:
    to = request.arguments.get("to")
    if not to:
        raise Refusal(422, "The query parameter to must be the address whose latest mail is wanted.", field="to")
    box = request.state.recipient(to)
    if box is None or not box.messages:
        headers = (("Content-Type", _HTML), ("Content-Security-Policy", "default-src 'none'"), ("Refresh", "1"))
        return Answer(404, (*headers, *_HEADERS), BytesBlob(_WAITING.format(to=html.escape(to)).encode()))
    newest = max(enumerate(box.messages.values()), key=lambda item: (item[1].received, item[0]))
    return _mail_page(newest[1])


def _mail_page(stored: Stored) -> Answer:
    mail = stored.mail
    page = safe_page(mail.content, is_html=mail.is_html, title=mail.subject, attachments=_images(stored), links=True)
    headers = (("Content-Type", _HTML), ("Content-Security-Policy", f"{MAIL_POLICY}; frame-ancestors 'self'"))
    return Answer(200, (*headers, *_HEADERS), BytesBlob(page.encode(errors="replace")))


def _images(stored: Stored) -> dict[str, bytes]:
    """Return the files that a mail may show, under their names and Content-IDs; not more than `_IMAGE_BYTES`."""
    images: dict[str, bytes] = {}
    left = _IMAGE_BYTES
    for file in stored.mail.files:
        if not file.content_type.startswith("image/"):
            continue
        left -= file.blob.size
        if left >= 0:
            data = b"".join(file.blob.chunks())
            images.update({key: data for key in (file.content_id, file.name) if key})
    return images


def _stored(request: _Request) -> Stored:
    return views.stored_message(request.state, request.arguments["id"])


PAGE_ROUTES: Final = (
    PageRoute("GET", "/", _static("page.html", _HTML)),
    PageRoute("GET", "/_sandbox/page/page.css", _static("page.css", "text/css; charset=utf-8")),
    PageRoute("GET", "/_sandbox/page/page.js", _static("page.js", "text/javascript; charset=utf-8")),
    PageRoute("GET", "/_sandbox/page/mailboxes", _mailboxes),
    PageRoute("POST", "/_sandbox/page/mailboxes", _create_mailbox),
    PageRoute("DELETE", "/_sandbox/page/mailboxes/{email}", _delete_mailbox),
    PageRoute("GET", "/_sandbox/page/settings", _settings),
    PageRoute("GET", "/_sandbox/page/refused", _refused),
    PageRoute("GET", "/_sandbox/page/messages", _messages, query=("mailbox", "offset", "limit")),
    PageRoute("GET", "/_sandbox/page/messages/{id}", _message),
    PageRoute("DELETE", "/_sandbox/page/messages/{id}", _delete_message),
    PageRoute("GET", "/_sandbox/page/messages/{id}/files/{name}", _attachment),
    PageRoute("GET", "/_sandbox/messages/{id}/html", _mail),
    PageRoute("GET", "/_sandbox/latest.html", _latest, query=("to",)),
)
