"""Messages written to cost time: every construct that a reader of HTML or text may stumble over, repeated."""

# ruff: noqa: RUF001 -- full-width digits are one of the costly constructs
from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType


def _repeated(unit: str) -> Callable[[int], str]:
    return lambda size: unit * (size // len(unit) + 1)


def _nested(tag: str) -> Callable[[int], str]:
    def build(size: int) -> str:
        depth = size // (2 * len(tag) + 5)
        return f"<{tag}>" * depth + "123456" + f"</{tag}>" * depth

    return build


def _between(before: str, unit: str, after: str) -> Callable[[int], str]:
    return lambda size: before + unit * (size // len(unit)) + after


def _numbered(template: str) -> Callable[[int], str]:
    def build(size: int) -> str:
        count = size // len(template.format(100_000))
        return "".join(template.format(100_000 + number) for number in range(count))

    return build


def _passages(unit: str, length: int, before: str, after: str) -> Callable[[int], str]:
    """Repeat passages of so many characters, each between two texts, of which the first may hold its number."""

    def build(size: int) -> str:
        passage = unit * (length // len(unit)) + after
        return "".join(before.format(number) + passage for number in range(size // (len(passage) + len(before)) + 1))

    return build


def _numbered_passages(template: str, length: int, before: str, after: str) -> Callable[[int], str]:
    """Repeat passages of so many characters, in which no two pieces are alike."""

    def build(size: int) -> str:
        pieces = [template.format(number) for number in range(100_000, 100_000 + size // len(template) + 1)]
        count = max(1, length // len(pieces[0]))
        groups = ("".join(pieces[first : first + count]) for first in range(0, len(pieces), count))
        return "".join(f"{before}{group}{after}" for group in groups)[:size]

    return build


def _below_sheet(rule: str, unit: str) -> Callable[[int], str]:
    """Put elements below a style sheet of equal or numbered rules, half of the size each, up to 60,000 characters."""

    def build(size: int) -> str:
        rules = min(size // 2, 60_000) // len(rule.format(1000))
        sheet = "".join(rule.format(number) for number in range(1000, 1000 + rules))
        return f"<style>{sheet}</style>{_numbered(unit)(size // 2)}"

    return build


HOSTILE: Mapping[str, Callable[[int], str]] = MappingProxyType(
    {
        "tag openers without closers": _repeated("<a "),
        "angle brackets": _repeated("<"),
        "angle brackets and letters": _repeated("<a"),
        "closing angle brackets": _repeated(">"),
        "end tags that nothing opened": _repeated("</b>"),
        "empty elements": _repeated("<b></b>"),
        "nested blocks": _nested("div"),
        "nested quotes": _nested("blockquote"),
        "nested tables": _between("", "<table><tr><td>", "1"),
        "misnested formatting": _between("", "<b><i>", "</b></i>"),
        "open blocks, then other closers": lambda size: "<div>" * (size // 10) + "</p>" * (size // 8),
        "unclosed comment": _between("<p>x</p><!--", "-- ", ""),
        "comment openers": _repeated("<!--"),
        "dashes in a comment": _between("<!--", "-", "-->123456"),
        "declarations": _repeated("<!x "),
        "unclosed quote": _between('<a href="', "x", ""),
        "alternating quotes": _repeated("<a b=\"'"),
        "equals signs": _between("<a ", '="', ">"),
        "quotes after equals signs": _between("<a ", "='", ">"),
        "spaces in a tag": _between("<a ", " ", ">"),
        "one long attribute": _between('<img src="data:image/png;base64,', "iVBORw0KGgo", '">Your code is 123456'),
        "many attributes": _between("<p ", "a=1 ", ">"),
        "tags with fresh attributes": _numbered('<p style="width:{}px">'),
        "links with fresh addresses": _numbered('<a href="https://x.example/verify?t={}">verify</a>'),
        "entities": _repeated("&amp;"),
        "unfinished entities": _repeated("&a"),
        "ampersands": _repeated("&"),
        "numeric entities": _repeated("&#49;"),
        "unclosed style sheet": _between("<style>", ".a{", ""),
        "style soup": _between("<style>", ".a{display:none}", "</style>123456"),
        "unclosed at-rules": _between("<style>", "@media{a{", "</style>1"),
        "style comments": _between("<style>", "/*", "</style>1"),
        "style attribute soup": _between('<p style="', "display: ;", '">123456'),
        "style attribute colons": _between('<p style="font-size', ":", '">123456'),
        "style attribute spaces": _between('<p style="display', " ", '">123456'),
        "raw text openers": _repeated("<script>"),
        "almost closed raw text": _between("<title>", "</titl", ""),
        "line breaks": _repeated("<br>"),
        "cells": _repeated("<td>1"),
        "digits": _repeated("1234567890"),
        "one digit": _repeated("1"),
        "digits and spaces": _repeated("1 "),
        "digits and tabs": _repeated("1\t"),
        "digits and lines": _repeated("1\n"),
        "digits and dashes": _repeated("1-"),
        "codes": _numbered("{} "),
        "codes on lines": _numbered("{}\n"),
        "codes in sentences": _numbered("Your code is {}. "),
        "codes with letters": _numbered("A{}B "),
        "codes with dashes": _numbered("AB-{} "),
        "blocks with dashes": _repeated("ABCD-"),
        "capitals": _repeated("ABCDEF "),
        "phrases": _repeated("abc-"),
        "dashes": _repeated("-"),
        "letters": _repeated("a"),
        "letters and dots": _repeated("a."),
        "one line of words": _repeated("code order verify "),
        "one word of words": _repeated("codeorderverify"),
        "code words": _repeated("code"),
        "characters that glue": _repeated("验证码1234"),
        "characters without spaces": _repeated("验证码优惠"),
        "Thai without spaces": _repeated("รหัสยืนยัน"),
        "full-width digits": _repeated("１２３４５６ "),
        "sentence ends": _repeated(". "),
        "spaces": _between("1", " ", "1"),
        "lines": _repeated("\n"),
        "spaces on lines": _repeated(" \n"),
        "quoted lines": _repeated("> 1\n"),
        "quote marks": _repeated(">"),
        "rules between headers": _repeated("---\na: b\n"),
        "rules": _repeated("---\n"),
        "underscores": _repeated("_"),
        "at signs": _repeated("@"),
        "addresses without end": _repeated("a@"),
        "origin-bound lines": _repeated("@a.b #"),
        "web addresses": _numbered("https://x.example/a?t={} "),
        "web address openers": _repeated("https://"),
        "parentheses in addresses": _between("https://x.example/", ")", ""),
        "domain names": _repeated("a.b"),
        "zero-width characters": _between("1", "\u200c", "1"),
        "direction marks": _repeated("\u202e1"),
        "soft hyphens": _repeated("1\xad"),
        "combining marks": _between("a", "\u0301\u0316", ""),
        "NULs": _repeated("\0"),
        "lone surrogates": _repeated("\ud800"),
        "money": _repeated("$1"),
        "masks": _repeated("*1"),
        "style sheets of fresh rules": _numbered_passages(".a{}{{display:none}}", 60_000, "<style>", "</style>"),
        "small style sheets": _numbered("<style>.a{0}{{display:none;width:{0}px}}</style>"),
        "rules of one class": _below_sheet(".a.b{}{{display:block}}", '<p class="a" id="{}">'),
        "rules of all elements": _below_sheet("*{{display:block}}", '<p id="{}">'),
        "fresh styles": _numbered('<p style="width:{}px;font:1px;display:block;letter-spacing:3px;overflow:hidden">'),
        "classes": _passages("c ", 8_000, '<style>.c{{display:block}}</style><p id="{}" class="', '">'),
        "fresh classes": _numbered_passages("c{} ", 8_000, '<style>p{display:block}</style><p class="', '">'),
        "attributes of many tags": _passages("a=1 ", 8_000, '<p id="{}" ', ">"),
        "attributes without values": _passages("a ", 8_000, '<p id="{}" ', ">"),
        "references in addresses": _passages("&amp;", 8_000, '<a href="https://x.example/{}', '">x</a>'),
        "references in short addresses": _passages("&#49;", 150, '<a href="https://x.example/{}', '">x</a>'),
        "invisible references": _passages("&shy;", 35_000, "<b>", "</b>"),
        "soft hyphens apart": _passages("\xad ", 60_000, "<b>", "</b>"),
        "empty lines as written": _passages("\n", 60_000, "<pre>", "</pre>"),
        "lines as written": _between("<pre>", "1\n", "</pre>"),
        "comments": _repeated("<!---->"),
        "empty end tags": _repeated("</>"),
        "empty scripts": _repeated("<script></script>"),
        "quoted-printable": _between("=\n", "=3D", ""),
        "soft line breaks": _repeated("=3Da=\n"),
        "addresses below a base": lambda size: (
            f'<base href="https://x.example/{"a/" * 900}">{_numbered("<a href=../q?{}>verify</a>")(size)}'
        ),
        "long paths": _passages("%20-a", 1_900, '<a href="https://x.example/{}', '">verify</a>'),
        "addresses between links": _numbered('<a href="x:/{0}"></a>aa://b-{0} '),
        "loud codes": _numbered("<h1>{}</h1>"),
        "quoted codes": _numbered("<blockquote>{}</blockquote>"),
        "fields": _numbered('<input readonly value="{}">'),
        "user names": _numbered("abc{}@x.y "),
        "codes, then invisible references": lambda size: (
            _numbered("Your code is {}.\n")(min(size // 2, 13_000))
            + _passages("&shy;", 7_000, "<b>", "</b>")(size // 2)
        ),
    },
)
"""Builders of a message of about so many characters, by what they repeat."""
