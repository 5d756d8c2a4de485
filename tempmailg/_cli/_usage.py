"""Wrong usage in one line, with a hint at what was meant; the same words with every release of click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["explain_usage", "join_advice", "suggest", "unknown_command"]

# What other programs call the same thing, or what somebody would try first.
_SYNONYMS: Final = {
    "messages": "list ls inbox mail mails email emails message",
    "read": "show get cat open view print message",
    "rm": "delete del remove destroy",
    "rm-message": "delete del remove destroy",
    "new": "create make add generate mailbox address",
    "switch": "update rename change move",
    "download": "attachment attachments save fetch files",
    "wait --code": "code otp",
    "wait --link": "link",
    "watch": "listen follow tail stream poll",
    "quota": "limits usage balance status",
    "sandbox": "serve server mock fake start",
    "--version": "version",
}

_MOST_SUGGESTIONS: Final = 3


def join_advice(text: str, advice: str) -> str:
    """Return what went wrong and what to do about it as one sentence, however the first of them ends."""
    text = text.rstrip()
    if text.endswith(("?", "!")):
        return f"{text} {advice[:1].upper()}{advice[1:]}"
    return f"{text.rstrip('.;: ')}; {advice}"


def unknown_command(group: click.Group, name: str, context: click.Context) -> click.UsageError:
    """Return the error for a command that there is not.

    Args:
        group: The commands.
        name: What was typed instead of one.
        context: The group's context.
    """
    meant = [command for command, words in _SYNONYMS.items() if name.lower() in words.split()]
    meant = meant or _closest(name.lower(), group.commands)
    text = f"no such command {name!r}"
    if meant:
        text = join_advice(text, _suggestion([f"'tempmailg {command}'" for command in meant]))
    return click.UsageError(text, context)


def explain_usage(error: click.UsageError) -> str:
    """Return one line that says what is wrong with a command's arguments and where they are explained."""
    path = error.ctx.command_path if error.ctx else "tempmailg"
    return join_advice(_reason(error), f"see '{path} --help'")


def _reason(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        return _unknown_option(error)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return _missing(error, error.param)
    text = error.format_message()
    return text[:1].lower() + text[1:]


def _missing(error: click.MissingParameter, parameter: click.Parameter) -> str:
    hint = parameter.get_error_hint(error.ctx or click.Context(click.Command(None)))
    values = f": {' or '.join(parameter.type.choices)}" if isinstance(parameter.type, click.Choice) else ""
    return f"missing {parameter.param_type_name} {hint}{values}"


def _unknown_option(error: click.NoSuchOption) -> str:
    name, command = error.option_name, error.ctx.command if error.ctx else None
    text = f"no such option '{name}'"
    if isinstance(command, click.Group) and name in _options_of(*command.commands.values()):
        return join_advice(text, f"put it behind the command: 'tempmailg COMMAND {name}'")
    meant = _closest(name, _options_of(command)) if command else []
    return join_advice(text, _suggestion([f"'{option}'" for option in meant])) if meant else text


def _options_of(*commands: click.Command) -> set[str]:
    return {name for command in commands for option in command.params for name in option.opts if name.startswith("-")}


def _closest(name: str, names: Iterable[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(name, sorted(names), n=_MOST_SUGGESTIONS)


def suggest(name: str, names: Iterable[str]) -> str:
    """Return a question for what may have been meant, or the names that there are."""
    meant = _closest(name, names)
    return _suggestion(meant[:1]) if meant else f"there are {', '.join(sorted(names))}"


def _suggestion(names: list[str]) -> str:
    return f"did you mean {' or '.join(names)}?"
