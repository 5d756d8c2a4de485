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
_BEGIN: Final = re.compile(rb"^begin ", re.MULTILINE)
_UUENCODE: Final = ("x-uuencode", "uuencode", "uue", "x-uue")


@define
class PartBlob:
    """A range of a mail's bytes, decoded while it is read."""

    raw: bytes | bytearray = field(repr=False)
    start: int
    end: int
    encoding: str
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
        if self.encoding in _UUENCODE and _BEGIN.search(self.raw, self.start, self.end):
            return _uuencode(self._lines())
        return self._slices()

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


def _uuencode(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decode what stands between ``begin`` and ``end``."""
    lines = (line for piece in pieces for line in piece.splitlines())
    for line in lines:
        if line.startswith(b"begin "):
            break
    for line in lines:
        if line.rstrip() == b"end":
            return
        if not line:
            continue  # which the standard library takes for 32 zeros
        try:
            yield binascii.a2b_uu(line)
        except binascii.Error:
            continue
