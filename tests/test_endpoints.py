"""The eight endpoints as values, and what is refused before any request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tempmailg import Attachment, ConfigurationError
from tempmailg import _endpoints as endpoints
from tempmailg._endpoints import Call

ATTACHMENT = Attachment(name="a b.txt", message_id="m1", url="https://elsewhere.example/steal")

CALLS: list[tuple[Call[Any], str, str]] = [
    (endpoints.list_domains("all"), "GET", "/domains?type=all"),
    (endpoints.create_mailbox(), "POST", "/emails"),
    (
        endpoints.update_mailbox("a@b.example", "demo123", "example.com"),
        "POST",
        "/emails/a%40b.example/demo123/example.com",
    ),
    (endpoints.delete_mailbox("a@b.example"), "DELETE", "/emails/a%40b.example"),
    (endpoints.list_messages("a@b.example"), "GET", "/messages?email=a%40b.example"),
    (endpoints.get_message("m1"), "GET", "/messages/m1"),
    (endpoints.delete_message("m1"), "DELETE", "/messages/m1"),
    (endpoints.stream_attachment(ATTACHMENT), "GET", "/messages/m1/attachments/a%20b.txt"),
]


@pytest.mark.parametrize(("call", "method", "target"), CALLS, ids=lambda value: getattr(value, "name", ""))
def test_each_endpoint_is_the_documented_request(call: Call[Any], method: str, target: str) -> None:
    """Every call asks with the method, path and query that the API documents."""
    assert (call.method, call.target) == (method, target)


def test_every_endpoint_is_tried_here() -> None:
    """A new endpoint is among the calls of this file."""
    assert {call.name for call, *_ in CALLS} == set(get_args(endpoints.EndpointName))


def test_only_posts_are_unsafe_to_repeat() -> None:
    """Sending a GET or DELETE twice does no harm, sending a POST twice may make two mailboxes."""
    assert {call.name for call, _, _ in CALLS if not call.is_safe} == {"create_mailbox", "update_mailbox"}


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: endpoints.list_domains("cheap"), "type must be 'free', 'premium' or 'all'"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point of the test
    (lambda: endpoints.list_messages(""), "mailbox must not be ''"),
    (lambda: endpoints.list_messages("."), "mailbox must not be '.'"),
    (lambda: endpoints.list_messages(".."), r"mailbox must not be '\.\.'"),
    (lambda: endpoints.list_messages("nobody"), "mailbox must be an address"),
    (lambda: endpoints.list_messages("@example.com"), "mailbox must be an address"),
    (lambda: endpoints.list_messages("a@"), "mailbox must be an address"),
    (lambda: endpoints.list_messages("a@b c"), "mailbox must be an address"),
    (lambda: endpoints.list_messages("a\r\nX: y@b.c"), "mailbox must be an address"),
    (lambda: endpoints.list_messages("\ud800@b.c"), "surrogate"),
    (lambda: endpoints.list_messages("a" * 2_000 + "@b.c"), "at most 1024 characters"),
    (lambda: endpoints.list_messages(None), "mailbox must be text, not None"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point of the test
    (lambda: endpoints.update_mailbox("a@b.c", "", "example.com"), "username must not be ''"),
    (lambda: endpoints.update_mailbox("a@b.c", "a b", "example.com"), "username must be the part"),
    (lambda: endpoints.update_mailbox("a@b.c", "a@b", "example.com"), "username must be the part"),
    (lambda: endpoints.update_mailbox("a@b.c", "a", "exa mple.com"), "domain must be a name"),
    (lambda: endpoints.update_mailbox("a@b.c", "a", "-x.com"), "domain must be a name"),
    (lambda: endpoints.update_mailbox("a@b.c", "a", "a..com"), "domain must be a name"),
    (lambda: endpoints.update_mailbox("a@b.c", "a", "a/b"), "domain must be a name"),
    (lambda: endpoints.get_message(""), "message must not be ''"),
    (lambda: endpoints.get_message(".."), "message must not be"),
    (lambda: endpoints.stream_attachment(("m", "")), "attachment name must not be ''"),
    (lambda: endpoints.stream_attachment(("m", "..")), "attachment name must not be"),
    (lambda: endpoints.stream_attachment(("", "x")), "message must not be ''"),
    (lambda: endpoints.stream_attachment("m"), "attachment must be an Attachment or a pair"),  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - the point of the test
]


@pytest.mark.parametrize(("make", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_cannot_be_meant_is_refused_with_the_arguments_name(make: Callable[[], object], text: str) -> None:
    """A malformed argument raises before any request, and the error says which one and what it should be."""
    with pytest.raises(ConfigurationError, match=text):
        make()


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(lambda t: t not in (".", ".."))
)
def test_any_file_name_reaches_the_server_as_it_is(name: str) -> None:
    """Whatever a sender called the file, it is one path segment that decodes to the same text."""
    segments = endpoints.stream_attachment(("m", name)).target.split("/")
    assert segments[:-1] == ["", "messages", "m", "attachments"]
    assert unquote(segments[-1]) == name


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60))
def test_any_local_part_reaches_the_server_as_it_is(local: str) -> None:
    """An address with `+`, `%`, `/`, `?`, `#`, spaces or any script survives path and query."""
    address = f"{local}@example.com"
    assert unquote(endpoints.delete_mailbox(address).target.removeprefix("/emails/")) == address
    query = endpoints.list_messages(address).target.partition("?")[2]
    assert [unquote(value) for _, value in [pair.split("=") for pair in query.split("&")]] == [address]
    assert parse_qsl(query.replace("+", "%2B")) == [("email", address)]
