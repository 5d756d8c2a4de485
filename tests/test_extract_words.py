"""The table of words is data that people review: its form is checked, and its words are found by it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from tempmailg._extract import _lexicon, _words
from tempmailg._extract._lexicon import Kind, fold
from tempmailg._extract._words import find_words

_FOLDER = Path(_words.__file__).parent
_LINES = (_FOLDER / "words.txt").read_text(encoding="utf-8").splitlines()
_LEXICON = _LINES[: _LINES.index("[written]")]
_ROWS = [line for line in _LEXICON if " = " in line and not line.startswith("#")]


def _sections() -> list[tuple[str, list[tuple[str, list[str]]]]]:
    found: list[tuple[str, list[tuple[str, list[str]]]]] = []
    for line in _LEXICON:
        kind, equals, words = line.partition(" = ")
        if line.startswith("["):
            found.append((line.strip("[]"), []))
        elif equals and not line.startswith("#"):
            found[-1][1].append((kind, words.split(", ")))
    return found


def test_every_line_can_be_reviewed() -> None:
    """No line is longer than 120 characters, and each row names a known kind."""
    assert [line for line in _LINES if len(line) > 120] == []
    assert {row.partition(" = ")[0].upper() for row in _ROWS} <= set(Kind.__members__)


@pytest.mark.parametrize(("language", "rows"), [pytest.param(*section, id=section[0]) for section in _sections()])
def test_a_group_is_sorted_and_holds_each_word_once(language: str, rows: list[tuple[str, list[str]]]) -> None:
    """The words of a kind stand in one place, in order, a line for each first letter: two changes seldom collide."""
    assert language
    assert len([kind for kind, _ in groupby(rows, key=lambda row: row[0])]) == len({kind for kind, _ in rows})
    for _, group in groupby(rows, key=lambda row: row[0]):
        lines = [words for _, words in group]
        keys = [fold(word.lstrip("*")) for words in lines for word in words]
        assert keys == sorted(keys)
        assert len({word for words in lines for word in words}) == len(keys)
        assert all(len({fold(word.lstrip("*"))[0] for word in words}) == 1 for words in lines)


def _make_table(folder: Path, *options: str) -> tuple[int, str]:
    """Run the maker of the table on a folder; return its exit status and what it complains of."""
    script = Path(__file__).parents[1] / ".ci" / "words.py"
    command = [sys.executable, str(script), "--folder", str(folder), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stderr


def test_the_table_in_the_repository_is_made_from_the_words() -> None:
    """Nobody edited the table, and nobody forgot to make it anew."""
    assert _make_table(_FOLDER, "--check") == (0, "")


def test_a_word_that_is_added_arrives_in_the_table(tmp_path: Path) -> None:
    """A change of the list fails the check, which writes nothing, until the table is made anew."""
    for name in ("words.txt", "words.table"):
        shutil.copy(_FOLDER / name, tmp_path)
    source = tmp_path / "words.txt"
    source.write_text(source.read_text("utf-8").replace("\n[en]\n", "\n[en]\ncode = quibble$\n"), "utf-8")
    status, complaint = _make_table(tmp_path, "--check")
    assert (status, "run `python .ci/words.py`" in complaint) == (1, True)
    assert "quibble" not in (tmp_path / "words.table").read_text("utf-8")
    assert _make_table(tmp_path) == (0, "")
    assert f"\nqui\nquibble$|en:{Kind.CODE:d}\t" in (tmp_path / "words.table").read_text("utf-8")


def test_what_parts_the_table_stands_in_no_word() -> None:
    """No word holds a mark of the table's own, and a currency is short enough to be found beside its number."""
    words = [word for row in _ROWS for word in row.partition(" = ")[2].split(", ")]
    assert [word for word in words if set(word) & {"\t", "|"}] == []
    assert max(map(len, _lexicon.written("currency"))) <= 16
    assert not any(char.isspace() or char.isdigit() for word in _lexicon.written("currency") for char in word)


@pytest.mark.parametrize(
    ("text", "language", "kind"),
    [
        ("Ana hat dich eingeladen", "de", Kind.INVITE),
        ("Lena vous invite à rejoindre le groupe", "fr", Kind.INVITE),
        ("Ruth te ha invitado", "es", Kind.INVITE),
        ("Рут пригласила вас", "ru", Kind.INVITE),
        ("您受邀加入团队", "zh", Kind.INVITE),
        ("チームに招待されました", "ja", Kind.INVITE),
        ("تمت دعوتك إلى الفريق", "ar", Kind.INVITE),
        ("Rut sizi komandaya dəvət etdi", "az", Kind.INVITE),
        ("Saatsime sulle kutse", "et", Kind.INVITE),
        ("Připojit se k týmu", "cs", Kind.JOIN),
        ("Unirse al equipo", "es", Kind.JOIN),
        ("Te invitamos a leerlo", "es", Kind.POLITE),
        ("Ruth elfogadta a meghívást", "hu", Kind.NOTICE),
        ("Dein Passwort wurde geändert", "de", Kind.NOTICE),
        ("Votre adresse a été modifiée", "fr", Kind.NOTICE),
        ("パスワードが変更されました", "ja", Kind.NOTICE),
    ],
)
def test_invitations_and_notices_are_known_in_many_languages(text: str, language: str, kind: Kind) -> None:
    """What asks to join, and what reports something done, is found in the language of the message."""
    kinds = [hit.kind & kind for hit in find_words(text, _words.EVERYWHERE | {language})]
    assert any(kinds)
