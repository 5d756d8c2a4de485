"""An attachment's bytes as they arrive: never the whole file in memory, never a cut file taken for a whole one."""

from __future__ import annotations

import math
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Self

from tempmailg import _errors as err
from tempmailg import _wire as wire
from tempmailg._body import clean
from tempmailg._coding import codings_of, unasked_encoding
from tempmailg._endpoints import names_of
from tempmailg._models import Attachment
from tempmailg._public import public
from tempmailg.transport import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tempmailg._core import CallAttempts, Caller
    from tempmailg._endpoints import Call
    from tempmailg.transport import AnswerHeaders, ResponseStream, Transport

__all__ = ["IDENTITY", "AttachmentStream", "BodyReader", "SpeedLimit", "declared_size", "is_coded", "whole_body"]

# A coded body would hide its size and be decoded behind our back: cut inside gzip, it would even look complete.
IDENTITY: Final[Mapping[str, str]] = {"Accept-Encoding": "identity", "Accept": "*/*"}  # a file is of any type

_DIGITS = re.compile(r"[0-9]{1,18}")

_MOST_OF_REFUSAL: Final = 64 * 1024  # bytes of an answer that is no file, read for the reason that it gives

# Of these two kinds are also refusals and the pages of proxies. The extensions are those of files that are of them.
_JSON: Final = re.compile(r"application/(?:[\w.-]+\+)?json|text/json", re.IGNORECASE)
_HTML: Final = re.compile(r"text/html|application/xhtml\+xml", re.IGNORECASE)
_JSON_NAME: Final = re.compile(r"\.(?:\w*json\w*|map|webmanifest|ipynb|har)", re.IGNORECASE)
_HTML_NAME: Final = re.compile(r"\.(?:[xsp]?html?|xht|php|aspx?|jsp)", re.IGNORECASE)


class SpeedLimit:
    """The slowest acceptable speed of a download; only the time spent waiting for the service counts.

    Args:
        minimum: Bytes a second; 0 accepts anything but a standstill.
        window: Seconds of waiting over which the speed is measured.
    """

    __slots__ = ("_arrived", "_minimum", "_waited", "_window")

    def __init__(self, minimum: float, window: float) -> None:
        if not 0 <= minimum < math.inf:
            raise err.ConfigurationError(f"minimum_speed must be a number of bytes a second, not {minimum!r}")
        self._minimum = minimum
        self._window = window
        self._waited = 0.0
        self._arrived = 0

    @property
    def patience(self) -> float:
        """How long to wait for the next bytes, in seconds: a whole window once this window's bytes are there."""
        return self._window if self._arrived >= self._enough(self._window) else self._window - self._waited

    def record(self, size: int, waited: float) -> None:
        """Count bytes and the time that waiting for them took.

        Raises:
            APITimeoutError: They came too slowly.
        """
        self._arrived += size
        self._waited += waited
        if self._waited < self._window:
            return
        if self._arrived < self._enough(self._waited):
            raise self.failure()
        self._waited, self._arrived = 0.0, 0

    def failure(self) -> err.APITimeoutError:
        """Return the error for a body that is too slow."""
        text = f"the service sends fewer than {self._minimum:g} bytes a second, or none at all"
        return err.APITimeoutError(text, sent=True)

    def _enough(self, seconds: float) -> float:
        return max(1.0, self._minimum * seconds)


class BodyReader:
    """Reads an answer's body and watches over its speed and its length.

    Args:
        stream: The answer.
        transport: Whose clock measures the time spent waiting for the service.
        limit: The slowest acceptable speed.
        size: How many bytes the answer declares, or None if it does not.
        least: How many bytes are missed where it does not.
    """

    __slots__ = ("_least", "_limit", "_stream", "_transport", "received", "size")

    def __init__(
        self, stream: ResponseStream, transport: Transport, limit: SpeedLimit, *, size: int | None, least: int = 0
    ) -> None:
        self._stream = stream
        self._transport = transport
        self._limit = limit
        self._least = least if size is None else size
        self.size = size
        self.received = 0

    async def read(self) -> bytes:
        """Return the next bytes, or ``b""`` when the body is complete.

        Raises:
            APITimeoutError: The service is too slow.
            APIResponseError: The body is shorter or longer than it must be.
        """
        begun = self._transport.now()
        try:
            chunk = await self._stream.read(self._limit.patience)
        except err.APITimeoutError:
            raise self._limit.failure() from None
        self._limit.record(len(chunk), self._transport.now() - begun)
        self.received += len(chunk)
        ends_early = not chunk and self.received < self._least
        if ends_early or (self.size is not None and self.received > self.size):
            raise _cut(self.received, self._least)
        return chunk

    def close(self) -> None:
        """Give the answer up."""
        self._stream.close()


async def whole_body(
    stream: ResponseStream, transport: Transport, limit: SpeedLimit, name: str, known: int | None
) -> BodyReader:
    """Return a reader of an answer that is to carry a whole attachment.

    A body that is ended by the connection's end looks whole wherever it was cut, and so does a compressed one; then the
    size that the message declares is what it must have at least. A page or JSON may be another's answer instead of the
    file, so the file's name or its size must agree.

    Args:
        stream: The answer.
        transport: Whose clock measures the time spent waiting for the service.
        limit: The slowest acceptable speed.
        name: The attachment's name.
        known: The attachment's size as its message declares it, if it does; what the answer declares goes before it.

    Raises:
        RequestRejectedError: The service refused to send the file.
        APIResponseError: The answer is none to the question, or a cut body cannot be distinguished from a whole one.
    """
    known = known if known and known > 0 else None
    if stream.status != 200:
        raise _unusable(f"status {stream.status} where a whole file was asked for")
    encoding = unasked_encoding(stream.headers)
    if encoding is not None:
        raise err.APIResponseError(
            f"the answer cannot be used: it is in the encoding {encoding!r}, which was not asked for",
            status=stream.status,
        )
    if is_coded(stream.headers) and known is None:
        raise _unusable("it is compressed, although that was declined, so a cut file would look whole")
    size = declared_size(stream.headers)
    kind = (stream.headers.get("Content-Type") or "").partition(";")[0].strip()
    is_ambiguous = bool(_JSON.fullmatch(kind) or _HTML.fullmatch(kind))
    if is_ambiguous and not _is_the_file(kind, name, size, known):
        raise await _no_file(stream, BodyReader(stream, transport, limit, size=size), kind, name)
    if is_ambiguous and size is None:
        size = known or None
    return BodyReader(stream, transport, limit, size=size, least=known or 0)


def _is_the_file(kind: str, name: str, size: int | None, known: int | None) -> bool:
    """Say whether an answer that is a page or JSON can be the attachment: by its exact size, or else by its name."""
    if known and size is not None:
        return size == known
    extension = PurePosixPath(name).suffix
    return not extension or bool((_JSON_NAME if _JSON.fullmatch(kind) else _HTML_NAME).fullmatch(extension))


async def _no_file(stream: ResponseStream, reader: BodyReader, kind: str, name: str) -> err.TempMailError:
    """Return the error for an answer that is not the attachment, with the reason that it gives."""
    body = b""
    while len(body) < _MOST_OF_REFUSAL and (chunk := await reader.read()):
        body += chunk
    response = Response(stream.status, stream.headers, body)
    refusal = wire.refusal_in(response) if _JSON.fullmatch(kind) else None
    if refusal is not None:
        return refusal
    problem = (
        f"it is {clean(kind)} of another size or kind than the attachment {name[:60]!r}: a page of a proxy, perhaps"
    )
    return wire.unusable(response, problem, err.UnreadableResponseError)


def _unusable(problem: str) -> err.UnreadableResponseError:
    return err.UnreadableResponseError(f"the answer cannot be used: {problem}")


def _cut(received: int, size: int) -> err.IncompleteResponseError:
    return err.IncompleteResponseError(f"the attachment was cut: {received} bytes arrived instead of {size}")


def declared_size(headers: AnswerHeaders) -> int | None:
    """Return how many bytes the body is to have, or None if the answer does not say."""
    if is_coded(headers):
        return None  # Content-Length counts the coded bytes
    length = headers.get("Content-Length")
    return int(length) if length and _DIGITS.fullmatch(length) else None


def is_coded(headers: AnswerHeaders) -> bool:
    """Return whether the body is compressed or coded in another way."""
    return bool(codings_of(headers))


@public
class AttachmentStream:
    """An attachment that is being received: an async context manager, and an async iterator of its bytes.

    Attributes:
        name: The file's name as the sender gave it; never use it as a path.
        size: The size in bytes, or None if the service does not declare it.
        content_type: The media type that the service declares, or an empty text.
    """

    def __init__(
        self, caller: Caller, attachment: Attachment | tuple[str, str], call: Call[bytes], limit: SpeedLimit
    ) -> None:
        self._caller = caller
        self._call = call
        self._limit = limit
        self._known = attachment.size if isinstance(attachment, Attachment) else None
        self._reader: BodyReader | None = None
        self.name: str = names_of(attachment)[1]
        self.size: int | None = None
        self.content_type: str = ""

    async def __aenter__(self) -> Self:
        if self._reader is not None:
            raise err.ConfigurationError("an attachment stream can be entered once: call stream_attachment again")
        self._reader = await self._caller.with_retries(self._call, self._begin)
        self.size = self._reader.size
        return self

    async def _begin(self, attempts: CallAttempts) -> BodyReader:
        stream = await self._caller.open_once(attempts, IDENTITY)
        try:
            reader = await whole_body(stream, self._caller.core.transport, self._limit, self.name, self._known)
        except BaseException:
            stream.close()
            raise
        self.content_type = stream.headers.get("Content-Type") or ""
        return reader

    async def __aexit__(self, *exc_info: object) -> None:
        if self._reader is not None:
            self._reader.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._reader is None:
            raise err.ConfigurationError(
                "enter the stream first: with (async with) client.stream_attachment(…) as stream"
            )
        chunk = await self._reader.read()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    def __repr__(self) -> str:
        return f"<AttachmentStream {self.name!r}>"
