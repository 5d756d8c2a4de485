"""The application under test, whose mail goes to the sandbox."""

import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from app import App

from tempmailg.sandbox import Sandbox


@pytest.fixture(scope="session")
def app(tempmailg_sandbox: Sandbox) -> Iterator[App]:
    """The running application."""
    with App((tempmailg_sandbox.smtp_host, tempmailg_sandbox.smtp_port)) as app:
        threading.Thread(target=app.serve_forever, daemon=True).start()
        yield app
        app.shutdown()


@pytest.fixture
def post(app: App) -> Callable[..., int]:
    """Send a form to the application, as a browser would."""

    def post(path: str, **fields: str) -> int:
        data = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(app.url + path, data) as answer:
            status: int = answer.status
            return status

    return post
