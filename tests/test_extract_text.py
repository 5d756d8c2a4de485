"""`Message.text` is what a browser shows: display, white space, hidden parts, and tags that nobody opened."""

from __future__ import annotations

import pytest

from tempmailg import _extract


def _text(html: str) -> str:
    return _extract.to_text(html, is_html=True)


class TestDisplay:
    """What parts two words."""

    @pytest.mark.parametrize(
        ("html", "text"),
        [
            ("Code is<span style='display:block'>481902</span>It lasts", "Code is\n481902\nIt lasts"),
            ("<div style='display:inline'>48</div><div style='display:inline-block'>19</div>", "4819"),
            ("<div style='display:flex'><span>Code</span><span>481902</span></div>", "Code\n481902"),
            ("<div style='display:grid'><b>a</b><b>b</b></div>c", "a\nb\nc"),
            ("<div style='display:table-cell'>a</div><div style='display:table-cell'>b</div>", "a\tb"),
            ("<table><tr><td style='display:block'>a</td><td style='display:block'>b</td></tr></table>", "a\nb"),
            ("<style>span{display:block}</style>a<span>b</span>c", "a\nb\nc"),
            ("<style>#x{display:block}</style>a<span id=x>b</span>c", "a\nb\nc"),
            ("<style>b.k.m{display:block}</style>a<b class='m k'>b</b><b class=k>c</b>", "a\nb\nc"),
            ("<style>.k{display:block} span.k{display:inline}</style>a<span class=k>b</span>c", "abc"),
            ("<fieldset><legend>Code</legend>481902</fieldset>", "Code\n481902"),
        ],
    )
    def test_the_style_decides_and_not_the_tag(self, html: str, text: str) -> None:
        """Blocks, flex boxes, grids and cells part words, inline elements do not, whatever the tag."""
        assert _text(html) == text

    def test_glued_words_no_longer_hide_a_code(self) -> None:
        """A code in a block of its own is read without the words around it."""
        html = "<p>Your code is<span style='display:block'>481902</span>It lasts ten minutes</p>"
        assert _extract.find_code(html, is_html=True, subject="Your code") == "481902"


class TestHidden:
    """What is not shown, and what is shown again."""

    @pytest.mark.parametrize(
        "html",
        [
            "<style>.h{display:none}</style><div class=h style='display:block'>yes</div>",
            "<div style='visibility:hidden'>no<span style='visibility:visible'>yes</span></div>",
            "<style>.h{display:none}.h.now{display:block}</style><p class='h now'>yes</p>",
            "<dialog>no</dialog><dialog open>yes</dialog>",
        ],
    )
    def test_the_stronger_rule_shows_again(self, html: str) -> None:
        """An inline style, a more exact rule, and a visible part of an invisible one are shown."""
        assert _text(html) == "yes"


class TestSpaces:
    """White space, letters and stray tags."""

    @pytest.mark.parametrize(
        ("html", "text"),
        [
            ("<div style='white-space:pre-wrap'>a  b\nc</div>", "a  b\nc"),
            ("<div style='white-space:pre-line'>a  b\nc</div>", "a b\nc"),
            ("<pre style='white-space:normal'>a\nb</pre>", "a b"),
            ("<b style='text-transform:uppercase'>kx7q</b>", "KX7Q"),
            ("<b style='text-transform:capitalize'>your code</b>", "Your Code"),
            ("a</br>b", "a\nb"),
            ("a</p>b", "a\n\nb"),
            ("<input value='481902' readonly>", "481902"),
            ("<input value=4 readonly><input value=8 readonly>", "48"),
            ("<input value='no'><input type=hidden value='no' readonly>yes", "yes"),
        ],
    )
    def test_it_is_what_a_browser_shows(self, html: str, text: str) -> None:
        """Kept lines, changed letters, unopened tags and fields to read are shown as in a browser."""
        assert _text(html) == text


class TestQuotations:
    """A message that answers another one."""

    def test_a_quoted_code_yields(self) -> None:
        """The older code in a quotation is no rival of the new one."""
        html = "<p>Hello, your new code is 481902.</p><blockquote>Your code is 770155.</blockquote>"
        assert _extract.find_code(html, is_html=True, subject="Re: Your code") == "481902"

    def test_a_quotation_alone_is_read(self) -> None:
        """Some mails set their code as a quotation."""
        html = "<p>Your code is</p><blockquote>481902</blockquote>"
        assert _extract.find_code(html, is_html=True, subject="Your code") == "481902"
