"""What happens in a sandbox, as it happens: for pages and tools that show it live. No I/O."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    from tempmailg.sandbox._clock import Clock

__all__ = ["Event", "EventKind", "Events"]

EventKind: TypeAlias = Literal[
    "mailbox_created",
    "mailbox_deleted",
    "mailbox_expired",
    "message_delivered",
    "message_deleted",
    "mail_accepted",
    "mail_refused",
    "reset",
]

_KEPT: Final = 1_000  # events that a client that was away can still get


@frozen
class Event:
    """One thing that happened.

    Args:
        id: Its number, counted from 1.
        kind: What happened.
        data: To whom, in JSON's types, and when.
    """

    id: int
    kind: EventKind
    data: Mapping[str, Any]

    def encoded(self) -> bytes:
        """Return it as a server-sent event (the HTML standard's `text/event-stream`)."""
        data = json.dumps(self.data, ensure_ascii=True)  # one line of ASCII, whatever a sender wrote
        return f"id: {self.id}\nevent: {self.kind}\ndata: {data}\n\n".encode()


class Events:
    """The latest events; all methods may be called from any thread.

    Args:
        clock: What dates them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._latest: deque[Event] = deque(maxlen=_KEPT)
        self._listeners: set[Callable[[], object]] = set()
        self._last_id = 0

    @property
    def last_id(self) -> int:
        """The number of the newest event; 0 before the first."""
        return self._last_id

    def publish(self, kind: EventKind, **data: object) -> None:
        """Say that something happened."""
        with self._lock:
            self._last_id += 1
            self._latest.append(Event(self._last_id, kind, {"at": self._clock.utcnow().isoformat(), **data}))
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def since(self, event_id: int) -> list[Event]:
        """Return what happened after an event, as far as it is remembered, the oldest first."""
        with self._lock:
            return [event for event in self._latest if event.id > event_id]

    @contextmanager
    def subscribed(self, listener: Callable[[], object]) -> Generator[None]:
        """Call a listener whenever something happens, in the thread in which it happens."""
        with self._lock:
            self._listeners.add(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.discard(listener)
