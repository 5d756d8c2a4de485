"""Who may speak to a sandbox: programs, pages of this machine, other containers; and who hangs up on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from support.control import KEY, call, control, mailbox, raw, sent

from tempmailg.sandbox import Sandbox

LOCAL = "http://localhost:3000"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox in a thread of its own."""
    with Sandbox(allow_hosts=["Sandbox", "mail.test"]) as running:
        yield running


@pytest.mark.parametrize("host", ["sandbox", "sandbox:8025", "SANDBOX", "mail.test:1"])
def test_another_container_uses_the_name_that_was_allowed(sandbox: Sandbox, host: str) -> None:
    """Names in `allow_hosts` are taken in the Host header with any port and case, for API and control routes."""
    assert call(sandbox, "POST", "/api/emails", headers={"Host": host})[0] == 200
    assert call(sandbox, "GET", "/_sandbox/clock", headers={"Host": host})[0] == 200
    assert call(sandbox, "GET", "/_sandbox/clock", headers={"Host": host, "Origin": "http://sandbox"})[0] == 200


@pytest.mark.parametrize("host", ["sandbox.evil.example", "evil.example", "mail.test.", ""])
def test_other_names_stay_out(sandbox: Sandbox, host: str) -> None:
    """Only the allowed names are allowed, and the refusal says how to allow one."""
    status, answer = call(sandbox, "GET", "/_sandbox/clock", headers={"Host": host})
    assert (status, "allow_hosts" in answer["message"]) == (421, True)


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 200), ("same-origin", 200), ("none", 200)]
)
def test_control_routes_refuse_pages_of_other_sites(sandbox: Sandbox, site: str, status: int) -> None:
    """What a browser says of the page is a second lock: even without an Origin, another site cannot reset anything."""
    mailbox(sandbox)
    assert call(sandbox, "POST", "/_sandbox/reset", headers={"Sec-Fetch-Site": site})[0] == status
    assert len(sandbox.dump()["mailboxes"]) == (status == 403)


def test_a_page_of_this_machine_may_use_the_api(sandbox: Sandbox) -> None:
    """A page on another port asks first and gets leave for its methods and headers, then reads answers and quota."""
    asking = {
        "Origin": LOCAL,
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization",
    }
    status, headers, _ = sent(sandbox, "OPTIONS", "/api/emails/a%40b.example", headers=asking)
    assert (status, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (204, LOCAL, "Origin")
    assert "DELETE" in headers["Access-Control-Allow-Methods"]
    assert "Authorization" in headers["Access-Control-Allow-Headers"]
    status, headers, _ = sent(sandbox, "POST", "/api/emails", headers={"Origin": LOCAL})
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, LOCAL)
    assert "X-RateLimit-Remaining" in headers["Access-Control-Expose-Headers"]
    status, headers, _ = sent(sandbox, "GET", "/api/messages/nothing", headers={"Origin": LOCAL})
    assert (status, headers["Access-Control-Allow-Origin"]) == (404, LOCAL)
    assert [entry.method for entry in sandbox.journal] == ["POST", "GET"]


def test_no_page_reads_the_control_routes(sandbox: Sandbox) -> None:
    """The control routes never let a page of another origin read what they answer, and ask for no preflight."""
    _, headers, _ = sent(sandbox, "GET", "/_sandbox/state", headers={"Origin": LOCAL})
    assert "Access-Control-Allow-Origin" not in headers
    assert sent(sandbox, "OPTIONS", "/_sandbox/state", headers={"Origin": LOCAL})[0] == 405


@pytest.mark.parametrize("headers", [{}, {"Access-Control-Request-Method": "POST", "Origin": "https://evil.example"}])
def test_a_foreign_page_gets_no_leave(sandbox: Sandbox, headers: dict[str, str]) -> None:
    """OPTIONS names the methods of a path, and a foreign page learns nothing of CORS."""
    status, answer, _ = sent(sandbox, "OPTIONS", "/api/emails", headers=headers)
    assert status == (403 if headers else 204)
    assert not [name for name in answer if name.startswith("Access-Control")]
    assert answer["Allow"] == (None if headers else "POST, OPTIONS")
    assert sent(sandbox, "OPTIONS", "/api/nothing")[0] == 404


def test_a_remote_sandbox_serves_its_own_pages() -> None:
    """A page that the sandbox itself serves under any name is of its origin; the key still guards the controls."""
    with Sandbox(host="0.0.0.0", api_key=KEY + "-own", allow_remote=True) as sandbox:
        sandbox._service.base_url = sandbox.base_url.replace("0.0.0.0", "127.0.0.1")
        own = {"Host": "mail-sandbox:8025", "Origin": "http://mail-sandbox:8025"}
        assert call(sandbox, "GET", "/_sandbox/clock", headers=own)[0] == 401
        key = {"Authorization": f"Bearer {KEY}-own"}
        assert call(sandbox, "GET", "/_sandbox/clock", headers={**own, **key})[0] == 200
        other = {**own, **key, "Origin": "http://other:8025"}
        assert call(sandbox, "GET", "/_sandbox/clock", headers=other)[0] == 403


RUDE = """
import socket, sys, time
from urllib.parse import urlsplit
from tempmailg.sandbox import Sandbox
from tempmailg import Client

with Sandbox() as sandbox, Client(sandbox.api_key, base_url=sandbox.base_url) as client:
    box = client.create_mailbox()
    name = f"/api/messages/{sandbox.deliver(box, attachments=[('a', bytes(20_000_000))])}/attachments/a"
    head = f"Host: localhost\\r\\nAuthorization: Bearer {sandbox.api_key}\\r\\n"
    place = urlsplit(sandbox.base_url)
    for request in (
        f"GET {name} HTTP/1.1\\r\\n{head}\\r\\n",
        f"POST /_sandbox/messages HTTP/1.1\\r\\n{head}Content-Length: 1000\\r\\n\\r\\nabc",
        f"GET /_sandbox/events HTTP/1.1\\r\\n{head}\\r\\n",
        "PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n",
        "GET / HTTP/1.1\\r\\nno header\\r\\n\\r\\n",
        "\\x16\\x03\\x01\\x02\\x00\\x01\\x00",
    ):
        for _ in range(3):
            with socket.create_connection((place.hostname, place.port), timeout=20) as wire:
                wire.sendall(request.encode("latin-1"))
                if "POST" not in request:
                    wire.recv(100)
    print(len(client.list_messages(box)))
"""


def test_clients_that_hang_up_leave_no_traceback() -> None:
    """Whoever hangs up during an answer, or speaks something else than HTTP, is no failure of the sandbox."""
    done = subprocess.run([sys.executable, "-c", RUDE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_sandbox_is_started_and_stopped_at_a_prompt() -> None:
    """start() gives a running sandbox without a block of code; stop() ends it, as often as one likes."""
    sandbox = Sandbox().start()
    try:
        email = mailbox(sandbox)
        with pytest.raises(ValueError, match="started already"):
            sandbox.start()
    finally:
        sandbox.stop()
    sandbox.stop()
    assert repr(sandbox) == "<Sandbox, not started>"
    with sandbox:
        assert call(sandbox, "GET", f"/api/messages?email={email}")[0] == 200
        sandbox.stop()


def test_requests_without_a_browsers_headers_are_programs(sandbox: Sandbox) -> None:
    """Curl and test runners send neither Origin nor Sec-Fetch-Site, and are served."""
    place = urlsplit(sandbox.base_url)
    answer = raw(sandbox, f"GET /_sandbox/clock HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode())
    assert b" 200 " in answer.partition(b"\r\n")[0]
    assert control(sandbox, "GET", "clock")["mode"] == "running"
