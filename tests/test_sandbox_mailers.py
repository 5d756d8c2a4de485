"""The matrix of mailers: what people send by finds the sandbox a mail server like any other, in each of four ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import aiosmtplib
import pytest
import trustme
from support.mailers import MAILERS, SENDER, SUBJECT, TEXT, WAYS, Route, Way
from support.smtp import mailbox, stored

from tempmailg.sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for the whole matrix, as a team would run it."""
    with Sandbox() as running:
        yield running


@pytest.fixture(scope="module")
def authority(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the sandbox's authority, which every mailer checks the certificate by."""
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    assert sandbox.ca_pem is not None
    path.write_text(sandbox.ca_pem, encoding="ascii")
    return path


def skip_without(name: str) -> None:
    missing = MAILERS[name].missing()
    if missing:
        pytest.skip(missing)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MAILERS)
def test_an_application_sends_as_in_production(
    name: str, way: Way, sandbox: Sandbox, authority: Path, tmp_path: Path
) -> None:
    """Each mailer delivers its mail in each way, and the journal says how it came."""
    skip_without(name)
    email = mailbox(sandbox)
    user, password = ("", "") if way == "plain" else ("app-user", "s3cret-Passwort")
    port = sandbox.smtp_tls_port if way == "tls" else sandbox.smtp_port
    sandbox.clear_journal()
    MAILERS[name].send(Route(way, port, email, user, password, authority, tmp_path))
    (mail,) = stored(sandbox, email)
    assert (mail.subject, mail.content.strip(), mail.is_html) == (SUBJECT, TEXT, False)
    (entry,) = [entry for entry in sandbox.smtp_journal if entry.recipients]
    assert (entry.status, entry.sender, entry.login) == (250, SENDER, user)
    assert [(recipient.address, recipient.status) for recipient in entry.recipients] == [(email, 250)]
    assert bool(entry.tls) == (way in ("starttls", "tls"))
    assert password not in repr(sandbox.smtp_journal) or not password


@pytest.mark.parametrize("way", ["starttls", "tls"])
@pytest.mark.parametrize("name", MAILERS)
def test_the_certificate_is_really_checked(name: str, way: Way, sandbox: Sandbox, tmp_path: Path) -> None:
    """With another authority no mailer sends anything: what the matrix shows is a certificate that holds."""
    skip_without(name)
    foreign = tmp_path / "foreign.pem"
    trustme.CA().cert_pem.write_to_path(foreign)
    email = mailbox(sandbox)
    port = sandbox.smtp_tls_port if way == "tls" else sandbox.smtp_port
    with pytest.raises((AssertionError, OSError, aiosmtplib.SMTPException)):
        MAILERS[name].send(Route(way, port, email, "app-user", "s3cret-Passwort", foreign, tmp_path))
    assert stored(sandbox, email) == []
