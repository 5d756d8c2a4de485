"""Where a command takes the API key and the base URL from: the environment, or the user's config file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from tempmailg._cli._files import UnusableFileError, read_text
from tempmailg._errors import ConfigurationError

__all__ = ["APP", "config_path", "find_access", "resolve_access"]

APP: Final = "tempmailg"
"""The name of this program's folders."""

_MAX_BYTES: Final = 64 * 1024  # of a file of two lines


def config_path() -> Path:
    """Return where the config file belongs: at ``TEMPMAILG_CONFIG``, or in the platform's folder for settings."""
    chosen = os.environ.get("TEMPMAILG_CONFIG")
    return Path(chosen) if chosen else Path(click.get_app_dir(APP), "config.toml")


def resolve_access() -> tuple[str, str | None]:
    """Return the API key and the base URL, None for the service's own.

    Key and URL come from one place, environment or file: a key is never sent to a URL that somebody set elsewhere.

    Raises:
        ConfigurationError: There is no key, or others could read it.
    """
    access = find_access()
    if access is None:
        raise ConfigurationError(
            f'no API key: set TEMPMAILG_API_KEY, or write api_key = "…" into {config_path()} (and chmod 600 it)'
        )
    return access


def find_access() -> tuple[str, str | None] | None:
    """Return what `resolve_access` returns, or None if there is no key.

    Raises:
        ConfigurationError: Others could read the key, or it is not for the URL that is set.
    """
    key, url = os.environ.get("TEMPMAILG_API_KEY"), os.environ.get("TEMPMAILG_BASE_URL") or None
    if key is not None:
        return key, url
    path = config_path()
    settings = _read(path)
    if settings is None:
        return None
    if url is not None and not _are_the_same(url, settings.get("base_url")):
        raise ConfigurationError(
            f"TEMPMAILG_BASE_URL is set but TEMPMAILG_API_KEY is not, and the key in {path} is not for that URL:"
            " set both, or neither"
        )
    return settings["api_key"], settings.get("base_url")


def _are_the_same(url: str, others: str | None) -> bool:
    """Say whether two URLs lead to one place, however they are written; None for the service's own."""
    from tempmailg._settings import DEFAULT_BASE_URL, resolve_base_url  # only where there are two

    return resolve_base_url(url) == resolve_base_url(others or DEFAULT_BASE_URL)


def _read(path: Path) -> dict[str, str] | None:
    try:
        text = read_text(path, max_bytes=_MAX_BYTES, private=True)
    except FileNotFoundError:
        return None
    except UnusableFileError as error:
        raise ConfigurationError(f"the config file {path} {error}") from None
    import tomllib  # only where there is a file

    try:
        settings = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        settings = {}
    known = {name: value for name, value in settings.items() if name in ("api_key", "base_url")}
    if not known.get("api_key") or not all(isinstance(value, str) for value in known.values()):
        raise ConfigurationError(f'{path} must hold the line api_key = "…", and may hold base_url = "…"')
    return known
