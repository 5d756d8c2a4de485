"""The contract as a judge of answers and as a source of examples.

`violations` compares an answer with `openapi.json`; `watched` does so for every honest answer that any sandbox of this
process gives. `examples` makes values of a schema, with the forms that `x-tolerated` lists if asked to.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta, timezone
from typing import Any, Final, cast

import jsonschema_rs
from hypothesis import strategies as st

from tempmailg.sandbox import _service
from tempmailg.sandbox._answers import Answer
from tempmailg.sandbox._contract import contract, control_contract
from tempmailg.sandbox._handlers import EndpointRoute
from tempmailg.sandbox._routes import Match

__all__ = [
    "CONTRACT",
    "CONTROL_CONTRACT",
    "CONTROL_OPERATIONS",
    "OPERATIONS",
    "contradictions",
    "examples",
    "response_schema",
    "violations",
    "watched",
]

CONTRACT: Final[dict[str, Any]] = contract("http://sandbox.invalid/api")
CONTROL_CONTRACT: Final[dict[str, Any]] = control_contract("http://sandbox.invalid/_sandbox")


def _operations_of(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: {**operation, "method": method.upper(), "path": path}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


OPERATIONS: Final = _operations_of(CONTRACT)
CONTROL_OPERATIONS: Final = _operations_of(CONTROL_CONTRACT)


def resolved(part: Mapping[str, Any]) -> dict[str, Any]:
    """Follow a reference into the contract's components."""
    if "$ref" not in part:
        return dict(part)
    target: Any = CONTRACT
    for step in part["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return cast("dict[str, Any]", target)


def contradictions(endpoints: Iterable[EndpointRoute], operations: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return where the sandbox's table of endpoints and the operations of a contract do not say the same."""
    played = {route.name: (route.method, route.path, route.query) for route in endpoints}
    described = {name: (item["method"], item["path"], _query_of(item)) for name, item in operations.items()}
    missing = [
        f"{name} stands in one of sandbox and contract only" for name in sorted(played.keys() ^ described.keys())
    ]
    both = [name for name in played if name in described]
    return missing + [f"{name} differs: {played[name]}" for name in both if played[name] != described[name]]


def _query_of(operation: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query")


def response_schema(operation: str, status: int) -> dict[str, Any] | None:
    """Return the schema of an answer's JSON, or None if it has none."""
    response = resolved(OPERATIONS[operation]["responses"][str(status)])
    content = response.get("content", {}).get("application/json")
    return cast("dict[str, Any]", content["schema"]) if content else None


def violations(operation: str, answer: Answer) -> list[str]:
    """Return what an answer does that the contract does not allow; unknown fields and headers of ours included."""
    if str(answer.status) not in OPERATIONS[operation]["responses"]:
        return [f"{operation}: the contract has no status {answer.status}"]
    wrong = (*_wrong_headers(operation, answer), *_wrong_body(operation, answer))
    return [f"{operation} {answer.status}: {text}" for text in wrong]


def _wrong_headers(operation: str, answer: Answer) -> Iterator[str]:
    found = dict(answer.headers)
    for name, validator in _header_validators(operation, answer.status).items():
        if name in found and not validator.is_valid(found[name]):
            yield f"the header {name} is {found[name]!r}"
        if name.startswith("X-RateLimit") and name not in found:
            yield f"the header {name} is missing"


def _wrong_body(operation: str, answer: Answer) -> Iterator[str]:
    validator = _body_validator(operation, answer.status)
    if validator is not None:
        for error in validator.iter_errors(json.loads(b"".join(answer.body.chunks()))):
            yield f"{list(error.instance_path)}: {error.message}"


@functools.cache
def _header_validators(operation: str, status: int) -> dict[str, jsonschema_rs.Draft202012Validator]:
    response = resolved(OPERATIONS[operation]["responses"][str(status)])
    return {name: _validator(resolved(header)["schema"]) for name, header in response.get("headers", {}).items()}


@functools.cache
def _body_validator(operation: str, status: int) -> jsonschema_rs.Draft202012Validator | None:
    schema = response_schema(operation, status)
    return _validator(schema) if schema else None


def _validator(schema: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
    whole = {**schema, "components": _strict(CONTRACT["components"])}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def _strict(part: Any) -> Any:
    """Forbid fields that the contract does not name: the sandbox must not invent any."""
    if isinstance(part, list):
        return [_strict(item) for item in part]  # pyright: ignore[reportUnknownVariableType] - JSON can be anything
    if not isinstance(part, dict):
        return part
    strict = {name: _strict(value) for name, value in cast("dict[str, Any]", part).items()}
    return {**strict, "additionalProperties": False} if "properties" in strict else strict


@contextmanager
def watched(found: list[str]) -> Generator[None]:
    """Compare every honest answer with the contract while the block runs, and collect what is wrong."""
    honest: Callable[..., Answer] = _service.Service._answer

    def judged(self: _service.Service, match: Match[EndpointRoute], headers: Mapping[str, str]) -> Answer:
        answer = honest(self, match, headers)
        found.extend(violations(match.route.name, answer))
        return answer

    _service.Service._answer = judged  # type: ignore[method-assign]  # the point of the exercise
    try:
        yield
    finally:
        _service.Service._answer = honest  # type: ignore[method-assign]  # as it was


# ------------------------------------------------------------------------------------------------------- examples


def examples(schema: Mapping[str, Any], *, tolerated: bool = False) -> st.SearchStrategy[Any]:
    """Make values of a schema of the contract.

    Args:
        schema: The schema.
        tolerated: Whether values may also have the forms that a client must tolerate.
    """
    schema = resolved(schema)
    honest = _honest_examples(schema, tolerated=tolerated)
    others: list[dict[str, Any]] = schema.get("x-tolerated", []) if tolerated else []
    return st.one_of(honest, *(_honest_examples(other, tolerated=True) for other in others))


def _honest_examples(schema: Mapping[str, Any], *, tolerated: bool) -> st.SearchStrategy[Any]:
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "object":
        return _objects(schema, tolerated=tolerated)
    if schema["type"] == "array":
        return st.lists(examples(schema["items"], tolerated=tolerated), max_size=3)
    if schema["type"] == "string":
        return _texts(schema)
    return {"integer": st.integers(schema.get("minimum"), 2**53), "boolean": st.booleans(), "null": st.none()}[
        schema["type"]
    ]


def _objects(schema: Mapping[str, Any], *, tolerated: bool) -> st.SearchStrategy[Any]:
    fields = {name: examples(part, tolerated=tolerated) for name, part in schema.get("properties", {}).items()}
    if not tolerated:
        return st.fixed_dictionaries(fields)
    return st.fixed_dictionaries(fields, optional={"a_field_of_tomorrow": st.integers()})


def _texts(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "date-time":
        return st.datetimes(timezones=_OFFSETS).map(lambda time: time.isoformat(timespec="seconds"))
    if schema.get("format") == "x-naive-time":
        return st.datetimes().map(lambda time: time.isoformat(" ", timespec="seconds"))
    if "pattern" in schema:
        pattern: str = schema["pattern"]
        return st.from_regex(pattern, fullmatch=True)
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=schema.get("minLength", 0))


_OFFSETS: Final = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
