"""What to wait for, and in words why a message was not it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeAlias, cast

from attrs import evolve, field, frozen

from tempmailg import _settings as settings
from tempmailg._compare import check_text, folded, normalised
from tempmailg._errors import ConfigurationError
from tempmailg._models import Message

TextCriterion: TypeAlias = str | re.Pattern[str] | None
"""A text to be contained, in any case, a compiled pattern to be found, or nothing to ask for."""

Predicate: TypeAlias = Callable[[Message], bool | Awaitable[bool]]
"""What else a message must fulfil."""

__all__ = ["Criteria", "Finder", "code_finder", "fingerprint", "link_finder", "summary"]

_SHOWN: Final = 60  # characters of a mail's own text in a reason


@frozen
class Criteria:
    """What a message must be like.

    Args:
        subject: What its subject must contain, in any case, or a pattern to find in it.
        sender: The same for the sender's name and address.
        body: The same for the body, as its reader sees it or as it came.
        match: A predicate, plain or async.
        ignored: Ids of messages that do not count, each with the reason in words.
    """

    subject: TextCriterion = None
    sender: TextCriterion = None
    body: TextCriterion = None
    match: Predicate | None = None
    ignored: Mapping[str, str] = field(factory=dict[str, str])

    @classmethod
    def of(
        cls,
        *,
        subject: TextCriterion = None,
        sender: TextCriterion = None,
        body: TextCriterion = None,
        match: Predicate | None = None,
        ignore: Iterable[Message | str] = (),
    ) -> Criteria:
        """Return the criteria that a user gave.

        Raises:
            ConfigurationError: One of them cannot be used.
        """
        for name, wanted in (("subject", subject), ("sender", sender), ("body", body)):
            _check_text(name, wanted)
        if match is not None and not callable(match):
            raise ConfigurationError(f"match must be a function of the message, not {match!r}")
        return cls(subject, sender, body, match, {_id_of(item): "it is to be ignored" for item in _several(ignore)})

    def without(self, ids: Iterable[str], reason: str) -> Criteria:
        """Return the same criteria, but for messages that do not count, for this reason."""
        return evolve(self, ignored={**self.ignored, **dict.fromkeys(ids, reason)})

    def mismatch_reason(self, message: Message) -> str | None:
        """Return why a message is not the one as far as its texts go, or None. The predicate is asked separately."""
        if message.id in self.ignored:
            return self.ignored[message.id]
        if not _fits(self.subject, message.subject):
            return f"the subject lacks {_wanted(self.subject)}"
        if not _fits(self.sender, f"{message.from_name} <{message.from_email}>"):
            return f"the sender lacks {_wanted(self.sender)}"
        if not (_fits(self.body, message.content) or _fits(self.body, message.text)):
            return f"the body lacks {_wanted(self.body)}"
        return None


def fingerprint(message: Message) -> int:
    """Return a number that stays the same as long as nothing changes that a message is judged by."""
    return hash((message.subject, message.from_name, message.from_email, message.content, message.is_html))


def summary(message: Message) -> str:
    """Return subject, sender and time of a message in one line that does no harm to a terminal."""
    sender = message.from_email or message.from_name
    return f"{_quoted(message.subject)} from {_quoted(sender)} at {message.received_at:%H:%M:%S}"


# ------------------------------------------------------------------------------------------------------------ finders


@frozen
class Finder:
    """What to find in a message.

    Args:
        find: Returns it, or None.
        missing: Why a message without it is not the one.
    """

    find: Callable[[Message], str | None]
    missing: str


def code_finder(*, length: int | None, pattern: str | re.Pattern[str] | None) -> Finder:
    """Return what finds a message's code.

    Raises:
        ConfigurationError: No code can have this length, or match this pattern.
    """
    if length is not None:
        settings.check_count("length", length, least=1)
    if isinstance(pattern, str):
        _check_pattern(pattern)
    elif pattern is not None:
        _check_text("pattern", pattern)
    return Finder(lambda message: message.find_code(length=length, pattern=pattern), "it has no code, or no clear one")


def link_finder(*, contains: str | None, text: str | None) -> Finder:
    """Return what finds the link that a message asks to follow.

    Raises:
        ConfigurationError: One of the criteria is not text, or blank.
    """
    for name, wanted in (("contains", contains), ("text", text)):
        if wanted is not None:
            check_text(name, wanted)
    return Finder(lambda message: message.find_link(contains=contains, text=text), "it has no link, or no clear one")


# -------------------------------------------------------------------------------------------------------------- texts


def _fits(wanted: TextCriterion, text: str) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return folded(wanted) in folded(text)
    return wanted.search(text) is not None or wanted.search(normalised(text)) is not None


def _wanted(wanted: TextCriterion) -> str:
    return _quoted(wanted) if isinstance(wanted, str) else f"a match of {_quoted(wanted.pattern if wanted else '')}"


def _quoted(text: str) -> str:
    """Return a text in quotes; `repr` also escapes what could harm a terminal."""
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}…"


def _check_text(name: str, wanted: object) -> None:
    if wanted is None:
        return
    if isinstance(wanted, str):
        check_text(name, wanted)
        return
    pattern = cast("re.Pattern[str] | re.Pattern[bytes]", wanted).pattern if isinstance(wanted, re.Pattern) else None
    if not isinstance(pattern, str):
        raise ConfigurationError(f"{name} must be text or a compiled pattern of text, not {wanted!r}")


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"pattern must be a regular expression, and {pattern!r} is none: {error}") from None


def _several(ignore: Iterable[Message | str]) -> Iterable[Message | str]:
    if isinstance(ignore, (str, Message)):  # one id would be taken for its letters
        raise ConfigurationError("ignore must be a list of messages or ids: put the one into brackets")
    if not isinstance(ignore, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        raise ConfigurationError(f"ignore must be a list of messages or ids, not {ignore!r}")
    return ignore


def _id_of(item: Message | str) -> str:
    if isinstance(item, Message):
        return item.id
    if not isinstance(item, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        raise ConfigurationError(f"ignore must hold messages or their ids, not {item!r}")
    return item
