"""A stranger's file name becomes one safe path component, the same on every platform."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tempmailg._names import MAX_BYTES, NAMELESS, distinct, numbered, safe_name

# Text that is rich in what makes names dangerous.
DANGEROUS = [
    "/",
    "\\",
    ":",
    ".",
    "..",
    " ",
    "-",
    "~",
    "\0",
    "\n",
    "\u202e",
    "\u200b",
    "\u200c",
    "\ud800",
    "CON",
    "nul",
    "COM1",
]
WORDS = st.sampled_from(
    [*DANGEROUS, "file", ".txt", ".tar.gz", "é", "👩\u200d🔬", "a" * 130, "é" * 130, "$", "\u3000", "\x85"]
)
NAMES = st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=8).map("".join))

WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"} | {
    device + digit for device in ("COM", "LPT") for digit in "0123456789¹²³"
}


def assert_safe(name: str) -> None:
    """Fail unless a name is one component that means the same, and nothing special, on every platform."""
    assert 1 <= len(name.encode()) <= MAX_BYTES  # encodes at all, and fits
    assert PurePosixPath(name).parts == (name,)
    assert PureWindowsPath(name).parts == (name,)
    assert not set(name) & set('<>:"/\\|?*')
    assert name.isprintable() or not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in name)
    assert not name.startswith((".", "-", "~", " "))
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].rstrip().upper() not in WINDOWS_DEVICES
    assert not set(name) & set("\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


@given(NAMES)
@example("../x")
@example(" . .bashrc")
@example("\u200c.git")
@example("CON\u3000.txt")
@example("x" * 254 + ". .")
@example("é" * 120 + "." + "e" * 16)
def test_any_name_becomes_safe_and_stays_what_it_became(name: str) -> None:
    """Whatever a sender calls a file, the result is one safe component, and applying the rule again changes nothing."""
    safe = safe_name(name)
    assert_safe(safe)
    assert safe_name(safe) == safe


@given(NAMES, st.integers(0, 100_000))
def test_a_numbered_name_is_as_safe(name: str, number: int) -> None:
    """The number for a second file of the same name neither makes it too long nor anything else that it must not be."""
    result = numbered(safe_name(name), number)
    assert_safe(result)
    assert safe_name(result) == result


@given(NAMES, st.integers(1, 10_000), st.integers(1, 10_000))
def test_numbers_tell_files_apart(name: str, one: int, other: int) -> None:
    """Two files of one name get two names, however long the name is."""
    safe = safe_name(name)
    assert numbered(safe, 0) == safe
    assert (numbered(safe, one) == numbered(safe, other)) == (one == other)
    assert numbered(safe, one) != safe


@given(st.lists(st.sampled_from(["a.txt", "A.TXT", "a (1).txt", "b", "B", "ß", "SS"])))
def test_names_of_one_message_differ_in_every_file_system(names: list[str]) -> None:
    """No two files of one message share a name, not even where the case of letters does not count."""
    result = distinct(names)
    assert len({name.casefold() for name in result}) == len(names)
    seen: set[str] = set()
    for before, after in zip(names, result, strict=True):
        if before.casefold() not in seen:
            assert after == before
        seen.add(after.casefold())


@given(st.text("abcXYZ019 _-().,;+=@'!&#%[]{}äßéñ中文🙂\u0301\u200d", min_size=1, max_size=60))
def test_a_harmless_name_is_kept(name: str) -> None:
    """Letters of any script, spaces and the usual punctuation stand as the sender wrote them."""
    name = f"a{name}z"
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "file.txt",
        "Rechnung Nr. 7 (final).pdf",
        "résumé.docx",
        "年度报告.xlsx",
        "نامه\u200cها.pdf",  # noqa: RUF001 - Persian, and meant
        "👩\u200d🔬.png",
        "a",
        "x" * 255,
    ],
)
def test_usual_names_of_all_languages_are_kept(name: str) -> None:
    """The original name is kept where it is safe, the joiners inside Persian and emoji names included."""
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../x", "x"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("\\\\server\\share\\file.txt", "file.txt"),
        ("C:\\Users\\me\\file.txt", "file.txt"),
        ("C:file.txt", "C_file.txt"),
        ("folder/", "folder"),
        ("CON", "_CON"),
        ("con.tar.gz", "_con.tar.gz"),
        ("NUL.txt", "_NUL.txt"),
        ("Com¹ .x", "_Com¹ .x"),
        ("a:b", "a_b"),
        ("file.txt:stream", "file.txt_stream"),
        ("what?.txt", "what_.txt"),
        ("trailing. . ", "trailing"),
        (" leading", "leading"),
        ("nul\0byte", "nul_byte"),
        ("two\nlines", "two_lines"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("zero\u200bwidth", "zero_width"),
        ("half\ud800", "half_"),
        (".", NAMELESS),
        ("..", NAMELESS),
        ("", NAMELESS),
        ("/", NAMELESS),
        (" \u3000. ", NAMELESS),
        ("-rf", "_-rf"),
        ("~root", "_~root"),
        (".bashrc", "_.bashrc"),
        ("Desktop.ini", "_Desktop.ini"),
        ("n" * 300, "n" * 255),
        ("é" * 200 + ".pdf", "é" * 125 + ".pdf"),
        ("n" * 300 + ".tar.gz", "n" * 248 + ".tar.gz"),
        ("n" * 100 + "." + "x" * 300, "n" * 100 + "." + "x" * 154),
    ],
)
def test_dangerous_names_become_these(name: str, safe: str) -> None:
    """Paths, devices, streams, invisible characters, options and hidden files each lose their sting."""
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("file.txt", "file (1).txt"),
        ("file", "file (1)"),
        ("archive.tar.gz", "archive (1).tar.gz"),
        ("Rechnung Nr. 7", "Rechnung Nr. 7 (1)"),
        ("file (1).txt", "file (1) (1).txt"),
        ("n" * 251 + ".txt", "n" * 247 + " (1).txt"),
    ],
)
def test_the_number_stands_before_the_extension(name: str, second: str) -> None:
    """A second file of a name opens with the same program as the first."""
    assert numbered(name, 1) == second


def test_a_file_of_the_longest_name_can_be_made(tmp_path: Path) -> None:
    """The limit on the length is one that a real file system takes."""
    (tmp_path / safe_name("é" * 400 + ".pdf")).touch(exist_ok=False)
    (tmp_path / numbered(safe_name("é" * 400 + ".pdf"), 12)).touch(exist_ok=False)
