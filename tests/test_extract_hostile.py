"""Hostile messages: nothing raises, nothing grows, and time is linear."""

from __future__ import annotations

import cProfile
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile_mail import HOSTILE

from tempmailg import _extract
from tempmailg._extract._page import MAX_CONTENT, MAX_SUBJECT, MAX_TEXT

_MOST_CALLS = 700_000
"""Calls that reading anything for its code and its link takes at most; a mail of 5 KB takes some 5,000."""

_SIZE = 24_000
_UNMEASURED = 0.03
"""Seconds below which nothing quadratic happens to 24,000 characters."""

_TEXTS = st.text(max_size=300) | st.lists(
    st.sampled_from(
        [
            "<a href=",
            '"',
            "'",
            ">",
            "<",
            "</a>",
            "<p style='display:none'>",
            "</p>",
            "<!--",
            "-->",
            "<style>",
            "</style>",
            ".a{display:none}",
            "&amp",
            "&#49;",
            "123456",
            "Your code is ",
            "123-456",
            "\n",
            "\t",
            "\0",
            "\ud800",
            "\u202e",
            "https://x.example/verify?t=a1b2c3d4",
            "> ",
            "@x.example #123456",
            "验证码",
            "٤٠٧٩١٥",
            "<td>1</td>",
            "\u200c",
        ],
    ),
    max_size=40,
).map("".join)


def _seconds(content: str, *, is_html: bool) -> float:
    start = time.process_time()
    _extract.find_code(content, is_html=is_html, subject="Your code")
    _extract.find_link(content, is_html=is_html, subject="Verify your address")
    return time.process_time() - start


@pytest.mark.parametrize("is_html", [True, False], ids=["html", "text"])
@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_with_the_message(name: str, is_html: bool) -> None:  # noqa: FBT001 -- a parameter of the matrix
    """Twice as much of anything takes at most 2.6 times as long, given five tries on a busy machine."""
    short, long = HOSTILE[name](_SIZE), HOSTILE[name](2 * _SIZE)
    for _ in range(5):
        once = _seconds(short, is_html=is_html)
        if once < _UNMEASURED or _seconds(long, is_html=is_html) <= 2.6 * once:
            return
    pytest.fail(f"{name}: quadratic")


@pytest.mark.parametrize("name", HOSTILE)
def test_the_work_is_bounded(name: str) -> None:
    """Of 1 MB of anything no more is made than the documented number of calls, those of built-in functions included."""
    content = HOSTILE[name](MAX_CONTENT)
    profile = cProfile.Profile()
    profile.enable()
    _extract.find_code(content, is_html=True, subject="Your code")
    _extract.find_link(content, is_html=True, subject="Verify your address")
    profile.disable()
    assert sum(entry.callcount for entry in profile.getstats()) < _MOST_CALLS


@given(content=_TEXTS, subject=_TEXTS, is_html=st.booleans())
@settings(max_examples=150, deadline=None)
def test_nothing_raises(content: str, subject: str, is_html: bool) -> None:  # noqa: FBT001 -- drawn by name
    """Whatever a message holds, reading it gives values whose places lie inside what they were read from."""
    text = _extract.to_text(content, is_html=is_html)
    codes = _extract.find_codes(content, is_html=is_html, subject=subject)
    links = _extract.find_links(content, is_html=is_html, subject=subject)
    text.encode()
    assert all(0 <= code.start < code.end <= len(text if code.place == "text" else subject) for code in codes)
    assert all(0 <= link.start <= link.end <= len(text) for link in links)
    assert len({code.value for code in codes}) == len(codes)


def test_long_messages_are_cut() -> None:
    """Of a message no more is kept than the documented caps, and what lies beyond them is not read."""
    assert len(_extract.to_text("word " * MAX_TEXT, is_html=False)) <= MAX_TEXT
    assert len(_extract.to_text("<p>word</p>" * MAX_TEXT, is_html=True)) <= MAX_TEXT
    picture = f'<img src="data:image/png;base64,{"A" * 600_000}">'
    assert _extract.find_code(f"{picture}<p>Your code is 482913</p>", is_html=True, subject="Your code") == "482913"
    assert _extract.find_code(" " * MAX_CONTENT + "Your code is 482913", is_html=False, subject="Your code") is None
    subject = f"{'a ' * MAX_SUBJECT}Your code is 482913"
    assert _extract.find_code("Sign in", is_html=False, subject=subject) is None


def test_many_links_leave_the_first_and_the_last() -> None:
    """Among more links than are examined, those at the beginning and at the end of a mail are still candidates."""
    asked = '<p>Please <a href="https://x.example/verify?token=Tq93kPzw1">verify your address</a></p>'
    others = "".join(f'<a href="https://x.example/terms/{number}">Terms</a> ' for number in range(1_000))
    for content in (f"{asked}{others}", f"{others}{asked}"):
        link = _extract.find_link(content, is_html=True, subject="Verify your address")
        assert link == "https://x.example/verify?token=Tq93kPzw1"
