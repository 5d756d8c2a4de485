"""How the sandbox is opened, found, controlled and kept safe: HTTP, control routes, threads and processes."""

from __future__ import annotations

import asyncio
import base64
import http.client
import importlib.util
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tempmailg import ConfigurationError
from tempmailg.sandbox import Account, Limits, Sandbox, SandboxDomain, _sandbox

KEY = "sandbox-key"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox in a thread of its own."""
    with Sandbox() as running:
        yield running


def call(
    sandbox: Sandbox, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Send a request to the sandbox's root; return status and JSON."""
    place = urlsplit(sandbox.base_url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
    try:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, data, {"Authorization": f"Bearer {KEY}", **(headers or {})})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


def control(sandbox: Sandbox, method: str, route: str, body: object = None) -> Any:
    """Use a control route that must succeed; return its data."""
    status, answer = call(sandbox, method, f"/_sandbox/{route}", body)
    assert (status, answer["status"]) == (200, True), answer
    return answer["data"]


def raw(sandbox: Sandbox, request: bytes) -> bytes:
    """Send bytes and return everything that comes until the end."""
    place = urlsplit(sandbox.base_url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as wire, wire.makefile("rb") as answer:
        wire.sendall(request)
        return answer.read()


# ------------------------------------------------------------------------------------------------------------- opening


async def test_it_opens_in_a_loop_and_in_a_thread() -> None:
    """Both context managers give a sandbox on free ports, which is gone afterwards and can be opened again."""
    sandbox = Sandbox()
    assert repr(sandbox) == "<Sandbox, not started>"
    async with sandbox as inside:
        assert inside is sandbox
        first = sandbox.base_url, sandbox.smtp_port
        assert repr(sandbox) == f"<Sandbox at {sandbox.base_url}>"
        with Sandbox() as other:
            assert (other.base_url, other.smtp_port) != first
            assert (await asyncio.to_thread(control, other, "GET", "clock"))["mode"] == "running"
        assert (await asyncio.to_thread(control, sandbox, "GET", "clock"))["mode"] == "running"
    assert sandbox.clock.mode == "leaping"
    with sandbox:
        assert (await asyncio.to_thread(control, sandbox, "GET", "clock"))["mode"] == "running"
    with pytest.raises(ConfigurationError, match="not started"):
        _ = sandbox.smtp_port


def test_mailboxes_outlive_a_closed_door(sandbox: Sandbox) -> None:
    """Closing the doors forgets nothing: what was there is there when they open again."""
    _, made = call(sandbox, "POST", "/api/emails")
    sandbox.__exit__(None, None, None)
    with sandbox:
        sandbox.deliver(made["data"]["email"], text="still there")


async def test_it_is_opened_once_at_a_time() -> None:
    """A second `with` on an open sandbox is refused."""
    async with Sandbox() as sandbox:
        with pytest.raises(ConfigurationError, match="started already"):
            await sandbox.__aenter__()
        with pytest.raises(ConfigurationError, match="started already"):
            sandbox.__enter__()
    with Sandbox() as sandbox, pytest.raises(ConfigurationError, match="started already"):
        sandbox.__enter__()


async def test_a_taken_port_is_reported_and_leaves_nothing_open() -> None:
    """If one of the ports cannot be had, the error is the system's and the other port is free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sandbox = Sandbox(smtp_port=port)
        with pytest.raises(OSError, match="in use"):
            await sandbox.__aenter__()
        with pytest.raises(OSError, match="in use"):
            sandbox.__enter__()
    async with sandbox:
        assert sandbox.smtp_port == port


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": "0.0.0.0"}, "allow_remote"),
        ({"host": "192.0.2.1"}, "allow_remote"),
        ({"host": "example.com"}, "allow_remote"),
        ({"host": "0.0.0.0", "allow_remote": True}, "api_key of your own"),
        ({"domains": [SandboxDomain("a.example", "premium")]}, "free"),
    ],
)
def test_a_careless_sandbox_is_refused(options: dict[str, Any], words: str) -> None:
    """It listens beyond this machine only with a flag and a key of one's own, and never without a free domain."""
    with pytest.raises(ConfigurationError, match=words):
        Sandbox(**options)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1", "127.0.0.2"])
def test_every_loopback_address_will_do(host: str) -> None:
    """Names and addresses of this machine work, IPv6 included."""
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    with Sandbox(host=host) as sandbox:
        assert call(sandbox, "GET", "/api/domains?type=free")[0] == 200
        with socket.create_connection((sandbox.smtp_host, sandbox.smtp_port), timeout=20) as wire:
            assert wire.recv(3) == b"220"


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_importing_and_simulating_load_no_server() -> None:
    """Until it listens, the sandbox needs neither aiohttp nor aiosmtpd, not even to play the service in process."""
    program = """
import sys
for name in ("aiohttp", "aiosmtpd"):
    sys.modules[name] = None
import asyncio
from tempmailg.transport import Request
from tempmailg.sandbox import Sandbox
transport = Sandbox().transport()
request = Request("POST", "/emails", {"Authorization": "Bearer " + transport.api_key})
print(asyncio.run(transport.request(request, timeout=5, max_bytes=10_000)).status)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == ("200\n", "")


async def test_a_missing_aiosmtpd_is_reported_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, opening the sandbox says what to install."""
    honest = importlib.util.find_spec

    def find(name: str) -> object:
        return None if name == "aiosmtpd" else honest(name)

    monkeypatch.setattr(_sandbox, "find_spec", find)
    with pytest.raises(ConfigurationError, match=r'pip install "tempmailg\[sandbox\]"'):
        await Sandbox().__aenter__()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_process_says_where_it_is_and_ends_on_a_signal(stop: signal.Signals) -> None:
    """One line of JSON says that all is ready; an interrupt ends the process cleanly, open connections and all."""
    program = "from tempmailg.sandbox import Sandbox, run; run(Sandbox())"
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        place = json.loads(process.stdout.readline())
        assert place.keys() == {"base_url", "api_key", "smtp_host", "smtp_port", "smtp_tls_port", "ca_pem"}
        headers = {"Authorization": f"Bearer {place['api_key']}"}
        with requests.get(f"{place['base_url']}/domains?type=free", headers=headers, timeout=20) as response:
            assert response.status_code == 200
        with socket.create_connection((place["smtp_host"], place["smtp_port"]), timeout=20) as wire:
            assert wire.recv(3) == b"220"
            process.send_signal(stop)
            assert process.wait(20) == 0
        assert process.stdout.read() == ""
        assert "Traceback" not in process.stderr.read()


# -------------------------------------------------------------------------------------------------------------- safety


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "192.0.2.1"])
def test_a_foreign_host_gets_421_and_changes_nothing(sandbox: Sandbox, host: str) -> None:
    """A page that rebinds its name to this machine reaches neither the API nor the controls."""
    for method, path in (("POST", "/api/emails"), ("POST", "/_sandbox/reset"), ("GET", "/_sandbox/state")):
        assert call(sandbox, method, path, headers={"Host": host})[0] == 421
    assert sandbox.dump()["mailboxes"] == []
    assert sandbox.journal == []


def test_a_request_without_host_gets_421(sandbox: Sandbox) -> None:
    """HTTP/1.0 without a Host header is no way around."""
    assert b" 421 " in raw(sandbox, b"POST /api/emails HTTP/1.0\r\nAuthorization: Bearer sandbox-key\r\n\r\n")
    assert sandbox.dump()["mailboxes"] == []


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1", 200),
    ],
)
def test_pages_of_other_origins_are_refused(sandbox: Sandbox, origin: str, status: int) -> None:
    """A page elsewhere can command neither the API nor the controls; one of this machine can."""
    assert call(sandbox, "POST", "/api/emails", headers={"Origin": origin})[0] == status
    assert call(sandbox, "POST", "/_sandbox/clock", {}, headers={"Origin": origin})[0] == status
    assert len(sandbox.dump()["mailboxes"]) == (status == 200)


def test_a_remote_sandbox_guards_its_controls_by_key() -> None:
    """Where other machines may come, any Host is fine and the controls take a key; strangers' pages stay out."""
    with Sandbox(host="0.0.0.0", api_key=KEY + "-own", allow_remote=True) as sandbox:
        sandbox._service.base_url = sandbox.base_url.replace("0.0.0.0", "127.0.0.1")
        named, own = {"Host": "mail-sandbox:8025"}, {"Host": "mail-sandbox:8025", "Authorization": f"Bearer {KEY}-own"}
        assert call(sandbox, "GET", "/_sandbox/clock", headers=named)[0] == 401
        assert call(sandbox, "GET", "/_sandbox/clock", headers=own)[0] == 200
        assert call(sandbox, "POST", "/api/emails", headers=own)[0] == 200
        assert call(sandbox, "POST", "/api/emails", headers={**own, "Origin": "https://evil.example"})[0] == 403


def test_what_lies_elsewhere_is_404(sandbox: Sandbox) -> None:
    """The API is below /api/, the controls below /_sandbox/, and nothing is anywhere else."""
    for path in ("/", "/api", "/emails", "/apiemails", "/_sandbox", "/favicon.ico"):
        assert call(sandbox, "GET", path)[0] == 404


def test_a_request_target_may_be_a_whole_url(sandbox: Sandbox) -> None:
    """Clients that speak as to a proxy are understood (RFC 9112 3.2.2)."""
    head = f"Host: localhost\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n".encode()
    assert b" 200 " in raw(sandbox, b"GET http://localhost/api/domains?type=free HTTP/1.1\r\n" + head)
    assert b" 404 " in raw(sandbox, b"GET http://localhost HTTP/1.1\r\n" + head)


def test_http_connections_are_capped() -> None:
    """One connection more than allowed is answered 503 and closed, and the others go on."""
    with Sandbox(limits=Limits(connections=1)) as sandbox:
        place = urlsplit(sandbox.base_url)
        first = http.client.HTTPConnection(place.hostname or "", place.port, timeout=20)
        first.request("GET", "/api/domains?type=free", headers={"Authorization": f"Bearer {KEY}"})
        assert first.getresponse().read()
        head, _, body = raw(sandbox, b"").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(body)["status"] is False
        first.request("GET", "/api/domains?type=free", headers={"Authorization": f"Bearer {KEY}"})
        assert first.getresponse().status == 200
        first.close()


@pytest.mark.parametrize("sent", [b"", b"GET /api/domains HTT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b"])
def test_silent_http_connections_are_closed(sent: bytes) -> None:
    """A connection that never finishes its request is closed after the allowed time."""
    with Sandbox(limits=Limits(idle_seconds=0.1)) as sandbox:
        assert raw(sandbox, sent) == b""


def test_endless_headers_are_refused(sandbox: Sandbox) -> None:
    """A header beyond the bound is an error, not memory."""
    with suppress(ConnectionError):  # the sandbox hangs up before it has read everything
        assert b" 400 " in raw(sandbox, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"x" * 1_000_000 + b"\r\n\r\n")
    assert call(sandbox, "GET", "/api/domains?type=free")[0] == 200


def test_a_control_body_beyond_the_cap_is_413() -> None:
    """What the sandbox could never hold is refused before it is read to its end."""
    with Sandbox(limits=Limits(total_bytes=1_000)) as sandbox:
        assert call(sandbox, "POST", "/_sandbox/messages", b"x" * 3_000)[0] == 413


def test_a_stalled_answer_does_not_keep_the_sandbox_from_ending(sandbox: Sandbox) -> None:
    """A stall that a fault caused ends with the sandbox."""
    control(sandbox, "POST", "faults", {"fault": {"kind": "stall"}})
    place = urlsplit(sandbox.base_url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as wire, wire.makefile("rb") as answer:
        wire.sendall(f"POST /api/emails HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        while not sandbox.journal:
            time.sleep(0.001)
        begun = time.monotonic()
        sandbox.__exit__(None, None, None)
        assert time.monotonic() - begun < 10
        assert answer.read() == b""


# ------------------------------------------------------------------------------------------------------------- control


def test_the_controls_say_where_everything_is(sandbox: Sandbox) -> None:
    """The overview names the doors and all control routes."""
    overview = control(sandbox, "GET", "")
    assert overview["base_url"] == sandbox.base_url
    assert overview["smtp_port"] == sandbox.smtp_port
    assert "POST /_sandbox/messages" in overview["routes"]


def test_messages_are_delivered_over_http(sandbox: Sandbox) -> None:
    """Fields and whole e-mails become messages, attachments as text or base64."""
    email = call(sandbox, "POST", "/api/emails")[1]["data"]["email"]
    fields = {
        "mailbox": email,
        "subject": "Hi",
        "sender": "Ann <ann@example.org>",
        "html": "<b>x</b>",
        "received_at": "2026-06-28T09:38:51+00:00",
        "attachments": [
            {"name": "a.txt", "text": "ü", "content_type": "text/plain"},
            {"name": "b.bin", "base64": base64.b64encode(b"\x00\xff").decode()},
        ],
    }
    first = control(sandbox, "POST", "messages", fields)["id"]
    mail = EmailMessage()
    mail["Subject"] = "raw"
    status, answer = call(
        sandbox, "POST", f"/_sandbox/messages?mailbox={email}", mail.as_bytes(), {"Content-Type": "message/rfc822"}
    )
    assert status == 200
    found = call(sandbox, "GET", f"/api/messages?email={email}")[1]["messages"]
    assert [(message["id"], message["subject"]) for message in found] == [(answer["data"]["id"], "raw"), (first, "Hi")]
    assert found[1]["receivedAt"] == "2026-06-28 09:38:51"
    assert [(file["name"], file["size"]) for file in found[1]["attachments"]] == [("a.txt", 2), ("b.bin", 2)]


def test_the_clock_is_moved_over_http(sandbox: Sandbox) -> None:
    """Advance, freeze and resume work, and the answer states the time."""
    before = datetime.fromisoformat(control(sandbox, "POST", "clock", {"freeze": True})["time"])
    after = control(sandbox, "POST", "clock", {"advance": 90})
    assert (datetime.fromisoformat(after["time"]) - before).total_seconds() == 90
    assert after["mode"] == control(sandbox, "GET", "clock")["mode"] == "frozen"
    assert control(sandbox, "POST", "clock", {"freeze": False})["mode"] == "running"


def test_faults_are_scripted_over_http(sandbox: Sandbox) -> None:
    """Scripts are added, listed, met and cleared; random faults come with rate and seed."""
    script = {"endpoint": "list_domains", "times": 2, "fault": {"kind": "status", "status": 502}}
    pending = control(sandbox, "POST", "faults", script)
    assert pending == control(sandbox, "GET", "faults")
    assert (pending[0]["endpoint"], pending[0]["times"], pending[0]["fault"]["status"]) == ("list_domains", 2, 502)
    assert call(sandbox, "GET", "/api/domains?type=free")[0] == 502
    assert control(sandbox, "GET", "faults")[0]["times"] == 1
    assert control(sandbox, "DELETE", "faults") is None
    assert call(sandbox, "GET", "/api/domains?type=free")[0] == 200
    control(
        sandbox, "PUT", "faults/random", {"rate": 1, "faults": [{"kind": "html_page"}], "endpoints": ["list_domains"]}
    )
    place = urlsplit(sandbox.base_url)
    assert b" 503 " in raw(
        sandbox,
        f"GET /api/domains?type=free HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode(),
    )


def test_journal_accounts_reset_and_state_work_over_http(sandbox: Sandbox) -> None:
    """The journal is read and cleared, accounts are set, and a dump brings a moment back after a reset."""
    email = call(sandbox, "POST", "/api/emails")[1]["data"]["email"]
    (entry,) = control(sandbox, "GET", "journal")
    assert (entry["endpoint"], entry["status"]) == ("create_mailbox", 200)
    assert KEY not in json.dumps(entry)
    assert datetime.fromisoformat(entry["at"]).tzinfo == UTC
    control(sandbox, "DELETE", "journal")
    assert control(sandbox, "GET", "journal") == []
    assert control(sandbox, "POST", "accounts", {"plan": "premium", "remaining": 7}) == {
        "plan": "premium",
        "limit": 50_000,
        "used": 49_993,
    }
    control(sandbox, "POST", "accounts", {"api_key": "second", "limit": 3})
    assert sandbox.account("second") == Account("free", 3, 0)
    dump = control(sandbox, "GET", "state")
    control(sandbox, "POST", "reset")
    assert call(sandbox, "GET", f"/api/messages?email={email}")[0] == 404
    status, refused = call(sandbox, "PUT", "/_sandbox/state", dump)
    assert (status, "other keys" in refused["message"]) == (422, True)
    sandbox.set_account("second")
    control(sandbox, "PUT", "state", dump)
    assert call(sandbox, "GET", f"/api/messages?email={email}")[0] == 200
    assert sandbox.account("second").limit == 3


@pytest.mark.parametrize(
    ("method", "route", "body", "status", "words"),
    [
        ("GET", "nothing", None, 404, "no such control route"),
        ("DELETE", "clock", None, 405, "GET, POST"),
        ("POST", "messages", b"{", 422, "JSON"),
        ("POST", "messages", b"[" * 100_000, 422, "JSON"),
        ("POST", "messages", [], 422, "object"),
        ("POST", "messages", {}, 422, "mailbox is missing"),
        ("POST", "messages", {"mailbox": "no@where.invalid"}, 404, "no mailbox"),
        ("POST", "messages", {"mailbox": "a@b", "colour": 1}, 422, "colour"),
        ("POST", "messages", {"mailbox": "a@b", "attachments": [{"name": "a", "base64": "?"}]}, 422, ""),
        ("POST", "messages", {"mailbox": "a@b", "attachments": [{"name": "a"}]}, 422, "text is missing"),
        ("POST", "messages", {"mailbox": "a@b", "attachments": 1}, 422, ""),
        ("POST", "messages", {"mailbox": "a@b", "received_at": "soon"}, 422, "soon"),
        ("POST", "clock", {"advance": -1}, 422, "backwards"),
        ("POST", "clock", {"advance": "1"}, 422, ""),
        ("POST", "clock", {"advance": 1e300}, 422, "calendar"),
        ("POST", "faults", {}, 422, "fault is missing"),
        ("POST", "faults", {"fault": "status"}, 422, "object"),
        ("POST", "faults", {"fault": {"kind": "x"}}, 422, "kind"),
        ("POST", "faults", {"endpoint": "x", "fault": {"kind": "status"}}, 422, "endpoint"),
        ("POST", "faults", {"fault": {"kind": "delay", "seconds": "long"}}, 422, "seconds"),
        ("PUT", "faults/random", {"rate": 2, "faults": []}, 422, "rate"),
        ("POST", "accounts", {"plan": "gold"}, 422, "plan"),
        ("POST", "accounts", {"limit": "many"}, 422, "limit"),
        ("PUT", "state", {}, 422, "no dump"),
    ],
)
def test_wrong_requests_are_refused_with_a_reason(
    sandbox: Sandbox, method: str, route: str, body: object, status: int, words: str
) -> None:
    """A mistake on a control route is reported in the envelope of every error, and the sandbox goes on."""
    got, answer = call(sandbox, method, f"/_sandbox/{route}", body)
    assert (got, answer["status"]) == (status, False)
    assert words in answer["message"]
    assert call(sandbox, "GET", "/api/domains?type=free")[0] == 200


def test_a_full_sandbox_says_so_on_the_control_route() -> None:
    """Delivery beyond the caps is 507."""
    with Sandbox(limits=Limits(messages=0)) as sandbox:
        email = call(sandbox, "POST", "/api/emails")[1]["data"]["email"]
        assert call(sandbox, "POST", "/_sandbox/messages", {"mailbox": email})[0] == 507


# ----------------------------------------------------------------------------------------- programs written for the API

CURL = """
set -e
api() { curl --silent --fail-with-body -H "Authorization: Bearer $KEY" -H "Accept: application/json" "$@"; }
api "$BASE/domains?type=free" > domains.json
api -X DELETE "$BASE/messages/$ID"  > deleted.json
api -L "$BASE/messages/$FILE_ID/attachments/file.txt" -o file.txt
api -D headers.txt -X POST "$BASE/emails" > mailbox.json
"""

NODE = """
const headers = { Authorization: `Bearer ${process.env.KEY}`, Accept: "application/json" };
const fs = require("fs");
(async () => {
  const call = async (method, path) => {
    const response = await fetch(process.env.BASE + path, { method, headers });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`);
    return response;
  };
  const save = async (name, response) => fs.writeFileSync(name, Buffer.from(await response.arrayBuffer()));
  await save("domains.json", await call("GET", "/domains?type=free"));
  await save("deleted.json", await call("DELETE", `/messages/${encodeURIComponent(process.env.ID)}`));
  await save("file.txt", await call("GET", `/messages/${process.env.FILE_ID}/attachments/file.txt`));
  const made = await call("POST", "/emails");
  fs.writeFileSync("headers.txt", [...made.headers].map(([name, value]) => `${name}: ${value}`).join("\\n"));
  await save("mailbox.json", made);
})();
"""

PHP = """
<?php
function call($method, $path) {
    $heads = [];
    $context = stream_context_create(["http" => [
        "method" => $method, "follow_location" => 1,
        "header" => "Authorization: Bearer " . getenv("KEY") . "\\r\\nAccept: application/json\\r\\n",
    ]]);
    $body = file_get_contents(getenv("BASE") . $path, false, $context);
    if ($body === false) exit(1);
    file_put_contents("headers.txt", implode("\\n", $http_response_header));
    return $body;
}
file_put_contents("domains.json", call("GET", "/domains?type=free"));
file_put_contents("deleted.json", call("DELETE", "/messages/" . rawurlencode(getenv("ID"))));
file_put_contents("file.txt", call("GET", "/messages/" . getenv("FILE_ID") . "/attachments/file.txt"));
file_put_contents("mailbox.json", call("POST", "/emails"));
"""

REQUESTS = """
import os, requests
base, headers = os.environ["BASE"], {"Authorization": f"Bearer {os.environ['KEY']}", "Accept": "application/json"}
def call(method, path, **more):
    response = requests.request(method, base + path, headers=headers, timeout=30, **more)
    response.raise_for_status()
    return response
open("domains.json", "wb").write(call("GET", "/domains", params={"type": "free"}).content)
open("deleted.json", "wb").write(call("DELETE", f"/messages/{os.environ['ID']}").content)
url = f"/messages/{os.environ['FILE_ID']}/attachments/file.txt"
with call("GET", url, stream=True) as answer, open("file.txt", "wb") as file:
    for chunk in answer.iter_content(chunk_size=8192):
        file.write(chunk)
made = call("POST", "/emails")
open("headers.txt", "w").write("\\n".join(f"{name}: {value}" for name, value in made.headers.items()))
open("mailbox.json", "wb").write(made.content)
"""


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (["sh", "-c"], CURL),
        (["node", "-e"], NODE),
        (["php", "-r"], PHP.replace("<?php", "")),
        ([sys.executable, "-c"], REQUESTS),
    ],
    ids=["curl", "fetch", "php", "requests"],
)
def test_programs_for_the_service_work_with_only_the_host_changed(
    sandbox: Sandbox, tmp_path: Path, command: list[str], program: str
) -> None:
    """The documentation's four ways to call the API meet the same statuses, headers, JSON and bytes here."""
    if shutil.which("curl" if command[0] == "sh" else command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    email = call(sandbox, "POST", "/api/emails")[1]["data"]["email"]
    data = bytes(range(256)) * 1_000
    first, second = (sandbox.deliver(email, attachments=[("file.txt", data)]) for _ in range(2))
    environment = {"PATH": "/usr/bin:/bin", "KEY": KEY, "BASE": sandbox.base_url, "ID": first, "FILE_ID": second}
    subprocess.run([*command, program], cwd=tmp_path, env=environment, check=True, timeout=40, capture_output=True)
    found = {name: json.loads((tmp_path / f"{name}.json").read_bytes()) for name in ("domains", "deleted", "mailbox")}
    assert found["domains"]["data"]["requested_type"] == "free"
    assert found["deleted"] == {"status": True, "message": "Message was deleted successfully."}
    assert found["mailbox"]["data"]["expires_in_seconds"] == 600
    assert (tmp_path / "file.txt").read_bytes() == data
    headers = (tmp_path / "headers.txt").read_text().lower()
    for line in (
        "content-type: application/json",
        "x-ratelimit-limit: 50000",
        "x-ratelimit-used: 5",
        "x-ratelimit-remaining: 49995",
    ):
        assert line in headers
