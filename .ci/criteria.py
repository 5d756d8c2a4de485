"""Copies the criteria of waits, which `Criteria` in `_waiting/_criteria.py` declares, to each method that takes them.

A method takes them if it has the first of them as a keyword. Its parameters, their explanations under Args and the call
that passes them on are written anew, from the first criterion to the last; the rest of the file stays as it is.
"""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH = 120

EXCEPT = {"expect_message": {"ignore"}}
"""The criteria that a method does without: what was there before the block is ignored anyway."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Edit = tuple[int, int, str]  # between which characters stands what instead


@dataclass(frozen=True)
class Criterion:
    """A criterion as it is declared: its name, and the rest in source text."""

    name: str
    type: str
    default: str
    explanation: str


def declared(source: str) -> list[Criterion]:
    """Return the criteria in the order in which the class declares them."""
    (kind,) = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == "Criteria"]
    explanations = dict(re.findall(r"^ {4}(\w+): (.*)$", ast.get_docstring(kind) or "", flags=re.MULTILINE))
    found: list[Criterion] = []
    for node in kind.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.value, ast.Call):
            continue
        name = ast.unparse(node.target)
        if not name.startswith("_"):
            (default,) = [ast.unparse(each.value) for each in node.value.keywords if each.arg == "default"]
            found.append(Criterion(name, ast.unparse(node.annotation), default, explanations[name]))
    return found


def plain(criteria: Sequence[Criterion]) -> list[Criterion]:
    """Return the criteria that can be given without Python: texts and numbers, but no patterns, functions and lists."""
    given = [each for each in criteria if not re.search("Callable|Iterable", each.type)]
    return [replace(each, type=each.type.replace("re.Pattern[str] | ", "")) for each in given]


def with_criteria(source: str, criteria: Sequence[Criterion]) -> str:
    """Return the source of a module with these criteria wherever it has criteria, not yet formatted."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    edits: list[Edit] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function) and criteria[0].name in [each.arg for each in node.args.kwonlyargs]:
            own = [each for each in criteria if each.name not in EXCEPT.get(node.name, set())]
            edits += _edits(node, own, {each.name for each in criteria}, source, starts)
    for start, end, text in sorted(edits, reverse=True):
        source = source[:start] + text + source[end:]
    return source


def _edits(
    node: Function, criteria: Sequence[Criterion], names: set[str], source: str, starts: list[int]
) -> Iterator[Edit]:
    defaults = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    parameters = [(each, default or each) for each, default in defaults if each.arg in names]
    yield (
        _place(parameters[0][0], starts)[0],
        _place(parameters[-1][1], starts)[1],
        ", ".join(f"{each.name}: {each.type} = {each.default}" for each in criteria),
    )
    for call in ast.walk(node):
        passed = [each for each in call.keywords if each.arg in names] if isinstance(call, ast.Call) else []
        if passed and passed[0].arg == criteria[0].name:
            text = ", ".join(f"{each.name}={each.name}" for each in criteria)
            yield _place(passed[0], starts)[0], _place(passed[-1], starts)[1], text
    yield from _explanations(node, criteria, names, source, starts)


def _explanations(
    node: Function, criteria: Sequence[Criterion], names: set[str], source: str, starts: list[int]
) -> Iterator[Edit]:
    """Yield the edit of the docstring, if it explains arguments one by one."""
    start, end = _place(node.body[0], starts)
    entry = rf"^ +(?:{'|'.join(map(re.escape, sorted(names)))}): .*\n(?: {{16}}.*\n)*"
    found = list(re.finditer(entry, source[start:end], flags=re.MULTILINE))
    if found:
        lines = [line for each in criteria for line in _wrapped(f"{each.name}: {each.explanation}")]
        yield start + found[0].start(), start + found[-1].end(), "".join(f"{line}\n" for line in lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * 12, subsequent_indent=" " * 16, break_on_hyphens=False)


def _place(node: ast.stmt | ast.expr | ast.arg | ast.keyword, starts: list[int]) -> tuple[int, int]:
    """Return between which characters of the source a node stands, in a line that is ASCII up to there."""
    if node.end_lineno is None or node.end_col_offset is None:
        raise ValueError("a parsed node has a place")
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
