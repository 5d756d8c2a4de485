"""The promise of the economy, for any quota, reset and lifetime: nothing is lost while requests remain."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tempmailg import AsyncClient, QuotaExceededError, TempMailError, Watch
from tempmailg.sandbox import HtmlPage, RateLimited, Reset, Sandbox, Stall, Status

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tempmailg import Mailbox

RESET = datetime(2026, 5, 31, 19, tzinfo=UTC)  # when the sandbox's quota starts again
FAULTS = st.lists(
    st.sampled_from([Status(502), HtmlPage(404), Status(401), RateLimited(1), Reset(), Stall()]), min_size=1, max_size=2
)
MAKERS = st.sampled_from(["user", "other"])
TOO_LATE = 3.0  # seconds before its mailbox expires: what comes later cannot be promised


def ending(box: Mailbox) -> datetime:
    """Return when a mailbox of the sandbox ends, which the sandbox always says."""
    assert box.expires_at is not None
    return box.expires_at


class EconomyMachine(RuleBasedStateMachine):
    """Mailboxes are made and watched, mail comes, others spend, the service fails, the quota ends and starts again.

    A message may be lost only if there was no request left in the last seconds of its mailbox.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.loop.set_debug(False)  # years of virtual time: a stack for each callback would make minutes of seconds
        self.service: Sandbox
        self.user: AsyncClient
        self.other: AsyncClient
        self.watch: Watch
        self.consumer: asyncio.Task[None]
        self.boxes: dict[str, Mailbox] = {}
        self.sent: dict[str, str] = {}  # messages that came in time, with their mailboxes
        self.found: list[str] = []
        self.poor: set[str] = set()  # mailboxes in whose last seconds no request was left
        self.ended: TempMailError | None = None
        self.limit = 0

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    @initialize(
        limit=st.integers(5, 400),
        until_reset=st.one_of(st.floats(5, 4_000), st.floats(4_000, 2e6)),
        lifetime=st.floats(20, 3_000),
        reserve=st.integers(0, 3),
        count=st.integers(1, 30),
        maker=MAKERS,
    )
    def begin(self, limit: int, until_reset: float, lifetime: float, reserve: int, count: int, maker: str) -> None:
        self.limit = limit
        self.service = Sandbox(
            seed=1, start=RESET - timedelta(seconds=until_reset), quota=limit, lifetime=lifetime, order="shuffled"
        )
        self.user = AsyncClient(transport=self.service.transport(), quota_reserve=reserve)
        self.other = AsyncClient(transport=self.service.transport(), max_retries=0)
        self.reserve = reserve
        self.run(self._begin(min(count, limit // 2), maker))

    async def _begin(self, count: int, maker: str) -> None:
        boxes = [await self._made(maker) for _ in range(count)]
        self.watch = self.user.watch(*[box for box in boxes if box], forever=True)
        await self.watch.__aenter__()
        self.consumer = asyncio.create_task(self._consume())

    async def _made(self, maker: str) -> Mailbox | None:
        if self._left() <= 0:
            return None
        client = self.user if maker == "user" else self.other
        box = await client.create_mailbox()
        self.boxes[box.email] = box
        return box

    async def _consume(self) -> None:
        try:
            async for message in self.watch:
                self.found.append(message.id)
        except QuotaExceededError as error:
            self.ended = error

    def _left(self) -> int:
        return self.service.account().remaining

    async def _pass(self, seconds: float) -> None:
        """Let time pass, and see whether each mailbox that expires meanwhile had requests left for its last poll."""
        end = self.service.clock.monotonic() + seconds
        while self.service.clock.monotonic() < end:
            await self.service.clock.sleep(min(1.0, end - self.service.clock.monotonic()))
            now = self.service.clock.utcnow()
            for box in self.boxes.values():
                if 0 <= (ending(box) - now).total_seconds() < 8 and self._left() <= self.reserve + self._dying(now):
                    self.poor.add(box.email)

    def _dying(self, now: datetime) -> int:
        """Return how many mailboxes need a last poll about now."""
        return sum(abs((ending(box) - now).total_seconds()) < 8 for box in self.boxes.values())

    @rule(maker=MAKERS)
    @precondition(lambda self: self.ended is None and len(self.boxes) < 60)
    def add(self, maker: str) -> None:
        """One more mailbox is watched."""

        async def add() -> None:
            box = await self._made(maker)
            if box is not None and self.ended is None:
                self.watch.add(box)

        self.run(add())

    @rule(which=st.integers(0, 100), seconds=st.floats(0, 60))
    @precondition(lambda self: self.boxes)
    def deliver(self, which: int, seconds: float) -> None:
        """A message comes, and some time passes."""
        box = list(self.boxes.values())[which % len(self.boxes)]
        left = (ending(box) - self.service.clock.utcnow()).total_seconds()
        if left > 0:
            key = self.service.deliver(box)
            if left > TOO_LATE:
                self.sent[key] = box.email
        self.run(self._pass(seconds))

    @rule(seconds=st.floats(0, 700))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.run(self._pass(seconds))

    @rule(requests=st.integers(1, 60))
    def spend(self, requests: int) -> None:
        """Somebody else with the key spends requests, if there are some."""

        async def spend() -> None:
            for _ in range(min(requests, self._left())):
                await self.other.list_domains()

        self.run(spend())

    @rule(which=st.integers(0, 100), timeout=st.floats(1, 60))
    @precondition(lambda self: self.boxes)
    def wait_in_vain(self, which: int, timeout: float) -> None:
        """The same client waits for what does not come."""
        box = list(self.boxes.values())[which % len(self.boxes)]

        async def in_vain() -> None:
            waiting = asyncio.create_task(self.user.wait_for_message(box, subject="never", timeout=timeout))
            await self._pass(timeout + 1)
            await asyncio.gather(waiting, return_exceptions=True)
            error = waiting.exception()
            assert isinstance(error, TempMailError), "a wait in vain ends with an error of ours"

        self.run(in_vain())

    @rule(faults=FAULTS)
    def fail(self, faults: list[Any]) -> None:
        """The next polls meet faults, and have the time to be repeated."""
        self.service.faults.next("list_messages", *faults)
        self.run(self._pass(10.0))
        self.service.faults.clear()

    @invariant()
    def nothing_is_delivered_twice(self) -> None:
        assert len(self.found) == len(set(self.found))

    @invariant()
    def nothing_is_lost_while_requests_remain(self) -> None:
        """Of mailboxes that have expired, every message was delivered that a request was left for."""
        if self.ended is not None or not hasattr(self, "service"):
            return
        now = self.service.clock.utcnow()
        dead = {email for email, box in self.boxes.items() if ending(box) + timedelta(seconds=2) < now}
        lost = {key for key, email in self.sent.items() if email in dead - self.poor} - set(self.found)
        assert not lost

    def teardown(self) -> None:
        if hasattr(self, "watch"):
            self.run(self._finish())
            self.nothing_is_lost_while_requests_remain()
        self.loop.close()

    async def _finish(self) -> None:
        await self._pass(30.0)
        latest = max((ending(box) for box in self.boxes.values()), default=self.service.clock.utcnow())
        await self._pass(max(0.0, (latest - self.service.clock.utcnow()).total_seconds()) + 5)
        assert self.ended is None, "a watch that goes on for ever outlives the end of the quota"
        self.consumer.cancel()
        await asyncio.wait({self.consumer})
        await self.watch.__aexit__(None, None, None)
        await self.user.close()
        await self.other.close()


TestEconomyMachine = EconomyMachine.TestCase
TestEconomyMachine.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestEconomyMachine.pytestmark = [pytest.mark.timeout(300)]  # type: ignore[attr-defined] # how pytest marks a class
