"""Certificates, authorities and tunnels, with real TLS."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import trustme
from support.checks import CANARY, everything_shown_by, trial
from support.fault_server import RESET, STALL, Do, FaultServer, expire, reply

from tempmailg import AsyncClient
from tempmailg import _errors as err

EMPTY: Final = reply({"status": True, "messages": []})
CREATED: Final = reply(body=(Path(__file__).parent / "samples" / "create_mailbox.json").read_bytes())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that only the tests know."""
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """What a user makes to trust that authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType] - it takes pyOpenSSL's contexts too
    return context


def serving(authority: trustme.CA, host: str = "127.0.0.1", **more: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host, **more).configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - the same
    return context


async def list_messages(client: AsyncClient) -> Any:
    return await client.list_messages("box@example.com")


async def create_mailbox(client: AsyncClient) -> Any:
    return await client.create_mailbox()


YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
REFUSED: dict[str, tuple[Callable[[trustme.CA], ssl.SSLContext], str]] = {
    "wrong host": (lambda authority: serving(authority, "other.example"), "not valid for '127.0.0.1'"),
    "expired": (lambda authority: serving(authority, not_after=YESTERDAY), "certificate has expired"),
    "unknown authority": (lambda _: serving(trustme.CA()), "certificate"),
}


@pytest.mark.parametrize("run", [list_messages, create_mailbox])
@pytest.mark.parametrize("fault", REFUSED)
async def test_a_bad_certificate_ends_the_call_before_a_byte_of_http(
    fault: str,
    run: Any,
    authority: trustme.CA,
    trusting: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A server that cannot prove who it is sees no request; the error names the problem and is not tried again."""
    make, text = REFUSED[fault]
    server = FaultServer([EMPTY], tls=make(authority))
    outcome = await trial(run, server, monkeypatch, tmp_path, requests=0, ssl_context=trusting)
    assert type(outcome.error) is err.TLSError
    assert (outcome.error.sent, outcome.error.attempts) == (False, 1)
    assert text in str(outcome.error)
    assert f"the certificate of {server.base_url} was refused" in str(outcome.error)


async def test_the_systems_authorities_decide_by_default(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without `ssl_context` a private authority is unknown."""
    server = FaultServer([EMPTY], tls=serving(authority))
    outcome = await trial(list_messages, server, monkeypatch, tmp_path, requests=0)
    assert "the certificate" in str(outcome.error)


async def test_a_private_authority_is_trusted_through_ssl_context(
    authority: trustme.CA, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the authority loaded into `ssl_context` the call goes through, and the connection is kept."""
    server = FaultServer([EMPTY], [EMPTY], [CREATED], tls=serving(authority))

    async def several(client: AsyncClient) -> Any:
        return [await list_messages(client), await list_messages(client), await create_mailbox(client)]

    outcome = await trial(several, server, monkeypatch, tmp_path, requests=3, ssl_context=trusting)
    assert outcome.error is None
    assert server.connections == 1


async def test_a_reset_over_tls_is_retried_like_any_other(
    authority: trustme.CA, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """TLS changes nothing about which requests may be repeated."""
    server = FaultServer([RESET], [EMPTY], tls=serving(authority))
    outcome = await trial(list_messages, server, monkeypatch, tmp_path, requests=2, ssl_context=trusting)
    assert (outcome.error, outcome.value) == (None, [])


async def test_a_server_that_speaks_no_tls_sees_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Plain http where TLS was expected is an error, and nothing of the request was sent."""
    server = FaultServer([EMPTY], greeting=[b"HTTP/1.1 400 Bad Request\r\n\r\n"])

    async def over_tls(_client: AsyncClient) -> Any:
        async with AsyncClient(CANARY, base_url=server.base_url.replace("http:", "https:")) as client:
            return await create_mailbox(client)

    outcome = await trial(over_tls, server, monkeypatch, tmp_path, requests=0)
    assert type(outcome.error) is err.TLSError
    assert outcome.error.sent is False
    assert "no TLS with" in str(outcome.error)


# ---------------------------------------------------------------------------------------- checks cannot be turned off


def blind(*, hosts_only: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    if not hosts_only:
        context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize("hosts_only", [True, False])
def test_a_context_that_checks_nothing_is_refused(*, hosts_only: bool) -> None:
    """`ssl_context` may say whom to trust, but not that anybody is trusted."""
    with pytest.raises(err.ConfigurationError, match="must check certificates and host names"):
        AsyncClient(CANARY, ssl_context=blind(hosts_only=hosts_only))


@pytest.mark.parametrize("trust", [False, blind(hosts_only=False)], ids=["ssl=False", "blind context"])
async def test_a_session_whose_pool_checks_nothing_is_refused(trust: Any, authority: trustme.CA) -> None:
    """A pool from outside cannot turn the checks off either: the call fails before a connection."""
    async with (
        FaultServer([EMPTY], tls=serving(authority)) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
        AsyncClient(CANARY, base_url=server.base_url, session=session) as client,
    ):
        with pytest.raises(err.ConfigurationError, match="must check certificates"):
            await list_messages(client)
        assert server.connections == 0


async def test_a_session_whose_pool_trusts_a_private_authority_is_used(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    """A pool that knows whom to trust keeps that knowledge."""
    async with (
        FaultServer([EMPTY], tls=serving(authority)) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session,
        AsyncClient(CANARY, base_url=server.base_url, session=session) as client,
    ):
        assert await list_messages(client) == []


# ---------------------------------------------------------------------------------------------------------- tunnels


@asynccontextmanager
async def connect_proxy(
    target_port: int, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n"
) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A proxy that tunnels every CONNECT to one port of this machine; yields its URL and the heads that it saw."""
    heads: list[bytes] = []
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            tasks.add(task)
        async with closing(writer):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
            if b" 200 " in answer:
                inner, outer = await asyncio.open_connection("127.0.0.1", target_port)
                async with closing(outer):
                    await asyncio.wait(
                        [asyncio.create_task(pipe(reader, outer)), asyncio.create_task(pipe(inner, writer))]
                    )

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
        await asyncio.gather(*tasks)


@asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


HOST: Final = "mail.example"


@pytest.mark.parametrize("by", ["argument", "environment"])
async def test_a_proxy_carries_a_tunnel_and_sees_no_key(
    by: str, authority: trustme.CA, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`proxy=` and `HTTPS_PROXY` open a CONNECT tunnel with the proxy's credentials; the key stays inside of it."""
    async with FaultServer([EMPTY], tls=serving(authority, HOST)) as server, connect_proxy(server.port) as (url, heads):
        with_password = url.replace("//", "//user:pa%20ss@")
        if by == "environment":
            monkeypatch.setenv("HTTPS_PROXY", with_password)
        chosen = with_password if by == "argument" else None
        async with AsyncClient(CANARY, base_url=f"https://{HOST}/api", proxy=chosen, ssl_context=trusting) as client:
            assert await list_messages(client) == []
            assert "pa" not in repr(client) + repr(vars(client))
        await server.quiet()
    (seen,) = heads
    assert seen.startswith(b"CONNECT mail.example:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpwYSBzcw==\r\n" in seen  # user:pa ss
    assert b"canary" not in seen
    assert server.requests[0].header("Authorization") == f"Bearer {CANARY}"
    assert server.requests[0].header("Proxy-Authorization") is None


async def test_a_proxys_password_is_in_no_frame() -> None:
    """Not even a time-out of the user's own, which shows the frames of aiohttp, gives the proxy's password away."""
    password = "pass-word-of-the-proxy"
    coded = base64.b64encode(f"user:{password}".encode()).decode()
    limit = asyncio.timeout(None)
    async with FaultServer([Do(lambda: expire(limit)), STALL]) as proxy:
        url = proxy.base_url.replace("//", f"//user:{password}@").removesuffix("/api")
        async with AsyncClient(CANARY, base_url=f"https://{HOST}/api", proxy=url) as client:
            url = ""
            with pytest.raises(TimeoutError) as caught:
                async with limit:
                    await list_messages(client)
        assert proxy.requests[0].header("Proxy-Authorization") == f"Basic {coded}"
    shown = list(everything_shown_by(caught.value.__cause__ or caught.value))
    assert any("Proxy-Authorization" in text for text in shown), "the frames do not show the proxy's headers"
    for secret in (f"{password}@", coded[:20]):
        assert not [text for text in shown if secret in text.replace(f"coded = '{coded}'", "")]


async def test_a_tunnel_is_kept(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    """The second call through a proxy with a password goes through the same tunnel."""
    async with FaultServer([EMPTY], tls=serving(authority, HOST)) as server, connect_proxy(server.port) as (url, heads):
        proxy = url.replace("//", "//user:word@")
        async with AsyncClient(CANARY, base_url=f"https://{HOST}/api", proxy=proxy, ssl_context=trusting) as client:
            await list_messages(client)
            await list_messages(client)
        await server.quiet()
    assert len(heads) == 1


async def test_plain_http_through_a_proxy_of_this_machine_brings_the_password() -> None:
    """Without a tunnel, as to a sandbox, the request itself carries the proxy's credentials."""
    async with FaultServer([EMPTY]) as proxy:
        url = proxy.base_url.replace("//", "//user:word@").removesuffix("/api")
        async with AsyncClient(CANARY, base_url="http://localhost:1/api", proxy=url) as client:
            await list_messages(client)
    assert proxy.requests[0].line.startswith("GET http://localhost:1/api/messages?")
    assert proxy.requests[0].header("Proxy-Authorization") == "Basic dXNlcjp3b3Jk"


async def test_a_scheme_in_capitals_is_as_strict(authority: trustme.CA) -> None:
    """`HTTPS://` refuses a session that checks no certificates, and may go through a proxy, as `https://` does."""
    async with (
        FaultServer([EMPTY], tls=serving(authority)) as server,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session,
    ):
        url = server.base_url.replace("https", "HttpS")
        async with AsyncClient(CANARY, base_url=url, session=session) as client:
            with pytest.raises(err.ConfigurationError, match="must check certificates"):
                await list_messages(client)
        assert server.connections == 0
    AsyncClient(CANARY, base_url="HTTPS://mail.example", proxy="HTTP://proxy.example")


async def test_a_tunnel_to_the_wrong_host_is_refused(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    """A proxy that connects to somebody else is found out by the certificate."""
    async with (
        FaultServer([EMPTY], tls=serving(authority, "other.example")) as server,
        connect_proxy(server.port) as (url, _),
        AsyncClient(CANARY, base_url=f"https://{HOST}/api", proxy=url, ssl_context=trusting) as client,
    ):
        with pytest.raises(err.TLSError, match=r"certificate of https://mail\.example/api was refused") as caught:
            await create_mailbox(client)
        assert (caught.value.sent, server.requests) == (False, [])


@pytest.mark.parametrize(("status", "attempts"), [(403, 1), (407, 1), (502, 2), (503, 2), (504, 2)])
async def test_a_proxy_that_refuses_is_named(status: int, attempts: int, trusting: ssl.SSLContext) -> None:
    """The error says that it was the proxy, with its status; the service has seen nothing, so a POST is tried again."""
    refusal = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status
    async with (
        connect_proxy(1, refusal) as (url, _),
        AsyncClient(CANARY, base_url=f"https://{HOST}/api", proxy=url, ssl_context=trusting, max_retries=1) as client,
    ):
        with pytest.raises(
            err.APIConnectionError, match=rf"the proxy refused to connect to .*: status {status}"
        ) as caught:
            await create_mailbox(client)
        assert (caught.value.sent, caught.value.attempts) == (False, attempts)


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-gateway\r\n\r\n", b"HTTP/1.1 299 OK\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n"],
    ids=["ssh", "long"],
)
async def test_a_proxy_that_speaks_no_http_lets_nothing_be_sent(answer: bytes, trusting: ssl.SSLContext) -> None:
    """The error says that it was the proxy, and not that a mailbox may exist: the service has seen nothing."""
    async with (
        connect_proxy(1, answer) as (url, _),
        AsyncClient(CANARY, base_url=f"https://{HOST}/api", proxy=url, ssl_context=trusting, max_retries=1) as client,
    ):
        with pytest.raises(err.APIConnectionError, match="the proxy's answer is no valid HTTP") as caught:
            await create_mailbox(client)
        assert (caught.value.sent, caught.value.attempts) == (False, 2)
