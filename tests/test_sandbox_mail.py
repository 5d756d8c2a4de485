"""How e-mail is read: faithful to what its writer meant, and unmoved by whatever a stranger sends."""

from __future__ import annotations

import base64
import json
import random
import time
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempmailg.sandbox._mail import Blob, BytesBlob, File, Mail, Slice, distinct, parse
from tempmailg.sandbox._structure import structured

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]))


def data_of(file: File) -> bytes:
    return b"".join(file.blob.chunks())


def files_of(mail: Mail) -> list[tuple[str, str, bytes]]:
    return [(file.name, file.content_type, data_of(file)) for file in mail.files]


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


@given(
    subject=TEXT,
    name=TEXT.filter(lambda name: '"' not in name and "\\" not in name),
    text=TEXT,
    html=TEXT.map("<b>1</b>{}".format),
    data=st.binary(),
    file=TEXT,
)
def test_what_the_standard_library_writes_is_read_back(
    subject: str, name: str, text: str, html: str, data: bytes, file: str
) -> None:
    """Subject, sender, HTML, file name and file survive, whatever characters and bytes they hold."""
    mail = EmailMessage()
    mail["Subject"] = subject
    mail["From"] = Address(name, "ann", "example.org") if name else "ann@example.org"
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    mail.add_attachment(data, maintype="application", subtype="x-test", filename=f"{file}.bin")
    for style in (policy.SMTP, policy.default):
        read = parse(mail.as_bytes(policy=style))
        assert " ".join(read.subject.split()) == " ".join(subject.split())
        assert read.from_email == "ann@example.org"
        assert (read.is_html, read.content.rstrip("\n")) == (True, "\n".join(html.splitlines()).rstrip("\n"))
        assert files_of(read) == [(f"{file}.bin", "application/x-test", data)]


def test_html_is_preferred_to_text() -> None:
    """Of the alternatives the HTML is the content, wherever it stands; without any, the text is."""
    mail = EmailMessage()
    mail.set_content("plain")
    assert (parse(mail.as_bytes()).is_html, parse(mail.as_bytes()).content) == (False, "plain\n")
    mail.add_alternative("<b>rich</b>", subtype="html")
    mail.add_attachment("<i>file</i>", subtype="html", filename="page.html")
    read = parse(mail.as_bytes())
    assert (read.is_html, read.content) == (True, "<b>rich</b>\n")
    assert [name for name, *_ in files_of(read)] == ["page.html"]


def test_inline_images_are_files() -> None:
    """An image that the HTML shows is among the attachments, named by its own name or by its place."""
    related = MIMEMultipart("related")
    related.attach(MIMEText('<img src="cid:1">', "html"))
    for number, name in enumerate(("logo.png", None)):
        image = MIMEImage(b"\x89PNG" + bytes([number]), "png")
        image.add_header("Content-ID", "<1>")
        image.add_header("Content-Disposition", "inline", **({"filename": name} if name else {}))
        related.attach(image)
    outer = MIMEMultipart("mixed")
    outer.attach(related)
    read = parse(outer.as_bytes())
    assert read.is_html
    assert [name for name, *_ in files_of(read)] == ["logo.png", "attachment-3.png"]


def test_forwarded_mail_is_a_file() -> None:
    """A message within a message is one attachment, whole, and not opened."""
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content("secret")
    outer = EmailMessage()
    outer.set_content("see below")
    outer.add_attachment(inner)
    read = parse(outer.as_bytes())
    assert read.content == "see below\n"
    assert [(name, kind) for name, kind, _ in files_of(read)] == [("attachment-2.eml", "message/rfc822")]
    assert b"Subject: inner" in data_of(read.files[0])


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('Content-Disposition: attachment; filename="plain.txt"', "plain.txt"),
        ("Content-Disposition: attachment; filename=plain.txt", "plain.txt"),
        ('Content-Disposition: attachment; filename="=?utf-8?B?w6QuLnR4dA==?="', "ä..txt"),
        ('Content-Disposition: attachment; filename="=?iso-8859-1?Q?gr=FC=DFe_1.txt?="', "grüße 1.txt"),
        ("Content-Disposition: attachment; filename*=UTF-8''%C3%A4%20b.txt", "ä b.txt"),
        ("Content-Disposition: attachment; filename*=iso-8859-1'de'gr%FC%DFe.txt", "grüße.txt"),
        ("Content-Disposition: attachment; filename*0*=UTF-8''%E6%97; filename*1*=%A5; filename*2=.txt", "日.txt"),
        ('Content-Disposition: attachment; filename*0="a b"; filename*1=".txt"', "a b.txt"),
        ('Content-Disposition: attachment;\r\n filename="folded\r\n name.txt"', "folded name.txt"),
        ('Content-Type: text/plain; name="from type.txt"', "from type.txt"),
        ('Content-Disposition: inline; filename="inline.txt"', "inline.txt"),
        ("Content-Disposition: attachment; filename*=x-none''%ff.txt", "ÿ.txt"),
        ("Content-Disposition: attachment; filename*=UTF-8'%ff", "UTF-8'\N{REPLACEMENT CHARACTER}"),
        ('Content-Disposition: attachment; filename="../../etc/passwd"', "../../etc/passwd"),
        ("Content-Disposition: attachment; filename=täg.txt", "täg.txt"),
        ("Content-Disposition: attachment", "attachment-1.txt"),
        ('Content-Disposition: attachment; filename=""', "attachment-1.txt"),
        ("Content-Type: text/calendar", "attachment-1.ics"),
        ("Content-Type: x/y", "attachment-1.bin"),
    ],
)
def test_a_file_has_the_name_that_its_sender_meant(header: str, name: str) -> None:
    """Names come from four places in two encodings, or from the file's place and type."""
    read = parse(f"{header}\r\n\r\nbody".encode())
    assert [(file.name, data_of(file)) for file in read.files] == [(name, b"body")]


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("Ann <ann@example.org>", "Ann", "ann@example.org"),
        ('"Ann, B. <x>" <ann@example.org>', "Ann, B. <x>", "ann@example.org"),
        (r'"Ann \"the\" B\\" <ann@example.org>', 'Ann "the" B\\', "ann@example.org"),
        ("<ann@example.org>", "", "ann@example.org"),
        ("ann@example.org", "", "ann@example.org"),
        ("ann@example.org (Ann B.)", "Ann B.", "ann@example.org"),
        ("Ann <ann@example.org>, Bob <bob@example.org>", "Ann", "ann@example.org"),
        ("=?utf-8?q?J=C3=BCrgen?= <j@example.org>", "Jürgen", "j@example.org"),
        ("Jürgen<j@example.org>", "Jürgen", "j@example.org"),
        ("Ann <ann@example.org", "Ann", "ann@example.org"),
        ("", "", ""),
        ("<>", "", ""),
        ('"unfinished', "", '"unfinished'),
    ],
)
def test_the_sender_is_name_and_address(sender: str, name: str, address: str) -> None:
    """Quoted, encoded, bare and broken senders are read as well as they can be."""
    read = parse(f"From: {sender}\r\n\r\n".encode())
    assert (read.from_name, read.from_email) == (name, address)


def test_equal_names_are_made_distinct() -> None:
    """Files of one name can each be named and fetched, even where the new name was taken, too."""
    names = ["a.txt", "a.txt", "a (2).txt", "a.txt", ".rc", ".rc", "b", "b"]
    files = distinct(File(name, "text/plain", BytesBlob(bytes([at]))) for at, name in enumerate(names))
    assert [file.name for file in files] == [
        "a.txt",
        "a (2).txt",
        "a (2) (2).txt",
        "a (3).txt",
        ".rc",
        ".rc (2)",
        "b",
        "b (2)",
    ]
    assert [data_of(file)[0] for file in files] == list(range(8))


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?B?R3LDvMOfZQ==?= aus =?iso-8859-1?Q?K=F6ln?=", "Grüße aus Köln"),
        ("=?utf-8?q?one?= =?utf-8?q?two?=", "onetwo"),
        ("=?utf-8?q?a_b?=\r\n =?utf-8?q?_c?=", "a b c"),
        ("=?utf-8?B?w7w=?= =?utf-8?B?w7w?=", "üü"),
        ("=?utf-8?B?4pw=?= =?utf-8?B?kw==?=", "✓"),
        ("=?shift_jis?B?k/qWew==?=", "日本"),
        ("=?utf-8*en?q?tagged?=", "tagged"),
        ("=?no-such-charset?q?abc?=", "abc"),
        ("=?hex?q?6162?=", "6162"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        ("raw ünïcode", "raw ünïcode"),
        ("=?unicode_escape?q?=5Cud800?=", "\\ud800"),
        ("", ""),
    ],
)
def test_encoded_words_are_decoded(subject: str, expected: str) -> None:
    """RFC 2047 in every charset that Python knows; characters may be shared between words; nonsense stays readable."""
    assert parse(f"Subject: {subject}\r\n\r\n".encode()).subject == expected


@pytest.mark.parametrize(
    ("head", "body", "content"),
    [
        ("Content-Type: text/plain; charset=iso-8859-1", "gr\xfcn".encode("latin-1"), "grün"),
        ("Content-Type: text/plain; charset=koi8-r", "привет".encode("koi8-r"), "привет"),
        ('Content-Type: text/plain; charset="gb2312"', "你好".encode("gb2312"), "你好"),
        ("Content-Type: text/plain; charset=utf-16", "hi".encode("utf-16"), "hi"),
        ("Content-Type: text/plain; charset=nonsense", "ü".encode(), "ü"),
        ("Content-Type: text/plain; charset=hex", b"6162", "6162"),
        ("Content-Type: text/plain; charset=idna", b"a\xff", "aÿ"),
        ("Content-Type: text/plain; charset=\x00", b"a", "a"),
        ("Content-Type: text/plain", b"\xff\xfd", "ÿý"),
        ("Content-Transfer-Encoding: quoted-printable", b"a=3Db=\r\nc=zz", "a=bc=zz"),
        ("Content-Transfer-Encoding: base64", b"YWJj\r\nZGVm", "abcdef"),
        ("Content-Transfer-Encoding: BASE64 ", b"YW*Jj!Z", "abc"),
        ("Content-Transfer-Encoding: base64", b"YWI=YWI=", "abab"),
        ("Content-Transfer-Encoding: x-uuencode", b"begin 644 f\r\n#86)C\r\n`\r\nend\r\n", "abc"),
        ("Content-Transfer-Encoding: x-uuencode", b"begin 644 f\r\n#\xff\xff\xff\xff\r\n`\r\nend\r\n", "#ÿÿÿÿ\n"),
        ("Content-Transfer-Encoding: 8bit", b"a\r\nb\nc", "a\nb\nc"),
        ("Content-Type: nonsense", b"text all the same", "text all the same"),
        ("X: y", b"", ""),
    ],
)
def test_bodies_are_decoded_as_far_as_they_can_be(head: str, body: bytes, content: str) -> None:
    """Charsets and transfer encodings, right and broken, give the best text there is."""
    assert parse(head.encode() + b"\r\n\r\n" + body).content == content


@pytest.mark.parametrize(
    ("raw", "content", "names"),
    [
        (b"", "", []),
        (b"\r\n", "", []),
        (b"\nbody", "body", []),
        (b"\r\nbody", "body", []),
        (b"no header at all", "no header at all", []),
        (b"Content-Type: multipart/mixed\r\n\r\nno boundary", "no boundary", []),
        (b"Content-Type: multipart/mixed; boundary=x\r\n\r\nnever used", "never used", []),
        (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\none\r\n--x\r\n\r\ntwo", "one\ntwo", []),
        (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\n\r\n\r\n--x--\r\n--x\r\n\r\nlate", "\n", []),
        (
            b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--xy\r\n\r\nno\r\n --x\r\n--x  \r\n\r\nyes--x\r\n",
            "yes--x\n",
            [],
        ),
        (b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nunix\n\n--x--", "unix\n", []),
    ],
)
def test_broken_structures_are_read_as_far_as_they_go(raw: bytes, content: str, names: list[str]) -> None:
    """Missing headers, boundaries and ends lose nothing that can be read."""
    read = parse(raw)
    assert (read.content, [file.name for file in read.files]) == (content, names)


def nested(depth: int) -> bytes:
    """Return a mail of multiparts within multiparts, a text in the innermost."""
    opening = "".join(
        f"Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n" for level in range(depth)
    )
    closing = "".join(f"\r\n--b{level}--" for level in reversed(range(depth)))
    return (opening + "Content-Type: text/plain\r\n\r\ndeep" + closing).encode()


def test_nested_parts_are_opened_to_a_depth() -> None:
    """Sane nesting is read to the bottom; what lies deeper than any mail program goes is one file, not a crash."""
    assert parse(nested(30)).content == "deep"
    read = parse(nested(10_000))
    assert (read.content, len(read.files)) == ("", 1)
    assert b"deep" in data_of(read.files[0])


def hostile() -> dict[str, bytes]:
    many = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    return {
        "10,000 nested parts": nested(10_000),
        "20,000 flat parts": many + b"--x\r\nContent-Disposition: attachment; filename=a\r\n\r\nb\r\n" * 20_000,
        "a header of 1 MB": b"Subject: " + b"x" * 1_000_000 + b"\r\n\r\n",
        "100,000 folds": b"Subject: a\r\n" + b" b\r\n" * 100_000 + b"\r\n",
        "200,000 headers": b"X-A: b\r\n" * 200_000 + b"\r\n",
        "unfinished encoded words": b"Subject: " + b"=?a?q?" * 150_000 + b"\r\n\r\n",
        "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 70_000 + b"\r\n\r\n",
        "quotes in a parameter": b'Content-Type: text/plain; name="' + b'";\\"' * 250_000 + b"\r\n\r\n",
        "semicolons": b"Content-Disposition: attachment" + b';"' * 500_000 + b"\r\n\r\n",
        "continuations": b"Content-Disposition: attachment" + b"; filename*1*=%41" * 60_000 + b"\r\n\r\n",
        "brackets in an address": b"From: " + b"<(" * 500_000 + b"\r\n\r\n",
        "boundaries everywhere": many + b"--x" * 300_000,
        "boundary lines": many + b"--x\r\n" * 200_000,
        "a boundary of dashes": b"Content-Type: multipart/mixed; boundary=-\r\n\r\n" + b"---\r\n" * 200_000,
        "bad base64": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 1_000_000,
        "bad quoted-printable": b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * 1_000_000,
        "bad uuencode": b"Content-Transfer-Encoding: uuencode\r\n\r\n" + b"M\n" * 100_000,
        "flowed lines": b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\n" + b"> a \r\n" * 150_000,
        "escapes of ISO-2022-JP": b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + b"\x1b$B\xff" * 200_000,
        "quotes in a sender": b"From: " + b'"\\' * 2_000 + b"\r\n\r\n",
        "a mailbox file's line": b"From " + b"1" * 1_000_000 + b"\r\n\r\n",
        "fields that nobody knows": b"a:b\r\n" * 200_000,
        "lines of one blank": b"Subject: x\r\n" + b" \r\n" * 300_000,
        "comments in an encoding": b"Content-Transfer-Encoding: " + b"(" * 500_000 + b"\r\n\r\n",
        "pages that declare": b"Content-Type: text/html\r\n\r\n" + b"<meta charset" * 80_000 + b"\xff",
        "alternatives": many.replace(b"mixed", b"alternative")
        + b"--x\r\nContent-Type: text/html\r\n\r\n<p>\r\n" * 20_000,
        "style sheets": many.replace(b"mixed", b"alternative")
        + b"--x\r\nContent-Type: text/html\r\n\r\n"
        + b"<style" * 3_000,
        "NULs": b"\x00" * 1_000_000,
        "line feeds": b"\n" * 1_000_000,
        "carriage returns": b"\r" * 1_000_000,
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_mail_is_told_in_bounded_time(name: str) -> None:
    """A megabyte of malice is read within seconds and shown in valid JSON; a quadratic step would take minutes."""
    raw = hostile()[name]
    begun = time.process_time()
    read = parse(raw)
    text = json.dumps([read.subject, read.from_name, read.from_email, read.content], ensure_ascii=False)
    assert text.encode()
    assert len({file.name for file in read.files}) == len(read.files)
    assert sum(file.blob.size for file in read.files) <= len(raw)
    assert time.process_time() - begun < 20


PIECES = b"""\
--x|--|Content-Type: |multipart/mixed; boundary=x|text/html|; charset=|utf-8|From: |<a@b>|Subject: |=?utf-8?b?|?=|\
Content-Disposition: attachment|; filename|*0*=|=|"|Content-Transfer-Encoding: |base64|quoted-printable|QUJD|\
\r\n|\n|\xff|\x00""".split(b"|")


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=60).map(b"".join))
def test_no_bytes_at_all_make_it_fail(raw: bytes) -> None:
    """Whatever comes is shown as text that JSON and URLs can carry, with distinct file names."""
    read = parse(raw)
    for text in (read.subject, read.from_name, read.from_email, read.content, *(file.name for file in read.files)):
        assert text.encode("utf-8").decode("utf-8") == text
    assert len({file.name for file in read.files}) == len(read.files)
    for file in read.files:
        assert file.blob.size == len(data_of(file))


@given(st.binary(max_size=300), st.integers(1, 90), st.sampled_from([b"\r\n", b"\n", b" ", b"*"]))
def test_base64_is_decoded_whatever_its_lines(data: bytes, width: int, ending: bytes) -> None:
    """Line lengths and foreign characters make no difference."""
    coded = base64.b64encode(data)
    lines = ending.join(coded[at : at + width] for at in range(0, len(coded), width))
    read = parse(b"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines)
    assert data_of(read.files[0]) == data


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_large_files_are_decoded_in_pieces(encoding: str) -> None:
    """A file of some megabytes comes in chunks of bounded size, byte for byte, as often as asked for."""
    data = random.Random(5).randbytes(1_000_000)
    coded = {"base64": base64.encodebytes, "quoted-printable": _quoted, "8bit": bytes}[encoding](data)
    raw = b"Content-Type: application/x\r\nContent-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + coded
    blob = parse(raw).files[0].blob
    for _ in range(2):
        chunks = list(blob.chunks())
        assert b"".join(chunks) == data
        assert max(map(len, chunks)) < 2**19
    assert blob.size == len(data)


def _quoted(data: bytes) -> bytes:
    return b"=\r\n".join(b"".join(b"=%02X" % byte for byte in data[at : at + 25]) for at in range(0, len(data), 25))


@given(st.binary(max_size=50), st.integers(0, 60), st.integers(0, 60))
def test_a_slice_of_a_blob_is_a_slice_of_its_bytes(data: bytes, start: int, stop: int) -> None:
    """Ranges cut exactly, wherever the chunks end."""
    start, stop = min(start, len(data)), min(max(start, stop), len(data))
    assert b"".join(Slice(BytesBlob(data), start, max(start, stop)).chunks()) == data[start : max(start, stop)]


def filled(kind: type) -> Any:
    """Return a value whose every field differs from its default."""
    samples: dict[Any, Any] = {bool: True, int: 7, Blob: BytesBlob(b"\x00\xff"), tuple[File, ...]: ()}
    types = attrs.fields(attrs.resolve_types(kind))
    return kind(**{field.name: f"the {field.name}" if field.type is str else samples[field.type] for field in types})


def test_a_dump_holds_every_field_of_a_mail_and_of_its_files() -> None:
    """A new field of `Mail` or `File` is dumped and loaded without being named anywhere else."""
    mail: Mail = attrs.evolve(filled(Mail), files=(filled(File),))
    assert structured(json.loads(json.dumps(mail.to_json())), Mail, "the mail") == mail
