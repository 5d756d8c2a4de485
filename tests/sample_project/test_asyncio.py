"""A user signs up with a code from a mail: coroutines run by pytest-asyncio."""

import asyncio
from collections.abc import Callable

import pytest

from tempmailg import AsyncClient, Mailbox

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("attempt", [1, 2])  # two tests, two event loops, one client's connections
async def test_sign_up(
    post: Callable[..., int], tempmailg_async_client: AsyncClient, tempmailg_mailbox: Mailbox, attempt: int
) -> None:
    """The code in the mail confirms the address."""
    async with tempmailg_async_client.expect_message(tempmailg_mailbox, timeout=10) as expected:
        await asyncio.to_thread(post, "/signup", email=tempmailg_mailbox.email)
    code = expected.message.find_code()
    assert code is not None
    assert await asyncio.to_thread(post, "/confirm", email=tempmailg_mailbox.email, code=code) == 204
