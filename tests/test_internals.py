"""The private names of other libraries: each is missed at import, with an error that says what to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import aiosmtpd.smtp
import pytest
from aiohttp.client_proto import ResponseHandler

from tempmailg import ConfigurationError
from tempmailg._internals import NAMES, PrivateName, check_names
from tempmailg.sandbox import _smtp_connection
from tempmailg.sandbox._smtp_connection import NAMES as SMTP_NAMES

TAKE_AWAY = """
import aiohttp, aiosmtpd.smtp, sys
from aiohttp.client_proto import ResponseHandler

owner, name, set_by = sys.argv[1:]
owner = getattr(aiohttp, owner, None) or {{"ResponseHandler": ResponseHandler}}.get(owner) or aiosmtpd.smtp.SMTP
if set_by == "None":
    delattr(owner, name)
else:
    method = getattr(owner, set_by)
    code = method.__code__
    names = tuple("renamed" if each == name else each for each in code.co_names)
    method.__code__ = code.replace(co_names=names)
{use}
"""
FIRST_USE = TAKE_AWAY.format(
    use="""
import tempmailg
try:
    tempmailg.AsyncClient("key")
except tempmailg.ConfigurationError as error:
    print(error)
"""
)
FIRST_SANDBOX = TAKE_AWAY.format(
    use="""
import tempmailg.sandbox
try:
    with tempmailg.sandbox.Sandbox(port=0, smtp_port=0):
        pass
except tempmailg.ConfigurationError as error:
    print(error)
"""
)


def printed_without(name: PrivateName, script: str) -> str:
    """Return what a script prints in a process of its own in which the name is taken away."""
    arguments = (name.owner.__name__, name.name, str(name.set_by))
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.name)
def test_a_release_without_a_private_name_is_refused_before_anything_is_sent(name: PrivateName) -> None:
    """Each name in the table, taken away or renamed, makes the first client fail with a clear error."""
    printed = printed_without(name, FIRST_USE)
    assert printed.startswith(f"aiohttp {aiohttp.__version__} has no {name.owner.__name__}.{name.name}, on which")
    assert "install an older aiohttp or a newer tempmailg" in printed


@pytest.mark.parametrize("name", SMTP_NAMES, ids=lambda name: name.name)
def test_a_mail_library_without_a_private_name_is_refused_before_the_sandbox_runs(name: PrivateName) -> None:
    """Each of aiosmtpd's names in the table, taken away or renamed, makes the sandbox fail with a clear error."""
    printed = printed_without(name, FIRST_SANDBOX)
    assert printed.startswith(f"aiosmtpd {version('aiosmtpd')} has no SMTP.{name.name}, on which")
    assert "install an older aiosmtpd or a newer tempmailg" in printed


def test_the_tables_name_all_that_is_used_of_aiosmtpd() -> None:
    """Each private attribute of aiosmtpd's class that the sandbox's own class reads, calls or replaces is checked."""
    source = Path(_smtp_connection.__file__).read_text(encoding="utf-8")
    used = set(re.findall(r"\b(?:self|super\(\)|Connection)\.(_[a-z]\w*)|def (_[a-z]\w*)", source))
    code = Path(aiosmtpd.smtp.__file__).read_text(encoding="utf-8")
    theirs = set(re.findall(r"(?:self\.|def )(_[a-z]\w*)", code))
    assert {one or other for one, other in used} & theirs == {name.name for name in SMTP_NAMES}


def test_all_missing_names_are_named_at_once() -> None:
    """Whoever has to report it sees the whole extent; a class without the method that sets a name counts as without."""
    names = [
        PrivateName(aiohttp.ClientSession, "_nonsense"),
        PrivateName(ResponseHandler, "_trifle", set_by="__init__"),
        PrivateName(ResponseHandler, "_humbug", set_by="no_such_method"),
        PrivateName(ResponseHandler, "should_close"),
    ]
    with pytest.raises(
        ConfigurationError,
        match=r"no ClientSession._nonsense, ResponseHandler._trifle, ResponseHandler._humbug, on which",
    ):
        check_names(names)


UNTIDY = """
import asyncio, sys
import aiohttp
import tempmailg

BODY = b'{"status": true, "messages": []}'
ANSWERS = {
    "folded": b"HTTP/1.1 200 OK\\r\\nX-Long: a\\r\\n b\\r\\nContent-Length: 32\\r\\n\\r\\n" + BODY,
    "no CR": b"HTTP/1.1 200 OK\\nContent-Type: application/json\\nContent-Length: 32\\n\\n" + BODY,
    "size": b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n20 \\r\\n" + BODY + b"\\r\\n0\\r\\n\\r\\n",
    "garbage": b"HTTP/1.1 2x0 OK\\r\\n\\r\\n",
}

async def outcome(awaitable):
    try:
        await awaitable
    except (tempmailg.TempMailError, aiohttp.ClientError) as error:
        return type(error).__name__
    return "read"

async def bare(session, url):
    async with session.get(url) as answer:
        await answer.read()

async def ask(name, answer):
    async def serve(reader, writer):
        await reader.readuntil(b"\\r\\n\\r\\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with aiohttp.ClientSession() as session, tempmailg.AsyncClient("key", base_url=url, max_retries=0) as own:
        async with tempmailg.AsyncClient("key", base_url=url, max_retries=0, session=session) as borrowing:
            for client in (own, borrowing):
                print(name, await outcome(client.list_messages("a@b.example")))
        print(name, "bare", await outcome(bare(session, url)), file=sys.stderr)
    server.close()
    await server.wait_closed()

async def main():
    for name, answer in ANSWERS.items():
        await ask(name, answer)

asyncio.run(main())
"""


@pytest.mark.parametrize("no_extensions", ["", "1"], ids=["parser in C", "parser in Python"])
@pytest.mark.parametrize(
    ("options", "variables", "bare"),
    [
        ([], {}, "read"),
        (["-X", "dev"], {}, "ClientResponseError"),
        ([], {"PYTHONASYNCIODEBUG": "1"}, "ClientResponseError"),
    ],
    ids=["production", "-X dev", "PYTHONASYNCIODEBUG"],
)
def test_answers_are_parsed_alike_in_development_and_in_production(
    options: list[str], variables: dict[str, str], bare: str, no_extensions: str
) -> None:
    """Folded headers, lines without CR and blanks behind a size are read in both; others' requests stay untouched."""
    neither = {"PYTHONDEVMODE": "", "PYTHONASYNCIODEBUG": ""}
    environment = {**os.environ, **neither, "AIOHTTP_NO_EXTENSIONS": no_extensions, **variables}
    process = subprocess.run(
        [sys.executable, *options, "-W", "ignore", "-c", UNTIDY],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert process.returncode == 0, process.stderr
    names = ("folded", "no CR", "size")
    assert process.stdout.splitlines() == [
        *(f"{name} read" for name in names for _ in range(2)),
        *["garbage APIResponseError"] * 2,
    ]
    assert f"no CR bare {bare}" in process.stderr.splitlines()


def test_other_libraries_can_be_checked_alike() -> None:
    """The error names the library whose class it is."""
    smtp: Any = pytest.importorskip("aiosmtpd.smtp", reason="aiosmtpd is not installed").SMTP
    check_names(
        [PrivateName(smtp, "_reader", set_by="_cb_client_connected"), PrivateName(smtp, "_set_post_data_state")]
    )
    with pytest.raises(ConfigurationError, match=r"^aiosmtpd [0-9.]+ has no SMTP\._nonsense, .* an older aiosmtpd"):
        check_names([PrivateName(smtp, "_nonsense")])
