"""The service spoken to in plain HTTP, and the report of how it agrees with the API's reference.

Requests go out through the standard library, not through the client: a mistake shared by client and sandbox would else
be taken for agreement.
"""

from __future__ import annotations

import json
import smtplib
import urllib.error
import urllib.request
from email.message import EmailMessage
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jsonschema_rs
import pytest
from attrs import define, field, frozen

if TYPE_CHECKING:
    from tempmailg.sandbox import Sandbox


@frozen
class Reply:
    """One answer, as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def used(self) -> int:
        """What the quota headers count."""
        return int(self.headers["x-ratelimit-used"])


@frozen
class Service:
    """The service under test, spoken to in plain HTTP."""

    base_url: str
    key: str = field(repr=False)
    sandbox: Sandbox | None

    def send(self, method: str, *segments: str, key: str | None = None, query: str = "", **headers: str) -> Reply:
        """Send one request; each segment is percent-encoded."""
        url = self.base_url + "".join("/" + quote(segment, safe="") for segment in segments) + query
        request = urllib.request.Request(url, method=method)
        request.add_header("Authorization", f"Bearer {key or self.key}")
        request.add_header("Accept", "application/json")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return _reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return _reply(refusal.code, refusal.headers, refusal.read())

    def messages(self, email: str, **headers: str) -> Reply:
        """List the messages of a mailbox."""
        return self.send("GET", "messages", query=f"?email={quote(email, safe='')}", **headers)

    def deliver(self, email: str) -> bytes:
        """Send a real mail with an attachment to a mailbox and return the attachment; nothing here can do so live."""
        if self.sandbox is None:
            pytest.skip("no mail can be sent to the real service from here")
        content = bytes(range(256))
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "Example Sender <hello@example.org>", email, "Grüße"
        mail.set_content("plain")
        mail.add_alternative("<p>html</p>", subtype="html")
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename="a b ü.bin")
        with smtplib.SMTP(self.sandbox.smtp_host, self.sandbox.smtp_port) as smtp:
            smtp.send_message(mail)
        return content


def _reply(status: int, headers: Any, body: bytes) -> Reply:
    return Reply(status, {name.lower(): value for name, value in headers.items()}, body)


@define
class Parity:
    """What was found, statement by statement."""

    target: str
    found: list[tuple[str, str, str]] = field(factory=list[tuple[str, str, str]])

    def documented(self, statement: str, holds: bool, seen: object = "") -> None:  # noqa: FBT001 - reads as a sentence
        """Record whether a documented statement holds; the test fails if it does not."""
        self.found.append(("documented", statement, "as documented" if holds else f"DIFFERS: {seen!r:.200}"))
        assert holds, f"documented: {statement}; seen: {seen!r:.500}"

    def assumed(self, statement: str, holds: bool, seen: object = "") -> None:  # noqa: FBT001 - reads as a sentence
        """Record whether an assumption holds; against the real service a difference is news, not a failure."""
        self.found.append(("assumed", statement, "as assumed" if holds else f"DIFFERS: {seen!r:.200}"))
        assert holds or self.target == "live", f"assumed: {statement}; seen: {seen!r:.500}"


@cache
def _contract() -> dict[str, Any]:
    text = resources.files("tempmailg.sandbox").joinpath("openapi.json").read_text(encoding="utf-8")
    contract: dict[str, Any] = json.loads(text)
    return contract


def misfit(schema: str, value: Any) -> str:
    """Return where a value does not fit a schema of the contract, or an empty text."""
    contract = _contract()
    rules = {"$ref": f"#/components/schemas/{schema}", "components": contract["components"]}
    validator = jsonschema_rs.Draft202012Validator(rules)
    error = next(iter(validator.iter_errors(value)), None)
    return "" if error is None else f"{list(error.instance_path)}: {error.message}"
