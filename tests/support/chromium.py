"""A real browser, and listeners that record who calls them."""

from __future__ import annotations

import selectors
import shutil
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Self

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["Listeners", "chromium", "opened_browser"]

OPTIONS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--renderer-process-limit=2",
)
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\nConnection: close\r\n\r\nSeen"


def chromium() -> str:
    """Return the path of Chromium; skip the test where it, or Playwright, is missing."""
    if find_spec("playwright") is None:
        pytest.skip("the Python package playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("chromium is not installed")
    return path


@contextmanager
def opened_browser() -> Generator[Browser]:
    """Run Chromium without a window, with a profile of its own."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


class Listeners:
    """Ports of this machine that answer whoever calls, and record which of them were called.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._sockets = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(count)]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.called: set[int] = set()
        self.urls: list[str] = [f"http://127.0.0.1:{listener.getsockname()[1]}/seen" for listener in self._sockets]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        for listener in self._sockets:
            listener.close()

    def wait_for(self, numbers: set[int], seconds: float) -> set[int]:
        """Wait until these were called, or the time is up; return those that were not."""
        end = time.monotonic() + seconds
        while numbers - self.called and time.monotonic() < end:
            time.sleep(0.05)
        return numbers - self.called

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for number, listener in enumerate(self._sockets):
                listener.setblocking(False)
                selector.register(listener, selectors.EVENT_READ, number)
            while not self._stopped.is_set():
                for key, _ in selector.select(0.05):
                    self._take(int(key.data))

    def _take(self, number: int) -> None:
        connection, _ = self._sockets[number].accept()
        self.called.add(number)
        with connection:
            connection.settimeout(0.05)  # a browser may connect and say nothing
            try:
                connection.recv(65_536)
                connection.sendall(ANSWER)
            except OSError:
                return
