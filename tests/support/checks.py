"""What must be true after every fault, whatever else a test is about.

`trial` runs one piece of client code against a fault server and checks that the key is nowhere, that nothing is left
behind, that the expected number of requests was on the wire and that the deadline held.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import gc
import html
import json
import logging
import os
import pickle
import tempfile
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from attrs import Factory, define

from tempmailg import AsyncClient, TempMailError
from tempmailg._aiohttp import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    import pytest

    from support.fault_server import FaultServer

__all__ = ["CANARY", "Outcome", "Recorder", "assert_hidden", "everything_shown_by", "impatient", "listening", "trial"]

CANARY: Final = 'sk/canary+7f3a9c%41&"<tail>=\\end'
"""A key with everything in it that some notation spells differently."""

GRACE: Final = 0.5  # seconds by which a deadline may be missed


def spellings(secret: str) -> set[str]:
    """Return the ways in which a secret could stand in a text, and the beginning that a cut would leave of it."""
    spelled = {
        secret,
        quote(secret, safe=""),
        quote(secret),
        html.escape(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        repr(secret)[1:-1],
        base64.b64encode(secret.encode()).decode().rstrip("="),
    }
    return {text[:24] for text in spelled} | {text[-16:] for text in spelled}


def assert_hidden(texts: Iterable[str], secret: str = CANARY) -> None:
    """Fail if a secret, or enough of it to matter, stands in one of the texts."""
    forbidden = spellings(secret)
    for text in texts:
        for spelled in forbidden:
            at = text.find(spelled)
            assert at < 0, f"{spelled!r} shows in: {text[max(0, at - 300) : at + 300]}"


def everything_shown_by(error: BaseException) -> Iterator[str]:
    """Yield all that a log, a crash reporter or a debugger may make of an exception, locals of all frames included."""
    yield from (str(error), repr(error), repr(error.args), repr(vars(error)))
    yield "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    if isinstance(error, TempMailError):
        yield pickle.dumps(error).decode("latin-1")
        yield repr(vars(copy.deepcopy(error)))


class Recorder(logging.Handler):
    """Keeps every log record as text, with its arguments and the locals of its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [record.getMessage(), repr(record.args), repr(vars(record))]
        if record.exc_info and record.exc_info[1]:
            self.lines += everything_shown_by(record.exc_info[1])


@define
class Outcome:
    """What a trial ended with, and what it took."""

    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    naps: list[float] = Factory(list[float])
    lines: list[str] = Factory(list[str])


def impatient(monkeypatch: pytest.MonkeyPatch, chance: float = 0.0) -> list[float]:
    """Make the client's sleeps last no time while its clock goes on; return the list that records them."""
    naps: list[float] = []

    async def sleep(_self: AiohttpTransport, seconds: float) -> None:
        await asyncio.sleep(0)
        naps.append(seconds)

    def now(_self: AiohttpTransport) -> float:
        return time.monotonic() + sum(naps)

    def random(_self: AiohttpTransport) -> float:
        return chance

    for replacement in (sleep, now, random):
        monkeypatch.setattr(AiohttpTransport, replacement.__name__, replacement)
    return naps


async def trial(
    run: Callable[[AsyncClient], Awaitable[Any]],
    server: FaultServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    requests: int | None,
    deadline: float = 10.0,
    calls: int = 1,
    patient: bool = False,
    **options: Any,
) -> Outcome:
    """Run client code against a server and check everything that must hold whatever happens.

    Args:
        run: What to do with the client.
        server: The server, not yet started.
        monkeypatch: Shortens the waits before retries.
        tmp_path: An empty folder that stands in for the system's temporary folder.
        requests: How many requests must arrive; None if that does not matter.
        deadline: The client's time-out, in seconds.
        calls: How many calls are made, each with that time-out.
        patient: Sleep for real before retries.
        options: Further options of the client.
    """
    naps = [] if patient else impatient(monkeypatch)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tasks, descriptors = asyncio.all_tasks(), _descriptors()
    recorder = Recorder()
    gc.freeze()  # what is there already need not be searched for leaks: that alone would take most of the time
    with warnings.catch_warnings(record=True) as warned, listening(recorder):
        warnings.simplefilter("always")
        async with server:
            outcome = await _timed(run, server, deadline, options)
            await server.quiet()
        await _settled(tasks)
        gc.collect()
    gc.unfreeze()
    outcome.naps, outcome.lines = naps, recorder.lines

    assert not warned, [str(each.message) for each in warned]
    assert_hidden(recorder.lines)
    assert_hidden(request.line for request in server.requests)
    if outcome.error is not None:
        assert_hidden(everything_shown_by(outcome.error))
    assert requests in (None, len(server.requests)), [request.line for request in server.requests]
    assert outcome.seconds < calls * (deadline + GRACE), outcome.seconds
    assert not asyncio.all_tasks() - tasks, asyncio.all_tasks() - tasks
    assert not _descriptors() - descriptors, _descriptors() - descriptors
    assert not os.listdir(tmp_path), "a temporary file is left"  # noqa: PTH208 - a folder, once
    return outcome


async def _timed(
    run: Callable[[AsyncClient], Awaitable[Any]], server: FaultServer, deadline: float, options: dict[str, Any]
) -> Outcome:
    outcome = Outcome()
    settings: dict[str, Any] = {"base_url": server.base_url, "timeout": deadline, **options}
    async with AsyncClient(CANARY, **settings) as client:
        begun, starved = time.monotonic(), _starved()
        try:
            outcome.value = await run(client)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever it is, the test looks at it
            outcome.error = error
        outcome.seconds = time.monotonic() - begun - (_starved() - starved)
        assert_hidden((repr(client), repr(vars(client))))
    return outcome


async def _settled(tasks: set[asyncio.Task[Any]]) -> None:
    """Let the server's own tasks end; what has not ended after a hundred turns of the loop is left behind."""
    for _ in range(100):
        if asyncio.all_tasks() <= tasks:
            return
        await asyncio.sleep(0.001)


def _starved() -> float:
    """Return the seconds that this thread stood ready while the machine ran others: no client's fault."""
    with suppress(OSError):
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    return 0.0


def _descriptors() -> set[str]:
    """Return the sockets and pipes that this process has open, as the system names them."""
    opened: set[str] = set()
    for link in Path("/proc/self/fd").glob("*"):  # empty on other systems
        with suppress(OSError):
            opened.add(f"{link.name} {link.readlink()}")
    return {each for each in opened if "socket:" in each or "pipe:" in each}


class listening:  # noqa: N801 - used like the functions of contextlib
    """Collect everything that is logged at DEBUG, whoever logs it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._loggers = [logging.getLogger(name) for name in ("", "aiohttp", "asyncio", "tempmailg")]
        self._levels = [logger.level for logger in self._loggers]

    def __enter__(self) -> None:
        self._loggers[0].addHandler(self._recorder)
        for logger in self._loggers:
            logger.setLevel(logging.DEBUG)

    def __exit__(self, *exc_info: object) -> None:
        self._loggers[0].removeHandler(self._recorder)
        for logger, level in zip(self._loggers, self._levels, strict=True):
            logger.setLevel(level)
