"""The application under test, whose mail goes to the sandbox, and the browser that is installed on this machine."""

import shutil
import threading
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from app import App

from tempmailg import Mailbox
from tempmailg.sandbox import Sandbox


@pytest.fixture(scope="session")
def app(tempmailg_sandbox: Sandbox) -> Iterator[App]:
    """The running application."""
    with App((tempmailg_sandbox.smtp_host, tempmailg_sandbox.smtp_port)) as app:
        threading.Thread(target=app.serve_forever, daemon=True).start()
        yield app
        app.shutdown()


@pytest.fixture
def latest_mail(tempmailg_sandbox: Sandbox, tempmailg_mailbox: Mailbox) -> str:
    """The address of a page that shows the mailbox's latest mail, and waits for the first."""
    root = tempmailg_sandbox.base_url.removesuffix("/api")
    return f"{root}/_sandbox/latest.html?{urlencode({'to': tempmailg_mailbox.email})}"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium; leave it away to use the one that Playwright installs."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path is not None
    return path
