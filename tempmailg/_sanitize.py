"""Text that strangers wrote, made safe for a terminal and for a language model.

Mail can hold escape sequences that retitle the window, move the cursor or hide what follows, and characters that turn
the order of letters round. Controls are shown as pictures (``␛``); what has no picture of its own is dropped, unless it
joins the parts of one emoji.
"""

from __future__ import annotations

import re

__all__ = ["ascii_url", "sanitize_line", "sanitize_text"]

# What draws nothing: Unicode's Default_Ignorable_Code_Point (zero-width, soft hyphen, bidirectional controls, fillers,
# variation selectors, tags), and the remaining format characters (category Cf).
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

# Signs that are drawn; a joiner or a variation selector between or behind them changes their look, and hides nothing.
_PICTOGRAPH = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u25fe\u2600-\u27bf\u2934\u2935"
    "\u2b05-\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_EMOJI = f"{_PICTOGRAPH}(?:\ufe0f|[\U0001f3fb-\U0001f3ff])?"
_EMOJI_OR_INVISIBLE = re.compile(
    f"((?:{_EMOJI}(?:\u200d{_EMOJI}){{1,8}}|{_PICTOGRAPH}\ufe0f|[0-9#*]\ufe0f\u20e3))|{_INVISIBLE.pattern}"
)

_LINE_ENDS = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")

_REPLACEMENT = "\ufffd"
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)}  # U+2400 and on: ␀ ␁ … ␛ …
_PICTURES[0x7F] = "\u2421"
_PICTURES.update(dict.fromkeys([*range(0x80, 0xA0), 0x2028, 0x2029, *range(0xD800, 0xE000)], _REPLACEMENT))

_IN_LINES = {**_PICTURES, ord("\n"): "\n", ord("\t"): "    "}
_NOT_IN_URLS = re.compile("[^\x21-\x7e]")


def sanitize_line(text: str) -> str:
    """Return `text` as one line without any character that could steer a terminal or hide itself."""
    return _visible(text).translate(_PICTURES)


def sanitize_text(text: str) -> str:
    """Return `text` with its lines kept and everything else as `sanitize_line` has it."""
    return _visible(_LINE_ENDS.sub("\n", text)).translate(_IN_LINES)


def _visible(text: str) -> str:
    """Return `text` without what draws nothing; emoji of several parts (👩‍💻, ❤️, 1️⃣) stay whole."""
    if not _INVISIBLE.search(text):
        return text
    return _EMOJI_OR_INVISIBLE.sub(lambda found: found[1] or "", text)


def ascii_url(text: str) -> str:
    """Return an address with every character that is not visible ASCII percent-encoded: it means the same."""
    from urllib.parse import quote  # not for the sake of a help text

    return _NOT_IN_URLS.sub(lambda found: quote(found[0], safe="", errors="replace"), text)
