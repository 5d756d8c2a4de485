"""From answers to values and errors. All of it is pure.

Decoding is tolerant exactly where the API's reference is, and strict elsewhere.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import evolve

from tempmailg import _errors as err
from tempmailg._body import is_html, loads, loads_exactly
from tempmailg._coding import unasked_encoding
from tempmailg._convert import Decoder
from tempmailg._fields import PROBLEMS, as_list
from tempmailg._models import Message, MessageList
from tempmailg._scalars import expected
from tempmailg._status import reason_in, rejected, status_error, unusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tempmailg._endpoints import Call
    from tempmailg.transport import Response

__all__ = [
    "MAX_BODY",
    "decode",
    "decode_messages",
    "reader_of",
    "refusal_in",
    "status_error",
    "unusable",
]

T = TypeVar("T")

MAX_BODY: Final = 16 * 1024 * 1024
"""The longest JSON answer to read, in decoded bytes: above what 600 seconds bring to a mailbox, below what hurts."""

_SUCCESS: Final = frozenset({"true", "1", "success", "ok"})
"""What an answer's `status` says of success, in any case; so do null and no status at all."""

_decoder = Decoder()


def decode(call: Call[T], response: Response) -> T:
    """Return the value that an answer carries; where it stands in the answer follows from its type.

    Raises:
        APIStatusError: The answer has an error status.
        RequestRejectedError: The answer says that the request failed.
        APIResponseError: The answer is none that the API's reference describes.
    """
    return reader_of(call)(response)


def reader_of(call: Call[T]) -> Callable[[Response], T]:
    """Return what makes of an answer to a call the value that it carries: see `decode`."""
    return _READERS.get(call.returns) or partial(_value, kind=call.returns)


def decode_messages(response: Response) -> tuple[list[Message], list[err.APIResponseError]]:
    """Return the messages of a list answer that can be read, and an error for each that cannot.

    One bad message must not hide the good ones.

    Raises:
        APIStatusError: The answer has an error status.
        RequestRejectedError: The answer says that the request failed.
        APIResponseError: The answer is no list of messages.
    """
    items = _raised(_raw_messages(response))
    quick = _decoder.quick(Message)
    good = [quick(item) for item in items]
    if all(good):
        return good, []  # type: ignore[return-value] # pyright: ignore[reportReturnType] - there is no None in it
    messages, bad = _readable_messages(response, items, good)
    if not bad and not any(message.problems for message in messages):
        return messages, bad
    items = _raised(_raw_messages(response, loads_exactly))  # a code of 20 digits became a float, perhaps
    return _readable_messages(response, items, [quick(item) for item in items])


def _readable_messages(
    response: Response, items: list[Any], good: list[Message | None]
) -> tuple[list[Message], list[err.APIResponseError]]:
    """Read those items that are not as documented, and keep the order of all."""
    messages: list[Message] = []
    bad: list[err.APIResponseError] = []
    for index, (item, message) in enumerate(zip(items, good, strict=True)):
        found, problem = (message, "") if message else _decoder.tolerant.read(item, Message, f"messages[{index}]")
        if found is None:
            error = unusable(evolve(response, body=json.dumps(item).encode()), problem)
            error.call = "list_messages"  # no call fails with it, so nobody else names it
            bad.append(error)
        else:
            messages.append(found)
    return messages, bad


def _message_list(response: Response) -> MessageList:
    messages, unreadable = decode_messages(response)
    return MessageList(messages, unreadable=unreadable)


def _value(response: Response, *, kind: type[T]) -> T:
    value, problem = _decoder.read(_raised(_raw_value(response)), kind, "data")
    if value is None or getattr(value, PROBLEMS, None):
        value, problem = _decoder.read(_raised(_raw_value(response, loads_exactly)), kind, "data")
    if value is None:
        raise unusable(response, problem)
    return value


def _done(response: Response) -> None:
    """Make sure that an answer without a value is no refusal."""
    _raised(_raw_nothing(response))


def _body(response: Response) -> bytes:
    failure = _failure(response)
    if failure:
        raise failure
    return response.body


_READERS: Final[dict[object, Callable[[Response], Any]]] = {
    MessageList: _message_list,
    type(None): _done,
    bytes: _body,
}
"""What reads the answers whose value does not stand under `data`, by the type that the call returns."""


def refusal_in(response: Response) -> err.RequestRejectedError | None:
    """Return the refusal that an answer of a good status holds; None if it is anything else."""
    envelope = _envelope(response)
    return envelope if isinstance(envelope, err.RequestRejectedError) else None


# The functions below that see raw values return what is wrong with them instead of raising it: a traceback may show the
# locals of its frames, and in raw values stand secrets.


def _raised(found: T | err.TempMailError) -> T:
    if isinstance(found, err.TempMailError):
        raise found
    return found


def _raw_value(response: Response, read: Callable[[bytes], Any] = loads) -> Any:  # noqa: ANN401 - JSON can be anything
    return _field(response, "data", read)


def _raw_messages(response: Response, read: Callable[[bytes], Any] = loads) -> list[Any] | err.TempMailError:
    found = _field(response, "messages", read)
    if type(found) is list:
        return found  # pyright: ignore[reportUnknownVariableType] - JSON can be anything
    if isinstance(found, err.TempMailError):
        return found
    items = as_list(found)
    return unusable(response, f"messages: {expected('a list', found)}") if items is None else items


def _raw_nothing(response: Response) -> err.TempMailError | None:
    failure = _failure(response)
    said = b"".join(response.body.removeprefix(BOM_UTF8).split())
    if failure or response.status == 204 or said in (b"", b"[]"):  # PHP's empty object
        return failure
    envelope = _envelope(response)
    return envelope if isinstance(envelope, err.TempMailError) else None


def _field(response: Response, name: str, read: Callable[[bytes], Any]) -> Any:  # noqa: ANN401 - JSON can be anything
    envelope = _envelope(response, read)
    if isinstance(envelope, err.TempMailError):
        return envelope
    return envelope[name] if name in envelope else unusable(response, f"the field {name!r} is missing")


def _failure(response: Response) -> err.TempMailError | None:
    return None if 200 <= response.status < 300 else status_error(response)


def _envelope(response: Response, read: Callable[[bytes], Any] = loads) -> dict[str, Any] | err.TempMailError:
    failure = _failure(response)
    if failure is not None:
        return failure
    try:
        answer = read(response.body)
    except (UnicodeDecodeError, json.JSONDecodeError):
        return _not_json(response, err.UnreadableResponseError)
    except (ValueError, RecursionError):  # too many digits, too deep: nobody sends that by accident
        return _not_json(response, err.APIResponseError)
    if not isinstance(answer, dict):
        return unusable(response, expected("an object", answer))
    envelope: dict[str, Any] = answer  # pyright: ignore[reportUnknownVariableType] - the same
    if _is_refusal(envelope):
        return rejected(response, reason_in(envelope))
    return envelope


def _is_refusal(envelope: dict[str, Any]) -> bool:
    """Say whether an envelope reports anything but success. What is unknown is none: a deletion has no other proof."""
    for name in ("status", "success"):
        said = envelope.get(name)
        if not (said is None or said is True or _is_success(said)):
            return True
    for name in ("error", "errors"):
        said = envelope.get(name)
        if said and said not in ("0", "false"):
            return True
    return False


def _is_success(said: object) -> bool:
    return isinstance(said, (int, str)) and str(said).lower() in _SUCCESS


def _not_json(response: Response, kind: type[err.APIResponseError]) -> err.APIResponseError:
    if not response.body:
        return unusable(response, "an empty body", kind)
    encoding = unasked_encoding(response.headers)
    if encoding is not None:  # a transport hands it on as it is, and the next answer will be in it, too
        return unusable(response, f"it is in the encoding {encoding!r}, which was not asked for")
    return unusable(response, "an HTML page instead of JSON" if is_html(response) else "no valid JSON", kind)
