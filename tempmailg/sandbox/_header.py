"""The header of an e-mail: its fields, their parameters, encoded words and addresses, however wrong."""

from __future__ import annotations

import binascii
import re
from email.message import Message
from email.utils import unquote
from typing import TYPE_CHECKING, Final

from attrs import frozen

from tempmailg.sandbox._charset import clean_text, decode_bytes, decode_field
from tempmailg.sandbox._transfer import base64_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Header", "address_of", "decode_words", "header_fields", "parameter", "read_header"]

_MAX_FIELD: Final = 4_096  # characters of a header field that are searched for addresses and parameters
_FIELD: Final = re.compile(rb"([!-9;-~]{1,998})[ \t]*:(?!//)")  # RFC 5322, but no https://…
_FROM_LINE: Final = re.compile(rb">?From [^\r\n]*\d\d:\d\d")  # what a mailbox file has before each mail
_KNOWN_FIELDS: Final = re.compile(
    rb"(?:(?:from|to|cc|bcc|subject|date|sender|received|importance|priority|precedence|errors-to|return-path)[ \t]*:"
    rb"|(?:content|mime|message|reply|in-reply|list|dkim|arc|resent|delivered|auto|x)-)",
    re.IGNORECASE,
)
_ENCODED_WORD: Final = re.compile(r"=\?([^?\s]{1,64})\?([bBqQ])\?([^?]*)\?=")
_COMMENT: Final = re.compile(r"\([^()]*\)")


@frozen
class Header:
    """The header of a mail or of one of its parts.

    Args:
        fields: Names and values in their order, the values unfolded; raw 8-bit bytes stand in them as surrogates.
        end: Where the body begins.
    """

    fields: list[tuple[str, str]]
    end: int

    def get(self, name: str) -> str:
        """Return the first field of a name, which is in lower case, or nothing."""
        return next((value for known, value in self.fields if known.lower() == name), "")

    def text(self, name: str, charset: str = "") -> str:
        """Return the first field of a name, decoded."""
        return decode_words(self.get(name), charset)

    def message(self) -> Message:
        """Return the fields that describe the content, as the standard library reads them."""
        content = Message()
        for name in ("content-type", "content-disposition", "content-id"):
            value = self.get(name)
            if value:
                content[name] = decode_field(value[:_MAX_FIELD])
        return content

    @property
    def transfer_encoding(self) -> str:
        """How the body is encoded: without the quotes, comments and semicolons that some write around it."""
        value = _COMMENT.sub(" ", self.get("content-transfer-encoding")[:_MAX_FIELD])
        return value.partition(";")[0].strip(" \t\"'").lower()


def read_header(raw: bytes | bytearray, start: int, end: int) -> Header:
    """Read a header; it ends at an empty line, or before the first line that cannot stand in one."""
    fields: list[tuple[str, list[bytes]]] = []
    at, is_known = start, False
    for at, after in _lines(raw, start, end):
        line = bytes(raw[at:after]).rstrip(b"\r\n")
        if not line.strip(b" \t\r") and not _goes_on(raw, line, after, end, fields):
            return _header(fields, after)
        name = _FIELD.match(line)
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1][1].append(line)
        elif name:
            fields.append((name[1].decode("ascii"), [line[name.end() :].lstrip()]))
            is_known = is_known or _KNOWN_FIELDS.match(line) is not None
        elif at == start and _FROM_LINE.match(line):
            fields.append(("From ", [line.partition(b" ")[2]]))
        else:
            return _header(fields, at) if is_known else Header([], start)
    return _header(fields, end) if is_known or not fields else Header([], start)


def _header(fields: list[tuple[str, list[bytes]]], end: int) -> Header:
    return Header([(name, _unfolded(lines)) for name, lines in fields], end)


def _unfolded(lines: list[bytes]) -> str:
    return b"".join(lines).rstrip(b" \t").decode("utf-8", "surrogateescape")


def _lines(raw: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where each line begins and where the next one does."""
    while start < end:
        found = raw.find(b"\n", start, end)
        after = found + 1 if found >= 0 else end
        yield start, after
        start = after


def _goes_on(raw: bytes | bytearray, line: bytes, after: int, end: int, fields: list[tuple[str, list[bytes]]]) -> bool:
    """Say whether a blank line that is not empty is part of a folded field: then more of the header follows it."""
    if not line.strip(b"\r") or not fields:
        return False
    following = bytes(raw[after : min(after + 1_000, end)])
    return _KNOWN_FIELDS.match(following) is not None


def header_fields(raw: bytes | bytearray) -> list[tuple[str, str]]:
    """Return all header fields of an e-mail in their order, unfolded and decoded."""
    return [(name, decode_words(value)) for name, value in read_header(raw, 0, len(raw)).fields]


# -------------------------------------------------------------------------------------------------------- parameters


def parameter(content: Message, name: str, header: str) -> str:
    """Return a parameter of a header, decoded (RFC 2231), or nothing."""
    if header not in content:
        return ""
    value = content.get_param(name, "", header)
    if isinstance(value, tuple):
        charset, _, encoded = value
        value = decode_bytes(encoded.encode("raw-unicode-escape"), charset or "utf-8")
    return clean_text(unquote(value))


# ----------------------------------------------------------------------------------------------------- encoded words


def decode_words(text: str, charset: str = "") -> str:
    """Decode the encoded words (RFC 2047) in a text; words of one charset may share a character between them.

    Args:
        text: The text, raw 8-bit bytes in it as surrogates.
        charset: What these bytes are, if they are not UTF-8.
    """
    pieces: list[str] = []
    pending, word_charset, end = b"", "", 0
    for word in _ENCODED_WORD.finditer(text):
        gap = text[end : word.start()]
        next_charset = word[1].partition("*")[0].lower()
        if pending and (gap.strip() or next_charset != word_charset):
            pieces.append(decode_bytes(pending, word_charset))
            pending = b""
        if gap.strip() or not end:
            pieces.append(decode_field(gap, charset))
        pending, word_charset, end = pending + _word_bytes(word[2], word[3]), next_charset, word.end()
    if pending:
        pieces.append(decode_bytes(pending, word_charset))
    return clean_text("".join(pieces) + decode_field(text[end:], charset))


def _word_bytes(encoding: str, text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogateescape")
    if encoding in "qQ":
        return binascii.a2b_qp(encoded, header=True)
    return b"".join(base64_pieces([encoded]))


# --------------------------------------------------------------------------------------------------------- addresses

_PIECE: Final = re.compile(
    r'=\?[^?\s]{1,64}\?[bBqQ]\?[^?]*\?=|"(?:[^"\\]|\\.)*"|<[^<>]*>|\\.|[(),:;]|[^"<>(),:;\\=]+|.', re.DOTALL
)


def address_of(field: str) -> tuple[str, str]:
    """Return the name and the address of a From field's first sender, the name still encoded.

    The standard library's parser recurses, and a stranger's brackets would exhaust its stack.
    """
    pieces = _without_comments(field[:_MAX_FIELD])
    words: list[str] = []
    for piece in pieces.kept:
        if piece.startswith("<") and len(piece) > 1:
            return _phrase(words), _without_route(piece.strip("<>").strip())
        if piece == "," and "".join(words).strip():
            break
        if piece == ":":
            words.clear()  # the name of a group
        elif piece not in (",", ";"):
            words.append(piece)
    return _bare(words, pieces.comment)


@frozen
class _Pieces:
    """A field's pieces without its comments, and the last comment."""

    kept: list[str]
    comment: str


def _without_comments(field: str) -> _Pieces:
    kept: list[str] = []
    comment: list[str] = []
    depth = 0
    for found in _PIECE.finditer(field):
        piece = found[0]
        if piece == "(":
            comment, depth = ([] if not depth else comment), depth + 1
        elif piece == ")" and depth:
            depth -= 1
        else:
            (comment if depth else kept).append(piece)
    return _Pieces(kept, "".join(comment).strip())


def _phrase(words: list[str]) -> str:
    """Return what a sender's words say: quoted ones without their quotes, a blank between them and the rest."""
    text, was_quoted = "", False
    for word in words:
        is_quoted = len(word) > 1 and word.startswith('"')
        if (is_quoted or was_quoted) and not (text[-1:].isspace() or word[:1].isspace()):
            text += " "
        text += unquote(word) if is_quoted else word
        was_quoted = is_quoted
    return text.strip()


def _without_route(address: str) -> str:
    """Return an address without the hosts that it was once to travel by (RFC 5322 4.4)."""
    return address.rpartition(":")[2] if address.startswith("@") else address


def _bare(words: list[str], comment: str) -> tuple[str, str]:
    """Read a sender whose address stands in no brackets."""
    text = "".join(words).strip()
    opened = text.rpartition("<")
    if opened[1] and "@" in opened[2]:
        return _phrase([opened[0]]), opened[2].strip()  # a bracket that is never closed
    parts = text.split() if not text.startswith('"') else [text]
    address = next((part for part in parts if "@" in part), parts[0] if parts else "")
    return comment, address
