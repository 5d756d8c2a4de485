"""The config file and the newest mailbox: who may read the key, where it goes, and what `-` means."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tempmailg._cli._config import find_access
from tempmailg._cli._files import replace_file

if TYPE_CHECKING:
    from support.shell import Shell

pytest_plugins = ["support.shell"]


def _configure(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.fixture
def keyless(shell: Shell) -> Shell:
    shell.set(TEMPMAILG_API_KEY=None, TEMPMAILG_BASE_URL=None)
    return shell


def _settings(shell: Shell) -> str:
    return f'api_key = "{shell.sandbox.api_key}"\nbase_url = "{shell.sandbox.base_url}"\n'


def test_the_config_file_gives_key_and_address(keyless: Shell) -> None:
    """Without the environment's variables, the platform's config file is used."""
    _configure(keyless.home / ".config/tempmailg/config.toml", _settings(keyless))
    assert keyless.answer("domains").startswith("example.com\t")


def test_the_config_file_can_stand_elsewhere(keyless: Shell) -> None:
    """TEMPMAILG_CONFIG names another config file."""
    keyless.set(TEMPMAILG_CONFIG=str(_configure(keyless.home / "mine.toml", _settings(keyless))))
    assert keyless.answer("domains").startswith("example.com\t")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
def test_a_config_file_that_others_can_read_is_refused(keyless: Shell, mode: int) -> None:
    """A key that other users could read is not used, and the advice mends it."""
    path = _configure(keyless.home / "config.toml", _settings(keyless), mode)
    keyless.set(TEMPMAILG_CONFIG=str(path))
    outcome = keyless.run("domains")
    assert (outcome.status, outcome.stdout) == (1, "")
    assert f"run chmod 600 {path}" in outcome.stderr
    path.chmod(0o600)
    assert keyless.run("domains").status == 0


def test_no_key_at_all_is_one_line_of_advice(keyless: Shell) -> None:
    """Without a key the error names both places where it can be put."""
    outcome = keyless.run("domains")
    assert outcome.status == 1
    assert outcome.stderr.count("\n") == 1
    assert "set TEMPMAILG_API_KEY" in outcome.stderr
    assert str(keyless.home / ".config/tempmailg/config.toml") in outcome.stderr


def test_the_files_key_never_goes_to_the_environments_address(keyless: Shell) -> None:
    """A base URL that somebody set elsewhere does not get the key of the config file."""
    _configure(keyless.home / ".config/tempmailg/config.toml", 'api_key = "canary"\n')
    before = len(keyless.sandbox.journal)
    keyless.set(TEMPMAILG_BASE_URL=keyless.sandbox.base_url)
    outcome = keyless.run("domains")
    assert outcome.status == 1
    assert "set both, or neither" in outcome.stderr
    assert len(keyless.sandbox.journal) == before


def test_the_environments_address_may_be_the_files_in_another_spelling(keyless: Shell) -> None:
    """One address is one address, with a slash at its end and in capitals, too."""
    _configure(keyless.home / ".config/tempmailg/config.toml", _settings(keyless))
    keyless.set(TEMPMAILG_BASE_URL=keyless.sandbox.base_url.replace("http:", "HTTP:") + "/")
    assert keyless.answer("domains").startswith("example.com\t")


def test_the_environments_address_may_be_the_services_own(monkeypatch: pytest.MonkeyPatch, keyless: Shell) -> None:
    """A key in a file without an address is for the service's own, wherever that is written."""
    _configure(keyless.home / ".config/tempmailg/config.toml", 'api_key = "canary"\n')
    monkeypatch.setenv("TEMPMAILG_BASE_URL", "https://v1.tempmailg.com/api")
    assert find_access() == ("canary", None)


@pytest.mark.parametrize(
    "text", ["api_key = canary", "api_key = 7", 'base_url = "https://example.com"', "\x00", 'api_key = "canary']
)
def test_a_malformed_config_file_is_explained_without_its_content(keyless: Shell, text: str) -> None:
    """What is wrong with the config file is said without repeating what may be the key."""
    keyless.set(TEMPMAILG_CONFIG=str(_configure(keyless.home / "config.toml", text)))
    outcome = keyless.run("domains", "--debug")
    assert outcome.status == 1
    assert 'must hold the line api_key = "…"' in outcome.stderr
    assert "canary" not in outcome.stderr


def test_no_command_takes_the_key_as_an_argument(shell: Shell) -> None:
    """A key on a command line would stand in the process list and the shell's history."""
    outcome = shell.run("domains", "--api-key", "canary")
    assert outcome.status == 2


def test_the_newest_mailbox_needs_no_name(shell: Shell) -> None:
    """After `new` or `switch`, a command without an address means that mailbox."""
    address = shell.answer("new")
    shell.sandbox.deliver(address, subject="first")
    assert shell.answer("messages").endswith("\tfirst")
    switched = shell.answer("switch", "-", f"{address.partition('@')[0]}2@example.org")
    shell.sandbox.deliver(switched, subject="second")
    assert shell.answer("messages", "-").endswith("\tsecond")


def test_a_deleted_mailbox_is_no_longer_the_newest(shell: Shell) -> None:
    """After `rm -` no other mailbox takes its place unseen."""
    shell.answer("new")
    shell.answer("rm", "-")
    outcome = shell.run("messages")
    assert outcome.status == 2
    assert "tempmailg new" in outcome.stderr


def test_the_newest_mailbox_of_another_service_does_not_count(shell: Shell) -> None:
    """What was made in the sandbox is not asked for at the real service."""
    shell.answer("new")
    shell.set(TEMPMAILG_BASE_URL="http://127.0.0.1:9/api")
    assert shell.run("messages").status == 2


def test_deleting_needs_a_name(shell: Shell) -> None:
    """`rm` alone deletes nothing."""
    address = shell.answer("new")
    assert shell.run("rm").status == 2
    assert shell.run("messages", address).status == 0


def test_the_memory_holds_no_secret_and_is_private(shell: Shell) -> None:
    """The file that remembers the newest mailbox holds neither key nor token, and nobody else may read it."""
    address = shell.answer("new")
    path = shell.home / ".local/state/tempmailg/mailbox.json"
    text = path.read_text()
    assert address in text
    assert "token" not in text
    assert shell.sandbox.api_key not in text
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_config_file_may_come_from_a_windows_editor(keyless: Shell, codec: str) -> None:
    """A byte order mark, which such editors write, is understood."""
    mark = "" if codec in ("utf-8-sig", "utf-16") else "\ufeff"
    path = _configure(keyless.home / "config.toml", "")
    path.write_bytes((mark + _settings(keyless)).replace("\n", "\r\n").encode(codec))
    keyless.set(TEMPMAILG_CONFIG=str(path))
    assert keyless.answer("domains").startswith("example.com\t")


def test_a_config_file_that_is_a_fifo_is_refused(keyless: Shell) -> None:
    """A named pipe without a writer would hold up every command."""
    path = keyless.home / "pipe"
    os.mkfifo(path, 0o600)
    keyless.set(TEMPMAILG_CONFIG=str(path))
    outcome = keyless.run("domains")
    assert (outcome.status, outcome.stderr) == (1, f"tempmailg: the config file {path} is no ordinary file\n")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/full"])
def test_a_config_file_that_is_none_is_refused(keyless: Shell, path: str) -> None:
    """A device is not read, for it may have no end."""
    keyless.set(TEMPMAILG_CONFIG=path)
    outcome = keyless.run("domains")
    assert (outcome.status, outcome.stderr) == (1, f"tempmailg: the config file {path} is no ordinary file\n")


def test_a_config_file_without_end_is_refused(keyless: Shell) -> None:
    """A file of two lines is never megabytes long, so no more than 64 KiB are read."""
    path = _configure(keyless.home / "config.toml", _settings(keyless) + "#" * 70_000)
    keyless.set(TEMPMAILG_CONFIG=str(path))
    outcome = keyless.run("domains")
    assert outcome.status == 1
    assert "is larger than 64 KiB" in outcome.stderr


def test_a_deeply_nested_config_file_is_malformed(keyless: Shell) -> None:
    """Thousands of brackets are explained as any other wrong text is."""
    path = _configure(keyless.home / "config.toml", "a = " + "[" * 60_000)
    keyless.set(TEMPMAILG_CONFIG=str(path))
    assert "must hold the line" in keyless.run("domains").stderr


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"email": 1}', '{"expires_at": "x"}', "\x00", "[" * 60_000, "[" * 100_000]
)
def test_a_damaged_memory_is_as_good_as_none(shell: Shell, text: str) -> None:
    """Whatever stands in the remembering file, commands go on without it."""
    shell.answer("new")
    (shell.home / ".local/state/tempmailg/mailbox.json").write_text(text)
    assert shell.run("messages").status == 2
    assert shell.run("new").status == 0


def test_a_home_that_is_a_file_costs_the_shorthand_only(shell: Shell) -> None:
    """Where the folder for states cannot be made, `new` still prints its address."""
    (shell.home / ".local").write_text("")
    assert "@" in shell.answer("new")
    assert shell.run("messages").status == 2


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure while a state is written leaves the old one, and nothing beside it."""
    path = tmp_path / "state"
    replace_file(path, "old")

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "the disk is full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="full") as caught:
        replace_file(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_memory_may_be_a_symbolic_link(shell: Shell) -> None:
    """Where `mailbox.json` is a link, as dotfile managers make them, the file behind it is written and read."""
    folder = shell.home / ".local/state/tempmailg"
    folder.mkdir(parents=True)
    elsewhere = shell.home / "dotfiles"
    elsewhere.mkdir()
    (folder / "mailbox.json").symlink_to(elsewhere / "mailbox.json")
    address = shell.answer("new")
    assert (folder / "mailbox.json").is_symlink()
    assert address in (elsewhere / "mailbox.json").read_text()
    assert (
        shell.answer("switch", "-", f"x{address.partition('@')[0]}@example.org")
        in (elsewhere / "mailbox.json").read_text()
    )


@pytest.mark.parametrize("path", ["/dev/full", "/dev/zero", "pipe"])
def test_a_watch_state_that_is_no_file_is_refused(shell: Shell, path: str) -> None:
    """A device or a pipe as `--state` ends the command before a request is sent, and nothing is read from it."""
    os.mkfifo(shell.home / "pipe", 0o600)
    before = len(shell.sandbox.journal)
    outcome = shell.run("watch", "box@example.com", "--state", path)
    assert outcome.status == 1
    assert f"{path} is no ordinary file: give another path" in outcome.stderr
    assert len(shell.sandbox.journal) == before


def test_a_watch_state_without_end_is_refused(shell: Shell) -> None:
    """A file of more than a gigabyte is no state, and is not read."""
    with Path("state").open("wb") as file:
        file.truncate(1024**3 + 1)
    outcome = shell.run("watch", "box@example.com", "--state", "state")
    assert outcome.status == 1
    assert "state is larger than any state of a watch" in outcome.stderr


def test_a_linked_watch_state_stays_a_link(shell: Shell) -> None:
    """Where `--state` names a symbolic link, the file behind it is written, at the end of the watch, too."""
    Path("there").mkdir()
    Path("state").symlink_to("there/state")
    address = shell.answer("new")
    shell.sandbox.deliver(address, subject="first")
    with shell.start("watch", address, "--state", "state") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(2)
        assert process.wait(timeout=20) == 130
    assert Path("state").is_symlink()
    assert Path("there/state").read_text().startswith('["')


def test_a_deeply_nested_watch_state_is_refused(shell: Shell) -> None:
    """JSON that is nested too deeply for any reader is an unusable state, not a bug."""
    Path("state").write_text('["seen", ' + "[" * 100_000 + "\n")
    outcome = shell.run("watch", "box@example.com", "--state", "state")
    assert outcome.status == 1
    assert "bug" not in outcome.stderr
