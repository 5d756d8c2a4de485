"""The options of `tempmailg sandbox`: one for each argument of `Sandbox`, each also an environment variable.

This room loads click only, so that the help comes at once; `_sandbox_arguments` makes the arguments of their values.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tempmailg._cli._types import ACCOUNT, COUNT, DOMAIN, DURATION, MOMENT, PORT, SIZE
from tempmailg._cli._usage import join_advice, suggest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LIMIT_PREFIX", "VARIABLE_PREFIX", "check_environment", "sandbox_options"]

F = TypeVar("F", bound="Callable[..., Any]")

VARIABLE_PREFIX: Final = "TEMPMAILG_SANDBOX_"
"""``--smtp-port`` is also ``TEMPMAILG_SANDBOX_SMTP_PORT``, and so on."""

LIMIT_PREFIX: Final = "max_"
"""``--max-messages`` is the field `messages` of `Limits`, and so on."""

_FILE: Final = click.Path(exists=True, dir_okay=False)

# Name, type, placeholder and help, in the order of the help; a list of values is given by naming the option again.
_ONE: Final = (
    ("port", PORT, "PORT", "HTTP; 0 picks one, 8025 is the default."),
    ("smtp-port", PORT, "PORT", "SMTP; 0 picks one, 1025 is the default."),
    ("smtp-tls-port", PORT, "PORT", "SMTP that begins with TLS; a free one by default."),
    ("host", click.STRING, "ADDRESS", "Where to listen, such as 0.0.0.0, which takes a key of your own."),
    ("api-key", click.STRING, "KEY", "The key; its variable is safer, since process lists show options."),
    ("plan", click.Choice(["free", "premium"]), "PLAN", "The plan of that key: free or premium."),
    ("quota", COUNT, "COUNT", "Requests that the key may make in a month; 50000 by default."),
    ("lifetime", DURATION, "DURATION", "How long a mailbox lives; 600s by default."),
    ("order", click.Choice(["newest", "oldest", "shuffled"]), "ORDER", "List messages newest, oldest or shuffled."),
    ("others", click.Choice(["refuse", "discard", "keep"]), "WHAT", "Mail to no mailbox: refuse, discard or keep it."),
    ("seed", click.INT, "NUMBER", "Makes addresses and ids repeatable."),
    ("start", MOMENT, "TIME", "The time at the start, such as 2026-07-01T12:00:00Z."),
    ("tls-cert", _FILE, "FILE", "A certificate of your own for SMTP by TLS, with its chain."),
    ("tls-key", _FILE, "FILE", "Its private key, if it is in another file."),
    ("max-message-bytes", SIZE, "SIZE", "Refuse more than this: in one e-mail (80M by default),"),
    ("max-messages", COUNT, "COUNT", "in messages of all mailboxes,"),
    ("max-total-bytes", SIZE, "SIZE", "in all of them together,"),
    ("max-mailboxes", COUNT, "COUNT", "in living mailboxes,"),
    ("max-listing-bytes", SIZE, "SIZE", "in the list of one mailbox (16M by default: the clients read no more),"),
    ("max-connections", COUNT, "COUNT", "in open connections,"),
    ("max-idle-seconds", DURATION, "DURATION", "in silence of a connection."),
    ("max-journal", COUNT, "COUNT", "Remember only so many requests"),
    ("max-journal-bytes", SIZE, "SIZE", "and so much mail."),
)
_SEVERAL: Final = (
    ("allow-host", click.STRING, "NAME", "A name by which other containers call the sandbox."),
    ("domain", DOMAIN, "NAME[:PLAN]", "A domain for mailboxes, instead of example.com and others."),
    ("account", ACCOUNT, "KEY[:PLAN[:QUOTA]]", "A further key."),
)


def sandbox_options(function: F) -> F:
    """Give a command the options; their values are None, or empty, where nothing was given."""
    options = [
        *(_option(name, kind, metavar, text, default=None) for name, kind, metavar, text in _ONE[:4]),
        *(_option(name, kind, metavar, text, multiple=True) for name, kind, metavar, text in _SEVERAL),
        *(_option(name, kind, metavar, text, default=None) for name, kind, metavar, text in _ONE[4:]),
        click.option("--etags", is_flag=True, envvar=_variable("etags"), help="Answer with ETags and byte ranges."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _option(name: str, kind: Any, metavar: str, text: str, **more: Any) -> Callable[[F], F]:  # noqa: ANN401 - click's
    return click.option(f"--{name}", type=kind, metavar=metavar, envvar=_variable(name), help=text, **more)


def _variable(name: str) -> str:
    return VARIABLE_PREFIX + name.replace("-", "_").upper()


def check_environment(command: click.Command) -> None:
    """Refuse a variable that looks like an option and is none: it would be ignored in silence."""
    known = {option.envvar for option in command.params if isinstance(option.envvar, str)}
    for name in os.environ:
        if name.startswith(VARIABLE_PREFIX) and name not in known:
            raise click.UsageError(join_advice(f"no such setting {name}", suggest(name, known)))
