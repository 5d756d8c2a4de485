"""What a sandbox is made with, checked before anything is made of it."""

from __future__ import annotations

import re
import ssl
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast, get_args

from tempmailg._errors import ConfigurationError
from tempmailg._settings import is_loopback
from tempmailg.sandbox._checks import LONGEST, check_key, is_count, is_domain, is_number
from tempmailg.sandbox._local_delivery import Others
from tempmailg.sandbox._state import Account, Limits, Order, Plan, SandboxDomain

__all__ = ["DEFAULT_KEY", "check_domains", "check_hosts", "check_keys", "check_options", "check_ports", "check_smtp"]

DEFAULT_KEY: Final = "sandbox-key"

_HIGHEST_PORT: Final = 65_535
_HOST: Final = re.compile(r"[\w.:%-]+")


def check_options(
    *, plan: object, quota: object, order: object, lifetime: object, etags: object, seed: object, limits: object
) -> None:
    """Refuse what is none of the values that an argument may have."""
    _check_choice("plan", plan, get_args(Plan))
    if not is_count(quota):
        raise ConfigurationError(f"quota must be a whole number of requests, not {quota!r}")
    _check_choice("order", order, get_args(Order))
    if not is_number(lifetime, 0, LONGEST) or not lifetime:
        raise ConfigurationError(f"lifetime must be a positive number of seconds, not {lifetime!r}")
    if not isinstance(etags, bool):
        raise ConfigurationError(f"etags must be True or False, not {etags!r}")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise ConfigurationError(f"seed must be a whole number, not {seed!r}")
    if limits is not None and not isinstance(limits, Limits):
        raise ConfigurationError(f"limits must be Limits(…), not {limits!r}")


def check_hosts(host: object, allow_hosts: object, api_key: str, *, allow_remote: bool) -> tuple[str, ...]:
    """Refuse an address that opens the sandbox to other machines by accident.

    Returns:
        The further names under which the sandbox may be addressed, in lower case.
    """
    if not isinstance(host, str) or not host or not _HOST.fullmatch(host):
        raise ConfigurationError(f"host must be an address to listen on, such as '127.0.0.1', not {host!r}")
    if not is_loopback(host):
        _check_remote(host, api_key, allow_remote=allow_remote)
    if isinstance(allow_hosts, str) or not isinstance(allow_hosts, Iterable):
        raise ConfigurationError(f"allow_hosts must be several names, such as ('sandbox',), not {allow_hosts!r}")
    names = tuple(cast("Iterable[object]", allow_hosts))
    for name in names:
        if not is_domain(name):
            raise ConfigurationError(f"allow_hosts must hold names of hosts, without a port, not {name!r}")
    return tuple(f"{name}".lower() for name in names)


def check_ports(**ports: object) -> None:
    """Refuse what is no port, and one port for two doors."""
    for name, port in ports.items():
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= _HIGHEST_PORT:
            raise ConfigurationError(f"{name} must be a port, or 0 for a free one, not {port!r}")
    taken = [port for port, count in Counter(ports.values()).items() if port and count > 1]
    if taken:
        raise ConfigurationError(f"{' and '.join(ports)} must differ: port {taken[0]} is wanted twice")


def check_keys(api_key: object, accounts: object) -> dict[str, Account]:
    """Refuse keys that no header can carry.

    Returns:
        The further accounts by their keys.
    """
    check_key(api_key)
    if accounts is None:
        return {}
    if not isinstance(accounts, Mapping):
        raise ConfigurationError("accounts must be accounts by their keys, such as {'second-key': Account()}")
    further: dict[Any, Any] = {**accounts}
    for key, account in further.items():
        check_key(key)
        if not isinstance(account, Account):
            raise ConfigurationError(f"accounts must hold values like Account('premium'), not {account!r}")
    return further


def check_domains(domains: object) -> tuple[SandboxDomain, ...]:
    """Refuse domains on which no mailbox could be made."""
    is_several = isinstance(domains, Sequence) and not isinstance(domains, str)
    known = tuple(cast("Sequence[SandboxDomain]", domains)) if is_several else ()
    if not known or not all(isinstance(domain, SandboxDomain) for domain in known):  # pyright: ignore[reportUnnecessaryIsInstance] - what is checked
        raise ConfigurationError(f"domains must be a list such as [SandboxDomain('example.com')], not {domains!r}")
    if not any(domain.plan == "free" for domain in known):
        raise ConfigurationError("domains must hold a free one, for every account makes mailboxes there")
    names = Counter(domain.domain.lower() for domain in known)
    if names.most_common(1)[0][1] > 1:
        raise ConfigurationError(f"domains must differ: {names.most_common(1)[0][0]!r} is among them twice")
    return known


def check_smtp(others: object, ssl_context: object) -> None:
    """Refuse what is no way to treat other recipients, and no context for TLS."""
    _check_choice("others", others, get_args(Others))
    if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
        raise ConfigurationError(f"ssl_context must be an ssl.SSLContext for a server, not {ssl_context!r}")


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def _check_remote(host: str, key: str, *, allow_remote: bool) -> None:
    if not allow_remote:
        raise ConfigurationError(
            f"host {host!r} can be reached from other machines: say allow_remote=True if you want that"
        )
    if key == DEFAULT_KEY:
        raise ConfigurationError("a sandbox that other machines can reach needs an api_key of your own")
