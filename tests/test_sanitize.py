"""Strangers' text on a terminal: nothing in it may act, hide or turn letters round."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempmailg._sanitize import ascii_url, sanitize_line, sanitize_text

_ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, format characters, half characters, line and paragraph ends

_ANY_TEXT = st.text(st.characters(categories=None))
_HOSTILE_TEXT = st.text(
    st.sampled_from("ab1 \t\r\n\x00\x07\x1b\x7f\x85\x9b\u00ad\u200b\u200d\u202e\u2028\u2066\ufe0f\ud800👩💻❤\u20e3")
)


# A joiner or a variation selector inside an emoji: between, or behind, two signs that are drawn.
_EMOJI_PARTS = re.compile(
    "(?<=[\\u00a9-\\u3299\U0001f000-\U0001faff\ufe0f])\u200d(?=[\\u00a9-\\u3299\U0001f000-\U0001faff])|\ufe0f"
)


def _acting(text: str) -> set[str]:
    text = _EMOJI_PARTS.sub("", text)
    return {character for character in text if unicodedata.category(character) in _ACTING}


@given(_ANY_TEXT | _HOSTILE_TEXT)
def test_one_line_holds_nothing_that_acts(text: str) -> None:
    """Whatever a subject holds, its line has no control, bidirectional, zero-width or half character."""
    assert not _acting(sanitize_line(text))


@given(_ANY_TEXT | _HOSTILE_TEXT)
def test_lines_hold_nothing_that_acts_but_line_ends(text: str) -> None:
    """Whatever a body holds, its lines have nothing that acts, and cleaning them again changes nothing."""
    cleaned = sanitize_text(text)
    assert _acting(cleaned) <= {"\n"}
    assert sanitize_text(cleaned) == cleaned


@given(st.text(st.characters(categories=["L", "N", "P", "S"], max_codepoint=0x10FF)))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """Letters, digits and signs of living scripts are not touched."""
    if not set(text) & set("\u115f\u1160\u3164"):
        assert sanitize_line(text) == sanitize_text(text) == text


@given(_ANY_TEXT)
def test_an_address_keeps_its_meaning(text: str) -> None:
    """An address becomes visible ASCII, and decoding it gives the same address."""
    shown = ascii_url(text)
    assert shown.isascii()
    assert not _acting(shown)
    if text.isprintable() and "%" not in text:
        assert unquote(shown) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;pwned\x07", "␛]0;pwned␇"),
        ("a\r\nb\tc", "a␍␊b␉c"),
        ("invoice_\u202egpj.exe", "invoice_gpj.exe"),
        ("pay\u200bpal", "paypal"),
        ("\x9b31m", "\ufffd31m"),
        ("Grüße ✓ 日本 👍", "Grüße ✓ 日本 👍"),
        ("👩\u200d💻 👍🏽 ❤\ufe0f 1\ufe0f\u20e3", "👩\u200d💻 👍🏽 ❤\ufe0f 1\ufe0f\u20e3"),
        ("👨\u200d👩\u200d👧 🏳\ufe0f\u200d🌈", "👨\u200d👩\u200d👧 🏳\ufe0f\u200d🌈"),
        ("pay\u200dpal 1\ufe0f2 👩\u200d\u200d💻 👩\u200dx", "paypal 12 👩💻 👩x"),
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴"),
    ],
)
def test_what_acts_is_shown_or_dropped(text: str, shown: str) -> None:
    """Controls become pictures, invisible characters go, and words keep their order."""
    assert sanitize_line(text) == shown


@given(_HOSTILE_TEXT)
def test_a_joiner_stays_inside_an_emoji_only(text: str) -> None:
    """Between letters, at an edge or twice in a row, no joiner and no variation selector is left."""
    kept = sanitize_line(text)
    assert not re.search("(?:^|[^👩💻❤\ufe0f])\u200d|\u200d(?:$|[^👩💻❤])", kept)
    assert not re.search("(?:^|[^1👩💻❤])\ufe0f", kept)
    assert not re.search("1\ufe0f(?!\u20e3)", kept)


def test_all_line_ends_end_lines() -> None:
    """Line ends of every system and of Unicode become one kind."""
    assert sanitize_text("a\r\nb\rc\x0bd\u2028e\u2029f\x85g") == "a\nb\nc\nd\ne\nf\ng"
