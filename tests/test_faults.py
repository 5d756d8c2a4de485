"""The fault matrix: one row a case, each injected on a real socket, each checked for what must always hold."""

from __future__ import annotations

import asyncio
import gzip
import importlib
import pkgutil
import re
import socket
import sys
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from aiohttp.http import HttpProcessingError
from aiohttp.streams import EofStream
from attrs import Factory, frozen
from support.checks import CANARY, trial
from support.fault_server import (
    CLOSE,
    RESET,
    STALL,
    Answer,
    Drip,
    Endless,
    FaultServer,
    Pause,
    Seen,
    closed_port,
    head,
    reply,
)

from tempmailg import AsyncClient, Attachment, Quota, _aiohttp
from tempmailg import _errors as err

Run = Callable[[AsyncClient], Awaitable[Any]]

BOX = "box@example.com"
SAMPLES = Path(__file__).parent / "samples"
MESSAGES = (SAMPLES / "list_messages.json").read_bytes()
MAILBOX = (SAMPLES / "create_mailbox.json").read_bytes()
DELETED = (SAMPLES / "delete_mailbox.json").read_bytes()
HTML = b"<!doctype html><title>Just a moment...</title>" + b"<p>Checking your browser" * 500


async def list_messages(client: AsyncClient) -> Any:
    return await client.list_messages(BOX)


async def create_mailbox(client: AsyncClient) -> Any:
    return await client.create_mailbox()


async def delete_mailbox(client: AsyncClient) -> Any:
    return await client.delete_mailbox(BOX)


async def stream(client: AsyncClient) -> bytes:
    async with client.stream_attachment(("id", "file.txt"), minimum_speed=1.0, speed_window=0.3) as attachment:
        return b"".join([chunk async for chunk in attachment])


FINE: Final[dict[Run, bytes]] = {
    list_messages: reply(body=MESSAGES),
    create_mailbox: reply(body=MAILBOX),
    delete_mailbox: reply(body=DELETED),
    stream: reply(body=b"whole"),
}


@frozen
class Row:
    """One case: what the server does, and what must come of it.

    Args:
        name: What is wrong.
        answers: What each request gets, the last one for ever.
        run: What the client is asked to do.
        requests: How many requests arrive.
        raises: The error's class, or None for a success.
        text: A part of the error's text.
        attributes: Attributes of the error.
        naps: The waits before retries, in seconds; None if they do not matter.
        deadline: The client's time-out, in seconds.
        greeting: What the server says when a connection opens.
    """

    name: str
    answers: list[Answer]
    run: Run
    requests: int
    raises: type[Exception] | None = None
    text: str = ""
    attributes: dict[str, Any] = Factory(dict[str, Any])
    naps: list[float] | None = None
    deadline: float = 10.0
    greeting: Answer = ()


def gets(name: str, answers: list[Answer], requests: int, *rest: Any, **more: Any) -> Row:
    return Row(name, answers, list_messages, requests, *rest, **more)


def posts(name: str, answers: list[Answer], requests: int, *rest: Any, **more: Any) -> Row:
    return Row(name, answers, create_mailbox, requests, *rest, **more)


def deletes(name: str, answers: list[Answer], requests: int, *rest: Any, **more: Any) -> Row:
    return Row(name, answers, delete_mailbox, requests, *rest, **more)


def streams(name: str, answers: list[Answer], requests: int, *rest: Any, **more: Any) -> Row:
    return Row(name, answers, stream, requests, *rest, **more)


def refusal(status: int, message: str = "no", *, headers: Any = ()) -> bytes:
    return reply({"status": False, "message": message}, status=status, headers=headers)


SENT, UNSENT = {"sent": True}, {"sent": False}
MAY_EXIST = "the mailbox may exist"
GZIP = gzip.compress(MESSAGES)
CUT_GZIP = GZIP[:-20]
BROTLI = b"\x0b\x00\x80{}\x03"  # {}
CHUNKED = [("Transfer-Encoding", "chunked")]
DATE = ("Date", "Sun, 28 Jun 2026 09:38:51 GMT")
THROTTLED = refusal(429)


def coded(body: bytes, coding: str) -> bytes:
    return reply(body=body, headers=[("Content-Encoding", coding)])


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def without_length(body: bytes) -> bytes:
    return head(200, [("Connection", "close")]) + body


CONNECTIONS = [
    gets("reset before the headers", [[RESET]], 3, err.APIConnectionError, "broke", SENT),
    gets("closed before the headers", [[CLOSE]], 3, err.APIConnectionError, "broke", SENT),
    gets("reset once, then fine", [[RESET], [FINE[list_messages]]], 2),
    gets("closed once, then fine", [[CLOSE], [FINE[list_messages]]], 2),
    posts("reset before the headers", [[RESET]], 1, err.APIConnectionError, MAY_EXIST, SENT),
    posts("closed before the headers", [[CLOSE]], 1, err.APIConnectionError, MAY_EXIST, SENT),
    deletes("reset once, then fine", [[RESET], [FINE[delete_mailbox]]], 2),
    deletes("reset once, then not found", [[RESET], [refusal(404)]], 2),
    deletes("throttled once, then not found", [[THROTTLED], [refusal(404)]], 2, err.NotFoundError),
    deletes("reset once, then not found by a proxy", [[RESET], [reply(status=404, body=HTML)]], 2, err.NotFoundError),
    deletes("not found at once", [[refusal(404)]], 1, err.NotFoundError),
    deletes("reset always", [[RESET]], 3, err.APIConnectionError, "broke", SENT),
    gets("reset within the headers", [[b"HTTP/1.1 200 OK\r\nContent-", RESET]], 3, err.APIConnectionError, "", SENT),
    gets("closed within the headers", [[b"HTTP/1.1 200 OK\r\nContent-", CLOSE]], 3, err.APIConnectionError, "", SENT),
    posts("closed within the headers", [[b"HTTP/1.1 200 OK\r\n", CLOSE]], 1, err.APIConnectionError, MAY_EXIST, SENT),
]

CUT_ANSWER = "it was cut off"
BODIES = [
    gets(
        "cut by length",
        [[head(200, [("Content-Length", "900")]), MESSAGES[:100], CLOSE]],
        3,
        err.IncompleteResponseError,
        CUT_ANSWER,
    ),
    gets(
        "cut by length, reset",
        [[head(200, [("Content-Length", "900")]), MESSAGES[:100], RESET]],
        3,
        err.IncompleteResponseError,
        CUT_ANSWER,
    ),
    gets(
        "cut by chunk", [[head(200, CHUNKED), chunk(MESSAGES[:99]), CLOSE]], 3, err.IncompleteResponseError, CUT_ANSWER
    ),
    gets(
        "cut within a chunk",
        [[head(200, CHUNKED), chunk(MESSAGES)[:99], CLOSE]],
        3,
        err.IncompleteResponseError,
        CUT_ANSWER,
    ),
    gets(
        "cut with neither", [[without_length(MESSAGES[:100]), CLOSE]], 2, err.UnreadableResponseError, "no valid JSON"
    ),
    gets(
        "cut inside gzip",
        [[coded(CUT_GZIP, "gzip")]],
        3,
        err.IncompleteResponseError,
        CUT_ANSWER,
    ),
    gets("cut inside gzip once, then whole", [[coded(CUT_GZIP, "gzip")], [FINE[list_messages]]], 2),
    gets(
        "without the trailer of gzip, and with neither length nor chunks",
        [[head(200, [("Connection", "close"), ("Content-Encoding", "gzip")]), GZIP[:-8], CLOSE]],
        3,
        err.IncompleteResponseError,
        CUT_ANSWER,
    ),
    posts("cut inside gzip", [[coded(gzip.compress(MAILBOX)[:-9], "gzip")]], 1, err.IncompleteResponseError, MAY_EXIST),
    *(
        gets(f"gzip {name}", [[coded(body, coding)]], 1)
        for name, body, coding in (
            ("with zeros behind it", GZIP + bytes(1_000), "gzip"),
            ("with junk behind it", GZIP + b"\r\n<!-- 0.2 s -->", "gzip"),
            ("by its old name", GZIP, "X-GZip"),
            ("of two members", gzip.compress(MESSAGES[:99]) + gzip.compress(MESSAGES[99:]), "gzip"),
            ("within deflate", zlib.compress(GZIP), "gzip, deflate"),
        )
    ),
    gets("gzip in slices of one byte", [[Drip(coded(GZIP + b"junk", "gzip"), seconds=0.0)]], 1),
    gets("deflate as it should be", [[coded(zlib.compress(MESSAGES), "deflate")]], 1),
    gets("deflate as it often is", [[coded(zlib.compress(MESSAGES, wbits=-15), "deflate")]], 1),
    gets(
        "deflate in two header lines",
        [[reply(body=zlib.compress(GZIP), headers=[("Content-Encoding", "gzip"), ("Content-Encoding", "deflate")])]],
        1,
    ),
    *(
        gets(
            f"the encoding {name}",
            [[coded(BROTLI, name)]],
            1,
            err.APIResponseError,
            f"encoding {name!r}",
        )
        for name in ("br", "zstd", "foo")
    ),
    gets(
        "an error in an encoding that was not asked for",
        [[reply(body=BROTLI, status=502, headers=[("Content-Encoding", "br")])]],
        3,
        err.ServerError,
        "encoding 'br', which was not asked for",
    ),
    streams(
        "in an encoding that was not asked for", [[coded(b"\x0b", "br")]], 1, err.APIResponseError, "the encoding 'br'"
    ),
    gets("cut once, then whole", [[without_length(MESSAGES[:100]), CLOSE], [FINE[list_messages]]], 2),
    gets("whole, with neither length nor chunks", [[without_length(MESSAGES), CLOSE]], 1),
    gets("whole, in slices of one byte", [[Drip(FINE[list_messages], seconds=0.0)]], 1),
    gets("whole, chunked, in slices", [[Drip(head(200, CHUNKED) + chunk(MESSAGES) + chunk(b""), 3, 0.0)]], 1),
    posts(
        "cut by length",
        [[head(200, [("Content-Length", "900")]), MAILBOX[:50], CLOSE]],
        1,
        err.IncompleteResponseError,
        MAY_EXIST,
    ),
    streams(
        "cut by length", [[head(200, [("Content-Length", "9")]), b"half", CLOSE]], 1, err.IncompleteResponseError, "cut"
    ),
    streams(
        "cut by length, reset",
        [[head(200, [("Content-Length", "9")]), b"half", RESET]],
        1,
        err.IncompleteResponseError,
        "cut",
    ),
    streams("cut by chunk", [[head(200, CHUNKED), chunk(b"half"), CLOSE]], 1, err.IncompleteResponseError, "cut"),
]

TOO_LATE = "no complete answer from"
TIME = [
    gets("stalls before the headers", [[STALL]], 1, err.APITimeoutError, TOO_LATE, SENT, deadline=0.3),
    gets(
        "stalls in the headers",
        [[b"HTTP/1.1 200 OK\r\nX-", STALL]],
        1,
        err.APITimeoutError,
        TOO_LATE,
        SENT,
        deadline=0.3,
    ),
    gets(
        "stalls in the body",
        [[head(200, [("Content-Length", "900")]), b"{", STALL]],
        1,
        err.APITimeoutError,
        TOO_LATE,
        SENT,
        deadline=0.3,
    ),
    gets(
        "drips its headers",
        [[Drip(FINE[list_messages], 1, 0.02)]],
        1,
        err.APITimeoutError,
        TOO_LATE,
        SENT,
        deadline=0.3,
    ),
    gets(
        "drips its body",
        [[head(200, [("Content-Length", "900")]), Drip(MESSAGES, 1, 0.02)]],
        1,
        err.APITimeoutError,
        TOO_LATE,
        SENT,
        deadline=0.3,
    ),
    gets("is late", [[Pause(0.1), FINE[list_messages]]], 1),
    posts("stalls before the headers", [[STALL]], 1, err.APITimeoutError, MAY_EXIST, SENT, deadline=0.3),
    gets(
        "drips interim answers",
        [[Endless(b"HTTP/1.1 102 Processing\r\n\r\n", 0.02)]],
        1,
        err.APITimeoutError,
        TOO_LATE,
        SENT,
        deadline=0.3,
    ),
    streams("stalls before the headers", [[STALL]], 1, err.APITimeoutError, TOO_LATE, SENT, deadline=0.3),
    streams("stalls in the body", [[head(200, [("Content-Length", "9")]), b"half", STALL]], 1, err.APITimeoutError),
    streams(
        "stalls in the body of an error",
        [[head(404, [("Content-Length", "9")]), b"half", STALL]],
        1,
        err.APITimeoutError,
        deadline=0.3,
    ),
]

MANY_HEADERS = [("X-Filler", "x" * 100)] * 5_000
DEEP = b'{"status": true, "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
DIGITS = b'{"status": true, "messages": [{"id": "a", "receivedAt": %s}]}' % (b"9" * 10_000)
BOMBS = [
    gets(
        "endless body",
        [[head(200, [("Connection", "close")]), Endless(b"x" * 65_536)]],
        1,
        err.APIResponseError,
        "larger than",
    ),
    gets(
        "endless chunks", [[head(200, CHUNKED), Endless(chunk(b"x" * 65_536))]], 1, err.APIResponseError, "larger than"
    ),
    gets(
        "endless chunk extension",
        [[head(200, CHUNKED), b"5;", Endless(b"x" * 9_999, 0.01)]],
        1,
        err.APITimeoutError,
        deadline=0.3,
    ),
    gets(
        "endless header",
        [[b"HTTP/1.1 200 OK\r\nX-Long: ", Endless(b"x" * 65_536)]],
        1,
        err.APIResponseError,
        "no valid HTTP",
    ),
    gets(
        "endless headers",
        [[b"HTTP/1.1 200 OK\r\n", Endless(b"X-Filler: x\r\n" * 100)]],
        1,
        err.APIResponseError,
        "no valid HTTP",
    ),
    gets(
        "endless trailers",
        [[head(200, CHUNKED), chunk(MESSAGES), b"0\r\n", Endless(b"X-Filler: x\r\n" * 100)]],
        1,
        err.APIResponseError,
    ),
    gets("endless status line", [[b"HTTP/1.1 200 ", Endless(b"O" * 65_536)]], 1, err.APIResponseError, "no valid HTTP"),
    gets("thousands of headers", [[head(200, MANY_HEADERS)]], 1, err.APIResponseError, "no valid HTTP"),
    gets(
        "ten terabytes announced",
        [[head(200, [("Content-Length", str(10**13))]), b"{", STALL]],
        1,
        err.APIResponseError,
        "larger than",
    ),
    gets(
        "gzip bomb",
        [[reply(body=gzip.compress(bytes(100_000_000), 1), headers=[("Content-Encoding", "gzip")])]],
        1,
        err.APIResponseError,
        "larger than",
    ),
    gets("JSON 100,000 deep", [[reply(body=DEEP)]], 1, err.APIResponseError),
    gets("a number of 10,000 digits", [[reply(body=DIGITS)]], 1, err.APIResponseError),
    gets(
        "error status with an endless body",
        [[head(502, CHUNKED), Endless(chunk(b"x" * 65_536))]],
        1,
        err.APIResponseError,
        "larger than",
    ),
    streams(
        "error status with an endless body", [[head(404, CHUNKED), Endless(chunk(b"x" * 65_536))]], 1, err.NotFoundError
    ),
]

STATUSES = [
    gets(str(status), [[refusal(status, "N\x1b[31mo\u202e.")]], 1, kind, "N [31mo .", {"status": status})
    for status, kind in [
        (400, err.BadRequestError),
        (401, err.AuthenticationError),
        (403, err.PermissionDeniedError),
        (404, err.NotFoundError),
        (409, err.ConflictError),
        (410, err.NotFoundError),
        (422, err.InvalidRequestError),
        (418, err.APIStatusError),
        (501, err.ServerError),
        (507, err.ServerError),
    ]
]
UNREAD = [
    *(gets(f"{status}, then fine", [[refusal(status)], [FINE[list_messages]]], 2) for status in (408, 425)),
    *(posts(f"{status}, then fine", [[refusal(status)], [FINE[create_mailbox]]], 2) for status in (408, 425)),
]
PASSING = [500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 530, 598, 599]
SERVER_ERRORS = [
    *(
        gets(f"{status}, always", [[refusal(status)]], 3, err.ServerError, "no", {"status": status})
        for status in PASSING
    ),
    *(posts(f"{status}, always", [[refusal(status)]], 1, err.ServerError, MAY_EXIST) for status in PASSING),
    *(deletes(f"{status}, then fine", [[refusal(status)], [FINE[delete_mailbox]]], 2) for status in PASSING),
    gets(
        "502 in HTML", [[reply(status=502, body=HTML)]], 3, err.ServerError, "a proxy in front of the service answered"
    ),
    posts(
        "503 with Retry-After, then fine",
        [[refusal(503, headers=[("Retry-After", "3")])], [FINE[create_mailbox]]],
        2,
        naps=[3.0],
    ),
    posts(
        "503 with Retry-After, always",
        [[refusal(503, headers=[("Retry-After", "0")])]],
        3,
        err.ServerError,
        naps=[0.0, 0.0],
    ),
    gets(
        "403 challenge page",
        [[reply(status=403, body=HTML)]],
        1,
        err.PermissionDeniedError,
        "a proxy in front of the service answered with an HTML page",
    ),
]


def throttled(*values: str, date: bool = False) -> bytes:
    headers = [("Retry-After", value) for value in values]
    return refusal(429, headers=[*headers, DATE] if date else headers)


QUOTA_GONE = [
    ("X-RateLimit-Limit", "5"),
    ("X-RateLimit-Remaining", "0"),
    ("X-RateLimit-Reset", "2026-05-01T00:00:00+05:00"),
]
THROTTLING = [
    gets("seconds that fit", [[throttled("4")], [FINE[list_messages]]], 2, naps=[4.0]),
    posts("seconds that fit", [[throttled("4")], [FINE[create_mailbox]]], 2, naps=[4.0]),
    gets("seconds that do not fit", [[throttled("11")]], 1, err.RateLimitError, "", {"retry_after": 11.0}, naps=[]),
    gets(
        "a date, our clock skewed",
        [[throttled("Sun, 28 Jun 2026 09:38:56 GMT", date=True)], [FINE[list_messages]]],
        2,
        naps=[5.0],
    ),
    gets(
        "a date that has passed",
        [[throttled("Sun, 28 Jun 2026 09:00:00 GMT", date=True)], [FINE[list_messages]]],
        2,
        naps=[0.0],
    ),
    gets(
        "a date that does not fit",
        [[throttled("Mon, 29 Jun 2026 09:38:51 GMT", date=True)]],
        1,
        err.RateLimitError,
        "",
        {"retry_after": 86_400.0},
        naps=[],
    ),
    gets(
        "a past date without Date", [[throttled("Sun, 28 Jun 2020 09:38:56 GMT")], [FINE[list_messages]]], 2, naps=[0.0]
    ),
    *(
        gets(
            f"Retry-After: {value[:20]}",
            [[throttled(value)]],
            3,
            err.RateLimitError,
            "",
            {"retry_after": None},
            naps=[0.0, 0.0],
        )
        for value in ("soon", "-5", "", "1e3", "0x10", "1.5", "5,5", "NaN", "inf", "Sun, 99 Foo 2026", "\xb2")
    ),
    gets("huge", [[throttled("9" * 400)]], 1, err.RateLimitError, naps=[]),
    gets("doubled", [[throttled("1", "9")]], 3, err.RateLimitError, "", {"retry_after": None}, naps=[0.0, 0.0]),
    gets("quota used up", [[refusal(429, headers=QUOTA_GONE)]], 1, err.QuotaExceededError, "used up until its reset"),
    posts(
        "quota used up, Retry-After",
        [[refusal(429, headers=[*QUOTA_GONE, ("Retry-After", "1")])]],
        1,
        err.QuotaExceededError,
    ),
]

CONTENTS = [
    gets("status false", [[reply({"status": False, "message": "Limit."})]], 1, err.RequestRejectedError, "Limit."),
    gets("HTML", [[reply(body=HTML)]], 2, err.UnreadableResponseError, "an HTML page instead of JSON"),
    gets("HTML once", [[reply(body=HTML)], [FINE[list_messages]]], 2),
    gets("empty", [[reply(body=b"")]], 2, err.UnreadableResponseError, "an empty body"),
    gets("no content", [[head(204)]], 2, err.UnreadableResponseError, "an empty body"),
    gets("invalid JSON", [[reply(body=b"{]")]], 2, err.UnreadableResponseError, "no valid JSON"),
    gets("invalid UTF-8", [[reply(body=b'{"a": "\xff"}')]], 2, err.UnreadableResponseError, "no valid JSON"),
    gets(
        "502, then invalid JSON", [[refusal(502)], [reply(body=b"{]")]], 2, err.UnreadableResponseError, "no valid JSON"
    ),
    posts("invalid JSON", [[reply(body=b"{]")]], 1, err.UnreadableResponseError, MAY_EXIST),
    posts("HTML", [[reply(body=HTML)]], 1, err.UnreadableResponseError, MAY_EXIST),
    gets(
        "wrong type",
        [[reply({"messages": "none"})]],
        1,
        err.APIResponseError,
        "messages: expected a list",
    ),
    gets("wrong envelope", [[reply([1])]], 1, err.APIResponseError, "expected an object, got a list"),
    gets("unknown fields", [[reply({"messages": [], "new": {"deep": [1]}})]], 1),
    deletes("no content", [[head(204)]], 1),
]

REDIRECTS = [
    *(
        gets(
            f"{status} to {place}",
            [[head(status, [("Location", place), ("Content-Length", "0")])]],
            1,
            err.APIResponseError,
            "a redirect",
        )
        for status in (301, 302, 303, 307, 308)
        for place in (
            "/api/messages",
            "http://127.0.0.1:9/",
            "https://evil.example/",
            "//evil.example/",
            "file:///etc/passwd",
        )
    ),
    gets("300", [[head(300, [("Location", "/"), ("Content-Length", "0")])]], 1, err.APIResponseError, "a redirect"),
    gets("304", [[head(304)]], 1, err.APIResponseError, "not modified"),
    posts(
        "307",
        [[head(307, [("Location", "/api/emails"), ("Content-Length", "0")])]],
        1,
        err.APIResponseError,
        "a redirect",
    ),
    streams(
        "302",
        [[head(302, [("Location", "//evil.example/"), ("Content-Length", "0")])]],
        1,
        err.APIResponseError,
        "a redirect",
    ),
    gets("Refresh", [[reply(body=MESSAGES, headers=[("Refresh", "0; url=http://127.0.0.1:9/")])]], 1),
]

NO_HTTP = "no valid HTTP"
FRAMING = [
    gets("HTTP/0.9", [[MESSAGES, CLOSE]], 1, err.APIResponseError, NO_HTTP),
    gets("another protocol", [[b"SSH-2.0-OpenSSH_9.6\r\n", CLOSE]], 1, err.APIResponseError, NO_HTTP),
    gets("binary garbage", [[bytes(range(256)) * 9, CLOSE]], 1, err.APIResponseError, NO_HTTP),
    gets("bad status", [[b"HTTP/1.1 abc OK\r\n\r\n", CLOSE]], 1, err.APIResponseError, NO_HTTP),
    gets("bad header line", [[b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", CLOSE]], 1, err.APIResponseError, NO_HTTP),
    gets("NUL in a header", [[b"HTTP/1.1 200 OK\r\nX-A: \0\r\n\r\n", CLOSE]], 1, err.APIResponseError, NO_HTTP),
    gets(
        "doubled Content-Length",
        [[head(200, [("Content-Length", "2"), ("Content-Length", "30")]), b"{}", STALL]],
        1,
        err.APIResponseError,
        NO_HTTP,
    ),
    gets(
        "Content-Length of minus one",
        [[head(200, [("Content-Length", "-1")]), b"{}", STALL]],
        1,
        err.APIResponseError,
        NO_HTTP,
    ),
    gets(
        "length and chunks",
        [[head(200, [("Content-Length", "2"), *CHUNKED]), chunk(MESSAGES), chunk(b""), STALL]],
        1,
        err.APIResponseError,
        NO_HTTP,
    ),
    gets(
        "unknown transfer coding",
        [[head(200, [("Transfer-Encoding", "zig, zag")]), b"{}", CLOSE]],
        1,
        err.APIResponseError,
    ),
    gets("bad chunk size", [[head(200, CHUNKED), b"zz\r\n{}\r\n", STALL]], 1, err.APIResponseError, NO_HTTP),
    gets(
        "bad gzip", [[reply(body=b"not gzip", headers=[("Content-Encoding", "gzip")])]], 3, err.IncompleteResponseError
    ),
    gets(
        "interim answers",
        [[b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n", FINE[list_messages]]],
        1,
    ),
    gets(
        "switching protocols",
        [[b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", STALL]],
        1,
        err.APIResponseError,
        deadline=0.5,
    ),
    gets("status 99", [[b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"]], 1, err.APIResponseError),
    gets("status 999", [[b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"]], 1, err.ServerError),
]

MATRIX = {
    "connection": CONNECTIONS,
    "body": BODIES,
    "time": TIME,
    "bomb": BOMBS,
    "status": STATUSES,
    "unread": UNREAD,
    "server": SERVER_ERRORS,
    "429": THROTTLING,
    "content": CONTENTS,
    "redirect": REDIRECTS,
    "framing": FRAMING,
}
CASES = [
    pytest.param(row, id=f"{room}: {row.run.__name__} {row.name}") for room, rows in MATRIX.items() for row in rows
]


@pytest.mark.parametrize("row", CASES)
async def test_the_matrix(row: Row, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each fault ends as its row says, with the expected number of requests, and leaks and leaves nothing."""
    server = FaultServer(*row.answers, greeting=row.greeting)
    outcome = await trial(row.run, server, monkeypatch, tmp_path, requests=row.requests, deadline=row.deadline)
    if row.raises is None:
        assert outcome.error is None, repr(outcome.error)
    else:
        assert type(outcome.error) is row.raises, repr(outcome.error)
        assert row.text in str(outcome.error)
        assert {name: getattr(outcome.error, name) for name in row.attributes} == row.attributes
        assert len(str(outcome.error)) < 1_000
    if row.naps is not None:
        assert outcome.naps == row.naps


# ------------------------------------------------------------------------------------- before there is a connection


@pytest.mark.parametrize("run", [list_messages, create_mailbox, delete_mailbox, stream])
async def test_a_refused_connection_is_tried_again_even_for_post(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody listens: nothing was sent, so even a POST is repeated, and the error says that it was never sent."""
    url = f"http://127.0.0.1:{closed_port()}/api"
    outcome = await trial(run, FaultServer(), monkeypatch, tmp_path, requests=0, base_url=url)
    assert type(outcome.error) is err.APIConnectionError
    assert (outcome.error.sent, outcome.error.attempts) == (False, 3)
    assert "cannot connect to" in str(outcome.error)
    assert MAY_EXIST not in str(outcome.error)


async def test_an_unknown_host_is_tried_again_and_never_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A name that does not resolve is a connection error that was never sent."""

    def unknown(*_args: object, **_more: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    url = "https://no-such-host.example/api"
    outcome = await trial(create_mailbox, FaultServer(), monkeypatch, tmp_path, requests=0, base_url=url)
    assert type(outcome.error) is err.APIConnectionError
    assert (outcome.error.sent, outcome.error.attempts) == (False, 3)
    assert "Name or service not known" in str(outcome.error)


@pytest.mark.parametrize("run", [list_messages, create_mailbox])
async def test_a_connection_that_takes_too_long_is_tried_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A connection has its own limit inside the deadline, so that a lost packet leaves time for another attempt."""
    monkeypatch.setattr(_aiohttp, "CONNECT_TIMEOUT", 0.1)
    server = FaultServer(greeting=[STALL])  # it accepts, and never begins to speak TLS

    async def over_tls(client: AsyncClient) -> Any:
        async with AsyncClient(CANARY, base_url=server.base_url.replace("http:", "https:")) as other:
            return await run(other)

    outcome = await trial(over_tls, server, monkeypatch, tmp_path, requests=0)
    assert type(outcome.error) is err.APITimeoutError
    assert (outcome.error.sent, outcome.error.attempts, server.connections) == (False, 3, 3)
    assert "connecting to" in str(outcome.error)


async def test_a_deadline_that_passes_while_connecting_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When the deadline is nearer than the limit of the connection, it counts, and nothing was sent."""
    server = FaultServer(greeting=[STALL])

    async def over_tls(client: AsyncClient) -> Any:
        async with AsyncClient(CANARY, base_url=server.base_url.replace("http:", "https:"), timeout=0.2) as other:
            return await other.create_mailbox()

    outcome = await trial(over_tls, server, monkeypatch, tmp_path, requests=0, deadline=0.2)
    assert type(outcome.error) is err.APITimeoutError
    assert outcome.error.sent is False
    assert "connecting to" in str(outcome.error)
    assert MAY_EXIST not in str(outcome.error)


# ------------------------------------------------------------------------------------------------- kept connections


def twice(run: Run, pause: float = 0.0) -> Run:
    async def both(client: AsyncClient) -> list[Any]:
        first = await run(client)
        await asyncio.sleep(pause)
        return [first, await run(client)]

    return both


@pytest.mark.parametrize("run", [list_messages, create_mailbox, delete_mailbox])
async def test_a_kept_connection_that_the_server_closed_is_not_used(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After a close that was noticed, the next request goes out once, on a new connection."""
    server = FaultServer([FINE[run], CLOSE])
    outcome = await trial(twice(run, 0.02), server, monkeypatch, tmp_path, requests=2)
    assert (outcome.error, server.connections) == (None, 2)


@pytest.mark.parametrize(("run", "requests"), [(list_messages, 3), (delete_mailbox, 3), (create_mailbox, 2)])
async def test_a_kept_connection_that_breaks_in_use_is_sent_again_only_where_it_is_safe(
    run: Run, requests: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A close that crosses the request on its way costs GET and DELETE one repeat, and a POST is never sent twice."""
    server = FaultServer([FINE[run]], [RESET], [FINE[run]])
    outcome = await trial(twice(run), server, monkeypatch, tmp_path, requests=requests)
    if run is create_mailbox:
        assert isinstance(outcome.error, err.APIConnectionError)
        assert outcome.error.sent
    else:
        assert outcome.error is None


EMPTY = reply({"status": True, "messages": []})
STALE = reply({"status": True, "messages": [{"id": "stale", "receivedAt": "2026-06-28 09:38:51"}]})


@pytest.mark.parametrize(
    "answer",
    [
        [EMPTY + STALE],
        [EMPTY, Pause(0.02), STALE],
        [EMPTY, Pause(0.02), refusal(408), CLOSE],
        [EMPTY, Pause(0.02), b"?"],
    ],
    ids=["second answer", "late second answer", "408 before closing", "late garbage"],
)
async def test_what_a_server_sends_unasked_answers_no_request(
    answer: Answer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A connection on which more came than was asked for is not used again, so no call gets another call's answer."""
    server = FaultServer(answer, [EMPTY])
    outcome = await trial(twice(list_messages, 0.06), server, monkeypatch, tmp_path, requests=2)
    assert outcome.value == [[], []]
    assert server.connections == 2


async def test_a_good_connection_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Complete answers, and answers that are errors, leave the connection usable."""
    server = FaultServer([refusal(404)], [FINE[list_messages]])

    async def both(client: AsyncClient) -> Any:
        with pytest.raises(err.NotFoundError):
            await list_messages(client)
        return await list_messages(client)

    outcome = await trial(both, server, monkeypatch, tmp_path, requests=2)
    assert (outcome.error, server.connections) == (None, 1)


async def test_a_server_that_speaks_first_gets_no_endless_stream_of_connections(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another protocol's greeting is an unusable answer after one request."""
    server = FaultServer([STALL], greeting=[b"220 mail.example ESMTP\r\n"])
    outcome = await trial(list_messages, server, monkeypatch, tmp_path, requests=1, deadline=1.0)
    assert type(outcome.error) is err.APIResponseError


async def test_cookies_are_never_sent_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a server sets, even what no cookie can be, is neither kept nor logged."""
    cookies = [("Set-Cookie", "session=1; Path=/"), ("Set-Cookie", f"{CANARY}=1"), ("Set-Cookie", "\x80=(;")]
    server = FaultServer([reply(body=MESSAGES, headers=cookies)])
    await trial(twice(list_messages), server, monkeypatch, tmp_path, requests=2)
    assert [request.header("Cookie") for request in server.requests] == [None, None]


# ------------------------------------------------------------------------------------------------------------ quota

DECLARED = {"X-RateLimit-Limit": "50", "X-RateLimit-Used": "8", "X-RateLimit-Remaining": "42"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-RateLimit-Limit": "50"},
        {**DECLARED, "X-RateLimit-Remaining": "many"},
        {**DECLARED, "X-RateLimit-Limit": ""},
        {**DECLARED, "X-RateLimit-Used": "9" * 400},
        {**DECLARED, "X-RateLimit-Reset": "tomorrow"},
        {**DECLARED, "X-RateLimit-Remaining": "4\xb2"},
        {**DECLARED, "X-RateLimit-Remaining": "1.5"},
    ],
    ids=["missing", "half", "text", "empty", "huge", "bad date", "superscript", "fraction"],
)
async def test_quota_headers_that_cannot_be_read_are_ignored(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever stands in the quota headers, the call succeeds and `client.quota` keeps the last good telling."""
    lower = {name.lower(): value for name, value in DECLARED.items()}
    server = FaultServer([reply(body=MESSAGES, headers=lower)], [reply(body=MESSAGES, headers=headers)])

    async def both(client: AsyncClient) -> Any:
        await list_messages(client)
        first = client.quota
        await list_messages(client)
        return first, client.quota

    outcome = await trial(both, server, monkeypatch, tmp_path, requests=2)
    first, kept = outcome.value
    assert first == kept == Quota(limit=50, used=8, remaining=42)


# ------------------------------------------------------------------------------------------------- closed under way


async def test_closing_the_client_ends_the_calls_under_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A call whose client is closed says so instead of reporting a network fault or trying again."""
    server = FaultServer([STALL])

    async def close_meanwhile(client: AsyncClient) -> Any:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(raised_by(run(client))) for run in (list_messages, create_mailbox)]
            while len(server.requests) < 2:  # noqa: ASYNC110 - the server is simple on purpose
                await asyncio.sleep(0)  # the loop turns until they have arrived
            await client.close()
        return [call.result() for call in calls]

    outcome = await trial(close_meanwhile, server, monkeypatch, tmp_path, requests=2)
    assert [type(error) for error in outcome.value] == [err.ClientClosedError] * 2
    assert [MAY_EXIST in str(error) for error in outcome.value] == [False, True]


async def test_closing_the_client_ends_the_calls_that_wait_for_a_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A call in the pool's queue is not cancelled by somebody else's `close()`: it raises."""
    server = FaultServer([STALL])

    async def close_meanwhile(client: AsyncClient) -> Any:
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(raised_by(list_messages(client))) for _ in range(101)]
            while len(server.requests) < 100:  # noqa: ASYNC110 - the server is simple on purpose
                await asyncio.sleep(0)  # the loop turns until they have arrived
            await client.close()
        return {type(call.result()) for call in calls}

    outcome = await trial(close_meanwhile, server, monkeypatch, tmp_path, requests=100)
    assert outcome.value == {err.ClientClosedError}


async def test_closing_the_client_ends_a_stream(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A download whose client is closed ends with an error of ours."""
    server = FaultServer([head(200, [("Content-Length", "9")]), b"half", STALL])

    async def close_meanwhile(client: AsyncClient) -> Any:
        async with client.stream_attachment(("id", "file.txt")) as attachment:
            await anext(attachment)
            await client.close()
            await anext(attachment)

    outcome = await trial(close_meanwhile, server, monkeypatch, tmp_path, requests=1)
    assert isinstance(outcome.error, err.TempMailError)


async def raised_by(call: Awaitable[Any]) -> BaseException | None:
    try:
        await call
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the test judges it
        return error
    return None


async def test_a_closed_session_from_outside_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When the given session is closed before or between two calls, the error says which session, and what to do."""
    server = FaultServer([FINE[list_messages]])
    session = aiohttp.ClientSession()

    async def both(client: AsyncClient) -> Any:
        async with AsyncClient(CANARY, base_url=server.base_url, session=session) as other:
            await list_messages(other)
            await session.close()
            await list_messages(other)

    outcome = await trial(both, server, monkeypatch, tmp_path, requests=1)
    assert type(outcome.error) is err.ClientClosedError
    assert "keep it open" in str(outcome.error)


# ----------------------------------------------------------------------------------------------------------- memory

MEMORY_BOMBS: dict[str, Answer] = {
    "gzip bomb": [reply(body=gzip.compress(bytes(200_000_000), 1), headers=[("Content-Encoding", "gzip")])],
    "gzip bomb in chunks": [
        head(200, [*CHUNKED, ("Content-Encoding", "gzip")]),
        chunk(gzip.compress(bytes(200_000_000), 1)),
        chunk(b""),
    ],
    "gzip bomb within gzip bomb": [
        reply(
            body=gzip.compress(gzip.compress(bytes(200_000_000), 1), 1),
            headers=[("Content-Encoding", "gzip, gzip")],
        )
    ],
    "gzip bomb of empty members": [
        reply(
            body=gzip.compress(gzip.compress(b"") * 1_000_000, 1),
            headers=[("Content-Encoding", "gzip, gzip")],
        )
    ],
    "deflate bomb as an error": [
        reply(status=500, body=zlib.compress(bytes(200_000_000), 1), headers=[("Content-Encoding", "deflate")])
    ],
    "endless body": [head(200, [("Connection", "close")]), Endless(b"x" * 65_536)],
    "endless header": [b"HTTP/1.1 200 OK\r\nX-Long: ", Endless(b"x" * 65_536)],
    "endless headers": [b"HTTP/1.1 200 OK\r\n", Endless(b"X-Filler: x\r\n" * 5_000)],
    "endless interim answers": [Endless(b"HTTP/1.1 102 Processing\r\n\r\n" * 1_000)],
    "endless chunk extension": [head(200, CHUNKED), b"5;", Endless(b"x" * 65_536)],
    "endless empty-ish chunks": [head(200, CHUNKED), Endless(chunk(b"x") * 5_000)],
    "ten terabytes": [head(200, [("Content-Length", str(10**13))]), Endless(b"x" * 65_536)],
    "JSON 100,000 deep": [reply(body=DEEP)],
    "a number of 10,000 digits": [reply(body=DIGITS)],
    "a number of a million digits": [reply(body=b'{"messages": %s}' % (b"9" * 1_000_000))],
}

# Runs in a process of its own, whose peak is not that of the tests before it. Each bomb comes once as a JSON answer and
# once as an attachment; the peak can only rise, so the last figure is the largest.
GROWTH = """
import asyncio, resource, sys
import tempmailg

async def main(url, bombs):
    async with tempmailg.AsyncClient("key", base_url=url, timeout=0.5, max_retries=0) as client:
        await client.with_options(timeout=30).list_messages("box@example.com")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for bomb in range(bombs):
            for read in (get_message, read_attachment):
                try:
                    await read(client, str(bomb))
                except tempmailg.TempMailError:
                    pass
                print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

async def get_message(client, bomb):
    await client.get_message(bomb)
    raise SystemExit("this was a good answer")

async def read_attachment(client, bomb):
    async with client.stream_attachment((bomb, "name"), minimum_speed=1e18, speed_window=0.5) as stream:
        async for _ in stream:
            pass

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kibibytes on Linux only")
async def test_no_answer_makes_the_memory_grow_beyond_bounds() -> None:
    """Whatever a server sends, the process that reads it grows by less than 32 MiB."""
    names = list(MEMORY_BOMBS)

    def route(seen: Seen) -> Answer:
        bomb = re.match(r"GET /api/messages/(\d+)", seen.line)
        return MEMORY_BOMBS[names[int(bomb[1])]] if bomb else [FINE[list_messages]]

    async with FaultServer(route=route) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", GROWTH, server.base_url, str(len(names))), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    growth = [int(figure) for figure in output.split()]
    after = dict(zip([f"{name}, {kind}" for name in names for kind in ("JSON", "attachment")], growth, strict=True))
    assert {name: size for name, size in after.items() if size >= 32 * 1024} == {}


# --------------------------------------------------------------------------------------- addresses from the answers


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1:{evil}/file.txt",
        "http://user@127.0.0.1:{evil}/file.txt",
        "//127.0.0.1:{evil}/file.txt",
        "http://127.0.0.1:{port}/elsewhere/file.txt",
        "https://127.0.0.1:{port}/api/messages/id/attachments/file.txt",
        "/elsewhere/file.txt",
        "../../elsewhere",
        "\\\\server\\share\\file.txt",
        "file:///etc/passwd",
        "",
    ],
)
async def test_the_url_of_an_attachment_is_never_followed(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The request for a file is built from the message's id and the file's name, wherever its `url` points."""
    async with FaultServer([reply(body=b"evil")]) as evil:
        server = FaultServer([reply(body=b"whole")])

        async def read_it(client: AsyncClient) -> bytes:
            url = place.format(evil=evil.port, port=server.port)
            attachment = Attachment(name="file.txt", url=url, message_id="id")
            async with client.stream_attachment(attachment) as opened:
                return b"".join([chunk async for chunk in opened])

        outcome = await trial(read_it, server, monkeypatch, tmp_path, requests=1)
        assert outcome.value == b"whole"
        assert server.requests[0].line == "GET /api/messages/id/attachments/file.txt HTTP/1.1"
        assert evil.connections == 0


# ------------------------------------------------------------------------------------------------ loops and clocks


async def test_a_client_in_another_loop_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In another thread's loop a client refuses clearly, and goes on working in its own."""
    server = FaultServer([FINE[list_messages]])

    async def elsewhere(client: AsyncClient) -> Any:
        await list_messages(client)
        error = await asyncio.to_thread(asyncio.run, raised_by(list_messages(client)))
        return error, await list_messages(client)

    outcome = await trial(elsewhere, server, monkeypatch, tmp_path, requests=2)
    error, _ = outcome.value
    assert type(error) is err.ConfigurationError
    assert "first used on another event loop" in str(error)


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0], ids=["a day ahead", "a day back"])
async def test_a_jump_of_the_local_clock_moves_no_deadline(
    jump: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Deadlines and waits run on a monotonic clock: setting the wall clock ends no call early and lets none hang."""
    true_time = time.time
    server = FaultServer([refusal(502)], [Pause(0.05), FINE[list_messages]], [STALL])

    async def through_a_jump(client: AsyncClient) -> Any:
        monkeypatch.setattr(time, "time", lambda: true_time() + jump)
        first = await list_messages(client)
        return first, await raised_by(list_messages(client))

    outcome = await trial(through_a_jump, server, monkeypatch, tmp_path, requests=3, deadline=0.5, calls=2)
    first, second = outcome.value
    assert first
    assert type(second) is err.APITimeoutError


# -------------------------------------------------------------------------------------------------------- left open

LEFT_OPEN = {
    "dropped while its loop runs": "asyncio.run(main(url))",
    "alive when its loop has ended": "client = asyncio.run(main(url))",
    "alive in a cycle": "client = asyncio.run(main(url)); cycle = [client]; cycle.append(cycle); del client, cycle",
    "dropped in another thread": """
async def elsewhere():
    client = [await main(url)]
    thread = threading.Thread(target=client.clear)
    thread.start()
    await asyncio.to_thread(thread.join)
    await asyncio.sleep(0.05)

asyncio.run(elsewhere())""",
}
LEAVE_OPEN = """
import asyncio, sys, threading
import tempmailg

async def main(url):
    client = tempmailg.AsyncClient("secret-key-of-the-user", base_url=url)
    await client.list_messages("box@example.com")
    return client

url = sys.argv[1]
"""


@pytest.mark.parametrize("how", LEFT_OPEN)
async def test_a_client_left_open_is_one_warning_and_a_prompt_exit(how: str) -> None:
    """Under `python -X dev -W error` a forgotten client is one ResourceWarning of ours, and nothing else happens."""
    async with FaultServer([FINE[list_messages]]) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-W", "error", "-c", LEAVE_OPEN + LEFT_OPEN[how], server.base_url),
            stderr=asyncio.subprocess.PIPE,
        )
        _, output = await process.communicate()
    shown = output.decode()
    assert process.returncode == 0, shown
    assert shown.count("ResourceWarning") == 1, shown
    assert "ResourceWarning: a client was not closed" in shown
    assert "secret-key" not in shown


# --------------------------------------------------------------------------------------------------- foreign errors

OTHERS = {
    "aiohttp._websocket": "no websocket is opened",
    "aiohttp.multipart": "no multipart body is read",
    "aiohttp.payload": "no request has a body",
    "aiohttp.web": "they are those of servers",
    "aiohttp.client_exceptions.WSMessageTypeError": "no websocket is opened",
}


def exceptions_of_aiohttp() -> list[type[BaseException]]:
    """Return every class of exception that the installed aiohttp defines, public or not."""
    found: set[type[BaseException]] = set()
    for module in pkgutil.walk_packages(aiohttp.__path__, "aiohttp."):
        if module.name in {"aiohttp.worker", "aiohttp.pytest_plugin"}:  # they want gunicorn, and pytest
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, BaseException) and value.__module__.startswith("aiohttp"):
                found.add(value)
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


@pytest.mark.parametrize("kind", exceptions_of_aiohttp(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_exception_of_aiohttp_has_a_meaning(kind: type[BaseException]) -> None:
    """Whatever aiohttp raises or stops to wrap becomes an error of ours; what a client never meets is named here."""
    name = f"{kind.__module__}.{kind.__name__}"
    if any(name.startswith(prefix) for prefix in OTHERS):
        return
    assert issubclass(kind, _aiohttp._FOREIGN_TYPES), "it would pass through the transport"
    assert any(issubclass(kind, meaning.foreign) for meaning in _aiohttp._FOREIGN), "it has no meaning"


def test_whatever_is_caught_has_a_meaning() -> None:
    """The types that the transport catches and the table of their meanings agree."""
    for kind in _aiohttp._FOREIGN_TYPES:
        assert any(issubclass(kind, meaning.foreign) for meaning in _aiohttp._FOREIGN)
    for meaning in _aiohttp._FOREIGN:
        assert issubclass(meaning.foreign, _aiohttp._FOREIGN_TYPES)


@pytest.mark.parametrize("stage", ["connecting", "waiting", "reading"])
@pytest.mark.parametrize(
    "error", [HttpProcessingError(message=CANARY), EofStream(CANARY)], ids=lambda e: type(e).__name__
)
def test_what_aiohttp_wraps_today_is_known_unwrapped(error: Exception, stage: Any) -> None:
    """An error of aiohttp's parser that reached the transport bare would be an unusable answer, without its text.

    Before there is a connection, the answer can only be a proxy's.
    """
    ours = _aiohttp._Attempt("https://mail.example", stage, is_safe=True, piece=1_024).translated(error)
    assert isinstance(ours, err.APIConnectionError if stage == "connecting" else err.APIResponseError)
    assert "canary" not in str(ours)
