"""From the arguments to the exit status: what stops a command, and what its user reads of it."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from tempmailg import _signals as signals
from tempmailg._cli._commands import COMPLETE_VARIABLE, cli
from tempmailg._cli._options import OutputOptions
from tempmailg._cli._screen import AnswerLostError, naming_stdout
from tempmailg._cli._usage import explain_usage, join_advice
from tempmailg._sanitize import sanitize_line, sanitize_text

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
    _open_missing_streams()
    _write_answers_whole()
    _never_fail_to_print()
    status = _guarded(list(sys.argv[1:] if arguments is None else arguments), output)
    _drop_unwritten()
    return status


def _guarded(arguments: list[str], output: OutputOptions) -> int:
    try:
        return _invoked(arguments, output)
    except (BrokenPipeError, AnswerLostError):
        return ERROR
    except (KeyboardInterrupt, click.Abort):
        return _fail(INTERRUPTED, "interrupted")
    except click.UsageError as error:  # click raises no other error here
        return _fail(USAGE, explain_usage(error))
    except Exception as error:  # noqa: BLE001 - the last line of defence: a person reads one line
        return _failed(error, output)


def _invoked(arguments: list[str], output: OutputOptions) -> int:
    """Do what `click.Group.main` does, which would print empty lines for Ctrl-C and hide a broken pipe."""
    if COMPLETE_VARIABLE in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "tempmailg", COMPLETE_VARIABLE, os.environ[COMPLETE_VARIABLE])
    if not arguments:
        return _show_help()
    try:
        with naming_stdout():  # --help prints while the arguments are read
            context = cli.make_context("tempmailg", arguments, obj=output)
        with context:
            status = cli.invoke(context)
    except click.exceptions.Exit as asked:
        status = asked.exit_code
    with naming_stdout():
        sys.stdout.flush()
    return status if isinstance(status, int) else 0


def _show_help() -> int:
    """Show a person who typed the bare name what there is; a script that did so gets no answer and status 2."""
    context = click.Context(cli, info_name="tempmailg", **cli.context_settings)
    sys.stderr.write(cli.get_help(context) + "\n")
    return USAGE


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
    if signals.is_ending():  # an import in C makes another error of an interrupt
        return _fail(INTERRUPTED, "interrupted")
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
    return join_advice(str(error), fitting) if fitting else str(error)


def _fail(status: int, text: str) -> int:
    with suppress(OSError):  # nobody reads stderr, or the disk below it is full
        sys.stderr.write(f"tempmailg: {sanitize_line(text)}\n")
        sys.stderr.flush()
    return status


def _of_system(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def _never_fail_to_print() -> None:
    """Let a terminal that lacks a character show a question mark instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _open_missing_streams() -> None:
    """Put something in the place of a stream that was closed before this process began.

    Otherwise a socket could get its number. To stdout nothing can be written then, as is right: the answer would be
    lost. What stderr does not take is only less convenient. Like the interpreter's own streams they are never closed.
    """
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - it is None after >&-
        sys.stdout = open(os.open(os.devnull, os.O_RDONLY), "w", closefd=False)  # noqa: SIM115 - it stays open
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] - it is None after 2>&-
        sys.stderr = open(os.open(os.devnull, os.O_WRONLY), "w", closefd=False)  # noqa: SIM115 - it stays open


def _write_answers_whole() -> None:
    """Let stdout take a text whole or fail, with `PYTHONUNBUFFERED` as well: a container's image often sets that.

    Unbuffered, a stream passes a text to the system once and does not ask how much of it was taken, so an answer would
    be cut where the disk is full or the reader leaves, and nobody would know. All that is printed is flushed anyway.
    """
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.FileIO):
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(raw), sys.stdout.encoding, sys.stdout.errors)


def _drop_unwritten() -> None:
    """Give what no stream took to nobody, or the interpreter would complain about it when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
