"""Nothing of a mail is lost: wrong headers, charsets, encodings and structures still say what their writer meant."""

from __future__ import annotations

import base64
import smtplib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.smtp import SENDER, connected, mailbox, stored

from tempmailg.sandbox import Sandbox
from tempmailg.sandbox._mail import File, Mail, header_fields, parse


def mime(head: str, *lines: str) -> bytes:
    """Return a mail of these header lines, separated by bars, and body lines."""
    return "\r\n".join([*head.split("|"), "", *lines]).encode()


def multipart(kind: str, *parts: str) -> str:
    """Return a part that holds others."""
    inner = "".join(f"--{kind}-edge\r\n{part}\r\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={kind}-edge\r\n\r\n{inner}--{kind}-edge--"


def data_of(file: File) -> bytes:
    return b"".join(file.blob.chunks())


def names(mail: Mail) -> list[str]:
    return [file.name for file in mail.files]


# --------------------------------------------------------------------------------------------- where the header ends


def test_a_mail_without_a_separator_arrives() -> None:
    """What the shortest call of smtplib sends is a body, and its code can be found."""
    with Sandbox() as sandbox:
        email = mailbox(sandbox)
        with connected(sandbox) as smtp:
            smtp.sendmail(SENDER, [email], "Your code is 482913")
        (read,) = stored(sandbox, email)
        assert read.content == "Your code is 482913\n"


@pytest.mark.parametrize(
    ("raw", "subject", "content"),
    [
        ("Your code is 482913", "", "Your code is 482913"),
        ("Code: 482913", "", "Code: 482913"),
        ("https://example.org/verify?code=482913", "", "https://example.org/verify?code=482913"),
        ("Subject: Hi\nYour code is 482913\n", "Hi", "Your code is 482913\n"),
        ("Subject: Hi\nhttps://example.org/v\n", "Hi", "https://example.org/v\n"),
        ("Subject: Hi\n \nYour code\n", "Hi", "Your code\n"),
        ("Subject: Hi\n\t \t\nCode: 482913\n", "Hi", "Code: 482913\n"),
        ("Subject: Hi\n there\n \nX-More: y\n\nbody", "Hi there", "body"),
        ("Subject: Hi\nX-No Field: y\n\nbody", "Hi", "X-No Field: y\n\nbody"),
        ("Subject : Hi\n\nbody", "Hi", "body"),
        ("From ann Sat Jan  3 01:05:34 1996\nSubject: Hi\n\nbody", "Hi", "body"),
        ("From now on your code is 482913", "", "From now on your code is 482913"),
        (" Indented first line\nSubject: no\n", "", " Indented first line\nSubject: no\n"),
        ("\nSubject: no\n", "", "Subject: no\n"),
        ("X-Only: y\n\nbody", "", "body"),
        ("Foo: bar\n\nbody", "", "body"),
    ],
)
def test_the_header_ends_at_the_first_line_that_is_none(raw: str, subject: str, content: str) -> None:
    """A field, a continuation and a mailbox file's first line are header; everything from there on is the body."""
    for line_end in ("\n", "\r\n"):
        read = parse(raw.replace("\n", line_end).encode())
        assert (read.subject, read.content) == (subject, content)


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "",
                " ",
                "\t",
                "Subject: Hi",
                "From: a@b.example",
                "Foo: bar",
                " folded",
                "Code: 1",
                "://",
                ":",
                "From x 1:00",
            ]
        ),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
    ),
    max_size=12,
)


@given(LINES, st.sampled_from(["\n", "\r\n"]))
@example(["Subject: x", " ", "Content-"], "\n")
def test_no_line_is_in_neither_header_nor_body(lines: list[str], line_end: str) -> None:
    """Every line of a mail of one part that is not blank is in a field or in the content."""
    lines = [line for line in lines if not line.lower().lstrip().startswith("content-")]
    raw = line_end.join(lines).encode()
    read = parse(raw)
    content = read.content.split("\n")
    fields = header_fields(raw)
    heads = {f"{name}:{value}".replace(" ", "").replace("\t", "") for name, value in fields}
    for line in filter(str.strip, lines):
        squeezed = line.replace(" ", "").replace("\t", "")
        in_field = any(
            squeezed.removeprefix(">") in head.replace("From:", "From", 1) or squeezed in head for head in heads
        )
        assert line in content or in_field, (line, fields, content)


@given(st.binary(max_size=200))
def test_every_byte_is_in_the_header_or_in_the_body(raw: bytes) -> None:
    """The body begins where the header ends, whatever the bytes."""
    from tempmailg.sandbox._header import read_header

    header = read_header(raw, 0, len(raw))
    assert 0 <= header.end <= len(raw)
    read = parse(raw)
    if not any(name.lower().startswith("content-") for name, _ in header.fields) and raw[header.end :].isascii():
        assert read.content == raw[header.end :].decode().replace("\r\n", "\n")


# ----------------------------------------------------------------------------------------------------------- senders


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ('"Example" Shop <shop@example.org>', "Example Shop", "shop@example.org"),
        ('"A" "B" <ab@example.org>', "A B", "ab@example.org"),
        ("A=B & C\\,D <ab@example.org>", "A=B & C\\,D", "ab@example.org"),
        ("=?utf-8?q?a?= =?utf-8?q?b?= <ab@example.org>", "ab", "ab@example.org"),
        ('Ann "the <b>" B. <ann@example.org>', "Ann the <b> B.", "ann@example.org"),
        ('"big box"@example.org', "", '"big box"@example.org'),
        ("(hi) ann@example.org", "hi", "ann@example.org"),
        ("ann@example.org (Ann (the) B.)", "Ann the B.", "ann@example.org"),
        ("Ann (really) <ann@example.org>", "Ann", "ann@example.org"),
        ("<@relay.example,@two.example:shop@example.org>", "", "shop@example.org"),
        ("Staff: Ann <ann@example.org>, Bob <b@example.org>;", "Ann", "ann@example.org"),
        ("Staff: ann@example.org;", "", "ann@example.org"),
        ("Undisclosed:;", "", ""),
        ("ann@example.org, Bob <bob@example.org>", "", "ann@example.org"),
        ("Ann B. ann@example.org", "", "ann@example.org"),
        (r'"Ann \"x\" (B)" <ann@example.org>', 'Ann "x" (B)', "ann@example.org"),
        ("=?utf-8?q?Ann,_B=2E?= <ann@example.org>", "Ann, B.", "ann@example.org"),
    ],
)
def test_senders_are_read_as_their_programs_meant_them(sender: str, name: str, address: str) -> None:
    """Phrases of several words, comments, groups and routes leave one name and one address."""
    read = parse(f"From: {sender}\r\n\r\n".encode())
    assert (read.from_name, read.from_email) == (name, address)


def test_a_mail_without_from_has_a_sender_all_the_same() -> None:
    """Sender stands in for From, and the envelope's sender for both."""
    assert parse(b"Sender: Ann <ann@example.org>\r\n\r\n").from_email == "ann@example.org"
    with Sandbox() as sandbox:
        email = mailbox(sandbox)
        with connected(sandbox) as smtp:
            smtp.sendmail("bounce@example.org", [email], "Subject: x\r\n\r\n")
        assert [mail.from_email for mail in stored(sandbox, email)] == ["bounce@example.org"]


# ---------------------------------------------------------------------------------------------------------- charsets


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("gb2312", "gb18030", "朱镕基"),
        ("GBK", "gb18030", "€镕"),
        ("shift_jis", "cp932", "①髙橋"),
        ("x-sjis", "cp932", "日本㈱"),
        ("ks_c_5601-1987", "cp949", "뷁"),
        ("euc-kr", "cp949", "똠방"),
        ("windows-874", "cp874", "รหัส"),
        ("tis-620", "cp874", "รหัส"),
        ("iso-8859-8-i", "iso8859-8", "קוד"),
        ("iso-8859-1", "cp1252", "“€”"),
        ("us-ascii", "utf-8", "Grüße"),
        ("us-ascii", "cp1252", "Grüße"),
        ("iso-8859-9", "cp1254", "ığş"),
        ("big5", "big5hkscs", "驗證碼"),
        ("utf-16", "utf-16-be", "Code 482913"),
        ("utf-16", "utf-16-le", "Code 482913"),
        ("utf-16", "utf-16", "Code 482913"),
        ("utf-8", "utf-8-sig", "no mark in front"),
        ("utf8mb4", "utf-8", "Grüße"),
        ("x-mac-roman", "mac_roman", "Grüße"),
        ("iso-2022-jp", "iso2022_jp", "認証コード"),
        ("unknown-8bit", "cp1252", "Grüße"),
        ("", "cp1252", "Grüße"),
        ("", "utf-8", "Grüße"),
    ],
)
def test_charsets_are_what_the_web_takes_them_for(label: str, codec: str, text: str) -> None:
    """A label that is too narrow for its text is read by its successor, and raw 8-bit text as Western."""
    declared = f"; charset={label}" if label else ""
    raw = f"Content-Type: text/plain{declared}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
    assert parse(raw + base64.b64encode(text.encode(codec))).content == text


def test_japanese_mail_may_hold_what_windows_added() -> None:
    """ISO-2022-JP with circled digits is read, which no codec of Python's can; broken pairs do no harm."""
    raw = b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n"
    assert parse(raw + b"\x1b$B-!$3\x1b(B 482913").content == "①こ 482913"
    assert parse(raw + b"\x1b$B-!\xff\xff\x01\x02\x7e").content.startswith("①")


def test_raw_bytes_in_a_header_are_read_by_the_bodys_charset() -> None:
    """Names, subjects and file names without encoded words are text, in the body's charset or Windows' Western one."""
    head = 'Subject: Grüße\r\nFrom: "Jürgen" <j@example.org>\r\n'
    assert parse(f"{head}\r\n".encode("latin-1")).subject == "Grüße"
    assert parse(f"{head}\r\n".encode("latin-1")).from_name == "Jürgen"
    assert parse(f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n".encode("latin-1")).subject == "Grüße"
    russian = "Subject: Привет\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\nкод"  # noqa: RUF001 - Russian
    assert (parse(russian.encode("koi8-r")).subject, parse(russian.encode("koi8-r")).content) == ("Привет", "код")
    file = 'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="Grüße.pdf"\r\n\r\n'
    assert names(parse(file.encode("latin-1"))) == ["Grüße.pdf"]


def test_bytes_inside_encoded_words_are_of_the_words_charset() -> None:
    """A raw byte where there should be =XX is decoded with its neighbours."""
    assert parse(b"Subject: =?iso-8859-1?Q?Gr\xfc=DFe?=\r\n\r\n").subject == "Grüße"


def test_a_page_may_declare_its_charset_itself() -> None:
    """HTML without a charset in its header is read by its meta element, and plain text is not."""
    page = '<meta charset="windows-1251"><p>Привет'.encode("cp1251")
    assert parse(b"Content-Type: text/html\r\n\r\n" + page).content.endswith("Привет")
    assert not parse(b"Content-Type: text/plain\r\n\r\n" + page).content.endswith("Привет")


# ------------------------------------------------------------------------------------------------ transfer encodings


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("quoted-printable;", "Gr=C3=BC=C3=9Fe"),
        ('"quoted-printable"', "Gr=C3=BC=C3=9Fe"),
        ("Quoted-Printable (as always)", "Gr=C3=BC=C3=9Fe"),
        ("base64 (x)", "R3LDvMOfZQ=="),
        ("(x) base64; y", "R3LDvMOfZQ=="),
        ("'base64'", "R3LDvMOfZQ=="),
    ],
)
def test_transfer_encodings_are_known_by_whatever_stands_around_them(encoding: str, body: str) -> None:
    """Semicolons, quotes and comments do not keep a text encoded."""
    assert parse(mime(f"Content-Transfer-Encoding: {encoding}", body)).content == "Grüße"


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"\r\nbegin 644 f\r\n#86)C\r\n\r\n`\r\nend\r\n", b"abc"),
        (b"text\r\nbegin 644 f\r\n#86)C\r\n`\r\nend\r\nM more\r\n", b"abc"),
        (b"no begin at all\r\n", b"no begin at all\r\n"),
    ],
)
def test_a_uuencoded_file_is_what_stands_between_begin_and_end(body: bytes, data: bytes) -> None:
    """Blank lines give no zeros, and without a beginning nothing is decoded."""
    head = b"Content-Type: application/x\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n"
    assert [data_of(file) for file in parse(head + body).files] == [data]


UUENCODED = [
    (b"begin 644 f\r\n#86)C\r\n`\r\nend\r\n", ""),
    (b"See the file.\r\nbegin 644 f\r\n#86)C\r\n`\r\nend\r\n\r\nYour code is 482913.\r\n", "See|Your code is 482913."),
    (b"begin with this:\r\nbegin 644 f\r\n#86)C\r\nend\r\nbegin 644 g\r\n", "begin with this:|begin 644 g"),
    (b"begin 644 f\r\n#86)C\r\n`\r\nHE HAS NOT ENDED IT\r\n", "HE HAS NOT ENDED IT"),
    (b"begin 644 f\r\n#86)C\r\nno line of it\r\n`\r\nend\r\n", "no line of it"),
]


@pytest.mark.parametrize(("body", "lines"), UUENCODED)
@pytest.mark.parametrize("content_type", ["text/plain", "text/plain; name=f", "application/x"])
def test_text_around_a_uuencoded_file_is_in_the_content(body: bytes, lines: str, content_type: str) -> None:
    """Each line of a mail of one part that is none of the file's is read in the content, whatever the part is."""
    head = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n".encode()
    read = parse(head + body)
    assert all(line in read.content for line in lines.split("|"))
    assert [data_of(file) for file in read.files] == ([] if content_type == "text/plain" else [b"abc"])
    assert "abc" in read.content or read.files


# -------------------------------------------------------------------------------------------------------- structures

PLAIN = "Content-Type: text/plain\r\n\r\nYour code is 482913 & <more>"
RICH = "Content-Type: text/html\r\n\r\n<p>Unsubscribe</p>"


def test_texts_side_by_side_are_all_shown() -> None:
    """In multipart/mixed a text and a page are one after the other, the text as HTML; only alternatives exclude."""
    read = parse(multipart("mixed", PLAIN, RICH).encode())
    assert read.is_html
    assert read.content == "<p>Your code is 482913 &amp; &lt;more&gt;</p>\n<p>Unsubscribe</p>"
    assert read.files == ()
    assert parse(multipart("mixed", PLAIN, PLAIN).encode()).content.count("482913") == 2
    assert parse(multipart("alternative", PLAIN, RICH).encode()).content == "<p>Unsubscribe</p>"
    blank = "Content-Type: text/plain\r\n\r\n \r\n"
    assert parse(multipart("mixed", blank, RICH, blank).encode()).content == "<p>Unsubscribe</p>"
    nested = multipart("mixed", multipart("alternative", PLAIN, RICH), PLAIN)
    assert parse(nested.encode()).content.startswith("<p>Unsubscribe</p>\n<p>Your code is 482913")


@pytest.mark.parametrize("page", ["", " \r\n", "<html><body>&nbsp;</body></html>", "<!-- x --><style>p {}</style>"])
def test_an_empty_page_gives_way_to_the_text(page: str) -> None:
    """An alternative with nothing to see is not what the reader gets."""
    read = parse(multipart("alternative", PLAIN, f"Content-Type: text/html\r\n\r\n{page}").encode())
    assert (read.is_html, read.content) == (False, "Your code is 482913 & <more>")


def test_a_page_of_pictures_is_not_empty() -> None:
    """An image is something to see, and of two empty alternatives one is the content."""
    picture = 'Content-Type: text/html\r\n\r\n<img src="cid:1">'
    assert parse(multipart("alternative", PLAIN, picture).encode()).content == '<img src="cid:1">'
    blank = "Content-Type: text/plain\r\n\r\n"
    assert parse(multipart("alternative", blank, blank).encode()).content == ""


def test_the_parts_of_a_digest_are_mails() -> None:
    """In multipart/digest a part without a type is a message, not text (RFC 2046 5.1.5)."""
    read = parse(multipart("digest", "\r\nSubject: one\r\n\r\n1", "Content-Type: text/plain\r\n\r\nnote").encode())
    assert [(file.name, file.content_type) for file in read.files] == [("attachment-1.eml", "message/rfc822")]
    assert data_of(read.files[0]) == b"Subject: one\r\n\r\n1"
    assert read.content == "note"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("Content-Type: text/html; name=mail.html", "mail.html"),
        ('Content-Type: text/html|Content-Disposition: inline; filename="mail.html"', "mail.html"),
        ("Content-Type: text/html|Content-Disposition: attachment", "attachment-1.html"),
        ("Content-Type: application/xhtml+xml", "attachment-1.xhtml"),
    ],
)
def test_a_body_that_is_marked_as_a_file_is_still_the_body(head: str, name: str) -> None:
    """Where there is nothing else to read, the file's text is the content, and the file stays one."""
    read = parse(mime(head, "<p>Your code is 482913</p>"))
    assert (read.is_html, read.content) == (True, "<p>Your code is 482913</p>")
    assert len(read.files) == 1
    assert read.files[0].name.startswith(name.partition(".")[0])
    with_text = parse(multipart("mixed", PLAIN, mime(head, "<p>file</p>").decode()).encode())
    assert with_text.content == "Your code is 482913 & <more>"


def test_any_kind_of_text_can_be_read() -> None:
    """A mail of text/markdown alone is not an empty one."""
    assert parse(mime("Content-Type: text/markdown", "# 482913")).content == "# 482913"


def test_a_wrong_boundary_hides_no_text() -> None:
    """The raw text is the content where the parts cannot be told apart."""
    read = parse(
        mime("Content-Type: multipart/mixed; boundary=right", "--wrong", "", "Your code is 482913", "--wrong--")
    )
    assert "Your code is 482913" in read.content
    assert read.files == ()


@pytest.mark.parametrize(
    ("lines", "content"),
    [
        (["Your code is 48 ", "2913."], "Your code is 482913."),
        (["> 48 ", "> 2913", "fixed"], "> 482913\nfixed"),
        (["> quoted ", "not "], "> quoted\nnot"),
        (["-- ", "signature"], "-- \nsignature"),
        ([" stuffed", "plain"], "stuffed\nplain"),
    ],
)
def test_flowed_lines_are_joined(lines: list[str], content: str) -> None:
    """format=flowed with delsp=yes breaks lines within words (RFC 3676); a code is whole again."""
    assert parse(mime("Content-Type: text/plain; format=flowed; delsp=yes", *lines)).content == content


# ------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ['".."', '"."', '""', '" "', '"=?utf-8?Q?=2E=2E?="'])
def test_a_name_that_no_file_can_have_becomes_a_number(name: str) -> None:
    """A sender's ``..`` takes neither its file nor the next one along."""
    part = "Content-Type: application/pdf\r\nContent-Disposition: attachment; filename={}\r\n\r\nbody"
    read = parse(multipart("mixed", PLAIN, part.format(name), part.format("good.pdf")).encode())
    assert names(read) == ["attachment-2.pdf", "good.pdf"]


def test_nameless_files_from_python_get_numbers() -> None:
    """What `deliver` is given under no name can be listed and fetched, too."""
    with Sandbox() as sandbox:
        email = mailbox(sandbox)
        sandbox.deliver(email, attachments=[("", b"x"), ("..", b"y", "text/plain"), ("a.txt", b"z")])
        (read,) = stored(sandbox, email)
        assert names(read) == ["attachment-1.bin", "attachment-2.txt", "a.txt"]


def test_hostile_bodies_arrive_over_real_smtp() -> None:
    """What is worst in all of these goes through a real session, and the next mail is served."""
    with Sandbox() as sandbox:
        email = mailbox(sandbox)
        with connected(sandbox) as smtp:
            for raw in (b"\x00", b"\xff" * 1_000, b":" * 1_000, b" \r\n \r\n", b"From \r\n", b"=?x?q?\xff?="):
                smtp.sendmail(SENDER, [email], raw)
        assert len(stored(sandbox, email)) == 6
        with pytest.raises(smtplib.SMTPRecipientsRefused), connected(sandbox) as smtp:
            smtp.sendmail(SENDER, ["nobody@example.com"], b"x")
