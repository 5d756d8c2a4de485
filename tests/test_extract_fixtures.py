"""Codes and links of the labelled messages in tests/fixtures/extraction."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tempmailg import _extract

_FOLDER = Path(__file__).parent / "fixtures" / "extraction"


@cache
def _mails(name: str) -> list[dict[str, Any]]:
    lines = (_FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _code(mail: dict[str, Any]) -> str | None:
    return _extract.find_code(
        mail["content"], is_html=mail["is_html"], subject=mail["subject"], sender_name=mail["from_name"]
    )


def _link(mail: dict[str, Any]) -> str | None:
    return _extract.find_link(
        mail["content"], is_html=mail["is_html"], subject=mail["subject"], sender_name=mail["from_name"]
    )


def _typed(code: str | None) -> str:
    return re.sub(r"[\s-]", "", code or "").upper()


def _languages(name: str) -> list[str]:
    return sorted({mail["lang"] for mail in _mails(name)})


@pytest.mark.parametrize("language", _languages("codes"))
def test_codes_are_found_in_every_language(language: str) -> None:
    """Of a language's messages at most one code is missed, and none is read wrong."""
    mails = [mail for mail in _mails("codes") if mail["lang"] == language]
    read = {mail["id"]: (_typed(mail["code"]), _typed(_code(mail))) for mail in mails}
    wrong = {name: pair for name, pair in read.items() if pair[1] not in {pair[0], ""}}
    missed = [name for name, (_, got) in read.items() if not got]
    assert not wrong
    assert len(missed) <= 1, missed


@pytest.mark.parametrize("language", _languages("links"))
def test_links_are_found_in_every_language(language: str) -> None:
    """The one link to follow is found in each of a language's messages, character by character."""
    mails = [mail for mail in _mails("links") if mail["lang"] == language]
    assert {mail["id"]: _link(mail) for mail in mails} == {mail["id"]: mail["link"] for mail in mails}


@pytest.mark.parametrize("language", _languages("ordinary"))
def test_ordinary_mail_raises_no_alarm(language: str) -> None:
    """Orders, promotions, meetings and digests hold neither a code nor a link to follow."""
    mails = [mail for mail in _mails("ordinary") if mail["lang"] == language]
    alarms = {mail["id"]: found for mail in mails if (found := (_code(mail), _link(mail))) != (None, None)}
    assert not alarms


@pytest.mark.parametrize("name", ["codes", "links"])
def test_mails_of_one_purpose_are_not_taken_for_the_other(name: str) -> None:
    """A message with a code has no link to follow here, and the other way round."""
    read = _link if name == "codes" else _code
    assert {mail["id"]: read(mail) for mail in _mails(name) if read(mail)} == {}
