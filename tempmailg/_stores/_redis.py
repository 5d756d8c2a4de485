"""A store in Redis, for workers on any number of machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from tempmailg import _errors as err
from tempmailg._public import public
from tempmailg._stores._protocol import DEFAULT_KEEP, DEFAULT_LEASE, check_lease

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from redis.asyncio import Redis

__all__ = ["RedisStore"]

# A mailbox is a hash: by message id the time at which its lease ends, in milliseconds of Redis' own clock, or "done".
_CLAIM: Final = """
local state = redis.call('HGET', KEYS[1], ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if state == 'done' or (state and tonumber(state) > now) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
_DONE: Final = """
redis.call('HSET', KEYS[1], ARGV[1], 'done')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""


@public
class RedisStore:
    """A store of seen messages in Redis: a `SeenStore` for workers on any number of machines.

    Each mailbox is one hash, so a cluster spreads them. A message takes two round trips, one to be claimed and one when
    it was handled. A Redis that loses its data, or fails over to a replica that lags behind, forgets what was handled
    last: such messages are delivered again.

    Args:
        redis: The URL of the server (``redis://…``, ``rediss://…``), or a `redis.asyncio.Redis` of your own, which is
            never closed here.
        lease: Seconds after which a message that was claimed and not handled is free again: its worker has died.
            Longer than a message takes to be handled.
        keep: Seconds for which a mailbox's handled messages are remembered. Longer than it lives.
        prefix: What the names of the keys begin with.

    Raises:
        ConfigurationError: The package redis is missing (``pip install 'tempmailg[redis]'``), or an argument is wrong.
    """

    def __init__(
        self,
        redis: str | Redis,
        *,
        lease: float = DEFAULT_LEASE,
        keep: float = DEFAULT_KEEP,
        prefix: str = "tempmailg",
    ) -> None:
        seconds, kept = check_lease(lease, keep)
        self._lease, self._keep = round(seconds * 1000), round(kept * 1000)
        self._prefix = prefix
        self._owns = isinstance(redis, str)
        self._redis: Any = _connected(redis) if isinstance(redis, str) else redis

    async def seen(self, mailbox: str) -> list[str]:
        """Return the ids of the messages that were handled.

        Args:
            mailbox: The mailbox's address.
        """
        states = cast("dict[bytes | str, bytes | str]", await self._redis.hgetall(self._key(mailbox)))
        return [_text(key) for key, state in states.items() if _text(state) == "done"]

    async def claim(self, mailbox: str, message_id: str) -> bool:
        """Claim a message, and return whether the caller is to deliver it.

        Args:
            mailbox: The mailbox's address.
            message_id: The message's id.
        """
        return bool(await self._run(_CLAIM, mailbox, message_id, self._lease, self._keep))

    async def done(self, mailbox: str, message_id: str) -> None:
        """Mark a message as handled.

        Args:
            mailbox: The mailbox's address.
            message_id: The message's id.
        """
        await self._run(_DONE, mailbox, message_id, self._keep)

    async def close(self) -> None:
        """Close the connections, unless they are those of your own `redis.asyncio.Redis`."""
        if self._owns:
            await self._redis.aclose()

    def __repr__(self) -> str:
        return f"<RedisStore {self._prefix!r}>"  # the URL may hold a password

    def _key(self, mailbox: str) -> str:
        return f"{self._prefix}:{mailbox}"

    def _run(self, script: str, mailbox: str, *arguments: object) -> Awaitable[object]:
        return cast("Awaitable[object]", self._redis.eval(script, 1, self._key(mailbox), *arguments))


def _connected(url: str) -> object:
    try:
        from redis.asyncio import Redis
    except ImportError:
        raise err.ConfigurationError("RedisStore needs redis: pip install 'tempmailg[redis]'") from None
    try:
        kind: Any = Redis  # its methods declare their types in part
        return kind.from_url(url)
    except ValueError:
        raise err.ConfigurationError(
            "the URL of Redis cannot be read: write redis://host:6379/0, or rediss:// for TLS"
        ) from None


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
