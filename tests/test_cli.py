"""The commands in scripts: answers alone on stdout, JSON that parses, statuses with a meaning, errors of one line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.tags import tags_of

from tempmailg import AsyncClient, WaitTimeoutError
from tempmailg._cli._times import ago, clock, until
from tempmailg.sandbox import Edit, RateLimited, Reorder, Stall, Status

if TYPE_CHECKING:
    from support.shell import Shell

pytest_plugins = ["support.shell"]

HOSTILE = "\x1b]0;pwned\x07[red]\x1b[13;37mbold\x1b[0m \u202egpj.exe\u200b\x9b2J\x7f [/red]"
ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _json(shell: Shell, *arguments: str) -> Any:
    """Return the one JSON value that a command prints on the one line of its stdout."""
    answer = shell.answer(*arguments, "--json")
    assert "\n" not in answer
    assert answer.isascii()
    return json.loads(answer)


@pytest.fixture
def address(shell: Shell) -> str:
    """A new mailbox, which is the newest."""
    return shell.answer("new")


# -------------------------------------------------------------------------------------------------- answers and JSON


def test_domains_are_lines_and_json(shell: Shell) -> None:
    """`domains` prints a line for each domain, and the whole answer as JSON."""
    assert shell.answer("domains").splitlines() == ["example.com\tFree\tno", "example.org\tFree\tno"]
    listed = _json(shell, "domains")
    assert listed["allowed_types"] == ["free"]
    assert listed["domains"][0] == {"domain": "example.com", "type": "Free", "custom": False}


def test_new_prints_the_address_alone(shell: Shell) -> None:
    """`$(tempmailg new)` is an address, and its JSON holds all but the token."""
    outcome = shell.run("new")
    assert outcome.stdout.strip().count("@") == 1
    assert outcome.stderr == ""
    made = _json(shell, "new")
    assert set(made) == {"id", "email", "domain", "expires_at", "expires_in_seconds", "created_at"}


def test_switch_prints_the_new_address_alone(shell: Shell, address: str) -> None:
    """`switch` moves the mailbox; the old address is gone."""
    wanted = f"x{address.partition('@')[0]}@example.org"
    assert shell.answer("switch", address, wanted) == wanted
    assert _json(shell, "switch", wanted, f"y{wanted}")["email"] == f"y{wanted}"
    assert shell.run("messages", address).status == 1


def test_rm_deletes_quietly(shell: Shell, address: str) -> None:
    """`rm` prints nothing in a script, and says in JSON what it deleted."""
    assert shell.run("rm", address) == (0, "", "")
    other = shell.answer("new")
    assert _json(shell, "rm", other) == {"deleted": [other]}
    assert shell.run("messages", other).status == 1


def test_a_message_that_cannot_be_read_is_a_warning_beside_the_others(shell: Shell, address: str) -> None:
    """`messages` prints what can be read on stdout, names what cannot on stderr, and succeeds."""

    def spoil(listed: Any) -> Any:
        return {**listed, "messages": [{**listed["messages"][0], "receivedAt": None}, *listed["messages"]]}

    message_id = shell.sandbox.deliver(address, subject="Fine")
    shell.sandbox.faults.next("list_messages", Edit(spoil), times=2)
    outcome = shell.run("messages")
    assert outcome.status == 0
    assert [line.split("\t")[0] for line in outcome.stdout.splitlines()] == [message_id]
    assert "a message that cannot be read: " in outcome.stderr
    assert "messages[0].receivedAt: expected a date and time, got null" in outcome.stderr
    assert [message["id"] for message in json.loads(shell.run("messages", "--json").stdout)] == [message_id]


def test_what_was_left_out_of_a_message_is_a_warning(shell: Shell, address: str) -> None:
    """`read` shows the message and names what it lacks on stderr."""

    def spoil(answer: Any) -> Any:
        return {**answer, "data": {**answer["data"], "attachments": [{"size": 1}]}}

    message_id = shell.sandbox.deliver(address, subject="Fine", text="hello")
    shell.sandbox.faults.next("get_message", Edit(spoil))
    outcome = shell.run("read", message_id)
    assert (outcome.status, "hello" in outcome.stdout) == (0, True)
    assert "left out of the message: data.attachments[0].name: the field is missing" in outcome.stderr


def test_messages_are_lines_oldest_first(shell: Shell, address: str) -> None:
    """In a pipe, `messages` prints id, time, sender and subject between tabs, in the order of arrival."""
    begun = datetime(2026, 7, 1, 12, tzinfo=UTC)
    ids = [
        shell.sandbox.deliver(
            address, subject=f"number {n}", sender="N <n@example.net>", received_at=begun + timedelta(seconds=n)
        )
        for n in (2, 1)
    ]
    assert shell.answer("messages").splitlines() == [
        f"{ids[1]}\t2026-07-01T12:00:01+00:00\tn@example.net\tnumber 1",
        f"{ids[0]}\t2026-07-01T12:00:02+00:00\tn@example.net\tnumber 2",
    ]
    assert [message["id"] for message in _json(shell, "messages")] == ids[::-1]


def test_messages_of_one_second_keep_their_order(shell: Shell, address: str) -> None:
    """Messages that arrived within the same second are listed in the order of their arrival, too."""
    second = datetime(2026, 7, 1, 12, tzinfo=UTC)
    moments = [second + timedelta(seconds=n) for n in (0, 1, 1, 1)]
    ids = [shell.sandbox.deliver(address, subject=str(n), received_at=moment) for n, moment in enumerate(moments)]
    assert [message["id"] for message in _json(shell, "messages")] == ids
    shell.sandbox.faults.next("list_messages", Reorder())
    assert [message["id"] for message in _json(shell, "messages")] == ids


def test_an_empty_mailbox_prints_nothing(shell: Shell, address: str) -> None:
    """No message is no line, and an empty list in JSON."""
    assert shell.run("messages", address) == (0, "", "")
    assert _json(shell, "messages", address) == []


def test_read_shows_headers_text_and_attachments(shell: Shell, address: str) -> None:
    """`read` prints what a mail program would, as plain text."""
    message = shell.sandbox.deliver(
        address,
        subject="Hello",
        sender="Ann <ann@example.net>",
        html="<h1>Hi</h1><p>there &amp; here</p>",
        attachments=[("a.txt", b"12345")],
    )
    shown = shell.answer("read", message)
    assert shown.startswith(f"Subject: Hello\nFrom: Ann <ann@example.net>\nTo: {address}\nDate: 20")
    assert "\n\nHi\n" in shown
    assert "there & here" in shown
    assert shown.endswith("\n\nAttachments\na.txt\t5")
    value = _json(shell, "read", message)
    assert value["content"] == "<h1>Hi</h1><p>there &amp; here</p>"
    assert value["is_seen"] is True
    assert value["attachments"][0]["name"] == "a.txt"


HOSTILE_PAGE = (
    "\"></iframe><meta http-equiv='refresh' content='0;url=https://tracker.example/'><p>Grüße &amp; &quot;</p>"
    "<script>alert(1)</script><img src='https://tracker.example/'><IFRAME src='https://tracker.example/'></IFRAME>"
    "<link rel='preconnect' href='https://tracker.example/'><frameset><frame src='https://tracker.example/'></frameset>"
    "<object data='https://tracker.example/'></object><embed src='https://tracker.example/'><video poster='https://tracker.example/'>"
    "</video><style>@import url(https://tracker.example/); p {background: url(https://tracker.example/)}</style>"
    "<form action='https://tracker.example/'><input type=image src='https://tracker.example/' autofocus></form>"
)


def test_read_html_writes_a_private_file(shell: Shell, address: str) -> None:
    """`--html` prints the path of a file that shows the mail in a sandboxed frame and may load and run nothing."""
    message = shell.sandbox.deliver(address, html=HOSTILE_PAGE, subject="</title><script>")
    path = Path(shell.answer("read", message, "--html"))
    try:
        text = path.read_text(encoding="utf-8")
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        path.unlink()
    tags = tags_of(text)
    assert [tag for tag, _ in tags] == ["html", *["meta"] * 5, "title", "style", "iframe"]
    assert "default-src 'none'" in (tags[2][1]["content"] or "")
    frame = tags[-1][1]
    assert set(frame) == {"sandbox", "title", "srcdoc"}
    assert not frame["sandbox"]  # nothing is allowed
    assert (frame["srcdoc"] or "").replace("<x-", "<").replace("</x-", "</").endswith(HOSTILE_PAGE)
    assert not {tag for tag, _ in tags_of(frame["srcdoc"] or "")} & {"iframe", "frame", "link", "object", "embed"}


def test_no_browser_goes_where_a_mail_sends_it(shell: Shell, address: str) -> None:
    """A real browser that opens the file does not even connect to what the mail names, refreshes to or would load."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/seen"
        page = HOSTILE_PAGE.replace("https://tracker.example/", url) + "<p>The end"
        message = shell.sandbox.deliver(address, html=page)
        path = Path(shell.answer("read", message, "--html", "--to", "page.html")).absolute()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"]
        profile = f"--user-data-dir={shell.home / 'profile'}"
        shown = subprocess.run(
            [chromium, *options, profile, path.as_uri()], capture_output=True, text=True, timeout=60, check=True
        )
        assert "The end" in shown.stdout
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_read_html_goes_where_it_is_told_and_replaces_nothing(shell: Shell, address: str) -> None:
    """`--to` names the file; one that exists stays as it is."""
    message = shell.sandbox.deliver(address, text="1 < 2")
    assert shell.answer("read", message, "--html", "--to", "page.html") == "page.html"
    frame = tags_of(Path("page.html").read_text(encoding="utf-8"))[-1][1]
    assert (frame["srcdoc"] or "").endswith(">1 &lt; 2</pre>")
    outcome = shell.run("read", message, "--html", "--to", "page.html")
    assert (outcome.status, outcome.stderr) == (1, "tempmailg: page.html: File exists\n")
    assert _json(shell, "read", message, "--html", "--to", "other.html") == {"path": "other.html"}


def test_rm_message_deletes_several(shell: Shell, address: str) -> None:
    """`rm-message` takes any number of ids."""
    ids = [shell.sandbox.deliver(address, text="x") for _ in range(3)]
    assert shell.run("rm-message", *ids[:2]) == (0, "", "")
    assert _json(shell, "rm-message", ids[2]) == {"deleted": [ids[2]]}
    assert shell.answer("messages") == ""


def test_quota_shows_what_is_left(shell: Shell) -> None:
    """`quota` prints remaining, used, limit and reset."""
    remaining, used, limit, resets = shell.answer("quota").split("\t")
    assert int(remaining) + int(used) == int(limit)
    assert datetime.fromisoformat(resets).tzinfo is not None
    assert _json(shell, "quota")["used"] == int(used) + 1


def test_json_is_exact_for_any_mail(shell: Shell, address: str) -> None:
    """Whatever a mail holds, its JSON is ASCII, holds no raw control, and parses back to exactly that."""
    message = shell.sandbox.deliver(address, subject=HOSTILE, text=f"Grüße 👍\n{HOSTILE}")
    value = _json(shell, "messages")[0]
    assert (value["id"], value["subject"], value["content"]) == (message, HOSTILE, f"Grüße 👍\n{HOSTILE}")
    assert not {c for c in shell.answer("messages", "--json") if unicodedata.category(c) in ACTING}


# ------------------------------------------------------------------------------------------------------- attachments


def test_download_saves_all_or_those_named(shell: Shell, address: str) -> None:
    """`download` saves whole files and prints their paths; names choose."""
    files = {"a.txt": b"a" * 100_000, "b.bin": os.urandom(300_000)}
    message = shell.sandbox.deliver(address, attachments=list(files.items()))
    shell.home.joinpath("all").mkdir()
    paths = [Path(line) for line in shell.answer("download", message, "--to", "all").splitlines()]
    assert {path.name: path.read_bytes() for path in paths} == files
    assert shell.answer("download", message, "b.bin") == "b.bin"
    assert hashlib.sha256(Path("b.bin").read_bytes()).digest() == hashlib.sha256(files["b.bin"]).digest()


def test_download_never_replaces_unless_told(shell: Shell, address: str) -> None:
    """An existing file keeps its content; `--overwrite` replaces it."""
    message = shell.sandbox.deliver(address, attachments=[("a.txt", b"new")])
    Path("a.txt").write_text("old")
    [saved] = _json(shell, "download", message)
    assert saved == {"name": "a.txt", "path": "a (1).txt", "size": 3}
    assert Path("a.txt").read_text() == "old"
    shell.answer("download", message, "--overwrite")
    assert Path("a.txt").read_text() == "new"


def test_a_hostile_file_name_stays_in_the_folder(shell: Shell, address: str) -> None:
    """A name chosen by the sender becomes one safe name in the folder, and can be named as it is shown."""
    names = ["../../evil", "in\u202egpj.exe", "-rf"]
    message = shell.sandbox.deliver(address, attachments=[(name, b"x") for name in names])
    shell.home.joinpath("here").mkdir()
    paths = shell.answer("download", message, "--to", "here").splitlines()
    assert len(paths) == 3
    assert all(Path(path).parent == Path("here") and Path(path).is_file() for path in paths)
    assert not {c for path in paths for c in path if unicodedata.category(c) in ACTING}
    assert shell.run("download", message, "ingpj.exe").status == 0


def test_a_wrong_attachment_name_tells_the_right_ones(shell: Shell, address: str) -> None:
    """A misspelt name is wrong usage, and the error lists what is there."""
    message = shell.sandbox.deliver(address, attachments=[("a.txt", b"x")])
    outcome = shell.run("download", message, "b.txt")
    assert outcome.status == 2
    assert "no attachment 'b.txt'; there are: 'a.txt'" in outcome.stderr


def test_download_saves_what_it_can(shell: Shell, address: str) -> None:
    """A file with an impossible name is reported on stderr with status 1; the paths of the others stand on stdout."""
    message = shell.sandbox.deliver(address, attachments=[("bad", b"x"), ("good.pdf", b"file")])

    def renamed(answer: Any) -> Any:
        answer["data"]["attachments"][0]["name"] = ".."
        return answer

    rename = Edit(renamed)
    shell.sandbox.faults.next("get_message", rename)
    outcome = shell.run("download", message)
    assert (outcome.status, outcome.stdout) == (1, "good.pdf\n")
    assert "1 of 2 files could not be downloaded, the others are saved: '..': " in outcome.stderr
    shell.sandbox.faults.next("get_message", rename)
    outcome = shell.run("download", message, "--overwrite", "--json")
    assert outcome.status == 1
    assert json.loads(outcome.stdout) == [{"name": "good.pdf", "path": "good.pdf", "size": 4}]
    assert Path("good.pdf").read_bytes() == b"file"


def test_a_message_without_attachments_saves_nothing(shell: Shell, address: str) -> None:
    """Nothing to save is no error."""
    message = shell.sandbox.deliver(address, text="x")
    assert shell.run("download", message) == (0, "", "")


# ----------------------------------------------------------------------------------------------------------- waiting


def test_wait_prints_the_code_alone(shell: Shell, address: str) -> None:
    """`code=$(tempmailg wait --code BOX)` is the code of a mail that arrives while it waits."""
    later = threading.Timer(
        0.3, shell.sandbox.deliver, [address], {"subject": "Sign in", "text": "Your verification code is 481516."}
    )
    later.start()
    outcome = shell.run("wait", "--code", address)
    later.join()
    assert outcome == (0, "481516\n", "")
    assert _json(shell, "wait", "--code") == {"code": "481516"}


def test_wait_prints_the_link_alone(shell: Shell, address: str) -> None:
    """`wait --link` prints the address to follow in visible ASCII."""
    link = "https://example.com/verify?token=81f0c2d4ab77&name=ü"
    shell.sandbox.deliver(address, html=f'<p>Please <a href="{link}">verify your address</a>.</p>')
    assert shell.answer("wait", "--link", "--timeout", "5") == link.replace("ü", "%C3%BC")
    assert _json(shell, "wait", "--link", "--timeout", "5") == {"link": link}


def test_wait_prints_the_id_of_the_message_that_fits(shell: Shell, address: str) -> None:
    """Subject, sender and text choose among the messages that are there."""
    shell.sandbox.deliver(address, subject="News", text="nothing")
    wanted = shell.sandbox.deliver(address, subject="Welcome", sender="Shop <hi@shop.example>", text="a b c")
    for option in (["--subject", "welc"], ["--from", "shop.example"], ["--body", "a b"]):
        assert shell.answer("wait", *option) == wanted
    assert _json(shell, "wait", "--subject", "Welcome")["id"] == wanted


def test_wait_new_passes_over_what_is_there(shell: Shell, address: str) -> None:
    """With `--new` only a mail that arrives after the start counts."""
    shell.sandbox.deliver(address, text="Your verification code is 111111.")
    later = threading.Timer(0.8, shell.sandbox.deliver, [address], {"text": "Your verification code is 222222."})
    later.start()
    assert shell.answer("wait", "--new", "--code") == "222222"
    later.join()


def test_a_wait_in_vain_exits_124_and_explains(shell: Shell, address: str) -> None:
    """A time-out leaves stdout empty and says on stderr what arrived instead."""
    shell.sandbox.deliver(address, subject="News", text="nothing")
    outcome = shell.run("wait", "--code", "--timeout", "2")
    assert (outcome.status, outcome.stdout) == (124, "")
    assert outcome.stderr.count("\n") == 1
    assert "'News'" in outcome.stderr


def test_a_wait_for_a_deleted_mailbox_is_an_error(shell: Shell) -> None:
    """A mailbox that is gone ends the wait at once with status 1."""
    outcome = shell.run("wait", "gone@example.com", "--timeout", "30")
    assert (outcome.status, outcome.stdout) == (1, "")
    assert "tempmailg new" in outcome.stderr


def test_watch_resumes_from_its_state(shell: Shell, address: str) -> None:
    """A second watch with the same state file prints only what the first has not printed."""
    shell.sandbox.deliver(address, subject="first")
    assert _watched(shell, address, 1) == ["first"]
    shell.sandbox.deliver(address, subject="second")
    assert _watched(shell, address, 1) == ["second"]


def _watched(shell: Shell, address: str, count: int) -> list[str]:
    """Read so many messages of a watch, then interrupt it as Ctrl-C does."""
    with shell.start("watch", address, "--json", "--state", "watch.json") as process:
        assert process.stdout is not None
        printed = [json.loads(process.stdout.readline())["subject"] for _ in range(count)]
        _until(lambda: Path("watch.json").exists() and len(_ids("watch.json")) >= count)
        process.send_signal(2)
        assert process.wait(timeout=20) == 130
    return printed


def _ids(path: str) -> list[str]:
    """Return the ids that a state file holds: its lines are lists, those of what was seen begin so."""
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return [each for kind, *rest in lines if kind == "seen" for each in rest[1:]]


def _until(condition: Any) -> None:
    for _ in range(400):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it never came true")


def test_wait_asks_as_often_as_it_is_told(shell: Shell, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--poll-interval` reaches the client in seconds, and `--timeout 0` asks once."""
    asked: list[dict[str, Any]] = []

    async def wait_for_message(_client: object, _mailbox: object, **criteria: Any) -> None:
        asked.append(criteria)
        raise WaitTimeoutError("in vain")

    before = len(shell.sandbox.journal)
    assert shell.run("wait", address, "--timeout", "0").status == 124
    assert len(shell.sandbox.journal) == before + 1
    monkeypatch.setattr(AsyncClient, "wait_for_message", wait_for_message)
    assert shell.run("wait", address, "--timeout", "2m", "--poll-interval", "1.5m").status == 124
    assert (asked[0]["timeout"], asked[0]["poll_interval"]) == (120.0, 90.0)


def test_watch_ends_when_its_mailbox_is_gone(shell: Shell, address: str) -> None:
    """A watch whose last mailbox is gone says so and ends, after it printed what had arrived."""
    shell.sandbox.deliver(address, subject="first")
    later = threading.Timer(0.5, shell.process, ["rm", address])
    later.start()
    outcome = shell.run("watch", address)
    later.join()
    assert outcome.stdout.endswith("\tfirst\n")
    assert address in outcome.stderr
    assert outcome.status == 0


@pytest.mark.parametrize("text", ["[]", "{}", "\x00", "a line of somebody else", "[[]]\n", '["seen"\n'])
def test_a_damaged_watch_state_is_refused(shell: Shell, address: str, text: str) -> None:
    """A state file that is none is not overwritten: it may be another file."""
    Path("notes").write_text(text)
    outcome = shell.run("watch", address, "--state", "notes")
    assert outcome.status == 1
    assert "notes is no state file of a watch" in outcome.stderr
    assert Path("notes").read_text() == text


# ------------------------------------------------------------------------------------------------ errors and statuses


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 500])
def test_an_error_of_the_service_is_one_line(shell: Shell, status: int) -> None:
    """Each error status becomes one line with what to do, without traceback and key."""
    shell.sandbox.faults.next("list_domains", Status(status, message="no\x1b[31m\nno"), times=9)
    outcome = shell.run("domains")
    assert (outcome.status, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("tempmailg: ")
    assert outcome.stderr.count("\n") == 1
    assert not {c for c in outcome.stderr[:-1] if unicodedata.category(c) in ACTING}
    assert shell.sandbox.api_key not in outcome.stderr


def test_debug_shows_the_traceback_without_the_key(shell: Shell) -> None:
    """`--debug` prints where it failed; the key is not in it, even if the service echoes it."""
    shell.set(TEMPMAILG_API_KEY="canary-key")
    shell.sandbox.faults.next(None, Status(401, message="unknown key canary-key"))
    outcome = shell.run("domains", "--debug")
    assert "Traceback (most recent call last)" in outcome.stderr
    assert "canary-key" not in outcome.stderr
    assert "Traceback" not in shell.run("domains").stderr


def test_debug_shows_each_request(shell: Shell) -> None:
    """`--debug` and `TEMPMAILG_LOG=debug` show each attempt as the logger does, once, without the key."""
    shell.sandbox.faults.next("list_domains", Status(502))
    with_option = shell.run("domains", "--debug")
    shell.sandbox.faults.next("list_domains", Status(502))
    shell.set(TEMPMAILG_LOG="debug")
    with_variable = shell.process("domains")
    for outcome in (with_option, with_variable):
        assert outcome.status == 0
        failed, answered = outcome.stderr.splitlines()
        assert failed.startswith("tempmailg: GET /domains: 502, attempt 1, ")
        assert answered.startswith("tempmailg: GET /domains: ok, attempt 2, ")
        assert shell.sandbox.api_key not in outcome.stderr
    shell.set(TEMPMAILG_LOG=None)
    assert shell.run("domains").stderr == ""


def test_no_connection_is_one_line(shell: Shell) -> None:
    """A service that is not there is named by its address."""
    shell.set(TEMPMAILG_BASE_URL="http://127.0.0.1:9/api")
    outcome = shell.run("domains")
    assert outcome.status == 1
    assert "http://127.0.0.1:9/api" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_a_bug_is_called_one(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw is one line, too."""
    from tempmailg._cli import _actions

    def fail(*_: object) -> None:
        raise RuntimeError("by the test")

    monkeypatch.setattr(_actions, "start", fail)
    outcome = shell.run("domains")
    assert outcome.status == 1
    assert "this is a bug (RuntimeError: by the test)" in outcome.stderr


@pytest.mark.parametrize("unbuffered", [None, "1"], ids=["as usual", "PYTHONUNBUFFERED"])
def test_no_command_survives_a_reader_that_left(shell: Shell, address: str, unbuffered: str | None) -> None:
    """A broken pipe ends a command without a word, but never with the status of success."""
    shell.set(PYTHONUNBUFFERED=unbuffered)
    for _ in range(3):
        shell.sandbox.deliver(address, subject="x" * 900, text="y" * 200_000)
    with shell.start("messages", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=20) == 1


def test_an_interrupted_command_exits_130(shell: Shell, address: str) -> None:
    """Ctrl-C ends a request that hangs at once."""
    shell.sandbox.faults.next("list_messages", Stall())
    before = len(shell.sandbox.journal)
    with shell.start("messages", address) as process:
        _until(lambda: not shell.sandbox.faults.pending() or len(shell.sandbox.journal) > before)
        process.send_signal(2)
        assert process.wait(timeout=10) == 130
        assert process.stderr is not None
        assert process.stderr.read() == "tempmailg: interrupted\n"


def test_quota_used_up_is_one_line(shell: Shell) -> None:
    """An error about the quota says when it starts again, and nothing is retried for ever."""
    shell.sandbox.faults.next("list_domains", RateLimited(3600))
    outcome = shell.run("domains")
    assert outcome.status == 1
    assert "tempmailg quota" in outcome.stderr


def test_a_terminal_that_lacks_a_character_gets_a_question_mark(shell: Shell, address: str) -> None:
    """An encoding that lacks a letter loses the letter, not the command."""
    shell.sandbox.deliver(address, subject="Grüße ✓")
    shell.set(PYTHONIOENCODING="ascii")
    outcome = shell.process("messages", address)
    assert outcome.status == 0
    assert outcome.stdout.endswith("\tGr??e ?\n")


# --------------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (12, "12 s ago"), (60, "1 min ago"), (7_199, "1 h ago"), (90_000, "1 d ago"), (-61, "in 1 min")],
)
def test_times_are_told_relative_to_now(seconds: int, text: str) -> None:
    """A moment is shown as the time that has passed since, in its largest unit."""
    now = datetime(2026, 7, 1, tzinfo=UTC)
    assert ago(now - timedelta(seconds=seconds), now) == text


def test_a_countdown_ends_at_zero() -> None:
    """What is left of a mailbox's life counts down to 0:00 and not below."""
    now = datetime(2026, 7, 1, tzinfo=UTC)
    assert until(now + timedelta(seconds=588), now) == "9:48"
    assert until(now - timedelta(seconds=5), now) == "0:00"
    assert clock(3_723) == "1:02:03"
