"""What a person would read in a message: its text, its code, its link."""

# ruff: noqa: RUF001 -- texts in other scripts are what is tested
from __future__ import annotations

import subprocess
import sys

import pytest

from tempmailg import _extract


def _code(content: str, subject: str = "Your sign-in code", *, is_html: bool = False) -> str | None:
    return _extract.find_code(content, is_html=is_html, subject=subject)


def _link(content: str, subject: str = "Confirm your address", *, is_html: bool = True) -> str | None:
    return _extract.find_link(content, is_html=is_html, subject=subject)


class TestText:
    """Reading a message."""

    @pytest.mark.parametrize(
        ("html", "text"),
        [
            ("<p>Hello <b>Ana</b>,</p><p>welcome&nbsp;&amp; enjoy</p>", "Hello Ana,\n\nwelcome & enjoy"),
            ("one<br>two<br/>three", "one\ntwo\nthree"),
            ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
            ("<table><tr><td>Code</td><td>1234</td></tr><tr><td>x</td></tr></table>", "Code\t1234\nx"),
            ("<pre>a  b\n  c</pre>", "a  b\n  c"),
            ("a <a href='https://x.example'>link</a> here", "a link here"),
            ("<style>p{x:y}</style><script>1 < 2</script><title>t</title>shown", "shown"),
            ("<!-- <p>no</p> --><!--[if mso]>no<![endif]--><!--[if !mso]><!-->yes<!--<![endif]-->", "yes"),
            ("<!--> a <!-- b --!> c", "a c"),
            ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
            ('<p title="a > b">text</p>', "text"),
            ("<p>one<p>two", "one\n\ntwo"),
            ("1&#8203;2&shy;3\u200e", "123"),
            ("می\u200cخواهم", "می\u200cخواهم"),
            ("<b>unfinished <a href=", "unfinished"),
            ("text <!-- never closed", "text"),
        ],
    )
    def test_html_is_read_as_it_is_shown(self, html: str, text: str) -> None:
        """Blocks become lines, cells stand apart, entities are decoded, and what is not shown is dropped."""
        assert _extract.to_text(html, is_html=True) == text

    @pytest.mark.parametrize(
        "hidden",
        [
            "<div style='display:none'>no</div>",
            "<div style='DISPLAY : NONE !important'><p>no</p></div>",
            "<span style='visibility:hidden'>no</span>",
            "<span style='opacity:0'>no</span>",
            "<div style='max-height:0;overflow:hidden'>no</div>",
            "<div style='font-size:1px'>no</div>",
            "<div hidden>no</div>",
            "<style>.pre { display: none }</style><div class='x pre'>no</div>",
            "<svg><text>no</text></svg>",
        ],
    )
    def test_hidden_passages_are_dropped(self, hidden: str) -> None:
        """What a style hides is no part of the text, what stands after it is."""
        assert _extract.to_text(f"<p>before</p>{hidden}<p>after</p>", is_html=True) == "before\n\nafter"

    @pytest.mark.parametrize(
        "shown",
        [
            "<div style='font-size:0px'><div style='font-size:14px'>yes</div></div>",
            "<div style='mso-hide:all'>yes</div>",
            "<div style='opacity:0.9;max-height:0'>yes</div>",
            "<style>@media (max-width:480px){.a{display:none}}</style><div class='a'>yes</div>",
            "<noscript>yes</noscript>",
        ],
    )
    def test_what_only_looks_hidden_is_kept(self, shown: str) -> None:
        """Tricks of mail builders that hide nothing on an ordinary screen do not hide text here."""
        assert _extract.to_text(shown, is_html=True) == "yes"

    def test_plain_text_keeps_its_lines(self) -> None:
        """Line ends are unified, blanks at line ends and runs of empty lines dropped."""
        assert _extract.to_text("a \r\n\r\n\r\n\r\n  b\u2028c\n", is_html=False) == "a\n\n  b\nc"

    def test_the_flag_is_not_trusted_blindly(self) -> None:
        """A whole HTML document sent as text is read as HTML, and text without a tag sent as HTML keeps its lines."""
        assert _extract.to_text("<!DOCTYPE html><p>a</p>", is_html=False) == "a"
        assert _extract.to_text("a\nb", is_html=True) == "a\nb"

    def test_nothing_unprintable_comes_out(self) -> None:
        """Controls, direction marks and halves of surrogate pairs do not reach a terminal or an encoder."""
        assert _extract.to_text("a\x1b[31m\0\u202eb\ud800", is_html=False) == "a[31mb\ufffd"


class TestCodes:
    """Finding the code."""

    @pytest.mark.parametrize(
        ("shown", "typed"),
        [
            ("4829", "4829"),
            ("048291", "048291"),
            ("48291375", "48291375"),
            ("482 913", "482913"),
            ("482-913", "482913"),
            ("48 29 13", "482913"),
            ("4 8 2 9 1 3", "482913"),
            ("4\u20118\u20112\u20119", "4829"),
            ("R4T9ZB", "R4T9ZB"),
            ("W9GM-RGWF", "W9GM-RGWF"),
            ("G-482913", "G-482913"),
            ("KXR-QTM", "KXR-QTM"),
            ("brisk-otter-maple-drum", "brisk-otter-maple-drum"),
            ("٤٨٢٩١٣", "482913"),
            ("۴۸۲۹۱۳", "482913"),
            ("４８２９１３", "482913"),
            ("४८२९१३", "482913"),
            ("**482913**", "482913"),
            (">> 482913 <<", "482913"),
        ],
    )
    def test_every_writing_is_understood(self, shown: str, typed: str) -> None:
        """A code is returned as a person would type it, however it is set."""
        assert _code(f"Enter this code to sign in:\n\n{shown}\n\nIt expires in 10 minutes.") == typed

    @pytest.mark.parametrize(
        "cells",
        [
            "<table><tr>" + "".join(f"<td>{digit}</td>" for digit in "482913") + "</tr></table>",
            "".join(f"<span>{digit}</span>" for digit in "482913"),
            "".join(f"<div>{digit}</div>" for digit in "482913"),
        ],
        ids=["cells", "spans", "blocks"],
    )
    def test_digits_in_elements_of_their_own_are_joined(self, cells: str) -> None:
        """Digits set in boxes are one code."""
        assert _code(f"<p>Enter this code to sign in:</p>{cells}<p>Thanks</p>", is_html=True) == "482913"

    @pytest.mark.parametrize(
        "content",
        [
            "Code: 482913",
            "482913 is your verification code.",
            "Your code is 482913.",
            "[Acme] Your verification code is 482913, do not share it.",
            "Use 482913 to verify your account.\nThis code expires soon.",
        ],
    )
    def test_a_code_is_found_where_it_is_called_one(self, content: str) -> None:
        """The word for it may stand before the code or after it."""
        assert _code(content, "Acme") == "482913"

    def test_the_line_for_programs_wins(self) -> None:
        """An origin-bound last line is believed without further evidence, whatever else the message holds."""
        content = "Your code is 111111. Another code: 222222.\n\n@login.example.com #482913"
        (candidate,) = _extract.find_codes(content, is_html=False)
        assert candidate.value == "482913"
        assert candidate.reason.endswith("gives it to programs")

    def test_a_code_may_look_like_a_year(self) -> None:
        """A year-like number is a code where it is plainly called one, and a year elsewhere."""
        assert _code("Your code is 2026\nEnter it to sign in.\n\n© 2019-2026 Acme") == "2026"
        assert _code("Enter the code to sign in. You find it in the app.\n\nAcme, since 2026") is None

    def test_a_quoted_reply_is_not_read(self) -> None:
        """The code of an earlier message below a reply is out of date."""
        content = "Here is a new one:\n\n482913\n\nAnn wrote:\n> your verification code: 152977\n"
        assert _code(content, "Re: Your code") == "482913"
        original = "Thanks!\n\n-----Original Message-----\nFrom: x@y.example\nSent: Monday\n\nYour code is 152977"
        assert _code(original, "Re: Your code") is None
        assert _code(original, "Fwd: Your code") == "152977"

    def test_two_codes_are_none(self) -> None:
        """Where two values have the same claim, none is returned, and both are listed."""
        content = "Code for Ann: 482913\nCode for Ben: 152977\nEnter it to sign in."
        assert _code(content) is None
        assert {each.value for each in _extract.find_codes(content, is_html=False)} == {"482913", "152977"}

    @pytest.mark.parametrize(
        "content",
        [
            "Order number: 482913",
            "Use promo code 482913 at checkout for 20% off.",
            "Your pickup code: 482913",
            "Postal code 48291",
            "Call +1 800 555 0199 or 0117 496 0233.",
            "Total: $4829.13, paid with card ending 4829",
            "Meeting ID: 841 2097 7315\nPasscode: 482913",
            "See https://x.example/verify?code=482913",
            "Version 4829, build 482913, commit 3fe90ab",
            "Tracking number 1Z48291337, arriving 12.02.2026 14:05",
            "The colour is #482913.",
        ],
    )
    def test_other_numbers_are_no_codes(self, content: str) -> None:
        """Orders, promotions, parcels, phones, prices, meetings, addresses and versions are passed over."""
        assert _code(content, "News from Acme") is None

    def test_criteria_narrow_the_search(self) -> None:
        """A length or a pattern leaves out what does not fit; a pattern also admits a writing of its own."""
        content = "Your sign-in code: 482913\nYour sign-in code: AB12-CD34"
        assert _code(content) is None
        assert _extract.find_code(content, is_html=False, length=6) == "482913"
        assert _extract.find_code(content, is_html=False, length=8) == "AB12-CD34"
        assert _extract.find_code(content, is_html=False, pattern=r"[A-Z\d]{4}-[A-Z\d]{4}") == "AB12-CD34"
        own = "Enter this code to sign in: xyzzy"
        assert _extract.find_code(own, is_html=False, pattern="[a-z]{5}", subject="Sign in") == "xyzzy"

    def test_a_candidate_says_where_it_stands_and_why(self) -> None:
        """Each candidate carries its place in the readable text or the subject, its score and its reasons."""
        content = "<p>Enter this code to sign in:</p><h1>482 913</h1>"
        (candidate,) = _extract.find_codes(content, is_html=True, subject="Acme")
        text = _extract.to_text(content, is_html=True)
        assert text[candidate.start : candidate.end] == "482 913"
        assert candidate.place == "text"
        assert candidate.reason.startswith("digits in groups, called a code")
        (in_subject,) = _extract.find_codes("See the subject.", is_html=False, subject="482913 is your code")
        assert (in_subject.place, in_subject.start, in_subject.end) == ("subject", 0, 6)

    def test_the_senders_name_is_no_evidence(self) -> None:
        """A sender called after orders does not make a code an order number."""
        content = "Your Order Desk 482913 sign-in code. Enter it to sign in."
        with_name = _extract.find_codes(content, is_html=False, sender_name="Order Desk")
        without = _extract.find_codes(content, is_html=False)
        assert with_name[0].score > without[0].score


class TestLinks:
    """Finding the link."""

    _TARGET = "https://acme.example/c/7f3a9b2c?u=ana%40example.org&lang=en"

    def test_the_action_is_found_among_the_usual_links(self) -> None:
        """The button wins over logo, help, unsubscribe, social and app links; entities in its target are decoded."""
        content = f"""
            <a href="https://acme.example/"><img src="logo.png" alt="Acme"></a>
            <p>Please confirm your address.</p>
            <a href="{self._TARGET.replace("&", "&amp;")}">Confirm my address</a>
            <a href="https://acme.example/help?id=48291">Help</a>
            <a href="https://acme.example/unsubscribe?u=7f3a9b2c">Unsubscribe</a>
            <a href="https://twitter.com/acme12345">Follow us</a>
            <a href="mailto:hi@acme.example">Write to us</a>"""
        assert _link(content) == self._TARGET

    @pytest.mark.parametrize(
        "content",
        [
            "Confirm your address: {}",
            "Confirm your address:\n\n<{}>\n",
            "To confirm, open {}. Thanks.",
            "(confirm here: {})",
            "请点击链接验证邮箱：{}。谢谢",
        ],
    )
    def test_addresses_written_out_end_where_they_end(self, content: str) -> None:
        """The punctuation of the sentence is no part of the address."""
        assert _link(content.format(self._TARGET), is_html=False) == self._TARGET

    @pytest.mark.parametrize(
        "content",
        [
            '<p>Your order has shipped.</p><a href="https://acme.example/t/7f3a9b2c">Track your order</a>',
            '<p>Your statement is ready.</p><a href="https://bank.example/login">Log in</a>',
            '<p>If this was not you, <a href="https://acme.example/reset?t=7f3a9b2c">reset your password</a>.</p>',
            '<p>News!</p><a href="https://acme.example/n/7f3a9b2c">Read more</a>',
        ],
    )
    def test_other_links_are_passed_over(self, content: str) -> None:
        """Tracking, a public login page, the way out for others, and news are not asked to be followed."""
        assert _link(content, "Acme") is None

    def test_a_label_stands_for_a_picture(self) -> None:
        """An image button is read by its alternative text."""
        content = f'<p>Welcome!</p><a href="{self._TARGET}"><img src="b.png" alt="Confirm my address"></a>'
        assert _link(content) == self._TARGET

    def test_criteria_narrow_the_search(self) -> None:
        """`contains` and `text` pick a link by its address or by what is shown for it."""
        content = '<a href="https://a.example/one">First</a> <a href="https://a.example/two">Second</a>'
        assert _extract.find_link(content, is_html=True, contains="TWO") == "https://a.example/two"
        assert _extract.find_link(content, is_html=True, text="first") == "https://a.example/one"
        assert _extract.find_link(content, is_html=True, contains="example") is None

    @pytest.mark.parametrize(
        ("shown", "mismatch"),
        [
            ("https://acme.example/c/7f3a9b2c", False),
            ("acme.example", False),
            ("www.acme.example/c/", False),
            ("https://other.example/c/7f3a9b2c", True),
            ("https://acme.example/settings", True),
            ("Confirm", False),
        ],
    )
    def test_a_misleading_address_is_flagged(self, shown: str, mismatch: bool) -> None:  # noqa: FBT001 -- expected value
        """A link that shows an address other than its target is marked."""
        (candidate,) = _extract.find_links(f'<a href="{self._TARGET}">{shown}</a>', is_html=True)
        assert candidate.mismatch is mismatch


def test_the_room_is_light_until_it_is_used() -> None:
    """Importing it loads neither the reader of HTML nor the lexicon."""
    script = "import sys, tempmailg._extract; print([m for m in sys.modules if m.startswith('tempmailg._extract.')])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
