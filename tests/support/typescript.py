"""The official TypeScript client of the Model Context Protocol, played by node beside a server process."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from mcp_types import CallToolResult

from support.agents import Host

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp import StdioServerParameters

__all__ = ["TypeScriptClient", "beside_in_typescript"]

SCRIPT: Final = Path(__file__).with_name("mcp_host.cjs")
LONGEST_LINE: Final = 16 * 1024 * 1024


class TypeScriptClient(Host):
    """Calls tools through a node process.

    Args:
        process: The process.

    Attributes:
        process: The same.
        pid: The process id of the server, which node has started.
        tools: The tools, as the server offers them.
        progress: What the server has reported of each call, by the call's number.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.pid = 0
        self.tools: list[dict[str, Any]] = []
        self.progress: dict[int, list[float]] = {}
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Wait for the session to begin."""
        line = await self._line()
        self.pid, self.tools = line["pid"], line["tools"]
        self._reading = asyncio.create_task(self._read())

    def post(self, name: str, /, **arguments: Any) -> asyncio.Future[dict[str, Any]]:
        """Call a tool, and return the future line that answers it."""
        number = len(self.progress)
        self.progress[number] = []
        answer = self._pending[number] = asyncio.get_running_loop().create_future()
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"id": number, "name": name, "arguments": arguments}).encode() + b"\n")
        return answer

    async def raw(self, name: str, /, **arguments: Any) -> CallToolResult:
        """See `Host.raw`."""
        answer = await self.post(name, **arguments)
        assert "result" in answer, answer
        return CallToolResult.model_validate(answer["result"], by_name=False)

    async def leave(self) -> None:
        """Let node end the session as the client does, and wait for its end."""
        if self.process.stdin:
            self.process.stdin.close()
        await self.process.wait()
        if self._reading is not None:
            await self._reading

    async def _line(self) -> dict[str, Any]:
        assert self.process.stdout
        line: dict[str, Any] = json.loads(await self.process.stdout.readline() or '{"pid": null}')
        return line

    async def _read(self) -> None:
        while (line := await self._line()) != {"pid": None}:
            if "progress" in line:
                self.progress[line["id"]].append(line["progress"]["progress"])
            else:
                self._pending.pop(line["id"]).set_result(line)


def modules() -> str:
    """Return the folder of the node modules, or skip the test."""
    folder = os.environ.get("TEMPMAILG_NODE_MODULES")
    if folder is None or shutil.which("node") is None or not Path(folder, "@modelcontextprotocol/sdk").is_dir():
        pytest.skip("needs node and npm's @modelcontextprotocol/sdk, below the folder TEMPMAILG_NODE_MODULES")
    return folder


@asynccontextmanager
async def beside_in_typescript(started: StdioServerParameters, errors: Path) -> AsyncGenerator[TypeScriptClient]:
    """Connect to a server that node starts; the session ends with the block, if it has not ended before."""
    server = {"command": started.command, "args": started.args, "env": started.env}
    with errors.open("w") as log:
        process = await asyncio.create_subprocess_exec(
            "node",
            str(SCRIPT),
            json.dumps(server),
            env=os.environ | {"NODE_PATH": modules()},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=LONGEST_LINE,
        )
    client = TypeScriptClient(process)
    try:
        await client.begin()
        yield client
        await client.leave()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
