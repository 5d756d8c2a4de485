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
from tempmailg.sandbox._faults import Endpoint, Fault, fault_from_json, fault_to_json
from tempmailg.sandbox._mail import from_base64
from tempmailg.sandbox._state import MailboxUnknownError, SandboxFullError

if TYPE_CHECKING:
    from tempmailg.sandbox._sandbox import Sandbox  # noqa: TC004 - it imports this module; attrs needs no value

__all__ = ["Control"]


@frozen
class _Order:
    """One request to the control routes."""

    sandbox: Sandbox = field(repr=False)
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

    def __init__(self, sandbox: Sandbox, *, needs_key: bool) -> None:
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
        order = _Order(self._sandbox, headers.get("Content-Type", ""), dict(parse_qsl(query)), body)
        return _done(methods[method], order)

    def _has_key(self, headers: Mapping[str, str]) -> bool:
        scheme, _, key = headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._sandbox.knows(key)


def _done(action: Callable[[_Order], object], order: _Order) -> Answer:
    try:
        done = action(order)
        return done if isinstance(done, Answer) else json_answer(200, {"status": True, "data": done})
    except MailboxUnknownError as error:
        return error_answer(404, f"{error}")
    except SandboxFullError as error:
        return error_answer(507, f"{error}")
    except KeyError as error:
        return error_answer(422, f"{error.args[0]} is missing")
    except (ConfigurationError, TypeError, ValueError, OverflowError) as error:
        return error_answer(422, f"{error}")


def _overview(order: _Order) -> object:
    sandbox = order.sandbox
    return {
        "base_url": sandbox.base_url,
        "smtp_host": sandbox.smtp_host,
        "smtp_port": sandbox.smtp_port,
        "clock": _clock(order),
        "faults": len(sandbox.faults),
        "requests": len(sandbox.journal),
        "routes": [f"{method} /_sandbox/{route}" for method, route in _ROUTES],
    }


def _contract(order: _Order) -> object:
    return json_answer(200, contract(order.sandbox.base_url))  # as it is, for tools that load it from here


def _deliver(order: _Order) -> object:
    if order.content_type.startswith("message/rfc822"):
        return {"id": order.sandbox.deliver(order.query["mailbox"], order.body)}
    fields = order.json
    if "received_at" in fields:
        fields["received_at"] = datetime.fromisoformat(fields["received_at"])
    fields["attachments"] = [_attachment(item) for item in fields.get("attachments", [])]
    return {"id": order.sandbox.deliver(fields.pop("mailbox"), **fields)}


def _attachment(item: Mapping[str, Any]) -> tuple[str, bytes, str]:
    data = from_base64(item["base64"]) if "base64" in item else str(item["text"]).encode()
    return str(item["name"]), data, str(item.get("content_type", "application/octet-stream"))


def _clock(order: _Order) -> object:
    clock = order.sandbox.clock
    return {"time": clock.utcnow().isoformat(), "mode": clock.mode}


def _set_clock(order: _Order) -> object:
    clock, wish = order.sandbox.clock, order.json
    clock.advance(wish.get("advance", 0))
    if "freeze" in wish:
        (clock.freeze if wish["freeze"] else clock.resume)()
    return _clock(order)


def _faults(order: _Order) -> object:
    return [
        {"endpoint": endpoint, "times": times, "fault": fault_to_json(fault)}
        for endpoint, fault, times in order.sandbox.faults.pending()
    ]


def _script(order: _Order) -> object:
    wish = order.json
    order.sandbox.faults.next(wish.get("endpoint"), _fault(wish["fault"]), times=wish.get("times", 1))
    return _faults(order)


def _randomize(order: _Order) -> object:
    wish = order.json
    endpoints = cast("list[Endpoint] | None", wish.get("endpoints"))
    faults = [_fault(fault) for fault in wish["faults"]]
    order.sandbox.faults.randomly(wish["rate"], faults, seed=wish.get("seed", 0), endpoints=endpoints)
    return None


def _fault(value: object) -> Fault:
    if not isinstance(value, dict):
        raise ConfigurationError('a fault is an object such as {"kind": "status", "status": 502}')
    return fault_from_json(cast("dict[str, Any]", value))


def _clear_faults(order: _Order) -> object:
    order.sandbox.faults.clear()
    return None


def _journal(order: _Order) -> object:
    return [asdict(entry) | {"at": entry.at.isoformat()} for entry in order.sandbox.journal]


def _clear_journal(order: _Order) -> object:
    order.sandbox.clear_journal()
    return None


def _set_account(order: _Order) -> object:
    wish = order.json
    return asdict(order.sandbox.set_account(wish.pop("api_key", None), **wish))


def _reset(order: _Order) -> object:
    order.sandbox.reset()
    return None


def _dump(order: _Order) -> object:
    return order.sandbox.dump()


def _load(order: _Order) -> object:
    order.sandbox.load(order.json)
    return None


def contract(base_url: str) -> dict[str, Any]:
    """Return the OpenAPI description of the API, its server being this sandbox."""
    from importlib import resources

    text = resources.files("tempmailg.sandbox").joinpath("openapi.json").read_text("utf-8")
    return {**json.loads(text), "servers": [{"url": base_url}]}


_ROUTES: Final[dict[tuple[str, str], Callable[[_Order], object]]] = {
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
