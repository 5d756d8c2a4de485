"""Texts compared as they are read: blanks, cases and spellings that a reader does not tell apart are the same."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from tempmailg._errors import ConfigurationError

__all__ = ["check_text", "folded", "normalised"]

_SPACES: Final = re.compile(r"\s+")

# Zero-width characters, soft hyphens and marks of direction: no reader sees them, and some shops break words with them.
_INVISIBLE: Final = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def normalised(text: str) -> str:
    """Return a text in the spelling in which texts are compared.

    An é is one character, whatever white space there is becomes one blank, and what nobody sees is left out.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    return _SPACES.sub(" ", text)


def folded(text: str) -> str:
    """Return a normalised text without regard to case; a Turkish İ folds to an i with a dot of its own."""
    return normalised(text).casefold().replace("i\u0307", "i")


def check_text(name: str, wanted: object) -> None:
    """Refuse what is no text, and a text that every other one contains: more likely it was never filled in.

    Raises:
        ConfigurationError: It is one of these.
    """
    if not isinstance(wanted, str):
        raise ConfigurationError(f"{name} must be text, not {wanted!r}")
    if not normalised(wanted).strip():
        raise ConfigurationError(
            f"{name} must be text to find, not {wanted!r}: leave it out, or pass None, to take any"
        )
