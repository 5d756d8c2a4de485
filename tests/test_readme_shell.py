"""The command line's manual: its session and its help texts show what the commands print.

``python tests/test_readme_shell.py`` prints the help texts anew.
"""

from __future__ import annotations

import os
import re
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tempmailg._cli._commands import cli

if TYPE_CHECKING:
    from support.shell import Shell

pytest_plugins = ["support.shell"]

MANUAL: Final = Path(__file__).parent.parent / "tempmailg" / "_cli" / "README.md"

# What differs from run to run, and what stands for it. The order counts: an id is replaced before a number.
_RANDOM: Final = (
    (r"\b[a-zA-Z0-9]{46}\b", "ID"),
    (r"\b[a-z0-9]{12}@example\.(?:com|org)\b", "ADDRESS"),
    (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[+]\d\d:\d\d", "TIME"),
    (r"\b\d\d:\d\d:\d\d\b", "TIME"),
    (r"\b(?:\d+ s ago|now)\b", "AGO"),
    (r"\bin \d+ (?:s|min|h|d)\b", "AHEAD"),
    (r"\b(?:9:\d\d|10:00)\b", "COUNTDOWN"),
    (r"\b\d+(?:\.\d+)? s\b", "SECONDS"),
    (r"\b\d+ (?:polls?|requests?)\b", "COUNT"),
    (r'"(used|remaining)": \d+', r'"\1": NUMBER'),
    (r"  +", "  "),  # a column is as wide as what stands in it
    (r" +$", ""),
)


def _block(name: str) -> str:
    """Return the text of the console block that stands below a marker in the manual."""
    found = re.search(rf"<!-- {name} -->\n```console\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"{MANUAL} has no console block below <!-- {name} -->"
    return found[1]


def _steps(block: str) -> list[tuple[str, str]]:
    """Return the commands of a session, and its remarks, each with the output below it."""
    steps = re.findall(r"^([$#] .*)\n((?:(?![$#] ).*\n)*)", block, re.MULTILINE)
    assert "".join(f"{command}\n{output}" for command, output in steps) == block
    return steps


def _normal(text: str) -> str:
    for pattern, name in _RANDOM:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return text


def _mail_arrives(shell: Shell) -> None:
    """Send the session's mail to the newest mailbox."""
    mail = EmailMessage()
    mail["From"], mail["To"] = "Example Shop <shop@example.org>", shell.newest
    mail["Subject"] = "Confirm your address"
    mail.set_content("Your verification code is 481516.")
    mail.add_alternative(
        "<p>Your verification code is <b>481516</b>.</p>"
        "<p>Or <a href='https://shop.example/confirm?token=81f0c2d4ab77&amp;u=7'>confirm your address</a>.</p>",
        subtype="html",
    )
    mail.add_attachment(b"Be kind.\n" * 7, maintype="text", subtype="plain", filename="terms.txt")
    with smtplib.SMTP(shell.sandbox.smtp_host, shell.sandbox.smtp_port, timeout=20) as server:
        server.send_message(mail)


@pytest.mark.timeout(300)  # every command is a process of its own, and the machine may be busy
def test_the_session_shows_what_the_commands_print(shell: Shell) -> None:
    """Each command of the manual's session, typed at a terminal, prints what stands below it."""
    shell.add_to_path()
    for command, output in _steps(_block("shell")):
        if command.startswith("# "):
            assert output == ""
            _mail_arrives(shell)
            continue
        with shell.terminal_of("bash", "-c", command.removeprefix("$ "), columns=100) as terminal:
            terminal.finish()
            assert _normal(terminal.left) == _normal(output), command


def _helps() -> str:
    """Return the help of the command and of all its commands, as a session of a terminal of 100 columns."""
    texts: list[str] = []
    for arguments in ([], *([name] for name in cli.commands)):
        program = [sys.executable, "-m", "tempmailg", *arguments, "--help"]
        env = {**os.environ, "COLUMNS": "100"}
        done = subprocess.run(program, check=True, capture_output=True, text=True, env=env, timeout=40)
        texts.append(f"$ {' '.join(['tempmailg', *arguments, '--help'])}\n{done.stdout}")
    return "\n".join(texts)


@pytest.mark.usefixtures("shell")
def test_the_helps_are_those_of_the_commands() -> None:
    """The manual's list of help texts is complete and current: this file's docstring says how to renew it."""
    assert _block("help") == _helps()


if __name__ == "__main__":
    sys.stdout.write(_helps())
