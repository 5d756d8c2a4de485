"""How fast the sandbox takes mail, beside a bare aiosmtpd that throws it away, and how soon it is ready.

Both servers run as processes of their own and are loaded in turn, round by round, by the same sender, so that whatever
else the machine does falls on both.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks._harness import Goal, Measure, Row, interleaved, ratio, show, spread

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

__all__ = ["main", "measures"]

ROUNDS: Final = 9
MESSAGES: Final = 250  # of each connection in a round

MESSAGE: Final = (
    b"Subject: Your code\r\nFrom: Example <hello@example.org>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n\r\n" + b"<p>Your code is <b>123456</b>.</p>\r\n" * 50 + b".\r\n"
)
CONNECTIONS: Final = 8

_BARE: Final = """
import asyncio, json
from aiosmtpd.smtp import SMTP

class Discard:
    async def handle_DATA(self, server, session, envelope):
        return "250 OK"

async def serve():
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Discard()), "127.0.0.1", 0)
    print(json.dumps({"smtp_port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()

asyncio.run(serve())
"""


@dataclass(frozen=True)
class Server:
    """A running server: its name, its port and addresses that it takes mail for, one for each connection."""

    name: str
    port: int
    recipients: Sequence[str]
    ready: float


def measures(*, short: bool) -> list[Measure]:
    """Measure the intake of mail over kept connections and over a new one each, and the start."""
    rounds, messages = (1, 5) if short else (ROUNDS, MESSAGES)
    return [
        _intake("Taking mail, connections kept", rounds, messages, per_connection=messages),
        _intake("Taking mail, one message a connection", rounds, messages, per_connection=1),
        _start(rounds),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and show."""
    for measure in measures(short="--short" in (sys.argv if argv is None else argv)):
        show(measure)


def _intake(title: str, rounds: int, messages: int, *, per_connection: int) -> Measure:
    with _bare() as bare, _sandbox() as sandbox:
        servers = {server.name: server for server in (bare, sandbox)}
        loads = {name: partial(_rate, server, messages, per_connection) for name, server in servers.items()}
        rates = interleaved(loads, rounds)
    rows = [
        Row(name, {"messages/s": spread(rates[name]).median}, ratio(rates[name], rates[bare.name])) for name in servers
    ]
    # What is promised is 1,000 a second or 60 % of the bare server, whichever is less.
    promised = ratio(rates[sandbox.name], [min(1_000.0, 0.6 * rate) for rate in rates[bare.name]])
    return Measure(title, rows, [Goal("rate / promised rate", 1, promised, at_most=False)], bare.name)


def _rate(server: Server, messages: int, per_connection: int) -> float:
    return asyncio.run(_load(server, messages, per_connection))


def _start(rounds: int) -> Measure:
    seconds: list[float] = []
    for _ in range(rounds):
        with _sandbox() as sandbox:
            seconds.append(sandbox.ready)
    taken = spread(seconds)
    return Measure(
        "Starting the sandbox", [Row("sandbox", {"seconds": taken.median})], [Goal("seconds until ready", 1, taken)]
    )


async def _load(server: Server, messages: int, per_connection: int) -> float:
    begun = time.perf_counter()
    await asyncio.gather(*(_send(server.port, each, messages, per_connection) for each in server.recipients))
    return CONNECTIONS * messages / (time.perf_counter() - begun)


async def _send(port: int, recipient: str, messages: int, per_connection: int) -> None:
    while messages > 0:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await _answer(reader, b"220")
        await _say(reader, writer, b"EHLO benchmark\r\n", b"250")
        for _ in range(min(messages, per_connection)):
            await _say(reader, writer, b"MAIL FROM:<hello@example.org>\r\n", b"250")
            await _say(reader, writer, f"RCPT TO:<{recipient}>\r\n".encode(), b"250")
            await _say(reader, writer, b"DATA\r\n", b"354")
            await _say(reader, writer, MESSAGE, b"250")
            messages -= 1
        writer.close()


async def _say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: bytes, expected: bytes) -> None:
    writer.write(words)
    await _answer(reader, expected)


async def _answer(reader: asyncio.StreamReader, expected: bytes) -> None:
    while (line := await reader.readline())[3:4] == b"-":
        pass
    if not line.startswith(expected):
        raise RuntimeError(f"expected {expected!r}, got {line!r}")


@contextmanager
def _process(command: list[str]) -> Generator[tuple[dict[str, Any], float]]:
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        place = json.loads(process.stdout.readline())
        try:
            yield place, time.perf_counter() - begun
        finally:
            process.terminate()


@contextmanager
def _bare() -> Generator[Server]:
    with _process(["-c", _BARE]) as (place, ready):
        yield Server("bare", place["smtp_port"], ["somebody@example.com"] * CONNECTIONS, ready)


@contextmanager
def _sandbox() -> Generator[Server]:
    with _process(["-c", "from tempmailg.sandbox import Sandbox, run; run(Sandbox())"]) as (place, ready):
        yield Server("sandbox", place["smtp_port"], [_new_mailbox(place) for _ in range(CONNECTIONS)], ready)


def _new_mailbox(place: dict[str, Any]) -> str:
    headers = {"Authorization": f"Bearer {place['api_key']}"}
    request = urllib.request.Request(f"{place['base_url']}/emails", method="POST", headers=headers)
    with urllib.request.urlopen(request) as response:
        email: str = json.load(response)["data"]["email"]
        return email


if __name__ == "__main__":
    main()
