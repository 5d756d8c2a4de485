"""The contract: what the API is known or believed to do, and that sandbox and client both keep to it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import aiohttp
import attrs
import jsonschema_rs
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.contract import (
    CONTRACT,
    CONTROL_CONTRACT,
    CONTROL_OPERATIONS,
    OPERATIONS,
    contradictions,
    examples,
    resolved,
    response_schema,
    violations,
)
from support.doors import opened

from tempmailg import AsyncClient, Client
from tempmailg import _endpoints as endpoints
from tempmailg import _wire as wire
from tempmailg._endpoints import Call, EndpointName
from tempmailg.sandbox import Sandbox, Status, _faults, _handlers, _smtp_faults
from tempmailg.sandbox._answers import Answer, error_answer, json_answer
from tempmailg.sandbox._control import CONTROL_ROUTES
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


@pytest.mark.parametrize("document", [CONTRACT, CONTROL_CONTRACT], ids=["API", "control routes"])
def test_every_body_has_an_example_that_keeps_the_contract(document: dict[str, Any]) -> None:
    """A mock server made from a contract answers by its examples, so each request and success has one that is right."""
    for name, content in bodies(document):
        schema = {**content["schema"], "components": document["components"]}
        assert list(jsonschema_rs.Draft202012Validator(schema).iter_errors(content["example"])) == [], name


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the contents of all request bodies and successful answers."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            contents = [operation.get("requestBody", {}).get("content", {})]
            contents += [answer.get("content", {}) for status, answer in operation["responses"].items() if status < "3"]
            yield from ((f"{method} {path} {kind}", content) for part in contents for kind, content in part.items())


@pytest.mark.parametrize("name", CALLS)
def test_the_client_reads_the_contracts_examples(name: str) -> None:
    """Whatever a mock server made from the contract answers, the client takes, and it is the documented sample."""
    example = OPERATIONS[name]["responses"]["200"]["content"]["application/json"]["example"]
    wire.decode(CALLS[name], Response(200, CIMultiDict[str](), json.dumps(example).encode()))
    assert example == json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))


def test_a_mock_server_made_from_the_contract_satisfies_the_client(tmp_path: Path) -> None:
    """Prism, given nothing but the contract, answers all eight endpoints so that the client is content."""
    prism = shutil.which("prism")
    if prism is None:
        pytest.skip("prism is not installed: npm install --global @stoplight/prism-cli")
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(CONTRACT))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [prism, "mock", "--host", "127.0.0.1", "--port", str(port), str(document)], stdout=subprocess.PIPE, text=True
    ) as mock:
        try:
            assert mock.stdout is not None
            assert any("Prism is listening" in line for line in mock.stdout)
            with Client("key", base_url=f"http://127.0.0.1:{port}") as client:
                assert client.list_domains().domains
                box = client.create_mailbox()
                assert client.update_mailbox(box, "demo123", "example.com").domain == "example.com"
                (message,) = client.list_messages(box)
                assert client.get_message(message).subject
                with client.stream_attachment(message.attachments[0]) as stream:
                    assert b"".join(stream)
                client.delete_message(message)
                client.delete_mailbox(box)
        finally:
            mock.terminate()


@given(st.text(max_size=70))
@example("a.b")
@example("a..b")
@example("\x06")
@example("x" * 65)
def test_the_contract_says_which_usernames_there_are(username: str) -> None:
    """A username is valid by the contract's schema exactly if the sandbox takes it."""
    assume(not re.search("[\ud800-\udfff]", username) and username not in (".", ".."))
    parameters = {parameter["name"]: parameter for parameter in OPERATIONS["update_mailbox"]["parameters"]}
    is_valid = jsonschema_rs.Draft202012Validator(parameters["username"]["schema"]).is_valid(username)
    sandbox = Sandbox(seed=1)
    headers = CIMultiDict({"Authorization": f"Bearer {sandbox.api_key}"})
    made = sandbox._service.handle("POST", "/emails", headers)
    email = json.loads(b"".join(made.body.chunks()))["data"]["email"]
    target = f"/emails/{email}/{quote(username, safe='')}/example.com"
    assert sandbox._service.handle("POST", target, headers).status == (200 if is_valid else 422)


def test_contract_and_sandbox_know_the_same_control_routes() -> None:
    """Every control route stands in its contract with its method and query, and its body with every field."""
    described = {(item["method"], item["path"]): item for item in CONTROL_OPERATIONS.values()}
    routes = {(route.method, route.path): route for route in CONTROL_ROUTES}
    assert described.keys() == routes.keys()
    for place, route in routes.items():
        operation = described[place]
        assert [item["name"] for item in operation["parameters"] if item["in"] == "query"] == list(route.query), place
        assert (route.body is not None) == ("requestBody" in operation), place
        if route.body is not None:
            variants = variants_of(operation["requestBody"]["content"]["application/json"]["schema"])
            wanted = attrs.fields(route.body)
            for schema in variants:
                assert set(schema["properties"]) == {field.name for field in wanted}, place
                assert set(schema.get("required", [])) == {f.name for f in wanted if f.default is attrs.NOTHING}, place
                assert schema["additionalProperties"] is False, place


def variants_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Follow a reference, and return the alternatives behind it."""
    if "$ref" in schema:
        return variants_of(CONTROL_CONTRACT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    variants: list[dict[str, Any]] = schema.get("oneOf", [schema])
    return variants


def test_the_control_contract_knows_every_kind_of_fault() -> None:
    """Each fault that JSON can carry is described with all of its fields, and no other is."""
    schemas = CONTROL_CONTRACT["components"]["schemas"]
    described = {name.removeprefix("Fault_"): schema for name, schema in schemas.items() if name.startswith("Fault_")}
    kinds: dict[str, Any] = {**_faults._KINDS, **_smtp_faults._KINDS}
    assert described.keys() == kinds.keys()
    for name, kind in kinds.items():
        assert set(described[name]["properties"]) == {"kind", *(field.name for field in attrs.fields(kind))}
        assert described[name]["additionalProperties"] is False


def _urllib3_is_replaced() -> bool:
    try:
        importlib.metadata.version("urllib3-future")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


needs_schemathesis = pytest.mark.skipif(
    _urllib3_is_replaced(), reason="urllib3-future stands in for urllib3, which schemathesis needs"
)


def schemathesis(folder: Path, config: str, *arguments: str) -> None:
    """Run schemathesis, which must find nothing."""
    (folder / "schemathesis.toml").write_text(config)
    options = ["--max-examples", "15", "--generation-deterministic", "--no-color"]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", *options, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(240)
@needs_schemathesis
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
    config = f"[checks.positive_data_acceptance]\nexpected-statuses = {json.dumps(accepted)}\n"
    with Sandbox(plan="premium", quota=10**6, etags=True, seed=1) as sandbox:
        target = ["--header", f"Authorization: Bearer {sandbox.api_key}", "--url", sandbox.base_url]
        schemathesis(tmp_path, config, *target, f"{sandbox.control_url}/openapi.json")
        assert len(sandbox.journal) > 100


SERIALIZER = """
import schemathesis

@schemathesis.serializer("message/rfc822")
def mail(context, value):
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
"""

# A whole e-mail needs its mailbox in the query, and a state must belong to this sandbox: beyond what a schema says.
CONTROL_CONFIG = """
hooks = "serializer.py"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "507"]
[[operations]]
include-name = "POST /messages"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "422", "507"]
[[operations]]
include-name = "PUT /state"
checks.positive_data_acceptance.expected-statuses = ["2xx", "422"]
"""


@pytest.mark.timeout(240)
@needs_schemathesis
def test_schemathesis_finds_nothing_on_the_control_routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the control contract allows is taken, what it forbids is refused, and nothing breaks the sandbox."""
    honest = State.reset

    def reset_with_mail(self: State) -> None:
        honest(self)
        self.deliver([self.open("demo123@example.com", "sandbox-key").email], b"Subject: hello\r\n\r\nhello")

    monkeypatch.setattr(State, "reset", reset_with_mail)
    (tmp_path / "serializer.py").write_text(SERIALIZER)
    with Sandbox(seed=1) as sandbox:
        contract = f"{sandbox.control_url}/openapi-control.json"
        schemathesis(tmp_path, CONTROL_CONFIG, "--exclude-path", "/events", "--url", sandbox.control_url, contract)
        with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
            sandbox.faults.clear()
            sandbox.set_account(remaining=10)
            assert client.list_messages(client.create_mailbox()) == []


def test_a_binary_answer_has_no_schema() -> None:
    """Files are bytes, which the contract leaves alone."""
    assert response_schema("stream_attachment", 200) is None
    headers = dict.fromkeys(CONTRACT["components"]["headers"], "1") | {"X-RateLimit-Reset": "2026-05-01T00:00:00+05:00"}
    assert violations("stream_attachment", Answer(200, tuple(headers.items()), BytesBlob(b"\xff"))) == []
