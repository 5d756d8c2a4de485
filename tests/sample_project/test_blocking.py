"""A user signs up with a code from a mail: plain functions."""

from collections.abc import Callable

from app import App

from tempmailg import Client, Mailbox


def test_sign_up(app: App, post: Callable[..., int], tempmailg_client: Client, tempmailg_mailbox: Mailbox) -> None:
    """The code in the mail confirms the address."""
    post("/signup", email=tempmailg_mailbox.email)
    code = tempmailg_client.wait_for_code(tempmailg_mailbox, timeout=10)
    assert post("/confirm", email=tempmailg_mailbox.email, code=code) == 204
    assert tempmailg_mailbox.email in app.users


def test_second_code(post: Callable[..., int], tempmailg_client: Client, tempmailg_mailbox: Mailbox) -> None:
    """Only the code of the second mail is taken after a second request."""
    post("/signup", email=tempmailg_mailbox.email)
    tempmailg_client.wait_for_message(tempmailg_mailbox, timeout=10)
    with tempmailg_client.expect_message(tempmailg_mailbox, timeout=10) as expected:
        post("/signup", email=tempmailg_mailbox.email)
    code = expected.message.find_code()
    assert code is not None
    assert post("/confirm", email=tempmailg_mailbox.email, code=code) == 204
