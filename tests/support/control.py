"""A running sandbox, spoken to over plain HTTP: its API and its control routes."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

from tempmailg.sandbox import Sandbox

__all__ = ["KEY", "call", "control", "mailbox", "raw", "sent"]

KEY = "sandbox-key"


def sent(
    sandbox: Sandbox, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send a request to the sandbox's root; return status, headers and body."""
    place = urlsplit(sandbox.base_url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
    try:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, data, {"Authorization": f"Bearer {KEY}", **(headers or {})})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def call(
    sandbox: Sandbox, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Send a request to the sandbox's root; return status and JSON."""
    status, _, answer = sent(sandbox, method, path, body, headers)
    return status, json.loads(answer or b"null")


def control(sandbox: Sandbox, method: str, route: str, body: object = None) -> Any:
    """Use a control route that must succeed; return its data."""
    status, answer = call(sandbox, method, f"/_sandbox/{route}", body)
    assert (status, answer["status"]) == (200, True), answer
    return answer["data"]


def mailbox(sandbox: Sandbox) -> str:
    """Make a mailbox and return its address."""
    return str(call(sandbox, "POST", "/api/emails")[1]["data"]["email"])


def raw(sandbox: Sandbox, request: bytes) -> bytes:
    """Send bytes and return everything that comes until the end."""
    place = urlsplit(sandbox.base_url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as wire, wire.makefile("rb") as answer:
        wire.sendall(request)
        return answer.read()
