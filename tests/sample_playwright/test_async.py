"""A user signs up in a browser, opens the mail and clicks its link: Playwright's asynchronous API."""

import pytest
from app import App
from playwright.async_api import async_playwright, expect

from tempmailg import Mailbox


@pytest.mark.asyncio
async def test_sign_up(app: App, chromium: str, tempmailg_mailbox: Mailbox, latest_mail: str) -> None:
    """The link in the mail greets who signed up."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(app.url)
        await page.get_by_label("Your e-mail").fill(tempmailg_mailbox.email)
        await page.get_by_role("button", name="Sign up").click()
        await page.goto(latest_mail)
        async with page.expect_popup() as popup:
            await page.frame_locator("iframe").get_by_role("link", name="Confirm").click()
        confirmed = await popup.value
        await expect(confirmed.get_by_role("heading")).to_have_text(f"Welcome, {tempmailg_mailbox.email}")
        await browser.close()
