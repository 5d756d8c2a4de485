"""Writes `tempmailg/_extract/words.table`, which loads at once, from `words.txt`, which people review.

    python .ci/words.py            writes the file
    python .ci/words.py --check    fails if the file is not what would be written

Parts of the table are parted by empty lines, words by tabs:

    language, then each word that may stand inside others, with the bits of its kinds: `code$:1`
    kind, then the words that are compared as they are written, the longest first
    first characters, and in the next line what begins with them, the longest first: `code$|de:1|en:1`
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tempmailg._extract._lexicon import KEY, Kind, fold  # noqa: E402 -- of this source, whatever is installed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HEAD = "# Generated from words.txt by `python .ci/words.py`: do not edit."

Meanings = dict[str, int]
"""The bits of a word's kinds by language."""


def table(source: str) -> str:
    """Return the table of a list of words."""
    words, _, written = source.partition("\n[written]\n")
    found = list(meanings_of(words))
    return "\n\n".join((HEAD, inner(found), as_written(written), "\n".join(entries(found)))) + "\n"


def meanings_of(source: str) -> Iterator[tuple[str, str, int]]:
    """Yield each word of a list of `[language]` and `kind = word, word`, with its language and the bit of its kind."""
    language = ""
    for section, kind, words in re.findall(r"^(?:\[(\w+)\]|(\w+) = (.*))$", source, re.MULTILINE):
        language = section or language
        for word in fold(words).split(", ") if kind else ():
            yield word, language, Kind[kind.upper()]


def inner(words: Iterable[tuple[str, str, int]]) -> str:
    """Return the words that may stand inside others, a line for each language."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for word, language, kind in words:
        if word.startswith("*"):
            found[language].append(f"{word[1:]}:{kind:d}")
    return "\n".join("\t".join((language, *its)) for language, its in found.items())


def as_written(source: str) -> str:
    """Return the words that are compared as they are written, a line for each kind."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for kind, words in re.findall(r"^(\w+) = (.*)$", source, re.MULTILINE):
        found[kind] += words.split(", ")
    return "\n".join(
        "\t".join((kind, *sorted(words, key=lambda word: (-len(word), word)))) for kind, words in found.items()
    )


def entries(words: Iterable[tuple[str, str, int]]) -> Iterator[str]:
    """Yield the first characters of words, each followed by the line of those words."""
    found: defaultdict[str, defaultdict[str, Meanings]] = defaultdict(lambda: defaultdict(dict))
    for word, language, kind in words:
        if not word.startswith("*"):
            known = found[word.rstrip("$")[:KEY]][word]
            known[language] = known.get(language, 0) | kind
    for key, group in sorted(found.items()):
        yield key
        longest_first = sorted(group, key=lambda word: (-len(word.rstrip("$")), not word.endswith("$"), word))
        yield "\t".join(entry(word, with_stem(word, group)) for word in longest_first)


def with_stem(word: str, group: dict[str, Meanings]) -> Meanings:
    """Return what a word means: what is true of all words that begin like it is true of the word itself."""
    found = dict(group[word])
    stem = group.get(word.rstrip("$"), {}) if word.endswith("$") else {}
    for language, kind in stem.items():
        found[language] = found.get(language, 0) | kind
    return found


def entry(word: str, meanings: Meanings) -> str:
    """Write a word with its languages and the bits of its kinds there."""
    return "|".join((word, *(f"{language}:{kind:d}" for language, kind in sorted(meanings.items()))))


def main() -> int:
    """Write the table, or check that it is written."""
    parser = argparse.ArgumentParser(description="Write tempmailg/_extract/words.table from words.txt.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is out of date")
    parser.add_argument("--folder", type=Path, default=ROOT / "tempmailg" / "_extract", help="that of both files")
    options = parser.parse_args()
    target = options.folder / "words.table"
    text = table((options.folder / "words.txt").read_text(encoding="utf-8"))
    if not options.check:
        target.write_text(text, encoding="utf-8", newline="\n")
    elif not target.exists() or target.read_text(encoding="utf-8") != text:
        sys.exit(f"{target} is out of date: run `python .ci/words.py`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
