"""Values exactly as documented are read by a quick way; it must never give anything but what the tolerant one gives."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.virtual import message as virtual_message

from tempmailg import Attachment, Domain, Message
from tempmailg._convert import FIELDS, Decoder, Field
from tempmailg._scalars import integer, optional_integer, required_text

MESSAGE = json.loads((Path(__file__).parent / "samples" / "get_message.json").read_bytes())["data"]
NAMES = [*MESSAGE, "unknown"]

decoder = Decoder()
quick = decoder.quick(Message)

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=30),
    st.datetimes().map(lambda moment: moment.isoformat(sep=" ", timespec="seconds")),
    st.just([]),
    st.just({}),
    st.just(MESSAGE["attachments"]),
    st.lists(st.dictionaries(st.sampled_from(["name", "extension", "size", "url"]), st.text() | st.integers())),
)


def tolerant(raw: object) -> Message | None:
    return decoder.read(raw, Message, "data")[0]


def test_the_documented_message_takes_the_quick_way() -> None:
    """The documentation's own sample is read by the quick way, so that the way is not lost by accident."""
    assert quick(deepcopy(MESSAGE)) == tolerant(deepcopy(MESSAGE)) != None  # noqa: E711 - all three in one comparison


def test_the_messages_that_tests_make_by_hand_take_the_quick_way() -> None:
    """A field that made-up messages lack would have every test of waits read its messages by the slower way."""
    assert quick(virtual_message("a")) == tolerant(virtual_message("a")) != None  # noqa: E711 - all three in one comparison


@given(st.dictionaries(st.sampled_from(NAMES), anything, max_size=3))
def test_both_ways_lead_to_the_same_message(changes: dict[str, Any]) -> None:
    """Whatever the service changes, what the quick way reads is what the tolerant one reads."""
    raw = {**MESSAGE, **changes}
    found = quick(deepcopy(raw))
    if found is not None:
        assert found == tolerant(deepcopy(raw))


@given(st.dictionaries(st.sampled_from(["name", "extension", "size", "url"]), anything, max_size=2))
def test_both_ways_lead_to_the_same_attachments(changes: dict[str, Any]) -> None:
    """The same holds for what stands in an attachment."""
    raw = {**MESSAGE, "attachments": [{**MESSAGE["attachments"][0], **changes}]}
    found = quick(deepcopy(raw))
    if found is not None:
        assert found == tolerant(deepcopy(raw))


@pytest.mark.parametrize("name", sorted(MESSAGE))
def test_a_message_that_lacks_a_field_takes_the_tolerant_way(name: str) -> None:
    """The quick way guesses nothing: defaults and complaints are the tolerant one's."""
    assert quick({key: value for key, value in MESSAGE.items() if key != name}) is None


@pytest.mark.parametrize("value", [None, [], 5, "text", [MESSAGE], True])
def test_what_is_no_object_takes_the_tolerant_way(value: object) -> None:
    """The quick way neither fails nor guesses on a message that is none."""
    assert quick(value) is None


# ------------------------------------------------------------------------------------------------ one table, one place


@attrs.frozen(kw_only=True)
class LongerAttachment(Attachment):
    """An attachment with one more field."""

    checksum: str


@attrs.frozen(kw_only=True)
class LongerMessage(Message):
    """A message with one more field, and with other attachments."""

    priority: int | None = None


def longer_decoder() -> Decoder:
    """Return a decoder of a copy of the table with a new field in two models, and nothing else changed."""
    message = {
        **FIELDS[Message],
        "attachments": Field("attachments", documented=list, items=LongerAttachment),
        "priority": Field("X-Priority", optional_integer, int, integer),
    }
    attachment = {**FIELDS[Attachment], "checksum": Field("md5", required_text, str, is_filled=True)}
    fields = {LongerAttachment: attachment, LongerMessage: message}
    return Decoder(fields, {LongerMessage: Decoder().before[Message]})


@pytest.mark.parametrize("priority", [1, "1"], ids=["as documented", "tolerated"])
def test_a_new_field_arrives_by_both_ways(priority: object) -> None:
    """A field costs its line in the model and its line in the table: neither way of reading loses it in silence."""
    longer = longer_decoder()
    raw = {**MESSAGE, "X-Priority": priority, "attachments": [{**MESSAGE["attachments"][0], "md5": "d41d"}]}
    is_documented = isinstance(priority, int)
    found = longer.quick(LongerMessage)(deepcopy(raw))
    assert (found is not None) == is_documented
    for message in (found, longer.read(deepcopy(raw), LongerMessage, "data")[0]):
        if message is not None:
            assert message.priority == 1
            assert [file.checksum for file in message.attachments if isinstance(file, LongerAttachment)] == ["d41d"]


def test_a_field_that_one_of_the_two_tables_lacks_is_refused_at_import() -> None:
    """A field in the model alone, or in the table alone, stops the program instead of being lost."""
    known = FIELDS[Domain]
    with pytest.raises(TypeError, match=r"disagree: {'custom'}"):
        Decoder({Domain: {name: known[name] for name in ("domain", "type")}})
    with pytest.raises(TypeError, match=r"disagree: {'origin'}"):
        Decoder({Domain: {**known, "origin": known["type"]}})
