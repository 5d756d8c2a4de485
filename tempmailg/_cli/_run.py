"""From the arguments to the exit status: what stops a command, and what its user reads of it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import click

from tempmailg._cli._commands import COMPLETE_VARIABLE, cli
from tempmailg._cli._options import OutputOptions
from tempmailg._cli._sanitize import sanitize_line, sanitize_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tempmailg._errors import TempMailError

__all__ = ["run"]

# The exit statuses; 124 is what timeout(1) says, 130 what a shell says of a command that Ctrl-C ended.
ERROR: Final = 1
USAGE: Final = 2
TIMED_OUT: Final = 124
INTERRUPTED: Final = 130


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The command's arguments; those of the process if None.

    Returns:
        The exit status: 0, 1 for an error, 2 for wrong usage, 124 for a wait without success, 130 for Ctrl-C.
    """
    output = OutputOptions()
    _never_fail_to_print()
    try:
        return _invoked(list(sys.argv[1:] if arguments is None else arguments), output)
    except BrokenPipeError:
        return _reader_left()
    except (KeyboardInterrupt, click.Abort):
        return _fail(INTERRUPTED, "interrupted")
    except click.UsageError as error:  # click raises no other error here
        return _fail(USAGE, _usage(error))
    except Exception as error:  # noqa: BLE001 - the last line of defence: a person reads one line
        return _failed(error, output)


def _invoked(arguments: list[str], output: OutputOptions) -> int:
    """Do what `click.Group.main` does, which would print empty lines for Ctrl-C and hide a broken pipe."""
    if COMPLETE_VARIABLE in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "tempmailg", COMPLETE_VARIABLE, os.environ[COMPLETE_VARIABLE])
    try:
        with cli.make_context("tempmailg", arguments, obj=output) as context:
            status = cli.invoke(context)
    except click.exceptions.Exit as asked:
        status = asked.exit_code
    sys.stdout.flush()
    return status if isinstance(status, int) else 0


def _failed(error: Exception, output: OutputOptions) -> int:
    from tempmailg._errors import TempMailError, WaitTimeoutError

    if output.debug:
        import traceback

        sys.stderr.write(sanitize_text("".join(traceback.format_exception(error))))
    if isinstance(error, WaitTimeoutError):
        return _fail(TIMED_OUT, str(error))
    if isinstance(error, TempMailError):
        return _fail(ERROR, _with_advice(error))
    if isinstance(error, OSError):
        return _fail(ERROR, _of_system(error))
    kind = type(error).__name__
    return _fail(ERROR, f"this is a bug ({kind}: {error}); run it again with --debug and report what it prints")


def _with_advice(error: TempMailError) -> str:
    """Return an error's text with what to do about it, where the library does not say it for a shell."""
    from tempmailg import _errors as err

    advice = {
        err.NotFoundError: "see what is there with 'tempmailg messages', or make a mailbox with 'tempmailg new'",
        err.MailboxGoneError: "make another one with 'tempmailg new'",
        err.APIConnectionError: "check the network and TEMPMAILG_BASE_URL, then try again",
        err.ServerError: "try again later",
        err.RateLimitError: "see what is left with 'tempmailg quota'",
    }
    fitting = next((text for kind, text in advice.items() if isinstance(error, kind)), None)
    return f"{error}; {fitting}" if fitting else str(error)


def _fail(status: int, text: str) -> int:
    try:
        sys.stderr.write(f"tempmailg: {sanitize_line(text)}\n")
        sys.stderr.flush()
    except BrokenPipeError:
        return _reader_left()
    return status


def _usage(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx else "tempmailg"
    text = error.format_message().rstrip(".")
    return f"{text}. Try '{path} --help'"


def _of_system(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def _never_fail_to_print() -> None:
    """Let a terminal that lacks a character show a question mark instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _reader_left() -> int:
    """Give what is still buffered to nobody, or the interpreter would complain about it when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
    return ERROR
