"""From the bytes of an e-mail to what the API tells about it.

The bytes are kept once, as they came; parts are ranges of them and attachments are decoded while they are sent, so that
a file of 50 MB is never held twice. Mail is written by strangers: every step is linear in the size, nothing recurses,
and whatever cannot be decoded is told as it stands.
"""

from __future__ import annotations

import binascii
import itertools
import mimetypes
import re
from email.message import Message as Headers
from email.utils import unquote
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from attrs import asdict, define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "Blob",
    "BytesBlob",
    "File",
    "Mail",
    "Slice",
    "address_of",
    "clean_text",
    "distinct",
    "from_base64",
    "header_fields",
    "parse",
    "to_base64",
]

CHUNK: Final = 256 * 1024  # bytes decoded and sent at a time
_MAX_DEPTH: Final = 64  # levels of multiparts that are opened; what lies deeper is one opaque attachment
_MAX_PARTS: Final = 10_000  # parts that are told apart in one mail; the rest is one more
_MAX_FIELD: Final = 4_096  # characters of a header field that are searched for addresses and parameters
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?([^?]*)\?=")
_NAMED_ADDRESS = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"\s*|([^"<][^<]*|))<([^<>]*)>')  # "Ann" <ann@example.org>
_BARE_ADDRESS = re.compile(r"\s*([^\s()<>,;]+)(?:\s*\(([^()]*)\))?")  # ann@example.org (Ann)
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))


class Blob(Protocol):
    """Bytes that can be sent more than once without being copied."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes, a bounded number at a time."""
        ...


@frozen
class BytesBlob:
    """Bytes that stand in memory as they are sent."""

    data: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes, a bounded number at a time."""
        for start in range(0, len(self.data), CHUNK):
            yield self.data[start : start + CHUNK]


@frozen
class Slice:
    """A range of another blob."""

    blob: Blob
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.stop - self.start

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes, a bounded number at a time."""
        at = 0
        for chunk in self.blob.chunks():
            first, last = max(0, self.start - at), self.stop - at
            at += len(chunk)
            if first < len(chunk):
                yield chunk[first:last]
            if last <= len(chunk):
                return


@define
class _PartBlob:
    """A range of a mail's bytes, decoded while it is read."""

    raw: bytes | bytearray = field(repr=False)
    start: int
    end: int
    encoding: str
    _size: int = -1

    @property
    def size(self) -> int:
        if self._size < 0:
            self._size = sum(map(len, self.chunks()))
        return self._size

    def chunks(self) -> Iterator[bytes]:
        if self.encoding == "base64":
            return _base64(self._slices())
        if self.encoding == "quoted-printable":
            return map(binascii.a2b_qp, self._lines())
        if self.encoding in ("x-uuencode", "uuencode", "uue", "x-uue"):
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


@frozen
class File:
    """A file that comes with a mail."""

    name: str
    content_type: str
    blob: Blob

    def to_json(self) -> dict[str, Any]:
        """Describe it in JSON's types."""
        data = to_base64(b"".join(self.blob.chunks()))
        return {"name": self.name, "content_type": self.content_type, "data": data}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Make what `to_json` described."""
        return cls(value["name"], value["content_type"], BytesBlob(from_base64(value["data"])))


@frozen
class Mail:
    """What the API tells of an e-mail."""

    subject: str
    from_name: str
    from_email: str
    is_html: bool
    content: str = field(repr=False)
    files: tuple[File, ...] = ()

    @property
    def size(self) -> int:
        """Its bytes, as the caps count them."""
        texts = self.subject, self.from_name, self.from_email, self.content
        return sum(map(len, texts)) + sum(file.blob.size for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """Describe it in JSON's types."""
        return asdict(self, recurse=False) | {"files": [file.to_json() for file in self.files]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Make what `to_json` described."""
        arguments: dict[str, Any] = {**value, "files": tuple(File.from_json(file) for file in value["files"])}
        return cls(**arguments)


@frozen
class _Part:
    """One leaf of a mail's tree of parts."""

    headers: Headers = field(repr=False)
    content_type: str
    blob: _PartBlob

    @property
    def file_name(self) -> str:
        """The file's name, decoded from whichever of the four places and two encodings it stands in."""
        name = _parameter(self.headers, "filename", "content-disposition")
        return _unworded(name or _parameter(self.headers, "name", "content-type"))

    @property
    def is_content(self) -> bool:
        """Whether it is text to read, not a file."""
        if self.content_type not in ("text/plain", "text/html"):
            return False
        return self.headers.get_content_disposition() != "attachment" and not self.file_name

    @property
    def text(self) -> str:
        charset = _parameter(self.headers, "charset", "content-type") or "utf-8"
        return _text(b"".join(self.blob.chunks()), charset).replace("\r\n", "\n")


def parse(raw: bytes | bytearray) -> Mail:
    """Read an e-mail; nothing in it can make this fail."""
    fields = _fields(raw[: _body_start(raw, 0, len(raw))])
    from_name, from_email = address_of(fields.get("from", ""))
    parts = list(_leaves(raw))
    texts = [part for part in parts if part.is_content]
    html = [part for part in texts if part.content_type == "text/html"]
    return Mail(
        subject=_unworded(fields.get("subject", "")),
        from_name=_unworded(from_name),
        from_email=from_email,
        is_html=bool(html),
        content="\n".join(part.text for part in html or texts),
        files=distinct(_file(part, number) for number, part in enumerate(parts, 1) if not part.is_content),
    )


def header_fields(raw: bytes | bytearray) -> list[tuple[str, str]]:
    """Return all header fields of an e-mail in their order, unfolded and decoded."""
    return [(name, _unworded(value)) for name, value in _all_fields(raw[: _body_start(raw, 0, len(raw))])]


def address_of(field: str) -> tuple[str, str]:
    """Return the name and the address of a From field's first sender, the name still encoded.

    The standard library's parser recurses, and a stranger's brackets would exhaust its stack.
    """
    named = _NAMED_ADDRESS.match(field[:_MAX_FIELD])
    if named:
        name = unquote(f'"{named[1]}"') if named[1] is not None else named[2].strip()
        return name, named[3].strip()
    bare = _BARE_ADDRESS.match(field[:_MAX_FIELD])
    return ((bare[2] or "").strip(), bare[1]) if bare else ("", "")


def to_base64(data: bytes | bytearray) -> str:
    """Return bytes as JSON can carry them."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def from_base64(text: str) -> bytes:
    """Return the bytes that `to_base64` was given.

    Raises:
        ValueError: It is no base64.
    """
    return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)


def distinct(files: Iterable[File]) -> tuple[File, ...]:
    """Return the files under names of which no two are equal: ``a.txt``, ``a (2).txt``."""
    named: dict[str, File] = {}
    numbers: dict[str, int] = {}
    for file in files:
        name = file.name
        while name in named:
            numbers[file.name] = number = numbers.get(file.name, 1) + 1
            stem, dot, extension = _split_name(file.name)
            name = f"{stem} ({number}){dot}{extension}"
        named[name] = File(name, file.content_type, file.blob)
    return tuple(named.values())


def _split_name(name: str) -> tuple[str, str, str]:
    stem, dot, extension = name.rpartition(".")
    return (stem, dot, extension) if stem else (name, "", "")


def _file(part: _Part, number: int) -> File:
    suffix = ".eml" if part.content_type == "message/rfc822" else mimetypes.guess_extension(part.content_type) or ".bin"
    return File(part.file_name or f"attachment-{number}{suffix}", part.content_type, part.blob)


def _leaves(raw: bytes | bytearray) -> Iterator[_Part]:
    """Yield the parts that hold no others, in their order in the mail."""
    budget = _MAX_PARTS
    stack = [(0, len(raw), 0)]
    while stack:
        start, end, depth = stack.pop()
        body = _body_start(raw, start, end)
        headers = _content_headers(_fields(raw[start:body]))
        is_multipart = headers.get_content_maintype() == "multipart"
        boundary = _parameter(headers, "boundary", "content-type").rstrip() if is_multipart else ""
        if boundary and depth < _MAX_DEPTH and budget > 0:
            inner = _between(raw, boundary.encode("utf-8", "surrogateescape"), body, end, budget)
            budget -= len(inner)
            stack.extend((first, last, depth + 1) for first, last in reversed(inner))
            if inner:
                continue
        encoding = str(headers.get("content-transfer-encoding", "")).strip().lower()
        yield _Part(headers, headers.get_content_type(), _PartBlob(raw, body, end, encoding))


def _between(raw: bytes | bytearray, boundary: bytes, start: int, end: int, most: int) -> list[tuple[int, int]]:
    """Return the ranges between a multipart's boundaries; a missing last boundary is forgiven."""
    ranges: list[tuple[int, int]] = []
    begun = -1
    for at, after, is_last in _delimiters(raw, b"--" + boundary, start, end):
        if len(ranges) == most - 1 and begun >= 0:
            break
        if begun >= 0:
            ranges.append((begun, max(begun, _without_line_break(raw, at))))
        begun = -1 if is_last else after
        if is_last:
            break
    if begun >= 0:
        ranges.append((begun, end))
    return ranges


def _delimiters(raw: bytes | bytearray, delimiter: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Yield where each delimiter line begins, where the next line begins, and whether it is the closing one."""
    at = raw.find(delimiter, start, end)
    while at >= 0:
        line_end = raw.find(b"\n", at, end)
        after = line_end + 1 if line_end >= 0 else end
        rest = raw[at + len(delimiter) : after].strip()
        if (at == start or raw[at - 1 : at] == b"\n") and rest in (b"", b"--"):
            yield at, after, rest == b"--"
        at = raw.find(delimiter, after, end)


def _without_line_break(raw: bytes | bytearray, at: int) -> int:
    """Return where the line before a delimiter ends: its line break belongs to the delimiter."""
    if raw[at - 2 : at] == b"\r\n":
        return at - 2
    return at - 1 if raw[at - 1 : at] == b"\n" else at


def _body_start(raw: bytes | bytearray, start: int, end: int) -> int:
    if raw[start : start + 1] == b"\n":
        return start + 1
    if raw[start : start + 2] == b"\r\n":
        return start + 2
    blank = _BLANK_LINE.search(raw, start, end)
    return blank.end() if blank else end


def _fields(block: bytes | bytearray) -> dict[str, str]:
    """Return the header fields, unfolded, under lower-case names; of equal ones the first counts."""
    fields: dict[str, str] = {}
    for name, value in _all_fields(block):
        fields.setdefault(name.lower(), value)
    return fields


def _all_fields(block: bytes | bytearray) -> list[tuple[str, str]]:
    """Return the header fields in their order, unfolded."""
    fields: list[tuple[str, list[bytes | bytearray]]] = []
    current: list[bytes | bytearray] = []
    for line in block.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            current.append(line.rstrip(b"\r"))
            continue
        name, colon, value = line.rstrip(b"\r").partition(b":")
        current = [value.lstrip()]
        if colon:
            fields.append((name.decode("ascii", "replace").strip(), current))
    return [(name, b"".join(lines).decode("utf-8", "replace")) for name, lines in fields]


def _content_headers(fields: dict[str, str]) -> Headers:
    headers = Headers()
    for name in ("content-type", "content-disposition", "content-transfer-encoding"):
        if name in fields:
            headers[name] = fields[name][:_MAX_FIELD]
    return headers


def _parameter(headers: Headers, name: str, header: str) -> str:
    """Return a parameter of a header, decoded (RFC 2231), or nothing."""
    value = headers.get_param(name, "", header)
    if isinstance(value, tuple):
        charset, _, encoded = value
        value = _text(encoded.encode("raw-unicode-escape"), charset or "utf-8")
    return clean_text(unquote(value))


def _unworded(text: str) -> str:
    """Decode the encoded words (RFC 2047) in a text; words of one charset may share a character between them."""
    pieces: list[str] = []
    pending, charset, end = b"", "", 0
    for word in _ENCODED_WORD.finditer(text):
        gap = text[end : word.start()]
        word_charset = word[1].partition("*")[0].lower()
        if pending and (gap.strip() or word_charset != charset):
            pieces.append(_text(pending, charset))
            pending = b""
        if gap.strip() or not end:
            pieces.append(gap)
        pending, charset, end = pending + _word_bytes(word[2], word[3]), word_charset, word.end()
    if pending:
        pieces.append(_text(pending, charset))
    return "".join(pieces) + text[end:]


def _word_bytes(encoding: str, text: str) -> bytes:
    encoded = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(encoded, header=True)
    return b"".join(_base64([encoded]))


def _base64(slices: Iterable[bytes]) -> Iterator[bytes]:
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
    for line in itertools.chain.from_iterable(piece.splitlines() for piece in pieces):
        if line.startswith((b"begin ", b"end", b"`")):
            continue
        try:
            yield binascii.a2b_uu(line)
        except binascii.Error:
            continue


def _text(data: bytes, charset: str) -> str:
    try:
        return clean_text(data.decode(charset, "replace"))
    except (LookupError, ValueError):  # an unknown charset, or one that is no charset, such as "hex"
        return data.decode("utf-8", "replace")


def clean_text(text: str) -> str:
    """Replace half characters, which neither JSON nor a URL can carry."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
