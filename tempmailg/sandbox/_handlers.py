"""The eight endpoints as the sandbox plays them, written from the API's reference and independently of the client.

`ENDPOINTS`, at the end, reads as the API's table of contents: a ninth endpoint is one function and one line there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from attrs import field, frozen

from tempmailg.sandbox._answers import Answer, error_answer, json_answer
from tempmailg.sandbox._mail import BytesBlob, Slice
from tempmailg.sandbox._state import TYPES, Account, State

if TYPE_CHECKING:
    from tempmailg.sandbox._state import Box, Stored

__all__ = ["ENDPOINTS", "Ask", "EndpointRoute", "Refusal"]

_MAX_USERNAME: Final = 64  # characters before the @ (RFC 5321)
_NO_USERNAME: Final = re.compile(
    r"[\s\x00-\x1f\x7f@\"(),:;<>\[\]\\]|^\.|\.$|\.\."
)  # RFC 5321's dot-atom, of any script
_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_TOKEN: Final = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)  # a media type that can stand in a header


@frozen
class Ask:
    """A request that reached its endpoint."""

    state: State = field(repr=False)
    key: str = field(repr=False)
    account: Account
    arguments: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    base_url: str
    etags: bool


class Refusal(Exception):  # noqa: N818 - no failure of the sandbox, but the answer that the caller deserves
    """The answer to a request that cannot be granted."""

    def __init__(self, status: int, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.answer = error_answer(status, message, errors={field: [message]} if field else None)


@frozen
class EndpointRoute:
    """One route of the API: path parameters stand in braces, query parameters behind."""

    name: str
    method: str
    path: str
    handler: Callable[[Ask], Answer]
    query: tuple[str, ...] = ()


def list_domains(ask: Ask) -> Answer:
    wanted = ask.arguments.get("type")
    if wanted not in ("free", "premium", "all"):
        raise Refusal(422, "The type must be free, premium or all.", field="type")
    allowed = TYPES[ask.account.plan]
    if wanted not in allowed:
        raise Refusal(403, f"The plan does not allow {wanted} domains.")
    domains = [
        {"domain": domain.domain, "type": domain.plan.capitalize(), "custom": domain.custom}
        for domain in ask.state.domains
        if wanted in ("all", domain.plan)
    ]
    return _data({"requested_type": wanted, "allowed_types": list(allowed), "domains": domains})


def create_mailbox(ask: Ask) -> Answer:
    return _mailbox(ask, ask.state.open_random(ask.key, ask.account))


def update_mailbox(ask: Ask) -> Answer:
    current = _owned_box(ask)
    username, domain = ask.arguments["username"], ask.arguments["domain"].lower()
    if len(username) > _MAX_USERNAME or not username or _NO_USERNAME.search(username):
        raise Refusal(422, "The username cannot stand in an address.", field="username")
    if domain not in (known.domain for known in ask.state.domains):
        raise Refusal(422, "There is no such domain.", field="domain")
    if domain not in (known.domain for known in ask.state.domains_of(ask.account)):
        raise Refusal(403, "The plan does not allow this domain.")
    taken = ask.state.box(f"{username}@{domain}")
    if taken is not None and taken is not current:
        raise Refusal(409, "The address is taken.")
    ask.state.close(current)
    return _mailbox(ask, ask.state.open(f"{username}@{domain}", ask.key))


def delete_mailbox(ask: Ask) -> Answer:
    ask.state.close(_owned_box(ask))
    return json_answer(200, {"status": True, "message": "Email has been successfully deleted."})


def list_messages(ask: Ask) -> Answer:
    if not ask.arguments.get("email"):
        raise Refusal(422, "The email is required.", field="email")
    box = _owned_box(ask)
    etag = f'"{box.id}-{box.version}"'
    if ask.etags and _is_known(etag, ask):
        return _not_modified(etag)
    messages = [_message(message, ask) for message in ask.state.ordered(box)]
    answer = {"status": True, "mailbox": box.email, "messages": messages}
    return json_answer(200, answer, *([("ETag", etag)] if ask.etags else []))


def get_message(ask: Ask) -> Answer:
    message = _owned_message(ask)
    ask.state.touch(message)
    return _data(_message(message, ask))


def delete_message(ask: Ask) -> Answer:
    ask.state.drop(_owned_message(ask))
    return json_answer(200, {"status": True, "message": "Message was deleted successfully."})


def attachment(ask: Ask) -> Answer:
    message, name = _owned_message(ask), ask.arguments["name"]
    file = next((file for file in message.mail.files if file.name == name), None)
    if file is None:
        raise Refusal(404, "The message has no such file.")
    headers = (
        ("Content-Type", file.content_type if _TOKEN.fullmatch(file.content_type) else "application/octet-stream"),
        ("Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}"),
        ("X-Content-Type-Options", "nosniff"),  # a stranger's file must not be shown as a page of this origin
    )
    if not ask.etags:
        return Answer(200, headers, file.blob)
    etag = f'"{hashlib.sha256(f"{message.id}/{name}".encode()).hexdigest()[:32]}"'
    return _conditional(Answer(200, (*headers, ("ETag", etag), ("Accept-Ranges", "bytes")), file.blob), etag, ask)


ENDPOINTS: Final = (
    EndpointRoute("list_domains", "GET", "/domains", list_domains, query=("type",)),
    EndpointRoute("create_mailbox", "POST", "/emails", create_mailbox),
    EndpointRoute("update_mailbox", "POST", "/emails/{email}/{username}/{domain}", update_mailbox),
    EndpointRoute("delete_mailbox", "DELETE", "/emails/{email}", delete_mailbox),
    EndpointRoute("list_messages", "GET", "/messages", list_messages, query=("email",)),
    EndpointRoute("get_message", "GET", "/messages/{id}", get_message),
    EndpointRoute("delete_message", "DELETE", "/messages/{id}", delete_message),
    EndpointRoute("attachment", "GET", "/messages/{id}/attachments/{name}", attachment),
)


# --------------------------------------------------------------------------------------------------- ownership


def _owned_box(ask: Ask) -> Box:
    box = ask.state.box(ask.arguments["email"])
    if box is None:
        raise Refusal(404, "There is no such mailbox, or it has expired.")
    if box.key != ask.key:
        raise Refusal(403, "The mailbox belongs to another account.")
    return box


def _owned_message(ask: Ask) -> Stored:
    message = ask.state.messages.get(ask.arguments["id"])
    if message is None or ask.state.box(message.box.email) is not message.box:
        raise Refusal(404, "There is no such message, or its mailbox has expired.")
    if message.box.key != ask.key:
        raise Refusal(403, "The message belongs to another account.")
    return message


# -------------------------------------------------------------------------------------------------------- JSON


def _data(value: object) -> Answer:
    return json_answer(200, {"status": True, "data": value})


def _mailbox(ask: Ask, box: Box) -> Answer:
    return _data(
        {
            "id": box.id,
            "email": box.email,
            "domain": box.email.rpartition("@")[2],
            "expire_at": _iso(box.expires),
            "expires_in_seconds": round(box.expires - ask.state.clock.time()),
            "created_at": _iso(box.created),
            "email_token": box.token,
        }
    )


def _message(message: Stored, ask: Ask) -> dict[str, Any]:
    mail = message.mail
    files = f"{ask.base_url}/messages/{message.id}/attachments"
    return {
        "is_seen": message.is_seen,
        "subject": mail.subject,
        "from": mail.from_name,
        "from_email": mail.from_email,
        "to": message.box.email,
        "receivedAt": datetime.fromtimestamp(message.received, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "id": message.id,
        "html": mail.is_html,
        "content": mail.content,
        "attachments": [
            {
                "name": file.name,
                "extension": file.name.rpartition(".")[2] if "." in file.name else "",
                "size": file.blob.size,
                "url": f"{files}/{quote(file.name, safe='')}",
            }
            for file in mail.files
        ],
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


# -------------------------------------------------------------------------------- conditional requests, ranges


def _is_known(etag: str, ask: Ask) -> bool:
    known = ask.headers.get("If-None-Match", "").split(",")
    return any(item.strip().removeprefix("W/") in ("*", etag) for item in known)


def _not_modified(etag: str) -> Answer:
    return Answer(304, (("ETag", etag),), BytesBlob(b""))


def _conditional(answer: Answer, etag: str, ask: Ask) -> Answer:
    """Honour If-None-Match, Range and If-Range (RFC 9110); more than one range is answered with everything."""
    if _is_known(etag, ask):
        return _not_modified(etag)
    asked = _RANGE.fullmatch(ask.headers.get("Range", ""))
    if asked is None or ask.headers.get("If-Range", etag) != etag:
        return answer
    size = answer.body.size
    first, last, suffix = asked.groups()
    start = max(0, size - int(suffix)) if suffix else int(first)
    stop = min(size, int(last) + 1) if last else size
    if start >= stop:
        return error_answer(416, "The file has no such range.", ("Content-Range", f"bytes */{size}"))
    headers = (*answer.headers, ("Content-Range", f"bytes {start}-{stop - 1}/{size}"))
    return Answer(206, headers, Slice(answer.body, start, stop))
