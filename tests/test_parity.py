"""The two clients are one: what the asynchronous classes offer, the blocking ones offer, and nothing else.

The methods of `Client` are generated from those of `AsyncClient` (see test_twin); what is written by hand is compared
here.
"""

from __future__ import annotations

import inspect
import re
from itertools import chain
from typing import Any

import pytest

from tempmailg import (
    AsyncClient,
    AttachmentStream,
    BlockingAttachmentStream,
    BlockingExpectedMessage,
    BlockingWatch,
    Client,
    ExpectedMessage,
    Watch,
)

TWINS: list[tuple[type[Any], type[Any]]] = [
    (AsyncClient, Client),
    (AttachmentStream, BlockingAttachmentStream),
    (ExpectedMessage, BlockingExpectedMessage),
    (Watch, BlockingWatch),
]
BY_HAND = TWINS[1:]
twins = pytest.mark.parametrize(("theirs", "ours"), TWINS, ids=[ours.__name__ for _, ours in TWINS])
by_hand = pytest.mark.parametrize(("theirs", "ours"), BY_HAND, ids=[ours.__name__ for _, ours in BY_HAND])

# What a blocking program says instead.
SPELLING = [
    (r"\ban async context manager\b", "a context manager"),
    (r"\ban async iterator\b", "an iterator"),
    (r"\bAsyncClient\b", "Client"),
]

# The special methods that make an object a context manager or an iterator.
PROTOCOLS = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__", "__anext__": "__next__"}


def blocking(text: str) -> str:
    """Return a text about the asynchronous client as it reads for the blocking one."""
    for pattern, replacement in SPELLING:
        text = re.sub(pattern, replacement, text)
    return " ".join(text.split())  # line ends move with the length of the words


def public(cls: type[Any]) -> dict[str, Any]:
    """Return the methods and properties that a class offers, bases included, methods unwrapped of decorators."""
    return {name: inspect.unwrap(member) for name, member in inspect.getmembers(cls) if not name.startswith("_")}


def pairs() -> list[tuple[str, Any, Any]]:
    """Return each member that both twins have, with its name."""
    return [
        (f"{ours.__name__}.{name}", public(theirs)[name], public(ours)[name])
        for theirs, ours in BY_HAND
        for name in public(theirs)
        if name in public(ours)
    ]


members = pytest.mark.parametrize(("name", "theirs", "ours"), pairs(), ids=[name for name, *_ in pairs()])


@twins
def test_both_offer_the_same_names(theirs: type[Any], ours: type[Any]) -> None:
    """No method or property is missing on either side; what is a plain attribute there may be a property here."""
    attributes = set(getattr(theirs, "__annotations__", {})) | set(
        re.findall(r"^    (\w+):", attributes_of(theirs), re.MULTILINE)
    )
    assert set(public(theirs)) | attributes == set(public(ours))


def attributes_of(cls: type[Any]) -> str:
    return (inspect.getdoc(cls) or "").partition("Attributes:\n")[2]


@twins
def test_both_follow_the_same_protocols(theirs: type[Any], ours: type[Any]) -> None:
    """An asynchronous context manager or iterator is a plain one here, and what is neither there is neither here."""
    for there, here in PROTOCOLS.items():
        assert hasattr(theirs, there) == hasattr(ours, here), here
    assert defines_reduce(theirs) == defines_reduce(ours)


def defines_reduce(cls: type[Any]) -> bool:
    return any("__reduce__" in vars(each) for each in cls.__mro__ if each is not object)


@members
def test_both_take_and_return_the_same(name: str, theirs: Any, ours: Any) -> None:
    """Parameters agree in name, order, kind, default and type, and so does the type of what is returned."""
    if isinstance(theirs, property):
        theirs, ours = theirs.fget, ours.fget
    assert signature(ours) == signature(theirs), name


def signature(function: Any) -> list[tuple[Any, ...]]:
    """Return name, kind, default and annotation of each parameter, and the annotation of what is returned."""
    found = inspect.signature(function)
    parameters = [(each.name, each.kind, each.default, each.annotation) for each in found.parameters.values()]
    return [*parameters, ("return", found.return_annotation)]


@members
def test_both_are_explained_alike(name: str, theirs: Any, ours: Any) -> None:
    """The docstrings say the same, but for `async`, `await` and the names of the classes."""
    assert " ".join((ours.__doc__ or "").split()) == blocking(theirs.__doc__ or ""), name


@by_hand
def test_their_classes_are_explained_alike(theirs: type[Any], ours: type[Any]) -> None:
    """The docstrings of the classes say the same, too."""
    assert " ".join((ours.__doc__ or "").split()) == blocking(theirs.__doc__ or "")


def test_every_coroutine_has_its_twin() -> None:
    """No method of the blocking client is a coroutine function or an asynchronous generator."""
    for name, member in chain.from_iterable(public(ours).items() for _, ours in TWINS):
        assert not inspect.iscoroutinefunction(member), name
        assert not inspect.isasyncgenfunction(member), name
