"""A user signs up in a browser, opens the mail and clicks its link: Playwright's blocking API."""

from app import App
from playwright.sync_api import expect, sync_playwright

from tempmailg import Mailbox


def test_sign_up(app: App, chromium: str, tempmailg_mailbox: Mailbox, latest_mail: str) -> None:
    """The link in the mail greets who signed up."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(app.url)
        page.get_by_label("Your e-mail").fill(tempmailg_mailbox.email)
        page.get_by_role("button", name="Sign up").click()
        page.goto(latest_mail)
        with page.expect_popup() as popup:
            page.frame_locator("iframe").get_by_role("link", name="Confirm").click()
        expect(popup.value.get_by_role("heading")).to_have_text(f"Welcome, {tempmailg_mailbox.email}")
        browser.close()
