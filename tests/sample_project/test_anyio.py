"""A user signs up with a code from a mail: coroutines run by anyio's plugin."""

from collections.abc import Callable

import pytest
from anyio.to_thread import run_sync

from tempmailg import AsyncClient, Mailbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The client speaks asyncio."""
    return "asyncio"


@pytest.mark.parametrize("attempt", [1, 2])  # two tests, two event loops, one client's connections
async def test_sign_up(
    post: Callable[..., int], tempmailg_async_client: AsyncClient, tempmailg_mailbox: Mailbox, attempt: int
) -> None:
    """The code in the mail confirms the address."""
    await run_sync(lambda: post("/signup", email=tempmailg_mailbox.email))
    code = await tempmailg_async_client.wait_for_code(tempmailg_mailbox, timeout=10)
    assert await run_sync(lambda: post("/confirm", email=tempmailg_mailbox.email, code=code)) == 204
