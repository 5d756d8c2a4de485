"""What the kernel knows of a kept connection, and what the client makes of it."""

from __future__ import annotations

import asyncio
import select
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from support.checks import impatient, trial
from support.fault_server import CLOSE, RESET, STALL, FaultServer, reply
from support.hanging_up import hanging_up

from tempmailg import AsyncClient, _aiohttp
from tempmailg import _errors as err
from tempmailg._internals import read_in_pieces
from tempmailg._sockets import Receipt, is_readable

MAILBOX = (Path(__file__).parent / "samples" / "create_mailbox.json").read_bytes()
CREATED = reply(body=MAILBOX)
KEPT = reply(body=MAILBOX, headers=[("Connection", "keep-alive")])

only_on_linux = pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO counts acknowledged bytes on Linux only")


class Wire:
    """A connection as a transport of asyncio shows it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self.connection


def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname(), timeout=5)
        there, _ = listener.accept()
    there.settimeout(5)
    return here, there


def receipt_of(connection: socket.socket) -> Receipt:
    receipt = Receipt.of(cast("asyncio.BaseTransport", Wire(connection)))
    assert receipt is not None
    return receipt


def end_of(connection: socket.socket) -> bytes:
    """Wait until the other side has hung up."""
    try:
        return connection.recv(100)
    except ConnectionError:
        return b"reset"


def hang_up_first(here: socket.socket, there: socket.socket) -> None:
    there.close()
    end_of(here)
    here.sendall(b"request")


def read_and_hang_up(here: socket.socket, there: socket.socket) -> None:
    here.sendall(b"request")
    there.recv(100)
    there.close()
    end_of(here)


def reset_unread(here: socket.socket, there: socket.socket) -> None:
    here.sendall(b"request")
    there.recv(1)  # the rest lies unread, so closing is a reset
    there.close()
    end_of(here)


def answer_nothing_yet(here: socket.socket, there: socket.socket) -> None:
    here.sendall(b"request")
    there.recv(100)


@only_on_linux
@pytest.mark.parametrize(
    ("happens", "is_proof"),
    [(hang_up_first, True), (read_and_hang_up, False), (reset_unread, False), (answer_nothing_yet, False)],
)
def test_only_an_end_that_crossed_the_request_proves_that_it_was_not_taken(
    happens: Callable[[socket.socket, socket.socket], None],
    is_proof: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A server that received a single byte, was reset or is still there may have acted on the request."""
    here, there = connected()
    receipt = receipt_of(here)
    with here, there:
        happens(here, there)
        here.close()  # as an event loop does before anybody asks
        assert receipt.shows_nothing_taken() is is_proof
        receipt.close()


@only_on_linux
def test_without_a_descriptor_to_spare_there_is_no_receipt() -> None:
    """A POST goes without the proof then, instead of failing with the false word that the mailbox may exist."""
    import resource  # not on Windows

    here, there = connected()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with here, there:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            assert Receipt.of(cast("asyncio.BaseTransport", Wire(here))) is None
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@only_on_linux
def test_what_is_no_tcp_connection_has_no_receipt() -> None:
    """Where the kernel counts nothing, a request counts as sent."""
    here, there = socket.socketpair()
    with here, there:
        assert Receipt.of(cast("asyncio.BaseTransport", Wire(here))) is None
    assert Receipt.of(cast("asyncio.BaseTransport", Wire(here))) is None
    assert Receipt.of(None) is None


def test_an_end_or_a_byte_in_an_idle_connection_is_seen_without_the_event_loop() -> None:
    """Whatever has arrived is seen at once, and a connection on which nothing has arrived is fine."""
    here, there = connected()
    wire = cast("asyncio.BaseTransport", Wire(here))
    with here, there:
        assert not is_readable(wire)
        there.close()
        here.recv(0)
        end_of(here)
        assert is_readable(wire)
    assert is_readable(wire)


async def test_a_server_that_hangs_up_after_each_answer_loses_no_request_and_gets_none_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two hundred mailboxes back to back are two hundred successes and two hundred requests."""
    monkeypatch.setattr(_aiohttp, "PROBATION", 60.0)  # however long the server waits for the processor
    async with hanging_up(CREATED) as server, AsyncClient("key", base_url=server.base_url) as client:
        for _ in range(200):
            await client.create_mailbox()
    assert server.requests == 200


def too_early(transport: asyncio.BaseTransport) -> bool:
    """Check an idle connection the moment before its end arrives, and come back the moment after."""
    connection = transport.get_extra_info("socket")
    select.select([connection.fileno()], [], [], 5)
    return False


@only_on_linux
async def test_a_post_that_crossed_the_servers_end_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of which the server's kernel took no byte was not received, so even a POST is repeated."""
    monkeypatch.setattr(_aiohttp, "is_readable", too_early)
    monkeypatch.setattr(_aiohttp, "PROBATION", 0.0)
    naps = impatient(monkeypatch)
    async with hanging_up(CREATED) as server, AsyncClient("key", base_url=server.base_url) as client:
        await client.create_mailbox()
        await client.create_mailbox()
        assert len(naps) == 1
        await client.create_mailbox()
        assert len(naps) == 2
    assert server.requests == 3


async def test_a_post_trusts_a_kept_connection_when_the_server_is_known_to_keep_some() -> None:
    """Before a kept connection was answered on, a POST takes one that has stood idle, or a new one."""
    server = FaultServer([CREATED])
    async with server, AsyncClient("key", base_url=server.base_url) as client:
        await client.create_mailbox()
        await client.create_mailbox()
        assert server.connections == 2
        await asyncio.sleep(_aiohttp.PROBATION)
        for _ in range(10):
            await client.create_mailbox()
    assert server.connections == 2


async def test_a_post_trusts_a_server_that_announces_that_it_keeps_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Connection: keep-alive` is taken at its word until a kept connection is found closed."""
    monkeypatch.setattr(_aiohttp, "PROBATION", 60.0)  # however long the server waits for the processor
    async with FaultServer([KEPT]) as server, AsyncClient("key", base_url=server.base_url) as client:
        await client.create_mailbox()
        await client.create_mailbox()
    assert server.connections == 1
    async with hanging_up(KEPT) as liar, AsyncClient("key", base_url=liar.base_url) as client:
        await client.create_mailbox()
        await liar.hung_up()
        for _ in range(100):
            await client.create_mailbox()


@pytest.mark.parametrize("end", [CLOSE, RESET], ids=["closed", "reset"])
async def test_a_post_trusts_a_kept_connection_less_readily_after_the_server_has_hung_up_on_one(
    monkeypatch: pytest.MonkeyPatch, end: Any
) -> None:
    """A server that closes a while after each answer, whatever that while is, fails one POST, not every second one."""

    def idle_of_oldest(_pool: object, _key: object) -> float:
        return 1.5 * _aiohttp.PROBATION

    monkeypatch.setattr(_aiohttp._Connector, "idle_of_oldest", idle_of_oldest)
    server = FaultServer([CREATED], [end], [CREATED])
    async with server, AsyncClient("key", base_url=server.base_url) as client:
        await client.create_mailbox()
        with pytest.raises(err.APIConnectionError):
            await client.create_mailbox()
        assert server.connections == 1
        for _ in range(3):
            await client.create_mailbox()
    assert server.connections == 4


async def test_a_post_that_was_read_is_not_sent_again_whatever_the_end_looks_like(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A server that takes the request on a kept connection and hangs up in good order may have made the mailbox."""
    monkeypatch.setattr(_aiohttp, "PROBATION", 0.0)
    server = FaultServer([CREATED], [CLOSE])

    async def twice(client: AsyncClient) -> Any:
        await client.create_mailbox()
        await client.create_mailbox()

    outcome = await trial(twice, server, monkeypatch, tmp_path, requests=2)
    assert type(outcome.error) is err.APIConnectionError
    assert (outcome.error.sent, outcome.error.attempts, server.connections) == (True, 1, 1)


async def test_closing_the_client_is_no_proof_that_a_post_was_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """When the client's own side hangs up, nobody knows what the server does with the request."""
    monkeypatch.setattr(_aiohttp, "PROBATION", 0.0)
    server = FaultServer([CREATED], [STALL])

    async def closed_meanwhile(client: AsyncClient) -> Any:
        await client.create_mailbox()
        task = asyncio.create_task(client.create_mailbox())
        await asyncio.sleep(0)  # it is on its way, and nobody has taken it yet
        await client.close()
        return await task

    outcome = await trial(closed_meanwhile, server, monkeypatch, tmp_path, requests=None)
    assert type(outcome.error) is err.ClientClosedError
    assert "the mailbox may exist" in str(outcome.error)


async def test_answers_arrive_in_pieces_for_which_memory_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The room of 256 KiB that asyncio makes for each receipt is mapped and unmapped: only a download is worth that."""
    sizes: list[int] = []

    def watched(transport: Any, size: int) -> None:
        read_in_pieces(transport, size)
        sizes.append(transport.max_size)

    monkeypatch.setattr(_aiohttp, "read_in_pieces", watched)
    file = reply(body=b"file", headers=[("Content-Type", "text/plain")])
    async with FaultServer((CREATED,), (file,)) as server, AsyncClient("tm_key", base_url=server.base_url) as client:
        await client.create_mailbox()
        async with client.stream_attachment(("message", "attachment.txt")) as stream:
            assert b"".join([chunk async for chunk in stream]) == b"file"
    assert sizes == [64 * 1024, 256 * 1024]
