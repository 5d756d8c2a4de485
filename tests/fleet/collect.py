"""What a worker does: it waits for the sign-up mail of each mailbox of its shard, and passes the code on.

The same in each of the two examples beside: `celery_fleet.py` and `dask_fleet.py`.
"""

from __future__ import annotations

import asyncio
import os
import sys

from handler import handle
from redis.asyncio import Redis

from tempmailg import AsyncClient, RedisStore

REDIS_URL = os.environ["REDIS_URL"]
LEASE = 3.0  # seconds: handling a mail takes less; a worker that dies delays its mail by as much
RESERVE = 100  # requests of the quota that the fleet leaves for others
POLL_INTERVAL = 2.0  # seconds; leave it out, and the pace follows the quota


def run(shard: list[str]) -> int:
    """Collect a shard in a worker that has no event loop; returns how many messages it handled."""
    return asyncio.run(collect(shard))


async def collect(shard: list[str]) -> int:
    """Handle one message of each mailbox that none was handled of yet."""
    redis = Redis.from_url(REDIS_URL)
    store = RedisStore(redis, lease=LEASE)
    waiting = [mailbox for mailbox in shard if not await store.seen(mailbox)]  # all, unless a worker died over them
    count = 0
    async with (
        AsyncClient(quota_reserve=RESERVE) as client,
        client.watch(*waiting, store=store, poll_interval=POLL_INTERVAL) as watch,
    ):
        async for message in watch:
            await handle(message, redis)
            watch.discard(message.to)  # it has what it was for; the watch ends with the last one
            count += 1
    await redis.aclose()
    return count


def shards(count: int) -> list[list[str]]:
    """Deal the mailboxes on standard input, one a line, out to shards: a few for each worker, so that all stay busy."""
    mailboxes = sys.stdin.read().split()
    return [mailboxes[number::count] for number in range(count)]
