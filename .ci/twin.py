"""Writes what follows from elsewhere: the criteria of waits, and `tempmailg/_blocking.py`, the methods of `Client`.

    python .ci/twin.py            writes the files
    python .ci/twin.py --check    fails if a file is not what would be written

The criteria in `_client.py` and `robot.py` follow from `_waiting/_criteria.py`: see `criteria.py` beside this script.

`Client` follows from `AsyncClient`. Signatures and docstrings are copied, in the words of a blocking program; each body
is one statement, by the kind of the method. What cannot be derived stands in `_twins.py`.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from criteria import declared, plain, with_criteria

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
WIDTH = 120

HEAD = '''\
# Generated from _client.py by `python .ci/twin.py`: do not edit.
"""`Client`: `AsyncClient` for programs without an event loop, run on the portal."""
'''

SUMMARY = """\
The Temp Mail user API for programs without an event loop.

Use it as ``with Client() as client:``, or call `close` when done. Any number of threads may share one client. All
clients of a process work on one background thread, which lives as long as one of them is open.

"""

# What a parameter of the constructor means here, where it means something else.
ARGUMENTS = {
    "session": "Must be None: an aiohttp session belongs to the event loop on which it was made; see `AsyncClient`.",
}

# What a blocking program says instead.
SPELLING = [
    (r"\basync (with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b([Aa])n async context manager\b", r"\1 context manager"),
    (r"\b([Aa])n async iterator\b", r"\1n iterator"),
    (r"\b([Aa])n `AsyncClient\b", r"\1 `Client"),
    (r"\bAsyncClient\b", "Client"),
]

# The methods whose bodies do not follow from their kind.
BODIES = {
    "close": "super().close()",
    "with_options": "return self._sibling(self._client.with_options({arguments}))",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class UntranslatableError(Exception):
    """There is something in the source of a kind that this script does not know."""


class Twin:
    """The text of `Client`, derived from the text of `AsyncClient`."""

    def __init__(self, source: str, by_hand: str) -> None:
        self._lines = source.splitlines()
        self._tree = ast.parse(source)
        self._classes = {
            name.removeprefix("Blocking"): name for name in exports(by_hand) if name.startswith("Blocking")
        }

    def text(self) -> str:
        """Return the whole module, not yet formatted."""
        (client,) = [node for node in self._tree.body if isinstance(node, ast.ClassDef) and node.name == "AsyncClient"]
        members = [node for node in client.body if isinstance(node, Function)]
        parts = [f'"""{SUMMARY}{self._arguments(client)}"""', ""]
        parts += [self._constructor(node) for node in members if node.name == "__init__"]
        parts += [self._method(node) for node in members if not node.name.startswith("_")]
        body = "@public\nclass Client(ClientBase):\n" + textwrap.indent("\n".join(parts), "    ", has_text)
        return f"{HEAD}\n{self._imports(body)}\n\n__all__ = ['Client']\n\n\n{body}"

    def _constructor(self, node: Function) -> str:
        passed = arguments(node, without="session")
        names = ", ".join(each.arg for each in parameters(node))
        return (
            f"{self._signature(node)}\n"
            "    try:\n"
            "        refuse_session(session)\n"
            f"        client = AsyncClient({passed})\n"
            "    except err.ConfigurationError as error:\n"
            "        # Some arguments are secret, and a traceback may show the locals of its frames.\n"
            f"        del {names}\n"
            "        raise error.with_traceback(None) from None\n"
            "    super().__init__(client)\n"
        )

    def _method(self, node: Function) -> str:
        decorators = "".join(f"@{ast.unparse(each)}\n" for each in node.decorator_list if not makes_block(each))
        return f"{decorators}{self._signature(node)}\n{self._docstring(node)}\n    {self._body(node)}\n"

    def _body(self, node: Function) -> str:
        passed = arguments(node)
        if node.name in BODIES:
            return BODIES[node.name].format(arguments=passed)
        decorators = [ast.unparse(each) for each in node.decorator_list]
        returned = ast.unparse(node.returns) if node.returns else "None"
        if decorators == ["property"]:
            return f"return self._client.{node.name}"
        if decorators == ["asynccontextmanager"]:
            return f"return Block(self._lease, self._client.{node.name}({passed}))"
        if decorators or any(isinstance(each, (ast.Yield, ast.YieldFrom)) for each in ast.walk(node)):
            raise UntranslatableError(f"{node.name} is of a kind that .ci/twin.py does not know: teach it")
        if isinstance(node, ast.AsyncFunctionDef):
            given = f", {passed}" if passed else ""
            return f"{'' if returned == 'None' else 'return '}self._lease.run(self._client.{node.name}{given})"
        if returned in self._classes:
            return f"return {self._classes[returned]}(self._lease, self._client.{node.name}({passed}))"
        return f"return self._client.{node.name}({passed})"

    def _signature(self, node: Function) -> str:
        """Return the signature as it is written, comments included."""
        written = textwrap.dedent("\n".join(self._lines[node.lineno - 1 : node.body[0].lineno - 1])).rstrip()
        head, arrow, result = written.rpartition(" -> ")
        result = re.sub(r"^AsyncGenerator\[(\w+)\]", r"AbstractContextManager[\1]", result)
        result = re.sub(r"^\w+", lambda match: self._classes.get(match[0], match[0]), result)
        return head.removeprefix("async ") + arrow + result

    def _docstring(self, node: Function) -> str:
        """Return the docstring in the words of a blocking program, paragraphs filled anew where these differ."""
        if ast.get_docstring(node) is None:
            raise UntranslatableError(f"{node.name} has no docstring")
        written = "\n".join(self._lines[node.body[0].lineno - 1 : node.body[0].end_lineno])
        found: list[str] = []
        for paragraph in paragraphs(textwrap.dedent(written).splitlines()):
            text = " ".join(line.strip() for line in paragraph)
            spelled = self._spell(text)
            found += paragraph if spelled == text else filled(paragraph, spelled, WIDTH - 8)
        return textwrap.indent("\n".join(found), "    ", has_text)

    def _spell(self, text: str) -> str:
        for pattern, replacement in SPELLING:
            text = re.sub(pattern, replacement, text)
        return re.sub(r"`(\w+)\b", lambda match: f"`{self._classes.get(match[1], match[1])}", text)

    def _arguments(self, node: ast.ClassDef) -> str:
        """Return the sections of the class's docstring, with the arguments that mean something else here."""
        head, mark, sections = (ast.get_docstring(node) or "").partition("Args:\n")
        if not mark:
            raise UntranslatableError(f"the docstring of {node.name} has no Args, only: {head}")
        found: list[str] = []
        for paragraph in paragraphs((mark + sections).splitlines()):
            name = paragraph[0].strip().partition(":")[0]
            other = f"{name}: {ARGUMENTS[name]}" if name in ARGUMENTS else ""
            found += filled(paragraph, other, WIDTH - 4) if other else paragraph
        return "\n".join(found) + "\n"

    def _imports(self, body: str) -> str:
        """Return the imports that a class needs: those of `_client.py` that it uses, and those of its own."""
        used, at_run_time = names_of(body)
        own = sorted(used & {*self._classes.values(), "Block"} | {"ClientBase", "refuse_session"})
        imports = [
            "from __future__ import annotations",
            "from typing import TYPE_CHECKING",
            "from tempmailg import _errors as err",
            "from tempmailg._client import AsyncClient",
            "from tempmailg._public import public",
            f"from tempmailg._twins import {', '.join(own)}",
        ]
        guarded = ["from contextlib import AbstractContextManager"] if "AbstractContextManager" in used else []
        for statement, name in imported(self._tree):
            if name not in used or name in {"err", "public", "AbstractContextManager"}:  # imported above
                continue
            (imports if name in at_run_time or statement.startswith("from typing ") else guarded).append(statement)
        return "\n".join([*imports, "if TYPE_CHECKING:", *(f"    {each}" for each in guarded)])


def exports(source: str) -> list[str]:
    """Return the names in a module's `__all__`."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise UntranslatableError("_twins.py has no __all__")


def parameters(node: Function) -> list[ast.arg]:
    """Return the parameters of a method, self left out."""
    given = node.args
    rest = [each for each in (given.vararg, given.kwarg) if each is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest][1:]


def arguments(node: Function, without: str | None = None) -> str:
    """Return how a method passes its parameters on: in the way in which it takes them."""
    given = node.args
    passed = [each.arg for each in [*given.posonlyargs, *given.args][1:]]
    passed += [f"*{given.vararg.arg}"] if given.vararg else []
    passed += [f"{each.arg}={each.arg}" for each in given.kwonlyargs if each.arg != without]
    passed += [f"**{given.kwarg.arg}"] if given.kwarg else []
    return ", ".join(passed)


def makes_block(decorator: ast.expr) -> bool:
    """Return whether a decorator makes an asynchronous context manager, which `Block` is here."""
    return ast.unparse(decorator) == "asynccontextmanager"


def has_text(line: str) -> bool:
    """Return whether a line is to be indented."""
    return bool(line.strip())


def paragraphs(lines: list[str]) -> list[list[str]]:
    """Split a docstring into what may be filled anew by itself: paragraphs, entries of sections, lines of code."""
    found: list[list[str]] = []
    code = False
    for number, line in enumerate(lines):
        before = lines[number - 1] if number else ""
        code = line.strip() == "::" or (code and (not line.strip() or line.startswith("    ")))
        entry = re.match(r" {4}[*\w]+: ", line) or not line.strip() or not before.strip() or before.endswith("s:")
        if code or entry or not found:
            found.append([line])
        else:
            found[-1].append(line)
    return found


def filled(paragraph: list[str], text: str, width: int) -> list[str]:
    """Fill a paragraph with another text, indented as it was."""
    indent = paragraph[0][: len(paragraph[0]) - len(paragraph[0].lstrip())]
    following = " " * 8 if re.match(r" {4}[*\w]+: ", paragraph[0]) else indent
    wrapper = textwrap.TextWrapper(width, indent, following, break_long_words=False, break_on_hyphens=False)
    return wrapper.wrap(text)


def names_of(body: str) -> tuple[set[str], set[str]]:
    """Return the names that a class uses, and those of them that are needed at run time, for defaults."""
    tree = ast.parse(body)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    defaults = [each for node in functions for each in [*node.args.defaults, *node.args.kw_defaults] if each]
    return used, {node.id for default in defaults for node in ast.walk(default) if isinstance(node, ast.Name)}


def imported(tree: ast.Module) -> list[tuple[str, str]]:
    """Return each import of a module as a statement of its own, with the name that it binds."""
    found: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            origin = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                renamed = f" as {alias.asname}" if alias.asname else ""
                found.append((f"{origin}import {alias.name}{renamed}", alias.asname or alias.name))
    return found


def formatted(text: str, name: str) -> str:
    """Return a module's text as ruff sorts and formats it."""
    for command in (["check", "--fix", "--quiet", "--select", "I"], ["format"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", f"tempmailg/{name}", "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return text


def written(package: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of a package that follows from others, with the text that it must have.

    Raises:
        UntranslatableError: There is something in `_client.py` of a kind that this script does not know.
    """
    criteria = declared(text_of(package / "_waiting" / "_criteria.py"))
    client, robot, blocking = (package / name for name in ("_client.py", "robot.py", "_blocking.py"))
    source = formatted(with_criteria(text_of(client), criteria), client.name)
    yield client, source
    yield robot, formatted(with_criteria(text_of(robot), plain(criteria)), robot.name)
    try:
        yield blocking, formatted(Twin(source, text_of(package / "_twins.py")).text(), blocking.name)
    except UntranslatableError as error:
        raise UntranslatableError(f"{client}: {error}") from None


def text_of(file: Path) -> str:
    """Return what a file holds."""
    return file.read_text(encoding="utf-8")


def main() -> int:
    """Write the files, or check that they are written."""
    parser = argparse.ArgumentParser(description="Write the criteria of waits and tempmailg/_blocking.py.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    parser.add_argument("--package", type=Path, default=ROOT / "tempmailg", help="the folder of the files")
    options = parser.parse_args()
    try:
        texts = dict(written(options.package))
    except UntranslatableError as error:
        sys.exit(str(error))
    for target, text in texts.items():
        if target.exists() and text_of(target) == text:
            continue
        if options.check:
            sys.exit(f"{target} is out of date: run `python .ci/twin.py`")
        target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
