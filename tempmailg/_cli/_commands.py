"""The commands: names, arguments and help. What they do stands in `_actions`, which loads when one of them runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tempmailg._cli._options import OutputOptions
from tempmailg._cli._sandbox_options import check_environment, sandbox_options
from tempmailg._cli._types import DURATION, TIMEOUT
from tempmailg._cli._usage import unknown_command
from tempmailg._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

    from tempmailg._cli._actions import Answer
    from tempmailg._models import DomainType

__all__ = ["COMPLETE_VARIABLE", "cli"]

F = TypeVar("F", bound="Callable[..., Any]")

COMPLETE_VARIABLE = "_TEMPMAILG_COMPLETE"
"""Through it a shell's completions ask this program for the words that fit."""

_COUNT: Final = click.IntRange(1)
_PORT: Final = click.IntRange(0, 65_535)

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Command(click.Command):
    """A command whose errors all know which command they belong to: click's parser does not always say."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


class _Group(click.Group):
    """The commands in the order in which a user needs them, and a hint for whoever names one that there is not."""

    command_class = _Command

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands or args[0].startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        raise unknown_command(self, args[0], ctx)


@click.group(cls=_Group, context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="tempmailg", message="%(prog)s %(version)s")
def cli() -> None:
    """Disposable mail for people and pipes.

    \b
    tempmailg new                 make a mailbox, print its address
    tempmailg wait --code         wait for a mail, print the code in it
    tempmailg demo                see it work on this machine, without a key

    The API key is TEMPMAILG_API_KEY, or stands in a config file that only you may read; see the README. MAILBOX is an
    address; "-", or nothing where it may be left out, means the mailbox that "new" or "switch" printed last.
    """  # noqa: D301 - click wants the character that backslash-b stands for


def _set_option(context: click.Context, option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    if value and option.name:
        setattr(context.ensure_object(OutputOptions), option.name, True)


def _output_options(function: F) -> F:
    """Give a command the options that every command has; their values go to the context's `OutputOptions`."""
    for option in (
        click.option(
            "--debug",
            is_flag=True,
            expose_value=False,
            callback=_set_option,
            help="Show each request, and an error's traceback.",
        ),
        click.option(
            "-q", "--quiet", is_flag=True, expose_value=False, callback=_set_option, help="Errors only on stderr."
        ),
        click.option("--json", is_flag=True, expose_value=False, callback=_set_option, help="Print JSON on stdout."),
    ):
        function = option(function)
    return function


def _with_output(function: F) -> F:
    """The same for a command that wants to know: the `OutputOptions` is its first argument."""
    return click.pass_obj(_output_options(function))  # type: ignore[return-value] # click's decorators change the signature


def _newest(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from tempmailg._cli._recent import newest_address
    from tempmailg._sanitize import sanitize_line

    address = newest_address()
    fits = address is not None and address.startswith(incomplete) and sanitize_line(address) == address
    return [CompletionItem(address)] if fits else []


_mailbox = click.argument("mailbox", default="-", shell_complete=_newest)
_named_mailbox = click.argument("mailbox", shell_complete=_newest)
_message = click.argument("message")
_poll_interval = click.option(
    "--poll-interval",
    type=DURATION,
    metavar="DURATION",
    help="How often to ask, instead of a pace that follows the quota.",
)


@cli.command()
@click.option(
    "--type",
    "kind",
    type=click.Choice(["free", "premium", "all"]),
    default="free",
    show_default=True,
    metavar="TYPE",
    help="free, premium or all; a free plan may ask for free ones only.",
)
@_with_output
def domains(output: OutputOptions, kind: DomainType) -> None:
    """List the domains that your plan allows."""
    from tempmailg._cli import _actions

    _actions.start(output, _actions.domains, kind)


@cli.command()
@_with_output
def new(output: OutputOptions) -> None:
    """Make a mailbox and print its address.

    It gets a random address and lives about ten minutes.
    """
    from tempmailg._cli import _actions

    _actions.start(output, _actions.new)


@cli.command()
@_named_mailbox
@click.argument("address", metavar="USERNAME@DOMAIN")
@_with_output
def switch(output: OutputOptions, mailbox: str, address: str) -> None:
    """Switch MAILBOX to another address and print it."""
    from tempmailg._cli import _actions

    username, at, domain = address.rpartition("@")
    if not (username and at and domain):
        raise click.BadParameter(f"{address!r} is no address like 'name@example.com'", param_hint="USERNAME@DOMAIN")
    _actions.start(output, _actions.switch, mailbox, username, domain)


@cli.command()
@_named_mailbox
@_with_output
def rm(output: OutputOptions, mailbox: str) -> None:
    """Delete MAILBOX and its messages."""
    from tempmailg._cli import _actions

    _actions.start(output, _actions.rm, mailbox)


@cli.command()
@_mailbox
@_with_output
def messages(output: OutputOptions, mailbox: str) -> None:
    """List the messages of MAILBOX, the oldest first.

    To a pipe it writes lines of id, time, sender and subject, separated by tabs.
    """
    from tempmailg._cli import _actions

    _actions.start(output, _actions.messages, mailbox)


@cli.command()
@_message
@click.option("--html", "as_html", is_flag=True, help="Write the content to an HTML file and print its path.")
@click.option("--to", type=click.Path(), metavar="FILE", help="The file for --html; a temporary file by default.")
@_with_output
def read(output: OutputOptions, message: str, as_html: bool, to: str | None) -> None:  # noqa: FBT001 - click's flag
    """Show a message: its headers, text and attachments.

    The file that --html writes forbids its browser to load or run anything.
    """
    from tempmailg._cli import _actions

    if to is not None and not as_html:
        raise click.UsageError("--to names the file for --html: give both")
    if as_html:
        _actions.start(output, _actions.save_html, message, to)
    else:
        _actions.start(output, _actions.read, message)


@cli.command("rm-message")
@click.argument("messages", metavar="MESSAGE...", nargs=-1, required=True)
@_with_output
def rm_message(output: OutputOptions, messages: tuple[str, ...]) -> None:
    """Delete messages."""
    from tempmailg._cli import _actions

    _actions.start(output, _actions.rm_message, messages)


@cli.command()
@_message
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--to", type=click.Path(file_okay=False), default=".", metavar="FOLDER", help="Where; by default here.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist instead of choosing other names.")
@_with_output
def download(output: OutputOptions, message: str, names: tuple[str, ...], to: str, overwrite: bool) -> None:  # noqa: FBT001 - click's flag
    """Save the attachments of a message, all or those named, and print their paths.

    A file is whole or absent, and its name is made safe.
    """
    from tempmailg._cli import _actions

    _actions.start(output, _actions.download, message, names, to, overwrite)


@cli.command()
@_mailbox
@click.option("--code", is_flag=True, help="Print the code that the mail holds.")
@click.option("--link", is_flag=True, help="Print the link that the mail asks to follow.")
@click.option("--subject", metavar="TEXT", help="The subject must contain this.")
@click.option("--from", "sender", metavar="TEXT", help="The sender's name or address must contain this.")
@click.option("--body", metavar="TEXT", help="The text must contain this.")
@click.option("--new", "only_new", is_flag=True, help="Pass over the messages that are there already.")
@click.option(
    "--timeout",
    type=TIMEOUT,
    default="60s",
    show_default=True,
    metavar="DURATION",
    help="How long to wait: seconds, or 90s, 2m, 1h30m; 0 polls once.",
)
@_poll_interval
@_with_output
def wait(
    output: OutputOptions,
    mailbox: str,
    code: bool,  # noqa: FBT001 - click's flags
    link: bool,  # noqa: FBT001
    only_new: bool,  # noqa: FBT001
    timeout: float,
    **criteria: Any,  # noqa: ANN401 - those of the client
) -> None:
    """Wait for a mail in MAILBOX and print its id alone.

    With --code or --link it waits for a mail that holds one, and prints that instead. Exit status 124 says that none
    came in time.
    """
    from tempmailg._cli import _actions

    if code and link:
        raise click.UsageError("--code and --link are two answers: ask for one")
    answer: Answer | None = "code" if code else "link" if link else None
    _actions.start(output, _actions.wait, mailbox, answer, only_new=only_new, timeout=timeout, **criteria)


@cli.command()
@click.argument("mailboxes", metavar="[MAILBOX]...", nargs=-1, shell_complete=_newest)
@click.option(
    "--state", type=click.Path(dir_okay=False), metavar="FILE", help="Where to keep what was printed, to resume."
)
@_poll_interval
@_with_output
def watch(output: OutputOptions, mailboxes: tuple[str, ...], state: str | None, poll_interval: float | None) -> None:
    """Print each message once as it arrives, until interrupted.

    With --state it goes on where the last watch with that file ended. With --json it prints a line of JSON for each
    message.
    """
    from tempmailg._cli import _actions

    _actions.start(output, _actions.watch, mailboxes or ("-",), state, poll_interval)


@cli.command()
@_with_output
def quota(output: OutputOptions) -> None:
    """Show how many requests your key has left; asking costs one."""
    from tempmailg._cli import _actions

    _actions.start(output, _actions.quota)


@cli.command()
@sandbox_options
@_with_output
def sandbox(output: OutputOptions, /, **values: Any) -> None:  # noqa: ANN401 - of any option
    """Play the service on this machine until interrupted.

    Its first line, a JSON object, says that it is ready: base_url, api_key, smtp_host, smtp_port and more. Mail sent
    to that SMTP server arrives in the mailboxes that were made there. Each option is also an environment variable:
    TEMPMAILG_SANDBOX_SMTP_PORT for --smtp-port, and so on. An option that may be repeated takes its values from there
    with blanks between them.
    """
    from tempmailg._cli import _local

    check_environment(sandbox)
    _local.sandbox(output, values)


@cli.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where attachments are saved; by default a new folder that only you can read.",
)
@click.option(
    "--max-requests",
    type=_COUNT,
    default=500,
    show_default=True,
    metavar="COUNT",
    help="Requests that a session may send.",
)
@click.option(
    "--max-mailboxes", type=_COUNT, default=10, show_default=True, metavar="COUNT", help="Mailboxes that it may make."
)
@click.option("--any-mailbox", is_flag=True, help="It may also use mailboxes of yours that it has not made.")
@click.option("--smtp-port", type=_PORT, default=0, metavar="PORT", help="The sandbox's SMTP port; 0 picks a free one.")
@click.option("--wait-limit", type=float, hidden=True, help="Seconds that one call waits; for tests, which hurry.")
@_with_output
def mcp(output: OutputOptions, /, **values: Any) -> None:  # noqa: ANN401 - of any option
    """Give a language model an inbox: serve MCP on stdin and stdout.

    A host (an editor, a chat program, an agent) starts it by itself: see the README. Without a key it plays the service
    on this machine. The mailboxes that a session makes are deleted when it ends.
    """
    from tempmailg._cli import _local

    _local.mcp(output, values)


@cli.command()
@_with_output
def demo(output: OutputOptions) -> int:
    """Send a real mail through a sandbox and read it with both clients.

    It needs no key and no network. Exit status 0 says that everything arrived as it was sent.
    """
    from tempmailg._cli import _local

    return 0 if _local.demo(output) else 1


@cli.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completions for a shell.

    \b
    bash   eval "$(tempmailg completion bash)"            in ~/.bashrc
    zsh    eval "$(tempmailg completion zsh)"             in ~/.zshrc, after compinit
    fish   tempmailg completion fish | source             in ~/.config/fish/config.fish
    """  # noqa: D301 - as above
    from click.shell_completion import get_completion_class

    from tempmailg._cli._screen import naming_stdout

    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover - click knows all three
        return
    with naming_stdout():
        click.echo(kind(cli, {}, "tempmailg", COMPLETE_VARIABLE).source())
