"""What any number of watches share, so that one of them delivers each message: in a file, or in Redis."""

from __future__ import annotations

from tempmailg._stores._file import FileStore
from tempmailg._stores._protocol import SeenStore, check_store
from tempmailg._stores._redis import RedisStore

__all__ = ["FileStore", "RedisStore", "SeenStore", "check_store"]
