"""Transfer encodings, decoded a bounded piece at a time."""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Final

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["CHUNK", "PartBlob", "base64_pieces"]

CHUNK: Final = 256 * 1024  # bytes decoded and sent at a time
_NOT_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_BEGIN: Final = re.compile(rb"^begin +[0-7]{3,4} ", re.MULTILINE)
_UUENCODE: Final = ("x-uuencode", "uuencode", "uue", "x-uue")


@define
class PartBlob:
    """A range of a mail's bytes, decoded while it is read."""

    raw: bytes | bytearray = field(repr=False)
    start: int
    end: int
    encoding: str
    keeps_text_around: bool = False  # whether text outside of what is uuencoded belongs to the content
    _size: int = -1

    @property
    def size(self) -> int:
        """How many bytes there are."""
        if self._size < 0:
            self._size = sum(map(len, self.chunks()))
        return self._size

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes, a bounded number at a time."""
        if self.encoding == "base64":
            return base64_pieces(self._slices())
        if self.encoding == "quoted-printable":
            return map(binascii.a2b_qp, self._lines())
        if not self._is_uuencoded:
            return self._slices()
        if self.keeps_text_around:
            return _with_text_around(self._lines())
        return (piece for is_data, piece in _uu_pieces(self._lines()) if is_data)

    def text_around(self) -> bytes:
        """Return the lines that stand outside of a uuencoded file, which are not part of it."""
        if self.keeps_text_around or not self._is_uuencoded:
            return b""
        return b"".join(piece for is_data, piece in _uu_pieces(self._lines()) if not is_data)

    @property
    def _is_uuencoded(self) -> bool:
        return self.encoding in _UUENCODE and _BEGIN.search(self.raw, self.start, self.end) is not None

    def _slices(self) -> Iterator[bytes]:
        for start in range(self.start, self.end, CHUNK):
            yield bytes(self.raw[start : min(start + CHUNK, self.end)])

    def _lines(self) -> Iterator[bytes]:
        """Yield pieces of about the chunk's size that end where a line ends."""
        start = self.start
        while start < self.end:
            line_end = self.raw.find(b"\n", min(start + CHUNK, self.end), self.end)
            stop = line_end + 1 if line_end >= 0 else self.end
            yield bytes(self.raw[start:stop])
            start = stop


def base64_pieces(slices: Iterable[bytes]) -> Iterator[bytes]:
    """Decode base64 as it comes, leaving out what is none; every ``=`` ends a group."""
    rest = b""
    for piece in slices:
        *ended, rest = (rest + piece.translate(None, _NOT_BASE64)).split(b"=")
        for run in ended:
            yield _group(run)
        whole = len(rest) - len(rest) % 4
        yield binascii.a2b_base64(rest[:whole])
        rest = rest[whole:]
    yield _group(rest)


def _group(run: bytes) -> bytes:
    """Decode the last characters before an end; one alone holds no whole byte."""
    if len(run) % 4 == 1:
        run = run[:-1]
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


def _uu_pieces(pieces: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Yield what is decoded between ``begin`` and ``end`` as (True, data), and every other line as (False, line)."""
    lines = (line for piece in pieces for line in piece.splitlines(keepends=True))
    for line in lines:
        if _BEGIN.match(line):
            break
        yield False, line
    is_over = False  # a line without data says so, and is followed by "end"
    for line in lines:
        bare = line.rstrip(b"\r\n")
        if bare.rstrip() == b"end":
            break
        data = None if is_over else _uu_data(bare)
        is_over = is_over or bare in (b"`", b" ")
        yield data is not None, line if data is None else data
    for line in lines:
        yield False, line


def _uu_data(line: bytes) -> bytes | None:
    """Return what a line means, or None if it is none of uuencode's; a blank one would be read as zeros."""
    try:
        return binascii.a2b_uu(line) if line else b""
    except binascii.Error:
        return None


def _with_text_around(pieces: Iterable[bytes]) -> Iterator[bytes]:
    last = b"\n"
    for is_data, piece in _uu_pieces(pieces):
        if not is_data and piece.strip() and last != b"\n":
            yield b"\n"
        yield piece
        last = piece[-1:] or last
