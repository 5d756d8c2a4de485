"""What a command prints: the answer alone on stdout, what accompanies it on stderr.

A terminal gets tables, colours and moving lines, a pipe gets lines and tabs, a program gets JSON. Whatever comes from a
mail passes `_sanitize` before it is written, and reaches rich as `Text`, which knows no markup.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from tempmailg._cli._times import ago, stamp
from tempmailg._sanitize import sanitize_line, sanitize_text
from tempmailg._signals import undone_at_the_end

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from pathlib import Path

    from rich.console import Console
    from rich.live import Live

    from tempmailg._cli._options import OutputOptions

    Cell = str | datetime

__all__ = ["AnswerLostError", "Screen", "naming_stdout"]


class AnswerLostError(Exception):
    """Stdout did not take an answer, and the person at stderr knows it already."""


class Screen:
    """The two streams of a command.

    Args:
        output: How the command is to print.
    """

    def __init__(self, output: OutputOptions) -> None:
        self._options = output
        self._live: Live | None = None

    @property
    def for_people(self) -> bool:
        """Whether somebody reads stdout as it is written."""
        return not self._options.json and sys.stdout.isatty()

    @property
    def _is_watched(self) -> bool:
        return not self._options.quiet and sys.stderr.isatty()

    # -- stdout --------------------------------------------------------------------------------------------------------

    def answer(self, value: object, text: str) -> None:
        """Print one value: as JSON, or as the one line that stands for it."""
        if not self.as_json(value):
            self._write(sanitize_line(text))

    def as_json(self, value: object) -> bool:
        """Print one value as one line of JSON if that is what was asked for, and say whether it was."""
        if self._options.json:
            from tempmailg._serial import json_line  # with attrs, which help does without

            self._write(json_line(value))
        return self._options.json

    def path(self, path: Path) -> None:
        """Print a file's path, unless JSON was asked for; exactly, except to a terminal."""
        if not self._options.json:
            self._write(sanitize_line(str(path)) if self.for_people else str(path))

    def step(self, text: str, *, ok: bool | None) -> None:
        """Print one line of a transcript."""
        self.styled({None: ("  ", ""), True: ("✓ ", "green"), False: ("✗ ", "bold red")}[ok], text)

    def row(self, *cells: Cell) -> None:
        """Print one line of cells with tabs between them."""
        self._write("\t".join(stamp(cell) if isinstance(cell, datetime) else sanitize_line(cell) for cell in cells))

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        """Print rows: as a table for people, as lines with tabs for a pipe."""
        if not self.for_people:
            for row in rows:
                self.row(*row)
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for title in titles:
            table.add_column(title, overflow="fold")
        for row in rows:
            table.add_row(
                *(Text(ago(cell)) if isinstance(cell, datetime) else Text(sanitize_text(cell)) for cell in row)
            )
        with naming_stdout():
            self._out().print(table)

    def page(self, headers: Iterable[tuple[str, str]], body: str) -> None:
        """Print a message: headers, an empty line, its text."""
        for name, value in headers:
            self.styled((f"{name}: ", "bold"), value)
        self._write("")
        self._write(sanitize_text(body).rstrip())

    def heading(self, text: str) -> None:
        """Print an empty line and a heading."""
        self._write("")
        self.styled((text, "bold"))

    def styled(self, *parts: str | tuple[str, str]) -> None:
        """Print one line whose parts may each have a style."""
        pairs = [(sanitize_line(text), style) for text, style in ((p, "") if isinstance(p, str) else p for p in parts)]
        if not self.for_people:
            self._write("".join(text for text, _ in pairs))
            return
        from rich.text import Text

        with self._paused(), naming_stdout():
            self._out().print(Text.assemble(*pairs), soft_wrap=True)

    def _write(self, text: str) -> None:
        with self._paused(), naming_stdout():
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def _out(self) -> Console:
        return _console(sys.stdout)

    # -- stderr --------------------------------------------------------------------------------------------------------

    def hint(self, text: str) -> None:
        """Give a person who reads stdout, and so runs no script, a hint that no program needs."""
        if text and self._is_watched and self.for_people:
            self._write_stderr(text)

    def remark(self, text: str) -> None:
        """Give a person at the terminal something that no program needs, whoever reads stdout."""
        if self._is_watched:
            self._write_stderr(text)

    def warn(self, text: str) -> None:
        """Report something that went wrong although the command goes on."""
        self._write_stderr(f"tempmailg: {text}")

    def _write_stderr(self, text: str) -> None:
        with self._paused():
            sys.stderr.write(sanitize_line(text) + "\n")
            sys.stderr.flush()

    @contextmanager
    def spinner(self, line: Callable[[], str]) -> Generator[None]:
        """Show a moving line while the block waits.

        Args:
            line: What the line says; asked again each time it is drawn.
        """
        console = _console(sys.stderr) if self._is_watched else None
        if console is None or console.is_dumb_terminal:
            yield
            return
        from rich.live import Live
        from rich.spinner import Spinner
        from rich.text import Text

        spinner = Spinner("dots")

        def frame() -> Spinner:
            text = Text(sanitize_line(line()))
            text.truncate(max(1, console.width - 2), overflow="ellipsis")  # a second line would not be taken away
            spinner.update(text=text)
            return spinner

        # rich would send our stdout through its own console, which is stderr.
        self._live = Live(
            console=console,
            get_renderable=frame,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        try:
            with undone_at_the_end(self._live.stop), self._live:
                yield
        finally:
            self._live = None

    def _paused(self) -> AbstractContextManager[None]:
        """Take the moving line away while something is printed: it may stand on the same terminal."""
        return nullcontext() if self._live is None else _pause(self._live)

    @contextmanager
    def progress(self, name: str) -> Generator[Callable[[int, int | None], None] | None]:
        """Show a bar while the block downloads a file.

        Args:
            name: The file's name.

        Yields:
            What to call with bytes so far and bytes in all, or None if nobody watches.
        """
        console = _console(sys.stderr) if self._is_watched else None
        if console is None or console.is_dumb_terminal:
            yield None
            return
        from rich import progress

        bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with undone_at_the_end(bar.stop), bar:
            task = bar.add_task(_cut(sanitize_line(name), max(8, console.width // 3)), total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def naming_stdout() -> Generator[None]:
    """Let an error say that it was stdout which could not be written."""
    try:
        yield
    except OSError as error:
        error.filename = "stdout"
        raise


@contextmanager
def _pause(live: Live) -> Generator[None]:
    live.stop()
    try:
        yield
    finally:
        live.start(refresh=True)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    # NO_COLOR takes bold and dim away too: who sets it wants plain text.
    plain = bool(os.environ.get("NO_COLOR"))
    return Console(file=stream, color_system=None if plain else "auto", markup=False, highlight=False, emoji=False)
