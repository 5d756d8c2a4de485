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
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from support.control import KEY, call, control, raw

from tempmailg import ConfigurationError
from tempmailg.sandbox import Account, Limits, Sandbox, SandboxDomain, _sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox in a thread of its own."""
    with Sandbox() as running:
        yield running


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
        ({"host": "0.0.0.0", "allow_remote": True, "api_key": ""}, "api_key must be"),
        ({"host": ""}, "host must be an address"),
        ({"host": 5}, "host must be an address"),
        ({"allow_hosts": "sandbox"}, "allow_hosts must be several names"),
        ({"allow_hosts": ["sandbox:8025"]}, "without a port"),
        ({"port": "8025"}, "port must be a port"),
        ({"port": 70_000}, "port must be a port"),
        ({"smtp_port": True}, "smtp_port must be a port"),
        ({"port": 8025, "smtp_port": 8025}, "8025 is wanted twice"),
        ({"api_key": 5}, "api_key must be text"),
        ({"api_key": "a\nb"}, "visible ASCII"),
        ({"accounts": ["second"]}, "accounts must be"),
        ({"accounts": {"second": "free"}}, "accounts must hold"),
        ({"accounts": {"": Account()}}, "api_key must be"),
        ({"plan": "gold"}, "plan must be one of 'free', 'premium'"),
        ({"quota": -5}, "quota must be a whole number"),
        ({"domains": []}, "domains must be a list"),
        ({"domains": "example.com"}, "domains must be a list"),
        ({"domains": ["example.com"]}, "domains must be a list"),
        ({"domains": [SandboxDomain("a.example", "premium")]}, "free"),
        ({"domains": [SandboxDomain("a.example"), SandboxDomain("A.example")]}, "'a.example' is among them twice"),
        ({"lifetime": "x"}, "lifetime must be"),
        ({"lifetime": -1}, "lifetime must be"),
        ({"lifetime": 0}, "lifetime must be"),
        ({"lifetime": float("nan")}, "lifetime must be"),
        ({"order": "x"}, "order must be one of"),
        ({"etags": "yes"}, "etags must be"),
        ({"seed": "x"}, "seed must be"),
        ({"start": datetime(2026, 6, 1)}, "start must be aware"),  # noqa: DTZ001 - the point of the test
        ({"start": "2026-06-01"}, "start must be a datetime"),
        ({"start": datetime(9500, 1, 1, tzinfo=UTC)}, "1900 to 8999"),
        ({"limits": {"messages": 1}}, "limits must be"),
    ],
)
def test_a_careless_sandbox_is_refused(options: dict[str, Any], words: str) -> None:
    """What a sandbox could not work with, or would open it to other machines by accident, is refused at once."""
    with pytest.raises(ConfigurationError, match=words):
        Sandbox(**options)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SandboxDomain("two words"), "domain must be"),
        (lambda: SandboxDomain("a.example", "gold"), "plan must be"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point of the test
        (lambda: Limits(messages=-1), "messages must be"),
        (lambda: Limits(idle_seconds=0), "idle_seconds must be"),
        (lambda: Account("free", -1), "limit must be"),
        (lambda: Account(used=True), "used must be"),
    ],
)
def test_values_for_a_sandbox_are_checked_when_they_are_made(make: Callable[[], object], words: str) -> None:
    """Domains, caps and accounts that make no sense are refused before there is a sandbox."""
    with pytest.raises(ConfigurationError, match=words):
        make()


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
    """The page is /, the API below /api/, the controls below /_sandbox/, and nothing is anywhere else."""
    for path in ("/api", "/emails", "/apiemails", "/_sandbox", "/favicon.ico"):
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
        "received_at": "2020-06-28T09:38:51+00:00",
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
    assert found[1]["receivedAt"] == "2020-06-28 09:38:51"
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


def attached(item: object) -> dict[str, Any]:
    """Return a message with one attachment."""
    return {"mailbox": "a@b", "attachments": [item]}


@pytest.mark.parametrize(
    ("method", "route", "body", "status", "words"),
    [
        ("GET", "nothing", None, 404, "no such control route"),
        ("DELETE", "clock", None, 405, "GET, POST"),
        ("POST", "messages", b"{", 422, "JSON"),
        ("POST", "messages", b"[" * 100_000, 422, "JSON"),
        ("POST", "messages", [], 422, "object"),
        ("POST", "messages", {}, 422, "mailbox is missing"),
        ("POST", "messages", b'{"mailbox": NaN}', 422, "NaN"),
        ("POST", "messages", b"\xff", 422, "UTF-8"),
        ("POST", "messages", {"mailbox": "no@where.invalid"}, 404, "no mailbox"),
        ("POST", "messages", {"mailbox": 5}, 422, "mailbox must be text"),
        ("POST", "messages", {"mailbox": "nobody"}, 422, "mailbox must be an address"),
        ("POST", "messages", {"mailbox": "a@b", "colour": 1}, 422, "colour is unknown (there are: mailbox, subject"),
        ("POST", "messages", {"mailbox": "a@b", "\ud800": 1}, 422, "is unknown"),
        ("POST", "messages", {"mailbox": "a@b", "text": "\ud800"}, 422, "text holds half a character"),
        ("POST", "messages", {"mailbox": "a@b", "html": {"a": 1}}, 422, "html must be text"),
        ("POST", "messages", {"mailbox": "a@b", "subject": ["a"]}, 422, "subject must be text"),
        ("POST", "messages", attached({"name": "a", "base64": "?"}), 422, "attachments[0].base64 must be base64"),
        ("POST", "messages", attached({"name": "a", "base64": 5}), 422, "attachments[0].base64 must be base64"),
        ("POST", "messages", attached({"name": "a"}), 422, "attachments[0] must hold either text or base64"),
        ("POST", "messages", attached({"text": "a"}), 422, "attachments[0].name is missing"),
        ("POST", "messages", attached(1), 422, "attachments[0] must be a JSON object"),
        ("POST", "messages", {"mailbox": "a@b", "attachments": 1}, 422, "attachments must be a list"),
        ("POST", "messages", {"mailbox": "a@b", "received_at": "soon"}, 422, "received_at must be a time with its"),
        ("POST", "messages", {"mailbox": "a@b", "received_at": "2026-06-28T09:38:51"}, 422, "with its offset"),
        ("POST", "messages", {"mailbox": "a@b", "received_at": "0001-01-01T00:00:00+00:00"}, 422, "1900"),
        ("POST", "clock", {"advance": -1}, 422, "advance must be a number of seconds from 0"),
        ("POST", "clock", {"advance": "1"}, 422, "advance must be a number"),
        ("POST", "clock", {"advance": True}, 422, "advance must be a number"),
        ("POST", "clock", {"advance": 1e300}, 422, "advance must be a number of seconds from 0 to"),
        ("POST", "clock", {"freeze": "no"}, 422, "freeze must be true or false"),
        ("POST", "clock", {"set": "2026-06-28T09:38:51+00:00"}, 422, "set is unknown"),
        ("POST", "faults", {}, 422, "fault is missing"),
        ("POST", "faults", {"fault": "status"}, 422, "fault must be a fault"),
        ("POST", "faults", {"fault": {"kind": "x"}}, 422, "fault.kind must be one of"),
        ("POST", "faults", {"fault": {"kind": "status", "colour": 1}}, 422, "fault.colour is unknown"),
        ("POST", "faults", {"fault": {"kind": "status"}, "tmies": 3}, 422, "tmies is unknown"),
        ("POST", "faults", {"fault": {"kind": "status"}, "times": 1.5}, 422, "times must be a whole number"),
        ("POST", "faults", {"fault": {"kind": "status"}, "times": 0}, 422, "times must be a whole number from 1"),
        ("POST", "faults", {"endpoint": "x", "fault": {"kind": "status"}}, 422, "endpoint must be one of"),
        ("POST", "faults", {"fault": {"kind": "delay", "seconds": "long"}}, 422, "fault.seconds must be"),
        ("POST", "faults", {"fault": {"kind": "status", "headers": {"X": 5}}}, 422, "fault.headers must be"),
        ("POST", "faults", {"fault": {"kind": "status", "headers": {"X": "a\r\nB: c"}}}, 422, "fault.headers must be"),
        ("POST", "faults", {"fault": {"kind": "headers", "headers": {"Content-Length": "1"}}}, 422, "frame the answer"),
        ("POST", "faults", {"fault": {"kind": "rate_limited", "retry_after": "x\r\nY: z"}}, 422, "fault.retry_after"),
        ("POST", "faults", {"fault": {"kind": "reply", "body": "\ud800"}}, 422, "fault.body must be text"),
        ("PUT", "faults/random", {"rate": 2, "faults": []}, 422, "rate must be a number from 0 to 1"),
        ("PUT", "faults/random", {"rate": 1, "faults": [{"kind": "x"}]}, 422, "faults[0].kind must be one of"),
        ("PUT", "faults/random", {"rate": 1, "faults": [], "endpoints": ["x"]}, 422, "endpoint must be one of"),
        ("POST", "accounts", {"plan": "gold"}, 422, "plan must be one of free, premium"),
        ("POST", "accounts", {"limit": "many"}, 422, "limit must be a whole number"),
        ("POST", "accounts", {"limit": -1}, 422, "limit must be a whole number from 0"),
        ("POST", "accounts", {"api_key": 5}, 422, "api_key must be text"),
        ("POST", "accounts", {"api_key": "two words"}, 422, "visible ASCII"),
        ("POST", "reset", {"all": True}, 422, "all is unknown"),
        ("PUT", "state", {}, 422, "mailboxes is missing"),
        ("PUT", "state", [], 422, "the body must be a JSON object"),
    ],
)
def test_wrong_requests_are_refused_with_a_reason(
    sandbox: Sandbox, method: str, route: str, body: object, status: int, words: str
) -> None:
    """A mistake on a control route is named by its path, nothing of it is stored, and the sandbox goes on."""
    before = control(sandbox, "GET", "state")
    got, answer = call(sandbox, method, f"/_sandbox/{route}", body)
    assert (got, answer["status"]) == (status, False)
    assert words in answer["message"]
    assert all(path in answer["message"] for path in answer.get("errors", {}))
    assert call(sandbox, "GET", "/api/domains?type=free")[0] == 200
    after = control(sandbox, "GET", "state")
    assert (after["mailboxes"], control(sandbox, "GET", "faults")) == (before["mailboxes"], [])


DAMAGES: list[tuple[dict[str, Any], str]] = [
    ({"resets_at": "nan"}, "resets_at must be seconds since 1970"),
    ({"resets_at": 1e300}, "resets_at must be seconds since 1970"),
    ({"last_id": True}, "last_id must be a whole number"),
    ({"accounts": 1}, "accounts must be a JSON object"),
    ({"version": 2}, "version 2 instead of 1"),
    ({"time": "2026-06-28"}, "time must be a time with its offset"),
    ({"more": 1}, "more is unknown"),
    ({"mailboxes": [{}]}, "mailboxes[0].id is missing"),
]


@pytest.mark.parametrize(("change", "words"), DAMAGES)
def test_a_damaged_state_is_refused_whole(sandbox: Sandbox, change: dict[str, Any], words: str) -> None:
    """A state in which one field is wrong is named by that field's path, and the sandbox stays as it is."""
    call(sandbox, "POST", "/api/emails")
    state = control(sandbox, "GET", "state")
    status, answer = call(sandbox, "PUT", "/_sandbox/state", {**state, **change})
    assert (status, words in answer["message"]) == (422, True), answer
    assert control(sandbox, "GET", "state")["mailboxes"] == state["mailboxes"]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["accounts", 0, "limit"], "x", ".limit must be a whole number"),
        (["mailboxes", 0, "email"], 5, "mailboxes[0].email must be text"),
        (["mailboxes", 0, "expires"], "x", "mailboxes[0].expires must be seconds since 1970"),
        (["mailboxes", 0, "account"], "nobody", "mailboxes[0].account is none of"),
        (["mailboxes", 0, "messages", 0, "received"], 1e300, "mailboxes[0].messages[0].received must be seconds"),
        (["mailboxes", 0, "messages", 0, "id"], "..", "mailboxes[0].messages[0].id must be the id"),
        (["mailboxes", 0, "messages", 0, "raw"], "aGk=", "mailboxes[0].messages[0] must hold either raw or mail"),
        (["mailboxes", 0, "messages", 0, "mail", "files"], 1, "mailboxes[0].messages[0].mail.files must be a list"),
        (["mailboxes", 0, "messages", 1, "id"], "same", "mailboxes[0].messages holds one id twice"),
        (["mailboxes", 1, "email"], "SAME@example.com", "one email twice"),
        (["mailboxes", 1, "messages", 0, "id"], "same", "one id of a message twice"),
    ],
)
def test_a_state_holds_nothing_that_cannot_be_delivered(
    sandbox: Sandbox, path: list[str | int], value: object, words: str
) -> None:
    """Wherever in a state something is wrong, it is refused by its path, and nothing of it is taken."""
    for _ in range(2):
        email = call(sandbox, "POST", "/api/emails")[1]["data"]["email"]
        sandbox.deliver(email, text="one")
        sandbox.deliver(email, text="two")
    state = control(sandbox, "GET", "state")
    changed = json.loads(json.dumps(state))
    changed["mailboxes"][0]["email"], changed["mailboxes"][0]["messages"][0]["id"] = "same@example.com", "same"
    *steps, last = path
    place: Any = changed
    for step in steps:
        place = next(iter(place.values())) if path[0] == "accounts" and step == 0 else place[step]
    place[last] = value
    status, answer = call(sandbox, "PUT", "/_sandbox/state", changed)
    assert (status, words in answer["message"]) == (422, True), answer
    assert control(sandbox, "GET", "state")["mailboxes"] == state["mailboxes"]


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
