"""close() on another event loop than the one that has the connections: it closes them, or says why it cannot."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from attrs import define, field

from tempmailg import AsyncClient, ConfigurationError

LIMIT = 20.0
BODY = b'{"status": true, "data": {"requestedType": "free", "allowedTypes": ["free"], "domains": []}}'


@define
class Service:
    """A service with one connection, which it keeps; it knows when the client has closed that."""

    listener: socket.socket
    was_closed: threading.Event = field(factory=threading.Event)

    def serve(self) -> None:
        connection, _ = self.listener.accept()
        connection.settimeout(LIMIT)
        with connection:
            while connection.recv(65536):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY))
        self.was_closed.set()

    def client(self) -> AsyncClient:
        return AsyncClient("key", base_url=f"http://127.0.0.1:{self.listener.getsockname()[1]}/api")


@pytest.fixture
def service() -> Iterator[Service]:
    """A service that must see its one connection closed before the test ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as server:
        listener.settimeout(LIMIT)
        running = Service(listener)
        serving = server.submit(running.serve)
        yield running
        serving.result()


async def use(client: AsyncClient) -> None:
    """Leave a kept connection in the client's pool."""
    await client.list_domains()


def test_a_client_whose_loop_has_ended_is_closed_on_another(service: Service) -> None:
    """close() in a second `asyncio.run` closes the connections of the first, in silence, any number of times."""
    client = service.client()
    asyncio.run(use(client))
    asyncio.run(client.close())
    assert service.was_closed.wait(LIMIT)
    asyncio.run(client.close())


def test_a_client_whose_loop_runs_elsewhere_is_closed_there(service: Service) -> None:
    """close() in another thread hands the closing over to the loop that has the connections."""
    client = service.client()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(use(client), loop).result(LIMIT)
        asyncio.run(client.close())
        assert service.was_closed.wait(LIMIT)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_client_whose_loop_stands_still_says_where_to_close_it(service: Service) -> None:
    """close() cannot close what belongs to a loop that nobody runs, and does not pretend that it did."""
    client = service.client()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use(client))
    with pytest.raises(ConfigurationError, match="close it there"):
        asyncio.run(client.close())
    assert not service.was_closed.is_set()
    loop.run_until_complete(client.close())
    assert service.was_closed.wait(LIMIT)
    loop.close()
