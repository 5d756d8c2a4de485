"""`tempmailg mcp` as hosts run it: processes, pipes and signals, real mail, and clients that others wrote."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from mcp.client.client import Client
from support.agents import Agent, Host, beside, mail, program, send, until
from support.injections import injections
from support.typescript import beside_in_typescript

from tempmailg import AsyncClient
from tempmailg.sandbox import Sandbox, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from mcp import StdioServerParameters

KEY = "key-that-nobody-may-read"
INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def strings(value: Any) -> Iterator[str]:
    """Return the strings of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from strings(list(value.values()))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType] - JSON
    elif isinstance(value, list):
        for each in value:  # pyright: ignore[reportUnknownVariableType] - the same
            yield from strings(each)


# ---------------------------------------------------------------------------------------------- the official clients

Connect: TypeAlias = "Callable[[StdioServerParameters, Path], AbstractAsyncContextManager[Host]]"


@pytest.fixture(params=["Python", "TypeScript"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """One of the two clients that the protocol's authors have made."""
    return beside if request.param == "Python" else beside_in_typescript


async def test_a_sign_up_from_end_to_end(tmp_path: Path, connect: Connect) -> None:
    """Without a key, the seven tools receive real mail, over a wait of three cursors, from a sandbox that says so."""
    errors = tmp_path / "errors"
    server = program("--wait-limit", "0.3", "--folder", str(tmp_path / "files"))
    async with connect(server, errors) as host:
        made = await host.call("new_mailbox")
        box, port = made["mailbox"], made["sandbox"]["smtp_port"]
        assert "no API key" in made["sandbox"]["note"]
        answer = await host.call("wait_for_code", mailbox=box)
        for _ in range(3):
            assert answer["status"] == "not_yet"
            if answer["cursor"].endswith(".3"):
                letter = mail(
                    box, "Your code is 481516.\nOr confirm: https://shop.example/confirm?token=81f0c2d4ab77\n"
                )
                letter.add_attachment(b"abc", maintype="text", subtype="plain", filename="../terms.txt")
                await send(port, letter)
            answer = await host.call("wait_for_code", cursor=answer["cursor"])
        assert answer["code"] == "481516"
        assert (await host.call("wait_for_link", mailbox=box))["link"].startswith("https://shop.example/confirm")
        (listed,) = (await host.call("list_messages", mailbox=box))["messages"]
        read = await host.call("read_message", message_id=listed["message_id"], body=True)
        assert "Your code is 481516." in read["body"]
        saved = await host.call("save_attachment", message_id=listed["message_id"], number=1)
        assert Path(saved["path"]) == tmp_path / "files" / "terms.txt"
        assert (await host.call("delete_mailbox", mailbox=box))["deleted"] == box
        assert "no mailbox of this session" in await host.fails("list_messages", mailbox=box)
    assert errors.read_text() == ""


async def test_hosts_of_the_newest_protocol_are_served() -> None:
    """A client that speaks the protocol without a handshake gets the same tools and results."""
    async with Client(program(), mode="2026-07-28") as session:
        host = Agent(session)
        box = await host.mailbox()
        assert box in await host.fails("wait_for_code", mailbox="x@example.com", seconds=1)


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """A sandbox that cannot receive mail says which option chooses another port."""
    async with Sandbox() as other:
        port = str(other.smtp_port)
        async with beside(program("--smtp-port", port), tmp_path / "errors") as host:
            assert "--smtp-port" in await host.fails("new_mailbox")


async def test_forty_hostile_mails(tmp_path: Path, connect: Connect) -> None:
    """No mail leaves its fence, hides a character, commands by a field that is not bounded, or has anything fetched."""
    fetched: list[bytes] = []

    async def canary(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fetched.append(await reader.readline())
        writer.close()

    trap = await asyncio.start_server(canary, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{trap.sockets[0].getsockname()[1]}"
    async with trap, connect(program("--wait-limit", "0.3"), tmp_path / "errors") as host:
        seen = 0
        for half in (slice(0, 20), slice(20, 40)):
            made = await host.call("new_mailbox")
            box = made["mailbox"]
            await send(made["sandbox"]["smtp_port"], *((box, each) for each in injections(box, url)[half]))
            for tool in ("wait_for_code", "wait_for_link"):
                check_line_fields(await host.call(tool, mailbox=box))
            listed = await host.call("list_messages", mailbox=box)
            check_line_fields(listed)
            for each in listed["messages"]:
                read = await host.call("read_message", message_id=each["message_id"], body=True)
                check_body(read.pop("body"))
                check_line_fields(read)
                seen += 1
        assert seen == 40
    assert fetched == []


def check_line_fields(result: dict[str, Any]) -> None:
    """Check that every text outside of a body is one bounded line of visible characters."""
    for text in strings(result):
        assert len(text) <= 600
        assert not {unicodedata.category(character) for character in text} & INVISIBLE, ascii(text)


def check_body(body: str) -> None:
    """Check that a body stands between two marks of its own, and hides nothing."""
    notice, opening, *inside, closing = body.split("\n")
    mark = opening.removeprefix("<<<<<<<< mail ")
    assert len(mark) == 24
    assert mark in notice
    assert closing == f">>>>>>>> mail {mark}"
    text = "\n".join(inside)
    assert mark not in text
    assert len(text) <= 4_000
    assert not {unicodedata.category(character) for character in text if character != "\n"} & INVISIBLE, ascii(text)
    assert "<script" not in text
    assert "Ignore all previous instructions</p>" not in text


async def test_a_link_of_a_hostile_mail_says_where_it_leads(tmp_path: Path) -> None:
    """A link that shows a bank's address is returned with the host that it leads to, and flagged."""
    async with beside(program("--wait-limit", "0.3"), tmp_path / "errors") as host:
        made = await host.call("new_mailbox")
        box = made["mailbox"]
        page = '<p>Confirm: <a href="https://evil.example/confirm?t=81f0c2d4">https://bank.example/confirm</a></p>'
        await send(made["sandbox"]["smtp_port"], mail(box, "Confirm", html=page))
        answer = await host.call("wait_for_link", mailbox=box)
        assert (answer["host"], answer["misleading"]) == ("evil.example", True)


# ------------------------------------------------------------------------------------- hosts that end, and what leaks


def hello(number: int) -> dict[str, Any]:
    """Return the request that begins a session."""
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "pipe", "version": "1"}}
    return {"jsonrpc": "2.0", "id": number, "method": "initialize", "params": params}


class Pipe:
    """A host without a library: lines of JSON through pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.printed: list[str] = []
        self._number = 0

    def ask(self, method: str, **params: Any) -> int:
        """Send a request and return its id."""
        self._number += 1
        self._write({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        return self._number

    def _write(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def answer(self, number: int) -> dict[str, Any]:
        """Return the answer to a request."""
        assert self.process.stdout
        while True:
            self.printed.append((await self.process.stdout.readline()).decode())
            message = json.loads(self.printed[-1])
            if message.get("id") == number:
                result: dict[str, Any] = message["result"]
                return result

    async def begin(self) -> None:
        """Shake hands."""
        await self.answer(self.ask("initialize", **hello(0)["params"]))
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool."""
        return await self.answer(self.ask("tools/call", name=tool, arguments=arguments))


def service(sandbox: Sandbox) -> dict[str, str]:
    """Return the environment that makes a sandbox outside the service."""
    return {"TEMPMAILG_API_KEY": KEY, "TEMPMAILG_BASE_URL": sandbox.base_url}


async def started(sandbox: Sandbox, *options: str) -> Pipe:
    """Start a server that uses a sandbox outside as its service."""
    server = program(*options, environment=service(sandbox))
    process = await asyncio.create_subprocess_exec(
        server.command,
        *server.args,
        env=os.environ | (server.env or {}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    host = Pipe(process)
    await host.begin()
    return host


@pytest.mark.parametrize("way", ["SIGTERM", "stdin"])
async def test_a_host_that_leaves_leaves_no_mailbox_behind(way: str) -> None:
    """Ended by SIGTERM or by the end of stdin, amid a wait, the server deletes its mailboxes and exits with 0."""
    async with Sandbox(api_key=KEY) as sandbox:
        host = await started(sandbox)
        for _ in range(2):
            await host.call("new_mailbox")
        box = sandbox.dump()["mailboxes"][0]["email"]
        host.ask("tools/call", name="wait_for_code", arguments={"mailbox": box})
        polls = ("list_messages",)
        await until(lambda: any(entry.endpoint in polls for entry in sandbox.journal), pause=0.01)
        assert host.process.stdin
        if way == "stdin":
            host.process.stdin.close()
        else:
            host.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(host.process.communicate(), 20)
        assert host.process.returncode == 0
        assert sandbox.dump()["mailboxes"] == []


async def test_stdout_is_the_protocol_and_the_key_is_nowhere() -> None:
    """Even with --debug and a service that refuses the key, stdout holds JSON alone, and no stream holds the key."""
    async with Sandbox(api_key=KEY) as sandbox:
        host = await started(sandbox, "--debug", "--max-mailboxes", "2")
        box = json.loads((await host.call("new_mailbox"))["content"][0]["text"])["mailbox"]
        sandbox.faults.next("list_messages", Status(401), times=10)
        refused = await host.call("list_messages", mailbox=box)
        assert refused["isError"]
        sandbox.faults.clear()
        assert (await host.call("wait_for_code", mailbox="x@example.com"))["isError"]
        out, errors = await asyncio.wait_for(host.process.communicate(b""), 20)
        lines = [*host.printed, *out.decode().splitlines()]
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in lines)
        assert b"list_messages" in errors  # the log is there
        assert KEY not in "".join(lines) + errors.decode()


def test_a_start_without_stdin_is_refused() -> None:
    """Where stdin is closed there is no host, and the server says so in one line."""
    command = ["sh", "-c", 'exec "$0" -m tempmailg mcp <&-', sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "tempmailg: stdin is closed, so no host can speak: start the server through a host\n"


def test_lines_that_are_no_protocol_do_no_harm() -> None:
    """Garbage on stdin is passed over, and the end of stdin is the end of the server."""
    lines = "garbage\n\n[1, 2]\n{}\n" + json.dumps(hello(7)) + "\n"
    server = program()
    done = subprocess.run([server.command, *server.args], input=lines, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [7]


@pytest.mark.parametrize("way", ["it ends the session", "it sends SIGTERM", "it is killed"])
async def test_a_typescript_host_that_leaves_leaves_no_mailbox_behind(way: str, tmp_path: Path) -> None:
    """However a host of the TypeScript client ends a session amid a wait, its mailboxes are deleted."""
    async with Sandbox(api_key=KEY) as sandbox:
        server = program(environment=service(sandbox))
        async with beside_in_typescript(server, tmp_path / "errors") as client:
            for _ in range(2):
                await client.mailbox()
            box = sandbox.dump()["mailboxes"][0]["email"]
            client.post("wait_for_code", mailbox=box)
            await until(lambda: any(entry.endpoint == "list_messages" for entry in sandbox.journal), pause=0.01)
            if way == "it sends SIGTERM":
                os.kill(client.pid, signal.SIGTERM)
            elif way == "it is killed":
                client.process.kill()
            else:
                await client.leave()
            async with asyncio.timeout(20):
                await until(lambda: sandbox.dump()["mailboxes"] == [], pause=0.01)
    assert (tmp_path / "errors").read_text() == ""


async def test_the_typescript_client_gets_the_progress_of_a_wait(tmp_path: Path) -> None:
    """A host that asks for progress reads how far a wait is before the call answers that nothing has come yet."""
    async with beside_in_typescript(program("--wait-limit", "0.5"), tmp_path / "errors") as client:
        box = await client.mailbox()
        assert (await client.call("wait_for_code", mailbox=box))["status"] == "not_yet"
        reported = client.progress[1]
    assert reported
    assert reported == sorted(reported)


async def test_the_typescript_client_refuses_no_result_and_reads_errors(tmp_path: Path) -> None:
    """The tools' schemas are known to the client, which compares results with them, and an error is a result."""
    async with beside_in_typescript(program(), tmp_path / "errors") as client:
        assert len(client.tools) == 7
        assert all(tool["outputSchema"]["type"] == "object" for tool in client.tools)
        assert "no mailbox of this session" in await client.fails("list_messages", mailbox="x@example.com")


# -------------------------------------------------------------------------------------------------------- the inspector


def inspector() -> str:
    """Return the path of the inspector's program, or skip the test."""
    folder = os.environ.get("TEMPMAILG_NODE_MODULES")
    found = shutil.which("mcp-inspector", path=str(Path(folder, ".bin"))) if folder else None
    if found is None or shutil.which("node") is None:
        pytest.skip("needs node and npm's @modelcontextprotocol/inspector, below the folder TEMPMAILG_NODE_MODULES")
    return found


async def inspect(sandbox: Sandbox, *arguments: str) -> dict[str, Any]:
    """Have the inspector start a server, ask it once, and print the answer."""
    server = program("--any-mailbox", environment=service(sandbox))
    assert server.env is not None
    settings = [part for name, value in server.env.items() for part in ("-e", f"{name}={value}")]
    command = [inspector(), "--cli", *settings, server.command, *server.args, *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == 0, errors.decode()
    answer: dict[str, Any] = json.loads(out)
    return answer


async def test_the_inspector_lists_the_tools() -> None:
    """The inspector of the protocol's authors reads the seven tools with their schemas."""
    async with Sandbox(api_key=KEY) as sandbox:
        tools = (await inspect(sandbox, "--method", "tools/list"))["tools"]
    assert len(tools) == 7
    assert all(tool["inputSchema"]["type"] == tool["outputSchema"]["type"] == "object" for tool in tools)


async def test_the_inspector_receives_a_code() -> None:
    """The inspector calls tools and gets the code of a real mail as a structured result."""
    async with Sandbox(api_key=KEY) as sandbox, AsyncClient(KEY, base_url=sandbox.base_url) as client:
        box = (await client.create_mailbox()).email
        await send(sandbox.smtp_port, mail(box, "Your code is 481516."))
        call = ("--method", "tools/call", "--tool-name")
        made = await inspect(sandbox, *call, "new_mailbox")
        assert "@" in made["structuredContent"]["mailbox"]
        arguments = ("--tool-arg", f"mailbox={box}", "--tool-arg", "include_shown=true")
        answer = await inspect(sandbox, *call, "wait_for_code", *arguments)
        assert answer["structuredContent"]["code"] == "481516"
        assert [each["email"] for each in sandbox.dump()["mailboxes"]] == [box]  # the inspector's own is deleted
