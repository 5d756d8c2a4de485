"""From the values of the options of `tempmailg sandbox` to the arguments of `Sandbox`."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Final

import click

from tempmailg._cli._sandbox_options import LIMIT_PREFIX
from tempmailg._errors import ConfigurationError
from tempmailg._settings import is_loopback
from tempmailg.sandbox import Account, Limits, SandboxDomain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["sandbox_arguments"]

_DEFAULTS: Final = {"port": 8025, "smtp_port": 1025}
_RENAMED: Final = {"domain": "domains", "account": "accounts", "allow_host": "allow_hosts"}


def sandbox_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Sandbox` that somebody gave as options.

    Args:
        values: The options' values by their names; None or empty for those that were not given.

    Raises:
        click.UsageError: Two of them do not go together.
        ConfigurationError: A file cannot be used.
    """
    given = {name: value for name, value in values.items() if value is not None and value != () and value is not False}
    limits = _taken(given, lambda name: name.startswith(LIMIT_PREFIX))
    certificate = _taken(given, lambda name: name.startswith("tls_"))
    arguments: dict[str, Any] = {**_DEFAULTS, **{_RENAMED.get(name, name): value for name, value in given.items()}}
    if "host" in arguments:
        _check_key(arguments)
        arguments["allow_remote"] = True
    if "domains" in arguments:
        arguments["domains"] = [SandboxDomain(*domain) for domain in arguments["domains"]]
    if "accounts" in arguments:
        arguments["accounts"] = {key: Account(*rest) for key, *rest in arguments["accounts"]}
    if limits:
        arguments["limits"] = Limits(**{name.removeprefix(LIMIT_PREFIX): value for name, value in limits.items()})
    if certificate:
        arguments["ssl_context"] = _tls(certificate.get("tls_cert"), certificate.get("tls_key"))
    return arguments


def _taken(given: dict[str, Any], belongs: Callable[[str], bool]) -> dict[str, Any]:
    return {name: given.pop(name) for name in list(given) if belongs(name)}


def _check_key(arguments: Mapping[str, Any]) -> None:
    """Refuse to open the sandbox to other machines with a key that everybody knows."""
    if not is_loopback(arguments["host"]) and not arguments.get("api_key"):
        raise click.UsageError(
            f"--host {arguments['host']} lets other machines in: set TEMPMAILG_SANDBOX_API_KEY to a key of your own"
        )


def _tls(certificate: str | None, key: str | None) -> ssl.SSLContext:
    if certificate is None:
        raise click.UsageError("--tls-key belongs to the certificate that --tls-cert names: give both")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(
            certificate, key, password=str
        )  # an empty password, instead of a question at the terminal
    except (OSError, ValueError) as error:
        files = certificate if key is None else f"{certificate} and {key}"
        raise ConfigurationError(f"{files} cannot be used as a certificate with its key: {error}") from None
    return context
