"""A server with one answer, a mail with a code, that remembers when it sent it last."""

from __future__ import annotations

import json
import socket
import threading
import time
from email.utils import formatdate
from typing import Final, Self

from benchmarks._mail import HEAD, MAILBOX, QUOTA

__all__ = ["Answerer"]


class Answerer:
    """Answers each request, connection by connection, with a list that holds a code.

    Attributes:
        url: The API's address.
        answered: When the last answer was handed to the system, by `time.perf_counter`.
    """

    CODE: Final = "482913"

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        self.answered = 0.0
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # the listener was closed
                return
            with connection:
                while connection.recv(65_536):
                    answer = self._answer()
                    self.answered = time.perf_counter()
                    connection.sendall(answer)

    def _answer(self) -> bytes:
        message: dict[str, object] = {
            "is_seen": False,
            "subject": "Sign in to Pond",
            "from": "Pond",
            "from_email": "hello@pond.example",
            "to": MAILBOX,
            "receivedAt": "2026-06-28 09:00:51",
            "id": "m1",
            "html": True,
            "content": f"<p>Hello,</p><p>Your verification code is {self.CODE}.</p><p>It lasts ten minutes.</p>",
            "attachments": [],
        }
        body = json.dumps({"status": True, "mailbox": MAILBOX, "messages": [message]}).encode()
        return HEAD % (formatdate(usegmt=True).encode(), QUOTA // 5, QUOTA - QUOTA // 5, len(body)) + body
