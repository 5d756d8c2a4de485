"""What `tempmailg.transport` promises of every transport, held against four of them.

The real one over raw sockets, the sandbox's in this process, a fake of less than fifty lines, and the recorder of the
manual around two of these.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Any, cast

import pytest
from attrs import frozen
from multidict import CIMultiDict
from support import fake_transport
from support.fake_transport import FakeTransport
from support.fault_server import CLOSE, RESET, STALL, Answer, FaultServer, head, reply

import tempmailg
from tempmailg import AiohttpTransport, AsyncClient
from tempmailg import _errors as err
from tempmailg.sandbox import Fault, Reply, Reset, Sandbox, Stall, Truncate
from tempmailg.transport import Request, Response, Transport

MANUAL = Path(tempmailg.__file__).parent / "README.md"
SAMPLES = Path(__file__).parent / "samples"
DOMAINS = (SAMPLES / "list_domains.json").read_bytes()
MAILBOX = (SAMPLES / "create_mailbox.json").read_bytes()
MEGABYTE = 2**20


class Happening(Enum):
    """What may happen to a request instead of an answer."""

    BROKEN = auto()  # the connection breaks before the answer
    SILENT = auto()  # no answer comes
    CUT = auto()  # half an answer comes


BROKEN, SILENT, CUT = Happening.BROKEN, Happening.SILENT, Happening.CUT
Step = Response | Happening


@frozen
class World:
    """A transport, and how many requests have reached the other side."""

    transport: Transport
    arrived: Callable[[], int]
    headers: dict[str, str]

    def request(self, method: str = "GET") -> Request:
        target = "/domains?type=free" if method == "GET" else "/emails"
        return Request(method, target, self.headers)

    async def ask(self, *, timeout: float = 5.0, max_bytes: int = MEGABYTE) -> Response:
        return await self.transport.request(self.request(), timeout=timeout, max_bytes=max_bytes)


def an_answer(body: bytes = DOMAINS, *, status: int = 200, **headers: str) -> Response:
    return Response(status, CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), body)


@asynccontextmanager
async def real(steps: list[Step]) -> AsyncGenerator[World]:
    async with FaultServer(*map(on_the_wire, steps)) as server:
        transport = AiohttpTransport(server.base_url)
        try:
            yield World(transport, lambda: len(server.requests), {"Authorization": "Bearer key"})
        finally:
            await transport.aclose()


def on_the_wire(step: Step) -> Answer:
    if isinstance(step, Response):
        return [reply(body=step.body, status=step.status, headers=list(cast("Any", step.headers).items()))]
    cut: Answer = [head(200, {"Content-Length": str(len(DOMAINS))}), DOMAINS[: len(DOMAINS) // 2], CLOSE]
    return {BROKEN: [RESET], SILENT: [STALL], CUT: cut}[step]


@asynccontextmanager
async def sandboxed(steps: list[Step]) -> AsyncGenerator[World]:
    sandbox = Sandbox()
    for step in steps:
        sandbox.faults.next(None, as_a_fault(step))
    scripted = len(steps)
    transport = sandbox.transport()
    headers = {"Authorization": f"Bearer {sandbox.api_key}"}
    yield World(transport, lambda: scripted - len(sandbox.faults), headers)


def as_a_fault(step: Step) -> Fault:
    if isinstance(step, Response):
        return Reply(step.status, step.body.decode(), dict(cast("Any", step.headers)))
    faults: dict[Happening, Fault] = {BROKEN: Reset(after=-1), SILENT: Stall(after=-1), CUT: Truncate()}
    return faults[step]


@asynccontextmanager
async def fake(steps: list[Step]) -> AsyncGenerator[World]:
    broken = err.APIConnectionError("broke", sent=True)
    cut = an_answer(DOMAINS[:9], Content_Length=str(len(DOMAINS)))
    values = {BROKEN: broken, SILENT: None, CUT: cut}
    transport = FakeTransport(*(step if isinstance(step, Response) else values[step] for step in steps))
    yield World(transport, lambda: len(transport.requests), {"Authorization": "Bearer key"})


def recorder_of_the_manual() -> Callable[[Transport], Any]:
    """Return the class `Recorder` as the manual shows it."""
    text = MANUAL.read_text(encoding="utf-8")
    section = text.partition("## A transport of your own")[2]
    program = section.partition("```python\n")[2].partition("```")[0]
    (recorder,) = [node for node in ast.parse(program).body if isinstance(node, ast.ClassDef)]
    assert recorder.end_lineno is not None
    assert recorder.end_lineno - recorder.lineno < 15
    names: dict[str, Any] = {}
    exec(compile(ast.Module([recorder], []), str(MANUAL), "exec"), names)
    return cast("Callable[[Transport], Any]", names["Recorder"])


def recorded(inner: Callable[[list[Step]], Any]) -> Callable[[list[Step]], Any]:
    @asynccontextmanager
    async def recording(steps: list[Step]) -> AsyncGenerator[World]:
        async with inner(steps) as world:
            yield World(recorder_of_the_manual()(world.transport), world.arrived, world.headers)

    return recording


WORLDS = {
    "real": real,
    "sandbox": sandboxed,
    "fake": fake,
    "recorder over the real": recorded(real),
    "recorder over the sandbox": recorded(sandboxed),
}


@pytest.fixture(params=WORLDS)
def opened(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return what opens each transport in turn, as an asynchronous context manager."""
    return lambda *steps: WORLDS[request.param](list(steps))


Opened = Callable[..., Any]


def test_the_fake_is_small() -> None:
    """Whoever writes a transport for tests needs less than fifty lines of code."""
    code = ast.unparse(ast.parse(inspect.getsource(fake_transport)))
    assert len([line for line in code.splitlines() if line]) < 50


async def test_one_request_is_one_attempt(opened: Opened) -> None:
    """What was asked for arrives once, and its answer is returned as it is: status, headers in any case, body."""
    async with opened(an_answer(X_Some="thing")) as world:
        answer = await world.ask()
        assert (answer.status, answer.body, world.arrived()) == (200, DOMAINS, 1)
        assert answer.headers.get("x-sOME") == answer.headers.get("X-Some") == "thing"
        assert answer.headers.getall("X-SOME", []) == ["thing"]
        assert answer.headers.get("X-None") is None
        assert answer.headers.getall("X-None", ["a default"]) == ["a default"]


@pytest.mark.parametrize("status", [404, 429, 503])
async def test_an_error_status_is_an_answer(opened: Opened, status: int) -> None:
    """A refusal is returned like a success, and not tried again."""
    async with opened(an_answer(b"{}", status=status)) as world:
        answer = await world.ask()
        assert (answer.status, answer.body, world.arrived()) == (status, b"{}", 1)


async def test_a_redirect_is_not_followed(opened: Opened) -> None:
    """A redirect is an answer, too; the key goes nowhere else."""
    async with opened(an_answer(b"", status=302, Location="/elsewhere"), an_answer()) as world:
        answer = await world.ask()
        assert (answer.status, answer.headers.get("location"), world.arrived()) == (302, "/elsewhere", 1)


async def test_an_answer_that_changes_the_protocol_is_closed() -> None:
    """What comes behind status 101 is nothing of ours: its connection is closed, and aiohttp warns of nothing."""
    asyncio.get_running_loop().set_debug(True)
    upgrade = {"Upgrade": "x", "Connection": "upgrade"}
    async with FaultServer([head(101, upgrade), STALL], [reply(body=DOMAINS)]) as server:
        transport = AiohttpTransport(server.base_url)
        answer = await World(transport, lambda: 0, {}).ask()
        gc.collect()  # what is never closed is found now
        assert (answer.status, answer.body) == (101, b"")
        assert (await World(transport, lambda: 0, {}).ask()).body == DOMAINS
        await transport.aclose()


async def test_no_cookie_is_kept(opened: Opened) -> None:
    """Two requests are two requests: what the first answer sets, the second does not send."""
    async with opened(an_answer(Set_Cookie="session=1"), an_answer()) as world:
        assert [(await world.ask()).status, (await world.ask()).status] == [200, 200]


@pytest.mark.parametrize(
    ("happening", "kind"),
    [
        (BROKEN, err.APIConnectionError),
        (SILENT, err.APITimeoutError),
        (CUT, err.IncompleteResponseError),
    ],
)
async def test_each_failure_is_raised_once_with_its_class(
    opened: Opened, happening: Happening, kind: type[err.TempMailError]
) -> None:
    """A fault is an error of this package that says whether the request may have arrived; nothing is sent again."""
    async with opened(happening) as world:
        with pytest.raises(err.TempMailError) as caught:
            await world.ask(timeout=1.0 if happening is SILENT else 30.0)
        assert type(caught.value) is kind
        assert getattr(caught.value, "sent", True) is True
        assert world.arrived() == 1


async def test_what_is_too_large_is_refused(opened: Opened) -> None:
    """A body of one byte more than allowed is no answer; one of exactly that size is."""
    async with opened(an_answer(), an_answer()) as world:
        assert (await world.ask(max_bytes=len(DOMAINS))).body == DOMAINS
        with pytest.raises(err.APIResponseError) as caught:
            await world.ask(max_bytes=len(DOMAINS) - 1)
        assert type(caught.value) is err.APIResponseError


@pytest.mark.parametrize("timeout", [0.0, -1.0])
async def test_a_deadline_that_has_passed_ends_the_request_at_once(opened: Opened, timeout: float) -> None:
    """With no time left the error is a time-out, and the transport stays usable."""
    async with opened(an_answer(), an_answer()) as world:
        with pytest.raises(err.APITimeoutError):
            await world.ask(timeout=timeout)
        with pytest.raises(err.APITimeoutError):
            await world.transport.stream(world.request(), timeout=timeout)
        assert world.arrived() == 0
        assert (await world.ask()).status == 200


async def test_a_cancellation_is_passed_on(opened: Opened) -> None:
    """A cancelled request raises nothing else, and the next one gets its own answer."""
    async with opened(SILENT, an_answer()) as world:
        task = asyncio.create_task(world.ask(timeout=60.0))
        while not world.arrived():  # noqa: ASYNC110 - the loop turns until it is there
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await world.ask()).body == DOMAINS


async def test_many_requests_at_once_get_an_answer_each(opened: Opened) -> None:
    """Requests do not disturb each other."""
    async with opened(*[an_answer()] * 20) as world:
        answers = await asyncio.gather(*(world.ask() for _ in range(20)))
        assert {answer.body for answer in answers} == {DOMAINS}
        assert world.arrived() == 20


async def test_a_stream_is_read_to_its_end(opened: Opened) -> None:
    """A body comes in pieces that are never empty, then empty ones for ever; closing twice does no harm."""
    async with opened(an_answer(X_Some="thing"), an_answer()) as world:
        stream = await world.transport.stream(world.request(), timeout=5.0)
        assert (stream.status, stream.headers.get("x-some")) == (200, "thing")
        body = b""
        while piece := await stream.read(5.0):
            body += piece
        assert (body, await stream.read(5.0)) == (DOMAINS, b"")
        stream.close()
        stream.close()
        assert (await world.ask()).body == DOMAINS


async def test_a_stream_that_is_given_up_spoils_nothing(opened: Opened) -> None:
    """After half of an answer was read, the next request still gets an answer of its own."""
    async with opened(an_answer(b"x" * MEGABYTE), an_answer()) as world:
        stream = await world.transport.stream(world.request(), timeout=5.0)
        await stream.read(5.0)
        stream.close()
        assert (await world.ask()).body == DOMAINS


async def test_a_stream_that_is_cut_says_so(opened: Opened) -> None:
    """A cut body ends in an error, not in an end that looks like one."""
    async with opened(CUT) as world:
        stream = await world.transport.stream(world.request(), timeout=5.0)
        with pytest.raises(err.IncompleteResponseError):
            while await stream.read(5.0):
                pass
        stream.close()


async def test_the_clock_is_one_clock(opened: Opened) -> None:
    """`sleep` ends when `now` has advanced by its seconds, in which the wall clock advances, too."""
    async with opened() as world:
        transport = world.transport
        before, wall = transport.now(), transport.utcnow()
        await transport.sleep(0.02)
        assert transport.now() - before >= 0.0199  # floating point
        assert transport.utcnow() - wall >= timedelta(seconds=0.015)
        assert wall.utcoffset() == timedelta(0)


async def test_chance_is_a_fraction_and_the_key_is_text_or_none(opened: Opened) -> None:
    """`random` is of [0, 1), and `api_key` says whether the transport brings a key."""
    async with opened() as world:
        assert all(0 <= world.transport.random() < 1 for _ in range(100))
        assert world.transport.api_key is None or isinstance(world.transport.api_key, str)


async def test_closing_twice_does_no_harm(opened: Opened) -> None:
    """`aclose` may be called more than once, used or not."""
    async with opened(an_answer()) as world:
        await world.ask()
        await world.transport.aclose()
        await world.transport.aclose()


async def test_the_client_retries_what_the_class_and_sent_allow(opened: Opened) -> None:
    """Over each transport a GET is sent again after a break, and a POST that may have arrived is not."""
    async with opened(BROKEN, an_answer(), BROKEN) as world:
        client = AsyncClient("key", transport=world.transport)
        assert (await client.list_domains()).domains
        assert world.arrived() == 2
        with pytest.raises(err.APIConnectionError, match="the mailbox may exist"):
            await client.create_mailbox()
        assert world.arrived() == 3
        await client.close()
