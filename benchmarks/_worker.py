"""The process in which one contestant runs: it reads from its standard input what to do, and reports what that took."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from benchmarks._contestants import CONTESTANTS
from benchmarks._harness import Sample
from benchmarks._mail import MAILBOX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks._contestants import AsyncList, Contestant, List

__all__ = ["Worker", "why_not"]

EXTRA_PACKAGES: Final = Path(__file__).parent / ".niquests"
"""Where niquests may stand, apart: its urllib3-future replaces urllib3, and with it what `requests` runs on."""


class Worker:
    """A contestant in its process, or several that take turns there, as the parent sees them.

    Args:
        name: The contestant's name.
        base_url: Where the API stands.
        concurrency: How many calls run at once.
        threads: Whether the blocking client makes them, in so many threads; otherwise one event loop does.
        loop: The module that makes the event loop.
        beside: Other contestants in the same process.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        concurrency: int,
        threads: bool = False,
        loop: str = "asyncio",
        beside: Sequence[str] = (),
    ) -> None:
        how = "threads" if threads else loop
        command = [sys.executable, "-m", "benchmarks._worker", base_url, how, str(concurrency), name, *beside]
        self._smallest = max(concurrency, 8)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(_search_path(CONTESTANTS[name]))}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.fields = self._receive()["fields"]

    def run(self, calls: int, contestant: int = 0) -> Sample:
        """Let a contestant, the first or one beside it, make that many calls."""
        assert self._process.stdin
        print(contestant, calls, file=self._process.stdin, flush=True)
        return Sample(**self._receive())

    def round_of(self, seconds: float, contestant: int = 0) -> Callable[[], Sample]:
        """Return a function that lets a contestant make as many calls as take about so many seconds."""
        self.run(self._smallest, contestant)  # opens the connections
        several = int(seconds / self.run(self._smallest, contestant).wall_each) // self._smallest * self._smallest
        return partial(self.run, max(self._smallest, several), contestant)

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a contestant ended early: {self._process.args!r}")
        report: dict[str, Any] = json.loads(line)
        return report

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.communicate()  # closes its input, at which it ends


def why_not(name: str) -> str | None:
    """Return why a contestant cannot take part, or None if it can."""
    contestant = CONTESTANTS[name]
    paths = [path for path in _search_path(contestant) if path]
    for module in contestant.needs:
        found = importlib.util.find_spec(module) or any((Path(path) / module).is_dir() for path in paths)
        if not found:
            return f"{module} is not installed"
    if {"urllib3", "requests"} & set(contestant.needs) and importlib.util.find_spec("urllib3_future"):
        return "urllib3 is replaced by urllib3-future here: install niquests apart (benchmarks/README.md)"
    return None


def _search_path(contestant: Contestant) -> list[str]:
    root = [str(Path(__file__).parent.parent)]
    return [*root, str(EXTRA_PACKAGES)] if "niquests" in contestant.needs else root


# ---------------------------------------------------------------------------------------------------- in the process


def fields_of(messages: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - each contestant has its own classes
    """Return typed messages as plain data, so that those of all contestants can be compared."""
    several = [_plain(message) for message in messages]
    for message in several:
        message.pop("problems", None)  # only this library reports it
        for attachment in message["attachments"]:
            attachment.pop("message_id", None)  # only this library has it
    return several


def _plain(message: Any) -> dict[str, Any]:  # noqa: ANN401 - each contestant has its own classes
    if hasattr(message, "model_dump"):  # pydantic's
        plain: dict[str, Any] = message.model_dump()
        return plain
    if hasattr(message, "__attrs_attrs__"):
        import attrs

        return attrs.asdict(message)
    return asdict(message)


def main() -> None:
    """Serve the parent until it closes our input."""
    base_url, how, concurrency, *names = sys.argv[1:]
    contestants = [CONTESTANTS[name] for name in names]
    loop = None if how == "threads" else importlib.import_module(how).new_event_loop  # before it may be hidden
    for module in {module for contestant in contestants for module in contestant.hides}:
        sys.modules[module] = None  # type: ignore[assignment] # an import of it now fails as if it were missing
    if "uvloop" in contestants[0].needs:
        os.environ["TEMPMAILG_LOOP"] = "uvloop"
    if loop is None:
        _serve_blocking(contestants[0], base_url, int(concurrency))
        return
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(_serve_async(contestants, base_url, int(concurrency)))


async def _serve_async(contestants: Sequence[Contestant], base_url: str, concurrency: int) -> None:
    async with contextlib.AsyncExitStack() as clients:
        ways = [await clients.enter_async_context(_opened(each, base_url)) for each in contestants]
        _report({"fields": fields_of(await ways[0](MAILBOX)) if contestants[0].typed else None})
        for line in sys.stdin:  # blocks the loop, and is meant to: nothing may run between two rounds
            contestant, calls = map(int, line.split())
            listed = ways[contestant]
            begun = time.perf_counter(), time.process_time()
            await asyncio.gather(
                *(_list_often(listed, f"box{task}@example.com", calls // concurrency) for task in range(concurrency))
            )
            _report_sample(calls // concurrency * concurrency, begun)


def _opened(contestant: Contestant, base_url: str) -> contextlib.AbstractAsyncContextManager[AsyncList]:
    assert contestant.asynchronous
    return contestant.asynchronous(base_url)


async def _list_often(listed: AsyncList, mailbox: str, times: int) -> None:
    for _ in range(times):
        await listed(mailbox)


def _serve_blocking(contestant: Contestant, base_url: str, threads: int) -> None:
    assert contestant.blocking
    with contestant.blocking(base_url) as listed, ThreadPoolExecutor(threads) as pool:
        _report({"fields": fields_of(listed(MAILBOX)) if contestant.typed else None})
        for line in sys.stdin:
            each = int(line.split()[1]) // threads
            begun = time.perf_counter(), time.process_time()
            if threads == 1:  # no hand-over to a pool
                _block_often(listed, each)
            else:
                list(pool.map(partial(_block_often, listed), [each] * threads))
            _report_sample(each * threads, begun)


def _block_often(listed: List, times: int) -> None:
    for _ in range(times):
        listed(MAILBOX)


def _report_sample(calls: int, begun: tuple[float, float]) -> None:
    wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    _report({"calls": calls, "wall": wall, "cpu": cpu})


def _report(value: object) -> None:
    print(json.dumps(value, default=str), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
