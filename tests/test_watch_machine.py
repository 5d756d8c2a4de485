"""The promise of a watch, for any course of events: every message exactly once, none lost, none twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.virtual import START

from tempmailg import AsyncClient, Mailbox, MailboxGoneError, Message, Watch
from tempmailg.sandbox import BadJson, Delay, Duplicate, HtmlPage, RateLimited, Reorder, Reset, Sandbox, Stall, Status

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from tempmailg.sandbox._faults import Fault

FAULTS: tuple[Fault, ...] = (
    Status(500),
    Status(503, headers={"Retry-After": "3"}),
    RateLimited(2),
    HtmlPage(),
    BadJson(),
    Reset(),
    Reset(after=10),
    Stall(),
    Delay(2.0),
    Duplicate(),
    Reorder(),
)
# Mail that arrives as something happens: which mailbox, how many copies, how wrong the time of receipt is.
MAIL = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(-90_000, 90_000)), max_size=3)
WHICH = st.integers(0, 20)

CALM = 200.0  # seconds after which a watch has delivered all that is there: faults are over, backoffs have ended
LIFETIME = 50_000.0  # no mailbox expires unless all of them do


class WatchMachine(RuleBasedStateMachine):
    """Mail comes and goes, mailboxes too, the service fails, steps are cancelled, the program restarts.

    A message may be missed only if it was deleted, or its mailbox went, before a calm moment gave the watch the time to
    poll. It may be delivered twice only to a program that restarted while it was working on it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.service = Sandbox(seed=1, start=START, order="shuffled", lifetime=LIFETIME)
        self.client = AsyncClient(transport=self.service.transport())
        self.boxes: dict[str, Mailbox] = {}
        self.watched: set[str] = set()
        self.there: dict[str, str] = {}  # messages that a watch must deliver in the end: address by id
        self.counts: Counter[str] = Counter()  # since the last restart or discard, by id
        self.counts_ever: set[str] = set()
        self.last: str | None = None  # the message that the consumer works on
        self.delivered = 0
        self.gone: list[str] = []
        self.watch: Watch
        self.step: asyncio.Task[Message] | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        self.settle()
        self.run(self._leave())
        self.run(self.client.close())
        left = [task for task in asyncio.all_tasks(self.loop) if not task.done()]
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        assert not left

    async def _leave(self) -> None:
        await self._cancel_step()
        await self.watch.__aexit__(None, None, None)

    async def _cancel_step(self) -> None:
        if self.step is not None:
            self.step.cancel()
            await asyncio.wait({self.step})
            self._take_result()

    def _take_result(self) -> None:
        """Count what a finished step has brought."""
        step, self.step = self.step, None
        if step is None or step.cancelled():
            return
        error = step.exception()
        assert error is None, f"a watch never ends here: {error!r}"
        message = step.result()
        self.counts[message.id] += 1
        self.counts_ever.add(message.id)
        self.last = message.id

    async def _consume(self, seconds: float) -> None:
        """Let the consumer take what comes for some time."""
        alarm = asyncio.create_task(self.service.clock.sleep(seconds))
        while not alarm.done():
            if self.step is None:
                self.step = asyncio.create_task(anext(self.watch))
                self.last = None
            await asyncio.wait({alarm, self.step}, return_when=asyncio.FIRST_COMPLETED)
            if self.step.done():
                self._take_result()

    # -- events -----------------------------------------------------------------------------------------------------

    @initialize(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        for _ in range(count):
            self._create()
        self.watch = self.client.watch(*self.boxes.values(), forever=True, on_gone=self._on_gone)
        self.watched = set(self.boxes)
        self.run(self.watch.__aenter__())

    def _on_gone(self, error: MailboxGoneError) -> None:
        self.gone.append(error.email)

    def _create(self) -> Mailbox:
        box: Mailbox = self.run(self.client.create_mailbox())
        self.boxes[box.email] = box
        return box

    def deliver(self, mail: list[tuple[int, int, int]]) -> None:
        for which, copies, skew in mail if self.boxes else []:
            email = self._pick(self.boxes, which)
            for _ in range(copies):
                key = self.service.deliver(email, received_at=START + timedelta(seconds=skew))
                self.there[key] = email
                self.delivered += 1

    def _pick(self, things: Iterable[str], which: int) -> str:
        ordered = sorted(things)
        return ordered[which % len(ordered)]

    @rule(which=WHICH)
    @precondition(lambda self: self.there)
    def delete_message(self, which: int) -> None:
        """Somebody deletes a message, delivered or not; what was not delivered yet may now be missed."""
        key = self._pick(self.there, which)
        del self.there[key]
        self.service.faults.clear()
        self.run(self.client.delete_message(key))

    @rule(which=WHICH)
    @precondition(lambda self: self.there)
    def open_message(self, which: int) -> None:
        """Somebody opens a message, so its mailbox's list changes without news."""
        self.service.faults.clear()
        self.run(self.client.get_message(self._pick(self.there, which)))

    @rule(mail=MAIL, faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=6))
    def fail(self, mail: list[tuple[int, int, int]], faults: list[Fault]) -> None:
        """The next polls meet faults."""
        self.deliver(mail)
        self.service.faults.next("list_messages", *faults)

    @rule(mail=MAIL, seconds=st.floats(0.0, 30.0))
    def consume(self, mail: list[tuple[int, int, int]], seconds: float) -> None:
        """Time passes while the consumer consumes."""
        self.deliver(mail)
        self.run(self._consume(seconds))

    @rule(mail=MAIL, seconds=st.floats(0.0, 30.0))
    def dawdle(self, mail: list[tuple[int, int, int]], seconds: float) -> None:
        """Time passes while the consumer is busy elsewhere."""
        self.deliver(mail)
        self.run(self.service.clock.sleep(seconds))
        if self.step is not None and self.step.done():
            self._take_result()

    @rule(mail=MAIL, seconds=st.floats(2.0, 30.0), turns=st.integers(0, 4))
    def cancel(self, mail: list[tuple[int, int, int]], seconds: float, turns: int) -> None:
        """A step is begun, perhaps on a backlog, and cancelled some turns of the loop later."""
        self.dawdle(mail, seconds)

        async def begin_and_cancel() -> None:
            if self.step is None:
                self.step = asyncio.create_task(anext(self.watch))
                if turns:  # a task that is cancelled before its first turn has never asked for a message
                    self.last = None
            for _ in range(turns):
                await asyncio.sleep(0)
            await self._cancel_step()

        self.run(begin_and_cancel())

    @rule()
    def add(self) -> None:
        """A new mailbox is watched from now on."""
        if len(self.boxes) < 5:
            box = self._create()
            self.run(self._add(box))
            self.watched.add(box.email)

    async def _add(self, box: Mailbox | str) -> None:
        self.watch.add(box)

    @rule(which=WHICH)
    @precondition(lambda self: self.watched)
    def discard(self, which: int) -> None:
        """A mailbox is watched no longer."""
        email = self._pick(self.watched, which)
        self.run(self._discard(email))
        self.watched.discard(email)
        self._forget(email)

    async def _discard(self, email: str) -> None:
        self.watch.discard(email)

    @rule(which=WHICH)
    @precondition(lambda self: set(self.boxes) - self.watched)
    def add_again(self, which: int) -> None:
        """A mailbox that was discarded is watched again, by its address only, and begins anew."""
        email = self._pick(set(self.boxes) - self.watched, which)
        self._forget(email)
        self.watched.add(email)
        self.run(self._add(email))

    def _forget(self, email: str) -> None:
        """After a discard everything in the mailbox is new again, but for a step that was done before it."""
        if self.step is not None and self.step.done():
            self._take_result()
        for key in [key for key, owner in self.there.items() if owner == email]:
            del self.counts[key]

    @rule(which=WHICH, mail=MAIL, seconds=st.floats(0.0, 60.0))
    @precondition(lambda self: self.boxes)
    def delete_mailbox(self, which: int, mail: list[tuple[int, int, int]], seconds: float) -> None:
        """A mailbox is deleted with what is in it, perhaps while the consumer is busy."""
        email = self._pick(self.boxes, which)
        self.service.faults.clear()
        self.run(self.client.delete_mailbox(email))
        self._drop(email)
        self.dawdle(mail, seconds)

    def _drop(self, email: str) -> None:
        del self.boxes[email]
        self.watched.discard(email)
        self.there = {key: owner for key, owner in self.there.items() if owner != email}

    @rule()
    @precondition(lambda self: self.delivered > 10)
    def expire(self) -> None:
        """Time passes until every mailbox has expired; what was there before is delivered first."""
        self.settle()
        self.service.clock.advance(LIFETIME)
        self.run(self._consume(60.0))
        self.delivered = 0
        assert set(self.gone) >= self.watched
        for email in list(self.boxes):
            self._drop(email)

    @rule(mail=MAIL)
    def restart(self, mail: list[tuple[int, int, int]]) -> None:
        """The program stops and goes on from its saved state; only what it was working on may be delivered again."""
        state = json.loads(json.dumps(self.watch.seen()))
        if self.last is not None:
            del self.counts[self.last]
        self.run(self._leave())
        self.deliver(mail)
        self.last = None
        boxes = [self.boxes[email] for email in sorted(self.watched)]
        self.watch = self.client.watch(*boxes, state=state, forever=True, on_gone=self._on_gone)
        self.run(self.watch.__aenter__())

    # -- promises ---------------------------------------------------------------------------------------------------

    @rule()
    def settle(self) -> None:
        """When the service is well for a while, everything that is there was delivered."""
        self.service.faults.clear()
        self.run(self._consume(CALM))
        missed = {key for key, email in self.there.items() if email in self.watched and not self.counts[key]}
        assert not missed

    @invariant()
    def nothing_is_told_twice(self) -> None:
        assert all(count == 1 for count in self.counts.values() if count), self.counts

    @invariant()
    def only_what_was_told_is_seen(self) -> None:
        """The state holds what was delivered, but for the message that is being worked on."""
        if not hasattr(self, "watch"):
            return
        seen = {key for ids in self.watch.seen().values() for key in ids}
        assert seen <= self.counts_ever
        assert self.last not in seen


TestWatchMachine = WatchMachine.TestCase
TestWatchMachine.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestWatchMachine.pytestmark = [pytest.mark.timeout(300)]  # type: ignore[attr-defined] # how pytest marks a class
