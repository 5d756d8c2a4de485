"""What the command line finds on disk: the key's config file, and the mailbox that was made last."""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
import tomllib
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tempmailg._errors import ConfigurationError

if TYPE_CHECKING:
    from tempmailg._models import Mailbox

__all__ = ["access", "config_path", "forget", "newest", "newest_address", "remember", "write_whole"]

_APP: Final = "tempmailg"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


# -------------------------------------------------------------------------------------------------- key and base URL


def config_path() -> Path:
    """Return where the config file is looked for: ``TEMPMAILG_CONFIG``, or the platform's folder for settings."""
    chosen = os.environ.get("TEMPMAILG_CONFIG")
    return Path(chosen) if chosen else Path(click.get_app_dir(_APP), "config.toml")


def access() -> tuple[str, str | None]:
    """Return the API key and the base URL, None for the service's own.

    Key and URL come from one place, environment or file: a key is never sent to a URL that somebody set elsewhere.

    Raises:
        ConfigurationError: There is no key, or others could read it.
    """
    key, url = os.environ.get("TEMPMAILG_API_KEY"), os.environ.get("TEMPMAILG_BASE_URL") or None
    if key is not None:
        return key, url
    path = config_path()
    settings = _read(path)
    if settings is None:
        raise ConfigurationError(
            f'no API key: set TEMPMAILG_API_KEY, or write api_key = "…" into {path} (and chmod 600 it)'
        )
    if url is not None and url != settings.get("base_url"):
        raise ConfigurationError(
            f"TEMPMAILG_BASE_URL is set but TEMPMAILG_API_KEY is not, and the key in {path} is not for that URL:"
            " set both, or neither"
        )
    return settings["api_key"], settings.get("base_url")


def _read(path: Path) -> dict[str, str] | None:
    try:
        text = _read_private(path)
    except FileNotFoundError:
        return None
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        settings = {}
    known = {name: value for name, value in settings.items() if name in ("api_key", "base_url")}
    if "api_key" not in known or not all(isinstance(value, str) for value in known.values()):
        raise ConfigurationError(f'{path} must hold the line api_key = "…", and may hold base_url = "…"')
    return known


def _read_private(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)  # of what was opened, not of what now has its name
        if os.name == "posix" and mode & _OTHERS:
            raise ConfigurationError(f"{path} can be read by others (mode {mode:o}): run chmod 600 {path}")
        return file.read(64 * 1024)


# ------------------------------------------------------------------------------------------------ the newest mailbox


def remember(mailbox: Mailbox, base_url: str) -> None:
    """Keep a mailbox as the one that ``-`` means; its token is not written."""
    state = {
        "base_url": base_url,
        "id": mailbox.id,
        "email": mailbox.email,
        "domain": mailbox.domain,
        "expires_at": mailbox.expires_at and mailbox.expires_at.isoformat(),
        "expires_in_seconds": mailbox.expires_in_seconds,
        "created_at": mailbox.created_at and mailbox.created_at.isoformat(),
    }
    with suppress(OSError):  # a home that cannot be written costs the shorthand, not the command
        path = _state_path()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, json.dumps(state))


def forget(email: str) -> None:
    """Drop the newest mailbox if this is its address."""
    if newest_address() == email:
        with suppress(OSError):
            _state_path().unlink(missing_ok=True)


def newest(base_url: str) -> Mailbox | None:
    """Return the mailbox that ``-`` means at this service, or None."""
    state = _state()
    if state is None or state["base_url"] != base_url:
        return None
    from tempmailg._models import Mailbox

    return Mailbox(
        id=state["id"],
        email=state["email"],
        domain=state["domain"],
        expires_at=state["expires_at"] and datetime.fromisoformat(state["expires_at"]),
        expires_in_seconds=state["expires_in_seconds"],
        created_at=state["created_at"] and datetime.fromisoformat(state["created_at"]),
    )


def newest_address() -> str | None:
    """Return the newest mailbox's address whatever its service: completions and `forget` need no more."""
    state = _state()
    return None if state is None else state["email"]


def _state_path() -> Path:
    return _state_folder() / "mailbox.json"


def _state_folder() -> Path:
    if os.name == "posix" and sys.platform != "darwin":
        base = os.environ.get("XDG_STATE_HOME")
        return Path(base) / _APP if base else Path.home() / ".local" / "state" / _APP
    return Path(click.get_app_dir(_APP, roaming=False))


def _state() -> dict[str, Any] | None:
    """Return what `remember` wrote, or None: a file that says anything else is as good as none."""
    try:
        state = json.loads(_state_path().read_text(encoding="utf-8"))
        for moment in ("expires_at", "created_at"):
            if state[moment] is not None:
                datetime.fromisoformat(state[moment]).timestamp()
        whole = all(isinstance(state[name], str) for name in ("email", "domain", "base_url")) and "id" in state
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return state if whole else None


def write_whole(path: Path, text: str) -> None:
    """Replace a file by another in one step: a reader, or a crash, finds the old text or the new."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105 - a name from mkstemp
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
