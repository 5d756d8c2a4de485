"""The sandbox's mail settings, given to the frameworks for which they are made."""

from __future__ import annotations

import json
import os
import smtplib
import subprocess
import sys
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from tempmailg import Client, ConfigurationError
from tempmailg.sandbox import Sandbox

DJANGO = """
import json, sys, warnings
from django.conf import settings
from django.core.mail import send_mail

# Django 6.1 prefers its new MAILERS to the settings that its users have.
warnings.filterwarnings("ignore", r"The EMAIL_\\w+ setting is deprecated")
settings.configure(**json.loads(sys.argv[1]))
send_mail("From Django", "Your code is 271828.", "shop@shop.example", [sys.argv[2]])
"""


def received(sandbox: Sandbox, mailbox: str) -> list[str]:
    with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
        return [message.subject for message in client.list_messages(mailbox)]


@pytest.fixture
def place() -> Any:
    """A running sandbox and the address of a mailbox."""
    with Sandbox() as sandbox:
        with Client(sandbox.api_key, base_url=sandbox.base_url) as client:
            mailbox = client.create_mailbox().email
        yield sandbox, mailbox


def test_django_sends_to_the_sandbox(place: tuple[Sandbox, str]) -> None:
    """Django's settings are all that it needs."""
    sandbox, mailbox = place
    settings = json.dumps(sandbox.mail_settings("django"))
    subprocess.run([sys.executable, "-c", DJANGO, settings, mailbox], check=True, timeout=60, env={**os.environ})
    assert received(sandbox, mailbox) == ["From Django"]


def test_flask_mail_sends_to_the_sandbox(place: tuple[Sandbox, str]) -> None:
    """Flask-Mail's settings are all that it needs, even in an application that is being tested."""
    from flask import Flask
    from flask_mail import Mail

    sandbox, mailbox = place
    app: Any = Flask("shop")  # its settings declare their types in part
    app.config.update(TESTING=True, MAIL_DEFAULT_SENDER="shop@shop.example", **sandbox.mail_settings("flask"))
    with app.app_context():
        cast("Any", Mail(app)).send_message("From Flask", recipients=[mailbox], body="Your code is 271828.")
    assert received(sandbox, mailbox) == ["From Flask"]


def test_the_variables_lead_to_the_sandbox(place: tuple[Sandbox, str]) -> None:
    """Host and port stand in the environment's variables alone and in a URL."""
    sandbox, mailbox = place
    variables = cast("dict[str, str]", sandbox.mail_settings("environment"))
    url = urlsplit(variables["SMTP_URL"])
    assert (url.scheme, url.hostname, str(url.port)) == ("smtp", variables["SMTP_HOST"], variables["SMTP_PORT"])
    assert variables["EMAIL_URL"] == variables["SMTP_URL"]
    with smtplib.SMTP(variables["SMTP_HOST"], int(variables["SMTP_PORT"])) as server:
        server.sendmail("shop@shop.example", [mailbox], b"Subject: From the environment\r\n\r\nHello\r\n")
    assert received(sandbox, mailbox) == ["From the environment"]


def test_an_unknown_framework_is_refused(place: tuple[Sandbox, str]) -> None:
    """The error names the frameworks that are known."""
    with pytest.raises(ConfigurationError, match="framework must be 'django', 'flask' or 'environment', not 'rails'"):
        place[0].mail_settings(cast("Any", "rails"))
