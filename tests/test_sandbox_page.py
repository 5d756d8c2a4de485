"""The inbox page at the sandbox's own address, in a real browser, and the routes that it asks."""

from __future__ import annotations

import base64
import json
import os
import shlex
import smtplib
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest
from pictures import PACKAGE, PAGE, READ
from support.chromium import Listeners, chromium, opened_browser
from support.control import call, control, mailbox, sent
from support.hostile_pages import HOSTILE_PAGES

from tempmailg.sandbox import Sandbox

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, Browser, Page, Route

NODE_MODULES: Final = "TEMPMAILG_NODE_MODULES"  # the folder that axe-core is installed in
CODE: Final = "<p>Your verification code is <b>482913</b>.</p>"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox in a thread of its own."""
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    with opened_browser() as running:
        yield running


def root(sandbox: Sandbox) -> str:
    return sandbox.base_url.removesuffix("/api")


@contextmanager
def opened(browser: Browser, sandbox: Sandbox, fragment: str = "", **options: Any) -> Generator[Page]:
    """Open the page; nothing in it may fail, and it may ask nobody but the sandbox."""
    found: list[str] = []
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: found.append(f"{error}"))
        page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: found.append(request.url) if elsewhere(request.url, sandbox) else None)
        page.goto(f"{root(sandbox)}/{fragment}")
        page.get_by_test_id("status").get_by_text("Live").wait_for()
        yield page
    assert found == []


def elsewhere(url: str, sandbox: Sandbox) -> bool:
    return not url.startswith((root(sandbox), "data:", "about:"))


def send(sandbox: Sandbox, to: str, message: EmailMessage) -> None:
    with smtplib.SMTP(sandbox.smtp_host, sandbox.smtp_port, timeout=20) as client:
        client.send_message(message, "app@example.org", [to])


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Let the page run until that holds; its policy forbids wait_for_function, which evaluates text."""
    for _ in range(200):
        if holds():
            return
        page.wait_for_timeout(50)
    assert holds()


def mail(subject: str = "Confirm your address", html: str = CODE) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Example Shop <shop@example.org>", "you@example.org", subject
    made.set_content("Please read the HTML.")
    made.add_alternative(html, subtype="html")
    return made


# --------------------------------------------------------------------------------------------------------- the page


def test_mail_shows_as_it_arrives_with_its_code_and_why(sandbox: Sandbox, browser: Browser) -> None:
    """Without a reload a mail appears; its code stands beside the reason, and a button copies it."""
    permissions = ["clipboard-read", "clipboard-write"]
    with opened(browser, sandbox, permissions=permissions) as page:
        page.get_by_test_id("new-mailbox").click()
        box = page.get_by_test_id("mailbox")
        box.wait_for()
        (known,) = control(sandbox, "GET", "mailboxes")
        assert known["email"] in box.inner_text()
        assert " left" in page.get_by_test_id("life").inner_text()
        send(sandbox, known["email"], mail())
        page.get_by_test_id("message").click()
        page.get_by_test_id("code").wait_for()
        assert page.get_by_test_id("code").inner_text() == "482913"
        assert "six digits" in page.get_by_test_id("code-reason").inner_text()
        page.get_by_role("button", name="Copy the code").click()
        page.get_by_test_id("found-code").get_by_text("Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == "482913"
        page.get_by_test_id("mail-page").content_frame.locator("iframe").content_frame.get_by_text("482913").wait_for()


def test_a_message_is_shown_as_html_text_source_headers_and_files(sandbox: Sandbox, browser: Browser) -> None:
    """Each tab shows its side of the mail, and the arrow keys go from one to the next."""
    email = mailbox(sandbox)
    made = mail()
    made.add_attachment(b"be kind", maintype="text", subtype="plain", filename="terms.txt")
    send(sandbox, email, made)
    (summary,) = control(sandbox, "GET", "messages")
    with opened(browser, sandbox, f"#message={summary['id']}") as page:
        page.get_by_test_id("tab-html").press("ArrowRight")
        assert page.get_by_test_id("text").inner_text() == "Your verification code is 482913."
        page.get_by_test_id("tab-text").press("ArrowRight")
        assert "Content-Type: multipart/" in page.get_by_test_id("source").inner_text()
        page.get_by_test_id("tab-source").press("ArrowRight")
        assert "app@example.org" in page.get_by_test_id("headers").inner_text()
        page.get_by_test_id("tab-headers").press("ArrowRight")
        with page.expect_download() as download:
            page.get_by_test_id("attachment").click()
        assert Path(download.value.path()).read_bytes() == b"be kind"
        page.get_by_test_id("delete").click()
        page.get_by_test_id("empty").wait_for()
        assert control(sandbox, "GET", "messages") == []


def test_refused_mail_is_shown_with_its_reason(sandbox: Sandbox, browser: Browser) -> None:
    """Why a mail did not arrive stands on the page as soon as it was refused."""
    with opened(browser, sandbox, "#refused") as page:
        page.get_by_text("No mail was refused.").wait_for()
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(sandbox, "nobody@example.net", mail())
        refusal = page.get_by_test_id("refusal")
        refusal.wait_for()
        assert "550" in refusal.inner_text()
        assert "nobody@example.net" in refusal.inner_text()


def test_five_thousand_messages_stay_few_elements(sandbox: Sandbox, browser: Browser) -> None:
    """Only the rows that can be seen are in the document, the keys reach the last one, and new mail moves nothing."""
    email = mailbox(sandbox)
    for number in range(5_000):
        sandbox.deliver(email, subject=f"Mail {number}", text="hello")
    with opened(browser, sandbox) as page:
        rows = page.get_by_test_id("message")
        rows.first.wait_for()
        assert rows.first.get_attribute("aria-setsize") == "5000"
        page.get_by_test_id("messages").press("End")
        page.get_by_text("Mail 0", exact=True).first.wait_for()
        assert rows.count() < 60
        top = page.get_by_test_id("messages").evaluate("box => box.scrollTop")
        sandbox.deliver(email, subject="The newest", text="hello")
        page.get_by_text("5001").first.wait_for()
        until(page, lambda: page.get_by_test_id("messages").evaluate("box => box.scrollTop") == top + 68)
        page.get_by_test_id("messages").press("Home")
        page.get_by_text("The newest").first.wait_for()


def test_mail_that_comes_while_the_list_is_fetched_shows_as_well(sandbox: Sandbox, browser: Browser) -> None:
    """An answer that was made before the newest mail came is not the last one that the page asks for."""
    first, second = mailbox(sandbox), mailbox(sandbox)
    with opened(browser, sandbox) as page:
        held: list[tuple[Route, APIResponse]] = []
        page.route("**/messages?*", lambda route: held.append((route, route.fetch())), times=1)
        sandbox.deliver(first, subject="The first", text="hello")
        until(page, lambda: bool(held))
        sandbox.deliver(second, subject="The newest", text="hello")
        page.get_by_text(f"New mail for {second}").wait_for()
        route, answer = held[0]
        route.fulfill(response=answer)
        page.get_by_test_id("message").get_by_text("The newest").wait_for()
        assert page.get_by_test_id("message").count() == 2


def test_the_keyboard_is_enough(sandbox: Sandbox, browser: Browser) -> None:
    """Arrows choose a message, Enter goes to it, Delete deletes it; what is active is announced."""
    email = mailbox(sandbox)
    for number in range(3):
        sandbox.deliver(email, subject=f"Mail {number}", text="hello")
    with opened(browser, sandbox) as page:
        messages = page.get_by_test_id("messages")
        page.get_by_test_id("message").first.wait_for()
        messages.focus()
        messages.press("ArrowDown")
        page.get_by_test_id("subject").get_by_text("Mail 1").wait_for()
        active = page.locator(f"#{messages.get_attribute('aria-activedescendant')}")
        assert "Mail 1" in active.inner_text()
        messages.press("Enter")
        assert page.evaluate("document.activeElement.id") == "subject"
        messages.press("Delete")
        page.get_by_test_id("message").filter(has_text="Mail 1").wait_for(state="detached")
        assert [one["subject"] for one in control(sandbox, "GET", "messages")] == ["Mail 0", "Mail 2"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_shows_one_pane_at_a_time(sandbox: Sandbox, browser: Browser, scheme: str) -> None:
    """At 360 pixels nothing is wider than the screen, and one goes from mailboxes to messages to a message and back."""
    email = mailbox(sandbox)
    sandbox.deliver(email, subject="A" * 300, html=f"{CODE}<a href='https://example.com/verify/{'x' * 400}'>Verify</a>")
    screen = {"width": 360, "height": 640}
    with opened(browser, sandbox, viewport=screen, color_scheme=scheme) as page:
        page.get_by_test_id("mailbox").click()
        page.get_by_test_id("message").click()
        page.get_by_test_id("code").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert page.evaluate(
            "[...document.querySelectorAll('.bar *')].every(e => e.getBoundingClientRect().right <= 360)"
        )
        page.get_by_role("button", name="Messages").click()
        page.get_by_test_id("message").wait_for()
        page.get_by_role("button", name="Mailboxes").click()
        page.get_by_test_id("mailbox").wait_for()


def test_the_settings_can_be_copied(sandbox: Sandbox, browser: Browser) -> None:
    """The dialog holds the lines for the application that sends, and for the client that reads."""
    with opened(browser, sandbox) as page:
        page.get_by_test_id("open-settings").click()
        assert f"SMTP_PORT={sandbox.smtp_port}" in page.get_by_test_id("smtp-settings").inner_text()
        assert page.get_by_test_id("export-lines").inner_text().splitlines() == [
            f"export TEMPMAILG_BASE_URL={sandbox.base_url}",
            f"export TEMPMAILG_API_KEY={sandbox.api_key}",
        ]


def test_lines_to_copy_are_safe_to_paste(browser: Browser) -> None:
    """Whatever stands in an address or a key is one word to the shell."""
    with Sandbox(api_key="it's-$HOME") as sandbox:
        sandbox._state.open("a'`id`$b@example.com", sandbox.api_key)
        with opened(browser, sandbox) as page:
            page.get_by_test_id("empty").wait_for()
            command = page.locator("#send-command").inner_text()
            assert shlex.split(command)[-3:] == ["a'`id`$b@example.com", "-T", "-"]
            page.get_by_test_id("open-settings").click()
            exports = page.get_by_test_id("export-lines").inner_text()
            assert shlex.split(exports)[-1] == "TEMPMAILG_API_KEY=it's-$HOME"


def test_a_mailbox_goes_by_button_and_by_expiry(sandbox: Sandbox, browser: Browser) -> None:
    """Deleted and expired mailboxes leave the list at once, with their mail."""
    first, second = mailbox(sandbox), mailbox(sandbox)
    with opened(browser, sandbox) as page:
        page.get_by_role("button", name=f"Delete {first}").click()
        page.get_by_role("button", name=f"Delete {first}").wait_for(state="detached")
        assert [box["email"] for box in control(sandbox, "GET", "mailboxes")] == [second]
        page.get_by_test_id("mailbox").click()
        sandbox.clock.advance(601)
        page.get_by_test_id("mailbox").wait_for(state="detached")
        page.get_by_text("This mailbox is gone").wait_for()


def test_hostile_mail_does_nothing_on_the_page(sandbox: Sandbox, browser: Browser) -> None:
    """Hostile subjects, senders, names and contents are text: every tab of each is opened, and nothing is requested."""
    email = mailbox(sandbox)
    names = list(HOSTILE_PAGES)
    with Listeners(len(names)) as listeners, browser.new_context() as context:
        page = context.new_page()
        page.on("dialog", lambda dialog: listeners.called.add(-1))
        for number, name in enumerate(names):
            content = HOSTILE_PAGES[name].replace("URL", listeners.urls[number])
            attachments = [(content.replace("/", "\N{FRACTION SLASH}")[:200], content.encode(), "text/html")]
            identifier = sandbox.deliver(
                email, subject=content, sender=f'"{content}" <a@example.org>', html=content, attachments=attachments
            )
            page.goto(f"{root(sandbox)}/#message={identifier}")
            page.get_by_test_id("subject").get_by_text(content.split("\n")[0].strip()[:20]).wait_for()
            for tab in ("text", "source", "headers", "attachments"):
                page.get_by_test_id(f"tab-{tab}").click()
        assert listeners.wait_for({0}, 1) == {0}
        assert listeners.called == set()


@pytest.mark.parametrize("view", ["", "#refused", "message"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(sandbox: Sandbox, browser: Browser, view: str, scheme: str) -> None:
    """The accessibility checker axe-core reports no serious or critical problem in any view, light or dark."""
    script = Path(os.environ.get(NODE_MODULES, ""), "axe-core", "axe.min.js")
    if not os.environ.get(NODE_MODULES) or not script.is_file():
        pytest.skip(f"axe-core is not installed in the folder that {NODE_MODULES} names")
    identifier = sandbox.deliver(
        mailbox(sandbox), subject="Welcome", html=f"{CODE}<a href='https://a.example/verify'>Verify</a>"
    )
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(sandbox, "nobody@example.net", mail())
    fragment = f"#message={identifier}" if view == "message" else view
    with opened(browser, sandbox, fragment, color_scheme=scheme, bypass_csp=True) as page:
        page.get_by_test_id({"": "message", "#refused": "refusal", "message": "code"}[view]).first.wait_for()
        page.evaluate(script.read_text(encoding="utf-8"))
        violations = page.evaluate("axe.run().then(result => result.violations)")
    assert [(one["id"], one["nodes"]) for one in violations if one["impact"] in ("serious", "critical")] == []


# ----------------------------------------------------------------------------------------- pages for browser tests


def test_the_latest_mail_is_waited_for_and_its_link_is_clicked(sandbox: Sandbox, browser: Browser) -> None:
    """A browser test opens an address before the mail is there, sees it come, and clicks its link as a person would."""
    email = mailbox(sandbox)
    with Listeners(1) as listeners, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{root(sandbox)}/_sandbox/latest.html?to={quote(email)}")
        page.get_by_test_id("no-mail").wait_for()
        sandbox.deliver(email, html="<p>an older one", text="")
        sandbox.deliver(email, html=f"<a href='{listeners.urls[0]}' target=_top>Confirm</a>")
        with page.expect_popup() as popup:
            page.frame_locator("iframe").get_by_role("link", name="Confirm").click()
        assert popup.value.text_content("body") == "Seen"


def test_images_that_came_with_a_mail_are_shown_by_their_content_id(sandbox: Sandbox) -> None:
    """`cid:` finds the part with that Content-ID, whatever its name is."""
    made = mail(html="<img src='cid:logo-1@example.org'>")
    page = made.get_body(("html",))
    assert isinstance(page, EmailMessage)
    page.add_related(b"an image", maintype="image", subtype="png", cid="<logo-1@example.org>", filename="other.png")
    send(sandbox, mailbox(sandbox), made)
    (summary,) = control(sandbox, "GET", "messages")
    shown = sent(sandbox, "GET", f"/_sandbox/messages/{summary['id']}/html")[2]
    assert b"data:image/png;base64," + base64.b64encode(b"an image") in shown


# ------------------------------------------------------------------------------------------------------- the routes


def test_everything_is_served_with_a_strict_policy(sandbox: Sandbox) -> None:
    """The page may use its own files alone; mail, files and data are never sniffed, cached or framed by others."""
    identifier = sandbox.deliver(mailbox(sandbox), html=CODE, attachments=[("a.html", b"<script>", "text/html")])
    for path in ("/", "/_sandbox/page/page.js", "/_sandbox/page/page.css"):
        status, headers, _ = sent(sandbox, "GET", path)
        policy = headers["Content-Security-Policy"]
        assert (status, policy.startswith("default-src 'none'; script-src 'self'")) == (200, True)
        assert "frame-ancestors 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
    paths = {
        f"/_sandbox/messages/{identifier}/html": "frame-ancestors 'self'",
        f"/_sandbox/page/messages/{identifier}/files/a.html": "sandbox",
    }
    for path, words in paths.items():
        status, headers, _ = sent(sandbox, "GET", path)
        assert (status, words in headers["Content-Security-Policy"]) == (200, True)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    for path in ("/", *paths, "/_sandbox/page/mailboxes"):
        _, headers, _ = sent(sandbox, "GET", path)
        assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")


def test_other_machines_need_the_key(browser: Browser) -> None:
    """A sandbox that other machines can reach shows its page, its mail and its data only to who knows a key."""
    with Sandbox(host="0.0.0.0", api_key="my-own-key", allow_remote=True) as sandbox:
        (box,) = [sandbox._state.open("you@example.com", "my-own-key")]
        identifier = sandbox.deliver(box.email, html=CODE)
        paths = (
            "/",
            "/_sandbox/page/settings",
            "/_sandbox/latest.html?to=you@example.com",
            f"/_sandbox/messages/{identifier}/html",
        )
        for path in paths:
            for headers in (
                {},
                {"Authorization": "Basic eDp5"},
                {"Authorization": "Basic ?"},
                {"Authorization": "Bearer x"},
            ):
                status, answer, body = sent(sandbox, "GET", path, headers={"Authorization": "", **headers})
                assert (status, answer["WWW-Authenticate"].startswith("Basic ")) == (401, True)
                assert b"my-own-key" not in body
            assert sent(sandbox, "GET", path, headers={"Authorization": "Bearer my-own-key"})[0] == 200
        with opened(browser, sandbox, http_credentials={"username": "", "password": "my-own-key"}) as page:
            page.get_by_test_id("message").click()
            page.get_by_test_id("code").wait_for()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 405),
        ("GET", "/_sandbox/page/messages/nothing", 404),
        ("DELETE", "/_sandbox/page/messages/nothing", 404),
        ("GET", "/_sandbox/page/messages/nothing/files/a", 404),
        ("DELETE", "/_sandbox/page/mailboxes/no@where.invalid", 404),
        ("GET", "/_sandbox/page/messages?offset=-1", 422),
        ("GET", "/_sandbox/messages/nothing/html", 404),
        ("GET", "/_sandbox/latest.html", 422),
        ("GET", "/page", 404),
    ],
)
def test_wrong_requests_are_answered_with_a_reason(sandbox: Sandbox, method: str, path: str, status: int) -> None:
    """What is not there, or not allowed, is said in JSON."""
    got, answer = call(sandbox, method, path)
    assert (got, answer["status"], bool(answer["message"])) == (status, False, True)


def test_the_page_asks_for_windows_of_a_list(sandbox: Sandbox) -> None:
    """Messages come newest first, in windows, of one mailbox or of all; those of one moment in the order of arrival."""
    first, second = mailbox(sandbox), mailbox(sandbox)
    sandbox.clock.freeze()
    for number in range(5):
        sandbox.deliver(second if number == 2 else first, subject=f"{number}", text="hello")

    def subjects(query: str) -> list[str]:
        return [one["subject"] for one in call(sandbox, "GET", f"/_sandbox/page/messages{query}")[1]["messages"]]

    assert subjects("") == ["4", "3", "2", "1", "0"]
    assert subjects("?offset=1&limit=2") == ["3", "2"]
    assert subjects(f"?mailbox={quote(first)}&offset=2") == ["1", "0"]
    assert subjects("?mailbox=no@where.invalid") == []


def test_looking_at_the_page_leaves_no_trace(sandbox: Sandbox) -> None:
    """The page spends no quota, enters nothing into the journal, and leaves messages unseen."""
    identifier = sandbox.deliver(mailbox(sandbox), html=CODE)
    used, entries = sandbox.account().used, len(sandbox.journal)
    for path in (
        "/",
        "/_sandbox/page/mailboxes",
        f"/_sandbox/page/messages/{identifier}",
        f"/_sandbox/messages/{identifier}/html",
    ):
        assert sent(sandbox, "GET", path)[0] == 200
    call(sandbox, "POST", "/_sandbox/page/mailboxes")
    assert (sandbox.account().used, len(sandbox.journal)) == (used, entries)
    assert json.dumps(control(sandbox, "GET", f"messages/{identifier}")["is_seen"]) == "false"


def test_the_manuals_pictures_can_be_made_again(tmp_path: Path) -> None:
    """The script takes both pictures from the running program."""
    chromium()
    (tmp_path / PAGE).parent.mkdir()
    (tmp_path / READ).parent.mkdir()
    script = Path(__file__).with_name("pictures.py")
    environment = {**os.environ, "PYTHONPATH": str(script.parent)}
    subprocess.run([sys.executable, script, tmp_path], env=environment, check=True, timeout=100)
    for path in (PAGE, READ):
        assert (tmp_path / path).read_bytes().startswith(b"\x89PNG")
        assert (PACKAGE / path).is_file()
