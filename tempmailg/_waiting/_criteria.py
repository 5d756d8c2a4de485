"""What to wait for, and in words why a message was not it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import Factory, evolve, field, fields, frozen

from tempmailg import _settings as settings
from tempmailg._compare import check_text, folded, normalised
from tempmailg._errors import ConfigurationError
from tempmailg._models import Attachment, Message

if TYPE_CHECKING:
    from attrs import Attribute, AttrsInstance

__all__ = ["Criteria", "Finder", "code_finder", "fingerprint", "link_finder", "summary"]

_SHOWN: Final = 60  # characters of a mail's own text in a reason
_MISMATCH: Final = "mismatch"
"""The metadata of a criterion: returns why a message is not the one, or None, from name, criterion and message."""


def _check_criterion(_criteria: Criteria, criterion: Attribute[Any], wanted: object) -> None:
    _check_text(criterion.name, wanted)


def _check_function(_criteria: Criteria, criterion: Attribute[Any], wanted: object) -> None:
    if wanted is not None and not callable(wanted):
        raise ConfigurationError(f"{criterion.name} must be a function of the message, not {wanted!r}")


def _found_in(*texts: Callable[[Message], str]) -> dict[str, Any]:
    """Have a criterion judge by whether one of a message's texts contains what is wanted."""

    def reason(name: str, wanted: str | re.Pattern[str], message: Message) -> str | None:
        return None if any(_fits(wanted, text(message)) for text in texts) else f"the {name} lacks {_shown(wanted)}"

    return {_MISMATCH: reason}


def _ids_of(ignore: Iterable[Message | str]) -> tuple[str, ...]:
    if isinstance(ignore, (str, Message)):  # one id would be taken for its letters
        raise ConfigurationError("ignore must be a list of messages or ids: put the one into brackets")
    if not isinstance(ignore, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        raise ConfigurationError(f"ignore must be a list of messages or ids, not {ignore!r}")
    return tuple(map(_id_of, ignore))


def _id_of(item: Message | str) -> str:
    if isinstance(item, Message):
        return item.id
    if not isinstance(item, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
        raise ConfigurationError(f"ignore must hold messages or their ids, not {item!r}")
    return item


def _ignored(criteria: Criteria) -> Mapping[str, str]:
    return dict.fromkeys(cast("Iterable[str]", criteria.ignore), "it is to be ignored")


@frozen(kw_only=True)
class Criteria:
    """What a message must be like: here each criterion is declared.

    From here `python .ci/twin.py` copies its name, type and explanation to the methods that take criteria.

    Args:
        subject: What the subject must contain, in any case, or a compiled pattern to find in it.
        sender: The same for the sender's name and address.
        body: The same for the body's readable text or its raw content.
        match: A function of the message, plain or async, that must return something true.
        ignore: Messages, or their ids, that do not count.

    Raises:
        ConfigurationError: One of them cannot be used.
    """

    subject: str | re.Pattern[str] | None = field(
        default=None, validator=_check_criterion, metadata=_found_in(lambda message: message.subject)
    )
    sender: str | re.Pattern[str] | None = field(
        default=None,
        validator=_check_criterion,
        metadata=_found_in(lambda message: f"{message.from_name} <{message.from_email}>"),
    )
    body: str | re.Pattern[str] | None = field(
        default=None,
        validator=_check_criterion,
        metadata=_found_in(lambda message: message.content, lambda message: message.text),
    )
    match: Callable[[Message], bool | Awaitable[bool]] | None = field(default=None, validator=_check_function)
    ignore: Iterable[Message | str] = field(default=(), converter=_ids_of)
    _passed_over: Mapping[str, str] = field(default=Factory(_ignored, takes_self=True), alias="passed_over")
    """Why a message does not count, by its id."""

    def without(self, ids: Iterable[str], reason: str) -> Criteria:
        """Return the same criteria, but for messages that do not count, for this reason."""
        return evolve(self, passed_over={**self._passed_over, **dict.fromkeys(ids, reason)})

    def mismatch_reason(self, message: Message) -> str | None:
        """Return why a message is not the one, or None. What `match` says is asked separately, since it may wait."""
        if message.id in self._passed_over:
            return self._passed_over[message.id]
        for name, reason_of in _REASONS:
            wanted = getattr(self, name)
            reason = None if wanted is None else reason_of(name, wanted, message)
            if reason is not None:
                return reason
        return None


_REASONS: Final[tuple[tuple[str, Callable[[str, Any, Message], str | None]], ...]] = tuple(
    (each.name, each.metadata[_MISMATCH]) for each in fields(Criteria) if _MISMATCH in each.metadata
)

_CHANGEABLE: Final = {"is_seen", "url"}
"""Fields that may change while a message stays what it is; every other field may be what it is judged by."""


def _judged_by(kind: type[AttrsInstance]) -> attrgetter[tuple[object, ...]]:
    return attrgetter(*(each.name for each in fields(kind) if each.name not in _CHANGEABLE | {"attachments"}))


_of_message, _of_attachment = _judged_by(Message), _judged_by(Attachment)


def fingerprint(message: Message) -> int:
    """Return a number that stays the same as long as nothing changes that a message is judged by."""
    return hash((_of_message(message), *map(_of_attachment, message.attachments)))


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


def _fits(wanted: str | re.Pattern[str], text: str) -> bool:
    if isinstance(wanted, str):
        return folded(wanted) in folded(text)
    return wanted.search(text) is not None or wanted.search(normalised(text)) is not None


def _shown(wanted: str | re.Pattern[str]) -> str:
    return _quoted(wanted) if isinstance(wanted, str) else f"a match of {_quoted(wanted.pattern)}"


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
