"""What a user reads when something is wrong: the exact line for each kind of mistake, with every release of click."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempmailg._cli._types import parse_duration
from tempmailg._cli._usage import join_advice
from tempmailg.sandbox import BadJson, Fault, HtmlPage, RateLimited, Reset, Status, Truncate

if TYPE_CHECKING:
    from support.shell import Shell

pytest_plugins = ["support.shell"]

_NO_DURATION = "is no duration: give seconds, or 90s, 2m, 1h30m"
_NO_POSITIVE_DURATION = "is no duration above zero: give seconds, or 90s, 2m, 1h30m"

# Wrong usage, the command whose help explains it, and the line without its beginning and its pointer to the help.
USAGE = [
    ("nonsense", "", "no such command 'nonsense'; "),
    ("help", "", "no such command 'help'; "),
    ("list", "", "no such command 'list'; did you mean 'tempmailg messages'? "),
    ("delete", "", "no such command 'delete'; did you mean 'tempmailg rm' or 'tempmailg rm-message'? "),
    ("Create", "", "no such command 'Create'; did you mean 'tempmailg new'? "),
    ("code", "", "no such command 'code'; did you mean 'tempmailg wait --code'? "),
    ("mesages", "", "no such command 'mesages'; did you mean 'tempmailg messages' or 'tempmailg rm-message'? "),
    ("version", "", "no such command 'version'; did you mean 'tempmailg --version'? "),
    ("--json domains", "", "no such option '--json'; put it behind the command: 'tempmailg COMMAND --json'; "),
    ("-q domains", "", "no such option '-q'; put it behind the command: 'tempmailg COMMAND -q'; "),
    ("--nope", "", "no such option '--nope'; "),
    ("--versoin", "", "no such option '--versoin'; did you mean '--version'? "),
    ("--", "", "missing command; "),
    ("wait --cod", " wait", "no such option '--cod'; did you mean '--code' or '--body'? "),
    ("wait --xyz", " wait", "no such option '--xyz'; "),
    ("wait -qx", " wait", "no such option '-x'; "),
    ("wait --code=1", " wait", "option '--code' does not take a value; "),
    ("wait --timeout", " wait", "option '--timeout' requires an argument; "),
    ("wait --code --link", " wait", "--code and --link are two answers: ask for one; "),
    *(
        (f"wait --timeout {value}", " wait", f"invalid value for '--timeout': '{value}' {_NO_DURATION}; ")
        for value in ("-5", "nan", "inf", "1e3", "soon", "30s2m")
    ),
    ("wait --poll-interval 0", " wait", f"invalid value for '--poll-interval': '0' {_NO_POSITIVE_DURATION}; "),
    ("messages", " messages", "no mailbox was made here yet: run 'tempmailg new', or name an address; "),
    ("read", " read", "missing argument 'MESSAGE'; "),
    ("read a b", " read", "got unexpected extra argument (b); "),
    ("read a --to x", " read", "--to names the file for --html: give both; "),
    ("rm", " rm", "missing argument 'MAILBOX'; "),
    ("rm-message", " rm-message", "missing argument 'MESSAGE...'; "),
    ("switch - x", " switch", "invalid value for USERNAME@DOMAIN: 'x' is no address like 'name@example.com'; "),
    ("domains --type x", " domains", "invalid value for '--type': 'x' is not one of 'free', 'premium', 'all'; "),
    ("completion", " completion", "missing argument 'SHELL': bash or zsh or fish; "),
    (
        "completion tcsh",
        " completion",
        "invalid value for 'SHELL': 'tcsh' is not one of 'bash', 'zsh', 'fish'; ",
    ),
    ("watch a@b.c --state /", " watch", "invalid value for '--state': File '/' is a directory; "),
    ("download a --to /etc/passwd", " download", "invalid value for '--to': Directory '/etc/passwd' is a file; "),
]


@pytest.mark.parametrize(("arguments", "command", "text"), USAGE, ids=[row[0] for row in USAGE])
def test_wrong_usage_is_this_line(shell: Shell, arguments: str, command: str, text: str) -> None:
    """Wrong usage exits 2 with this line, which says what was meant and where the help is; nothing is sent."""
    before = len(shell.sandbox.journal)
    see = "See" if text.endswith("? ") else "see"
    assert shell.run(*arguments.split()) == (2, "", f"tempmailg: {text}{see} 'tempmailg{command} --help'\n")
    assert len(shell.sandbox.journal) == before


def test_the_bare_name_shows_the_help(shell: Shell) -> None:
    """`tempmailg` alone prints the help with its lines on stderr; a script that forgot the command gets status 2."""
    outcome = shell.run()
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr == shell.answer("--help") + "\n"
    assert outcome.stderr.startswith("Usage: tempmailg [OPTIONS] COMMAND [ARGS]...\n\n")


_CHECK = "check the network and TEMPMAILG_BASE_URL, then try again"
_NO_MAILBOX = "see what is there with 'tempmailg messages', or make a mailbox with 'tempmailg new'"

# What the service does, and what the user of `domains` reads of it.
SERVICE: list[tuple[Fault, str]] = [
    (Status(400, message="Bad request."), "status 400: Bad request."),
    (Status(404, message="No such thing."), f"status 404: No such thing; {_NO_MAILBOX}"),
    (Status(404, message="Why?"), f"status 404: Why? {_NO_MAILBOX[0].upper()}{_NO_MAILBOX[1:]}"),
    (Status(409, message="Taken"), "status 409: Taken"),
    (Status(429, message="Slowly."), "status 429: Slowly; see what is left with 'tempmailg quota'"),
    (RateLimited(3600), "status 429: Too many requests; see what is left with 'tempmailg quota'"),
    (Status(500, message="Oh."), "status 500: Oh; try again later"),
    (HtmlPage(502), "status 502: a proxy in front of the service answered with an HTML page; try again later"),
    (BadJson(), "the answer cannot be used: no valid JSON"),
    (Truncate(10), "the answer cannot be used: it was cut off"),
    (
        Reset(),
        f"the connection to URL broke: Connection reset by peer; {_CHECK}",
    ),
]


@pytest.mark.parametrize(("fault", "text"), SERVICE, ids=[f"{row[0].kind} {row[1][:10]}" for row in SERVICE])
def test_a_fault_of_the_service_is_this_line(shell: Shell, fault: Fault, text: str) -> None:
    """An error of the service exits 1 with this line: the library's text and the advice read as one sentence."""
    shell.sandbox.faults.next("list_domains", fault, times=9)
    expected = f"tempmailg: list_domains: {text}\n".replace("URL broke", f"{shell.sandbox.base_url} broke")
    assert shell.run("domains") == (1, "", expected)


def test_a_service_that_is_not_there_is_this_line(shell: Shell) -> None:
    """Without a connection the line names the address and what to check."""
    shell.set(TEMPMAILG_BASE_URL="http://127.0.0.1:9/api")
    problem = "cannot connect to http://127.0.0.1:9/api: Connect call failed ('127.0.0.1', 9)"
    assert shell.run("domains") == (1, "", f"tempmailg: list_domains: {problem}; {_CHECK}\n")


def test_a_mailbox_that_is_gone_is_this_line(shell: Shell) -> None:
    """A wait for a mailbox that there is not ends with what to do instead."""
    problem = "there is no mailbox gone@example.com (any more): it expired or was deleted"
    advice = "make another one with 'tempmailg new'"
    assert shell.run("wait", "gone@example.com") == (1, "", f"tempmailg: {problem}; {advice}\n")


_PATH = ".config/tempmailg/config.toml"
_BOTH = "set both, or neither"

# The config file's text, its mode, the environment's address, and what a command without a key in its environment says.
CONFIGS = [
    (None, 0o600, None, 'no API key: set TEMPMAILG_API_KEY, or write api_key = "…" into PATH (and chmod 600 it)'),
    ('api_key = "k"', 0o644, None, "the config file PATH can be read by others (mode 644): run chmod 600 PATH"),
    ("api_key = k", 0o600, None, 'PATH must hold the line api_key = "…", and may hold base_url = "…"'),
    ('api_key = ""', 0o600, None, 'PATH must hold the line api_key = "…", and may hold base_url = "…"'),
    (
        'api_key = "k"',
        0o600,
        "http://127.0.0.1:9/api",
        "TEMPMAILG_BASE_URL is set but TEMPMAILG_API_KEY is not, and the key in PATH is not for that URL: " + _BOTH,
    ),
]


@pytest.mark.parametrize(("text", "mode", "url", "line"), CONFIGS, ids=[str(row[0]) + oct(row[1]) for row in CONFIGS])
def test_a_wrong_setting_is_this_line(shell: Shell, text: str | None, mode: int, url: str | None, line: str) -> None:
    """What is wrong with key and address is said in one line that names the file, and nothing is sent."""
    shell.set(TEMPMAILG_API_KEY=None, TEMPMAILG_BASE_URL=url)
    path = shell.home / _PATH
    path.parent.mkdir(parents=True)
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    assert shell.run("domains") == (1, "", f"tempmailg: {line.replace('PATH', str(path))}\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[]", "seen is no state file of a watch: give another path"),
        ('["seen", ' + "[" * 100_000 + "\n", "seen is no state file of a watch: give another path"),
    ],
    ids=len,
)
def test_a_wrong_state_is_this_line(shell: Shell, text: str, line: str) -> None:
    """A file that `watch --state` cannot go on from is named, and stays as it is."""
    Path("seen").write_text(text)
    assert shell.run("watch", "box@example.com", "--state", "seen") == (1, "", f"tempmailg: {line}\n")
    assert Path("seen").read_text() == text


def test_a_taken_port_is_this_line(shell: Shell) -> None:
    """A sandbox that cannot listen names its ports, and how to choose others."""
    taken = shell.sandbox.smtp_port
    status, stdout, stderr = _in_shell(shell, f"tempmailg sandbox --port 0 --smtp-port {taken}")
    assert (status, stdout) == (1, "")
    assert re.fullmatch(
        rf"tempmailg: cannot listen on 127\.0\.0\.1, ports 0 and {taken} \(.*address already in use.*\): "
        r"choose others with --port and --smtp-port, or 0 for free ones\n",
        stderr,
    )


def test_a_wait_in_vain_is_this_line(shell: Shell) -> None:
    """The time, the address and the cost of a wait without success stand in its line."""
    address = shell.answer("new")
    outcome = shell.run("wait", "--timeout", "0.3s", address)
    assert (outcome.status, outcome.stdout) == (124, "")
    waited = r"tempmailg: no message fitted within \d+\.\d s at "  # a busy machine needs more than the 0.3 s
    assert re.match(waited + re.escape(f"{address}; "), outcome.stderr)
    assert outcome.stderr.endswith("; no message came\n")


@given(st.text(), st.sampled_from(["try again", "see 'x'"]))
def test_joined_texts_read_as_one(text: str, advice: str) -> None:
    """Whatever a text ends with, no two stops follow each other, and the advice is all there."""
    joined = join_advice(text, advice)
    assert joined.lower().endswith(advice)
    assert not any(stops in joined.removeprefix(text.rstrip()) for stops in (".;", ";;", ":;", "?;"))


# ----------------------------------------------------------------------------------------------------------- durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90), ("0.5", 0.5), (".5", 0.5), ("90s", 90), ("2m", 120), ("1h30m", 5400), ("1.5h", 5400), ("1d", 86400),
        ("1h1m1s", 3661), ("2M", 120), (" 5 ", 5),
    ],
)  # fmt: skip
def test_a_duration_has_units(text: str, seconds: float) -> None:
    """Plain seconds and numbers with d, h, m and s are the same thing."""
    assert parse_duration(text) == seconds


@given(st.text(st.sampled_from("0123456789.dhms e-+infa")))
def test_a_duration_is_a_positive_number_or_refused(text: str) -> None:
    """No text becomes zero, a negative number, an infinity or no number."""
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert 0 < seconds < float("inf")


def test_wait_takes_a_duration(shell: Shell) -> None:
    """`--timeout 0.01m` is a wait of 0.6 seconds."""
    outcome = shell.run("wait", shell.answer("new"), "--timeout", "0.01m")
    assert outcome.status == 124
    assert re.search(r"no message fitted within 0\.\d s", outcome.stderr)


# ---------------------------------------------------------------------------------------------- closed and full streams


def _in_shell(shell: Shell, line: str) -> tuple[int, str, str]:
    """Run a line of bash, with `tempmailg` as its user has it."""
    shell.add_to_path()
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=40, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on device"), ("| true", "Broken pipe")],
)
def test_a_mailbox_is_not_lost_when_stdout_fails(shell: Shell, redirection: str, reason: str) -> None:
    """The address that stdout did not take stands on stderr, with status 1; the mailbox is the newest one."""
    status, stdout, stderr = _in_shell(shell, f"set -o pipefail; tempmailg new {redirection}")
    assert (status, stdout) == (1, "")
    assert stderr == f"tempmailg: the mailbox {shell.newest} is made, but stdout did not take it: {reason}\n"
    assert shell.answer("messages", "-") == ""


@pytest.mark.parametrize("command", ["domains", "domains --json", "quota", "--help", "completion bash", "demo --json"])
def test_a_full_disk_below_stdout_is_one_line(shell: Shell, command: str) -> None:
    """An answer that could not be written exits 1 with one line, and the interpreter adds nothing to it."""
    status, stdout, stderr = _in_shell(shell, f"tempmailg {command} >/dev/full")
    assert (status, stdout) == (1, "")
    assert stderr == "tempmailg: stdout: No space left on device\n"


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["as usual", "PYTHONUNBUFFERED"])
def test_an_answer_that_is_cut_is_an_error(shell: Shell, unbuffered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that takes only the beginning of an answer, as a disk does that fills up, is no success."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)  # the limit would meet its file as well
    address = shell.answer("new")
    shell.sandbox.deliver(address, text="x" * 100_000)
    limited = f"export PYTHONUNBUFFERED={unbuffered}; ulimit -f 20; tempmailg messages --json >cut"
    status, stdout, stderr = _in_shell(shell, limited)
    assert 0 < (shell.home / "cut").stat().st_size < 100_000
    assert (status, stdout, stderr) == (1, "", "tempmailg: stdout: File too large\n")


def test_the_sandbox_ends_when_nobody_can_be_told(shell: Shell) -> None:
    """A sandbox whose ready line could not be written says that, not that its ports are taken."""
    line = "tempmailg sandbox --port 0 --smtp-port 0 -q >/dev/full"
    assert _in_shell(shell, line) == (1, "", "tempmailg: stdout: No space left on device\n")


@pytest.mark.parametrize(
    ("line", "status"), [("domains >&- 2>&-", 1), ("nonsense 2>/dev/full", 2), ("rm x@y.z 2>&-", 1)]
)
def test_no_stream_at_all_is_no_bug(shell: Shell, line: str, status: int) -> None:
    """Without a stderr the status alone says what happened."""
    assert _in_shell(shell, f"tempmailg {line}") == (status, "", "")


def test_a_command_that_prints_nothing_needs_no_stdout(shell: Shell) -> None:
    """`rm` in a job without stdout deletes its mailbox and exits 0."""
    address = shell.answer("new")
    assert _in_shell(shell, f"tempmailg rm {address} >&- <&-") == (0, "", "")
    assert shell.run("messages", address).status == 1


def test_a_missing_stdout_gives_its_number_to_no_socket() -> None:
    """After `>&-` descriptor 1 is taken by something that cannot be written, before the first connection is made."""
    code = (
        "import os, stat, sys; from tempmailg._cli import run; run(['completion', 'bash']);"
        "sys.stderr.write(str(os.path.sameopenfile(1, os.open(os.devnull, os.O_RDONLY))))"
    )
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "{code}" >&-'],
        capture_output=True, text=True, timeout=40, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    assert done.stderr == "tempmailg: stdout: Bad file descriptor\nTrue"
