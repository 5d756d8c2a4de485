"""The shape of the package: layers, public names, docstrings and light imports are promises too."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import tempmailg
from tempmailg import _waiting

PACKAGE = Path(tempmailg.__file__).parent
TESTS = Path(__file__).parent

MANUAL = (TESTS / "README.md").read_text(encoding="utf-8")


def table_of_rooms() -> dict[str, set[str]]:
    """Return the rooms in the order of the contributors' table, each with the libraries that it may know."""
    rows = re.search(r"<!-- rooms -->\n.*\n.*\n((?:\|.*\n)+)", MANUAL)
    assert rows, "tests/README.md has no table behind <!-- rooms -->"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1].splitlines()]
    return {room.strip("`").removesuffix("/").removesuffix(".py"): _words(libraries) for room, _, libraries in cells}


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(",") if word.strip()}


LIBRARIES = table_of_rooms()
ROOMS = list(LIBRARIES)


def rooms() -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        found.append((inside.parts[0] if len(inside.parts) > 1 else inside.stem, path))
    return found


def imports_of(path: Path) -> list[tuple[str, str | None]]:
    """Return the modules that a file imports, each with the name taken from it."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


def room_named(module: str, name: str | None) -> str | None:
    """Return the room that an import reaches, or None for a module that is not ours."""
    parts = module.split(".")
    if parts[0] != "tempmailg":
        return None
    if len(parts) > 1:
        return parts[1]
    return name if name in ROOMS else "__init__"


def test_the_table_of_rooms_is_complete() -> None:
    """The contributors' table names each room of the package, and none that is gone."""
    assert set(ROOMS) == {room for room, _ in rooms()}
    for room, libraries in LIBRARIES.items():
        code = "".join(path.read_text(encoding="utf-8") for name, path in rooms() if name == room)
        assert {library for library in libraries if library not in code} == set(), f"{room} no longer needs them"


@pytest.mark.parametrize(("room", "path"), rooms(), ids=lambda value: value.name if isinstance(value, Path) else value)
def test_a_room_imports_only_from_rooms_above_it(room: str, path: Path) -> None:
    """Dependencies between the modules go one way, in the order of the contributors' table."""
    assert room in ROOMS, f"say in the table of tests/README.md where {room} stands"
    for module, name in imports_of(path):
        other = room_named(module, name)
        if other is not None and other != room:
            above = ROOMS.index(other) < ROOMS.index(room)
            assert above or only_for_types(path, module), f"{path.name} imports {other}, which stands below it"


def only_for_types(path: Path, module: str) -> bool:
    """Say whether a file imports a module below `if TYPE_CHECKING:` only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    return all(node in guarded for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == module)


@pytest.mark.parametrize("room", sorted({room for room, path in rooms() if path.parent != PACKAGE}))
def test_the_files_of_a_room_import_each_other_in_one_direction(room: str) -> None:
    """No file of a room imports one that imports it, however far around and even for types alone."""
    files = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
        for name, path in rooms()
        if name == room and path.stem != "__init__"
    }
    below = {name: {module for module, _ in imports_of(path)} & files.keys() for name, path in files.items()}
    while free := {name for name, others in below.items() if not others}:
        below = {name: others - free for name, others in below.items() if name not in free}
    assert not below, f"these import each other: {below}"


@pytest.mark.parametrize(("room", "path"), rooms(), ids=lambda value: value.name if isinstance(value, Path) else value)
def test_each_library_is_known_to_its_room_alone(room: str, path: Path) -> None:
    """aiohttp, cattrs, anyio and the rest stay behind one door each."""
    ours_and_everybodys = {"tempmailg", "attrs", *sys.stdlib_module_names}
    used = {module.split(".")[0] for module, _ in imports_of(path)}
    assert used - ours_and_everybodys <= LIBRARIES[room], "name it in the table of tests/README.md"


def test_the_public_surface_is_what_it_says() -> None:
    """Each public name loads, is listed once, in order, and comes from where the type checkers see it."""
    names = [name for name in tempmailg.__all__ if name != "__version__"]
    assert names == sorted(names)
    assert sorted(homes_of(tempmailg)) == names
    for name in names:
        value = getattr(tempmailg, name)
        assert name in {"DomainType", value.__name__}
        assert name == "DomainType" or value.__module__ == "tempmailg", f"decorate {name} with @public"
    assert set(tempmailg.__all__) <= set(dir(tempmailg))
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        getattr(tempmailg, "Nonsense")  # noqa: B009 - the point of the test


def homes_of(package: ModuleType) -> dict[str, str]:
    """Return the names of a package that load on first use, each with the module in which it lives."""
    homes: dict[str, tuple[str, ...]] = package._HOMES
    return {name: home for home, names in homes.items() for name in names}


@pytest.mark.parametrize("package", [tempmailg, _waiting], ids=lambda package: package.__name__)
def test_the_type_checkers_see_the_same_names_as_python(package: ModuleType) -> None:
    """The imports below TYPE_CHECKING and the table of homes agree, and each name is where the table says."""
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    (guard,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: (node.module or "").removeprefix(f"{package.__name__}.")
        for node in guard.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == homes_of(package)
    assert {name for name in seen if getattr(package, name, None) is None} == set()
    assert seen.keys() == set(package.__all__) - {"__version__"}


def public_things() -> list[tuple[str, object]]:
    from tempmailg import sandbox

    things: list[tuple[str, object]] = []
    for module in (tempmailg, sandbox):
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isclass(value) and not inspect.isfunction(value):
                continue
            things.append((f"{module.__name__}.{name}", value))
            things += [
                (f"{module.__name__}.{name}.{key}", member)
                for key, member in vars(value).items()
                if not key.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
            ]
    return things


@pytest.mark.parametrize(("name", "thing"), public_things(), ids=[name for name, _ in public_things()])
def test_everything_public_is_explained(name: str, thing: object) -> None:
    """A public class, function or property has a docstring whose first line is one sentence."""
    first = (inspect.getdoc(thing) or "").partition("\n")[0]
    assert first, f"{name} has no docstring"
    assert first.endswith((".", ":")), f"{name}: {first!r} is not a sentence"


def test_every_test_says_what_it_protects() -> None:
    """Each test function of this suite has a docstring of one sentence."""
    silent: list[str] = []
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                text = (ast.get_docstring(node) or "").strip()
                if not text.endswith("."):
                    silent.append(f"{path.name}: {node.name}")
    assert silent == []


HEAVY = {
    "aiohttp",
    "anyio",
    "cattrs",
    "click",
    "rich",
    "aiosmtpd",
    "lxml",
    "trustme",
    "orjson",
    "uvloop",
    "pydantic",
    "pydantic_core",
    "mcp",
    "redis",
    "robot",
}


WAITS = {"_agenda", "_criteria", "_inbox", "_pacer", "_planner", "_poller", "_state", "_wait", "_watch"}

# What a client does not need until it waits, downloads or meets an answer that is not as documented.
LATER = {f"tempmailg._waiting.{name}" for name in WAITS} | {
    "cattrs",
    "rich",
    "tempmailg._download",
    "tempmailg._extract",
    "tempmailg._page",
    "tempmailg._stores",
    "tempmailg._stream",
    "tempmailg._tolerant",
    "tempmailg.sandbox",
}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import tempmailg", HEAVY | {"attrs"}),
        ("import tempmailg; tempmailg.AsyncClient('key')", LATER),
        ("import tempmailg; tempmailg.Client('key')", LATER),
        ("from tempmailg import Mailbox, NotFoundError", HEAVY),
        ("import tempmailg.sandbox", HEAVY - {"multidict"}),
    ],
)
def test_importing_stays_light(statement: str, absent: set[str]) -> None:
    """Nothing heavy loads before it is used."""
    code = f"import sys; {statement}; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not absent & set(printed.split())
