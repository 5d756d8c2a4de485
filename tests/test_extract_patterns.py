"""No pattern of the extraction room backtracks: its time grows with the text, never with its square."""

from __future__ import annotations

import importlib
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any, cast

import pytest

from tempmailg._extract import _typed
from tempmailg._extract._patterns import Pattern

_MODULES = (
    "__init__",
    "_address",
    "_codes",
    "_context",
    "_html",
    "_links",
    "_page",
    "_quotes",
    "_shapes",
    "_typed",
    "_words",
)
_SIZE = 2_000
_UNMEASURED = 0.005
"""Seconds below which a pattern is linear beyond doubt: 4 million steps take longer."""

_PUMPS = (
    *("a", "A", "1", " ", "\t", "\n", "-", "_", ".", ",", ":", ";", "/", "@", "#", "*", "=", "'", '"', "<", ">", "&"),
    *("{", "}", "(", ")", "%", "+", "é", "验", "\u200c", "\xad", "$", "~", "?"),
    *(
        "a-",
        "A-",
        "1-",
        "1 ",
        "A ",
        "1\n",
        "a ",
        "a.",
        "a@",
        "a/",
        "/*",
        "*/",
        "<a",
        "<a ",
        '="',
        "='",
        "= ",
        "<!",
        "<!--",
    ),
    *(
        "--",
        "-->",
        "--!",
        "@a{",
        "a{}",
        ".a{",
        "@{",
        "a:",
        ": ",
        ":0",
        "> ",
        ">\n",
        "---\n",
        "a: b\n",
        "https://",
        "www.",
    ),
    *(
        "a.b",
        "a.b/",
        "utm_",
        "1a",
        "a1",
        "A1-",
        "xx",
        "*1",
        "@a.b #",
        "$1",
        "display:",
        "font",
        "font-size:",
        "</",
        "\r\n",
    ),
)


def _patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for module in _MODULES:
        found = vars(importlib.import_module(f"tempmailg._extract.{module}".removesuffix(".__init__")))
        for name, value in found.items():
            yield from _inside(f"{module}.{name}", value)
    yield from _inside("_typed.forms", tuple(_typed.forms()))


def _inside(name: str, value: Any) -> Iterator[tuple[str, re.Pattern[str]]]:
    if isinstance(value, re.Pattern):
        yield name, cast("re.Pattern[str]", value)
    elif isinstance(value, Pattern):
        yield name, value.ready
    elif isinstance(value, dict):
        for key, item in cast("dict[object, Any]", value).items():
            yield from _inside(f"{name}[{key}]", item)
    elif isinstance(value, tuple):
        for index, item in enumerate(cast("Iterable[Any]", value)):
            yield from _inside(f"{name}[{index}]", item)


def _seconds(pattern: re.Pattern[str], text: str) -> float:
    start = time.process_time()
    for _ in pattern.finditer(text):
        pass
    return time.process_time() - start


def _is_linear(pattern: re.Pattern[str], pump: str) -> bool:
    """Whether twice the text takes at most 2.6 times as long, given five tries on a busy machine."""
    short, long = pump * (_SIZE // len(pump)), pump * (2 * _SIZE // len(pump))
    for _ in range(5):
        once = _seconds(pattern, short)
        if once < _UNMEASURED or _seconds(pattern, long) <= 2.6 * once:
            return True
    return False


@pytest.mark.parametrize(("name", "pattern"), [pytest.param(*found, id=found[0]) for found in _patterns()])
def test_time_grows_with_the_text(name: str, pattern: re.Pattern[str]) -> None:
    """A repeated character or word of any kind costs a pattern time in proportion to its length."""
    slow = [pump for pump in _PUMPS if not _is_linear(pattern, pump)]
    assert not slow, f"{name} backtracks on {slow}"


def test_every_module_is_searched() -> None:
    """The check covers the patterns of the whole room, those in tables included."""
    names = [name for name, _ in _patterns()]
    assert {name.partition(".")[0] for name in names} >= {
        "_codes",
        "_html",
        "_links",
        "_page",
        "_quotes",
        "_shapes",
        "_words",
    }
    assert any("[" in name for name in names)
