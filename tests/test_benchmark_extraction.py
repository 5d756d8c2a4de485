"""The figures of the extraction: the split by family, intervals, and what counts as right."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _publish as publish
from benchmarks import extraction
from benchmarks._browser import browser, inner_texts, token_f1, tools
from benchmarks._labelled import bootstrap, half_of, is_invitation, outcome, score, wilson


def _mail(family: str, code: str | None = "481902") -> dict[str, Any]:
    return {
        "family": family,
        "code": code,
        "link": None,
        "content": "",
        "is_html": False,
        "subject": "",
        "from_name": "",
    }


def test_a_family_always_falls_into_the_same_half() -> None:
    """The split depends on the family's name alone, and both halves are used."""
    halves = [half_of(f"family {number}") for number in range(200)]
    assert halves == [half_of(f"family {number}") for number in range(200)]
    assert 60 < halves.count("judge") < 140


@pytest.mark.parametrize(
    ("wanted", "found", "said"),
    [
        ("481902", "481902", "right"),
        ("KX7Q-29TW", "kx7q29tw", "right"),
        ("G-481902", "481902", "right"),
        ("481902", "5512", "wrong"),
        ("481902", None, "missed"),
        (None, "5512", "false"),
        (None, None, "silent"),
    ],
)
def test_an_answer_is_judged(wanted: str | None, found: str | None, said: str) -> None:
    """Spaces, dashes and case do not matter; a missing answer is missed, another one wrong, an unwanted one false."""
    assert outcome(_mail("a", wanted), "code", found) == said


def test_answers_are_counted_by_family() -> None:
    """Shares come from all mails, and their families stay apart for the bootstrap."""
    mails = [_mail("a"), _mail("a"), _mail("b", None)]
    found, families = score(mails, "code", lambda _: "481902")
    assert (found.right, found.false) == (2, 1)
    assert found.precision == (2, 3)
    assert families == {"a": Counter(right=2), "b": Counter(false=1)}


@pytest.mark.parametrize(
    ("family", "note", "link", "invites"),
    [
        ("invite", "", "https://pond.example/i/Tq93", True),
        ("pond-link", "a framework (MIT); invitation", "https://pond.example/i/Tq93", True),
        ("pond-link", "a framework (MIT); reset", "https://pond.example/r/Tq93", False),
        ("event", "beside two other invitations", "https://pond.example/e/Tq93", False),
        ("invite", "calendar", None, False),
    ],
)
def test_invitations_are_told_by_their_label(family: str, note: str, link: str | None, invites: bool) -> None:  # noqa: FBT001 - a table
    """Invitations have a rate of their own: mails whose family or note says so, and that hold a link to follow."""
    assert is_invitation({**_mail(family, None), "note": note, "link": link}) is invites


def test_invitations_have_a_rate_of_their_own() -> None:
    """The figures hold the share of invitations found apart from that of all links, with the peers beside it."""
    html = "<p>Ruth invited you to the team Archive.</p><a href='https://pond.example/i/Tq93kPzw1'>Accept</a>"
    mail = {**_mail("invite", None), "content": html, "is_html": True, "link": "https://pond.example/i/Tq93kPzw1"}
    other = {**_mail("news", None), "content": "Nothing to do."}
    results = extraction.scores([{**mail, "subject": "An invitation", "from_name": ""}, {**other, "from_name": ""}])
    assert results["invitation: tempmailg"]["counts"]["right"] == 1
    assert results["invitation: tempmailg"]["recall"]["share"] == 1.0
    assert results["invitation: first address"]["recall"]["share"] == 1.0
    assert not [name for name in extraction.scores([other]) if name.startswith("invitation")]


def test_invitations_of_other_projects_are_scored_apart(tmp_path: Path) -> None:
    """`--invitations` adds figures of its own, of the same half, and leaves those of the other messages as they are."""
    families = [name for name in (f"crew-{number}-invite" for number in range(20)) if half_of(name) == "judge"][:2]
    html = "<p>Ruth invited you to the team.</p><a href='https://pond.example/i/Tq93kPzw1'>Accept</a>"
    answered: dict[str, Any] = {"content": "Nothing to do.", "is_html": False, "lang": "de_AT"}
    asked: dict[str, Any] = {"content": html, "is_html": True, "link": "https://pond.example/i/Tq93kPzw1", "lang": "en"}
    mails = [{**_mail(family, None), **its} for family in (*families, "other") for its in (asked, answered)]
    mails = [mail for mail in mails if half_of(mail["family"]) == "judge"]
    invitations, news = tmp_path / "invitations.jsonl", tmp_path / "news.jsonl"
    invitations.write_text("\n".join(map(json.dumps, mails)), encoding="utf-8")
    news.write_text(json.dumps({**_mail(families[0], None), "content": "News."}), encoding="utf-8")
    asks = ["--half", "judge", "--short", "--json", str(tmp_path / "found.json")]
    extraction.main([*asks, "--invitations", str(invitations), str(news)])
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    apart = found[publish.OTHERS]
    assert (found["scores"]["messages"], apart["messages"]) == (1, len(mails))
    assert (apart["languages"], apart["invitations"]) == (2, sum(is_invitation(mail) for mail in mails))
    assert apart["link: tempmailg"]["recall"]["share"] == 1.0
    assert not [name for name in apart if name.startswith("code")]


def test_intervals_hold_the_share() -> None:
    """Wilson's interval of 98 in 100 is the known one; a bootstrap of families spreads as far as they differ."""
    low, high = wilson(98, 100)
    assert (round(low, 4), round(high, 4)) == (0.93, 0.9945)
    families = {str(number): Counter(right=9, missed=number % 2) for number in range(20)}
    interval = bootstrap(families, lambda found: found.recall)
    assert interval is not None
    assert 0.9 <= interval[0] < 0.947 < interval[1] <= 1.0


def test_words_are_compared_and_not_spaces() -> None:
    """Token F1 is 1 for the same words, and falls with each that is missing or too many."""
    assert token_f1("your code\n\n481902", "your code 481902") == 1.0
    assert token_f1("your code", "your code 481902") == 0.8


@pytest.mark.skipif(browser() is None, reason="Chromium is not installed")
def test_the_text_is_what_chromium_shows() -> None:
    """On mail with hidden, floating and transformed parts the text holds the words of Chromium's innerText."""
    html = (
        "<style>.h{display:none} td b{color:red}</style><div class=h>hidden</div><table><tr><td>Your code</td>"
        "<td><b style='text-transform:uppercase'>kx7q</b></td></tr></table><p style='display:flex'><i>a</i><i>b</i></p>"
        "<span style='display:block'>c</span>d<pre>e\nf</pre>"
    )
    path = browser()
    assert path is not None
    shown = inner_texts(path, [html])[0]
    assert token_f1(dict(tools())["tempmailg"](html), shown) == 1.0
