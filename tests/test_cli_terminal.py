"""The commands on a real terminal, with a real sandbox: what a person sees, and what Ctrl-C does."""

from __future__ import annotations

import os
import re
import smtplib
import unicodedata
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tempmailg.sandbox import Slow, Stall

if TYPE_CHECKING:
    from support.shell import Shell

pytest_plugins = ["support.shell"]

HOSTILE = "\x1b]0;pwned\x07[red]\x1b[13;37mbold\x1b[13m \u202egpj.exe\u200b\x9b2J\x7f [/red]{x}"
SHOWN = "␛]0;pwned␇[red]␛[13;37mbold␛[13m gpj.exe\ufffd2J␡ [/red]{x}"
ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
CTRL_C = "\x03"


@pytest.fixture
def address(shell: Shell) -> str:
    """A new mailbox, which is the newest."""
    return shell.answer("new")


def _send(shell: Shell, address: str, subject: str) -> None:
    """Send a mail as any application does."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Shop <hi@shop.example>", address, subject
    mail.set_content("Your verification code is 481516.")
    with smtplib.SMTP(shell.sandbox.smtp_host, shell.sandbox.smtp_port, timeout=20) as server:
        server.send_message(mail)


def test_new_tells_the_address_and_its_expiry(shell: Shell) -> None:
    """At a terminal `new` adds how long the mailbox lives; `--quiet` leaves that out."""
    with shell.terminal("new") as terminal:
        assert terminal.finish() == 0
        address, hint = terminal.seen.splitlines()
    assert "@" in address
    assert re.fullmatch(r"expires in (9:\d\d|10:00); .*", hint)
    with shell.terminal("new", "--quiet") as terminal:
        assert terminal.finish() == 0
        assert len(terminal.seen.splitlines()) == 1


def test_messages_are_a_table_with_relative_times(shell: Shell, address: str) -> None:
    """At a terminal `messages` is a table with titles; ids stay whole, so that they can be copied."""
    now = datetime.now(UTC)
    id_of_old = shell.sandbox.deliver(address, subject="Older", received_at=now - timedelta(minutes=3, seconds=30))
    shell.sandbox.deliver(
        address, subject="Newer", sender="A <a@b.example>", attachments=[("a", b"x")], received_at=now
    )
    with shell.terminal("messages", columns=80) as terminal:
        assert terminal.finish() == 0
        rows = [line.split() for line in terminal.seen.splitlines()]
    assert rows[0] == ["RECEIVED", "FROM", "SUBJECT", "AND", "ID"]
    assert rows[1] == ["3", "min", "ago", "hello@example.org", "Older"]
    assert rows[2] == [id_of_old]
    assert rows[3][-5:] == ["a@b.example", "Newer", "[1", "attached]"][-5:] or rows[3][-3:] == [
        "Newer",
        "[1",
        "attached]",
    ]


def test_colours_obey_no_color(shell: Shell) -> None:
    """With NO_COLOR a terminal gets no style at all, without it titles are bold."""
    with shell.terminal("domains") as terminal:
        assert terminal.finish() == 0
        assert "\x1b[1m" in terminal.written
    shell.set(NO_COLOR="1")
    with shell.terminal("domains") as terminal:
        assert terminal.finish() == 0
        assert "\x1b" not in terminal.written


def test_wait_shows_a_spinner_and_prints_the_code(shell: Shell, address: str) -> None:
    """While `wait` waits, a line shows time, polls, quota and expiry; the code stands alone on stdout."""
    with shell.terminal("wait", "--code", piped=True) as terminal:
        terminal.expect("of 1:00 · polls: ")
        terminal.expect("polls: 2 · quota spent: 2 · expires in 9:")
        terminal.expect(f" · {address}")
        _send(shell, address, "Sign in")
        assert terminal.finish() == 0
        assert terminal.piped == b"481516\n"
        assert terminal.written.endswith("\x1b[2K")  # the line is gone
        assert terminal.written.count("\x1b[?25l") == terminal.written.count("\x1b[?25h")


def test_a_narrow_terminal_gets_one_moving_line(shell: Shell, address: str) -> None:
    """A line that is too long is cut: its second half would stay when the line is redrawn."""
    with shell.terminal("wait", address, columns=40) as terminal:
        terminal.expect("…")
        terminal.press(CTRL_C)
        terminal.finish()
        assert terminal.seen.count("\n") == 2


def test_wait_in_vain_exits_124_with_the_reason_on_the_terminal(shell: Shell, address: str) -> None:
    """A time-out leaves nothing in the pipe and says why."""
    with shell.terminal("wait", "--code", "--timeout", "0.5", address, piped=True) as terminal:
        assert terminal.finish() == 124
        assert terminal.piped == b""
        assert "tempmailg: " in terminal.seen


def test_a_dumb_terminal_gets_no_moving_line(shell: Shell, address: str) -> None:
    """Where the cursor cannot move, `wait` is silent until it knows."""
    shell.set(TERM="dumb")
    with shell.terminal("wait", "--timeout", "0.5", address) as terminal:
        assert terminal.finish() == 124
        assert "\x1b" not in terminal.written
        assert terminal.seen.count("\n") == 1


def test_ctrl_c_ends_a_wait_at_once(shell: Shell, address: str) -> None:
    """Ctrl-C exits 130, takes the moving line away and gives the cursor back."""
    with shell.terminal("wait", address) as terminal:
        terminal.expect("waiting 0:")
        terminal.press(CTRL_C)
        assert terminal.finish() == 130
        assert terminal.seen.endswith("tempmailg: interrupted\n")
        assert terminal.written.count("\x1b[?25l") == terminal.written.count("\x1b[?25h")


def test_a_second_ctrl_c_changes_nothing(shell: Shell, address: str) -> None:
    """Whoever presses Ctrl-C three times gets status 130 and no traceback, too."""
    with shell.terminal("wait", address) as terminal:
        terminal.expect("waiting 0:")
        terminal.press(CTRL_C * 3)
        assert terminal.finish() == 130
        assert "Traceback" not in terminal.seen


def test_sigterm_ends_a_command_in_good_order(shell: Shell, address: str) -> None:
    """What `timeout` or a CI runner sends gives the cursor back, too."""
    with shell.terminal("wait", address) as terminal:
        terminal.expect("waiting 0:")
        terminal.terminate()
        assert terminal.finish() == 143
        assert terminal.written.count("\x1b[?25l") == terminal.written.count("\x1b[?25h")


def test_watch_tells_messages_above_its_moving_line(shell: Shell, address: str) -> None:
    """`watch` prints each message with its time as it arrives, and goes on until Ctrl-C."""
    with shell.terminal("watch") as terminal:
        terminal.expect("watching · mailboxes: 1")
        for subject in ("first", "second"):
            _send(shell, address, subject)
            terminal.expect(f"hi@shop.example  {subject}")
        terminal.expect("messages: 2")
        terminal.press(CTRL_C)
        assert terminal.finish() == 130
        assert len(re.findall(r"\d\d:\d\d:\d\d  hi@shop\.example  (?:first|second)\n", terminal.seen)) == 2


def test_download_shows_a_bar(shell: Shell, address: str) -> None:
    """While a file arrives, a bar shows its name, bytes, speed and time left; its path stands alone on stdout."""
    content = os.urandom(400_000)
    message = shell.sandbox.deliver(address, attachments=[(f"{HOSTILE}.bin", content)])
    shell.sandbox.faults.next("stream_attachment", Slow(200_000))
    with shell.terminal("download", message, piped=True, columns=200) as terminal:
        terminal.expect("/400.0 kB")
        terminal.expect("kB/s 0:0")
        assert terminal.finish() == 0
        assert f"{SHOWN}.bin" in terminal.seen
        assert HOSTILE not in terminal.written
        assert Path(os.fsdecode(terminal.piped.removesuffix(b"\n"))).read_bytes() == content


def test_ctrl_c_in_a_download_leaves_nothing(shell: Shell, address: str) -> None:
    """An interrupted download exits 130, and neither a file nor a part of one stays."""
    message = shell.sandbox.deliver(address, attachments=[("a.bin", b"x" * 100_000)])
    shell.sandbox.faults.next("stream_attachment", Stall(50_000))
    with shell.terminal("download", message, "--to", "files") as terminal:
        terminal.expect("a.bin")
        terminal.press(CTRL_C)
        assert terminal.finish() == 130
    assert list(Path("files").iterdir()) == []


def _assert_shown_literally(written: str, seen: str) -> None:
    """Check that nothing which a stranger wrote reached the terminal as anything but letters."""
    for raw in ("\x1b]0;", "\x1b[13", "\x07", "\x9b", "\x7f", "\u202e", "\u200b"):
        assert raw not in written
    assert not {c for c in seen if unicodedata.category(c) in ACTING} - {"\n"}


def test_hostile_mail_is_shown_literally(shell: Shell, address: str) -> None:
    """No control, escape, bidirectional or zero-width character of a mail reaches the terminal, and markup is text."""
    message = shell.sandbox.deliver(
        address,
        subject=HOSTILE,
        sender=f'"{HOSTILE}" <a@b.example>',
        text=f"Dear \n{HOSTILE}\nend",
        attachments=[(f"{HOSTILE}.txt", b"x")],
    )
    for arguments in (["messages"], ["read", message], ["wait"], ["rm-message", message]):
        with shell.terminal(*arguments, columns=300) as terminal:
            assert terminal.finish() == 0
            _assert_shown_literally(terminal.written, terminal.seen)
            if arguments[0] != "rm-message":
                assert SHOWN in terminal.seen


def test_hostile_mail_is_watched_literally(shell: Shell, address: str) -> None:
    """The same holds for what `watch` prints beside its moving line."""
    shell.sandbox.deliver(address, subject=HOSTILE, sender=f'"{HOSTILE}" <a@b.example>')
    with shell.terminal("watch", columns=300) as terminal:
        terminal.expect(SHOWN)
        terminal.press(CTRL_C)
        terminal.finish()
        _assert_shown_literally(terminal.written, terminal.seen.replace("^C", ""))


def test_read_shows_a_mail_as_a_person_reads_it(shell: Shell, address: str) -> None:
    """At a terminal `read` shows headers with a relative time, the text and a table of attachments."""
    message = shell.sandbox.deliver(
        address, subject="Hello", html="<p>one</p><p>two</p>", attachments=[("a.txt", b"12345")]
    )
    with shell.terminal("read", message) as terminal:
        assert terminal.finish() == 0
        shown = terminal.seen.splitlines()
    assert shown[0] == "Subject: Hello"
    assert re.fullmatch(r"Date: 20\S+ \((now|\d+ s ago)\)", shown[3])
    assert [line.split() for line in shown[-3:]] == [["Attachments"], ["NAME", "BYTES"], ["a.txt", "5"]]
    assert {"one", "two"} < set(shown)


def test_json_is_json_at_a_terminal_too(shell: Shell) -> None:
    """`--json` prints no table and no hint, whoever watches."""
    with shell.terminal("domains", "--json") as terminal:
        assert terminal.finish() == 0
        assert terminal.written.startswith('{"requested_type"')
        assert "\x1b" not in terminal.written


def test_the_sandbox_says_where_it_is_and_ends_with_ctrl_c(shell: Shell) -> None:
    """`sandbox` prints one line of JSON when it is ready and exits 130 on Ctrl-C."""
    with shell.terminal("sandbox", "--port", "0", "--smtp-port", "0") as terminal:
        terminal.expect('"smtp_port"')
        terminal.press(CTRL_C)
        assert terminal.finish() == 130
        assert terminal.seen.count("{") == 1


def test_a_port_that_is_taken_is_explained(shell: Shell) -> None:
    """A sandbox that cannot listen says which ports, and how to choose others."""
    taken = str(shell.sandbox.smtp_port)
    outcome = shell.process("sandbox", "--port", "0", "--smtp-port", taken)
    assert (outcome.status, outcome.stdout) == (1, "")
    assert taken in outcome.stderr
    assert "--smtp-port" in outcome.stderr
