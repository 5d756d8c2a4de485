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
    },
)
"""Builders of a message of about so many characters, by what they repeat."""
