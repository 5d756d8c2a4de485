"""pytest fixtures that give a test a mailbox: on the sandbox, or with ``--tempmailg-live`` on the real service.

==============================  ========  ==========================================================================
fixture                         scope     what it gives
==============================  ========  ==========================================================================
``tempmailg_sandbox``           session   the running `Sandbox`: the address of its SMTP door, faults, journal
``tempmailg_client``            session   a blocking `Client`
``tempmailg_async_client``      test      an `AsyncClient`, on whatever event loop the test runs
``tempmailg_mailbox``           test      a fresh `Mailbox`, deleted after the test
==============================  ========  ==========================================================================

pytest loads this module in every run of every project in whose environment the package is installed. So nothing beyond
pytest is imported before a fixture is used; the work is done in `_fixtures`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tempmailg import AsyncClient, Client, Mailbox
    from tempmailg._fixtures import Service
    from tempmailg.sandbox import Sandbox

__all__ = ["tempmailg_async_client", "tempmailg_client", "tempmailg_mailbox", "tempmailg_sandbox"]

_SERVICE: pytest.StashKey[Service] = pytest.StashKey()
_MAILBOX: pytest.StashKey[Mailbox] = pytest.StashKey()
_SPENT = "tempmailg_spent"  # what a worker of pytest-xdist reports to the run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--tempmailg-live``."""
    parser.getgroup("tempmailg").addoption(
        "--tempmailg-live",
        action="store_true",
        help="let the tempmailg fixtures use the real service, with the key of TEMPMAILG_API_KEY",
    )


@pytest.fixture(scope="session")
def tempmailg_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """The service on this machine, offline; one for the whole run (for each worker of pytest-xdist)."""
    if request.config.getoption("--tempmailg-live"):
        pytest.skip("this test needs the sandbox: run it without --tempmailg-live")
    from tempmailg._fixtures import new_sandbox

    with new_sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def _tempmailg_service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """What all fixtures of the run share."""
    from tempmailg import ConfigurationError
    from tempmailg._fixtures import Service

    is_live = request.config.getoption("--tempmailg-live")
    sandbox = None if is_live else request.getfixturevalue("tempmailg_sandbox")
    try:
        service = Service(sandbox)
    except ConfigurationError as error:
        pytest.fail(f"--tempmailg-live: {error}", pytrace=False)
    request.config.stash[_SERVICE] = service
    with service:
        yield service


@pytest.fixture(scope="session")
def tempmailg_client(_tempmailg_service: Service) -> Client:
    """A blocking client."""
    return _tempmailg_service.client


@pytest.fixture
def tempmailg_async_client(_tempmailg_service: Service) -> Iterator[AsyncClient]:
    """An asynchronous client for the event loop of the test, whichever plugin runs it."""
    with _tempmailg_service.asynchronous() as client:
        yield client


@pytest.fixture
def tempmailg_mailbox(_tempmailg_service: Service, request: pytest.FixtureRequest) -> Iterator[Mailbox]:
    """A mailbox that no other test uses; it is deleted after the test."""
    with _tempmailg_service.mailbox() as mailbox:
        request.node.stash[_MAILBOX] = mailbox
        yield mailbox


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test what arrived in its mailbox."""
    report = yield
    mailbox = item.stash.get(_MAILBOX, None)
    if report.failed and call.when == "call" and mailbox is not None:
        arrivals = item.config.stash[_SERVICE].arrivals(mailbox)
        report.sections.append(("what arrived in the tempmailg mailbox", arrivals))
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Add up the requests that the workers of pytest-xdist spent."""
    config: pytest.Config = getattr(node, "config")  # noqa: B009 - pytest-xdist may be missing, and with it the type
    spent = getattr(node, "workeroutput", {}).get(_SPENT, 0)
    config.stash[_WORKERS] = config.stash.get(_WORKERS, 0) + spent


_WORKERS: pytest.StashKey[int] = pytest.StashKey()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report to the run how many requests this worker spent."""
    service = session.config.stash.get(_SERVICE, None)
    output: dict[str, int] | None = getattr(session.config, "workeroutput", None)
    if service is not None and output is not None:
        output[_SPENT] = service.spent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show how many requests the run cost, if it cost any of a quota."""
    if not config.getoption("--tempmailg-live"):
        return
    service = config.stash.get(_SERVICE, None)
    spent = config.stash.get(_WORKERS, 0) + (service.spent if service else 0)
    left = f", {service.client.quota.remaining} left" if service and service.client.quota else ""
    terminalreporter.write_line(f"tempmailg: {spent} requests of the quota spent{left}")
