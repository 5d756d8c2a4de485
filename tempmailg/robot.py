"""A Robot Framework library of five keywords on the blocking client: ``Library    tempmailg.robot``.

The key comes from ``TEMPMAILG_API_KEY`` alone: Robot Framework writes the arguments of libraries and keywords into its
log. Nothing is sent before the first keyword runs.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from robot.libraries.BuiltIn import BuiltIn
from robot.utils import escape  # type: ignore[import-untyped] # pyright: ignore - it declares no types

from tempmailg._blocking import Client
from tempmailg._errors import TempMailError
from tempmailg._models import Mailbox, Message  # noqa: TC001 - Robot Framework reads the types of arguments
from tempmailg._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TempMail"]

_A_MINUTE: Final = timedelta(seconds=60)


class TempMail:
    """Receive e-mail in tests: disposable mailboxes, the codes and links of what arrives in them.

    = Before the first test =

    Create a key on the service's API management page and put it into the environment variable ``TEMPMAILG_API_KEY``.
    It is no argument of this library, since arguments are written into the log. ``TEMPMAILG_BASE_URL`` leads to a
    sandbox that was started by ``tempmailg sandbox``.

    = Mailboxes =

    A mailbox that a test makes is deleted when the test ends; one that a suite's setup makes, when the suite ends.
    Wherever a mailbox is expected, its address may be given instead. ``${mailbox.email}`` is the address,
    ``${message.subject}``, ``${message.text}`` and ``${message.attachments}`` are what a message holds.

    = Criteria =

    ``subject``, ``sender`` and ``body`` are texts that the message must contain, in any case.

    = Time =

    ``timeout`` is in Robot Framework's notation: ``30``, ``30 s``, ``1 minute 30 seconds``.
    """

    ROBOT_LIBRARY_SCOPE: Final = "SUITE"
    ROBOT_LIBRARY_VERSION: str = __version__
    ROBOT_AUTO_KEYWORDS: Final = True  # this also makes the class the library that the module stands for

    def __init__(self) -> None:
        self.ROBOT_LIBRARY_LISTENER: _Life = _Life()
        self._life: _Life = self.ROBOT_LIBRARY_LISTENER

    def new_mailbox(self) -> Mailbox:
        """Create a mailbox with a random address and return it.

        | ${mailbox} =    New Mailbox
        | Input Text    id:email    ${mailbox.email}
        """
        mailbox = self._life.client.create_mailbox()
        self._life.mailboxes.append(mailbox)
        return mailbox

    def wait_for_code(
        self,
        mailbox: Mailbox | str,
        *,
        timeout: timedelta = _A_MINUTE,
        subject: str | None = None,
        sender: str | None = None,
        body: str | None = None,
        length: int | None = None,
        pattern: str | None = None,
    ) -> str:
        r"""Wait for a message with a code that its reader is asked to type, and return the code.

        ``length`` is how many characters the code must have, ``pattern`` a regular expression that all of it must
        match.

        | ${code} =    Wait For Code    ${mailbox}    subject=welcome    timeout=30 s
        | ${code} =    Wait For Code    ${mailbox}    pattern=[A-Z]{3}-\\d{3}
        """
        return self._life.client.wait_for_code(
            mailbox,
            timeout=timeout.total_seconds(),
            subject=subject,
            sender=sender,
            body=body,
            length=length,
            pattern=pattern,
        )

    def wait_for_link(
        self,
        mailbox: Mailbox | str,
        *,
        timeout: timedelta = _A_MINUTE,
        subject: str | None = None,
        sender: str | None = None,
        body: str | None = None,
        contains: str | None = None,
        text: str | None = None,
    ) -> str:
        """Wait for a message with a link that its reader is asked to follow, and return the link exactly as sent.

        ``contains`` is a part of the link's address, ``text`` a part of its visible words. The link is not fetched.

        | ${link} =    Wait For Link    ${mailbox}    contains=/confirm
        | Go To    ${link}
        """
        return self._life.client.wait_for_link(
            mailbox,
            timeout=timeout.total_seconds(),
            subject=subject,
            sender=sender,
            body=body,
            contains=contains,
            text=text,
        )

    def expect_message(
        self,
        mailbox: Mailbox | str,
        keyword: str,
        *arguments: object,
        timeout: timedelta = _A_MINUTE,
        subject: str | None = None,
        sender: str | None = None,
        body: str | None = None,
        **named: object,
    ) -> Message:
        """Run a keyword, wait for the message that it causes, and return the message.

        The messages that were there before do not count. The keyword gets all arguments but ``timeout`` and the
        criteria, which are this keyword's own.

        | ${message} =    Expect Message    ${mailbox}    Sign Up    ${mailbox.email}    subject=welcome
        | Should Contain    ${message.text}    Thank you
        """
        expected = self._life.client.expect_message(
            mailbox, timeout=timeout.total_seconds(), subject=subject, sender=sender, body=body
        )
        with expected:
            _run(keyword, arguments, named)
        return expected.message

    def clear_mailbox(self, mailbox: Mailbox | str) -> None:
        """Delete all messages of a mailbox; it keeps its address.

        | Clear Mailbox    ${mailbox}
        """
        self._life.client.clear(mailbox)


class _Life:
    """The client of one suite, and the mailboxes to delete: Robot Framework calls the methods, by their names."""

    ROBOT_LISTENER_API_VERSION: Final = 3

    def __init__(self) -> None:
        self._client: Client | None = None
        self._of_suite: list[Mailbox] = []
        self.mailboxes: list[Mailbox] = self._of_suite  # where the next one belongs

    @property
    def client(self) -> Client:
        """The client; it is made when the first keyword needs it."""
        if self._client is None:
            self._client = Client()
        return self._client

    def start_test(self, *_: object) -> None:
        """Collect the mailboxes that the test makes."""
        self.mailboxes = []

    def end_test(self, *_: object) -> None:
        """Delete the mailboxes that the test made."""
        self._delete(self.mailboxes)
        self.mailboxes = self._of_suite

    def close(self) -> None:
        """Delete the mailboxes that the suite made, and close the client."""
        self._delete(self._of_suite)
        if self._client is not None:
            self._client.close()

    def _delete(self, mailboxes: list[Mailbox]) -> None:
        for mailbox in mailboxes:
            with suppress(TempMailError):  # the test may have deleted it, and it expires by itself
                self.client.delete_mailbox(mailbox)


def _run(keyword: str, arguments: tuple[object, ...], named: dict[str, object]) -> None:
    """Run a keyword with values that are not resolved again: a backslash or a ``${…}`` in them is text by now."""
    run: Callable[..., object] = BuiltIn().run_keyword
    literal = cast("Callable[[object], object]", escape)
    run(keyword, *map(literal, arguments), *((name, literal(value)) for name, value in named.items()))
