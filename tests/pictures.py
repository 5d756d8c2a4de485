"""The pictures of the manuals, made from the running program: `python tests/pictures.py` makes them anew.

The first shows the sandbox's page with a mail, the second `tempmailg read` at a terminal.
"""

from __future__ import annotations

import os
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text
from support.chromium import opened_browser
from support.pty import Terminal

from tempmailg.sandbox import Sandbox

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

__all__ = ["PAGE", "READ", "make_pictures"]

PACKAGE: Final = Path(__file__).parent.parent / "tempmailg"
PAGE: Final = Path("sandbox", "page.png")
READ: Final = Path("_cli", "read.png")
COLUMNS: Final = 78

MAIL: Final = """\
<div style="font-family: sans-serif; max-width: 34em; margin: 1.5em">
<h2 style="margin: 0 0 .6em; color: #1d5fd0">Welcome to Example Shop</h2>
<p>Your verification code is <b style="font-size: 1.3em; letter-spacing: .08em">481516</b>.
It is valid for ten minutes.</p>
<p>Or simply <a href="https://shop.example/confirm?token=81f0c2d4ab77&amp;u=7">confirm your address</a>.</p>
<p style="color: #666; font-size: .85em">You get this mail since somebody signed up with this address.
If it was not you, <a href="https://shop.example/unsubscribe?u=7">unsubscribe</a>.</p></div>
"""
TERMINAL: Final = """\
<!doctype html><meta charset="utf-8"><style>
body {{ background: transparent; margin: 0; padding: 16px; width: max-content }}
.window {{ background: #15181e; border-radius: 10px; color: #e8eaee; padding: 14px 18px 16px }}
.dots {{ color: #4a515d; font: 15px monospace; letter-spacing: 4px; padding-bottom: 8px }}
pre {{ font: 14px/1.45 "DejaVu Sans Mono", Menlo, Consolas, monospace; margin: 0 }}
</style><div class="window"><div class="dots">●●●</div><pre>{}</pre></div>
"""


def make_pictures(folder: Path) -> None:
    """Make both pictures.

    Args:
        folder: Where the package's folders `sandbox` and `_cli` are.
    """
    with Sandbox(seed=5) as sandbox, opened_browser() as browser:
        identifier = deliver(sandbox)
        picture_of_page(sandbox, identifier, browser, folder / PAGE)
        picture_of_read(sandbox, identifier, browser, folder / READ)


def deliver(sandbox: Sandbox) -> str:
    """Fill three mailboxes; return the id of the mail to show."""
    state = sandbox._state
    boxes = [state.open_random(sandbox.api_key, sandbox.account()).email for _ in range(3)]
    sandbox.deliver(
        boxes[0], subject="Your invoice 2026-0113", sender="Example Hosting <billing@example.net>", text="Hello"
    )
    sandbox.deliver(boxes[2], subject="Your weekly report", sender="Example Metrics <hello@example.org>", text="Hello")
    sandbox.deliver(boxes[2], subject="Reset your password", sender="Example Shop <shop@example.org>", text="Hello")
    return sandbox.deliver(
        boxes[2],
        subject="Confirm your address",
        sender="Example Shop <shop@example.org>",
        html=MAIL,
        attachments=[("terms.pdf", b"%PDF-1.7 " * 5_000, "application/pdf")],
    )


def picture_of_page(sandbox: Sandbox, identifier: str, browser: Browser, path: Path) -> None:
    """Open the page at the mail and take its picture."""
    screen: ViewportSize = {"width": 1360, "height": 760}
    with browser.new_context(viewport=screen, device_scale_factor=1.5, locale="en-GB") as context:
        page = context.new_page()
        mailbox = sandbox._state.messages[identifier].box.email
        page.goto(f"{sandbox.base_url.removesuffix('api')}#mailbox={mailbox}&message={identifier}")
        page.get_by_test_id("mail-page").content_frame.locator("iframe").content_frame.get_by_text("481516").wait_for()
        page.get_by_test_id("status").get_by_text("Live").wait_for()
        page.screenshot(path=path)


def picture_of_read(sandbox: Sandbox, identifier: str, browser: Browser, path: Path) -> None:
    """Run the command at a terminal and take a picture of what it writes."""
    environment = {**os.environ, "TEMPMAILG_API_KEY": sandbox.api_key, "TEMPMAILG_BASE_URL": sandbox.base_url}
    command = [sys.executable, "-m", "tempmailg", "read", identifier]
    with Terminal(command, env=environment | {"TERM": "xterm-256color"}, columns=COLUMNS) as terminal:
        terminal.finish()
        written = f"\x1b[1;32m$\x1b[0m tempmailg read {identifier}\n{terminal.written}".replace("\r\n", "\n")
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(Text.from_ansi(written.rstrip()))
    shown = TERMINAL.format(console.export_html(inline_styles=True, code_format="{code}").rstrip())
    with browser.new_context(device_scale_factor=1.5) as context:
        page = context.new_page()
        page.set_content(shown)
        page.locator(".window").screenshot(path=path, omit_background=True)


if __name__ == "__main__":
    make_pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
