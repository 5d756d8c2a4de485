"""Odd answers over real sockets: what a stranger's mail, PHP or a proxy can do to an answer, and what a caller gets."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.fault_server import Answer, FaultServer, reply

from tempmailg import AsyncClient, NotFoundError, RequestRejectedError, WaitTimeoutError

BOX = "box@example.com"
SAMPLES = Path(__file__).parent / "samples"
MESSAGE = json.loads((SAMPLES / "get_message.json").read_bytes())["data"]

Serve = Callable[..., AbstractAsyncContextManager[AsyncClient]]


@pytest.fixture
def serve() -> Serve:
    """Give a client of a server that gives these answers, the last one again and again."""

    @asynccontextmanager
    async def serving(*answers: Answer) -> AsyncGenerator[AsyncClient]:
        async with FaultServer(*answers) as server, AsyncClient("key", base_url=server.base_url) as client:
            yield client

    return serving


def listing(*messages: object, **headers: str) -> Answer:
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return [reply({"status": True, "messages": messages}, headers=spelled)]


async def test_a_mail_whose_subject_is_a_code_blinds_nobody(serve: Serve) -> None:
    """PHP's numeric check makes numbers of a subject, a text and a file name of digits: they are that text."""
    code = {**MESSAGE, "id": 7, "subject": 482913, "content": 482913, "attachments": [{"name": 2024, "size": "91"}]}
    async with serve(listing(MESSAGE, code)) as client:
        listed = await client.list_messages(BOX)
        assert [(each.id, each.subject, each.content) for each in listed[1:]] == [("7", "482913", "482913")]
        assert [(file.name, file.size) for file in listed[1].attachments] == [("2024", 91)]
        assert listed.unreadable == ()
        assert (await client.wait_for_message(BOX, subject="482913", timeout=5)).id == "7"


async def test_a_list_after_a_filter_is_a_list(serve: Serve) -> None:
    """PHP writes what is left of a filtered array as an object."""
    answer = [reply({"status": True, "messages": {"1": MESSAGE, "3": {**MESSAGE, "id": "b"}}})]
    async with serve(answer) as client:
        assert [each.id for each in await client.list_messages(BOX)] == [MESSAGE["id"], "b"]
        assert (await client.wait_for_messages(BOX, count=2, timeout=5))[1].id == "b"


async def test_an_unreadable_message_is_reported_beside_the_others(serve: Serve) -> None:
    """A list reports it in `unreadable`, a wait that fails among its reasons; both see the others."""
    async with serve(listing({**MESSAGE, "receivedAt": "soon"}, MESSAGE)) as client:
        listed = await client.list_messages(BOX)
        assert [each.id for each in listed] == [MESSAGE["id"]]
        assert [str(error).partition(": ")[2] for error in listed.unreadable] == [
            'messages[0].receivedAt: expected a date and time, got "soon"'
        ]
        with pytest.raises(WaitTimeoutError) as caught:
            await client.wait_for_message(BOX, subject="another", timeout=1.0)
        assert len(caught.value.rejected) == 2


@pytest.mark.parametrize(
    "payload", [{"status": "failed", "message": "No such mailbox"}, {"success": False}, {"error": "No such mailbox"}]
)
async def test_a_refused_deletion_is_no_success(serve: Serve, payload: dict[str, Any]) -> None:
    """A deletion that the service refuses with 200 raises, whatever words it uses."""
    async with serve([reply(payload)]) as client:
        for deletion in (client.delete_mailbox(BOX), client.delete_message("m")):
            with pytest.raises(RequestRejectedError):
                await deletion


@pytest.mark.parametrize("body", [b"", b"[]", b"{}"])
async def test_a_deletion_that_is_answered_by_nothing_is_done_at_once(body: bytes) -> None:
    """An empty answer to a deletion is a success after one request."""
    async with FaultServer([reply(body=body)]) as server, AsyncClient("key", base_url=server.base_url) as client:
        await client.delete_mailbox(BOX)
        assert len(server.requests) == 1


async def test_a_proxys_404_is_told_from_the_services(serve: Serve) -> None:
    """Whoever catches NotFoundError can see whether the service itself said it, and quote the request's id."""
    page = reply(status=404, body=b"<h1>Not Found</h1>", headers={"CF-Ray": "8f1a-FRA", "Content-Type": "text/html"})
    for answer, from_service in (([page], False), ([reply({"message": "No such mailbox"}, status=404)], True)):
        async with serve(answer) as client:
            with pytest.raises(NotFoundError) as caught:
                await client.list_messages(BOX)
            assert caught.value.from_service is from_service
            assert caught.value.request_id == (None if from_service else "8f1a-FRA")


@pytest.mark.parametrize("status", [404, 410])
async def test_a_proxys_404_does_not_count_as_deleted(serve: Serve, status: int) -> None:
    """A block and `clear` that end with a proxy's page say so; when the service says "not found", all is well."""
    page = [reply(status=status, body=b"<h1>Not Found</h1>", headers={"Content-Type": "text/html"})]
    gone = [reply({"status": False, "message": "No such mailbox"}, status=status)]
    made = [reply(body=(SAMPLES / "create_mailbox.json").read_bytes())]
    listed = [reply(body=(SAMPLES / "list_messages.json").read_bytes())]
    async with serve(made, gone) as client, client.temporary_mailbox() as mailbox:
        assert mailbox.email
    async with serve(listed, gone) as client:
        assert (await client.clear(BOX)).deleted > 0
    async with serve(made, page) as client:
        with pytest.raises(NotFoundError):
            async with client.temporary_mailbox():
                pass
    async with serve(listed, page) as client:
        with pytest.raises(NotFoundError):
            await client.clear(BOX)


async def test_an_epoch_as_reset_leaves_the_counts(serve: Serve) -> None:
    """The quota is known though the moment of its reset is not."""
    counts = {"X_RateLimit_Limit": "100", "X_RateLimit_Used": "40", "X_RateLimit_Remaining": "60"}
    async with serve(listing(**counts, X_RateLimit_Reset="1780000000")) as client:
        await client.list_messages(BOX)
        assert client.quota is not None
        assert (client.quota.remaining, client.quota.resets_at) == (60, None)
