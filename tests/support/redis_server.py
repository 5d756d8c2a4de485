"""Redis as Debian ships it, started for a test on a free port and gone with it."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from benchmarks._redis import running_redis

REDIS = shutil.which("redis-server", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")

needs_redis = pytest.mark.skipif(REDIS is None, reason="redis-server is not installed")


@contextmanager
def redis_server() -> Generator[str]:
    """Give the URL of a running server."""
    assert REDIS is not None
    with running_redis(REDIS) as (url, _):
        yield url
