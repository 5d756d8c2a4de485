"""Help and completions: there at once, for every command, and without loading what they do not need."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import click
import pytest

from tempmailg._cli._commands import cli

if TYPE_CHECKING:
    from support.shell import Shell

pytest_plugins = ["support.shell"]

COMMANDS = [*cli.commands]


def test_the_commands_are_those_that_are_promised() -> None:
    """The command's public surface: a name that goes breaks somebody's script."""
    assert COMMANDS == [
        "domains", "new", "switch", "rm", "messages", "read", "rm-message", "download", "wait", "watch", "quota",
        "sandbox", "mcp", "demo", "completion",
    ]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_speaks_json(shell: Shell, command: str) -> None:
    """`--help` explains a command and each of its options, and every command but `completion` has `--json`."""
    outcome = shell.run(command, "--help")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith(f"Usage: tempmailg {command} ")
    assert ("--json" in outcome.stdout) == (command != "completion")
    assert max(map(len, outcome.stdout.splitlines())) <= 100
    assert all(option.help for option in cli.commands[command].params if isinstance(option, click.Option))


def test_a_call_loads_no_more_than_it_needs() -> None:
    """What only some calls need (a config file, a page, codes, a release that is refused) loads where it is needed."""
    code = textwrap.dedent("""
        import sys
        before = set(sys.modules)  # what measures the coverage may have loaded some of it
        import tempmailg._cli._actions, tempmailg._aiohttp
        lazy = {"tomllib", "importlib.metadata", "zipfile", "tempmailg._page", "tempmailg._extract._codes"}
        lazy |= {"cattrs", "rich"}
        lazy |= {"tempmailg._waiting._wait", "tempmailg._waiting._watch", "tempmailg._download", "tempmailg.sandbox"}
        print(sorted(lazy & (set(sys.modules) - before)))
    """)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_the_words_of_mails_are_loaded_before_they_are_needed() -> None:
    """After `warm_up`, finding a code and a link imports nothing: an answer follows its poll at once."""
    code = textwrap.dedent("""
        import sys
        from tempmailg import _extract
        _extract.warm_up()
        before = set(sys.modules)
        mail = "<p>Your code is 271828.</p><a href='https://pond.example/verify?token=Tq93kPzw1'>Verify</a>"
        print(_extract.find_code(mail, is_html=True), _extract.find_link(mail, is_html=True, subject="Verify"))
        print(sorted(set(sys.modules) - before))
    """)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["271828 https://pond.example/verify?token=Tq93kPzw1", "[]"]


def test_help_loads_click_and_little_else() -> None:
    """No command's help loads the HTTP client, the terminal library, the models or the event loop."""
    code = """if True:
        import sys
        from tempmailg._cli import run
        for command in sys.argv[1:]:
            assert run([command, "--help"]) == 0
        assert run(["--help"]) == run(["--version"]) == 0
        heavy = {"aiohttp", "rich", "attrs", "attr", "cattrs", "anyio", "asyncio", "ssl", "email"} & set(sys.modules)
        assert not heavy, heavy
    """
    subprocess.run([sys.executable, "-c", code, *COMMANDS], check=True, capture_output=True, timeout=40)


def test_without_click_the_command_says_what_to_install() -> None:
    """A missing extra is one line of advice."""
    code = "import sys; sys.modules['click'] = None; from tempmailg.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=40)
    assert done.returncode == 1
    assert done.stderr == 'tempmailg: the command line needs two more packages: pip install "tempmailg[cli]"\n'


@pytest.mark.parametrize(
    ("variables", "offered"),
    [
        ({"COMP_WORDS": "tempmailg do", "COMP_CWORD": "1"}, ["plain,domains", "plain,download"]),
        ({"COMP_WORDS": "tempmailg domains --type ", "COMP_CWORD": "3"}, ["plain,free", "plain,premium", "plain,all"]),
        ({"COMP_WORDS": "tempmailg wait --co", "COMP_CWORD": "2"}, ["plain,--code"]),
    ],
)
def test_completions_offer_commands_options_and_values(
    shell: Shell, variables: dict[str, str], offered: list[str]
) -> None:
    """A shell that asks gets the words that fit."""
    shell.set(_TEMPMAILG_COMPLETE="bash_complete", **variables)
    outcome = shell.run()
    assert (outcome.status, outcome.stdout.splitlines()) == (0, offered)


def test_the_newest_mailbox_is_offered(shell: Shell) -> None:
    """Where a mailbox is meant, the newest one's address completes; nothing is asked of the service."""
    address = shell.answer("new")
    before = len(shell.sandbox.journal)
    shell.set(_TEMPMAILG_COMPLETE="bash_complete", COMP_WORDS=f"tempmailg messages {address[:2]}", COMP_CWORD="2")
    assert shell.run().stdout == f"plain,{address}\n"
    assert len(shell.sandbox.journal) == before


_ASK = {
    "bash": "COMP_WORDS=(tempmailg rm); COMP_CWORD=1; _tempmailg_completion tempmailg; echo ${COMPREPLY[@]}",
    "fish": "complete -C 'tempmailg rm' | string split -f 1 \\t",
    # zsh completes in its line editor only, so ask what the completion would get, and that it is registered.
    "zsh": "[[ $_comps[tempmailg] == _tempmailg_completion ]] && "
    "COMP_WORDS='tempmailg rm' COMP_CWORD=1 _TEMPMAILG_COMPLETE=zsh_complete tempmailg | grep '^rm'",
}


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_shells_take_the_completions(shell: Shell, name: str) -> None:
    """What `completion` prints is a script that the shell runs, and with which it completes."""
    script = shell.home / "completions"
    script.write_text(shell.answer("completion", name))
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    shell.add_to_path()
    begin = "autoload -Uz compinit && compinit -u; " if name == "zsh" else ""
    code = f"{begin}. {script}; {_ASK[name]}"
    done = subprocess.run([name, "-c", code], check=True, capture_output=True, text=True, timeout=40)
    assert set(done.stdout.split()) == {"rm", "rm-message"}
