"""A tiny web application with a sign-up by e-mail: its pages have a form, and its mail has a link to follow."""

from __future__ import annotations

import secrets
import smtplib
from email.message import EmailMessage
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

FORM = '<form method="post"><label>Your e-mail <input name="email" type="email"></label><button>Sign up</button></form>'


class App(ThreadingHTTPServer):
    """The application.

    Args:
        smtp: Host and port of the mail server that takes its mail.
    """

    def __init__(self, smtp: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.smtp = smtp
        self.pending: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Where the application listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def sign_up(self, email: str) -> None:
        """Mail a link to the address."""
        token = secrets.token_urlsafe(16)
        self.pending[token] = email
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "Example Shop <shop@example.org>", email, "Confirm your address"
        mail.set_content("Please read this mail as HTML.")
        link = f'<p>Welcome! <a href="{self.url}/confirm?token={token}">Confirm your address</a></p>'
        mail.add_alternative(link, subtype="html")
        with smtplib.SMTP(*self.smtp) as smtp:
            smtp.send_message(mail)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Show the form, or take a link."""
        app = self.server
        assert isinstance(app, App)
        token = parse_qs(urlsplit(self.path).query).get("token", [""])[0]
        email = app.pending.get(token)
        self._show(f"<h1>Welcome, {escape(email)}</h1>" if email else FORM)

    def do_POST(self) -> None:
        """Take the form."""
        app = self.server
        assert isinstance(app, App)
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        app.sign_up(form["email"][0])
        self._show("<p>Please read your mail.</p>")

    def _show(self, html: str) -> None:
        body = f"<!doctype html><title>Example Shop</title>{html}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - the base class's name
        """Keep quiet."""
