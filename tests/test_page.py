"""A message as a page: what is in the document, and what a real browser does with it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from support.chromium import Listeners, opened_browser
from support.hostile_pages import HOSTILE_PAGES
from support.tags import tags_of

from tempmailg import Message, _page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PIXEL: Final = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
PIXEL_URL: Final = f"data:image/png;base64,{b64encode(PIXEL).decode()}"


def message(content: str, *, is_html: bool = True, subject: str = "Hello") -> Message:
    return Message(id="m", received_at=datetime.now(UTC), content=content, is_html=is_html, subject=subject)


def framed(page: str) -> str:
    """Return what stands in the page's frame."""
    (frame,) = [attributes for tag, attributes in tags_of(page) if tag == "iframe"]
    return frame["srcdoc"] or ""


def test_a_page_is_a_policy_and_a_frame_in_which_nothing_is_allowed() -> None:
    """Whatever subject and content say, the document has its own tags alone, and the mail is text in an attribute."""
    hostile = '"></pre></title><script>alert(1)</script>'
    tags = tags_of(message(hostile, subject=hostile).as_page())
    assert [tag for tag, _ in tags] == ["html", *["meta"] * 5, "title", "style", "iframe"]
    assert tags[2][1]["content"] == _page.MAIL_POLICY
    assert not tags[-1][1]["sandbox"]
    assert framed(message(hostile).as_page()).endswith(hostile)


def test_links_open_only_where_the_caller_wants_them() -> None:
    """With `links` a click opens a new tab, also where the mail says that it should replace the page."""
    content = '<a href="https://example.com/" target="_top">x</a> target="_blank" <a target = \'_SELF\'>'
    page = message(content).as_page(links=True)
    assert dict(tags_of(page)[-1][1])["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
    shown = framed(page)
    assert '<base target="_blank"><a' in shown
    assert shown.count("x-target") == 2
    assert framed(message(content).as_page()).endswith(content)


def test_plain_text_is_shown_as_it_stands() -> None:
    """Text is neither HTML nor joined to one line."""
    assert ">1 &lt; 2\n<b" not in framed(message("1 < 2\n<b", is_html=False).as_page())
    assert framed(message("1 < 2\n<b>", is_html=False).as_page()).endswith(">1 &lt; 2\n&lt;b&gt;</pre>")


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ('<img src="cid:logo.png">', "logo.png"),
        ("<img src='CID:Logo.PNG'>", "logo.png"),
        ("<img src=cid:logo.png@01DC5F3A.7B2E>", "logo.png"),
        ("<img src=cid:logo>", "logo.png"),
        ("<img src=cid:my%20logo.png>", "my logo.png"),
        ("<img src=cid:a&#64;b>", "<a@b>"),
        ("<p style='background: url(cid:logo.png)'>", "logo.png"),
    ],
)
def test_images_that_came_with_the_message_are_shown(reference: str, name: str) -> None:
    """`cid:` finds the attachment by its name, by the name before an `@` or a dot, or by its Content-ID."""
    shown = framed(message(reference).as_page({name: PIXEL}))
    assert PIXEL_URL in shown
    assert "cid:" not in shown.lower()


def test_other_references_stay_as_they_are() -> None:
    """What is no attachment, or no place for an image, is left alone."""
    content = '<img src="cid:other.png"><p>cid:logo.png</p>'
    assert framed(message(content).as_page({"logo.png": PIXEL})).endswith(content)


def test_a_mail_cannot_blow_its_page_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that is named again and again is put in as often as fits, and no more."""
    monkeypatch.setattr(_page, "_MOST_INLINED", 3 * len(PIXEL_URL))
    shown = framed(message("<img src=cid:logo.png>" * 1_000).as_page({"logo.png": PIXEL}))
    assert (shown.count("data:"), shown.count("cid:")) == (3, 997)


# ----------------------------------------------------------------------------------------------------- a real browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with opened_browser() as running:
        yield running


def silent(browser: Browser, folder: Path, guard: Callable[[str], str], seconds: float) -> set[str]:
    """Open all hostile documents; return the names of those that made no connection within the time."""
    names = list(HOSTILE_PAGES)
    with Listeners(len(names)) as listeners, browser.new_context() as context:
        for number, name in enumerate(names):
            path = folder / f"{number}.html"
            path.write_text(guard(HOSTILE_PAGES[name].replace("URL", listeners.urls[number])), encoding="utf-8")
            context.new_page().goto(path.as_uri(), wait_until="commit")
        return {names[number] for number in listeners.wait_for(set(range(len(names))), seconds)}


def test_a_hostile_document_calls_home_unless_it_is_guarded(browser: Browser, tmp_path: Path) -> None:
    """In Chromium each of these documents makes a request or runs a script; as a page of ours none of them does."""
    assert len(HOSTILE_PAGES) >= 40
    assert silent(browser, tmp_path, lambda content: f"<!doctype html>{content}", 30) == set()
    assert silent(browser, tmp_path, lambda content: message(content).as_page(), 2) == HOSTILE_PAGES.keys()


def test_links_that_open_on_a_click_open_on_nothing_else(browser: Browser, tmp_path: Path) -> None:
    """The same documents stay silent where links are allowed."""
    assert silent(browser, tmp_path, lambda content: message(content).as_page(links=True), 2) == HOSTILE_PAGES.keys()


def test_a_click_opens_a_link_in_a_new_tab(browser: Browser) -> None:
    """A person, or a test, can follow a link of a mail, also one that would replace the page."""
    with Listeners(1) as listeners, browser.new_context() as context:
        content = f'<a href="{listeners.urls[0]}" target="_top">Confirm</a>'
        page = context.new_page()
        page.set_content(message(content).as_page(links=True))
        with page.expect_popup():
            page.frame_locator("iframe").get_by_role("link", name="Confirm").click()
        assert listeners.wait_for({0}, 30) == set()
        page.set_content(message(content).as_page())
        listeners.called.clear()
        page.frame_locator("iframe").get_by_role("link", name="Confirm").click()
        assert listeners.wait_for({0}, 0.5) == {0}


def test_an_image_from_an_attachment_is_seen(browser: Browser) -> None:
    """The browser decodes what was put in the place of `cid:`."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_content(message("<img src=cid:logo alt=logo>").as_page({"logo.png": PIXEL}))
        image = page.frame_locator("iframe").get_by_role("img", name="logo")
        image.wait_for()
        assert image.evaluate("image => image.naturalWidth") == 1
