"""What the machine around the client may decide, and what it may not."""

from __future__ import annotations

import base64
import inspect
from pathlib import Path
from typing import Any

import pytest
from support.checks import CANARY, trial
from support.fault_server import FaultServer, reply

from tempmailg import AsyncClient, Client
from tempmailg import _errors as err
from tempmailg._aiohttp import AiohttpTransport, environment_proxy
from tempmailg._settings import resolve_base_url

URL = "https://mail.example/api"
PROXY = "http://proxy.example:3128"
EMPTY = reply({"status": True, "messages": []})


PROXIES: list[tuple[dict[str, str], str, str | None]] = [
    ({}, URL, None),
    ({"HTTPS_PROXY": PROXY}, URL, PROXY),
    ({"https_proxy": PROXY}, URL, PROXY),
    ({"ALL_PROXY": PROXY}, URL, PROXY),
    ({"HTTPS_PROXY": "proxy.example:3128"}, URL, PROXY),
    ({"HTTPS_PROXY": ""}, URL, None),
    ({"HTTP_PROXY": PROXY}, URL, None),
    ({"HTTPS_PROXY": PROXY, "NO_PROXY": "mail.example"}, URL, None),
    ({"HTTPS_PROXY": PROXY, "NO_PROXY": ".example"}, URL, None),
    ({"HTTPS_PROXY": PROXY, "NO_PROXY": "example"}, URL, None),
    ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, URL, None),
    ({"HTTPS_PROXY": PROXY, "no_proxy": "a.example, mail.example"}, URL, None),
    ({"HTTPS_PROXY": PROXY, "NO_PROXY": "mail.example:8443"}, URL, PROXY),
    ({"HTTPS_PROXY": PROXY, "NO_PROXY": "mail.example:8443"}, "https://mail.example:8443/api", None),
    ({"HTTPS_PROXY": PROXY, "NO_PROXY": "other.example"}, URL, PROXY),
    ({"HTTPS_PROXY": PROXY, "ALL_PROXY": PROXY, "HTTP_PROXY": PROXY}, "http://127.0.0.1:80/api", None),
    ({"HTTPS_PROXY": PROXY, "ALL_PROXY": PROXY, "HTTP_PROXY": PROXY}, "http://localhost/api", None),
]


@pytest.mark.parametrize(("variables", "url", "proxy"), PROXIES, ids=str)
def test_the_environment_names_the_proxy(
    variables: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` mean what they mean to other programs; loopback never has a proxy."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = environment_proxy(resolve_base_url(url))
    assert (found and found.url) == proxy


@pytest.mark.parametrize("proxy", ["socks5://user:pass-word@proxy.example", "http://", "http://proxy.example:x"])
def test_a_proxy_of_the_environment_that_cannot_be_used_is_named(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong `HTTPS_PROXY` is an error of the setting, named without its password, not a network fault later."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(err.ConfigurationError, match="HTTPS_PROXY must be the URL of an HTTP proxy") as caught:
        AsyncClient(CANARY, base_url=URL)
    assert "pass-word" not in str(caught.value)


def test_an_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `proxy=` the environment is not even read."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://nonsense")
    AsyncClient(CANARY, base_url=URL, proxy=PROXY)


def test_plain_http_never_goes_through_a_proxy() -> None:
    """A loopback address is asked for directly: through a proxy the key would leave the machine in clear text."""
    with pytest.raises(err.ConfigurationError, match="must not go through a proxy"):
        AsyncClient(CANARY, base_url="http://127.0.0.1:8025/api", proxy=PROXY)
    AsyncClient(CANARY, base_url="http://127.0.0.1:8025/api", proxy="http://127.0.0.1:8080")


async def test_netrc_is_never_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A netrc with credentials for the very host neither replaces the key nor is sent beside it, nor even opened."""
    home = tmp_path / "home"
    home.mkdir()
    for name in (".netrc", "_netrc"):
        (home / name).write_text("machine 127.0.0.1 login thief password stolen\n", encoding="ascii")
        (home / name).chmod(0o600)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    read: list[object] = []

    def remember(*arguments: object) -> None:
        read.append(arguments)

    monkeypatch.setattr("netrc.netrc.__init__", remember)

    server = FaultServer([EMPTY])
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    await trial(lambda client: client.list_messages("box@example.com"), server, monkeypatch, temporary, requests=1)
    assert server.requests[0].header("Authorization") == f"Bearer {CANARY}"
    assert base64.b64encode(b"thief:stolen") not in server.raw
    assert read == []


async def test_a_request_carries_nothing_but_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Host, key, accepted types and the program's name: no cookie, no referrer, no other trace of the machine."""
    server = FaultServer([EMPTY])
    await trial(lambda client: client.list_messages("box@example.com"), server, monkeypatch, tmp_path, requests=1)
    (request,) = server.requests
    assert {name for name, _ in request.headers} == {"Host", "Authorization", "Accept", "Accept-Encoding", "User-Agent"}
    assert request.header("Host") == f"127.0.0.1:{server.port}"
    assert request.header("Accept") == "application/json"
    assert request.header(
        "User-Agent",
    ).startswith("tempmailg/")  # type: ignore[union-attr] # it is there


async def test_a_post_has_no_body(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The API takes no bodies, so nothing is ever sent behind the headers."""
    data = {"id": 1, "email": "a@b.c", "expire_at": "2026-06-28T09:48:51Z", "created_at": "2026-06-28T09:38:51Z"}
    server = FaultServer([reply({"status": True, "data": data})])
    await trial(lambda client: client.create_mailbox(), server, monkeypatch, tmp_path, requests=1)
    assert server.requests[0].line == "POST /api/emails HTTP/1.1"
    assert server.requests[0].header("Content-Length") in (None, "0")
    assert server.raw.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("made", [AsyncClient, Client, AiohttpTransport])
def test_there_is_no_switch_that_turns_certificate_checks_off(made: Any) -> None:
    """No parameter and no environment variable of ours lets a client talk to an unchecked server."""
    names = inspect.signature(made).parameters
    assert not [name for name in names if "verify" in name or "insecure" in name or name == "ssl"]


@pytest.mark.parametrize(
    "name", ["PYTHONHTTPSVERIFY", "SSL_NO_VERIFY", "AIOHTTP_NO_VERIFY", "NODE_TLS_REJECT_UNAUTHORIZED", "CURL_INSECURE"]
)
async def test_no_variable_turns_certificate_checks_off(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What other programs read to trust anybody changes nothing here."""
    trustme = pytest.importorskip("trustme")
    import ssl

    monkeypatch.setenv(name, "0")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = FaultServer([EMPTY], tls=context)
    outcome = await trial(
        lambda client: client.list_messages("box@example.com"), server, monkeypatch, tmp_path, requests=0
    )
    assert isinstance(outcome.error, err.APIConnectionError)
