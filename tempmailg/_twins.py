"""What of the blocking client is written by hand: its life, and its streams, blocks and watches.

`_blocking.py`, the methods of `Client`, is generated beside it by `python .ci/twin.py`.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Self, TypeVar, cast

from tempmailg import _errors as err
from tempmailg._portal import Lease
from tempmailg._public import public

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from tempmailg._client import AsyncClient
    from tempmailg._models import Mailbox, Message
    from tempmailg._portal import Portal
    from tempmailg._stream import AttachmentStream  # noqa: F401 - quoted below: it loads with the first one
    from tempmailg._waiting import ExpectedMessage, Watch, WatchHealth  # noqa: F401 - the same

__all__ = [
    "Block",
    "BlockingAttachmentStream",
    "BlockingExpectedMessage",
    "BlockingWatch",
    "ClientBase",
    "refuse_session",
]

T = TypeVar("T")
ManagerT = TypeVar("ManagerT", bound=AbstractAsyncContextManager[Any])


class ClientBase:
    """The life of a blocking client: the asynchronous one that it drives, and its lease on the portal."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        client._caller.core.user_code_in_threads = True  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - one house
        self._lease = Lease(client.close)

    def _sibling(self, client: AsyncClient) -> Self:
        """Return a client that drives another asynchronous one, and shares the lease."""
        sibling = object.__new__(type(self))
        sibling.__dict__.update(self.__dict__, _client=client)
        return sibling

    def __enter__(self) -> Self:
        self._lease.check_open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End the lease, and with it the connections."""
        self._lease.close()

    def __repr__(self) -> str:
        client: AsyncClient | None = getattr(self, "_client", None)  # None while __init__ fails
        if client is None:
            return f"<{type(self).__name__}>"
        details = repr(client).partition(" ")[2].removesuffix(">").removesuffix(" closed")
        return f"<{type(self).__name__} {details}{' closed' if self._lease.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a client holds a key and connections, so it cannot be pickled or copied: make one where it is needed"
        )


def refuse_session(session: object) -> None:
    """Raise if there is an aiohttp session, which cannot follow the client to the portal's loop."""
    if session is not None:
        raise err.ConfigurationError(
            "session belongs to the event loop on which it was made: give it to AsyncClient there, "
            "or let this client make its own"
        )


class _Twin(Generic[ManagerT]):
    """A context manager of `AsyncClient`, entered, used and left by calls on one portal.

    Entering and leaving are two calls, and so is each step of an iterator: nothing runs, and nothing can go wrong,
    between them. A scope held open on the portal would hang on Ctrl-C.
    """

    _insists: ClassVar[bool] = True

    def __init__(self, lease: Lease, inner: ManagerT) -> None:
        lease.check_caller()
        self._lease = lease
        self._inner = inner
        self._portal: Portal | None = None

    def _enter(self, inner: AbstractAsyncContextManager[T]) -> T:
        self._portal = self._lease.portal
        return self._portal.enter(inner)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return self._home.leave(self._inner, kind, error, traceback, insists=self._insists)
        except BaseException:
            if self._insists and self._home.is_inside(self._inner):  # an interrupt came too early for the loop
                self._home.leave(self._inner, kind, error, traceback, insists=True)
            raise

    def __repr__(self) -> str:
        return f"<Blocking{repr(self._inner)[1:]}"

    def _use(self, function: Callable[..., T], *args: object) -> T:
        """Call a function that is not made for threads: on the loop, as long as something else may run there."""
        if self._portal is not None:
            with suppress(err.ClientClosedError):
                return self._portal.run(_called, function, *args)
        return function(*args)

    @property
    def _home(self) -> Portal:
        """The portal on which it was entered: after a fork this is not the client's."""
        return self._portal or self._lease.portal


class _Iterator(_Twin[ManagerT], Generic[ManagerT, T]):
    """A context manager that is an iterator, too.

    What an interrupted step had received already is what the next step returns: nothing is lost in between.
    """

    def __init__(self, lease: Lease, inner: ManagerT) -> None:
        super().__init__(lease, inner)
        self._kept: list[T] = []

    def __enter__(self) -> Self:
        self._enter(self._inner)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:  # noqa: SIM105 - an interrupt amid what `suppress` does first would skip the end
            super().__exit__(kind, error, traceback)
        except err.ClientClosedError:  # the client was closed in the block, and this with it
            pass

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._kept:
            return self._kept.pop()
        iterator = cast("AsyncIterator[T]", self._inner)
        try:
            return self._home.step(iterator.__anext__, self._kept.append)
        except StopAsyncIteration:
            raise StopIteration from None


class Block(_Twin[AbstractAsyncContextManager[T]]):
    """A context manager that gives a plain value."""

    def __enter__(self) -> T:
        return self._enter(self._inner)


@public
class BlockingAttachmentStream(_Iterator["AttachmentStream", bytes]):
    """An attachment that is being received: a context manager, and an iterator of its bytes.

    Attributes:
        name: The file's name as the sender gave it; never use it as a path.
        size: The size in bytes, or None if the service does not declare it.
        content_type: The media type that the service declares, or an empty text.
    """

    @property
    def name(self) -> str:
        """The file's name as the sender gave it; never use it as a path."""
        return self._inner.name

    @property
    def size(self) -> int | None:
        """The size in bytes, or None if the service does not declare it."""
        return self._inner.size

    @property
    def content_type(self) -> str:
        """The media type that the service declares, or an empty text."""
        return self._inner.content_type


@public
class BlockingExpectedMessage(_Twin["ExpectedMessage"]):
    """The message that a block of code causes: a context manager; see `Client.expect_message`."""

    _insists = False  # leaving is a wait, which leaves nothing behind when it is interrupted

    @property
    def message(self) -> Message:
        """The message; known behind the block.

        Raises:
            ConfigurationError: The block is not over yet.
        """
        return self._inner.message

    def __enter__(self) -> Self:
        self._enter(self._inner)
        return self


@public
class BlockingWatch(_Iterator["Watch", "Message"]):
    """Delivers each message of any number of mailboxes once: a context manager and iterator.

    Made by `Client.watch`. A message counts as seen when the consumer asks for the next one, so what was being worked
    on when a program stopped is delivered again by a watch that goes on from `seen`.
    """

    def add(self, *mailboxes: Mailbox | str, seen: Mapping[str, Sequence[str]] | None = None) -> None:
        """Watch further mailboxes. One that is watched already goes on as it is.

        Args:
            mailboxes: The mailboxes or their addresses.
            seen: What another watch's `discard` or `seen` returned: those messages are not delivered here.

        Raises:
            ConfigurationError: One of them cannot be a mailbox, or `seen` is something else.
            ClientClosedError: The client is closed.
        """
        self._use(partial(self._inner.add, seen=seen), *mailboxes)

    def discard(self, *mailboxes: Mailbox | str) -> dict[str, list[str]]:
        """Stop watching these mailboxes: no message of theirs is delivered any more, and what was seen is forgotten.

        Args:
            mailboxes: The mailboxes or their addresses; one that is not watched does no harm.

        Returns:
            What was seen there, for `add` of another watch that takes over; the same as `seen` returns.
        """
        return self._use(self._inner.discard, *mailboxes)

    def seen(self) -> dict[str, list[str]]:
        """Return what was seen, ready for JSON and for `Client.watch(state=…)`.

        Returns:
            The ids of the messages by the address of their mailbox, also of mailboxes in the state that the watch began
            with and that were not added yet. The message that was delivered last is not among them before the next one
            is asked for.
        """
        return self._use(self._inner.seen)

    @property
    def health(self) -> WatchHealth:
        """How the watch is at this moment."""
        return self._use(lambda: self._inner.health)

    def process(
        self,
        handler: Callable[[Message], Awaitable[object] | object],
        *,
        workers: int = 1,
        attempts: int = 3,
    ) -> None:
        """Handle every message at least once, several at a time, until no mailbox is left.

        A message counts as seen when its handler has returned. If the handler raises, the message is delivered to it
        again after a while.

        Args:
            handler: A function of a message, plain or async.
            workers: How many messages are handled at a time.
            attempts: How often a message is handled at most, if its handler raises. The last error ends `process`, and
                the message is not seen: a watch that goes on from the state delivers it again.

        Raises:
            ConfigurationError: Another task is waiting for the watch's next message.
            TempMailError: The watch cannot go on.
            Exception: What the handler raised, the last time that it was allowed to.
        """
        self._home.run(partial(self._inner.process, workers=workers, attempts=attempts), handler)


async def _called(function: Callable[..., T], *args: object) -> T:
    return function(*args)
