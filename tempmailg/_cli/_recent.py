"""The mailbox that was made or switched last, kept on disk: what ``-`` means."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import click

from tempmailg._cli._config import APP
from tempmailg._cli._files import read_json, replace_file

if TYPE_CHECKING:
    from tempmailg._models import Mailbox

__all__ = ["forget", "newest", "newest_address", "remember"]

_MAX_BYTES: Final = 64 * 1024  # of a file of seven short values


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
        path = _path()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, json.dumps(state))


def forget(email: str) -> None:
    """Drop the newest mailbox if this is its address."""
    if newest_address() == email:
        with suppress(OSError):
            _path().unlink(missing_ok=True)


def newest(base_url: str) -> Mailbox | None:
    """Return the mailbox that ``-`` means at this service, or None."""
    state = _read()
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
    state = _read()
    return None if state is None else state["email"]


def _path() -> Path:
    return _folder() / "mailbox.json"


def _folder() -> Path:
    if os.name == "posix" and sys.platform != "darwin":
        base = os.environ.get("XDG_STATE_HOME")
        return Path(base) / APP if base else Path.home() / ".local" / "state" / APP
    return Path(click.get_app_dir(APP, roaming=False))


def _read() -> dict[str, Any] | None:
    """Return what `remember` wrote, or None: a file that says anything else is as good as none."""
    try:
        state = cast(dict[str, Any], read_json(_path(), max_bytes=_MAX_BYTES))
        for moment in ("expires_at", "created_at"):
            if state[moment] is not None:
                datetime.fromisoformat(state[moment]).timestamp()
        whole = all(isinstance(state[name], str) for name in ("email", "domain", "base_url")) and "id" in state
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None
    return state if whole else None
