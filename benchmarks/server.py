"""The benchmarks' own server: it must answer several times faster than the fastest client asks."""

from __future__ import annotations

import socket
import time
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from benchmarks._harness import Goal, Measure, Row, Sample, interleaved, ratio, spread
from benchmarks._mail import MAILBOX, PREFIXES
from benchmarks._server import running_server
from benchmarks._worker import Worker

__all__ = ["measures"]

ROUNDS: Final = 9
REQUESTS: Final = 10_000  # in each round
BATCH: Final = 100  # requests sent at once: more than any client has under way
FASTEST: Final = "floor + json"
BLIND: Final = "requests in bulk, answers not read"


def measures(*, short: bool) -> list[Measure]:
    """Measure the server alone, and the fastest client with it."""
    requests = BATCH if short else REQUESTS
    with running_server() as origin, Worker(FASTEST, origin + PREFIXES[1], concurrency=32) as worker:
        contestants = {BLIND: partial(_bulk, origin, requests), FASTEST: partial(worker.run, requests)}
        samples = interleaved(contestants, 1 if short else ROUNDS)
    rows = [
        Row(name, {"answers/s": spread(1 / sample.wall_each for sample in taken).median})
        for name, taken in samples.items()
    ]
    faster = ratio((sample.wall_each for sample in samples[FASTEST]), (sample.wall_each for sample in samples[BLIND]))
    goal = Goal("answers per second, the server alone / the fastest client", 3, faster, at_most=False)
    return [Measure("The server of these benchmarks, 1 message of 2 KB", rows, [goal])]


def _bulk(origin: str, requests: int) -> Sample:
    """Send requests in bulk over one connection, and count bytes instead of reading answers."""
    address = urlsplit(origin)
    request = f"GET {PREFIXES[1]}/messages?email={MAILBOX} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(request)
        length = len(connection.recv(65_536))
        begun = time.perf_counter(), time.process_time()
        for _ in range(requests // BATCH):
            connection.sendall(request * BATCH)
            missing = BATCH * length
            while missing:
                missing -= len(connection.recv(1_048_576))
        return Sample(requests, time.perf_counter() - begun[0], time.process_time() - begun[1])
