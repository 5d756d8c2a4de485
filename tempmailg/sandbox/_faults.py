"""What can go wrong, as values: scripted faults first, seeded random ones second.

A fault is called with one request and may have the service make its answer, change it, or never make it at
all. How the bytes then travel (late, slowly, cut, not at all) is a `Delivery`, which the HTTP door performs on the
socket and the in-process transport performs in virtual time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from attrs import asdict, evolve, field, frozen, validators

from tempmailg._endpoints import EndpointName
from tempmailg.sandbox._answers import JSON, Answer, Delivery, error_answer
from tempmailg.sandbox._checks import LONGEST, is_count, is_headers, is_number, is_text, must_be
from tempmailg.sandbox._mail import BytesBlob
from tempmailg.sandbox._script import FaultScript, fault_from

__all__ = [
    "BadJson",
    "Delay",
    "Duplicate",
    "Edit",
    "Fault",
    "Faults",
    "Headers",
    "HtmlPage",
    "RateLimited",
    "Reorder",
    "Reply",
    "Reset",
    "Slow",
    "Stall",
    "Status",
    "Truncate",
    "fault_from_json",
    "fault_to_json",
]

HTML: Final = "text/html; charset=utf-8"
_FASTEST: Final = 1e12  # bytes in a second
_BUT_FRAMING: Final = "without line ends and without those that frame the answer"


_STATUS: Final = must_be("an HTTP status of 200 to 599", lambda value: is_count(value, 200) and value <= 599)
_SECONDS: Final = must_be(f"a number of seconds from 0 to {LONGEST:.0f}", lambda value: is_number(value, 0, LONGEST))
_RATE: Final = must_be("a number of bytes in a second, 0 for no limit", lambda value: is_number(value, 0, _FASTEST))
_PLACE: Final = must_be("a number of bytes, or -1", lambda value: is_count(value, -1))
_TEXT: Final = must_be("text without half characters", is_text)
_BODY: Final = must_be("text or bytes", lambda value: isinstance(value, bytes) or is_text(value))
_FLAG: Final = must_be("true or false", lambda value: isinstance(value, bool))
_HEADERS: Final = must_be(f"headers by their names, {_BUT_FRAMING}", is_headers)
_CHANGES: Final = must_be(
    f"headers by their names, or null to remove one, {_BUT_FRAMING}", lambda value: is_headers(value, removable=True)
)
_RETRY_AFTER: Final = must_be(
    "a number of seconds, text that a header can carry, or null",
    lambda value: value is None or is_number(value, 0, LONGEST) or is_headers({"Retry-After": value}),
)


class Fault:
    """Base of the faults; each is a value that can stand in a script more than once."""

    kind: ClassVar[str] = ""

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the answer that the caller gets.

        Args:
            make: Has the service do what was requested and returns its honest answer.
        """
        return make()


@frozen
class Status(Fault):
    """An error status instead of an answer; the request is not carried out.

    Args:
        status: The HTTP status, such as 502.
        message: The text in the JSON answer.
        headers: Headers to add, such as ``{"Retry-After": "2"}``.
    """

    kind: ClassVar[str] = "status"
    status: int = field(default=500, validator=_STATUS)
    message: str = field(default="A scripted fault of the sandbox.", validator=_TEXT)
    headers: Mapping[str, str] = field(factory=dict[str, str], validator=_HEADERS)

    def apply(self, make: Callable[[], Answer]) -> Answer:  # noqa: ARG002 - nothing is done
        """Return the error."""
        return error_answer(self.status, self.message, *self.headers.items())


@frozen
class RateLimited(Fault):
    """429, with Retry-After if given; the request is not carried out.

    Args:
        retry_after: The header's value: seconds, an HTTP date, or garbage; None leaves it out.
    """

    kind: ClassVar[str] = "rate_limited"
    retry_after: str | float | None = field(default=1, validator=_RETRY_AFTER)

    def apply(self, make: Callable[[], Answer]) -> Answer:  # noqa: ARG002 - nothing is done
        """Return the error."""
        headers = [] if self.retry_after is None else [("Retry-After", f"{self.retry_after}")]
        return error_answer(429, "Too many requests.", *headers)


@frozen
class HtmlPage(Fault):
    """A page of HTML, as a proxy in front of the service answers; the request is not carried out.

    Args:
        status: The HTTP status.
        body: The page.
    """

    kind: ClassVar[str] = "html_page"
    status: int = field(default=503, validator=_STATUS)
    body: str = field(default="<!doctype html><title>Wait</title><h1>One moment, please…</h1>", validator=_TEXT)

    def apply(self, make: Callable[[], Answer]) -> Answer:  # noqa: ARG002 - nothing is done
        """Return the page."""
        return Answer(self.status, (("Content-Type", HTML),), BytesBlob(self.body.encode()))


@frozen
class BadJson(Fault):
    """The honest answer with the last part of its JSON missing, under an honest Content-Length."""

    kind: ClassVar[str] = "bad_json"

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return half of the answer."""
        answer = make()
        data = b"".join(answer.body.chunks())
        return evolve(answer, body=BytesBlob(data[: len(data) // 2]))


@frozen
class Reply(Fault):
    """Any answer at all.

    Args:
        status: The HTTP status.
        body: The body; text is sent as UTF-8.
        headers: The headers.
        done: Whether what was requested is done all the same.
    """

    kind: ClassVar[str] = "reply"
    status: int = field(default=200, validator=_STATUS)
    body: str | bytes = field(default=b"", validator=_BODY)
    headers: Mapping[str, str] = field(factory=lambda: {"Content-Type": JSON}, validator=_HEADERS)
    done: bool = field(default=False, validator=_FLAG)

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the answer."""
        if self.done:
            make()
        body = self.body.encode() if isinstance(self.body, str) else self.body
        return Answer(self.status, tuple(self.headers.items()), BytesBlob(body))


@frozen
class Headers(Fault):
    """The honest answer under other headers, such as a malformed quota.

    Args:
        headers: Headers to set; None removes one.
    """

    kind: ClassVar[str] = "headers"
    headers: Mapping[str, str | None] = field(factory=dict[str, str | None], validator=_CHANGES)

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the answer under those headers."""
        answer = make()
        replaced = {name.lower() for name in self.headers}
        kept = [(name, value) for name, value in answer.headers if name.lower() not in replaced]
        added = [(name, value) for name, value in self.headers.items() if value is not None]
        return evolve(answer, headers=(*kept, *added))


@frozen
class Edit(Fault):
    """The honest answer with its JSON changed by a function; it exists in Python only.

    Args:
        change: Gets the decoded answer and returns what is sent instead.
    """

    kind: ClassVar[str] = "edit"
    change: Callable[[Any], Any]

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the changed answer."""
        return _edited(make(), self.change)


@frozen
class Duplicate(Fault):
    """The list of messages with every message in it twice."""

    kind: ClassVar[str] = "duplicate"

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the longer list."""
        return _edited(make(), _with_messages(lambda messages: [*messages, *messages]))


@frozen
class Reorder(Fault):
    """The list of messages in the opposite order."""

    kind: ClassVar[str] = "reorder"

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the turned list."""
        return _edited(make(), _with_messages(lambda messages: messages[::-1]))


@frozen
class Delay(Fault):
    """The honest answer, late.

    Args:
        seconds: How late, in seconds.
    """

    kind: ClassVar[str] = "delay"
    seconds: float = field(default=1.0, validator=_SECONDS)

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the answer, to be sent later."""
        return evolve(make(), delivery=Delivery(delay=self.seconds))


@frozen
class Slow(Fault):
    """The honest answer, dripping.

    Args:
        rate: Bytes in a second.
    """

    kind: ClassVar[str] = "slow"
    rate: float = field(default=1024.0, validator=_RATE)

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the answer, to be sent slowly."""
        return evolve(make(), delivery=Delivery(rate=self.rate))


@frozen
class Truncate(Fault):
    """The honest answer, its connection closed in the middle of the body.

    Args:
        after: Bytes of the body that are sent; half of it if None.
    """

    kind: ClassVar[str] = "truncate"
    after: int | None = field(default=None, validator=validators.optional(_PLACE))

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the answer, to be cut."""
        answer = make()
        after = answer.body.size // 2 if self.after is None else self.after
        return evolve(answer, delivery=Delivery(after=after, ending="cut"))


@frozen
class Reset(Fault):
    """A connection reset.

    Args:
        after: Bytes of the body before it; -1 for before the first header.
        done: Whether what was requested is done before.
    """

    kind: ClassVar[str] = "reset"
    after: int = field(default=-1, validator=_PLACE)
    done: bool = field(default=True, validator=_FLAG)

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the answer that never arrives."""
        return _broken(make, Delivery(after=self.after, ending="reset"), done=self.done)


@frozen
class Stall(Fault):
    """Silence: the connection stays open and nothing (more) comes.

    Args:
        after: Bytes of the body before it; -1 for before the first header.
        done: Whether what was requested is done before.
    """

    kind: ClassVar[str] = "stall"
    after: int = field(default=-1, validator=_PLACE)
    done: bool = field(default=True, validator=_FLAG)

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the answer that never ends."""
        return _broken(make, Delivery(after=self.after, ending="stall"), done=self.done)


def _broken(make: Callable[[], Answer], delivery: Delivery, *, done: bool) -> Answer:
    answer = make() if done else error_answer(503, "Not done.")
    return evolve(answer, delivery=delivery)


def _edited(answer: Answer, change: Callable[[Any], Any]) -> Answer:
    if dict(answer.headers).get("Content-Type") != JSON:
        return answer  # a file, or nothing at all
    value = change(json.loads(b"".join(answer.body.chunks())))
    return evolve(answer, body=BytesBlob(json.dumps(value, ensure_ascii=False).encode()))


def _with_messages(change: Callable[[list[object]], list[object]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def changed(envelope: dict[str, Any]) -> dict[str, Any]:
        if isinstance(envelope.get("messages"), list):
            envelope["messages"] = change(envelope["messages"])
        return envelope

    return changed


_KINDS: Final[dict[str, type[Fault]]] = {
    kind.kind: kind
    for kind in (
        Status,
        RateLimited,
        HtmlPage,
        BadJson,
        Reply,
        Headers,
        Duplicate,
        Reorder,
        Delay,
        Slow,
        Truncate,
        Reset,
        Stall,
    )
}


def fault_from_json(value: Mapping[str, Any]) -> Fault:
    """Make the fault that ``{"kind": "status", "status": 502}`` describes."""
    return fault_from(value, _KINDS)


def fault_to_json(fault: Fault) -> dict[str, Any]:
    """Describe a fault in JSON's types."""
    arguments = asdict(fault)  # type: ignore[arg-type] # every kind is an attrs class
    return {"kind": fault.kind, **{name: _plain(value) for name, value in arguments.items()}}


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return repr(value) if callable(value) else value


class Faults(FaultScript[EndpointName, Fault]):
    """The faults that are still to happen; all methods may be called from any thread.

    Args:
        endpoints: The names of the endpoints that can meet one.
    """

    def __init__(self, endpoints: Iterable[EndpointName]) -> None:
        super().__init__(tuple(endpoints), "endpoint")

    def next(self, endpoint: EndpointName | None, *faults: Fault, times: int = 1) -> None:
        """Have the next calls of an endpoint meet these faults, one after the other, behind those already scripted.

        Args:
            endpoint: Whose calls; None for any.
            faults: What happens to them, in this order.
            times: How many calls each fault meets.
        """
        self._add(endpoint, faults, times)

    def randomly(
        self, rate: float, faults: Sequence[Fault], *, seed: int = 0, endpoints: Iterable[EndpointName] | None = None
    ) -> None:
        """Have calls meet one of these faults by chance, where nothing is scripted; the seed decides which.

        Args:
            rate: The chance of a call to meet a fault, 0 to 1; 0 ends it.
            faults: What may happen, each as likely as the others.
            seed: The same seed and the same calls give the same faults.
            endpoints: Whose calls; None for all.
        """
        self._set_chance(rate, faults, seed, endpoints)
