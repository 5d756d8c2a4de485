"""Eight programs that applications send mail by, each made to send one mail as its manual says."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import smtplib
import subprocess
import sys
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from attrs import frozen

__all__ = ["MAILERS", "WAYS", "Mailer", "Route", "Way"]

Way: TypeAlias = Literal["plain", "login", "starttls", "tls"]
WAYS: Final[tuple[Way, ...]] = ("plain", "login", "starttls", "tls")
NODE_MODULES: Final = "TEMPMAILG_NODE_MODULES"  # the folder that nodemailer is installed in
PHPMAILER: Final = Path("/usr/share/php/libphp-phpmailer/autoload.php")  # where Debian puts it

SENDER: Final = "app@example.org"
SUBJECT: Final = "Grüße"
TEXT: Final = "Your code is 482913."


@frozen
class Route:
    """How to send: where to, and with what.

    Args:
        way: On a plain connection without a login, with one, or with one within STARTTLS or TLS.
        port: The port for this way, on localhost.
        to: The recipient.
        user: The user name; empty without a login.
        password: The password.
        ca: The file with the authority that the certificate is to be checked by.
        folder: For the mailer's own files.
    """

    way: Way
    port: int
    to: str
    user: str
    password: str
    ca: Path
    folder: Path

    def environment(self) -> dict[str, str]:
        """Return what a program of its own finds in its environment."""
        own = {name: str(getattr(self, name)) for name in ("way", "port", "to", "user", "password")}
        facts = {**own, "from": SENDER, "subject": SUBJECT, "text": TEXT, "ca": str(self.ca)}
        return {**os.environ, "SSL_CERT_FILE": str(self.ca), "MAIL": json.dumps(facts)}


@frozen
class Mailer:
    """One program or library.

    Args:
        send: Sends the mail, and raises if it could not.
        missing: Says what is not installed, or nothing.
    """

    send: Callable[[Route], None]
    missing: Callable[[], str]


def message(route: Route) -> EmailMessage:
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = SUBJECT, SENDER, route.to
    made.set_content(TEXT)
    return made


def run(command: list[str], route: Route, *, text: str | None = None) -> None:
    done = subprocess.run(
        command, input=text, env=route.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command[0]}: {done.returncode}\n{done.stdout}\n{done.stderr}"


def no_program(name: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(name) else f"{name} is not installed"


def no_module(name: str) -> Callable[[], str]:
    return lambda: "" if find_spec(name) else f"the Python package {name} is not installed"


# ---------------------------------------------------------------------------------------------------------- in Python


def by_smtplib(route: Route) -> None:
    import ssl

    context = ssl.create_default_context(cafile=str(route.ca))
    if route.way == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL("localhost", route.port, timeout=20, context=context)
    else:
        smtp = smtplib.SMTP("localhost", route.port, timeout=20)
    with smtp:
        if route.way == "starttls":
            smtp.starttls(context=context)
        if route.user:
            smtp.login(route.user, route.password)
        smtp.send_message(message(route))


def by_aiosmtplib(route: Route) -> None:
    import aiosmtplib

    asyncio.run(
        aiosmtplib.send(
            message(route),
            hostname="localhost",
            port=route.port,
            username=route.user or None,
            password=route.password or None,
            use_tls=route.way == "tls",
            start_tls=route.way == "starttls",
            cert_bundle=str(route.ca) if route.way in ("starttls", "tls") else None,
        )
    )


DJANGO: Final = """
import json, os, warnings
from django.conf import settings
# Django 6.1 prefers its new MAILERS to the settings that its users have.
warnings.filterwarnings("ignore", r"The EMAIL_\\w+ setting is deprecated")
mail = json.loads(os.environ["MAIL"])
settings.configure(
    EMAIL_HOST="localhost", EMAIL_PORT=int(mail["port"]), EMAIL_HOST_USER=mail["user"], EMAIL_TIMEOUT=20,
    EMAIL_HOST_PASSWORD=mail["password"], EMAIL_USE_TLS=mail["way"] == "starttls", EMAIL_USE_SSL=mail["way"] == "tls",
)
from django.core.mail import send_mail
send_mail(mail["subject"], mail["text"], mail["from"], [mail["to"]])
"""


def by_django(route: Route) -> None:
    run([sys.executable, "-c", DJANGO], route)


# -------------------------------------------------------------------------------------------------------- in Node, PHP

NODEMAILER: Final = """
const mail = JSON.parse(process.env.MAIL);
const path = require("path");
const nodemailer = require(path.join(process.env.TEMPMAILG_NODE_MODULES, "nodemailer"));
const transport = nodemailer.createTransport({
  host: "localhost", port: Number(mail.port), secure: mail.way === "tls", requireTLS: mail.way === "starttls",
  ignoreTLS: mail.way === "plain" || mail.way === "login",
  auth: mail.user ? {user: mail.user, pass: mail.password} : undefined,
  tls: {ca: require("fs").readFileSync(mail.ca)},
});
transport.sendMail({from: mail.from, to: mail.to, subject: mail.subject, text: mail.text})
  .catch((error) => { console.error(error); process.exit(1); });
"""


def by_nodemailer(route: Route) -> None:
    run(["node", "-e", NODEMAILER], route)


def no_nodemailer() -> str:
    folder = os.environ.get(NODE_MODULES, "")
    if folder and (Path(folder) / "nodemailer").is_dir():
        return no_program("node")()
    return f"nodemailer is not installed in the folder that {NODE_MODULES} names"


PHP: Final = """
require "/usr/share/php/libphp-phpmailer/autoload.php";
$facts = json_decode(getenv("MAIL"), true);
$mail = new PHPMailer\\PHPMailer\\PHPMailer(true);
$mail->isSMTP();
$mail->Host = "localhost";
$mail->Port = (int) $facts["port"];
$mail->CharSet = "utf-8";
$mail->SMTPAutoTLS = false;
$mail->SMTPSecure = ["starttls" => "tls", "tls" => "ssl"][$facts["way"]] ?? "";
$mail->SMTPOptions = ["ssl" => ["cafile" => $facts["ca"]]];
if ($facts["user"] !== "") {
  $mail->SMTPAuth = true;
  $mail->Username = $facts["user"];
  $mail->Password = $facts["password"];
}
$mail->setFrom($facts["from"]);
$mail->addAddress($facts["to"]);
$mail->Subject = $facts["subject"];
$mail->Body = $facts["text"];
$mail->send();
"""


def by_phpmailer(route: Route) -> None:
    run(["php", "-r", PHP], route)


def no_phpmailer() -> str:
    return no_program("php")() or ("" if PHPMAILER.exists() else "PHPMailer is not installed (libphp-phpmailer)")


# --------------------------------------------------------------------------------------------------- on a command line


def by_swaks(route: Route) -> None:
    command = ["swaks", "--server", f"localhost:{route.port}", "--from", SENDER, "--to", route.to, "--ehlo", "app"]
    command += ["--header", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", "--body", TEXT]
    if route.user:
        command += ["--auth", "CRAM-MD5" if route.way == "login" else "LOGIN"]
        command += ["--auth-user", route.user, "--auth-password", route.password]
    secure = {"starttls": ["--tls"], "tls": ["--tls-on-connect"]}.get(route.way, [])
    run([*command, *secure, *(["--tls-verify", "--tls-ca-path", str(route.ca)] if secure else [])], route)


def by_curl(route: Route) -> None:
    file = route.folder / "mail.eml"
    file.write_bytes(message(route).as_bytes().replace(b"\n", b"\r\n"))
    scheme = "smtps" if route.way == "tls" else "smtp"
    command = ["curl", "-sS", "--url", f"{scheme}://localhost:{route.port}/app", "--upload-file", str(file)]
    command += ["--mail-from", SENDER, "--mail-rcpt", route.to, "--cacert", str(route.ca)]
    command += ["--ssl-reqd"] if route.way == "starttls" else []
    run([*command, *(["--user", f"{route.user}:{route.password}"] if route.user else [])], route)


def by_msmtp(route: Route) -> None:
    settings = ["host localhost", f"port {route.port}", f"from {SENDER}", "domain app"]
    if route.user:
        settings += [f"auth {'login' if route.way == 'login' else 'plain'}"]
        settings += [f"user {route.user}", f"password {route.password}"]
    if route.way in ("starttls", "tls"):
        settings += ["tls on", f"tls_starttls {'on' if route.way == 'starttls' else 'off'}"]
        settings += [f"tls_trust_file {route.ca}"]
    config = route.folder / "msmtprc"
    config.touch(mode=0o600)
    config.write_text("defaults\naccount default\n" + "\n".join(settings) + "\n", encoding="utf-8")
    run(["msmtp", "-C", str(config), route.to], route, text=message(route).as_string())


MAILERS: Final[Mapping[str, Mailer]] = MappingProxyType(
    {
        "smtplib": Mailer(by_smtplib, lambda: ""),
        "aiosmtplib": Mailer(by_aiosmtplib, no_module("aiosmtplib")),
        "Django": Mailer(by_django, no_module("django")),
        "nodemailer": Mailer(by_nodemailer, no_nodemailer),
        "PHPMailer": Mailer(by_phpmailer, no_phpmailer),
        "swaks": Mailer(by_swaks, no_program("swaks")),
        "curl": Mailer(by_curl, no_program("curl")),
        "msmtp": Mailer(by_msmtp, no_program("msmtp")),
    }
)
"""The programs by their names."""
