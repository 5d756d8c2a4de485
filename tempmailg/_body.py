"""An answer's body: read as JSON, and shown to people without doing harm to their terminals or giving secrets away."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from tempmailg.transport import Response

__all__ = ["MAX_SHOWN", "clean", "is_html", "loads", "loads_exactly", "plain_loads", "shown"]

MAX_SHOWN: Final = 2_000
"""How many characters of an answer an error keeps."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_TOKEN = re.compile(r'("email_token"\s*:\s*)(?:"(?:[^"\\]|\\.)*+"?|[^\s,}]+)')  # the mailbox's secret, as JSON

_SPACE: Final = " \t\n\r"  # what JSON may stand between
_read_json = json.JSONDecoder().raw_decode  # without the two regular expressions with which json.loads skips space


def plain_loads(body: bytes) -> Any:  # noqa: ANN401 - JSON can be anything
    """Do what `loads` does with the standard library alone, but refuse what begins with space or is not UTF-8.

    Raises:
        ValueError: It is refused, or as in `loads`.
        RecursionError: As in `loads`.
    """
    text = body.decode()  # given bytes, json.loads would first guess which of five encodings they are in
    value, end = _read_json(text)
    if end < len(text) and text[end:].strip(_SPACE):
        raise ValueError("something stands behind the value")
    return value


_fast_loads: Callable[[bytes], Any] = plain_loads
try:  # the extra `fast`; stricter than the standard library, which therefore has the last word below
    import orjson
except ImportError:  # not installed, or not fit for this interpreter: subinterpreters, as in mod_wsgi, are refused
    pass
else:
    _fast_loads = orjson.loads


def loads(body: bytes) -> Any:  # noqa: ANN401 - JSON can be anything
    """Return what a body means as JSON.

    Raises:
        ValueError: It is no JSON, or holds a number of too many digits.
        RecursionError: It is nested too deeply.
    """
    try:
        return _fast_loads(body)
    except ValueError:
        return loads_exactly(body)


def loads_exactly(body: bytes) -> Any:  # noqa: ANN401 - JSON can be anything
    """Return what a body means as JSON; its whole numbers are exact, which orjson's of more than 64 bits are not.

    Raises:
        ValueError: It is no JSON, or holds a number of too many digits.
        RecursionError: It is nested too deeply.
    """
    return json.loads(body)


def is_html(response: Response) -> bool:
    """Say whether an answer is a page, as proxies send them."""
    content_type = response.headers.get("Content-Type") or ""
    return "html" in content_type.lower() or response.body[:200].lstrip()[:1] == b"<"


def shown(body: bytes) -> str:
    """Return the beginning of a body's text, clean and without the secret of a mailbox."""
    return _TOKEN.sub(r"\1***", clean(body[: 4 * MAX_SHOWN].decode(errors="replace")))[:MAX_SHOWN]


def clean(text: str) -> str:
    """Blank out control, bidi and zero-width characters: errors are printed to terminals and logs."""
    return _CONTROLS.sub(" ", text[: 4 * MAX_SHOWN])
