"""The control routes under ``/_sandbox/``: what a tester of any language does to the sandbox.

Each does what a method of `Sandbox` does. `CONTROL_ROUTES`, at the end, lists them; `_bodies` says what they take, and
`openapi-control.json` describes them for other languages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar, cast

from attrs import AttrsInstance, asdict, field, frozen

from tempmailg._errors import ConfigurationError
from tempmailg.sandbox import _views as views
from tempmailg.sandbox._answers import Answer, Refusal, error_answer, json_answer
from tempmailg.sandbox._bodies import (
    AccountBody,
    AttachmentBody,
    ClockBody,
    EmptyBody,
    FaultBody,
    MessageBody,
    RandomFaultsBody,
    RandomSmtpFaultsBody,
    SmtpFaultBody,
)
from tempmailg.sandbox._contract import contract, control_contract
from tempmailg.sandbox._dump import Dump
from tempmailg.sandbox._faults import fault_to_json
from tempmailg.sandbox._guard import shown_key
from tempmailg.sandbox._operations import SENDER, Operations
from tempmailg.sandbox._routes import Routes
from tempmailg.sandbox._smtp_faults import smtp_fault_to_json
from tempmailg.sandbox._state import MailboxUnknownError, SandboxFullError, State
from tempmailg.sandbox._structure import StructureError, structured

if TYPE_CHECKING:
    from tempmailg._endpoints import EndpointName

__all__ = ["CONTROL_ROUTES", "Control", "ControlRoute", "EventFeed"]

B = TypeVar("B")

_MAX_DIGITS: Final = 15  # of an event's number


@frozen
class ControlRequest(Generic[B]):
    """A request that reached its control route.

    Args:
        sandbox: What the route controls.
        state: What the sandbox knows.
        headers: The request's headers, found in any case.
        arguments: The parameters of path and query, decoded.
        body: What the body says.
    """

    sandbox: Operations = field(repr=False)
    state: State = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    arguments: Mapping[str, str]
    body: B = field(repr=False)


@frozen
class EventFeed:
    """The answer to somebody who wants to follow events as they happen.

    Args:
        state: What the events are of.
        after: The number of the last event that the client knows.
    """

    state: State = field(repr=False)
    after: int


@frozen
class ControlRoute:
    """One control route.

    Args:
        method: The HTTP method.
        path: Its path below ``/_sandbox``.
        handler: What it does; what it returns is the answer, or the data in it.
        body: The class of its JSON body; None for a route that takes none.
        query: Query parameters.
        on_mail: What it does with a body of ``message/rfc822`` instead.
    """

    method: str
    path: str
    handler: Callable[[ControlRequest[Any]], object]
    body: type[AttrsInstance] | None = None
    query: tuple[str, ...] = ()
    on_mail: Callable[[ControlRequest[bytes]], object] | None = None


class Control:
    """Answers the control routes.

    Args:
        sandbox: What they control.
        state: What it knows.
        needs_key: Whether the caller must show an account's key, since other machines can reach the sandbox.
    """

    def __init__(self, sandbox: Operations, state: State, *, needs_key: bool) -> None:
        self._sandbox = sandbox
        self._state = state
        self._needs_key = needs_key
        self._routes = Routes(CONTROL_ROUTES, what="control route")

    def handle(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer | EventFeed:
        """Answer one request; the target is what follows ``/_sandbox``."""
        try:
            return self._answer(method, target, headers, body)
        except Refusal as refusal:
            return refusal.answer
        except MailboxUnknownError as error:
            return error_answer(404, f"{error}")
        except SandboxFullError as error:
            return error_answer(507, f"{error}")
        except StructureError as error:
            return error_answer(422, f"{error}", errors=error.problems)
        except ConfigurationError as error:
            return error_answer(422, f"{error}")

    def _answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer | EventFeed:
        if self._needs_key and not self._sandbox.knows(shown_key(headers)):
            raise Refusal(
                401, "The control routes of this sandbox take the key of an account.", ("WWW-Authenticate", "Bearer")
            )
        match = self._routes.find(method, target)
        route, content_type = match.route, headers.get("Content-Type", "")
        if route.on_mail and content_type.lower().startswith("message/rfc822"):
            result = route.on_mail(ControlRequest(self._sandbox, self._state, headers, match.arguments, body))
        else:
            value: object = _body(body, route.body) if route.body else None
            result = route.handler(ControlRequest(self._sandbox, self._state, headers, match.arguments, value))
        return result if isinstance(result, Answer | EventFeed) else json_answer(200, {"status": True, "data": result})


def _body(body: bytes, kind: type[B]) -> B:
    """Read a JSON body; nothing at all is an empty object."""
    try:
        value: object = json.loads(body or b"{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ConfigurationError("the body must be JSON, in UTF-8 and without NaN or Infinity") from None
    return structured(value, kind, "the body")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


# ----------------------------------------------------------------------------------------- the sandbox as a whole


def _overview(request: ControlRequest[None]) -> object:
    sandbox = request.sandbox
    return {
        "base_url": sandbox.base_url,
        "smtp_host": sandbox.smtp_host,
        "smtp_port": sandbox.smtp_port,
        "smtp_tls_port": sandbox.smtp_tls_port,
        "clock": _clock(request),
        "faults": len(sandbox.faults),
        "smtp_faults": len(sandbox.smtp_faults),
        "requests": len(sandbox.journal),
        "mails": len(sandbox.smtp_journal),
        "routes": [f"{route.method} /_sandbox{route.path}" for route in CONTROL_ROUTES],
    }


def _contract(request: ControlRequest[None]) -> Answer:
    return json_answer(200, contract(request.sandbox.base_url))  # as it is, for tools that load it from here


def _control_contract(request: ControlRequest[None]) -> Answer:
    return json_answer(200, control_contract(request.sandbox.control_url))


def _reset(request: ControlRequest[EmptyBody]) -> None:
    request.sandbox.reset()


def _dump(request: ControlRequest[None]) -> object:
    return request.sandbox.dump()


def _load(request: ControlRequest[Dump]) -> None:
    request.sandbox.load(request.body)


# ------------------------------------------------------------------------------------------------------- messages


def _deliver(request: ControlRequest[MessageBody]) -> object:
    body = request.body
    message_id = request.sandbox.deliver(
        body.mailbox,
        subject=body.subject,
        sender=SENDER if body.sender is None else body.sender,
        text=body.text,
        html=body.html,
        attachments=[_attachment(number, item) for number, item in enumerate(body.attachments)],
        received_at=body.received_at,
    )
    return {"id": message_id}


def _deliver_mail(request: ControlRequest[bytes]) -> object:
    mailbox = request.arguments.get("mailbox")
    if mailbox is None:
        raise Refusal(422, "The query parameter mailbox is missing.", field="mailbox")
    return {"id": request.sandbox.deliver(mailbox, request.body)}


def _mailboxes(request: ControlRequest[None]) -> object:
    return views.mailboxes(request.state)


def _messages(request: ControlRequest[None]) -> object:
    return views.messages(request.state, request.arguments.get("mailbox"))


def _message(request: ControlRequest[None]) -> object:
    return views.message(request.state, request.arguments["id"])


def _message_source(request: ControlRequest[None]) -> Answer:
    with request.state.lock:
        source = views.stored_message(request.state, request.arguments["id"]).raw
    return views.source_answer(source, "This message was delivered by its fields: it has no source.")


def _attachment(number: int, item: AttachmentBody) -> tuple[str, bytes, str]:
    if (item.text is None) == (item.base64 is None):
        path = f"attachments[{number}]"
        raise StructureError({path: ["must hold either text or base64"]})
    data = item.base64 if item.text is None else item.text.encode()
    return item.name, data or b"", item.content_type


# ---------------------------------------------------------------------------------------------- mail as it came


def _smtp_journal(request: ControlRequest[None]) -> object:
    status = request.arguments.get("status")
    if status not in (None, "kept", "refused"):
        raise Refusal(422, "The query parameter status must be kept or refused.", field="status")
    return views.smtp_entries(request.sandbox.smtp_journal, status)


def _smtp_entry(request: ControlRequest[None]) -> object:
    entry = views.smtp_entry(request.sandbox.smtp_journal, request.arguments["id"])
    return {**views.smtp_entries([entry], None)[0], "headers": [list(header) for header in entry.headers]}


def _smtp_source(request: ControlRequest[None]) -> Answer:
    entry = views.smtp_entry(request.sandbox.smtp_journal, request.arguments["id"])
    return views.source_answer(entry.source, "No mail came in this transaction, or the journal has forgotten it.")


def _smtp_faults(request: ControlRequest[Any]) -> object:
    return [
        {"stage": stage, "times": times, "fault": smtp_fault_to_json(fault)}
        for stage, fault, times in request.sandbox.smtp_faults.pending()
    ]


def _script_smtp(request: ControlRequest[SmtpFaultBody]) -> object:
    body = request.body
    request.sandbox.smtp_faults.next(body.stage, body.fault, times=body.times)
    return _smtp_faults(request)


def _randomize_smtp(request: ControlRequest[RandomSmtpFaultsBody]) -> None:
    body = request.body
    request.sandbox.smtp_faults.randomly(body.rate, body.faults, seed=body.seed, stages=body.stages)


def _clear_smtp_faults(request: ControlRequest[None]) -> None:
    request.sandbox.smtp_faults.clear()


def _events(request: ControlRequest[None]) -> EventFeed:
    known = request.headers.get("Last-Event-ID", request.arguments.get("after"))
    if known is None:
        return EventFeed(request.state, request.state.events.last_id)
    if not (known.isascii() and known.isdigit() and len(known) <= _MAX_DIGITS):
        message = "Last-Event-ID, or the query parameter after, must be the number of an event."
        raise Refusal(422, message, field="after")
    return EventFeed(request.state, int(known))


# ---------------------------------------------------------------------------------------------- clock and faults


def _clock(request: ControlRequest[Any]) -> object:
    clock = request.sandbox.clock
    return {"time": clock.utcnow().isoformat(), "mode": clock.mode}


def _set_clock(request: ControlRequest[ClockBody]) -> object:
    clock, body = request.sandbox.clock, request.body
    clock.advance(body.advance)
    if body.freeze is not None:
        (clock.freeze if body.freeze else clock.resume)()
    return _clock(request)


def _faults(request: ControlRequest[Any]) -> object:
    return [
        {"endpoint": endpoint, "times": times, "fault": fault_to_json(fault)}
        for endpoint, fault, times in request.sandbox.faults.pending()
    ]


def _script(request: ControlRequest[FaultBody]) -> object:
    body = request.body
    endpoint = cast("EndpointName | None", body.endpoint)  # `next` checks it
    request.sandbox.faults.next(endpoint, body.fault, times=body.times)
    return _faults(request)


def _randomize(request: ControlRequest[RandomFaultsBody]) -> None:
    body = request.body
    endpoints = cast("tuple[EndpointName, ...] | None", body.endpoints)  # `randomly` checks them
    request.sandbox.faults.randomly(body.rate, body.faults, seed=body.seed, endpoints=endpoints)


def _clear_faults(request: ControlRequest[None]) -> None:
    request.sandbox.faults.clear()


# ------------------------------------------------------------------------------------------- journal and accounts


def _journal(request: ControlRequest[None]) -> object:
    return [asdict(entry) | {"at": entry.at.isoformat()} for entry in request.sandbox.journal]


def _clear_journal(request: ControlRequest[None]) -> None:
    request.sandbox.clear_journal()


def _set_account(request: ControlRequest[AccountBody]) -> object:
    body = request.body
    account = request.sandbox.set_account(
        body.api_key, plan=body.plan, limit=body.limit, used=body.used, remaining=body.remaining
    )
    return asdict(account)


CONTROL_ROUTES: Final = (
    ControlRoute("GET", "/", _overview),
    ControlRoute("GET", "/openapi.json", _contract),
    ControlRoute("GET", "/openapi-control.json", _control_contract),
    ControlRoute("POST", "/messages", _deliver, MessageBody, query=("mailbox",), on_mail=_deliver_mail),
    ControlRoute("GET", "/mailboxes", _mailboxes),
    ControlRoute("GET", "/messages", _messages, query=("mailbox",)),
    ControlRoute("GET", "/messages/{id}", _message),
    ControlRoute("GET", "/messages/{id}/raw", _message_source),
    ControlRoute("GET", "/smtp/journal", _smtp_journal, query=("status",)),
    ControlRoute("GET", "/smtp/journal/{id}", _smtp_entry),
    ControlRoute("GET", "/smtp/journal/{id}/raw", _smtp_source),
    ControlRoute("GET", "/smtp/faults", _smtp_faults),
    ControlRoute("POST", "/smtp/faults", _script_smtp, SmtpFaultBody),
    ControlRoute("PUT", "/smtp/faults/random", _randomize_smtp, RandomSmtpFaultsBody),
    ControlRoute("DELETE", "/smtp/faults", _clear_smtp_faults),
    ControlRoute("GET", "/events", _events, query=("after",)),
    ControlRoute("GET", "/clock", _clock),
    ControlRoute("POST", "/clock", _set_clock, ClockBody),
    ControlRoute("GET", "/faults", _faults),
    ControlRoute("POST", "/faults", _script, FaultBody),
    ControlRoute("PUT", "/faults/random", _randomize, RandomFaultsBody),
    ControlRoute("DELETE", "/faults", _clear_faults),
    ControlRoute("GET", "/journal", _journal),
    ControlRoute("DELETE", "/journal", _clear_journal),
    ControlRoute("POST", "/accounts", _set_account, AccountBody),
    ControlRoute("POST", "/reset", _reset, EmptyBody),
    ControlRoute("GET", "/state", _dump),
    ControlRoute("PUT", "/state", _load, Dump),
)
