"""HTML to a page, in one pass.

A mail is read for its text, its links and what is hidden or loud; for that a tree is a detour (benchmarks/extraction.py
measures it beside lxml and selectolax). The tokenizer below follows the HTML standard where it matters to the eye:
comments, raw text, quoted attributes, unterminated tags. It looks at each character a bounded number of times: no
pattern can backtrack, and what never ends (a comment, a style sheet, a script) swallows the rest, as in a browser.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import IntEnum
from html import unescape
from html.entities import html5
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin

import attrs

from tempmailg._extract._page import MAX_CONTENT, MAX_TEXT, Anchor, Page, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_TAGS = 5_000
"""Tags that are read; the rest of the message is cut. Newsletters of 250 KB hold about 4,000."""

_MAX_CSS = 65_536
"""Characters of a style sheet that are read."""

_MAX_ENTITIES = 8_000
"""Entities of a passage that are decoded; a page of Cyrillic written in them holds about 2,000."""

_MAX_STYLE = 1_000
"""Characters of a style attribute that are read."""

_MAX_ATTRIBUTES = 8_192
"""Characters of a tag that are read; longer ones carry pictures."""

_TOKEN = re.compile(
    r"""
      (?P<text>(?:[^<]++|<(?![a-zA-Z/!?]))++)
    | (?P<comment><!--(?:-?>|[^-]*+(?:-(?!-!?>)[^-]*+)*+(?:--!?>|\Z)))
    | (?P<bogus><(?:[!?]|/(?![a-zA-Z]))[^>]*+>?)
    | <(?P<close>/?)(?P<name>[a-zA-Z][^\s/>]*+)
      (?P<attributes>(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+)>
    | (?P<unfinished><[\s\S]*+)
    """,
    re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"""([^\s=/"'>][^\s=/>]*+)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s>]*+))?+""")
_REFERENCE = re.compile(r"&(#[xX]?[0-9a-fA-F]{1,8}+|[A-Za-z][A-Za-z0-9]{1,40}+)(;?)")
_RAW = {
    name: re.compile(rf"</{name}(?=[\s/>])[^>]*+>?", re.IGNORECASE)
    for name in ("iframe", "noembed", "noframes", "plaintext", "script", "style", "textarea", "title", "xmp")
}

_LINE_ENDS = re.compile(r"[\t\n\r]")
_BLANKS = "".join(map(chr, range(33)))
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]{0,30}+:", re.IGNORECASE)

_VOID = frozenset(
    {
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    }
)
_UNSEEN = frozenset({"audio", "canvas", "datalist", "map", "object", "select", "svg", "template", "video", "xml"})
_LOUD = frozenset({"code", "h1", "h2", "h3", "kbd", "pre", "samp", "tt"})
_LINE = frozenset(
    {
        "body",
        "center",
        "dd",
        "div",
        "dt",
        "fieldset",
        "footer",
        "form",
        "header",
        "html",
        "li",
        "main",
        "nav",
        "section",
        "tr",
    }
)
_PARAGRAPH = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "dl",
        "figure",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "ol",
        "p",
        "pre",
        "table",
        "ul",
    }
)
_CELL = frozenset({"td", "th"})

_FONT_SIZES = {"1": 10.0, "2": 13.0, "3": 16.0, "4": 18.0, "5": 24.0, "6": 32.0, "7": 48.0}
_PIXELS = {"px": 1.0, "pt": 4 / 3, "em": 16.0, "rem": 16.0, "%": 0.16, "": 1.0}
_LOUD_PIXELS = 20.0
_SPACED_PIXELS = 2.0

_HIDING = re.compile(
    r"(?<![\w-])(?:display\s*+:\s*+none|visibility\s*+:\s*+hidden|opacity\s*+:\s*+0(?:\.0*+)?(?![\d.])"
    r"|color\s*+:\s*+transparent)",
)
_FLAT = re.compile(r"(?<![\w-])(?:max-)?(?:height|width)\s*+:\s*+0(?![\d.])")
_CLIPPED = re.compile(r"(?<![\w-])overflow\s*+:\s*+hidden")
_SIZE = re.compile(r"(?<![\w-])font(?:-size)?+\s*+:[^;:\d]{0,40}+(?:[1-9]00\s++)?+(\d++(?:\.\d++)?+)(px|pt|r?em|%|)")
_SPACING = re.compile(r"(?<![\w-])letter-spacing\s*+:\s*+(\d*+(?:\.\d++)?+)(px|pt|r?em|%|)")
_TELLING = re.compile(r"display|visibility|opacity|transparent|overflow|font|letter-spacing")
_AT_RULE = re.compile(
    r"@[^{};@]{0,200}+\{[^{}]*+(?:\{[^{}]*+\}[^{}]*+)*+(?:\}|\Z)|/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/|\Z)"
)
_RULE = re.compile(r"(?:(?<=[{}])|\A)([^{}]++)\{([^{}]*+)\}")
_CLASS = re.compile(r"\A[a-z0-9]*+\.([\w-]++)\Z", re.IGNORECASE)


class _Style(NamedTuple):
    """What a style says about being seen."""

    hidden: bool = False
    size: float | None = None
    """Font size in pixels, when the style sets one."""
    spaced: bool = False

    def over(self, below: _Style) -> _Style:
        """Lay this style over a weaker one."""
        size = below.size if self.size is None else self.size
        return _Style(self.hidden or below.hidden, size, self.spaced or below.spaced)


_PLAIN = _Style()


class _Gap(IntEnum):
    """How far two pieces of text stand apart; the widest gap between them counts."""

    NONE = 0
    SPACE = 1
    CELL = 2
    LINE = 3
    PARAGRAPH = 4


_GAPS = {_Gap.NONE: "", _Gap.SPACE: " ", _Gap.CELL: "\t", _Gap.LINE: "\n", _Gap.PARAGRAPH: "\n\n"}


class _Element(NamedTuple):
    """An open element with what its content inherits."""

    name: str
    hidden: bool = False
    loud: bool = False
    size: float = 16.0
    """Font size in pixels."""
    verbatim: bool = False


_ROOT = _Element("")


@attrs.define
class _Writer:
    """Collects visible text and remembers where it stands."""

    pieces: list[str] = attrs.field(factory=list[str])
    length: int = 0
    gap: _Gap = _Gap.NONE
    loud: list[tuple[int, int]] = attrs.field(factory=list[tuple[int, int]])
    marked: int = 0
    """Where the text begins that was written after the last mark; the end of the text while there is none."""
    waiting: bool = False

    def mark(self) -> None:
        """Mark the place of the next text."""
        self.marked, self.waiting = self.length, True

    @property
    def full(self) -> bool:
        return self.length >= MAX_TEXT

    def part(self, gap: _Gap) -> None:
        """Ask for at least this gap before the next text."""
        self.gap = max(self.gap, gap)

    def write(self, text: str, *, loud: bool) -> None:
        """Append text after the gap that is due."""
        before = _GAPS[self.gap] if self.length else ""
        self.gap = _Gap.NONE
        start = self.length + len(before)
        if self.waiting:
            self.marked, self.waiting = start, False
        self.pieces += (before, text)
        self.length = start + len(text)
        if loud:
            self.loud.append((start, self.length))


@attrs.define
class _Reader:
    """Follows the tags and hands the visible text to the writer."""

    writer: _Writer = attrs.field(factory=_Writer)
    stack: list[_Element] = attrs.field(factory=lambda: [_ROOT])
    open_names: Counter[str] = attrs.field(factory=Counter[str])
    sheet: dict[str, _Style] = attrs.field(factory=dict[str, _Style])
    anchors: list[Anchor] = attrs.field(factory=list[Anchor])
    url: str | None = None
    label: str = ""
    base: str = ""
    """What relative addresses are relative to."""

    def text(self, raw: str) -> None:
        element = self.stack[-1]
        if element.hidden or element.size <= 1:
            return
        shown = visible(_decoded(raw[: MAX_TEXT - self.writer.length]))
        if element.verbatim:
            self._verbatim(shown, loud=element.loud)
        else:
            self._flowing(shown, loud=element.loud)

    def _flowing(self, shown: str, *, loud: bool) -> None:
        words = shown.split()
        if not words:
            if shown:
                self.writer.part(_Gap.SPACE)
            return
        if shown[0].isspace():
            self.writer.part(_Gap.SPACE)
        self.writer.write(" ".join(words), loud=loud)
        if shown[-1].isspace():
            self.writer.part(_Gap.SPACE)

    def _verbatim(self, shown: str, *, loud: bool) -> None:
        for index, line in enumerate(shown.replace("\r\n", "\n").split("\n")):
            if index:
                self.writer.part(_Gap.LINE)
            if line.strip():
                self.writer.write(line.rstrip(), loud=loud)

    def open(self, name: str, attributes: dict[str, str]) -> None:
        self._part(name)
        if name == "br":
            self.writer.part(_Gap.PARAGRAPH if self.writer.gap is _Gap.LINE else _Gap.LINE)
        elif name == "img" and self.url is not None and not self.label:
            self.label = visible(attributes.get("alt", ""))
        elif name == "p" and self.stack[-1].name == "p":
            self.close("p")
        elif name == "a":
            self._open_anchor(attributes)
        elif name == "base" and not self.base:
            self.base = _LINE_ENDS.sub("", attributes.get("href", "")).strip(_BLANKS)
        if name not in _VOID:
            self.stack.append(self._element(name, attributes))
            self.open_names[name] += 1

    def close(self, name: str) -> None:
        if name == "a":
            self._close_anchor()
        if not self.open_names[name]:
            return
        while self.stack[-1].name != name:
            self.open_names[self.stack.pop().name] -= 1
        self.stack.pop()
        self.open_names[name] -= 1
        self._part(name)

    def style_sheet(self, css: str) -> None:
        """Keep the rules for a single class, outside of media queries: preheaders are hidden and codes enlarged so."""
        for selectors, declarations in _RULE.findall(_AT_RULE.sub("", css[:_MAX_CSS])):
            for selector in selectors.split(","):
                if found := _CLASS.search(selector.strip()):
                    self.sheet[found[1]] = _style(declarations)

    def page(self) -> Page:
        self._close_anchor()
        text = "".join(self.writer.pieces)[:MAX_TEXT]
        return Page(text, tuple(self.anchors), tuple(self.writer.loud))

    def _part(self, name: str) -> None:
        if name in _PARAGRAPH:
            self.writer.part(_Gap.PARAGRAPH)
        elif name in _LINE:
            self.writer.part(_Gap.LINE)
        elif name in _CELL:
            self.writer.part(_Gap.CELL)

    def _open_anchor(self, attributes: dict[str, str]) -> None:
        self._close_anchor()
        self.url = self._target(attributes.get("href", ""))
        self.label = visible(attributes.get("title") or attributes.get("aria-label") or "")
        self.writer.mark()

    def _target(self, reference: str) -> str | None:
        """Return where a reference leads, as a browser reads it: without line ends, relative to the base."""
        url = _LINE_ENDS.sub("", reference).strip(_BLANKS)
        if url.startswith("//"):
            return f"{self.base.partition('//')[0] or 'https:'}{url}"
        if not self.base or not url or _ABSOLUTE.match(url):
            return url or None
        try:
            return urljoin(self.base, url)
        except ValueError:
            return None

    def _close_anchor(self) -> None:
        if self.url is not None and not self.stack[-1].hidden:
            start = self.writer.marked
            self.anchors.append(Anchor(self.url, start, max(start, self.writer.length), self.label))
        self.url = None

    def _element(self, name: str, attributes: dict[str, str]) -> _Element:
        outer = self.stack[-1]
        if outer.hidden or name in _UNSEEN or "hidden" in attributes:
            return _Element(name, hidden=True)
        style = self._style_of(attributes)
        size = style.size if style.size is not None else outer.size
        inherited = outer.loud and style.size is None
        loud = inherited or style.spaced or name in _LOUD or (style.size or 0) >= _LOUD_PIXELS
        return _Element(name, style.hidden, loud, size, outer.verbatim or name == "pre")

    def _style_of(self, attributes: dict[str, str]) -> _Style:
        style = _style(attributes["style"]) if "style" in attributes else _PLAIN
        for name in attributes.get("class", "").split() if self.sheet else ():
            if rule := self.sheet.get(name):
                style = style.over(rule)
        if font := _FONT_SIZES.get(attributes.get("size", "")):
            style = style.over(_Style(size=font))
        return style


def read_html(content: str) -> Page:
    """Read an HTML message as a mail program shows it."""
    reader = _Reader()
    for count, (close, name, attributes) in enumerate(_tokens(content[:MAX_CONTENT])):
        if count >= MAX_TAGS or reader.writer.full:
            break
        if not name:
            reader.text(attributes)
        elif name == "style":
            reader.style_sheet(attributes)
        elif close:
            reader.close(name)
        else:
            reader.open(name, _attributes(attributes))
    return reader.page()


def _tokens(content: str) -> Iterator[tuple[str, str, str]]:
    """Yield (`/` of a closing tag, tag name, attributes); text comes without a name, a style sheet as `style`'s."""
    position = 0
    while token := _TOKEN.match(content, position):
        position = token.end()
        kind = token.lastgroup
        if kind == "text":
            yield "", "", token[0]
        elif kind == "attributes":
            name = token["name"].lower()
            raw = _RAW.get(name) if not token["close"] else None
            if raw is None:
                yield token["close"], name, token["attributes"]
                continue
            end = raw.search(content, position)
            if name == "style":
                yield "", name, content[position : end.start() if end else len(content)]
            position = end.end() if end else len(content)


def _decoded(text: str) -> str:
    """Decode the entities of a text, unless there are so many that they are no text."""
    return unescape(text) if 0 < text.count("&") <= _MAX_ENTITIES else text


def _attributes(source: str) -> dict[str, str]:
    """Read a tag's attributes; the first of a name counts, as in a browser."""
    found: dict[str, str] = {}
    for name, value in _ATTRIBUTE.findall(source[:_MAX_ATTRIBUTES]) if source else ():
        bare = value[1:-1] if value[:1] in {'"', "'"} else value
        found.setdefault(name.lower(), _REFERENCE.sub(_referred, bare) if "&" in bare else bare)
    return found


def _referred(found: re.Match[str]) -> str:
    """Decode a reference of an attribute: `&copy;` and `&copy`, but not `&copy=` (HTML standard, 13.2.5.73)."""
    name, end = found[1], found[2]
    if not end and not name.startswith("#") and found.string[found.end() : found.end() + 1] == "=":
        return found[0]
    known = name.startswith("#") or (name + end in html5)
    return unescape(found[0]) if known else found[0]


def _style(declarations: str) -> _Style:
    css = declarations[:_MAX_STYLE].lower()
    if not _TELLING.search(css):
        return _PLAIN
    flat = _FLAT.search(css) is not None and _CLIPPED.search(css) is not None
    return _Style(
        hidden=flat or _HIDING.search(css) is not None,
        size=_pixels(_SIZE.search(css)),
        spaced=(_pixels(_SPACING.search(css)) or 0) >= _SPACED_PIXELS,
    )


def _pixels(found: re.Match[str] | None) -> float | None:
    if found is None or not found[1]:
        return None
    return float(found[1]) * _PIXELS[found[2]]
