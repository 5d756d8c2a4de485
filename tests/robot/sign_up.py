"""What the suites test: an application that sends mail, by SMTP, to those who sign up."""

from __future__ import annotations

import os
import smtplib
from email.message import EmailMessage

TEXT = """\
Your verification code is {code}.
Confirm your address: https://shop.example/confirm?token=81f0c2d4ab77
"""


def sign_up(email: str, code: str = "271828", *, subject: str = "Welcome") -> None:
    """Send the mail that a new customer gets."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Shop <hello@shop.example>", email, subject
    mail.set_content(TEXT.format(code=code))
    with smtplib.SMTP("127.0.0.1", int(os.environ["SMTP_PORT"])) as server:
        server.send_message(mail)
