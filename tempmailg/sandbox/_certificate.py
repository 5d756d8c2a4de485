"""The certificate that the SMTP door shows: made when it is first needed, or the user's own."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from typing import TYPE_CHECKING

from tempmailg._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ServerTls", "certificate_hosts"]


class ServerTls:
    """What a door needs for TLS.

    Making an authority loads a library for a third of a second, so it happens with the first client that wants TLS or
    the first reader of `ca_pem`.

    Args:
        hosts: Names and addresses that the certificate is made for.
        context: The user's own context, with a certificate; then none is made.
    """

    def __init__(self, hosts: Iterable[str], context: ssl.SSLContext | None = None) -> None:
        self._hosts = tuple(dict.fromkeys(hosts))
        self._lock = threading.Lock()
        self._ca_pem: str | None = None
        self._is_ready = context is not None
        self.context: ssl.SSLContext = context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    @property
    def ca_pem(self) -> str | None:
        """The authority that clients have to trust, as PEM; None if the certificate is the user's own."""
        self.load()
        return self._ca_pem

    def load(self) -> None:
        """See to it that the context has a certificate."""
        with self._lock:
            if self._is_ready:
                return
            self._make()
            self._is_ready = True

    def _make(self) -> None:
        try:
            import trustme
        except ImportError:
            raise ConfigurationError(
                'the sandbox makes its certificate by trustme, which is not installed: pip install "tempmailg[sandbox]"'
            ) from None
        authority = trustme.CA(organization_name="tempmailg sandbox")
        certificate = authority.issue_cert(*self._hosts, common_name=self._hosts[0])
        certificate.configure_cert(self.context)  # pyright: ignore[reportUnknownMemberType] - it takes pyOpenSSL's contexts too
        self._ca_pem = authority.cert_pem.bytes().decode("ascii")


def certificate_hosts(host: str) -> tuple[str, ...]:
    """Return the names under which clients reach a door that listens on an address."""
    local = ("localhost", "127.0.0.1", "::1")
    try:
        own = () if ipaddress.ip_address(host).is_unspecified else (host,)
    except ValueError:
        own = (host,)
    return (*local, *own)
