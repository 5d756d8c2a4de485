"""Fleets on engines that exist: Celery and Dask, with a real Redis, and a worker that is killed in the middle."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from attrs import frozen
from support.redis_server import needs_redis, redis_server

from tempmailg import AsyncClient, Client
from tempmailg.sandbox import Sandbox

FLEET = Path(__file__).parent / "fleet"
MAILBOXES = 400
RESERVE = 100  # as in fleet/collect.py
WARNINGS_OF_CELERY = (
    "ignore:You're running the worker with superuser privileges",  # as tests in containers do
    "ignore:Call to deprecated:DeprecationWarning:celery.backends.redis",  # of methods of the newest redis-py
)

with_time = pytest.mark.timeout(300)  # starting a fleet takes a busy machine a minute


@frozen
class Work:
    """What a fleet has to do: mailboxes with a mail each, of which one kills its worker."""

    sandbox: Sandbox
    redis: Any
    mailboxes: list[str]
    environment: dict[str, str]

    def run(self, program: str) -> str:
        """Run a program of the examples with the mailboxes on standard input."""
        ended = subprocess.run(
            [sys.executable, program],
            input="\n".join(self.mailboxes),
            cwd=FLEET,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert ended.returncode == 0, ended.stderr[-4000:]
        return ended.stdout


@pytest.fixture
def work() -> Generator[Work]:
    with Sandbox(quota=MAILBOXES * 10) as sandbox, redis_server() as url:
        with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
            mailboxes = [client.create_mailbox().email for _ in range(MAILBOXES)]
        for number, mailbox in enumerate(mailboxes):
            fatal = number == MAILBOXES // 2
            sandbox.deliver(mailbox, subject="fatal" if fatal else "welcome", text=f"Your code is {100_000 + number}.")
        environment = {
            **os.environ,
            "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "forkserver",  # imports once, not four times
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": ",".join((os.environ.get("PYTHONWARNINGS", "default"), *WARNINGS_OF_CELERY)),
            "TEMPMAILG_API_KEY": sandbox.api_key,
            "TEMPMAILG_BASE_URL": sandbox.base_url,
            "REDIS_URL": url,
        }
        connect: Any = redis.Redis  # its methods declare their types in part
        yield Work(sandbox, connect.from_url(url, decode_responses=True), mailboxes, environment)


def check(work: Work, printed: str) -> None:
    """Check that each message was handled once although a worker was killed, and that the quota was kept."""
    handled = [line.split() for line in work.redis.lrange("handled", 0, -1)]
    expected = {mailbox: str(100_000 + number) for number, mailbox in enumerate(work.mailboxes)}
    assert Counter(mailbox for mailbox, _, _ in handled) == Counter(expected.keys())
    assert {mailbox: code for mailbox, code, _ in handled} == expected
    killed, workers = work.redis.get("killed"), {worker for _, _, worker in handled}
    assert killed is not None
    assert len(workers) >= 2
    assert 0 < int(printed) <= MAILBOXES, "what the killed worker had counted is lost, and no message"
    statuses = Counter(entry.status for entry in work.sandbox.journal)
    assert set(statuses) <= {200, 304}
    assert statuses[200] <= MAILBOXES * 10 - RESERVE


@contextmanager
def celery_workers(work: Work, log: Path) -> Generator[None]:
    """Four worker processes, as one machine of a fleet runs them."""
    options = ["--concurrency", "4", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
    command = [sys.executable, "-m", "celery", "-A", "celery_fleet", "worker", *options]
    with log.open("wb") as output:
        worker = subprocess.Popen(command, cwd=FLEET, env=work.environment, stdout=output, stderr=output)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(30)


@needs_redis
@with_time
def test_a_fleet_of_celery_workers_delivers_each_message_once(work: Work, tmp_path: Path) -> None:
    """One of four workers is killed with a message in hand; each message is handled once, within one key's quota."""
    log = tmp_path / "celery.log"
    with celery_workers(work, log):
        printed = work.run("celery_fleet.py")
    check(work, printed)
    assert "SIGKILL" in log.read_text(encoding="utf-8")


@needs_redis
@with_time
def test_a_fleet_of_dask_workers_delivers_each_message_once(work: Work) -> None:
    """One of four workers is killed with a message in hand; each message is handled once, within one key's quota."""
    check(work, work.run("dask_fleet.py"))


async def test_four_clients_with_one_key_leave_the_reserve() -> None:
    """Clients that do not know of each other spend one quota together, and stop at the reserve that each keeps."""
    service = Sandbox(quota=700)
    mailboxes = 100

    async def watch(boxes: list[str]) -> None:
        async with (
            AsyncClient(transport=service.transport(), quota_reserve=RESERVE) as client,
            client.watch(*boxes, poll_interval=10) as watched,
        ):
            async for _ in watched:
                raise AssertionError("no mail was sent")

    async with AsyncClient(transport=service.transport()) as client:
        boxes = [(await client.create_mailbox()).email for _ in range(mailboxes)]
        ends = await asyncio.gather(*(watch(boxes[number::4]) for number in range(4)), return_exceptions=True)
        await client.list_domains()
        assert client.quota is not None
        assert RESERVE - 5 <= client.quota.remaining < 2 * RESERVE, ends
