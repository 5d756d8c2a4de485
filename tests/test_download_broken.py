"""Downloads whose connection breaks go on where that is safe, start again where it is not, and end in time."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from multidict import CIMultiDict
from support.checks import impatient
from support.downloads import BODY, ETAG, PAIR, attachment, files_in, serving, whole
from support.fault_server import CLOSE, RESET, Drip, head, reply

from tempmailg import (
    APIConnectionError,
    APIResponseError,
    APITimeoutError,
    AsyncClient,
    NotFoundError,
    QuotaExceededError,
    ServerError,
    _download,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from support.fault_server import FaultServer

    from tempmailg.transport import Request

HALF = 3_000_000
REPORT_GAP = _download.REPORT_GAP
SIZE = len(BODY)


class Arrived:
    """How many bytes the client has, so that a server can break off behind them."""

    done = 0

    def record(self, done: int, _total: int | None) -> None:
        self.done = done

    def all_of(self, size: int) -> Callable[[], bool]:
        return lambda: self.done >= size


ARRIVED = Arrived()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no retry, and let every byte be reported."""
    impatient(monkeypatch)
    monkeypatch.setattr(_download, "REPORT_GAP", 0.0)
    monkeypatch.setattr(ARRIVED, "done", 0)


async def fetch(client: AsyncClient, to: Path) -> Path:
    """Download the file of these tests."""
    return await client.download_attachment(PAIR, to, progress=ARRIVED.record)


def begun(etag: str | None = ETAG, *, end: Any = RESET, sent: int = HALF) -> list[Any]:
    """Return an answer that breaks off."""
    headers = {"Content-Length": str(SIZE), **({} if etag is None else {"ETag": etag})}
    return [head(headers=headers), BODY[:sent], ARRIVED.all_of(sent), end]


def rest(start: int = HALF, *, until: int = SIZE, **headers: str) -> list[Any]:
    """Return the answer to a request for the rest."""
    declared = {"Content-Range": f"bytes {start}-{until - 1}/{SIZE}", "ETag": ETAG}
    declared.update({name.replace("_", "-"): value for name, value in headers.items()})
    return [
        reply(status=206, headers={name: value for name, value in declared.items() if value}, body=BODY[start:until])
    ]


def asked(server: FaultServer) -> list[tuple[str | None, str | None]]:
    """Return what each request asked for, and on which condition."""
    return [(request.header("Range"), request.header("If-Range")) for request in server.requests]


FROM_HALF = (f"bytes={HALF}-", ETAG)
ALL = (None, None)


@pytest.mark.parametrize("end", [RESET, CLOSE], ids=["reset", "closed"])
async def test_a_broken_download_goes_on_where_it_was(tmp_path: Path, end: object) -> None:
    """With a strong ETag only the missing rest is fetched, on the condition that the file is still the same."""
    async with serving(begun(end=end), rest()) as (client, server):
        await fetch(client, tmp_path)
    assert asked(server) == [ALL, FROM_HALF]
    assert files_in(tmp_path) == {"file.txt": BODY}


async def test_a_download_that_breaks_again_goes_on_again(tmp_path: Path) -> None:
    """Each request asks for what is then missing, counted over all of them."""
    again = [
        head(206, {"Content-Range": f"bytes {HALF}-{SIZE - 1}/{SIZE}", "ETag": ETAG}),
        BODY[HALF:-5],
        ARRIVED.all_of(SIZE - 5),
        RESET,
    ]
    async with serving(begun(), again, rest(SIZE - 5)) as (client, server):
        await fetch(client, tmp_path)
    assert asked(server) == [ALL, FROM_HALF, (f"bytes={SIZE - 5}-", ETAG)]
    assert files_in(tmp_path) == {"file.txt": BODY}


async def test_a_rest_without_a_length_must_be_complete(tmp_path: Path) -> None:
    """The Content-Range says how long the rest is, should the answer's end prove nothing."""
    cut = [
        head(206, {"Content-Range": f"bytes {HALF}-{SIZE - 1}/{SIZE}", "ETag": ETAG}),
        BODY[HALF:-5],
        ARRIVED.all_of(SIZE - 5),
        CLOSE,
    ]
    async with serving(begun(), cut, max_retries=1) as (client, _):
        with pytest.raises(APIResponseError, match="cut"):
            await fetch(client, tmp_path)
    assert files_in(tmp_path) == {}


async def test_a_rest_may_tell_the_length_that_the_beginning_did_not(tmp_path: Path) -> None:
    """A file of unknown length can go on, too, and is compared with the length that the rest declares."""
    chunked = {"Transfer-Encoding": "chunked", "ETag": ETAG}
    beginning = [head(headers=chunked), b"%x\r\n%s\r\n" % (HALF, BODY[:HALF]), ARRIVED.all_of(HALF), RESET]
    async with serving(beginning, rest()) as (client, server):
        await fetch(client, tmp_path)
    assert asked(server) == [ALL, FROM_HALF]
    assert files_in(tmp_path) == {"file.txt": BODY}


@pytest.mark.parametrize(
    "etag",
    [None, 'W/"weak"', "bare", '"half', '"a" "b"', '"über"'],
    ids=["none", "weak", "bare", "half", "two", "foreign"],
)
async def test_without_a_strong_etag_the_download_starts_again(tmp_path: Path, etag: str | None) -> None:
    """Bytes of two versions of a file are never joined: without proof that it is the same, all is fetched."""
    async with serving(begun(etag), whole()) as (client, server):
        await fetch(client, tmp_path)
    assert asked(server) == [ALL, ALL]
    assert files_in(tmp_path) == {"file.txt": BODY}


@pytest.mark.parametrize("new", [b"", b"another version", BODY[::-1]], ids=["empty", "shorter", "as long"])
async def test_a_whole_file_instead_of_the_rest_is_never_appended(tmp_path: Path, new: bytes) -> None:
    """A file that changed meanwhile, or a service that knows no ranges, answers 200: then that body is the file."""
    async with serving(begun(), whole(new, ETag='"the-second-version"')) as (client, server):
        await fetch(client, tmp_path)
    assert asked(server) == [ALL, FROM_HALF]
    assert files_in(tmp_path) == {"file.txt": new}


async def test_the_second_version_goes_on_under_its_own_etag(tmp_path: Path) -> None:
    """After a changed file has begun, its rest is asked for by its own ETag."""
    new = BODY[::-1]
    second = [head(headers={"Content-Length": str(SIZE), "ETag": '"2"'}), new[:-100], ARRIVED.all_of(SIZE - 100), RESET]
    third = [
        reply(status=206, headers={"Content-Range": f"bytes {SIZE - 100}-{SIZE - 1}/{SIZE}"}, body=new[-100:]),
    ]
    async with serving(begun(), second, third) as (client, server):
        await fetch(client, tmp_path)
    assert asked(server) == [ALL, FROM_HALF, (f"bytes={SIZE - 100}-", '"2"')]
    assert files_in(tmp_path) == {"file.txt": new}


WRONG_RESTS: dict[str, list[Any]] = {
    "starts earlier": rest(HALF - 1),
    "starts later": rest(HALF + 1),
    "starts at the beginning": rest(0),
    "ends earlier": rest(until=SIZE - 1),
    "of a longer file": rest(Content_Range=f"bytes {HALF}-{SIZE}/{SIZE + 1}"),
    "of a file of unknown length": rest(Content_Range=f"bytes {HALF}-{SIZE - 1}/*"),
    "without a range": rest(Content_Range=""),
    "in another unit": rest(Content_Range=f"items {HALF}-{SIZE - 1}/{SIZE}"),
    "with an endless number": rest(Content_Range=f"bytes {HALF}-{SIZE - 1}/{'9' * 5_000}"),
    "in several parts": rest(Content_Range="", Content_Type="multipart/byteranges; boundary=x"),
    "of another version": rest(ETag='"the-second-version"'),
    "of a length that does not fit": [
        reply(status=206, headers={"Content-Range": f"bytes {HALF}-{SIZE - 1}/{SIZE}"}, body=BODY[HALF:-1])
    ],
    "refused: range": [reply({"status": False, "message": "no"}, status=416)],
    "refused: condition": [reply({"status": False, "message": "no"}, status=412)],
}


@pytest.mark.parametrize("wrong", WRONG_RESTS.values(), ids=WRONG_RESTS)
async def test_a_rest_that_does_not_fit_starts_the_download_again(tmp_path: Path, wrong: list[Any]) -> None:
    """Anything but exactly the missing bytes is thrown away, and all is fetched by a plain request."""
    async with serving(begun(), wrong, whole()) as (client, server):
        await fetch(client, tmp_path)
    assert asked(server) == [ALL, FROM_HALF, ALL]
    assert files_in(tmp_path) == {"file.txt": BODY}


async def test_a_compressed_rest_does_not_fit(tmp_path: Path) -> None:
    """Bytes that were compressed on their way are no bytes of the file."""
    import gzip

    coded = reply(
        status=206,
        headers={"Content-Range": f"bytes {HALF}-{SIZE - 1}/{SIZE}", "Content-Encoding": "gzip"},
        body=gzip.compress(BODY[HALF:]),
    )
    async with serving(begun(), [coded], whole()) as (client, server):
        await fetch(client, tmp_path)
    assert asked(server) == [ALL, FROM_HALF, ALL]
    assert files_in(tmp_path) == {"file.txt": BODY}


async def test_a_compressed_beginning_is_not_continued(tmp_path: Path) -> None:
    """The tag of a compressed answer, and any range of it, are those of the compressed bytes."""
    import gzip

    packed = gzip.compress(BODY)
    answer = head(headers={"Content-Length": str(len(packed)), "ETag": ETAG, "Content-Encoding": "gzip"})
    begun_packed = [answer, packed[:HALF], lambda: ARRIVED.done > 0, RESET]
    async with serving(begun_packed, whole()) as (client, server):
        await client.download_attachment(attachment(size=SIZE), tmp_path, progress=ARRIVED.record)
    assert asked(server) == [ALL, ALL]
    assert files_in(tmp_path) == {"file.txt": BODY}


async def test_an_error_between_two_parts_keeps_the_beginning(tmp_path: Path) -> None:
    """A service that stumbles when asked for the rest is asked for the rest again."""
    async with serving(begun(), [reply({}, status=502)], rest()) as (client, server):
        await fetch(client, tmp_path)
    assert asked(server) == [ALL, FROM_HALF, FROM_HALF]
    assert files_in(tmp_path) == {"file.txt": BODY}


@pytest.mark.parametrize("first", [begun(sent=0), [RESET]], ids=["no byte of the body", "no answer"])
async def test_a_download_without_a_first_byte_is_simply_repeated(tmp_path: Path, first: list[Any]) -> None:
    """Where there is nothing to go on from, the request is the plain one."""
    async with serving(first, whole()) as (client, server):
        await fetch(client, tmp_path)
    assert asked(server) == [ALL, ALL]
    assert files_in(tmp_path) == {"file.txt": BODY}


async def test_a_file_that_goes_away_meanwhile_leaves_nothing(tmp_path: Path) -> None:
    """Half a file is no file."""
    async with serving(begun(), [reply({"status": False, "message": "gone"}, status=404)]) as (client, _):
        with pytest.raises(NotFoundError):
            await fetch(client, tmp_path)
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_all_failures_of_a_download_count_together(tmp_path: Path, retries: int) -> None:
    """A download sends one request and at most `max_retries` more, whether headers or bodies fail."""
    answers = [begun(sent=1_000), [reply({}, status=502)], begun(sent=2_000)]
    async with serving(*answers, max_retries=retries) as (client, server):
        with pytest.raises((APIConnectionError, APIResponseError, ServerError)) as caught:
            await fetch(client, tmp_path)
    assert len(server.requests) == caught.value.attempts == retries + 1
    assert caught.value.call == "stream_attachment"
    assert files_in(tmp_path) == {}


async def test_every_request_of_a_download_counts_in_a_budget(tmp_path: Path) -> None:
    """What goes on spends from `client.budget` like what begins."""
    async with serving(begun(), rest()) as (client, server):
        with client.budget(1), pytest.raises(QuotaExceededError, match="budget"):
            await fetch(client, tmp_path)
    assert len(server.requests) == 1
    assert files_in(tmp_path) == {}


async def test_progress_falls_back_when_a_download_starts_again(tmp_path: Path) -> None:
    """The report says what is there, even if that is less than before."""
    reports: list[int] = []

    def record(done: int, total: int | None) -> None:
        reports.append(done)
        ARRIVED.record(done, total)

    async with serving(begun(None), whole(b"short")) as (client, _):
        await client.download_attachment(PAIR, tmp_path, progress=record)
    assert max(reports) == HALF
    assert reports[-1] == 5


async def test_a_real_drip_is_a_time_out(tmp_path: Path) -> None:
    """A body that is slower than the minimum speed ends the attempt, over a real connection too."""
    drip = [head(headers={"Content-Length": "1000"}), Drip(b"x" * 1_000, size=1, seconds=0.01)]
    async with serving(drip, max_retries=0) as (client, _):
        with pytest.raises(APITimeoutError, match="fewer than 1024 bytes a second") as caught:
            await client.download_attachment(PAIR, tmp_path, speed_window=0.1)
    assert caught.value.sent
    assert files_in(tmp_path) == {}


# ------------------------------------------------------------------------------------------------- in virtual time


class SlowTransport:
    """Answers with bodies that take their time, each a sequence of (seconds, bytes); None stands for a broken end."""

    api_key: None = None

    def __init__(self, *bodies: Sequence[tuple[float, bytes | None]], headers: dict[str, str] | None = None) -> None:
        self.bodies = list(bodies)
        self.headers = CIMultiDict(headers or {})
        self.time = 0.0
        self.asked: list[Request] = []
        self.timeouts: list[float] = []

    async def stream(self, request: Request, *, timeout: float) -> SlowStream:
        self.asked.append(request)
        self.timeouts.append(timeout)
        return SlowStream(self, self.bodies.pop(0))

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def now(self) -> float:
        return self.time

    def utcnow(self) -> datetime:
        return datetime(2026, 6, 28, tzinfo=UTC)

    def random(self) -> float:
        return 1.0

    async def request(self, request: Request, *, timeout: float, max_bytes: int) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass


class SlowStream:
    """A body on the transport's clock."""

    status = 200

    def __init__(self, transport: SlowTransport, steps: Sequence[tuple[float, bytes | None]]) -> None:
        self.headers = transport.headers
        self._transport = transport
        self._steps = list(steps)

    async def read(self, timeout: float) -> bytes:
        seconds, data = self._steps.pop(0) if self._steps else (0.0, b"")
        self._transport.time += min(seconds, timeout)
        if seconds > timeout:
            raise APITimeoutError("nothing came", sent=True)
        if data is None:
            raise APIConnectionError("broken", sent=True)
        return data

    def close(self) -> None:
        pass


async def slow_download(tmp_path: Path, transport: SlowTransport, **options: Any) -> list[tuple[float, int]]:
    """Download and return when which number of bytes was reported."""
    reports: list[tuple[float, int]] = []

    def report(done: int, _total: int | None) -> None:
        reports.append((transport.time, done))

    client = AsyncClient("key", transport=transport, timeout=options.pop("timeout", 5.0), max_retries=1)
    await client.download_attachment(attachment(), tmp_path, progress=report, **options)
    return reports


def drip(size: int, seconds: float, count: int) -> list[tuple[float, bytes | None]]:
    """Return a body of so many equal pieces."""
    return [(seconds, b"x" * size)] * count


async def test_a_download_has_no_total_limit(tmp_path: Path) -> None:
    """A body that is faster than the minimum speed may take hours, whatever the client's time-out."""
    transport = SlowTransport(drip(2_000, 1.0, 10_000))
    await slow_download(tmp_path, transport)
    assert transport.time == 10_000.0
    assert len(files_in(tmp_path)["file.txt"]) == 20_000_000


@pytest.mark.parametrize(
    ("body", "options", "ended"),
    [
        ([*drip(2_000, 1.0, 100), (3_600.0, b"x")], {}, 120.0),
        (drip(1_000, 1.0, 1_000), {}, 30.0),
        (drip(1_000, 1.0, 1_000), {"speed_window": 7.0}, 7.0),
        ([*drip(100_000, 0.1, 50), *drip(1, 1.0, 1_000)], {"speed_window": 10.0}, 20.0),
        ([(3_600.0, b"x")], {"minimum_speed": 0.0}, 30.0),
    ],
    ids=["stalls", "slow from the start", "shorter window", "grows slow", "stalls without a minimum"],
)
async def test_a_body_below_the_minimum_speed_is_a_time_out(
    tmp_path: Path, body: list[tuple[float, bytes | None]], options: dict[str, float], ended: float
) -> None:
    """The speed counts over each window of waiting; the next attempt is measured afresh."""
    transport = SlowTransport(body, body)
    with pytest.raises(APITimeoutError):
        await slow_download(tmp_path, transport, **options)
    assert len(transport.asked) == 2
    assert transport.time == pytest.approx(2 * ended, abs=2.0)
    assert files_in(tmp_path) == {}


async def test_a_drip_is_allowed_without_a_minimum(tmp_path: Path) -> None:
    """A minimum speed of zero accepts any speed but a standstill."""
    await slow_download(tmp_path, SlowTransport(drip(1, 29.0, 100)), minimum_speed=0.0)
    assert len(files_in(tmp_path)["file.txt"]) == 100


async def test_a_break_after_an_hour_is_still_repaired(tmp_path: Path) -> None:
    """The client's time-out bounds how long an answer may take to come; the body's time does not count."""
    transport = SlowTransport([*drip(2_000, 1.0, 3_600), (0.0, None)], drip(2_000, 1.0, 10))
    await slow_download(tmp_path, transport, timeout=5.0)
    assert transport.timeouts == pytest.approx([5.0, 5.0], abs=0.1)
    assert len(files_in(tmp_path)["file.txt"]) == 20_000


async def test_pauses_of_the_consumer_do_not_count() -> None:
    """Whoever thinks for an hour between two chunks of a stream finds the next one waiting."""
    transport = SlowTransport(drip(10, 0.5, 100))
    client = AsyncClient("key", transport=transport)
    received = 0
    async with client.stream_attachment(PAIR, minimum_speed=10.0) as stream:
        async for chunk in stream:
            received += len(chunk)
            transport.time += 3_600.0
    assert received == 1_000


@pytest.mark.parametrize("seconds", [0.004, 0.03, 0.1, 2.0])
async def test_progress_comes_at_most_ten_times_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """However small the pieces, a bar is drawn ten times a second at most, and once at the end."""
    monkeypatch.setattr(_download, "REPORT_GAP", REPORT_GAP)
    reports = await slow_download(tmp_path, SlowTransport(drip(20_000, seconds, 500)))
    *early, last = reports
    assert min(later - sooner for (sooner, _), (later, _) in itertools.pairwise(early)) >= 0.1 - 1e-9
    assert len(early) >= min(499, 500 * seconds / 0.1 / 2)
    assert last[0] == pytest.approx(500 * seconds)
    assert last[1] == 10_000_000


async def test_progress_is_never_asked_for_more_than_needed(tmp_path: Path) -> None:
    """A file of one piece is reported when it is there and at the end."""
    assert [done for _, done in await slow_download(tmp_path, SlowTransport([(1.0, b"x")]))] == [1, 1]
