"""The content codings of a body: gzip and deflate, decoded as they arrive, piece by piece, whatever they expand to.

aiohttp's own decoding is switched off, because it takes what stands behind the end of a gzip body for a broken one, a
gzip body without its end for a whole one, and an encoding that it does not know for an answer that is no HTTP.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Final, Protocol

from tempmailg import _errors as err
from tempmailg._body import clean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from tempmailg.transport import AnswerHeaders

__all__ = ["ACCEPTED", "DecodedBody", "codings_of", "decoded", "unasked_encoding"]

ACCEPTED: Final = "gzip, deflate"
"""What the client asks for, as `Accept-Encoding` says it."""

PIECE: Final = 256 * 1024
"""The most bytes that are decoded at once: a bomb is met while its first pieces are counted."""

_SLICE: Final = 16 * 1024  # bytes decoded at once: zlib copies what it does not take, which may be most of a long input
_MOST_CODINGS: Final = 3  # one over another; each multiplies what a body can expand to
_NONE: Final = frozenset({"", "identity", "none"})
_NAMES: Final = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
_GZIP_MAGIC: Final = b"\x1f\x8b\x08"

_CUT: Final = "the answer cannot be used: it was cut off, and its {coding} encoding has no end"
_BROKEN: Final = "the answer cannot be used: its {coding} encoding is broken"


def decoded(read: Callable[[], Awaitable[bytes]], headers: AnswerHeaders) -> Callable[[], Awaitable[bytes]]:
    """Return what reads a body decoded; a body that is not coded, or that nobody here can decode, is read as it is.

    Args:
        read: Returns the next bytes as they arrive, or ``b""`` at the end.
        headers: Those of the answer.
    """
    if headers.get("Content-Encoding") is None:
        return read
    codings = codings_of(headers)
    if not codings or unasked_encoding(headers) is not None:
        return read
    return DecodedBody(read, codings).read


def codings_of(headers: AnswerHeaders) -> tuple[str, ...]:
    """Return the codings of a body in the order in which they were applied: none if it is as it is."""
    if headers.get("Content-Encoding") is None:
        return ()
    names = ",".join(headers.getall("Content-Encoding", [])).split(",")
    codings = (name.strip().lower() for name in names)
    return tuple(_NAMES.get(coding, coding) for coding in codings if coding not in _NONE)


def unasked_encoding(headers: AnswerHeaders) -> str | None:
    """Return the encoding of a body that nobody here can decode, fit to be shown; None if the body can be read."""
    codings = codings_of(headers)
    unknown = [coding for coding in codings if coding not in _NAMES]
    if not unknown and len(codings) <= _MOST_CODINGS:
        return None
    return clean(unknown[0] if unknown else ", ".join(codings))[:60].strip()


class DecodedBody:
    """A coded body as the bytes that it stands for.

    Args:
        read: Returns the next coded bytes as they arrive, or ``b""`` at the end.
        codings: The names of what was applied to the body, in that order.
    """

    __slots__ = ("_pieces", "_read", "_stages")

    def __init__(self, read: Callable[[], Awaitable[bytes]], codings: Iterable[str]) -> None:
        self._read = read
        self._stages = [_Stage(coding) for coding in reversed(tuple(codings))]
        self._pieces: Iterator[bytes] = iter(())

    async def read(self) -> bytes:
        """Return the next bytes, at most `PIECE` of them, or ``b""`` at the end.

        Raises:
            IncompleteResponseError: The body was cut, or is not in its encoding.
        """
        while True:
            for piece in self._pieces:
                if piece:
                    return piece
                await asyncio.sleep(0)  # nothing came of much work: let deadlines pass
            self._check()
            if not self._take(await self._read()):
                self._check_end()
                return b""

    # Errors are raised by functions that hold no bytes: a traceback may show the locals of its frames.

    def _take(self, coded: bytes) -> bool:
        """Begin to decode bytes; return whether there are any."""
        pieces: Iterable[bytes] = (coded,) if coded else ()
        for stage in self._stages:
            pieces = _through(stage, pieces)
        self._pieces = iter(pieces)
        return bool(coded)

    def _check(self) -> None:
        for stage in self._stages:
            if stage.is_broken:
                raise err.IncompleteResponseError(_BROKEN.format(coding=stage.coding))

    def _check_end(self) -> None:
        for stage in self._stages:
            if stage.is_unfinished:
                raise err.IncompleteResponseError(_CUT.format(coding=stage.coding))


def _through(stage: _Stage, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from stage.decode(piece)


class _Engine(Protocol):
    """What `zlib.decompressobj` returns; its type has no public name."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Stage:
    """One coding of a body on its way to being undone.

    A gzip body is one member or several, with nothing or zeros between them. What else stands behind a member's end is
    ignored, as browsers do.

    Attributes:
        coding: Its name.
        is_broken: Whether bytes came that are not in this coding.
    """

    __slots__ = ("_engine", "_has_ended", "_has_output", "_head", "_is_over", "coding", "is_broken")

    def __init__(self, coding: str) -> None:
        self.coding = coding
        self.is_broken = False
        self._engine: _Engine | None = None
        self._head = b""  # what may be the beginning of a further member
        self._has_output = False  # of this member
        self._has_ended = False  # at least one member
        self._is_over = False  # what comes now is ignored

    @property
    def is_unfinished(self) -> bool:
        """Whether the end of what has begun is missing."""
        return self._engine is not None or bool(self._head)

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what bytes stand for in pieces of at most `PIECE`; empty ones where much work had no result."""
        for start in range(0, len(data), _SLICE):
            rest, output = data[start : start + _SLICE], b""
            while rest or len(output) == PIECE:
                output, rest = self._step(self._opened(rest))
                yield output
        if not data:
            yield b""

    def _opened(self, data: bytes) -> bytes:
        """Make sure that there is an engine if the bytes are for one; return those that are."""
        if self._is_over:
            return b""
        if self._engine is not None:
            return data
        if self._has_ended:
            data = self._next_member(data)
        if data:
            self._engine, self._has_output = zlib.decompressobj(self._window_bits(data)), False
        return data

    def _next_member(self, data: bytes) -> bytes:
        """Return the beginning of a further member, as soon as it is sure that it is one."""
        head = self._head + data
        head = head if self._head else head.lstrip(b"\0")
        self._head = head if len(head) < len(_GZIP_MAGIC) and _GZIP_MAGIC.startswith(head) else b""
        if self._head or not head:
            return b""
        self._is_over = self.coding != "gzip" or not head.startswith(_GZIP_MAGIC)
        return b"" if self._is_over else head

    def _window_bits(self, data: bytes) -> int:
        if self.coding == "gzip":
            return zlib.MAX_WBITS | 16
        has_zlib_header = data[0] & 0x0F == 8
        return zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS  # many servers send deflate without its wrapping

    def _step(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what some bytes stand for, and those that are still to be decoded."""
        engine = self._engine
        if engine is None:
            return b"", b""
        output = _inflated(engine, data)
        if output is None:
            self._fail()
            return b"", b""
        self._has_output |= bool(output)
        if not engine.eof:
            return output, engine.unconsumed_tail
        self._engine, self._has_ended = None, True
        return output, engine.unused_data

    def _fail(self) -> None:
        """Take in bytes of another kind: behind a member that has ended they are ignored."""
        self.is_broken = self._has_output or not self._has_ended
        self._engine, self._is_over = None, True


def _inflated(engine: _Engine, data: bytes) -> bytes | None:
    try:
        return engine.decompress(data, PIECE)
    except zlib.error:
        return None
