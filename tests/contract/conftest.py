"""What the contract suite needs: a service to talk to (the sandbox, or the real one) and a parity report.

::

    pytest tests/contract                     against the sandbox
    pytest tests/contract --target=live       against the real service, with the key of TEMPMAILG_API_KEY
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from support.parity import Parity, Service

if TYPE_CHECKING:
    from collections.abc import Iterator

LIVE_URL = "https://v1.tempmailg.com/api"
PARITY = pytest.StashKey[Parity]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --target. It is known only when this folder is named on the command line; else the sandbox is the target."""
    parser.addoption("--target", choices=["sandbox", "live"], default="sandbox", help="which service to check")


@pytest.fixture(scope="session")
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """The service to check."""
    if request.config.getoption("--target", default="sandbox") == "live":
        key = os.environ.get("TEMPMAILG_API_KEY")
        if not key:
            pytest.exit("--target=live needs a key in TEMPMAILG_API_KEY", returncode=4)
        yield Service(os.environ.get("TEMPMAILG_BASE_URL") or LIVE_URL, key, None)
        return
    from tempmailg.sandbox import Sandbox

    with Sandbox(etags=True) as sandbox:
        yield Service(sandbox.base_url, sandbox.api_key, sandbox)


@pytest.fixture(scope="session")
def parity(request: pytest.FixtureRequest) -> Parity:
    """The report to which every check adds."""
    target = request.config.getoption("--target", default="sandbox")
    return request.config.stash.setdefault(PARITY, Parity(str(target)))


@pytest.fixture
def mailbox(service: Service) -> Iterator[dict[str, Any]]:
    """A mailbox for one test, deleted after it."""
    created = service.send("POST", "emails").json["data"]
    yield created
    service.send("DELETE", "emails", created["email"])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the parity report, when the target was chosen by hand."""
    report = config.stash.get(PARITY, None)
    if report is None or not any("contract" in argument for argument in config.args):
        return  # one folder among others: its report would only be noise
    terminalreporter.section(f"parity with the API's reference: {report.target}")
    for source, statement, verdict in report.found:
        terminalreporter.line(f"{source:10}  {statement:76}  {verdict}")
