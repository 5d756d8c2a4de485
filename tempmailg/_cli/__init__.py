"""The command line: disposable mail for people and pipes.

What a program reads stands alone on stdout; everything else goes to stderr. `_commands` is the table of contents; it
loads click and nothing else, so that help and completions come at once.
"""

from tempmailg._cli._run import run

__all__ = ["run"]
