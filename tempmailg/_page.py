"""A mail as a page that a browser can open safely: it loads nothing, runs nothing and leads nowhere. Pure.

Three fences stand around a mail, each for what the others let through. The policy forbids to load and to run. The
sandboxed frame keeps `<meta http-equiv=refresh>` and forms from leading the browser away. And since browsers connect to
what a frame or `<link rel=preconnect>` names before they ask any policy, those tags get names that mean nothing.
"""

from __future__ import annotations

import html
import mimetypes
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAIL_POLICY", "safe_page"]

MAIL_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'"
"""The Content-Security-Policy of a page that `safe_page` makes; it is also in the page."""

_NO_LOOK_UPS: Final = '<meta http-equiv="x-dns-prefetch-control" content="off">'  # a link's host name is an answer, too
_PAGE: Final = """\
<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" \
content="{policy}"><meta name="referrer" content="no-referrer"><meta name="viewport" content="width=device-width">\
{no_look_ups}<title>{title}</title><style>html, body, iframe {{ width: 100%; height: 100%; margin: 0; border: 0 }} \
html {{ background: #fff }} iframe {{ display: block }}</style>
<iframe {sandbox} title="The mail" srcdoc="{content}"></iframe>
"""
_CLOSED: Final = "sandbox"
_WITH_LINKS: Final = 'sandbox="allow-popups allow-popups-to-escape-sandbox"'
_PLAIN_TEXT: Final = '<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>'
_MOST_INLINED: Final = 32 * 1024 * 1024  # characters of images; a mail can name one image a million times

_CONNECTING_TAGS: Final = re.compile(r"<(/?)(?=i?frame|link|object|embed|fencedframe|portal)", re.IGNORECASE)
_INLINE_IMAGE: Final = re.compile(r"""(?<=["'(=])cid:([^\s"'<>()]{1,998})""", re.IGNORECASE)
_OWN_TARGET: Final = re.compile(r"""(?<=[\s"'/])target(?=\s*=\s*["']?_(?:self|top|parent)\b)""", re.IGNORECASE)


def safe_page(
    content: str, *, is_html: bool, title: str = "", attachments: Mapping[str, bytes] | None = None, links: bool = False
) -> str:
    """Return a complete HTML document that shows a mail and does nothing else.

    Args:
        content: The mail's content, as its sender wrote it.
        is_html: Whether it is HTML; plain text is shown as it stands.
        title: The document's title.
        attachments: Files by their names or Content-IDs, for the images that the mail shows from within (`cid:`).
        links: Whether a click on a link opens it in a new tab.
    """
    return _PAGE.format(
        policy=MAIL_POLICY,
        no_look_ups=_NO_LOOK_UPS,
        title=html.escape(" ".join(title.split())),
        sandbox=_WITH_LINKS if links else _CLOSED,
        content=html.escape(_framed(content, attachments or {}, links=links) if is_html else _as_html(content)),
    )


def _as_html(text: str) -> str:
    return _PLAIN_TEXT.format(html.escape(text))


def _framed(content: str, attachments: Mapping[str, bytes], *, links: bool) -> str:
    """Return what stands in the frame: the mail, and before it what holds for whatever the mail says later."""
    disarmed = _CONNECTING_TAGS.sub(r"<\1x-", content)
    if attachments:
        disarmed = _InlineImages(attachments).put_into(disarmed)
    if not links:
        return _NO_LOOK_UPS + disarmed
    return f'{_NO_LOOK_UPS}<base target="_blank">{_OWN_TARGET.sub("x-target", disarmed)}'


class _InlineImages:
    """The images that a mail brings along.

    Args:
        files: Their bytes, by names or Content-IDs.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._names: dict[str, str] = {}
        for name in files:
            for alias in (name, name.strip("<>"), name.rpartition(".")[0]):
                self._names.setdefault(alias.lower(), name)
        self._urls: dict[str, str] = {}
        self._left = _MOST_INLINED

    def put_into(self, content: str) -> str:
        """Replace the addresses of images that came with the mail by the images themselves."""
        return _INLINE_IMAGE.sub(lambda match: self._url(match[1]) or match[0], content)

    def _url(self, content_id: str) -> str | None:
        name = self._find(unquote(html.unescape(content_id)).lower())
        if name is None:
            return None
        url = self._urls.get(name) or self._urls.setdefault(name, _data_url(name, self._files[name]))
        self._left -= len(url)
        return url if self._left >= 0 else None

    def _find(self, content_id: str) -> str | None:
        """Return the name of a file: Content-IDs are names, or begin with one (``logo.png@01DC5F3A.7B2E``)."""
        return self._names.get(content_id) or self._names.get(content_id.partition("@")[0])


def _data_url(name: str, data: bytes) -> str:
    media_type = mimetypes.guess_type(name)[0] or ""
    if not media_type.startswith("image/"):  # a Content-ID's domain is no file's suffix
        media_type = "image/svg+xml" if b"<svg" in data[:1024] else "image/png"  # browsers recognise all but SVG
    return f"data:{media_type};base64,{b64encode(data).decode('ascii')}"
