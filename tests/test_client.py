"""The client end to end, through real sockets, against the sandbox."""

from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from tempmailg import AsyncClient
from tempmailg import _errors as err

if TYPE_CHECKING:
    from tempmailg.sandbox import Sandbox

PICTURE = bytes(range(256)) * 4_000


def mail_to(address: str, subject: str = "Welcome", *, attachment: bytes | None = None) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Shop <shop@example.org>", address, subject
    mail.set_content("Your code is 123456")
    if attachment is not None:
        mail.add_attachment(attachment, maintype="application", subtype="octet-stream", filename="bild ü.bin")
    return mail


def send(sandbox: Sandbox, *mails: EmailMessage) -> None:
    with smtplib.SMTP(sandbox.smtp_host, sandbox.smtp_port) as smtp:
        for mail in mails:
            smtp.send_message(mail)


async def test_a_mail_travels_through_all_eight_endpoints(sandbox: Sandbox, client: AsyncClient) -> None:
    """A real e-mail comes in by SMTP and is listed, read, streamed and deleted through the API."""
    domains = await client.list_domains()
    mailbox = await client.create_mailbox()
    switched = await client.update_mailbox(mailbox, "demo123", domains.domains[0].domain)
    assert switched.email == f"demo123@{domains.domains[0].domain}"
    assert switched.id != mailbox.id

    await asyncio.to_thread(send, sandbox, mail_to(switched.email, attachment=PICTURE))
    listed = await client.list_messages(switched)
    assert [(each.subject, each.is_seen) for each in listed] == [("Welcome", False)]
    opened = await client.get_message(listed[0])
    assert (opened.from_name, opened.from_email, opened.is_seen) == ("Shop", "shop@example.org", True)
    assert opened.received_at.utcoffset() is not None

    (attachment,) = opened.attachments
    assert (attachment.name, attachment.size) == ("bild ü.bin", len(PICTURE))
    async with client.stream_attachment(attachment) as stream:
        assert (stream.name, stream.size) == ("bild ü.bin", len(PICTURE))
        chunks = [chunk async for chunk in stream]
    assert b"".join(chunks) == PICTURE

    await client.delete_message(opened)
    assert await client.list_messages(switched) == []
    await client.delete_mailbox(switched)
    with pytest.raises(err.NotFoundError):
        await client.list_messages(switched)


async def test_the_quota_counts_successful_requests(client: AsyncClient) -> None:
    """`client.quota` is what the last answer declared, and failures cost nothing."""
    await client.create_mailbox()
    before = client.quota
    assert before is not None
    with pytest.raises(err.NotFoundError):
        await client.delete_message("no-such-message")
    await client.list_domains()
    assert client.quota is not None
    assert client.quota.used == before.used + 1


@pytest.mark.parametrize(
    "name", ["a+b", "100%", "50%25", "a/b", "what?", "#1", "two words", "grüße", "a..b", "..%2f", "&x=1"]
)
async def test_special_characters_arrive_as_they_were_given(sandbox: Sandbox, client: AsyncClient, name: str) -> None:
    """What the server's handler receives equals what the caller passed, in addresses and in file names."""
    for attempt in (client.delete_mailbox(f"{name}@example.com"), client.list_messages(f"{name}@example.com")):
        with pytest.raises(err.NotFoundError):
            await attempt
    with pytest.raises(err.NotFoundError):
        async with client.stream_attachment((f"id {name}", name)):
            pass
    deleted, listed, streamed = sandbox.journal
    assert list(deleted.arguments.values()) == [f"{name}@example.com"]
    assert list(listed.arguments.values()) == [f"{name}@example.com"]
    assert list(streamed.arguments.values()) == [f"id {name}", name]


async def test_a_temporary_mailbox_is_gone_after_its_block(client: AsyncClient) -> None:
    """The block gets a mailbox of its own, which is deleted behind it, also after an error."""
    address = ""
    with pytest.raises(RuntimeError, match="in the block"):
        async with client.temporary_mailbox() as mailbox:
            address = mailbox.email
            assert await client.list_messages(address) == []
            raise RuntimeError("in the block")
    with pytest.raises(err.NotFoundError):
        await client.list_messages(address)


async def test_a_temporary_mailbox_may_be_deleted_in_its_block(client: AsyncClient) -> None:
    """Nothing is wrong with a mailbox that is gone already when the block ends."""
    async with client.temporary_mailbox() as mailbox:
        await client.delete_mailbox(mailbox)


async def test_an_attachment_can_be_left_in_the_middle(sandbox: Sandbox, client: AsyncClient) -> None:
    """Leaving the block early gives the connection up, and the client goes on."""
    mailbox = await client.create_mailbox()
    await asyncio.to_thread(send, sandbox, mail_to(mailbox.email, attachment=PICTURE))
    (message,) = await client.list_messages(mailbox)
    async with client.stream_attachment(message.attachments[0]) as stream:
        async for _ in stream:
            break
    assert len(await client.list_messages(mailbox)) == 1


async def test_a_stream_is_used_in_its_block_and_once(client: AsyncClient) -> None:
    """A stream that was not entered, or is entered twice, says how to use it."""
    stream = client.stream_attachment(("m", "f"))
    with pytest.raises(err.ConfigurationError, match="enter the stream first"):
        async for _ in stream:
            pass


async def test_other_peoples_mailboxes_are_out_of_reach(sandbox: Sandbox, client: AsyncClient) -> None:
    """A wrong key is an authentication error that says where to look."""
    mailbox = await client.create_mailbox()
    async with AsyncClient("wrong-key", base_url=sandbox.base_url) as stranger:
        with pytest.raises(err.AuthenticationError, match="API management page"):
            await stranger.list_messages(mailbox)


async def test_a_free_plan_may_not_ask_for_premium_domains(client: AsyncClient) -> None:
    """The plan's limits come back as a permission error."""
    with pytest.raises(err.PermissionDeniedError):
        await client.list_domains("premium")


async def test_a_thousand_mailboxes_at_once(sandbox: Sandbox, client: AsyncClient) -> None:
    """One client creates, lists and deletes 1,000 mailboxes concurrently; every mail arrives where it was sent."""
    mailboxes = await asyncio.gather(*(client.create_mailbox() for _ in range(1_000)))
    assert len({mailbox.email for mailbox in mailboxes}) == 1_000
    await asyncio.to_thread(send, sandbox, *(mail_to(box.email, subject=box.email) for box in mailboxes))
    listed = await asyncio.gather(*(client.list_messages(mailbox) for mailbox in mailboxes))
    assert [[each.subject for each in messages] for messages in listed] == [[box.email] for box in mailboxes]
    await asyncio.gather(*(client.delete_mailbox(mailbox) for mailbox in mailboxes))
    assert len(sandbox.journal) >= 3_000
