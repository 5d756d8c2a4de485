"""`tempmailg sandbox`: the whole constructor as options and variables, and what a person reads of it."""

from __future__ import annotations

import inspect
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import attrs
import click
import pytest
import trustme

from tempmailg import Client
from tempmailg._cli._commands import cli
from tempmailg._cli._sandbox_arguments import sandbox_arguments
from tempmailg._cli._types import parse_size
from tempmailg.sandbox import Account, Limits, Others, Sandbox, SandboxDomain
from tempmailg.sandbox._state import Order, Plan

if TYPE_CHECKING:
    from support.shell import Shell

pytest_plugins = ["support.shell"]

COMMAND = cli.commands["sandbox"]
OWN_OPTIONS = [
    option for option in COMMAND.params if isinstance(option.envvar, str) and isinstance(option, click.Option)
]

# An option with a value, and the argument of Sandbox that it becomes.
ARGUMENTS: list[tuple[str, str, str, Any]] = [
    ("--port", "9000", "port", 9000),
    ("--smtp-port", "0", "smtp_port", 0),
    ("--smtp-tls-port", "465", "smtp_tls_port", 465),
    ("--host", "::1", "host", "::1"),
    ("--host", "127.0.0.1", "allow_remote", True),
    ("--allow-host", "sandbox", "allow_hosts", ("sandbox",)),
    ("--domain", "mail.test", "domains", [SandboxDomain("mail.test", "free")]),
    ("--domain", "mail.test:premium", "domains", [SandboxDomain("mail.test", "premium")]),
    ("--account", "second", "accounts", {"second": Account("free")}),
    ("--account", "second:premium:7", "accounts", {"second": Account("premium", 7)}),
    ("--api-key", "mine", "api_key", "mine"),
    ("--plan", "premium", "plan", "premium"),
    ("--quota", "3", "quota", 3),
    ("--lifetime", "2m", "lifetime", 120.0),
    ("--order", "oldest", "order", "oldest"),
    ("--others", "keep", "others", "keep"),
    ("--seed", "-1", "seed", -1),
    ("--start", "2026-07-01T12:00:00Z", "start", datetime(2026, 7, 1, 12, tzinfo=UTC)),
    ("--max-message-bytes", "1M", "limits", {"message_bytes": 1024 * 1024}),
    ("--max-messages", "5", "limits", {"messages": 5}),
    ("--max-total-bytes", "10", "limits", {"total_bytes": 10}),
    ("--max-mailboxes", "6", "limits", {"mailboxes": 6}),
    ("--max-listing-bytes", "2M", "limits", {"listing_bytes": 2 * 1024 * 1024}),
    ("--max-connections", "7", "limits", {"connections": 7}),
    ("--max-idle-seconds", "90s", "limits", {"idle_seconds": 90.0}),
    ("--max-journal", "8", "limits", {"journal": 8}),
    ("--max-journal-bytes", "1k", "limits", {"journal_bytes": 1024}),
    ("--etags", "", "etags", True),
]
ARGUMENT_IDS = [f"{option} {value}" for option, value, _, _ in ARGUMENTS]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the caps arrive as they were given."""
    monkeypatch.setattr("tempmailg._cli._sandbox_arguments.Limits", dict)


def _arguments(*options: str) -> dict[str, Any]:
    context = COMMAND.make_context("sandbox", list(options))
    return sandbox_arguments(context.params)


def test_no_argument_lacks_an_option() -> None:
    """Whatever `Sandbox(...)` and `Limits(...)` can be given, the command can be given, too, and nothing else."""
    reached = {argument for _, _, argument, _ in ARGUMENTS} | {"ssl_context"}
    assert set(inspect.signature(Sandbox).parameters) == reached
    caps = {name for option in OWN_OPTIONS if (name := option.name or "").startswith("max_")}
    assert {f"max_{field.name}" for field in attrs.fields(Limits)} == caps
    named = {option for option, _, _, _ in ARGUMENTS} | {"--tls-cert", "--tls-key"}
    assert {option.opts[0] for option in OWN_OPTIONS} == named


def test_the_choices_are_those_of_the_sandbox() -> None:
    """An option that chooses offers what the sandbox takes."""
    choices = {option.name: option.type.choices for option in OWN_OPTIONS if isinstance(option.type, click.Choice)}
    assert tuple(choices["plan"]) == get_args(Plan)
    assert tuple(choices["order"]) == get_args(Order)
    assert tuple(choices["others"]) == get_args(Others)


@pytest.mark.usefixtures("shell", "limits")
@pytest.mark.parametrize(("option", "value", "argument", "expected"), ARGUMENTS, ids=ARGUMENT_IDS)
def test_an_option_becomes_its_argument(option: str, value: str, argument: str, expected: object) -> None:
    """Each option reaches the constructor as the value that it stands for, and nothing else but the ports does."""
    arguments = _arguments(*filter(None, (option, value)))
    assert arguments[argument] == expected
    assert set(arguments) - {argument, "host", "allow_remote"} <= {"port", "smtp_port"}


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize(("option", "value", "argument", "expected"), ARGUMENTS, ids=ARGUMENT_IDS)
def test_a_variable_is_its_option(shell: Shell, option: str, value: str, argument: str, expected: object) -> None:
    """`TEMPMAILG_SANDBOX_SMTP_PORT` is `--smtp-port`, and so on; an option goes before its variable."""
    variable = "TEMPMAILG_SANDBOX_" + option.removeprefix("--").replace("-", "_").upper()
    shell.set(**{variable: value or "1"})
    assert _arguments()[argument] == expected
    shell.set(**{variable: ""})
    assert _arguments() == {"port": 8025, "smtp_port": 1025}


@pytest.mark.usefixtures("shell")
@pytest.mark.parametrize("option", ARGUMENTS, ids=ARGUMENT_IDS)
def test_the_sandbox_takes_each_option(option: tuple[str, str, str, Any]) -> None:
    """What an option becomes is something that the constructor accepts."""
    arguments = _arguments(*filter(None, option[:2]), "--domain", "free.test")  # one domain must be free
    assert repr(Sandbox(**arguments)) == "<Sandbox, not started>"


@pytest.mark.usefixtures("shell")
def test_several_values_stand_in_one_variable(shell: Shell) -> None:
    """Blanks separate what would be options of their own."""
    shell.set(TEMPMAILG_SANDBOX_DOMAIN="a.test b.test:premium", TEMPMAILG_SANDBOX_ACCOUNT="x y:premium")
    arguments = _arguments()
    assert arguments["domains"] == [SandboxDomain("a.test"), SandboxDomain("b.test", "premium")]
    assert arguments["accounts"] == {"x": Account(), "y": Account("premium")}


def test_a_certificate_of_ones_own_is_used(tmp_path: Path) -> None:
    """`--tls-cert` and `--tls-key` name PEM files; a key may also stand beside its certificate in one file."""
    certificate = trustme.CA().issue_cert("127.0.0.1")
    chain, key, both = tmp_path / "chain.pem", tmp_path / "key.pem", tmp_path / "both.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    certificate.private_key_and_cert_chain_pem.write_to_path(both)
    for options in (["--tls-cert", str(chain), "--tls-key", str(key)], ["--tls-cert", str(both)]):
        assert _arguments(*options)["ssl_context"].cert_store_stats()


_NO_PORT = "is no port: give a number up to 65535, or 0 for a free one"
_NO_DOMAIN = "is no domain like 'mail.test' or 'mail.test:premium'"

# A wrong value of an option of `sandbox`, and what is said of it.
WRONG_VALUES = [
    ("--port", "x", _NO_PORT),
    ("--port", "65536", _NO_PORT),
    ("--port", "-1", _NO_PORT),
    ("--quota", "many", "is no whole number of at least 0"),
    ("--lifetime", "nan", "is no duration above zero: give seconds, or 90s, 2m, 1h30m"),
    ("--max-journal-bytes", "1T", "is no size: give bytes, or 500K, 80M, 1G"),
    ("--start", "2026-07-01", "is no time with an offset, such as 2026-07-01T12:00:00Z"),
    ("--domain", ":free", _NO_DOMAIN),
    ("--domain", "a:gold", _NO_DOMAIN),
    ("--account", "k:free:x", "is no account like 'KEY', 'KEY:premium' or 'KEY:premium:100'"),
    ("--plan", "gold", "is not one of 'free', 'premium'"),
]
WRONG = [
    *((f"{option} {value}", f"invalid value for '{option}': '{value}' {text}") for option, value, text in WRONG_VALUES),
    ("--tls-key setup.cfg", "invalid value for '--tls-key': File 'setup.cfg' does not exist"),
    ("--tls-key key.pem", "--tls-key belongs to the certificate that --tls-cert names: give both"),
    ("--host 0.0.0.0", "--host 0.0.0.0 lets other machines in: set TEMPMAILG_SANDBOX_API_KEY to a key of your own"),
    ("--smtpport 1", "no such option '--smtpport'; did you mean '--smtp-port' or '--smtp-tls-port' or '--port'?"),
]


@pytest.mark.parametrize(("options", "text"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_option_is_this_line(shell: Shell, options: str, text: str) -> None:
    """What the sandbox cannot be made with ends the command with status 2 and this line."""
    Path("key.pem").write_text("")
    see = " See" if text.endswith("?") else "; see"
    outcome = shell.run("sandbox", *options.split())
    assert outcome == (2, "", f"tempmailg: {text}{see} 'tempmailg sandbox --help'\n")


def test_an_empty_key_opens_nothing(shell: Shell) -> None:
    """An empty key is none: the sandbox is not opened to other machines with it."""
    shell.set(TEMPMAILG_SANDBOX_API_KEY="", TEMPMAILG_SANDBOX_HOST="0.0.0.0")
    assert shell.run("sandbox").status == 2
    assert shell.run("sandbox", "--api-key", "").status == 2


def test_a_misspelt_variable_is_refused(shell: Shell) -> None:
    """A variable that sets nothing is named, with the one that may have been meant."""
    shell.set(TEMPMAILG_SANDBOX_LIFTIME="5")
    outcome = shell.run("sandbox")
    assert outcome.status == 2
    assert "no such setting TEMPMAILG_SANDBOX_LIFTIME; did you mean TEMPMAILG_SANDBOX_LIFETIME?" in outcome.stderr


def test_a_file_that_is_no_certificate_is_named(shell: Shell) -> None:
    """A wrong `--tls-cert` is one line that names the file."""
    Path("cert.pem").write_text("nothing")
    outcome = shell.run("sandbox", "--tls-cert", "cert.pem")
    assert outcome.status == 1
    assert outcome.stderr.startswith("tempmailg: cert.pem cannot be used as a certificate with its key: ")


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5M", "K", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """A size is a whole number, with K, M or G behind it or not."""
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        parse_size(text)


# --------------------------------------------------------------------------------------------------------- as a process

FREE = ("--port", "0", "--smtp-port", "0")


def test_the_options_reach_the_service(shell: Shell) -> None:
    """A client of the command's sandbox sees the life, domain, key and quota that were asked for."""
    shell.set(TEMPMAILG_SANDBOX_API_KEY="mine", TEMPMAILG_SANDBOX_QUOTA="77")
    with shell.start("sandbox", *FREE, "--lifetime", "90m", "--domain", "mail.test") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        try:
            with Client("mine", base_url=ready["base_url"]) as client:
                mailbox = client.create_mailbox()
                quota = client.quota
        finally:
            process.terminate()
    assert mailbox.domain == "mail.test"
    assert mailbox.expires_in_seconds == 5400
    assert quota is not None
    assert quota.limit == 77


def test_a_person_is_given_the_lines_to_copy(shell: Shell) -> None:
    """At a terminal stderr shows the page and the lines that make a shell use this sandbox; stdout is JSON alone."""
    shell.add_to_path()
    shell.set(TEMPMAILG_SANDBOX_API_KEY="it's mine".replace(" ", "-"))
    with shell.terminal("sandbox", *FREE, piped=True) as terminal:
        terminal.expect("# the mail in a browser: http://127.0.0.1:")
        terminal.expect("export TEMPMAILG_BASE_URL=http://127.0.0.1:")
        terminal.expect("/api\n")
        lines = terminal.seen
        shell.set(TEMPMAILG_API_KEY=None, TEMPMAILG_BASE_URL=None)
        with shell.terminal_of("bash", "-c", f"{lines}\ntempmailg domains", piped=True) as used:
            assert used.finish() == 0
            assert used.piped.startswith(b"example.com\t")
        terminal.terminate()
        terminal.finish()
        assert list(json.loads(terminal.piped))[:2] == ["base_url", "api_key"]


def test_quiet_and_pipes_get_no_lines_to_copy(shell: Shell) -> None:
    """With `--quiet`, or where stderr is no terminal, nothing accompanies the line of JSON."""
    with shell.terminal("sandbox", *FREE, "--quiet", piped=False) as terminal:
        terminal.expect("}\n")
        assert "export" not in terminal.seen
        terminal.terminate()
        terminal.finish()
    with shell.start("sandbox", *FREE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())
        process.send_signal(2)
        assert process.stderr.read() == "tempmailg: interrupted\n"


# --------------------------------------------------------------------------------------------------------- the manual

MANUAL = Path(inspect.getfile(cli.callback or cli)).with_name("README.md")


def test_the_manuals_compose_file_sets_what_there_is(shell: Shell) -> None:
    """Each variable of the manual's compose file is one of the command's, and its value is taken."""
    text = MANUAL.read_text(encoding="utf-8")
    settings = dict(re.findall(r"^ +(TEMPMAILG_SANDBOX_\w+): (.+?)(?: +#.*)?$", text, re.MULTILINE))
    assert len(settings) >= 4
    shell.set(**{name: "own-key" if value.startswith("${") else value for name, value in settings.items()})
    arguments = _arguments()
    assert arguments["host"] == "0.0.0.0"
    assert arguments["api_key"] == "own-key"
    assert len(arguments) - 2 == len(settings) + 1  # the ports, and the permission that --host is
