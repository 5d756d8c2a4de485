"""The README and the manuals are kept true: their commands, examples, names, tables and links."""

from __future__ import annotations

import ast
import inspect
import json
import re
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import frozen

import tempmailg
from tempmailg import AsyncClient, Client, sandbox
from tempmailg.sandbox import Sandbox, Status

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
API = ROOT / "tempmailg" / "README.md"
SANDBOX = ROOT / "tempmailg" / "sandbox" / "README.md"
MANUALS = [
    README,
    API,
    SANDBOX,
    *(ROOT / "tempmailg" / room / "README.md" for room in ("_cli", "_mcp")),
    ROOT / "benchmarks" / "README.md",
]
MANUALS.append(ROOT / "tests" / "README.md")

each_manual = pytest.mark.parametrize("manual", MANUALS, ids=lambda path: str(path.relative_to(ROOT)))


def words_of(manual: Path) -> str:
    return manual.read_text(encoding="utf-8")


@frozen
class Block:
    """A block of code in a manual, with the marker above it."""

    manual: Path
    line: int
    marker: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.manual.relative_to(ROOT)}:{self.line}"


def blocks_of(manual: Path) -> list[Block]:
    text = words_of(manual)
    found = re.finditer(r"^(?:<!-- ([^\n]*) -->\n)?```(\w+)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [
        Block(manual, text.count("\n", 0, match.start()) + 1, match[1] or "", match[2], match[3]) for match in found
    ]


BLOCKS = [block for manual in MANUALS for block in blocks_of(manual)]
PYTHON = [block for block in BLOCKS if block.language == "python"]


def running(*flavours: str) -> list[Block]:
    return [block for block in PYTHON if block.marker in {f"run: {flavour}" for flavour in flavours}]


# ------------------------------------------------------------------------------------------------------- the README


def test_the_first_screen_holds_the_two_commands() -> None:
    """A newcomer finds on the first screen how to see the library work and how to run its tests."""
    first_screen = "\n".join(words_of(README).splitlines()[:45])
    for marker, command in {
        "demo-command": "python -m pip install '.[all]' && python -m tempmailg demo",
        "test-command": "python -m pip install -e '.[dev]' && python -m pytest",
    }.items():
        (text,) = [block.text for block in blocks_of(README) if block.marker == marker]
        assert text.strip() == command
        assert command in first_screen


def test_the_readme_can_be_read_in_five_minutes() -> None:
    """The README has at most 1,500 words, as `wc -w` counts them; the rest stands in the manuals."""
    assert len(words_of(README).split()) <= 1500


@pytest.mark.parametrize("manual", MANUALS[1:], ids=lambda path: str(path.relative_to(ROOT)))
def test_the_readme_links_to_each_manual(manual: Path) -> None:
    """Each manual is one click away from the README."""
    assert f"]({manual.relative_to(ROOT).as_posix()})" in words_of(README)


# --------------------------------------------------------------------------------------------------------- examples

MAIL: dict[str, Any] = {
    "subject": "Welcome",
    "text": "Your verification code is 271828.\nhttps://shop.example/confirm?token=81f0c2d4ab77 confirms your address.",
    "attachments": [("terms.txt", b"Be kind.\n" * 7)],
}


def expected_output(block: Block) -> list[str]:
    return re.findall(r"^ *print\(.*\)  # (.*)$", block.text, flags=re.MULTILINE)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A sandbox that a client without arguments reaches, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    with Sandbox() as running_sandbox:
        monkeypatch.setenv("TEMPMAILG_API_KEY", running_sandbox.api_key)
        monkeypatch.setenv("TEMPMAILG_BASE_URL", running_sandbox.base_url)
        yield running_sandbox


def sign_ups(service: Sandbox) -> tuple[Callable[[str], None], Callable[[str], Awaitable[None]]]:
    """Return what makes the mail come, as a function and as a coroutine function."""

    def sign_up(email: str) -> None:
        service.deliver(email, **MAIL)

    async def sign_up_async(email: str) -> None:
        sign_up(email)

    return sign_up, sign_up_async


@pytest.mark.parametrize("block", running("async", "blocking"), ids=str)
def test_the_programs_run(block: Block, service: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """A program of a manual prints the code of the mail that its sign-up sends, or what its comments say."""
    sign_up, sign_up_async = sign_ups(service)
    names = {"sign_up": sign_up_async if block.marker == "run: async" else sign_up}
    exec(compile(block.text, str(block.manual), "exec"), names)  # the point of the test
    assert capsys.readouterr().out.splitlines() == (expected_output(block) or ["271828"])


class HandledError(Exception):
    """Ends a watch that would go on forever."""


@pytest.mark.parametrize("block", running("await"), ids=str)
async def test_the_snippets_run(
    block: Block, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A snippet, run with a client and a mailbox that has a message, does and prints what it says."""
    monkeypatch.chdir(tmp_path)
    service = Sandbox()
    handled: list[tempmailg.Message] = []

    async def handle(message: tempmailg.Message) -> None:
        handled.append(message)
        raise HandledError

    async with AsyncClient(transport=service.transport()) as client:
        mailbox = await client.create_mailbox()
        service.deliver(mailbox, **MAIL)
        (message,) = await client.list_messages(mailbox)
        service.set_account(used=0)
        names: dict[str, Any] = {"client": client, "mailbox": mailbox, "mailboxes": [mailbox], "message": message}
        names |= {"attachment": message.attachments[0], "sign_up": sign_ups(service)[1], "handle": handle}
        code = compile(block.text, str(block.manual), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with suppress(HandledError):
            work = eval(code, names)  # the point of the test
            if inspect.isawaitable(work):  # nothing awaits in some
                await work
    tries = 3 if "process(handle" in block.text else int("handle(" in block.text)
    assert [message] * tries == handled
    if "print(" in block.text:
        assert capsys.readouterr().out.splitlines() == expected_output(block)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_every_python_block_is_python(block: Block) -> None:
    """What the manuals show can be compiled; top-level await is allowed, as in a notebook."""
    compile(block.text, str(block.manual), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("client", [AsyncClient, Client])
@each_manual
def test_every_method_in_the_manuals_exists(manual: Path, client: type) -> None:
    """The manuals call no method that a client does not have, and no argument that a method does not take."""
    for name, arguments in re.findall(r"\bclient\.(\w+)\(([^()]*)\)", words_of(manual)):
        method: Callable[..., object] | None = getattr(client, name, None)
        assert method is not None, f"client.{name} does not exist"
        parameters = inspect.signature(method).parameters
        for keyword in re.findall(r"(\w+)=", arguments):
            assert keyword in parameters, f"{name} has no {keyword}="


# ------------------------------------------------------------------------------------------------------------- links


def anchors_of(manual: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", words_of(manual), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_manual
def test_every_link_leads_somewhere(manual: Path) -> None:
    """A relative link of a manual names a file or folder that exists, and a heading in it."""
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", words_of(manual)):
        path, _, anchor = target.partition("#")
        file = (manual.parent / path).resolve() if path else manual
        assert file.exists(), target
        if anchor:
            assert anchor in anchors_of(file), target


# --------------------------------------------------------------------------------------------------------- reference


def members_of(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


def check_named(names: list[str], manual: Path) -> None:
    """Check that each name stands in code of the manual, where it is explained."""
    spans = " ".join(re.findall(r"`([^`\n]+)`", words_of(manual)))
    missing = [name for name in names if not re.search(rf"\b{name}\b", spans)]
    assert missing == [], f"{manual.relative_to(ROOT)} does not explain them"


@pytest.mark.parametrize(
    ("names", "manual"),
    [
        (tempmailg.__all__, API),
        (members_of(AsyncClient), API),
        (members_of(tempmailg.Message), API),
        (members_of(tempmailg.Watch), API),
        (members_of(tempmailg.CodeCandidate), API),
        (members_of(tempmailg.LinkCandidate), API),
        (sandbox.__all__, SANDBOX),
        (members_of(Sandbox), SANDBOX),
    ],
)
def test_every_public_name_is_explained(names: list[str], manual: Path) -> None:
    """Every public name and every method stands in the manual of its package."""
    check_named(names, manual)


@pytest.mark.parametrize(("kind", "manual"), [(AsyncClient, API), (Sandbox, SANDBOX)])
def test_every_option_is_explained(kind: type, manual: Path) -> None:
    """Every option of a client and of the sandbox has its row in a table."""
    rows = "\n".join(re.findall(r"^\| (`[^|]*) \|", words_of(manual), flags=re.MULTILINE))
    options = list(inspect.signature(kind).parameters)
    assert [name for name in options if f"`{name}`" not in rows] == []


def wire_table() -> dict[str, set[str]]:
    """Return the fields of each value in the API manual's table."""
    found: dict[str, set[str]] = {}
    value = ""
    for name, field in re.findall(
        r"^\| (?:`(\w+)`)? ?\| `(\w+)` \| (?:`[\w-]+`)? ?\|", words_of(API), flags=re.MULTILINE
    ):
        value = name or value
        found.setdefault(value, set()).add(field)
    return found


def test_every_field_is_explained() -> None:
    """The API manual's table of values has every field of every value, and none that is gone."""
    kinds = [value for name in tempmailg.__all__ if attrs.has(value := getattr(tempmailg, name))]
    found = {kind.__name__: {each.name for each in attrs.fields(kind)} for kind in kinds}
    for name in (
        "Attempt",
        "CodeCandidate",
        "LinkCandidate",
        "WatchHealth",
    ):  # explained where they are used
        del found[name]
    assert wire_table() == found


STATUSES = re.findall(r"^\| [\w ,]*?(\d{3})(, nothing remaining)? \| `(\w+)` \|", words_of(API), flags=re.MULTILINE)


@pytest.mark.parametrize(("status", "is_used_up", "name"), STATUSES)
async def test_each_status_is_the_error_of_the_manual(status: str, is_used_up: str, name: str) -> None:
    """The API manual's table says which error a status becomes."""
    service = Sandbox(quota=0 if is_used_up else 100)
    if not is_used_up:
        service.faults.next("list_messages", Status(int(status)))
    async with AsyncClient(transport=service.transport(), max_retries=0) as client:
        with pytest.raises(tempmailg.TempMailError) as caught:
            await client.list_messages("someone@example.org")
    assert (caught.value.status, type(caught.value).__name__) == (int(status), name)


def test_every_error_status_stands_in_the_manual() -> None:
    """No class that stands for an error status is missing from the API manual's table."""
    kinds = [value for name in tempmailg.__all__ if inspect.isclass(value := getattr(tempmailg, name))]
    assert {kind.__name__ for kind in kinds if issubclass(kind, tempmailg.APIStatusError)} == {
        row[2] for row in STATUSES
    }


def test_every_control_route_is_explained(service: Sandbox) -> None:
    """The sandbox's manual lists every route of its control, and none that is gone."""
    with urllib.request.urlopen(service.base_url.removesuffix("api") + "_sandbox/", timeout=20) as answer:
        routes = json.load(answer)["data"]["routes"]
    assert re.findall(r"`((?:GET|POST|PUT|DELETE) /_sandbox/[^`?]*)`", words_of(SANDBOX)) == routes
