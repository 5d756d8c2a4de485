"""A tiny web application with a sign-up by e-mail: `POST /signup` sends a code, `POST /confirm` takes it."""

from __future__ import annotations

import secrets
import smtplib
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


class App(ThreadingHTTPServer):
    """The application.

    Args:
        smtp: Host and port of the mail server that takes its mail.
    """

    def __init__(self, smtp: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.smtp = smtp
        self.pending: dict[str, str] = {}
        self.users: set[str] = set()

    @property
    def url(self) -> str:
        """Where the application listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def sign_up(self, email: str) -> None:
        """Remember a code for the address and mail it there."""
        code = self.pending[email] = f"{secrets.randbelow(10**6):06}"
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "Example Shop <shop@example.org>", email, "Confirm your address"
        mail.set_content(f"Welcome!\n\nYour verification code is {code}\n\nIt is valid for 10 minutes.\n")
        with smtplib.SMTP(*self.smtp) as smtp:
            smtp.send_message(mail)

    def confirm(self, email: str, code: str) -> bool:
        """Make the address a user if the code is the one that was sent."""
        if self.pending.get(email) != code:
            return False
        self.users.add(email)
        return True


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Take a form."""
        app = self.server
        assert isinstance(app, App)
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        fields = {name: values[0] for name, values in form.items()}
        if self.path == "/signup":
            app.sign_up(fields["email"])
            self.send_response(204)
        else:
            self.send_response(204 if app.confirm(fields["email"], fields["code"]) else 403)
        self.end_headers()

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - the base class's name
        """Keep quiet."""
