"""Arbitrary arguments and arbitrary answers: a clear refusal or exactly one request; a value or an error of ours."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import pytest
from attrs import Factory, frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.fault_server import CLOSE, FaultServer, head, reply

from tempmailg import AsyncClient, TempMailError, _headers
from tempmailg import _body as body
from tempmailg import _endpoints as endpoints
from tempmailg import _errors as err
from tempmailg import _wire as wire
from tempmailg.transport import Response

SAMPLES = Path(__file__).parent / "samples"
KEY = "fuzz-key"

Run = Callable[[AsyncClient], Awaitable[object]]

# -------------------------------------------------------------------------------------------------------- arguments

# Text that means something to a URL, a header, a path or a terminal, to be mixed with text that means nothing.
HOSTILE = st.sampled_from(
    (
        *("", ".", "..", "/", "//", "../..", "%2e%2e", "%2F", "%", "%zz", "?", "#", "&", "=", "+", ";", ":", "@", "\\"),
        *(" ", "\t", "\0", "\r\n", "\r\nX-Evil: 1\r\n\r\n", "\x1b[0m", "\u202e", "\ud800", "é", "e\u0301", "ß.example"),
        *("\u3002", "a@b.c", "*", "~", "{}", "http://evil.example/", "x" * 5_000),
    )
)
TEXT = st.lists(st.one_of(HOSTILE, st.text(max_size=8)), max_size=4).map("".join)
DOMAIN = st.one_of(TEXT, st.from_regex(r"[a-zé-]{1,9}(\.[a-z0-9é-]{1,9}){1,3}", fullmatch=True))
ADDRESS = st.one_of(TEXT, st.builds("{}@{}".format, TEXT, DOMAIN))


@frozen
class Case:
    """One call with arbitrary text in it, and what its request must mean."""

    run: Run
    method: str
    segments: list[str]
    query: list[tuple[str, str]] = Factory(list[tuple[str, str]])


def listing_domains(kind: Any) -> Case:
    return Case(lambda client: client.list_domains(kind), "GET", ["domains"], [("type", kind)])


def listing(address: str) -> Case:
    return Case(lambda client: client.list_messages(address), "GET", ["messages"], [("email", address)])


def deleting_mailbox(address: str) -> Case:
    return Case(lambda client: client.delete_mailbox(address), "DELETE", ["emails", address])


def getting(key: str) -> Case:
    return Case(lambda client: client.get_message(key), "GET", ["messages", key])


def deleting(key: str) -> Case:
    return Case(lambda client: client.delete_message(key), "DELETE", ["messages", key])


def streaming(key: str, name: str) -> Case:
    async def stream(client: AsyncClient) -> None:
        async with client.stream_attachment((key, name)):
            pass

    return Case(stream, "GET", ["messages", key, "attachments", name])


def updating(address: str, username: str, domain: str) -> Case:
    segments = ["emails", address, username, domain]
    return Case(lambda client: client.update_mailbox(address, username, domain), "POST", segments)


CASES = st.one_of(
    st.builds(listing_domains, TEXT),
    st.builds(listing, ADDRESS),
    st.builds(deleting_mailbox, ADDRESS),
    st.builds(getting, TEXT),
    st.builds(deleting, TEXT),
    st.builds(streaming, TEXT, TEXT),
    st.builds(updating, ADDRESS, TEXT, DOMAIN),
)


@contextmanager
def running(server: FaultServer) -> Generator[Callable[[Run], BaseException | None]]:
    """Yield a function that runs client code against a server and returns what it raised."""
    with asyncio.Runner() as runner:
        runner.run(server.__aenter__())
        client = AsyncClient(KEY, base_url=server.base_url, max_retries=0, timeout=5.0)

        async def raised(run: Run) -> BaseException | None:
            try:
                await run(client)
            except Exception as error:  # noqa: BLE001 - the property is about its class
                return error
            return None

        try:
            yield lambda run: runner.run(raised(run))
        finally:
            runner.run(client.close())
            runner.run(server.__aexit__())


HEADERS = {"Host", "Authorization", "Accept", "Accept-Encoding", "User-Agent", "Content-Length", "Content-Type"}


def test_any_text_in_any_argument_is_refused_or_arrives_as_it_was_given() -> None:
    """Either nothing is sent, or exactly one request, whose path decodes to the caller's own text and nothing else."""
    server = FaultServer([reply({"status": False, "message": "no"}, status=404)])
    with running(server) as run:

        @settings(max_examples=200)
        @given(CASES)
        def check(case: Case) -> None:
            requests, size = len(server.requests), len(server.raw)
            error = run(case.run)
            if isinstance(error, err.ConfigurationError):
                assert len(server.raw) == size
                return
            assert isinstance(error, err.NotFoundError), repr(error)
            (request,) = server.requests[requests:]
            assert_means(request.line, case)
            assert {name for name, _ in request.headers} <= HEADERS
            assert bytes(server.raw[size:]).count(b"\r\n\r\n") == 1

        check()
    assert len(server.requests) > 20, "the property must have been tried"


def assert_means(line: str, case: Case) -> None:
    """Check a request line against what the caller meant, with another decoder than the client's encoder."""
    method, target, version = line.split(" ")
    path, _, query = target.partition("?")
    empty, base, *segments = path.split("/")
    assert (method, version, empty, base) == (case.method, "HTTP/1.1", "", "api")
    assert [_decoded(segment) for segment in segments] == case.segments
    pairs = [pair.split("=") for pair in query.split("&")] if query else []
    assert [(_decoded(name), _decoded(value)) for name, value in pairs] == case.query
    assert "#" not in target
    assert not {".", "..", ""} & {*segments}


def _decoded(part: str) -> str:
    return unquote_to_bytes(part).decode()


NO_TEXT: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.integers(), st.binary(max_size=3), st.floats(), st.lists(TEXT, max_size=3), st.just(object())
)
ENDPOINTS: tuple[Callable[[Any], object], ...] = (
    endpoints.list_domains,
    endpoints.list_messages,
    endpoints.get_message,
    endpoints.delete_mailbox,
    endpoints.delete_message,
    endpoints.stream_attachment,
)


@given(NO_TEXT, st.sampled_from(ENDPOINTS))
def test_an_argument_of_another_type_is_refused(value: Any, endpoint: Callable[[Any], object]) -> None:
    """What is neither text nor a value of ours is a ConfigurationError, not a request and not a crash."""
    with pytest.raises(err.ConfigurationError):
        endpoint(value)


@given(NO_TEXT, NO_TEXT, NO_TEXT)
def test_arguments_of_other_types_are_refused(first: Any, second: Any, third: Any) -> None:
    """The same for the endpoint with three arguments."""
    with pytest.raises(err.ConfigurationError):
        endpoints.update_mailbox(first, second, third)


# ---------------------------------------------------------------------------------------------------------- answers

CALLS: list[endpoints.Call[Any]] = [
    endpoints.list_domains(),
    endpoints.create_mailbox(),
    endpoints.delete_mailbox("box@example.com"),
    endpoints.list_messages("box@example.com"),
    endpoints.get_message("id"),
]
NAMES = ["list_domains", "create_mailbox", "delete_mailbox", "list_messages", "get_message"]
STATUSES = st.one_of(
    st.just(200), st.sampled_from((204, 302, 400, 401, 403, 404, 422, 429, 500, 503)), st.integers(100, 999)
)
ODD: tuple[object, ...] = (
    *("", "0", "91", "false", "\0", "\ud800", 10**400, -(2**63) - 1),
    *("2026-06-28 09:38:51", "9999-12-31T23:59:59+23:59", "0001-01-01T00:00:00-23:59"),
)
SCALARS: st.SearchStrategy[object] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(ODD)
)


def containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=9), inner, max_size=4))


JSON = st.recursive(SCALARS, containers, max_leaves=12)


@pytest.fixture(params=["standard library", "orjson"])
def _decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run with both JSON decoders."""
    fast = pytest.importorskip("orjson").loads if request.param == "orjson" else body.plain_loads
    monkeypatch.setattr(body, "_fast_loads", fast)


def attempt(call: endpoints.Call[Any], response: Response) -> None:
    """Decode an answer; anything but a value or an error of ours fails the test."""
    for decode in (lambda: wire.decode(call, response), lambda: wire.decode_messages(response)):
        try:
            decode()
        except TempMailError as error:
            assert len(str(error)) < 5_000
            assert len(error.body) <= 2_000
            str(error).encode()  # it can be printed: no half characters
            error.body.encode()


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


def mutations(sample: Any) -> st.SearchStrategy[Any]:
    """Return a documented answer with one of its parts, however deep, replaced or removed."""
    places = list(_places(sample))

    def replaced(place: tuple[Any, ...], value: Any, *, remove: bool) -> Any:
        changed = copy.deepcopy(sample)
        inner = changed
        for step in place[:-1]:
            inner = inner[step]
        if remove:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
        return changed

    return st.builds(replaced, st.sampled_from(places), JSON, remove=st.booleans())


def _places(value: object, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items: Iterable[tuple[Any, object]] = ()
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
    elif isinstance(value, list):
        items = enumerate(cast("list[object]", value))
    for key, inner in items:
        yield (*above, key)
        yield from _places(inner, (*above, key))


@pytest.mark.usefixtures("_decoder")
@pytest.mark.parametrize("index", range(len(CALLS)), ids=NAMES)
def test_a_documented_answer_with_anything_wrong_in_it_is_a_value_or_an_error(index: int) -> None:
    """Any part of an answer may be missing or be anything else."""
    sample = json.loads((SAMPLES / f"{NAMES[index]}.json").read_bytes())

    @settings(max_examples=150)
    @given(mutations(sample), STATUSES)
    def check(payload: Any, status: int) -> None:
        attempt(CALLS[index], Response(status, CIMultiDict[str](), dumped(payload)))

    check()


@pytest.mark.usefixtures("_decoder")
def test_any_json_is_a_value_or_an_error() -> None:
    """JSON of any shape, in the envelope or instead of it."""

    @settings(max_examples=200)
    @given(
        JSON,
        st.sampled_from(["data", "messages", "message", "errors", "status", None]),
        STATUSES,
        st.sampled_from(CALLS),
    )
    def check(value: Any, place: str | None, status: int, call: endpoints.Call[Any]) -> None:
        payload = value if place is None else {"status": True, place: value}
        attempt(call, Response(status, CIMultiDict[str](), dumped(payload)))

    check()


def spoiled(whole: bytes, at: int, size: int, junk: bytes) -> bytes:
    """Return bytes with some of them replaced."""
    return whole[:at] + junk + whole[at + size :]


@pytest.mark.usefixtures("_decoder")
def test_any_bytes_are_a_value_or_an_error() -> None:
    """Bodies that are no JSON, or nearly."""
    good = st.sampled_from([path.read_bytes() for path in sorted(SAMPLES.glob("*.json"))])
    nearly = st.builds(spoiled, good, st.integers(0, 900), st.integers(0, 2), st.binary(max_size=2))

    @settings(max_examples=200)
    @given(st.one_of(st.binary(), nearly), STATUSES, st.sampled_from(CALLS))
    @example(b"[" * 100_000, 200, CALLS[0])
    @example(b'{"a":' * 100_000, 404, CALLS[0])
    @example(b'{"data": %s}' % (b"9" * 10_000), 200, CALLS[1])
    @example(b'{"message": %s}' % (b"9" * 10_000), 500, CALLS[1])
    @example(b'{"data": {"id": -1e999}}', 200, CALLS[1])
    @example(b'{"data": NaN}', 200, CALLS[1])
    @example(b"\xef\xbb\xbf{}", 200, CALLS[1])
    @example(b"\xff\xfe{\0}\0", 200, CALLS[1])
    @example(b'{"message": "\\ud800"}', 422, CALLS[1])
    @example(b'{"errors": {"\\ud800": ["\\udfff"]}}', 422, CALLS[1])
    @example(b'{"data": {"id": 1, "email": "\\ud800", "expire_at": "\\ud800"}}', 200, CALLS[1])
    def check(body: bytes, status: int, call: endpoints.Call[Any]) -> None:
        attempt(call, Response(status, CIMultiDict[str](), body))

    check()


HEADER_NAMES = st.sampled_from(
    (
        *("Retry-After", "Date", "Content-Type"),
        *("X-RateLimit-Limit", "X-RateLimit-Used", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
    )
)
ODD_HEADERS = st.sampled_from(
    (
        *("", "0", "-1", "1" * 5_000, "\xb2", "+5", " 7 ", "1_000", "(", "\0", "\udcff"),
        *("Sun, 28 Jun 2026 09:38:51 GMT", "Sun, 28 Jun", "28 Jun 99999 09:38:51", "Sun, 28 Jun 2026 99:99:99 +9999"),
        *("Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359"),
        *("2026-05-01T00:00:00+05:00", "9999-12-31T23:59:59-23:59"),
    )
)


@settings(max_examples=300)
@given(st.lists(st.tuples(HEADER_NAMES, st.one_of(st.text(max_size=40), ODD_HEADERS)), max_size=8))
def test_any_headers_are_read_or_ignored(pairs: list[tuple[str, str]]) -> None:
    """Whatever stands in the headers that the client reads, reading them never fails."""
    headers = CIMultiDict(pairs)
    _headers.quota_of(headers)
    _headers.server_time_of(headers)
    error = wire.status_error(Response(429, headers, b"{}"))
    assert isinstance(error, err.RateLimitError)
    assert error.retry_after is None or error.retry_after >= 0


# What HTTP is made of, and what is nearly HTTP.
PIECES = st.sampled_from(
    (
        *(b"\r\n", b"\n", b"\r", b"\0", b": ", b"{}", b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffffffffffffffffffff\r\n"),
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200\r\n", b"HTTP/1.1 100 \r\n\r\n", b"HTTP/2 200\r\n"),
        *(b"Content-Length: 5\r\n", b"Content-Length: 99999999999999999999\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n"),
        *(b"Content-Encoding: gzip\r\n", b"Content-Encoding: br\r\n", b"Content-Encoding: zstd\r\n"),
        *(b"Content-Encoding: deflate\r\n", b"Content-Type: text/html; charset=utf-99\r\n", b"Set-Cookie: \xff=;\r\n"),
        *(b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: websocket\r\n"),
    )
)
UPGRADE = head("HTTP/1.1 101 Switching Protocols", {"Upgrade": "x", "Connection": "upgrade"}) + b"x" * 99


def test_any_bytes_on_the_wire_are_a_value_or_an_error() -> None:
    """What comes instead of HTTP, or nearly HTTP, ends each call with a value or an error of ours, at once."""
    good = reply(body=(SAMPLES / "list_messages.json").read_bytes())
    lines = st.lists(st.one_of(st.binary(max_size=9), PIECES), max_size=12).map(b"".join)
    nearly = st.builds(spoiled, st.just(good), st.integers(0, len(good)), st.integers(0, 9), st.binary(max_size=4))
    server = FaultServer()
    with running(server) as run:

        @settings(max_examples=200)
        @given(
            st.one_of(lines, nearly, lines.map(b"HTTP/1.1 200 OK\r\n".__add__)), st.sampled_from((list_messages, read))
        )
        @example(UPGRADE, list_messages)
        @example(head("HTTP/1.1 204 No Content", {"Content-Length": "5"}) + b"hello", list_messages)
        @example(head(200, {"Content-Encoding": "gzip", "Content-Length": "0"}), list_messages)
        def check(answer: bytes, call: Run) -> None:
            server.answers = [(answer, CLOSE)]
            error = run(call)
            assert error is None or isinstance(error, TempMailError), repr(error)

        check()


async def list_messages(client: AsyncClient) -> Any:
    return await client.list_messages("box@example.com")


async def read(client: AsyncClient) -> Any:
    async with client.stream_attachment(("id", "name")) as attachment:
        return [chunk async for chunk in attachment]
