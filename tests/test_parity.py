"""The two clients are one: what `AsyncClient` offers, `Client` offers under the same names, and nothing else."""

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
twins = pytest.mark.parametrize(("theirs", "ours"), TWINS, ids=[ours.__name__ for _, ours in TWINS])

# What a blocking program says instead. Longer words go before the words that they contain.
SPELLING = [
    (r"\basync (with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b[Aa]n async context manager\b", "a context manager"),
    (r"\ban async iterator\b", "an iterator"),
    (r"\bAsyncClient\b", "Client"),
    (r"`(AttachmentStream|ExpectedMessage|Watch)\b", r"`Blocking\1"),
]

# What it gets instead.
TYPES = {
    "AttachmentStream": "BlockingAttachmentStream",
    "ExpectedMessage": "BlockingExpectedMessage",
    "Watch": "BlockingWatch",
    "AsyncGenerator[Mailbox]": "AbstractContextManager[Mailbox]",
}

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
        for theirs, ours in TWINS
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
    assert ("__reduce__" in vars(theirs)) == ("__reduce__" in vars(ours))


@members
def test_both_take_and_return_the_same(name: str, theirs: Any, ours: Any) -> None:
    """Parameters agree in name, order, kind, default and type, and so does the type of what is returned."""
    if isinstance(theirs, property):
        theirs, ours = theirs.fget, ours.fget
    assert signature(ours) == [(*each, TYPES.get(kind, kind)) for *each, kind in signature(theirs)], name


def test_both_are_made_alike() -> None:
    """The constructors take the same arguments."""
    assert signature(Client.__init__) == signature(AsyncClient.__init__)


def signature(function: Any) -> list[tuple[Any, ...]]:
    """Return name, kind, default and annotation of each parameter, and the annotation of what is returned."""
    found = inspect.signature(function)
    parameters = [(each.name, each.kind, each.default, each.annotation) for each in found.parameters.values()]
    return [*parameters, ("return", found.return_annotation)]


@members
def test_both_are_explained_alike(name: str, theirs: Any, ours: Any) -> None:
    """The docstrings say the same, but for `async`, `await` and the names of the classes."""
    assert " ".join((ours.__doc__ or "").split()) == blocking(theirs.__doc__ or ""), name


@pytest.mark.parametrize(("theirs", "ours"), TWINS[1:], ids=[ours.__name__ for _, ours in TWINS[1:]])
def test_their_classes_are_explained_alike(theirs: type[Any], ours: type[Any]) -> None:
    """The docstrings of the classes say the same, too."""
    assert " ".join((ours.__doc__ or "").split()) == blocking(theirs.__doc__ or "")


def test_the_arguments_of_the_constructors_are_explained_alike() -> None:
    """Each argument of `Client` means what it means to `AsyncClient`, but for the session, which it cannot use."""
    theirs, ours = (arguments(cls) for cls in (AsyncClient, Client))
    assert [each for each in theirs if not each.startswith("session:")] == [
        each for each in ours if not each.startswith("session:")
    ]
    assert len(theirs) == len(ours) == len(inspect.signature(Client).parameters)


def arguments(cls: type[Any]) -> list[str]:
    """Return what a class's docstring says of each argument."""
    section = (inspect.getdoc(cls) or "").partition("Args:\n")[2].partition("\n\n")[0]
    return [" ".join(each.split()) for each in re.split(r"^ {4}(?=\w)", section, flags=re.MULTILINE)[1:]]


def test_every_coroutine_has_its_twin() -> None:
    """No method of the blocking client is a coroutine function or an asynchronous generator."""
    for name, member in chain.from_iterable(public(ours).items() for _, ours in TWINS):
        assert not inspect.iscoroutinefunction(member), name
        assert not inspect.isasyncgenfunction(member), name
