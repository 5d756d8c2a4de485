"""From bytes to text: charsets as browsers and mail programs understand their names, and guesses where there is none.

The names follow the WHATWG Encoding Standard (https://encoding.spec.whatwg.org/#names-and-labels) wherever Python's
codec of the same name knows fewer characters. The package `webencodings` has that table too, but hands ``gb2312``,
``shift_jis`` and ``euc-kr`` to codecs that lack what mail is written in.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

__all__ = ["clean_text", "decode_bytes", "decode_field"]

_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_META_CHARSET: Final = re.compile(rb"<meta[^<>]{0,200}?charset\s{0,5}=\s{0,5}[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_META_WITHIN: Final = 4_096  # bytes of a page in which its charset is declared
_WESTERN: Final = "cp1252"  # what Western mail is written in that declares nothing

_ALIASES: Final = {
    label: codec
    for codec, labels in {
        "cp1252": "ascii usascii ansix341968 iso88591 latin1 l1 ibm819 cp819 xcp1252 windows1252 iso646us",
        "cp1254": "iso88599 latin5 l5 xcp1254 windows1254",
        "cp874": "iso885911 tis620 windows874 dos874",
        "gb18030": "gb2312 gbk gb231280 csgb2312 xgbk chinese euccn eucgb2312cn hzgb",
        "cp932": "shiftjis sjis xsjis mskanji windows31j csshiftjis ms932 cp932 shiftjisx0213",
        "cp949": "euckr kscg56011987 ksc56011987 ksc56011989 ksc5601 kseuckr korean windows949 cseuckr isoir149",
        "big5hkscs": "big5 cnbig5 xxbig5 csbig5 big5hkscs",
        "iso8859-8": "iso88598i iso88598e logical visual",
        "iso8859-6": "iso88596i iso88596e",
        "mac_roman": "macintosh mac xmacroman csmacintosh",
        "mac_cyrillic": "xmaccyrillic xmacukrainian",
        "koi8_u": "koi8ru",
        "koi8_r": "koi koi8 cskoi8r",
        "euc_jp": "xeucjp",
        "utf-8": "utf8 unicode11utf8 xunicode20utf8 utf8mb4 utf8sig",
    }.items()
    for label in labels.split()
}
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "unicodeescape", "rawunicodeescape", "undefined", "mbcs", "oem"})
_ISO_2022_JP: Final = "iso2022_jp"
_ESCAPE: Final = re.compile(rb"\x1b(\$[@B]|\$\([@BD]|\([BJIH])")


def decode_bytes(data: bytes, charset: str = "", *, is_html: bool = False) -> str:
    """Decode a text; nothing in it can make this fail.

    Args:
        data: The bytes.
        charset: What was declared, under any name; empty if nothing was.
        is_html: Whether the text itself may declare its charset.
    """
    if data.startswith(codecs.BOM_UTF8):
        return clean_text(data[3:].decode("utf-8", "replace"))
    codec = _codec(charset)
    if codec is None or (codec == "cp1252" and _label(charset) != "windows1252"):
        guessed = _guess(data, is_html=is_html, fallback=codec or _WESTERN)
        if guessed is not None:
            return guessed
    if codec == "utf-16":
        codec = _byte_order(data)
    if codec == _ISO_2022_JP:
        return clean_text(_iso_2022_jp(data))
    try:
        return clean_text(data.decode(codec or _WESTERN, "replace"))
    except ValueError:  # of codecs that replace nothing
        return data.decode("utf-8", "replace")


def decode_field(value: str, charset: str = "") -> str:
    """Decode what a header field says in raw 8-bit bytes, which stand in it as surrogates."""
    if not _SURROGATES.search(value):
        return value
    data = value.encode("utf-8", "surrogateescape")
    text = decode_bytes(data, charset)
    return text if "\N{REPLACEMENT CHARACTER}" not in text else decode_bytes(data)


def clean_text(text: str) -> str:
    """Replace half characters, which neither JSON nor a URL can carry."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


def _label(charset: str) -> str:
    return re.sub(r"[^a-z0-9]", "", charset[:64].lower())


def _codec(charset: str) -> str | None:
    """Return Python's name for a charset, or None for one that is none."""
    known = _ALIASES.get(_label(charset))
    if known is not None:
        return known
    try:
        name = codecs.lookup(charset.strip().replace("\0", "")).name
        b"a".decode(name, "replace")  # codecs of bytes, such as hex, refuse
    except (LookupError, ValueError):
        return None
    name = _ALIASES.get(_label(name), name)
    return None if _label(name) in _NO_CHARSETS else name


def _guess(data: bytes, *, is_html: bool, fallback: str) -> str | None:
    """Decode what declares no charset, or one that everything claims to be: as UTF-8, or as its HTML says."""
    if data.isascii():
        return data.decode("ascii")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return clean_text(data.decode("utf-16", "replace"))
    found = _META_CHARSET.search(data, 0, _META_WITHIN) if is_html else None
    codec = _codec(found[1].decode("ascii", "replace")) if found else None
    return clean_text(data.decode(codec if codec not in (None, "utf-16", _ISO_2022_JP) else fallback, "replace"))


def _byte_order(data: bytes) -> str:
    """Return which UTF-16 it is: by its mark, or by where the zeros of most scripts stand."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-16-be" if data[::2].count(0) > data[1::2].count(0) else "utf-16-le"


def _iso_2022_jp(data: bytes) -> str:
    """Decode ISO-2022-JP with the characters that Windows added to it (NEC's row 13: ①, ㈱)."""
    try:
        return data.decode("iso2022_jp_ext")
    except UnicodeDecodeError:
        pass
    pieces: list[str] = []
    double, at = False, 0
    for escape in _ESCAPE.finditer(data):
        pieces.append(_jis(data[at : escape.start()], double=double))
        double, at = escape[1].startswith(b"$"), escape.end()
    return "".join(pieces) + _jis(data[at:], double=double)


def _jis(run: bytes, *, double: bool) -> str:
    if not double:
        return run.decode("cp932", "replace")
    shifted = bytearray()
    for row, cell in zip(run[::2], run[1::2], strict=False):
        if 0x21 <= row <= 0x7E and 0x21 <= cell <= 0x7E:
            shifted.append((row + 1) // 2 + (0x70 if row < 0x5F else 0xB0))
            shifted.append(cell + (0x1F + (cell >= 0x60) if row % 2 else 0x7E))
        else:
            shifted += b"?"
    return shifted.decode("cp932", "replace")
