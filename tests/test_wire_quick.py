"""Values exactly as documented are read by a quick way; it must never give anything but what the tolerant one gives."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.virtual import message as virtual_message

from tempmailg import Attachment, Domain, DomainList, Mailbox, Message
from tempmailg._convert import Decoder
from tempmailg._fields import BEFORE, FIELDS, Field
from tempmailg._scalars import integer, optional_integer, required_text

FOLDER = Path(__file__).parent / "samples"
SAMPLES = {
    kind: json.loads((FOLDER / f"{name}.json").read_bytes())["data"]
    for kind, name in ((Message, "get_message"), (Mailbox, "create_mailbox"), (DomainList, "list_domains"))
}
MESSAGE = SAMPLES[Message]

decoder = Decoder()
quick = decoder.quick(Message)
every_kind = pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)

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
    st.just(SAMPLES[DomainList]["domains"]),
    st.lists(st.text(max_size=5) | st.integers() | st.none(), max_size=3),
    st.lists(st.dictionaries(st.sampled_from(["name", "extension", "size", "url"]), st.text() | st.integers())),
)


def tolerant(raw: object, kind: type[Any] = Message) -> Any:
    return decoder.tolerant.read(raw, kind, "data")[0]


@every_kind
def test_the_documented_value_takes_the_quick_way(kind: type[Any]) -> None:
    """The documentation's own samples are read by the quick way, so that the way is not lost by accident."""
    sample = SAMPLES[kind]
    found = decoder.quick(kind)(deepcopy(sample))
    assert found == tolerant(deepcopy(sample), kind) != None  # noqa: E711 - all three in one comparison
    assert type(found) is kind


def test_the_messages_that_tests_make_by_hand_take_the_quick_way() -> None:
    """A field that made-up messages lack would have every test of waits read its messages by the slower way."""
    assert quick(virtual_message("a")) == tolerant(virtual_message("a")) != None  # noqa: E711 - all three in one comparison


@every_kind
@given(st.data())
def test_both_ways_lead_to_the_same_value(kind: type[Any], data: st.DataObject) -> None:
    """Whatever the service changes or leaves out, what the quick way reads is what the tolerant one reads."""
    sample = SAMPLES[kind]
    missing = data.draw(st.sets(st.sampled_from(sorted(sample)), max_size=2))
    changes = data.draw(st.dictionaries(st.sampled_from([*sample, "unknown"]), anything, max_size=3))
    raw = {**{name: value for name, value in sample.items() if name not in missing}, **changes}
    found = decoder.quick(kind)(deepcopy(raw))
    if found is not None:
        assert found == tolerant(deepcopy(raw), kind)


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


@pytest.mark.parametrize("allowed", [[""], ["free", None], ["free", True], [[]]])
def test_a_list_of_other_things_than_texts_takes_the_tolerant_way(allowed: list[object]) -> None:
    """What is no type of domains is left out and named, which the quick way cannot do."""
    raw = {**SAMPLES[DomainList], "allowed_types": allowed}
    assert decoder.quick(DomainList)(raw) is None
    found, problem = decoder.read(raw, DomainList, "data")
    assert found
    assert problem == ""
    assert found.allowed_types == tuple(each for each in allowed if each == "free")
    assert [text.partition(":")[0] for text in found.problems] == [f"data.allowed_types[{len(allowed) - 1}]"]


def test_documented_answers_need_no_cattrs() -> None:
    """The library for all other spellings loads with the first answer that has one: it takes a fifth of a start."""
    code = """if True:
        import json, sys
        from pathlib import Path
        from tempmailg import Mailbox
        from tempmailg._convert import Decoder
        from tempmailg._models import DomainList, Message
        before, decoder = set(sys.modules), Decoder()
        for kind, raw in zip((Message, Mailbox, DomainList), json.loads(sys.argv[1]), strict=True):
            assert decoder.read(raw, kind, "data")[0] is not None
        assert not {"cattrs", "tempmailg._tolerant"} & (set(sys.modules) - before)
        assert decoder.read({**raw, "allowed_types": None}, DomainList, "data")[0] is not None
        assert "cattrs" in sys.modules
    """
    samples = json.dumps([SAMPLES[kind] for kind in (Message, Mailbox, DomainList)])
    subprocess.run([sys.executable, "-c", code, samples], check=True)


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
        "attachments": Field("attachments", None, list, items=LongerAttachment),
        "priority": Field("X-Priority", optional_integer, int, integer),
    }
    attachment = {**FIELDS[Attachment], "checksum": Field("md5", required_text, str, is_filled=True)}
    fields = {LongerAttachment: attachment, LongerMessage: message}
    return Decoder(fields, {LongerMessage: BEFORE[Message]})


@pytest.mark.parametrize("priority", [1, "1"], ids=["as documented", "tolerated"])
def test_a_new_field_arrives_by_both_ways(priority: object) -> None:
    """A field costs its line in the model and its line in the table: neither way of reading loses it in silence."""
    longer = longer_decoder()
    raw = {**MESSAGE, "X-Priority": priority, "attachments": [{**MESSAGE["attachments"][0], "md5": "d41d"}]}
    is_documented = isinstance(priority, int)
    found = longer.quick(LongerMessage)(deepcopy(raw))
    assert (found is not None) == is_documented
    for message in (found, longer.tolerant.read(deepcopy(raw), LongerMessage, "data")[0]):
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
