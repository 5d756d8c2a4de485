"""What it takes until a program that has just started can receive mail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import Final

from benchmarks._harness import Goal, Measure, Row, Sample, Spread, interleaved, ratio, spread

__all__ = ["measures"]

ROUNDS: Final = 15
BASELINE: Final = "import aiohttp"

_PLAIN: Final = "import sys; sys.modules['orjson'] = sys.modules['uvloop'] = None; "  # as if `fast` were not installed

PROGRAMS: Final = {
    BASELINE: "import aiohttp",
    "import tempmailg": "import tempmailg",
    "first AsyncClient": _PLAIN + "import tempmailg; tempmailg.AsyncClient('key')",
    "first AsyncClient, [fast]": "import tempmailg; tempmailg.AsyncClient('key')",
    "first Client": _PLAIN + "import tempmailg; tempmailg.Client('key')",
    "import httpx, pydantic": "import httpx, pydantic; pydantic.BaseModel",
    "import requests": "import requests",
}

AGENTS: Final = "tempmailg mcp, first answer"
_HELLO: Final = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}

_PROGRAM: Final = """
import time
begun = time.perf_counter(), time.process_time()
{program}
wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
import json, sys
print(json.dumps({{"wall": wall, "cpu": cpu, "loads_aiohttp": "aiohttp" in sys.modules}}))
"""


def measures(*, short: bool) -> list[Measure]:
    """Measure imports, first clients and the server for agents, each in an interpreter of its own."""
    with tempfile.TemporaryDirectory() as bytecode:
        contestants = {name: partial(_started, program, bytecode) for name, program in PROGRAMS.items()}
        contestants[AGENTS] = partial(_answered, bytecode)
        for run in contestants.values():
            run()  # compiles what will be imported
        samples = interleaved(contestants, 1 if short else ROUNDS)
    rows = [
        Row(
            name,
            {
                "CPU ms": spread(sample.cpu * 1e3 for sample in taken).median,
                "clock ms": spread(sample.wall * 1e3 for sample in taken).median,
            },
            _ratio(samples, name),
        )
        for name, taken in samples.items()
    ]
    goals = [
        Goal(f"CPU, import tempmailg / {BASELINE}", 0.5, _ratio(samples, "import tempmailg")),
        Goal("import tempmailg, ms", 60, spread(sample.wall * 1e3 for sample in samples["import tempmailg"])),
        Goal(f"CPU, first AsyncClient / {BASELINE}", 1.15, _ratio(samples, "first AsyncClient")),
        Goal(f"{AGENTS}, ms", 1_000, spread(sample.wall * 1e3 for sample in samples[AGENTS])),
    ]
    return [Measure("Starting up", rows, goals, BASELINE)]


def _started(program: str, bytecode: str) -> Sample:
    """Run a program in a new interpreter, which finds everything compiled, as if it had run before."""
    command = [sys.executable, "-c", _PROGRAM.format(program=program)]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": bytecode}
    taken = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
    if taken["loads_aiohttp"] and program == "import tempmailg":
        raise RuntimeError("import tempmailg loads aiohttp")
    return Sample(1, taken["wall"], taken["cpu"])


def _answered(bytecode: str) -> Sample:
    """Start the server for agents and shake hands with it; the CPU time includes its end."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": bytecode}
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": _HELLO})
    cpu, begun = _cpu_of_children(), time.perf_counter()
    command = [sys.executable, "-m", "tempmailg", "mcp"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
        if server.stdin is None or server.stdout is None:
            raise RuntimeError("the server has no pipes")
        server.stdin.write(f"{hello}\n")
        server.stdin.flush()
        answer = json.loads(server.stdout.readline())
        wall = time.perf_counter() - begun
    if answer["result"]["serverInfo"]["name"] != "tempmailg":
        raise RuntimeError("another server answered")
    return Sample(1, wall, _cpu_of_children() - cpu)


def _cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _ratio(samples: dict[str, list[Sample]], name: str) -> Spread:
    return ratio((sample.cpu for sample in samples[name]), (sample.cpu for sample in samples[BASELINE]))
