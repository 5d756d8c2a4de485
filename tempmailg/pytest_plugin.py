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
pytest is imported, and nothing is called for a test, before a fixture is used; the work is done in `_fixtures`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import TracebackType

    from tempmailg import AsyncClient, Client, Mailbox
    from tempmailg._fixtures import Service
    from tempmailg.sandbox import Sandbox

__all__ = ["tempmailg_async_client", "tempmailg_client", "tempmailg_mailbox", "tempmailg_sandbox"]

_SERVICE: pytest.StashKey[Service] = pytest.StashKey()
_MAILBOX: pytest.StashKey[Mailbox] = pytest.StashKey()
_WORKERS: pytest.StashKey[int] = pytest.StashKey()  # requests that the workers of pytest-xdist spent
_TESTS: pytest.StashKey[int] = pytest.StashKey()  # tests that used the service
_QUOTA: pytest.StashKey[dict[str, Any] | None] = pytest.StashKey()  # the last one that was seen
_SPENT = "tempmailg_spent"  # what a worker of pytest-xdist reports to the run
_COST = "tempmailg/cost_of_a_test"  # in pytest's cache
_HERE = str(Path(__file__).parent)


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
    request.config.pluginmanager.register(_Reports())
    with service:
        if is_live:
            shortage = service.shortage(sum(map(_is_ours, request.session.items)), _measured_cost(request))
            if shortage:
                pytest.skip(shortage)
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


def _measured_cost(request: pytest.FixtureRequest) -> float:
    """Return the requests that a test of the last run cost, as pytest's cache remembers."""
    from tempmailg._fixtures import DEFAULT_COST

    cache: Any = getattr(request.config, "cache", None)  # pytest's plugin for it may be off
    return float(cache.get(_COST, DEFAULT_COST)) if cache else DEFAULT_COST


def _is_ours(item: pytest.Item) -> bool:
    """Say whether a test uses the service."""
    return "_tempmailg_service" in getattr(item, "fixturenames", ())


class _Reports:
    """The part of the plugin that works once for each test: registered with the first test that uses the service."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Point a failed test at its own line, and add to its report what arrived in its mailbox."""
        if call.when == "teardown" or not _is_ours(item):
            return (yield)
        if call.when == "call":
            item.config.stash[_TESTS] = item.config.stash.get(_TESTS, 0) + 1
        if call.excinfo is not None and not item.config.getoption("fulltrace", default=False):
            _end_at_the_users_line(call.excinfo.tb)
        report = yield
        mailbox = item.stash.get(_MAILBOX, None)
        if report.failed and mailbox is not None:
            arrivals, mail = item.config.stash[_SERVICE].arrivals(mailbox)
            report.sections.append(("what arrived in the tempmailg mailbox", arrivals))
            if mail:
                _attach(item, report, mail)
        return report


def _end_at_the_users_line(traceback: TracebackType | None) -> None:
    """Cut the frames of this package from the end of a traceback: what raised there was asked for above."""
    last = None
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(_HERE):
            last = traceback
        traceback = traceback.tb_next
    if last is not None:
        last.tb_next = None


def _attach(item: pytest.Item, report: pytest.TestReport, mail: str) -> None:
    """Attach the mail of a failed test to the reports of pytest-html and Allure, where these are made."""
    name = "mail in the tempmailg mailbox"
    if getattr(item.config.option, "htmlpath", None):
        extras: Any = import_module("pytest_html.extras")  # it declares no types
        vars(report)["extras"] = [*getattr(report, "extras", []), extras.text(mail, name=name)]
    if item.config.pluginmanager.hasplugin("allure_listener"):
        import allure

        allure.attach(mail, name=name, attachment_type=allure.attachment_type.TEXT)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """Add up what the workers of pytest-xdist spent."""
    config: pytest.Config = getattr(node, "config")  # noqa: B009 - pytest-xdist may be missing, and with it the type
    spent, tests, quota = getattr(node, "workeroutput", {}).get(_SPENT, (0, 0, None))
    config.stash[_WORKERS] = config.stash.get(_WORKERS, 0) + spent
    config.stash[_TESTS] = config.stash.get(_TESTS, 0) + tests
    before = config.stash.get(_QUOTA, None)
    if quota is not None and (before is None or quota["remaining"] < before["remaining"]):
        config.stash[_QUOTA] = quota


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report to the run what this worker spent."""
    service = session.config.stash.get(_SERVICE, None)
    output: dict[str, object] | None = getattr(session.config, "workeroutput", None)
    if service is None:
        return
    quota = service.client.quota
    session.config.stash[_QUOTA] = quota.to_dict() if quota else None
    if output is not None:
        output[_SPENT] = service.spent, session.config.stash.get(_TESTS, 0), session.config.stash[_QUOTA]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show how many requests the run cost, if it cost any of a quota, and remember it for the next one."""
    if not config.getoption("--tempmailg-live"):
        return
    from tempmailg._fixtures import report

    service = config.stash.get(_SERVICE, None)
    spent, tests = config.stash.get(_WORKERS, 0) + (service.spent if service else 0), config.stash.get(_TESTS, 0)
    terminalreporter.write_line(report(spent, tests, config.stash.get(_QUOTA, None)))
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache and tests:
        cache.set(_COST, spent / tests)
