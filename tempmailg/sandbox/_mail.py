"""From the bytes of an e-mail to what the API says of it.

The bytes are kept once, as they came; parts are ranges of them and attachments are decoded while they are sent, so that
a file of 50 MB is never held twice. Mail is written by strangers: every step is linear in the size, recursion has a
bound, whatever cannot be decoded is shown as it stands, and no line of a mail is dropped for being in the wrong place.
"""

from __future__ import annotations

import binascii
import itertools
import mimetypes
from email.message import Message
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import asdict, field, fields, frozen

from tempmailg.sandbox._charset import clean_text, decode_bytes, decode_field
from tempmailg.sandbox._header import address_of, decode_words, header_fields, parameter, read_header
from tempmailg.sandbox._text import Text, best, joined_lines, shown
from tempmailg.sandbox._transfer import CHUNK, PartBlob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from attrs import Attribute

    from tempmailg.sandbox._header import Header

__all__ = [
    "CHUNK",
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

_MAX_DEPTH: Final = 64  # levels of multiparts that are opened; what lies deeper is one opaque attachment
_MAX_PARTS: Final = 10_000  # parts that are kept apart in one mail; the rest is one more


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


@frozen
class File:
    """A file that comes with a mail; by its Content-ID an image is shown within the mail."""

    name: str
    content_type: str
    blob: Blob
    content_id: str = ""


@frozen
class Mail:
    """What the API says of an e-mail."""

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
        """Describe it in JSON's types, field by field; `structured` reads it again."""
        return asdict(self, value_serializer=_plain)


def _plain(_owner: type, attribute: Attribute[Any] | None, value: Any) -> Any:  # noqa: ANN401 - of any field
    return to_base64(b"".join(value.chunks())) if attribute is fields(File).blob else value


@frozen
class _Part:
    """One leaf of a mail's tree of parts."""

    content: Message = field(repr=False)
    content_type: str
    blob: PartBlob
    number: int
    file_name: str  # decoded from whichever of the four places and two encodings it stands in
    is_content: bool  # text to read, not a file

    @property
    def charset(self) -> str:
        """The declared charset; empty if none is."""
        return parameter(self.content, "charset", "content-type")

    @property
    def is_text(self) -> bool:
        """Whether a person could read it, file or not."""
        return self.content_type.startswith("text/") or self.content_type == "application/xhtml+xml"

    def text(self) -> Text:
        """Decode it."""
        is_html = self.content_type in ("text/html", "application/xhtml+xml")
        decoded = decode_bytes(b"".join(self.blob.chunks()), self.charset, is_html=is_html).replace("\r\n", "\n")
        if parameter(self.content, "delsp", "content-type").lower() == "yes":
            decoded = joined_lines(decoded)
        return Text(decoded, is_html=is_html)

    def text_around(self) -> list[Text]:
        """Return the text that stands around a uuencoded file, if there is any."""
        around = self.blob.text_around()
        decoded = decode_bytes(around, "", is_html=False).replace("\r\n", "\n") if around.strip() else ""
        return [Text(decoded, is_html=False)] if decoded else []


@frozen
class _Multipart:
    """A node of a mail's tree of parts."""

    kind: str
    children: tuple[_Part | _Multipart, ...]


def parse(raw: bytes | bytearray, *, sender: str = "") -> Mail:
    """Read an e-mail; nothing in it can make this fail.

    Args:
        raw: The mail as it came.
        sender: The envelope's sender, for a mail that names none itself.
    """
    header = read_header(raw, 0, len(raw))
    tree = _Reader(raw).read(header, len(raw), depth=0, default="text/plain")
    leaves = list(_leaves(tree))
    charset = next((part.charset for part in leaves if part.is_text and part.charset), "")
    from_name, from_email = address_of(header.get("from") or header.get("sender") or sender)
    content = shown(_texts(tree) or _only_text(leaves))
    return Mail(
        subject=header.text("subject", charset),
        from_name=decode_words(from_name, charset),
        from_email=decode_field(from_email, charset),
        is_html=content.is_html,
        content=content.text,
        files=distinct(_file(part) for part in leaves if not part.is_content),
    )


def _texts(node: _Part | _Multipart) -> list[Text]:
    """Return what is shown of a part: the best of alternatives, everything of the rest."""
    if isinstance(node, _Part):
        return [node.text()] if node.is_content else node.text_around()
    each = [_texts(child) for child in node.children]
    if node.kind == "multipart/alternative":
        return best(each)
    return [text for texts in each for text in texts]


def _only_text(leaves: list[_Part]) -> list[Text]:
    """Return the text of a mail that has one only as a file, or in a kind of text that is shown nowhere else."""
    return [part.text() for part in leaves if part.is_text][:1]


def _leaves(node: _Part | _Multipart) -> Iterator[_Part]:
    if isinstance(node, _Part):
        yield node
        return
    for child in node.children:
        yield from _leaves(child)


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
    """Return the files under names of which no two are equal: ``a.txt``, ``a (2).txt``; the nameless get a number."""
    taken: dict[str, File] = {}
    numbers: dict[str, int] = {}
    for place, file in enumerate(files, 1):
        own = name = named(file.name, place, file.content_type)
        while name in taken:
            numbers[own] = number = numbers.get(own, 1) + 1
            stem, dot, extension = _split_name(own)
            name = f"{stem} ({number}){dot}{extension}"
        taken[name] = File(name, file.content_type, file.blob, file.content_id)
    return tuple(taken.values())


def _split_name(name: str) -> tuple[str, str, str]:
    stem, dot, extension = name.rpartition(".")
    return (stem, dot, extension) if stem else (name, "", "")


def _file(part: _Part) -> File:
    content_id = str(part.content.get("content-id", "")).strip("<> \t")
    return File(named(part.file_name, part.number, part.content_type), part.content_type, part.blob, content_id)


def named(name: str, number: int, content_type: str) -> str:
    """Return a file's name, or a number for it where the name is none that a file can have."""
    if name.strip() not in ("", ".", ".."):
        return name
    suffix = ".eml" if content_type == "message/rfc822" else mimetypes.guess_extension(content_type) or ".bin"
    return f"attachment-{number}{suffix}"


class _Reader:
    """Reads the tree of a mail's parts, no deeper than `_MAX_DEPTH` and no more than `_MAX_PARTS`."""

    def __init__(self, raw: bytes | bytearray) -> None:
        self._raw = raw
        self._budget = _MAX_PARTS
        self._numbers = itertools.count(1)

    def read(self, header: Header, end: int, *, depth: int, default: str) -> _Part | _Multipart:
        """Read the part that stands behind a header."""
        content = header.message()
        content_type = content.get_content_type() if "content-type" in content else default
        encoding = header.transfer_encoding
        if not content_type.startswith("multipart/"):
            return self._leaf(content, content_type, PartBlob(self._raw, header.end, end, encoding))
        is_too_much = depth >= _MAX_DEPTH or self._budget <= 0
        inner = [] if is_too_much else self._inner(content, header.end, end)
        if inner:
            inherited = "message/rfc822" if content_type == "multipart/digest" else "text/plain"
            headers = ((read_header(self._raw, first, last), last) for first, last in inner)
            children = (self.read(head, last, depth=depth + 1, default=inherited) for head, last in headers)
            return _Multipart(content_type, tuple(children))
        opaque = content_type if is_too_much else "text/plain"  # a boundary that is wrong hides a text
        return self._leaf(content, opaque, PartBlob(self._raw, header.end, end, encoding))

    def _leaf(self, content: Message, content_type: str, blob: PartBlob) -> _Part:
        name = decode_words(
            parameter(content, "filename", "content-disposition") or parameter(content, "name", "content-type")
        )
        is_file = bool(name) or content.get_content_disposition() == "attachment"
        is_content = content_type in ("text/plain", "text/html") and not is_file
        blob.keeps_text_around = is_content
        return _Part(content, content_type, blob, next(self._numbers), name, is_content)

    def _inner(self, content: Message, start: int, end: int) -> list[tuple[int, int]]:
        boundary = parameter(content, "boundary", "content-type").rstrip()
        if not boundary:
            return []
        inner = _between(self._raw, boundary.encode("utf-8", "surrogateescape"), start, end, self._budget)
        self._budget -= len(inner)
        return inner


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
