"""The contract: what the API is known or believed to do, and that sandbox and client both keep to it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.contract import CONTRACT, OPERATIONS, contradictions, examples, resolved, response_schema, violations
from support.doors import opened

from tempmailg import AsyncClient, Client
from tempmailg import _endpoints as endpoints
from tempmailg import _wire as wire
from tempmailg._endpoints import Call, EndpointName
from tempmailg.sandbox import Sandbox, Status, _handlers
from tempmailg.sandbox._answers import Answer, error_answer, json_answer
from tempmailg.sandbox._handlers import EndpointRoute
from tempmailg.sandbox._mail import BytesBlob
from tempmailg.sandbox._service import Service
from tempmailg.sandbox._state import Box, State
from tempmailg.transport import Response

SAMPLES = Path(__file__).parent / "samples"
CALLS: dict[str, Call[Any]] = {
    "list_domains": endpoints.list_domains(),
    "create_mailbox": endpoints.create_mailbox(),
    "update_mailbox": endpoints.update_mailbox("a@example.com", "b", "example.com"),
    "delete_mailbox": endpoints.delete_mailbox("a@example.com"),
    "list_messages": endpoints.list_messages("a@example.com"),
    "get_message": endpoints.get_message("1"),
    "delete_message": endpoints.delete_message("1"),
}


@pytest.fixture(autouse=True)
def _contract() -> None:
    """Spare this file the judge that watches all others: it tests the judge, with answers that break the contract."""


def test_there_is_one_list_of_endpoints() -> None:
    """Handlers and contract play exactly the endpoints of the client's list, each named like its public method."""
    names = get_args(EndpointName)
    assert [route.name for route in _handlers.ENDPOINTS] == list(names)
    assert contradictions(_handlers.ENDPOINTS, OPERATIONS) == []
    assert {*CALLS, "stream_attachment"} == set(names)
    for name in names:
        assert callable(getattr(AsyncClient, name)), name
        assert callable(getattr(Client, name)), name
        assert callable(getattr(endpoints, name)), name


def test_a_new_endpoint_arrives_wherever_endpoints_are_known() -> None:
    """A ninth line in the sandbox's table is routed, journaled and open to faults, and the contract is missed."""
    name: Any = "extend_mailbox"
    ninth = EndpointRoute(name, "POST", "/emails/{email}", lambda request: json_answer(200, dict(request.arguments)))
    table = (*_handlers.ENDPOINTS, ninth)
    state = Sandbox()._state
    service = Service(state, base_url="http://sandbox.invalid/api", etags=False, endpoints=table)
    headers = CIMultiDict({"Authorization": "Bearer sandbox-key"})
    service.faults.next(name, Status(502))
    assert service.handle("POST", "/emails/a%40b.example", headers).status == 502
    answer = service.handle("POST", "/emails/a%40b.example", headers)
    assert json.loads(b"".join(answer.body.chunks())) == {"email": "a@b.example"}
    assert [(entry.endpoint, entry.fault) for entry in service.journal] == [(name, "status"), (name, "")]
    assert contradictions(table, OPERATIONS) == ["extend_mailbox stands in one of sandbox and contract only"]
    operation: dict[str, Any] = {"method": "POST", "path": "/emails/{email}", "parameters": []}
    assert contradictions(table, {**OPERATIONS, name: operation}) == []
    moved: dict[str, Any] = {**operation, "path": "/emails/{email}/extend"}
    assert "differs" in contradictions(table, {**OPERATIONS, name: moved})[0]


def parts() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each part of the contract that states something about the API."""
    for name, operation in OPERATIONS.items():
        yield name, operation
        for parameter in operation["parameters"]:
            yield f"{name} {parameter['name']}", resolved(parameter)
        for status, response in operation["responses"].items():
            yield f"{name} {status}", resolved(response)
            for header, rule in resolved(response).get("headers", {}).items():
                yield f"{name} {status} {header}", resolved(rule)
    for name, schema in CONTRACT["components"]["schemas"].items():
        yield name, schema
        for field, rule in schema.get("properties", {}).items():
            if "$ref" not in rule:
                yield f"{name}.{field}", rule
    yield "key", CONTRACT["components"]["securitySchemes"]["key"]


def test_each_part_says_where_it_is_from() -> None:
    """Every operation, parameter, answer, header and field is marked as documented or as assumed."""
    sources = {name: part.get("x-source") for name, part in parts()}
    assert {name for name, source in sources.items() if source not in ("documented", "assumed")} == set()
    assert sources["list_messages"] == sources["list_messages 200"] == sources["Message.receivedAt"] == "documented"
    assert sources["list_messages 404"] == sources["Error"] == sources["list_messages 200 ETag"] == "assumed"


@pytest.mark.parametrize("name", CALLS)
def test_the_documented_samples_keep_the_contract(name: str) -> None:
    """The contract allows what the API's documentation shows, to the field."""
    sample = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    quota = [
        ("X-RateLimit-Limit", "50000"),
        ("X-RateLimit-Used", "124"),
        ("X-RateLimit-Remaining", "49876"),
        ("X-RateLimit-Reset", "2026-05-01T00:00:00+05:00"),
    ]
    assert violations(name, json_answer(200, sample, *quota)) == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (json_answer(200, {"status": True}), "data"),
        (json_answer(200, {"status": True, "data": {}, "more": 1}), "more"),
        (json_answer(299, {}), "no status 299"),
        (error_answer(429, "x", ("X-RateLimit-Limit", "many")), "'many'"),
        (error_answer(429, "x"), "X-RateLimit-Limit is missing"),
        (json_answer(401, {"status": True, "message": "x"}), "status"),
    ],
)
def test_the_judge_sees_what_is_wrong(answer: Answer, words: str) -> None:
    """Missing and invented fields, unknown statuses and malformed headers do not pass."""
    assert words in "\n".join(violations("create_mailbox", answer))


def test_the_judge_watches_every_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that lies in a test fails that test, whatever else the test checks."""
    monkeypatch.setattr(_handlers, "_iso", "{}, or yesterday".format)

    async def lie() -> None:
        async with opened("in process") as door:
            await door.mailbox()

    with pytest.raises(AssertionError, match="or yesterday"):
        asyncio.run(lie())


@pytest.mark.parametrize("tolerated", [False, True], ids=["as documented", "as tolerated"])
@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=50)
@given(data=st.data())
def test_the_client_reads_whatever_the_contract_allows(name: str, *, tolerated: bool, data: st.DataObject) -> None:
    """Any answer of the contract decodes, also in the looser forms that the reference asks clients to tolerate."""
    schema = response_schema(name, 200)
    assert schema is not None
    body = json.dumps(data.draw(examples(schema, tolerated=tolerated))).encode()
    wire.decode(CALLS[name], Response(200, CIMultiDict[str](), body))


def test_the_contract_is_served_with_the_sandbox_as_its_server() -> None:
    """Tools load the contract from the sandbox itself and find it there."""

    async def fetched() -> None:
        async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
            answer = await session.get(sandbox.base_url.replace("/api", "/_sandbox/openapi.json"))
            assert await answer.json() == {**CONTRACT, "servers": [{"url": sandbox.base_url}]}

    asyncio.run(fetched())


def _urllib3_is_replaced() -> bool:
    try:
        importlib.metadata.version("urllib3-future")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.timeout(240)
@pytest.mark.skipif(_urllib3_is_replaced(), reason="urllib3-future stands in for urllib3, which schemathesis needs")
def test_schemathesis_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of generated requests, valid and invalid, single and in chains, meet no answer outside the contract."""
    honest = State.open

    def opened_with_mail(self: State, email: str, key: str) -> Box:
        box = honest(self, email, key)
        self.deliver([email], b"Content-Type: text/plain; name=a.txt\r\n\r\nhello")
        return box

    monkeypatch.setattr(State, "open", opened_with_mail)
    # Which domains exist is state, so a well-formed one may still be 422.
    accepted = ["2xx", "3xx", "401", "403", "404", "409", "422", "429", "5xx"]
    config = tmp_path / "schemathesis.toml"
    config.write_text(f"[checks.positive_data_acceptance]\nexpected-statuses = {json.dumps(accepted)}\n")
    with Sandbox(plan="premium", quota=10**6, etags=True, seed=1) as sandbox:
        program = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)]
        options = ["--max-examples", "15", "--generation-deterministic", "--no-color"]
        target = ["--header", f"Authorization: Bearer {sandbox.api_key}", "--url", sandbox.base_url]
        contract = sandbox.base_url.replace("/api", "/_sandbox/openapi.json")
        done = subprocess.run(
            [*program, "run", *options, *target, contract],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(sandbox.journal) > 100


def test_a_binary_answer_has_no_schema() -> None:
    """Files are bytes, which the contract leaves alone."""
    assert response_schema("stream_attachment", 200) is None
    headers = dict.fromkeys(CONTRACT["components"]["headers"], "1") | {"X-RateLimit-Reset": "2026-05-01T00:00:00+05:00"}
    assert violations("stream_attachment", Answer(200, tuple(headers.items()), BytesBlob(b"\xff"))) == []
