"""What can go wrong, as values: scripted faults first, seeded random ones second.

A fault is called with one request and may have the service make its answer, change it, or never make it at
all. How the bytes then travel (late, slowly, cut, not at all) is a `Delivery`, which the HTTP door performs on the
socket and the in-process transport performs in virtual time.
"""

from __future__ import annotations

import json
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from attrs import Attribute, asdict, define, evolve, field, frozen, validators

from tempmailg._endpoints import EndpointName
from tempmailg._errors import ConfigurationError
from tempmailg.sandbox._answers import JSON, Answer, Delivery, error_answer
from tempmailg.sandbox._mail import BytesBlob

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


def _must_be(what: str, fits: Callable[[Any], bool]) -> Callable[[object, Attribute[Any], Any], None]:
    def check(_fault: object, attribute: Attribute[Any], value: Any) -> None:  # noqa: ANN401 - JSON can bring anything
        if not fits(value):
            raise ConfigurationError(f"{attribute.name} must be {what}, not {value!r}")

    return check


_STATUS: Final = _must_be("an HTTP status of 200 to 599", lambda value: type(value) is int and 200 <= value <= 599)
_AMOUNT: Final = _must_be("a number that is not negative", lambda value: isinstance(value, int | float) and value >= 0)
_PLACE: Final = _must_be("a number of bytes, or -1", lambda value: type(value) is int and value >= -1)
_TEXT: Final = _must_be("text", lambda value: isinstance(value, str))
_HEADERS: Final = _must_be("headers by their names", lambda value: isinstance(value, Mapping))


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
    retry_after: str | float | None = 1

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
    body: str | bytes = field(
        default=b"", validator=_must_be("text or bytes", lambda value: isinstance(value, str | bytes))
    )
    headers: Mapping[str, str] = field(factory=lambda: {"Content-Type": JSON}, validator=_HEADERS)
    done: bool = False

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
    headers: Mapping[str, str | None] = field(factory=dict[str, str | None], validator=_HEADERS)

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
    seconds: float = field(default=1.0, validator=_AMOUNT)

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
    rate: float = field(default=1024.0, validator=_AMOUNT)

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
    done: bool = True

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
    done: bool = True

    def apply(self, make: Callable[[], Answer]) -> Answer:
        """Return the answer that never ends."""
        return _broken(make, Delivery(after=self.after, ending="stall"), done=self.done)


def _broken(make: Callable[[], Answer], delivery: Delivery, *, done: bool) -> Answer:
    answer = make() if done else error_answer(503, "Not done.")
    return evolve(answer, delivery=delivery)


def _edited(answer: Answer, change: Callable[[Any], Any]) -> Answer:
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
    arguments = dict(value)
    kind = _KINDS.get(str(arguments.pop("kind", "")))
    if kind is None:
        raise ConfigurationError(f"kind must be one of {', '.join(sorted(_KINDS))}")
    try:
        return kind(**arguments)
    except TypeError as error:
        raise ConfigurationError(f"a fault of kind {kind.kind!r} does not take this: {error}") from None


def fault_to_json(fault: Fault) -> dict[str, Any]:
    """Describe a fault in JSON's types."""
    arguments = asdict(fault)  # type: ignore[arg-type] # every kind is an attrs class
    return {"kind": fault.kind, **{name: _plain(value) for name, value in arguments.items()}}


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return repr(value) if callable(value) else value


@define
class _Scripted:
    """One line of the script."""

    endpoint: EndpointName | None
    fault: Fault
    times: int


class Faults:
    """The faults that are still to happen; all methods may be called from any thread.

    Args:
        endpoints: The names of the endpoints that can meet one.
    """

    def __init__(self, endpoints: Iterable[EndpointName]) -> None:
        self._endpoints: tuple[str, ...] = tuple(endpoints)
        self._lock = threading.Lock()
        self._script: deque[_Scripted] = deque()
        self._random: tuple[random.Random, float, tuple[Fault, ...], frozenset[str] | None] | None = None

    def __len__(self) -> int:
        """Return how many scripted faults are still to happen."""
        return sum(line.times for line in self._script)

    def next(self, endpoint: EndpointName | None, *faults: Fault, times: int = 1) -> None:
        """Have the next calls of an endpoint meet these faults, one after the other, behind those already scripted.

        Args:
            endpoint: Whose calls; None for any.
            faults: What happens to them, in this order.
            times: How many calls each fault meets.
        """
        self._check_endpoint(endpoint)
        if times < 1:
            raise ConfigurationError(f"times must be at least 1, not {times!r}")
        with self._lock:
            self._script.extend(_Scripted(endpoint, fault, times) for fault in faults)

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
        chosen = None if endpoints is None else frozenset(endpoints)
        for endpoint in chosen or ():
            self._check_endpoint(endpoint)
        if not 0 <= rate <= 1:
            raise ConfigurationError(f"rate must be between 0 and 1, not {rate!r}")
        with self._lock:
            self._random = (random.Random(seed), rate, tuple(faults), chosen) if rate and faults else None  # noqa: S311 - chance for tests, not for secrets

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._script.clear()
            self._random = None

    def pending(self) -> list[tuple[EndpointName | None, Fault, int]]:
        """Return the scripted faults that are still to happen: endpoint, fault, how many times."""
        with self._lock:
            return [(line.endpoint, line.fault, line.times) for line in self._script]

    def take(self, endpoint: str) -> Fault | None:
        """Return the fault that this call meets, and cross it out."""
        if not self._script and self._random is None:
            return None
        with self._lock:
            return self._take_scripted(endpoint) or self._take_random(endpoint)

    def _take_scripted(self, endpoint: str) -> Fault | None:
        for line in self._script:
            if line.endpoint in (None, endpoint):
                line.times -= 1
                if not line.times:
                    self._script.remove(line)
                return line.fault
        return None

    def _take_random(self, endpoint: str) -> Fault | None:
        if self._random is None:
            return None
        chance, rate, faults, endpoints = self._random
        if endpoints is not None and endpoint not in endpoints:
            return None
        return chance.choice(faults) if chance.random() < rate else None

    def _check_endpoint(self, endpoint: str | None) -> None:
        if endpoint is not None and endpoint not in self._endpoints:
            names = ", ".join(self._endpoints)
            raise ConfigurationError(f"endpoint must be one of {names}, or None, not {endpoint!r}")
