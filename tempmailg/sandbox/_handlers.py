"""The eight endpoints as the sandbox plays them, written from the API's reference and independently of the client.

`ENDPOINTS`, behind them, reads as the API's table of contents: a ninth endpoint is one function and one line there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from attrs import field, frozen

from tempmailg._endpoints import EndpointName
from tempmailg.sandbox._answers import Answer, Refusal, error_answer, json_answer
from tempmailg.sandbox._mail import BytesBlob, Slice
from tempmailg.sandbox._state import TYPES, Account, State

if TYPE_CHECKING:
    from tempmailg.sandbox._state import Box, Stored

__all__ = ["ENDPOINTS", "ApiRequest", "EndpointRoute"]

_MAX_USERNAME: Final = 64  # characters before the @ (RFC 5321)
_NO_USERNAME: Final = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\ufeff@\"(),:;<>\[\]\\]|^\.|\.$|\.\."
)  # RFC 5321's dot-atom, of any script
_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_TOKEN: Final = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)  # a media type that can stand in a header


@frozen
class ApiRequest:
    """A request that reached its endpoint."""

    state: State = field(repr=False)
    key: str = field(repr=False)
    account: Account
    arguments: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    base_url: str
    etags: bool


@frozen
class EndpointRoute:
    """One route of the API: path parameters stand in braces, query parameters behind."""

    name: EndpointName
    method: str
    path: str
    handler: Callable[[ApiRequest], Answer]
    query: tuple[str, ...] = ()


def list_domains(request: ApiRequest) -> Answer:
    wanted = request.arguments.get("type")
    if wanted not in ("free", "premium", "all"):
        raise Refusal(422, "The type must be free, premium or all.", field="type")
    allowed = TYPES[request.account.plan]
    if wanted not in allowed:
        raise Refusal(403, f"The plan does not allow {wanted} domains.")
    domains = [
        {"domain": domain.domain, "type": domain.plan.capitalize(), "custom": domain.custom}
        for domain in request.state.domains
        if wanted in ("all", domain.plan)
    ]
    return _data({"requested_type": wanted, "allowed_types": list(allowed), "domains": domains})


def create_mailbox(request: ApiRequest) -> Answer:
    return _mailbox(request, request.state.open_random(request.key, request.account))


def update_mailbox(request: ApiRequest) -> Answer:
    current = _owned_box(request)
    username, domain = request.arguments["username"], request.arguments["domain"].lower()
    if len(username) > _MAX_USERNAME or not username or _NO_USERNAME.search(username):
        raise Refusal(422, "The username cannot stand in an address.", field="username")
    if domain not in (known.domain for known in request.state.domains):
        raise Refusal(422, "There is no such domain.", field="domain")
    if domain not in (known.domain for known in request.state.domains_of(request.account)):
        raise Refusal(403, "The plan does not allow this domain.")
    taken = request.state.box(f"{username}@{domain}")
    if taken is not None and taken is not current:
        raise Refusal(409, "The address is taken.")
    request.state.close(current)
    return _mailbox(request, request.state.open(f"{username}@{domain}", request.key))


def delete_mailbox(request: ApiRequest) -> Answer:
    request.state.close(_owned_box(request))
    return json_answer(200, {"status": True, "message": "Email has been successfully deleted."})


def list_messages(request: ApiRequest) -> Answer:
    if not request.arguments.get("email"):
        raise Refusal(422, "The email is required.", field="email")
    box = _owned_box(request)
    etag = f'"{box.id}-{box.version}"'
    if request.etags and _is_known(etag, request):
        return _not_modified(etag)
    messages = [_message(message, request) for message in request.state.ordered(box)]
    answer = {"status": True, "mailbox": box.email, "messages": messages}
    return json_answer(200, answer, *([("ETag", etag)] if request.etags else []))


def get_message(request: ApiRequest) -> Answer:
    message = _owned_message(request)
    request.state.touch(message)
    return _data(_message(message, request))


def delete_message(request: ApiRequest) -> Answer:
    request.state.drop(_owned_message(request))
    return json_answer(200, {"status": True, "message": "Message was deleted successfully."})


def stream_attachment(request: ApiRequest) -> Answer:
    message, name = _owned_message(request), request.arguments["name"]
    file = next((file for file in message.mail.files if file.name == name), None)
    if file is None:
        raise Refusal(404, "The message has no such file.")
    headers = (
        ("Content-Type", file.content_type if _TOKEN.fullmatch(file.content_type) else "application/octet-stream"),
        ("Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}"),
        ("X-Content-Type-Options", "nosniff"),  # a stranger's file must not be shown as a page of this origin
    )
    if not request.etags:
        return Answer(200, headers, file.blob)
    etag = f'"{hashlib.sha256(f"{message.id}/{name}".encode()).hexdigest()[:32]}"'
    return _conditional(Answer(200, (*headers, ("ETag", etag), ("Accept-Ranges", "bytes")), file.blob), etag, request)


ENDPOINTS: Final = (
    EndpointRoute("list_domains", "GET", "/domains", list_domains, query=("type",)),
    EndpointRoute("create_mailbox", "POST", "/emails", create_mailbox),
    EndpointRoute("update_mailbox", "POST", "/emails/{email}/{username}/{domain}", update_mailbox),
    EndpointRoute("delete_mailbox", "DELETE", "/emails/{email}", delete_mailbox),
    EndpointRoute("list_messages", "GET", "/messages", list_messages, query=("email",)),
    EndpointRoute("get_message", "GET", "/messages/{id}", get_message),
    EndpointRoute("delete_message", "DELETE", "/messages/{id}", delete_message),
    EndpointRoute("stream_attachment", "GET", "/messages/{id}/attachments/{name}", stream_attachment),
)


# --------------------------------------------------------------------------------------------------- ownership


def _owned_box(request: ApiRequest) -> Box:
    box = request.state.box(request.arguments["email"])
    if box is None:
        raise Refusal(404, "There is no such mailbox, or it has expired.")
    if box.key != request.key:
        raise Refusal(403, "The mailbox belongs to another account.")
    return box


def _owned_message(request: ApiRequest) -> Stored:
    message = request.state.messages.get(request.arguments["id"])
    if message is None or request.state.box(message.box.email) is not message.box:
        raise Refusal(404, "There is no such message, or its mailbox has expired.")
    if message.box.key != request.key:
        raise Refusal(403, "The message belongs to another account.")
    return message


# -------------------------------------------------------------------------------------------------------- JSON


def _data(value: object) -> Answer:
    return json_answer(200, {"status": True, "data": value})


def _mailbox(request: ApiRequest, box: Box) -> Answer:
    return _data(
        {
            "id": box.id,
            "email": box.email,
            "domain": box.email.rpartition("@")[2],
            "expire_at": _iso(box.expires),
            "expires_in_seconds": round(box.expires - request.state.clock.time()),
            "created_at": _iso(box.created),
            "email_token": box.token,
        }
    )


def _message(message: Stored, request: ApiRequest) -> dict[str, Any]:
    mail = message.mail
    files = f"{request.base_url}/messages/{message.id}/attachments"
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


def _is_known(etag: str, request: ApiRequest) -> bool:
    known = request.headers.get("If-None-Match", "").split(",")
    return any(item.strip().removeprefix("W/") in ("*", etag) for item in known)


def _not_modified(etag: str) -> Answer:
    return Answer(304, (("ETag", etag),), BytesBlob(b""))


def _conditional(answer: Answer, etag: str, request: ApiRequest) -> Answer:
    """Honour If-None-Match, Range and If-Range (RFC 9110); more than one range is answered with everything."""
    if _is_known(etag, request):
        return _not_modified(etag)
    wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
    if wanted is None or request.headers.get("If-Range", etag) != etag:
        return answer
    size = answer.body.size
    first, last, suffix = wanted.groups()
    start = max(0, size - int(suffix)) if suffix else int(first)
    stop = min(size, int(last) + 1) if last else size
    if start >= stop:
        return error_answer(416, "The file has no such range.", ("Content-Range", f"bytes */{size}"))
    headers = (*answer.headers, ("Content-Range", f"bytes {start}-{stop - 1}/{size}"))
    return Answer(206, headers, Slice(answer.body, start, stop))
