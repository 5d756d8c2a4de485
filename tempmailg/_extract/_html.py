"""HTML to a page, in one pass.

A mail is read for its text, its links and what is hidden or loud; for that a tree is a detour (benchmarks/extraction.py
measures it beside lxml and selectolax). The tokenizer below follows the HTML standard where it matters to the eye:
comments, raw text, quoted attributes, unterminated tags. It reads each character a bounded number of times: no
pattern can backtrack, and what never ends (a comment, a style sheet, a script) swallows the rest, as in a browser.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from html import unescape
from html.entities import html5
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin

import attrs

from tempmailg._extract._page import MAX_CONTENT, MAX_TEXT, Anchor, Page, visible
from tempmailg._extract._patterns import Pattern
from tempmailg._extract._spans import merged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Set as AbstractSet

MAX_TAGS = 5_000
"""Tags that are read; the rest of the message is cut. Newsletters of 250 KB hold about 4,000."""

MAX_WORK = 60_000
"""What else is done for a message, in units of about half a microsecond; the rest of the message is cut. Attributes and
declarations count one each. Newsletters of 250 KB need about 40,000."""

_WORK = {"tag": 10, "style": 14, "rule": 10, "reference": 3, "fitting rule": 2, "line": 2, "relative address": 10}
"""What each of these counts; a tag or a style that was read before counts nothing."""

_RULES, _CHARACTERS, _CLASS_CHARACTERS = 2, 8, 16
"""Rules that are compared with an element, characters of text and of classes that are read, for one unit of work."""

MAX_SKIPPED = 20_000
"""Comments, declarations, scripts and the like that are skipped."""

_MAX_CSS = 65_536
"""Characters of a style sheet that are read."""

_MAX_ENTITIES = 8_000
"""Entities of a passage that are decoded; a page of Cyrillic written in them holds about 2,000."""

_MAX_STYLE = 1_000
"""Characters of a style attribute that are read."""

_MAX_FIELD = 100
"""Characters of a field's value that are read."""

_MAX_ATTRIBUTES = 8_192
"""Characters of a tag that are read; longer ones carry pictures."""

# The commonest first; by their first characters no two of them can match at one place, but for the last.
_TOKEN = re.compile(
    r"""
      <(?P<close>/?)(?P<name>[a-zA-Z][^\s/>]*+)
      (?P<attributes>[^>=]*+(?:=\s*+(?:"[^"]*+"|'[^']*+')?+[^>=]*+)*+)>
    | (?P<text>(?:[^<]++|<(?![a-zA-Z/!?]))++)
    | (?P<comment><!--(?:-?>|[^-]*+(?:-(?!-!?>)[^-]*+)*+(?:--!?>|\Z)))
    | (?P<bogus><(?:[!?]|/(?![a-zA-Z]))[^>]*+>?)
    | (?P<unfinished><[\s\S]*+)
    """,
    re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"""([^\s=/"'>][^\s=/>]*+)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s>]*+))?+""")
_REFERENCE = re.compile(r"&(#[xX]?[0-9a-fA-F]{1,8}+|[A-Za-z][A-Za-z0-9]{1,40}+)(;?)")
_RAW = {
    name: Pattern(rf"</{name}(?=[\s/>])[^>]*+>?", re.IGNORECASE)
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
        "caption",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dt",
        "figcaption",
        "fieldset",
        "footer",
        "form",
        "header",
        "html",
        "legend",
        "li",
        "main",
        "nav",
        "menu",
        "section",
        "summary",
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
_ACTING = frozenset({"a", "base", "br", "img", "input"})
"""Tags that do something beside opening an element."""

_FONT_SIZES = {"1": 10.0, "2": 13.0, "3": 16.0, "4": 18.0, "5": 24.0, "6": 32.0, "7": 48.0}
_PIXELS = {"px": 1.0, "pt": 4 / 3, "em": 16.0, "rem": 16.0, "%": 0.16, "": 1.0}
_LOUD_PIXELS = 20.0
_SPACED_PIXELS = 2.0

_SIZE = Pattern(r"(?<![\w-])font(?:-size)?+\s*+:[^;:\d]{0,40}+(?:[1-9]00\s++)?+(\d++(?:\.\d++)?+)(px|pt|r?em|%|)")
_SPACING = re.compile(r"(\d*+(?:\.\d++)?+)(px|pt|r?em|%|)")
_ZERO = re.compile(r"0(?:\.0*+)?+(?![\d.])")
_MATTERS = Pattern(r"display|visibility|opacity|transparent|overflow|font|letter-spacing|white-space|text-transform")
_SIDES = ("height", "max-height", "width", "max-width")
_VERBATIM = {
    **dict.fromkeys(("pre", "pre-wrap", "break-spaces"), "verbatim"),
    "pre-line": "lines",
    **dict.fromkeys(("normal", "nowrap"), "flowing"),
}
_FIRST_LETTER = Pattern(r"(?<![\w'\u2019])[^\W\d_]")
_TRANSFORMS: dict[str, Callable[[str], str]] = {
    "uppercase": str.upper,
    "lowercase": str.lower,
    "capitalize": lambda text: _FIRST_LETTER.ready.sub(lambda found: found[0].upper(), text),
    "none": str,
}
_AT_RULE = Pattern(r"@[^{};@]{0,200}+\{[^{}]*+(?:\{[^{}]*+\}[^{}]*+)*+(?:\}|\Z)|/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/|\Z)")
_RULE = re.compile(r"(?:(?<=[{}])|\A)([^{}]++)\{([^{}]*+)\}")
_COMPOUND = Pattern(r"\A([a-z][a-z0-9]*+|\*)?+((?:[.#][\w-]{1,100}+)*+)\Z", re.IGNORECASE)
_QUOTE_CLASSES = frozenset({"gmail_quote", "gmail_quote_container", "moz-cite-prefix", "yahoo_quoted"})
_SHOWN_FIELDS = frozenset({"", "text", "tel", "number", "email", "url", "search"})


class _Style(NamedTuple):
    """What a style says about being seen; None where it says nothing."""

    display: str | None = None
    visible: bool | None = None
    faded: bool = False
    """Whether it hides by other means: no opacity, no colour, no height."""
    size: float | None = None
    """Font size in pixels."""
    spaced: bool = False
    spaces: str | None = None
    """What becomes of white space: `verbatim`, `lines`, `flowing`."""
    transform: str | None = None

    def over(self, below: _Style) -> _Style:
        """Lay this style over a weaker one."""
        return _Style(
            below.display if self.display is None else self.display,
            below.visible if self.visible is None else self.visible,
            self.faded or below.faded,
            below.size if self.size is None else self.size,
            self.spaced or below.spaced,
            below.spaces if self.spaces is None else self.spaces,
            below.transform if self.transform is None else self.transform,
        )


_PLAIN = _Style()


class _Rule(NamedTuple):
    """A rule of a style sheet for elements with a tag, an id and classes."""

    weight: int
    tag: str
    name: str
    classes: frozenset[str]
    style: _Style

    def fits(self, tag: str, name: str, classes: AbstractSet[str]) -> bool:
        """Whether the rule is one for an element."""
        return self.tag in {"", tag} and self.name in {"", name} and self.classes <= classes


class _Gap(IntEnum):
    """How far two pieces of text stand apart; the widest gap between them counts."""

    NONE = 0
    SPACE = 1
    CELL = 2
    LINE = 3
    PARAGRAPH = 4


_GAPS = ("", " ", "\t", "\n", "\n\n")
"""What is written for each."""


class _Look(NamedTuple):
    """What an element's content inherits."""

    gone: bool = False
    """Whether nothing in it can be seen."""
    invisible: bool = False
    """Whether nothing in it can be seen that does not say otherwise."""
    hidden: bool = False
    """Whether its own text cannot be seen."""
    loud: bool = False
    size: float = 16.0
    """Font size in pixels."""
    spaces: str = "flowing"
    transform: str = "none"
    parts_children: bool = False
    """Whether its children stand apart whatever they are: those of a flex box or a grid."""


_USUAL = _Look()
_GONE = _Look(gone=True, hidden=True)


class _Tag(NamedTuple):
    """What the source of a tag says; the tags of a mail are much alike."""

    attributes: dict[str, str]
    style: _Style
    unseen: bool
    """Whether nothing in such an element is ever seen."""
    quotation: bool
    inside: dict[_Look, tuple[_Gap, _Look]]
    """What parts such an element from its surroundings, and its look, by what it stands in."""


_Element = tuple[str, _Look, _Gap, int]
"""An open element: its name, its look, what parts it from what stands before and behind it, and where its text begins
when it is a quotation, else -1. A plain tuple, for every tag makes one."""

_ROOT: _Element = ("", _USUAL, _Gap.NONE, -1)
_TAG_GAPS = {
    **dict.fromkeys(_PARAGRAPH, _Gap.PARAGRAPH),
    **dict.fromkeys(_LINE, _Gap.LINE),
    **dict.fromkeys(_CELL, _Gap.CELL),
}


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

    def part(self, gap: _Gap) -> None:
        """Ask for at least this gap before the next text."""
        if gap > self.gap:  # noqa: PLR1730 -- every tag asks, and a call of max() takes twice as long
            self.gap = gap

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
    open_names: dict[str, int] = attrs.field(factory=dict[str, int])
    sheet: dict[str, list[_Rule]] = attrs.field(factory=dict[str, list[_Rule]])
    anchors: list[Anchor] = attrs.field(factory=list[Anchor])
    quoted: list[tuple[int, int]] = attrs.field(factory=list[tuple[int, int]])
    tags: dict[tuple[str, str], _Tag] = attrs.field(factory=dict[Any, Any])
    """Each tag that was read, by its name and source."""
    left: int = MAX_WORK
    """Work that may still be done."""
    url: str | None = None
    label: str = ""
    base: str = ""
    """What relative addresses are relative to."""

    def text(self, raw: str) -> None:
        look = self.stack[-1][1]
        if look.hidden:
            return
        flowing = look.spaces == "flowing"
        if flowing and not raw.strip(" \t\n\r"):
            self.writer.part(_Gap.SPACE)
            return
        raw = raw[: MAX_TEXT - self.writer.length]
        self.left -= len(raw) // _CHARACTERS + raw.count("&") + (0 if flowing else _WORK["line"] * raw.count("\n"))
        shown = visible(_decoded(raw))
        if look.transform != "none":
            shown = _TRANSFORMS[look.transform](shown)
        if flowing:
            self._flowing(shown, loud=look.loud)
        else:
            self._by_lines(shown, look)

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

    def _by_lines(self, shown: str, look: _Look) -> None:
        for index, line in enumerate(shown.replace("\r\n", "\n").split("\n")):
            if index:
                self.writer.part(_Gap.LINE)
            if line.strip():
                kept = line.rstrip() if look.spaces == "verbatim" else " ".join(line.split())
                self.writer.write(kept, loud=look.loud)

    def open(self, name: str, source: str) -> None:
        if name == "p" and self.stack[-1][0] == "p":
            self.close("p")
        tag = self.tags.get((name, source))
        if tag is None:
            tag = self.tags[name, source] = self._read_tag(name, source)
        outer = self.stack[-1][1]
        inside = tag.inside.get(outer)
        if inside is None:
            inside = tag.inside[outer] = _inside(name, tag, outer)
        gap, look = inside
        self.writer.part(gap)
        if name in _ACTING:
            self._act(name, tag.attributes, look)
        if name not in _VOID:
            quoted_from = self.writer.length if tag.quotation and not look.gone else -1
            self.stack.append((name, look, gap, quoted_from))
            self.open_names[name] = self.open_names.get(name, 0) + 1

    def _act(self, name: str, attributes: dict[str, str], look: _Look) -> None:
        """Do what a tag does beside opening an element."""
        if name == "br":
            self.line_break()
        elif name == "img" and self.url is not None and not self.label:
            self.label = visible(attributes.get("alt", ""))
        elif name == "a":
            self._open_anchor(attributes)
        elif name == "base" and not self.base:
            base = _LINE_ENDS.sub("", attributes.get("href", "")).strip(_BLANKS)
            self.base = f"https:{base}" if base.startswith("//") else base
        elif name == "input" and not look.hidden and _shows_value(attributes):
            self.writer.write(visible(attributes.get("value", "")).strip()[:_MAX_FIELD], loud=look.loud)

    def line_break(self) -> None:
        self.writer.part(_Gap.PARAGRAPH if self.writer.gap is _Gap.LINE else _Gap.LINE)

    def close(self, name: str) -> None:
        if name == "a":
            self._close_anchor()
        if not self.open_names.get(name):
            self._close_unopened(name)
            return
        opened = ""
        while opened != name:
            opened, _, gap, quoted_from = self.stack.pop()
            self.open_names[opened] -= 1
            if quoted_from >= 0:
                self.quoted.append((quoted_from, self.writer.length))
            if opened == name:
                self.writer.part(gap)

    def _close_unopened(self, name: str) -> None:
        """Read `</br>` as a line break and a lone `</p>` as an empty paragraph, as browsers do."""
        if name == "br":
            self.line_break()
        elif name == "p":
            self.writer.part(_Gap.PARAGRAPH)

    def style_sheet(self, css: str) -> None:
        """Keep the rules for a tag, an id, classes or all of them, outside of media queries."""
        self.tags.clear()
        self.left -= min(len(css), _MAX_CSS) // _CHARACTERS
        for selectors, declarations in _RULE.findall(_without_at_rules(css[:_MAX_CSS])):
            if self.left < 0:
                return
            style = self._declared(declarations)
            if style is not _PLAIN:
                self._keep_rules(selectors, style)

    def _keep_rules(self, selectors: str, style: _Style) -> None:
        each = selectors.split(",")
        self.left -= _WORK["rule"] * len(each)
        for selector in each if self.left >= 0 else ():
            self._keep_rule(selector.strip(), style)

    def _keep_rule(self, selector: str, style: _Style) -> None:
        found = _COMPOUND.ready.match(selector)
        if found is None or not selector:
            return
        tag, rest = (found[1] or "").lower().strip("*"), found[2]
        marked = rest.replace("#", ".#").split(".")[1:]
        ids = [name[1:] for name in marked if name[0] == "#"]
        classes = frozenset([name for name in marked if name[0] != "#"])
        rule = _Rule(100 * len(ids) + 10 * len(classes) + bool(tag), tag, ids[0] if ids else "", classes, style)
        key = f"#{rule.name}" if ids else f".{min(classes)}" if classes else tag
        self.sheet.setdefault(key, []).append(rule)

    def page(self) -> Page:
        self._close_anchor()
        for _, _, _, quoted_from in self.stack:
            if quoted_from >= 0:
                self.quoted.append((quoted_from, self.writer.length))
        text = "".join(self.writer.pieces)[:MAX_TEXT]
        return Page(text, tuple(self.anchors), tuple(self.writer.loud), tuple(merged(self.quoted)))

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
        self.left -= _WORK["relative address"] + self.base.count("/") + url.count("/")
        try:
            return urljoin(self.base, url)
        except ValueError:
            return None

    def _close_anchor(self) -> None:
        if self.url is not None and not self.stack[-1][1].hidden:
            start = self.writer.marked
            self.anchors.append(Anchor(self.url, start, max(start, self.writer.length), self.label))
        self.url = None

    def _read_tag(self, name: str, source: str) -> _Tag:
        pairs = _ATTRIBUTE.findall(source[:_MAX_ATTRIBUTES]) if source else ()
        self.left -= _WORK["tag"] + len(pairs) + _WORK["reference"] * source.count("&", 0, _MAX_ATTRIBUTES)
        attributes = _attributes(pairs)
        style = self._style_of(name, attributes)
        return _Tag(
            attributes,
            style,
            unseen=name in _UNSEEN or "hidden" in attributes or (name == "dialog" and "open" not in attributes),
            quotation=_is_quotation(name, attributes),
            inside={},
        )

    def _style_of(self, name: str, attributes: dict[str, str]) -> _Style:
        style = self._declared(attributes["style"]) if "style" in attributes else _PLAIN
        if self.sheet:
            for rule in self._rules_for(name, attributes):
                style = rule.style if style is _PLAIN else style.over(rule.style)
        if font := _FONT_SIZES.get(attributes.get("size", "")):
            style = style.over(_Style(size=font))
        return style

    def _declared(self, declarations: str) -> _Style:
        self.left -= _WORK["style"] + declarations.count(";", 0, _MAX_STYLE)
        return _style(declarations)

    def _rules_for(self, name: str, attributes: dict[str, str]) -> list[_Rule]:
        """Return the rules for an element, the strongest first."""
        rules = [*self.sheet.get(name, ()), *self.sheet.get("", ())]
        classes, own = dict.fromkeys(attributes.get("class", "").split()), attributes.get("id", "")
        compared = len(rules) + len(attributes.get("class", "")) // _CLASS_CHARACTERS
        for key in (*[f".{each}" for each in classes], f"#{own}") if classes or own else ():
            possible = self.sheet.get(key, ())
            compared += len(possible) + 1
            rules += [rule for rule in possible if rule.fits(name, own, classes.keys())]
        self.left -= compared // _RULES + _WORK["fitting rule"] * len(rules)
        return sorted(rules, key=_weight)[::-1] if len(rules) > 1 else rules


def _without_at_rules(css: str) -> str:
    """Leave out media queries and comments."""
    return _AT_RULE.ready.sub("", css) if "@" in css or "/*" in css else css


def _weight(rule: _Rule) -> int:
    return rule.weight


def _gap_of(name: str, display: str | None) -> _Gap:
    """Return how far an element stands apart, by its style or else by its tag."""
    usual = _TAG_GAPS.get(name, _Gap.NONE)
    if display is None or display == "none":
        return usual
    if display == "table-cell":
        return _Gap.CELL
    if display.startswith("inline") or display == "contents":
        return _Gap.NONE
    return max(usual if usual is not _Gap.CELL else _Gap.LINE, _Gap.LINE)


def _inside(name: str, tag: _Tag, outer: _Look) -> tuple[_Gap, _Look]:
    """Return what parts an element from its surroundings, and its look, by what it stands in."""
    if tag.unseen or outer.gone:
        return _TAG_GAPS.get(name, _Gap.NONE), _GONE
    gap = _gap_of(name, tag.style.display)
    return max(gap, _Gap.LINE) if outer.parts_children else gap, _inherited(name, tag.style, outer)


def _inherited(name: str, style: _Style, outer: _Look) -> _Look:
    """Return how the content of an element looks inside another one."""
    gone = style.display == "none" or style.faded
    invisible = outer.invisible if style.visible is None else not style.visible
    size = outer.size if style.size is None else style.size
    return _Look(
        gone,
        invisible,
        hidden=gone or invisible or size <= 1,
        loud=_is_loud(name, style, outer),
        size=size,
        spaces=style.spaces or ("verbatim" if name == "pre" else outer.spaces),
        transform=style.transform or outer.transform,
        parts_children=style.display in {"flex", "grid", "inline-flex", "inline-grid"},
    )


def _is_loud(name: str, style: _Style, outer: _Look) -> bool:
    inherited = outer.loud and style.size is None
    return inherited or style.spaced or name in _LOUD or (style.size or 0) >= _LOUD_PIXELS


def _is_quotation(name: str, attributes: dict[str, str]) -> bool:
    return name == "blockquote" or not _QUOTE_CLASSES.isdisjoint(attributes.get("class", "").split())


def _shows_value(attributes: dict[str, str]) -> bool:
    """Whether a field is there to be read, not to be filled in."""
    fixed = "readonly" in attributes or "disabled" in attributes
    return fixed and attributes.get("type", "").lower() in _SHOWN_FIELDS


def read_html(content: str) -> Page:
    """Read an HTML message as a mail program shows it."""
    reader = _Reader()
    writer = reader.writer
    for count, (close, name, rest) in enumerate(_tokens(content[:MAX_CONTENT])):
        if count >= MAX_TAGS or writer.length >= MAX_TEXT or reader.left < 0:
            break
        if not name:
            reader.text(rest)
        elif close:
            reader.close(name)
        elif name == "style":
            reader.style_sheet(rest)
        else:
            reader.open(name, rest)
    return reader.page()


def _tokens(content: str) -> Iterator[tuple[str, str, str]]:
    """Yield (`/` of a closing tag, tag name, attributes); text comes without a name, a style sheet as `style`'s."""
    position = skipped = 0
    while skipped <= MAX_SKIPPED and (token := _TOKEN.match(content, position)):
        position, kind = token.end(), token.lastgroup
        if kind == "text":
            yield "", "", token[0]
            continue
        if kind != "attributes":
            skipped += 1
            continue
        close, name, attributes = token.group("close", "name", "attributes")
        name = name.lower()
        if close or name not in _RAW:
            yield close, name, attributes
            continue
        end = _RAW[name].ready.search(content, position)
        if name == "style":
            yield "", name, content[position : end.start() if end else len(content)]
        position, skipped = end.end() if end else len(content), skipped + 1


def _decoded(text: str) -> str:
    """Decode the entities of a text, unless there are so many that they are no text."""
    return unescape(text) if 0 < text.count("&") <= _MAX_ENTITIES else text


def _attributes(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Read a tag's attributes; the first of a name counts, as in a browser."""
    found: dict[str, str] = {}
    for name, value in pairs:
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


@lru_cache(maxsize=512)
def _style(declarations: str) -> _Style:
    css = declarations[:_MAX_STYLE].lower()
    if not _MATTERS.ready.search(css):
        return _PLAIN
    pairs = (declaration.partition(":") for declaration in css.replace("!important", "").split(";"))
    said = {name.strip(): value.strip() for name, _, value in pairs}
    visibility = said.get("visibility")
    return _Style(
        display=said.get("display"),
        visible=None if visibility not in {"hidden", "collapse", "visible"} else visibility == "visible",
        faded=_is_faded(said),
        size=_pixels(_SIZE.ready.search(css)),
        spaced=(_pixels(_SPACING.match(said.get("letter-spacing", ""))) or 0) >= _SPACED_PIXELS,
        spaces=_VERBATIM.get(said.get("white-space", "")),
        transform=said["text-transform"] if said.get("text-transform") in _TRANSFORMS else None,
    )


def _is_faded(said: dict[str, str]) -> bool:
    """Whether a style hides by other means than `display` and `visibility`."""
    if said.get("color") == "transparent" or _ZERO.match(said.get("opacity", "")):
        return True
    return said.get("overflow", "").startswith("hidden") and any(_ZERO.match(said.get(side, "")) for side in _SIDES)


def _pixels(found: re.Match[str] | None) -> float | None:
    if found is None or not found[1]:
        return None
    return float(found[1]) * _PIXELS[found[2]]
