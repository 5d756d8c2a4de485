"""The key and the mailbox's token: sent where they belong, shown nowhere."""

from __future__ import annotations

import asyncio
import base64
import copy
import html
import json
import logging
import pickle
import time
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.checks import CANARY, Recorder, assert_hidden, everything_shown_by, listening, trial
from support.fault_server import RESET, STALL, Answer, Do, FaultServer, expire, head, reply
from support.virtual import VirtualTransport, listing, message

import tempmailg
from tempmailg import AsyncClient
from tempmailg import _endpoints as endpoints
from tempmailg import _errors as err
from tempmailg import _settings as settings
from tempmailg.transport import Request, Response

BOX = "box@example.com"
MAILBOX = json.loads((Path(__file__).parent / "samples" / "create_mailbox.json").read_bytes())
TOKEN = "t0ken-of-the-mailbox"

NOTATIONS = {
    "plain": CANARY,
    "URL": quote(CANARY, safe=""),
    "URL, lower case": quote(CANARY, safe="").replace("%2B", "%2b").replace("%3C", "%3c"),
    "URL with slashes": quote(CANARY),
    "HTML": html.escape(CANARY),
    "HTML, decimal": "".join(f"&#{ord(letter)};" for letter in CANARY),
    "HTML, hexadecimal": "".join(f"&#x{ord(letter):X};" for letter in CANARY),
    "JSON": json.dumps(CANARY)[1:-1],
    "PHP's JSON": json.dumps(CANARY)[1:-1].replace("/", "\\/"),
    "JSON, all escaped": "".join(f"\\u{ord(letter):04x}" for letter in CANARY),
}


@pytest.mark.parametrize("notation", NOTATIONS)
def test_a_key_is_redacted_in_every_notation(notation: str) -> None:
    """However a server writes the key that it was sent, it is taken out, and the words around it stay."""
    text = f"bad key {NOTATIONS[notation]} given"
    assert settings.Secret(CANARY).redact(text) == "bad key *** given"


@pytest.mark.parametrize("notation", NOTATIONS)
def test_a_key_cut_short_is_redacted(notation: str) -> None:
    """A text that was shortened in the middle of the key shows less than half of it."""
    written = NOTATIONS[notation]
    for length in range(len(written)):
        left = settings.Secret(CANARY).redact(f"bad key {written[:length]}").removeprefix("bad key ")
        assert len(left) <= len(written) * 0.6
        assert left == "***" or length <= len(written) * 0.6


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=80), st.text(), st.text())
def test_any_key_is_redacted(key: str, before: str, after: str) -> None:
    """No key is so strange that it could not be found in a text."""
    assert key == "***" or key not in settings.Secret(key).redact(f"{before} {key} {after}").replace("***", "")


def test_redacting_takes_linear_time() -> None:
    """A text full of beginnings of the key does not make the search slow."""
    key = "a" * 200 + "b"
    begun = time.perf_counter()
    settings.Secret(key).redact("%61a" * 20_000)
    assert time.perf_counter() - begun < 20.0  # seconds, where backtracking would take years


ECHOES: dict[str, tuple[Answer, type[Exception]]] = {
    "message": ([reply({"message": f"bad: Bearer {CANARY}"}, status=401)], err.AuthenticationError),
    "long message": ([reply({"message": "x" * 470 + CANARY}, status=401)], err.AuthenticationError),
    "field names and complaints": (
        [reply({"message": "", "errors": {f"x{CANARY}": [CANARY], "a" * 80 + CANARY: CANARY}}, status=422)],
        err.InvalidRequestError,
    ),
    "plain text": ([reply(body=f"denied {CANARY}".encode(), status=403)], err.PermissionDeniedError),
    "PHP's JSON": (
        [reply(body=json.dumps({"message": CANARY}).replace("/", "\\/").encode(), status=400)],
        err.BadRequestError,
    ),
    "HTML": ([reply(body=b"<p>" + html.escape(CANARY).encode(), status=502)], err.ServerError),
    "end of the shown body": ([reply(body=b"x" * 1_980 + CANARY.encode(), status=500)], err.ServerError),
    "redirect": ([head(302, {"Location": f"/?key={quote(CANARY)}", "Content-Length": "0"})], err.APIResponseError),
    "headers": ([reply({}, status=404, headers={"X-Echo": CANARY, "Set-Cookie": f"a={CANARY}"})], err.NotFoundError),
    "reason": ([head(f"HTTP/1.1 404 {CANARY}"), b"{}", RESET], err.NotFoundError),
    "status line": ([CANARY.encode() + b"\r\n\r\n", RESET], err.APIResponseError),
    "header line": ([b"HTTP/1.1 200 OK\r\n" + CANARY.encode() + b"\r\n\r\n"], err.APIResponseError),
    "harmless headers": (
        [reply({}, status=500, headers={"X-Request-Id": f"id-{CANARY}", "Server": CANARY, "Via": f"1.1 {CANARY}"})],
        err.ServerError,
    ),
    "rejection": ([reply({"status": False, "message": CANARY})], err.RequestRejectedError),
    "no JSON": ([reply(body=CANARY.encode())], err.UnreadableResponseError),
    "bad envelope": ([reply(f"Bearer {CANARY}")], err.APIResponseError),
    "object for a list": ([reply({"messages": {"key": CANARY}})], err.APIResponseError),
    "stalled body": ([head(200, {"Content-Length": "999"}), CANARY.encode(), STALL], err.APITimeoutError),
    "cut body": ([head(200, {"Content-Length": "999"}), CANARY.encode(), RESET], err.IncompleteResponseError),
    "bad gzip": ([reply(body=CANARY.encode(), headers={"Content-Encoding": "gzip"})], err.IncompleteResponseError),
    "bad chunk": (
        [head(200, {"Transfer-Encoding": "chunked"}), CANARY.encode() + b"\r\n", RESET],
        err.APIResponseError,
    ),
    "Retry-After": ([reply({}, status=429, headers={"Retry-After": CANARY})], err.RateLimitError),
    "quota": (
        [reply({}, status=404, headers={"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": CANARY})],
        err.NotFoundError,
    ),
}


@pytest.mark.parametrize("place", ECHOES)
async def test_a_server_that_echoes_the_key_cannot_make_it_visible(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Wherever an answer repeats the key, no error, log, traceback or pickle repeats it after it."""
    answer, kind = ECHOES[place]
    server = FaultServer(answer)

    async def run(client: AsyncClient) -> Any:
        return await client.with_options(max_retries=0, timeout=1.0).list_messages(BOX)

    outcome = await trial(run, server, monkeypatch, tmp_path, requests=1)
    assert type(outcome.error) is kind, outcome.error


@pytest.mark.parametrize("field", [f"Bearer {CANARY}", "x" * 35 + CANARY], ids=["whole", "cut"])
async def test_a_message_that_cannot_be_read_and_echoes_the_key_does_not_make_it_visible(
    field: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The errors beside a list of messages repeat no key, though they show what could not be read."""
    server = FaultServer([reply({"messages": [{"id": "a", "receivedAt": field}]})])
    outcome = await trial(lambda client: client.list_messages(BOX), server, monkeypatch, tmp_path, requests=1)
    (error,) = outcome.value.unreadable
    assert "messages[0].receivedAt" in str(error)
    assert_hidden([*everything_shown_by(error), repr(outcome.value), *outcome.lines])


async def test_a_cancelled_call_shows_no_key_in_any_frame() -> None:
    """The traceback of a time-out around a call shows aiohttp's frames too: the key is in none of their locals."""
    limit = asyncio.timeout(None)
    answer: Answer = [Do(lambda: expire(limit)), STALL]
    async with FaultServer(answer) as server, AsyncClient(CANARY, base_url=server.base_url) as client:
        with pytest.raises(TimeoutError) as caught:
            async with limit:
                await client.create_mailbox()
        shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert "site-packages/aiohttp" in shown
        assert "Authorization" in shown
        assert_hidden([shown, *everything_shown_by(caught.value)])


async def test_asyncios_own_debugging_shows_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With asyncio's debug mode logging every callback and every read, the key is not shown."""
    asyncio.get_running_loop().set_debug(True)
    asyncio.get_running_loop().slow_callback_duration = 0.0
    server = FaultServer([RESET], [reply({"status": True, "messages": []})])
    outcome = await trial(lambda client: client.list_messages(BOX), server, monkeypatch, tmp_path, requests=2)
    assert outcome.value == []
    assert any("took" in line for line in outcome.lines)


# -------------------------------------------------------------------------------------------------------- the token


@pytest.mark.parametrize(
    "changes",
    [
        {"email": None},
        {"email": None, "created_at": 5},
        {"email": None, "email_token": [TOKEN]},
        {"email": None, "email_token": 5},
    ],
    ids=str,
)
async def test_a_mailbox_that_cannot_be_read_does_not_tell_its_token(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An error about a mailbox shows the beginning of the answer, without the mailbox's secret."""
    data = {**MAILBOX["data"], "email_token": TOKEN, **changes}
    server = FaultServer([reply({"status": True, "data": data})])
    outcome = await trial(lambda client: client.create_mailbox(), server, monkeypatch, tmp_path, requests=1)
    assert type(outcome.error) is err.APIResponseError
    assert_hidden(everything_shown_by(outcome.error), TOKEN)
    assert '"email_token": ***' in outcome.error.body
    assert '"domain": "example.com"' in outcome.error.body


@pytest.mark.parametrize("token", [[TOKEN], {TOKEN: TOKEN}, 1.5, True], ids=str)
async def test_a_token_that_cannot_be_read_is_not_told(
    token: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the mailbox says of its unreadable fields repeats nothing of the secret."""
    server = FaultServer([reply({"status": True, "data": {**MAILBOX["data"], "email_token": token}})])
    outcome = await trial(lambda client: client.create_mailbox(), server, monkeypatch, tmp_path, requests=1)
    assert outcome.value.problems == ("data.email_token: expected text",)
    assert_hidden([repr(attrs.asdict(outcome.value)), *outcome.lines], TOKEN)


async def test_a_token_cut_short_is_hidden_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The shown beginning of an answer may end within the token."""
    body = b'{"status": true, "data": {"x": "%s", "email_token": "%s' % (b"x" * 1_920, b"secret" * 50)
    server = FaultServer([reply(body=body)])
    outcome = await trial(lambda client: client.create_mailbox(), server, monkeypatch, tmp_path, requests=1)
    assert isinstance(outcome.error, err.APIResponseError)
    assert "secret" not in outcome.error.body


async def test_the_token_is_data_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A mailbox brings its token as a field; no repr of it and no log shows it."""
    data = {**MAILBOX["data"], "email_token": TOKEN}
    server = FaultServer([reply({"status": True, "data": data})])
    outcome = await trial(lambda client: client.create_mailbox(), server, monkeypatch, tmp_path, requests=1)
    assert outcome.value.email_token == TOKEN
    assert_hidden([repr(outcome.value), str(outcome.value), *outcome.lines], TOKEN)


# ------------------------------------------------------------------------------------------------------ the client


async def test_a_client_can_be_shown_to_anybody() -> None:
    """repr, vars and attrs.asdict of a client and of its parts show no key."""
    answer = reply({"status": True, "messages": []})
    async with FaultServer([answer]) as server, AsyncClient(CANARY, base_url=server.base_url) as client:
        await client.list_messages(BOX)
        sender = client._caller
        core = sender.core
        parts: list[Any] = [client, sender, core, core.key, core.headers, core.transport]
        parts.append(client.stream_attachment(("a", "b")))
        shown = [shown for part in parts for shown in (repr(part), str(part), f"{part}")]
        shown += [repr(part.__dict__) for part in parts if hasattr(part, "__dict__")]
        shown.append(repr(attrs.asdict(sender)))
        assert_hidden(shown)


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
async def test_nothing_that_holds_the_key_can_be_copied_or_pickled(duplicate: Any) -> None:
    """Client, streams, requests' headers: each refuses with a clear error instead of carrying the key elsewhere."""
    async with AsyncClient(CANARY) as client:
        core = client._caller.core
        for part in (
            client,
            client._caller,
            client.with_options(),
            client.stream_attachment(("a", "b")),
            core,
            core.key,
        ):
            with pytest.raises(TypeError, match=r"cannot be pickled or copied|never pickled or copied"):
                pickle.dumps(part)
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            duplicate(client)
        with pytest.raises(TypeError, match="never pickled or copied"):
            pickle.dumps(core.headers)


def test_values_that_travel_show_no_headers() -> None:
    """Requests and answers hide their headers and bodies: both may hold the key."""
    headers = CIMultiDict({"Authorization": f"Bearer {CANARY}"})
    assert_hidden([repr(Request("GET", "/messages", headers)), repr(Response(200, headers, CANARY.encode()))])


WRONG_SETTINGS: dict[str, dict[str, Any]] = {
    "key with a line end": {"api_key": CANARY + "\n"},
    "key as bytes": {"api_key": CANARY.encode()},
    "time-out": {"api_key": CANARY, "timeout": -1},
    "base URL": {"api_key": CANARY, "base_url": "http://example.com"},
    "key in the base URL": {"api_key": "k", "base_url": f"https://{quote(CANARY, safe='')}@example.com"},
    "key in the query": {"api_key": "k", "base_url": f"https://example.com/?key={CANARY}"},
    "proxy": {"api_key": CANARY, "proxy": f"socks5://user:{quote(CANARY, safe='')}@proxy.example"},
    "transport": {"api_key": CANARY, "transport": object(), "base_url": "https://example.com"},
}


@pytest.mark.parametrize("fault", WRONG_SETTINGS)
def test_a_client_that_cannot_be_made_shows_no_key(fault: str) -> None:
    """The traceback of a wrong setting, locals of our frames included, holds neither the key nor a password."""
    with pytest.raises(err.ConfigurationError) as caught:
        AsyncClient(**WRONG_SETTINGS[fault])
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in shown.stack if "/tempmailg/" in frame.filename.replace("\\", "/")]
    assert ours
    assert_hidden([str(caught.value), *(repr(frame.locals) for frame in ours)])


async def test_logs_hold_method_route_outcome_attempt_and_time(caplog: pytest.LogCaptureFixture) -> None:
    """By default the log has these five and nothing of what the caller passed or the service said."""
    caplog.set_level(logging.DEBUG)
    answers: list[Answer] = [[reply({"message": "secret words"}, status=404)]]
    async with FaultServer(*answers) as server, AsyncClient(CANARY, base_url=server.base_url) as client:
        with pytest.raises(err.NotFoundError):
            await client.update_mailbox("some@body.example", "some-one", "else.example")
    lines = [record.getMessage() for record in caplog.records if record.name == "tempmailg"]
    assert len(lines) == 1
    route = endpoints.update_mailbox(BOX, "a", "b").route
    assert lines[0].startswith(f"POST {route}: 404, attempt 1, ")
    for word in ("some", "body", "else", "secret", "Bearer", base64.b64encode(CANARY.encode()).decode()):
        assert word not in caplog.text


async def test_a_client_nobody_closed_warns_once_and_tells_nothing() -> None:
    """A forgotten client is one ResourceWarning with advice: no log line, no second warning, no key, nothing left."""
    recorder = Recorder()
    async with FaultServer([reply({"status": True, "messages": []})]) as server:
        with listening(recorder), pytest.warns(ResourceWarning) as warned:  # noqa: PT031 - made and dropped within
            client = AsyncClient(CANARY, base_url=server.base_url)
            await client.list_messages(BOX)
            del client
            await server.quiet()
    assert [str(each.message) for each in warned if "client was not closed" in str(each.message)] == [
        str(each.message) for each in warned
    ]
    assert len(warned) == 1
    assert_hidden([str(warned[0].message), *recorder.lines])
    assert [line for line in recorder.lines if "Unclosed" in line] == []


async def test_a_client_that_was_never_used_needs_no_close() -> None:
    """Without a connection there is nothing to warn of."""
    client = tempmailg.AsyncClient(CANARY)
    del client


async def test_an_unreadable_message_tells_no_key(caplog: pytest.LogCaptureFixture) -> None:
    """What a watch reports and logs of a message that it cannot read is free of a key that the service echoed."""
    echo = message("a", receivedAt=CANARY)
    transport = VirtualTransport(lambda _, __: listing(echo, message("b")))
    async with AsyncClient(CANARY, transport=transport) as client, client.watch(BOX) as watch:
        await anext(watch)
        (reported,) = watch.health.unreadable
    assert "receivedAt" in caplog.text
    assert_hidden([str(reported), reported.body, caplog.text])
