"""The README is kept true: its commands, its examples and its names."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tempmailg import AsyncClient, Client
from tempmailg.sandbox import Sandbox

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str, str]] = re.findall(r"(?:<!-- ([^\n]*) -->\n)?```(\w+)\n(.*?)```", README, flags=re.DOTALL)


def block(marker: str) -> str:
    (text,) = [text for mark, _, text in BLOCKS if mark == marker]
    return text


def test_the_first_screen_holds_the_two_commands() -> None:
    """A newcomer finds on the first screen how to see the library work and how to run its tests."""
    first_screen = "\n".join(README.splitlines()[:45])
    for marker, command in {
        "demo-command": "python -m pip install '.[all]' && python -m tempmailg demo",
        "test-command": "python -m pip install -e '.[dev]' && python -m pytest",
    }.items():
        assert block(marker).strip() == command
        assert command in first_screen


@pytest.mark.parametrize("flavour", ["async", "blocking"])
def test_the_examples_of_the_first_screen_run(
    flavour: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The two examples print the code of the mail that their sign-up sends."""
    with Sandbox() as sandbox:
        monkeypatch.setenv("TEMPMAILG_API_KEY", sandbox.api_key)
        monkeypatch.setenv("TEMPMAILG_BASE_URL", sandbox.base_url)

        def sign_up(email: str) -> None:
            sandbox.deliver(email, subject="Welcome", text="Your verification code is 271828.")

        async def sign_up_async(email: str) -> None:
            sign_up(email)

        names = {"sign_up": sign_up_async if flavour == "async" else sign_up}
        exec(compile(block(f"run: {flavour}"), "README.md", "exec"), names)  # the point of the test
    assert capsys.readouterr().out == "271828\n"


PYTHON = [text for _, language, text in BLOCKS if language == "python"]


@pytest.mark.parametrize("text", PYTHON, ids=range(len(PYTHON)))
def test_every_python_block_is_python(text: str) -> None:
    """What the README shows can be compiled; top-level await is allowed, as in a notebook."""
    compile(text, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("client", [AsyncClient, Client])
def test_every_method_in_the_readme_exists(client: type) -> None:
    """The README calls no method that a client does not have, and no argument that a method does not take."""
    for name, arguments in re.findall(r"client\.(\w+)\(([^()]*)\)", README):
        method: Callable[..., object] | None = getattr(client, name, None)
        assert method is not None, f"README.md: client.{name} does not exist"
        parameters = inspect.signature(method).parameters
        for keyword in re.findall(r"(\w+)=", arguments):
            assert keyword in parameters, f"README.md: {name} has no {keyword}="


def test_every_anchor_in_the_contents_leads_somewhere() -> None:
    """The links of the contents are headings of the README."""
    headings = re.findall(r"^#+ (.*)$", README, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", README)) <= anchors


def test_every_file_that_the_readme_names_is_there() -> None:
    """Links to files of the project lead to files."""
    root = Path(__file__).parent.parent
    for target in re.findall(r"\]\((?!#|https?:)([^)#]*)\)", README):
        assert (root / target).exists(), target
