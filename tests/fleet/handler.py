"""The application: it keeps the code of each mail. One mail of the test kills the first worker that gets it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tempmailg import Message


async def handle(message: Message, redis: Any) -> None:
    """Keep a message's code, in the name of its worker."""
    if message.subject == "fatal" and await redis.set("killed", os.getpid(), nx=True):
        os.kill(os.getpid(), signal.SIGKILL)
    await redis.rpush("handled", f"{message.to} {message.find_code()} {os.getpid()}")
