"""Answers as values, and how they travel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Literal

from attrs import field, frozen

from tempmailg.sandbox._mail import Blob, BytesBlob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["JSON", "PLAIN", "Answer", "Delivery", "Refusal", "error_answer", "json_answer", "pieces"]

JSON: Final = "application/json"
_DRIP: Final = 0.05  # seconds between two pieces of a slow answer


@frozen
class Delivery:
    """How an answer travels.

    Args:
        delay: Seconds before its first byte.
        after: Bytes of the body after which it ends; -1 for before the first header, None for all of them.
        ending: What ends it: its own end, a closed connection (``cut``), a reset one, or silence (``stall``).
        rate: Bytes of the body in a second; 0 for as fast as possible.
    """

    delay: float = 0.0
    after: int | None = None
    ending: Literal["end", "cut", "reset", "stall"] = "end"
    rate: float = 0.0


PLAIN: Final = Delivery()


@frozen
class Answer:
    """One answer of the sandbox.

    Args:
        status: The HTTP status.
        headers: The headers in their order, but for those that frame the body.
        body: The body's bytes.
        delivery: How it travels.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: Blob = field(repr=False)
    delivery: Delivery = PLAIN


def json_answer(status: int, value: object, *headers: tuple[str, str]) -> Answer:
    """Make an answer of JSON."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")  # of half characters
    return Answer(status, (("Content-Type", JSON), *headers), BytesBlob(body))


def error_answer(
    status: int, message: str, *headers: tuple[str, str], errors: Mapping[str, Iterable[str]] | None = None
) -> Answer:
    """Make an error as the reference assumes it: ``{"status": false, "message": …}``."""
    more = {"errors": errors} if errors else {}
    return json_answer(status, {"status": False, "message": message, **more}, *headers)


class Refusal(Exception):  # noqa: N818 - no failure of the sandbox, but the answer that the caller deserves
    """The answer to a request that cannot be granted.

    Args:
        status: The HTTP status.
        message: Why not.
        headers: Headers to add.
        field: The argument that is wrong, if it is one.
    """

    def __init__(self, status: int, message: str, *headers: tuple[str, str], field: str | None = None) -> None:
        super().__init__(message)
        self.answer = error_answer(status, message, *headers, errors={field: [message]} if field else None)


def pieces(answer: Answer) -> Iterator[bytes]:
    """Yield what is sent of a body; of one that is sent slowly, as much as goes out in `_DRIP` seconds."""
    delivery = answer.delivery
    left = answer.body.size if delivery.after is None else delivery.after
    for chunk in answer.body.chunks():
        sent = chunk[:left]
        left -= len(sent)
        size = max(1, int(delivery.rate * _DRIP)) if delivery.rate else max(1, len(sent))
        for start in range(0, len(sent), size):
            yield sent[start : start + size]
