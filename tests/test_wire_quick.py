"""Messages exactly as documented are read by a shorter way; it must never tell anything else than the tolerant one."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tempmailg import Message
from tempmailg import _wire as wire

MESSAGE = json.loads((Path(__file__).parent / "samples" / "get_message.json").read_bytes())["data"]
FIELDS = [*MESSAGE, "unknown"]

tolerant = wire._object_hook(wire._converter, Message)

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


def test_the_documented_message_takes_the_shorter_way() -> None:
    """The documentation's own sample is read by the shorter way, so that the way is not lost by accident."""
    assert wire._documented_message(deepcopy(MESSAGE)) == tolerant(deepcopy(MESSAGE), Message)


@given(st.dictionaries(st.sampled_from(FIELDS), anything, max_size=3))
def test_both_ways_lead_to_the_same_message(changes: dict[str, Any]) -> None:
    """Whatever the service changes, what the shorter way reads is what the tolerant one reads."""
    raw = {**MESSAGE, **changes}
    quick = wire._documented_message(deepcopy(raw))
    if quick is not None:
        assert quick == tolerant(deepcopy(raw), Message)


@given(st.dictionaries(st.sampled_from(["name", "extension", "size", "url"]), anything, max_size=2))
def test_both_ways_lead_to_the_same_attachments(changes: dict[str, Any]) -> None:
    """The same holds for what stands in an attachment."""
    raw = {**MESSAGE, "attachments": [{**MESSAGE["attachments"][0], **changes}]}
    quick = wire._documented_message(deepcopy(raw))
    if quick is not None:
        assert quick == tolerant(deepcopy(raw), Message)


@given(st.sampled_from(sorted(MESSAGE)))
def test_a_message_that_lacks_a_field_takes_the_tolerant_way(field: str) -> None:
    """The shorter way guesses nothing: defaults and complaints are the tolerant one's."""
    assert wire._documented_message({name: value for name, value in MESSAGE.items() if name != field}) is None
