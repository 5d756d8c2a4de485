"""The control routes under ``/_sandbox/``: what a tester of any language does to the sandbox.

Each does what a method of `Sandbox` does. `_ROUTES`, at the end, lists them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl

from attrs import asdict, field, frozen

from tempmailg._errors import ConfigurationError
from tempmailg.sandbox._answers import Answer, error_answer, json_answer
from tempmailg.sandbox._faults import Fault, fault_from_json, fault_to_json
from tempmailg.sandbox._mail import from_base64
from tempmailg.sandbox._state import MailboxUnknownError, SandboxFullError

if TYPE_CHECKING:
    from tempmailg._endpoints import EndpointName
    from tempmailg.sandbox._operations import Operations  # noqa: TC004 - attrs needs no value

__all__ = ["Control"]


@frozen
class ControlRequest:
    """One request to the control routes."""

    sandbox: Operations = field(repr=False)
    content_type: str
    query: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object; nothing is an empty one."""
        try:
            value: object = json.loads(self.body or b"{}")
        except (ValueError, RecursionError):
            raise ConfigurationError("the body must be JSON") from None
        if not isinstance(value, dict):
            raise ConfigurationError("the body must be a JSON object")
        return cast("dict[str, Any]", value)


class Control:
    """Answers the control routes.

    Args:
        sandbox: What they control.
        needs_key: Whether the caller must show an account's key, since other machines can reach the sandbox.
    """

    def __init__(self, sandbox: Operations, *, needs_key: bool) -> None:
        self._sandbox = sandbox
        self._needs_key = needs_key

    def handle(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer one request; the target is what follows ``/_sandbox/``."""
        path, _, query = target.partition("?")
        if self._needs_key and not self._has_key(headers):
            return error_answer(401, "The control routes of this sandbox take the key of an account.")
        methods = {known_method: action for (known_method, route), action in _ROUTES.items() if route == path}
        if not methods:
            return error_answer(404, "There is no such control route.")
        if method not in methods:
            allowed = ", ".join(methods)
            return error_answer(405, f"This control route answers {allowed}.", ("Allow", allowed))
        request = ControlRequest(self._sandbox, headers.get("Content-Type", ""), dict(parse_qsl(query)), body)
        return _answered(methods[method], request)

    def _has_key(self, headers: Mapping[str, str]) -> bool:
        scheme, _, key = headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._sandbox.knows(key)


def _answered(action: Callable[[ControlRequest], object], request: ControlRequest) -> Answer:
    try:
        data = action(request)
        return data if isinstance(data, Answer) else json_answer(200, {"status": True, "data": data})
    except MailboxUnknownError as error:
        return error_answer(404, f"{error}")
    except SandboxFullError as error:
        return error_answer(507, f"{error}")
    except KeyError as error:
        return error_answer(422, f"{error.args[0]} is missing")
    except (ConfigurationError, TypeError, ValueError, OverflowError) as error:
        return error_answer(422, f"{error}")


def _overview(request: ControlRequest) -> object:
    sandbox = request.sandbox
    return {
        "base_url": sandbox.base_url,
        "smtp_host": sandbox.smtp_host,
        "smtp_port": sandbox.smtp_port,
        "clock": _clock(request),
        "faults": len(sandbox.faults),
        "requests": len(sandbox.journal),
        "routes": [f"{method} /_sandbox/{route}" for method, route in _ROUTES],
    }


def _contract(request: ControlRequest) -> object:
    return json_answer(200, contract(request.sandbox.base_url))  # as it is, for tools that load it from here


def _deliver(request: ControlRequest) -> object:
    if request.content_type.startswith("message/rfc822"):
        return {"id": request.sandbox.deliver(request.query["mailbox"], request.body)}
    fields = request.json
    if "received_at" in fields:
        fields["received_at"] = datetime.fromisoformat(fields["received_at"])
    fields["attachments"] = [_attachment(item) for item in fields.get("attachments", [])]
    return {"id": request.sandbox.deliver(fields.pop("mailbox"), **fields)}


def _attachment(item: Mapping[str, Any]) -> tuple[str, bytes, str]:
    data = from_base64(item["base64"]) if "base64" in item else str(item["text"]).encode()
    return str(item["name"]), data, str(item.get("content_type", "application/octet-stream"))


def _clock(request: ControlRequest) -> object:
    clock = request.sandbox.clock
    return {"time": clock.utcnow().isoformat(), "mode": clock.mode}


def _set_clock(request: ControlRequest) -> object:
    clock, body = request.sandbox.clock, request.json
    clock.advance(body.get("advance", 0))
    if "freeze" in body:
        (clock.freeze if body["freeze"] else clock.resume)()
    return _clock(request)


def _faults(request: ControlRequest) -> object:
    return [
        {"endpoint": endpoint, "times": times, "fault": fault_to_json(fault)}
        for endpoint, fault, times in request.sandbox.faults.pending()
    ]


def _script(request: ControlRequest) -> object:
    body = request.json
    request.sandbox.faults.next(body.get("endpoint"), _fault(body["fault"]), times=body.get("times", 1))
    return _faults(request)


def _randomize(request: ControlRequest) -> object:
    body = request.json
    endpoints = cast("list[EndpointName] | None", body.get("endpoints"))
    faults = [_fault(fault) for fault in body["faults"]]
    request.sandbox.faults.randomly(body["rate"], faults, seed=body.get("seed", 0), endpoints=endpoints)
    return None


def _fault(value: object) -> Fault:
    if not isinstance(value, dict):
        raise ConfigurationError('a fault is an object such as {"kind": "status", "status": 502}')
    return fault_from_json(cast("dict[str, Any]", value))


def _clear_faults(request: ControlRequest) -> object:
    request.sandbox.faults.clear()
    return None


def _journal(request: ControlRequest) -> object:
    return [asdict(entry) | {"at": entry.at.isoformat()} for entry in request.sandbox.journal]


def _clear_journal(request: ControlRequest) -> object:
    request.sandbox.clear_journal()
    return None


def _set_account(request: ControlRequest) -> object:
    body = request.json
    return asdict(request.sandbox.set_account(body.pop("api_key", None), **body))


def _reset(request: ControlRequest) -> object:
    request.sandbox.reset()
    return None


def _dump(request: ControlRequest) -> object:
    return request.sandbox.dump()


def _load(request: ControlRequest) -> object:
    request.sandbox.load(request.json)
    return None


def contract(base_url: str) -> dict[str, Any]:
    """Return the OpenAPI description of the API, its server being this sandbox."""
    from importlib import resources

    text = resources.files("tempmailg.sandbox").joinpath("openapi.json").read_text("utf-8")
    return {**json.loads(text), "servers": [{"url": base_url}]}


_ROUTES: Final[dict[tuple[str, str], Callable[[ControlRequest], object]]] = {
    ("GET", ""): _overview,
    ("GET", "openapi.json"): _contract,
    ("POST", "messages"): _deliver,
    ("GET", "clock"): _clock,
    ("POST", "clock"): _set_clock,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _script,
    ("PUT", "faults/random"): _randomize,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "journal"): _journal,
    ("DELETE", "journal"): _clear_journal,
    ("POST", "accounts"): _set_account,
    ("POST", "reset"): _reset,
    ("GET", "state"): _dump,
    ("PUT", "state"): _load,
}
