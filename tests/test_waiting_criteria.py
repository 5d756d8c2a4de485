"""Each criterion does what it says, and is there wherever criteria are given: `Criteria` is where it is declared."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import attrs
import pytest
from support.virtual import listing, message, virtual_client

from tempmailg import AsyncClient, Client, ConfigurationError, WaitTimeoutError
from tempmailg._cli._commands import cli
from tempmailg._mcp._schemas import WaitForCodeArguments, WaitForLinkArguments
from tempmailg._waiting import Criteria
from tempmailg.robot import TempMail

BOX = "box@example.com"
MANUAL = Path(__file__).parents[1] / "tempmailg" / "README.md"

DECLARED = [each for each in attrs.fields(Criteria) if not each.name.startswith("_")]
NAMES = [each.name for each in DECLARED]
PLAIN = {each.name for each in DECLARED if not re.search("Callable|Iterable", str(each.type))}
"""The criteria that can be given without Python, by a command or a keyword."""

NOT_FOR_MODELS = {"body"}
"""What the tools for language models do without: they return the code or link that the body is searched for."""

# For each criterion what the message below fulfils, what it does not, and how the error says so.
EXAMPLES: dict[str, tuple[Any, Any, str]] = {
    "subject": ("welcome", re.compile("^welcome"), "the subject lacks a match of '^welcome'"),
    "sender": ("hello@example.org", "Somebody", "the sender lacks 'Somebody'"),
    "body": ("482 913", "482914", "the body lacks '482914'"),
    "match": (attrgetter("is_html"), attrgetter("is_seen"), "match says no"),
    "ignore": (["b"], ["a"], "it is to be ignored"),
}
MESSAGE = message("a", subject="Re: Welcome", html=True, content="<p>482\n<b>913</b></p>")


def parameters(function: Callable[..., object]) -> set[str]:
    return set(inspect.signature(function).parameters)


def methods_with_criteria(kind: type) -> dict[str, set[str]]:
    """Return the names of a class's methods that take criteria, with those that each takes."""
    methods = dict(inspect.getmembers(kind, inspect.isfunction))
    found = {name: parameters(method) & set(NAMES) for name, method in methods.items()}
    return {name: taken for name, taken in found.items() if NAMES[0] in taken}


def test_every_criterion_is_tried_here() -> None:
    """A new criterion is among the examples of this file."""
    assert list(EXAMPLES) == NAMES


@pytest.mark.parametrize("name", EXAMPLES)
async def test_each_criterion_accepts_and_rejects(name: str) -> None:
    """A message that fulfils a criterion is returned, and one that does not is rejected with the reason."""
    fulfilled, unfulfilled, reason = EXAMPLES[name]
    async with virtual_client(lambda _number, _request: listing(MESSAGE)) as client:
        assert (await client.wait_for_message(BOX, timeout=0, **{name: fulfilled})).id == "a"
        with pytest.raises(WaitTimeoutError) as caught:
            await client.wait_for_message(BOX, timeout=0, **{name: unfulfilled})
    (rejected,) = caught.value.rejected
    assert rejected.endswith(f": {reason}")


@pytest.mark.parametrize("name", NAMES)
async def test_each_criterion_refuses_what_it_cannot_use(name: str) -> None:
    """A value of another type is refused at the call, by the name of the criterion, before anything is sent."""
    unusable: Any = 5
    with pytest.raises(ConfigurationError, match=f"^{name} must be "):
        Criteria(**{name: unusable})


@pytest.mark.parametrize("client", [AsyncClient, Client])
def test_every_wait_takes_every_criterion(client: type) -> None:
    """A user finds each criterion at each wait; only `expect_message` ignores what was there anyway."""
    found = methods_with_criteria(client)
    assert len(found) == 6
    assert {name: set(NAMES) - taken for name, taken in found.items()} == {
        name: {"ignore"} if name == "expect_message" else set() for name in found
    }


def test_the_command_takes_every_criterion_that_is_plain() -> None:
    """`tempmailg wait` has an option for each criterion that a shell can give."""
    assert {option.name for option in cli.commands["wait"].params} >= PLAIN


def test_the_keywords_take_every_criterion_that_is_plain() -> None:
    """Robot Framework's keywords have an argument for each criterion that a table can give, and explain it."""
    found = methods_with_criteria(TempMail)
    assert len(found) == 3
    assert all(taken == PLAIN for taken in found.values())
    explained = (TempMail.__doc__ or "").partition("= Criteria =")[2].partition("= Time =")[0]
    assert set(re.findall(r"``(\w+)``", explained)) == PLAIN


def test_the_tools_for_models_take_the_criteria_that_help_them() -> None:
    """A criterion is an argument of the tools that wait, or there is a reason why it is not."""
    for arguments in (WaitForCodeArguments, WaitForLinkArguments):
        assert arguments.model_fields.keys() & set(NAMES) == PLAIN - NOT_FOR_MODELS


def test_the_manual_explains_every_criterion() -> None:
    """The manual's table of criteria has a row for each, in the order of the signatures, and none that is gone."""
    table = MANUAL.read_text(encoding="utf-8").partition("| Criterion |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)=` \|", table, flags=re.MULTILINE) == NAMES
