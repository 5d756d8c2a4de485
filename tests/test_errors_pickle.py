"""Errors travel between processes and are copied without losing anything."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.scripted import ScriptedTransport, answer

import tempmailg
from tempmailg import AsyncClient, Quota
from tempmailg import _errors as err

QUOTA = Quota(limit=10, used=3, remaining=7, resets_at=datetime(2026, 5, 1, tzinfo=UTC))
CLASSES = sorted(
    (kind for _, kind in inspect.getmembers(err, inspect.isclass) if issubclass(kind, err.TempMailError)),
    key=lambda kind: kind.__name__,
)
OWN_FIELDS: dict[str, Any] = {
    "headers": {"CF-Ray": "8f1a-FRA"},
    "from_service": True,
    "sent": True,
    "retry_after": 7.5,
    "errors": {"username": ("too short", "taken")},
    "resets_at": datetime(2026, 5, 1, tzinfo=UTC),
    "waited": 12.0,
    "looks": 3,
    "quota_spent": 2,
    "rejected": ("the subject does not match",),
    "last_error": err.ServerError("status 502", status=502),
    "email": "box@example.com",
    "paths": (Path("a.txt"), None),
    "failures": (("b.txt", err.NotFoundError("status 404", status=404)),),
}


def pickled(protocol: int) -> Callable[[Any], Any]:
    return lambda error: pickle.loads(pickle.dumps(error, protocol))


ROUND_TRIPS: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {protocol}": pickled(protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def filled(kind: type[err.TempMailError]) -> err.TempMailError:
    """Return an error with a value in each field that its class knows."""
    error = kind(
        "what happened: grüße", call="list_messages", status=418, body="beginning", quota=QUOTA, attempts=3, elapsed=1.5
    )
    for name, value in OWN_FIELDS.items():
        if hasattr(kind, name):
            setattr(error, name, value)
    return error


def compared(error: err.TempMailError) -> tuple[Any, ...]:
    """Return what must arrive; no two errors are equal, so those inside count as texts."""
    fields = {name: value for name, value in vars(error).items() if name not in ("last_error", "failures")}
    fields["request_id"] = error.request_id
    inside: list[object] = [
        getattr(error, "last_error", None),
        *(failure for _, failure in getattr(error, "failures", ())),
    ]
    names: list[str] = [name for name, _ in getattr(error, "failures", ())]
    texts = [(type(each).__name__, str(each), getattr(each, "status", None)) for each in inside]
    return type(error), str(error), error.args, fields, names, texts


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("way", ROUND_TRIPS)
def test_every_error_survives_the_journey(way: str, kind: type[err.TempMailError]) -> None:
    """Class, message and all fields arrive, whether they were set or not."""
    for error in (kind(), kind("only a message"), filled(kind)):
        assert compared(ROUND_TRIPS[way](error)) == compared(error)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_fresh_error_has_all_of_its_fields(kind: type[err.TempMailError]) -> None:
    """Code that handles an error may read every documented field without asking whether it is there."""
    error = kind("text")
    documented = [name for base in kind.__mro__ for name in _attributes_of(base)]
    assert documented
    for name in documented:
        getattr(error, name)


def _attributes_of(kind: type) -> list[str]:
    """Return the names that a class's docstring lists as attributes."""
    if not issubclass(kind, err.TempMailError):
        return []
    section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:")[2]
    return re.findall(r"^    (\w+): ", section, re.MULTILINE)


def test_every_error_is_public_and_has_one_base() -> None:
    """Each class is exported, and `except TempMailError` catches them all."""
    assert {kind.__name__ for kind in CLASSES} <= set(tempmailg.__all__)
    assert set(err.__all__) == {kind.__name__ for kind in CLASSES}


@pytest.mark.parametrize(
    "step",
    [
        answer({"message": "no", "errors": {"a": ["b"]}}, status=422),
        answer({}, status=429, headers={"Retry-After": "99"}),
        answer({}, status=429, headers={"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0"}),
        answer({"status": False, "message": "no"}),
        answer(body=b"{"),
    ],
    ids=["422", "429", "quota", "rejected", "no JSON"],
)
async def test_an_error_that_was_raised_travels_too(step: Any) -> None:
    """What a call really raises, with quota, attempts and all, arrives whole in another process."""
    with pytest.raises(err.TempMailError) as caught:
        await AsyncClient("key", transport=ScriptedTransport(step), max_retries=0).list_messages("box@example.com")
    for way in ROUND_TRIPS.values():
        assert compared(way(caught.value)) == compared(caught.value)
