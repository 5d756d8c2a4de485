"""What goes on around a blocking call: threads, forks, Ctrl-C, exits. Each test is a program with a time limit."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support.scripts import Ended, run_script

from tempmailg import Client
from tempmailg.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no fork, and sends no process Ctrl-C alone")

BIG = 8 * 1024 * 1024  # more than all buffers between server and client hold, so the stream is open in mid-air

Run = Callable[[str], Ended]


@pytest.fixture(scope="module")
def service() -> Iterator[Sandbox]:
    """A sandbox for all programs."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def big_file(service: Sandbox) -> tuple[str, str]:
    """A big attachment: its message and its name."""
    with Client(service.api_key, base_url=service.base_url) as client:
        return service.deliver(client.create_mailbox(), attachments=[("big.bin", bytes(BIG))]), "big.bin"


def runner(service: Sandbox, file: tuple[str, str], *, uvloop: bool) -> Run:
    """Return what runs a program that finds the sandbox by its environment, and the big attachment as FILE."""
    where = {"TEMPMAILG_BASE_URL": service.base_url, "TEMPMAILG_API_KEY": service.api_key}
    return lambda code: run_script(f"FILE = {file!r}\n{code}", uvloop=uvloop, **where)


@pytest.fixture
def run(service: Sandbox, big_file: tuple[str, str]) -> Run:
    """Runs a program on the loop that is installed."""
    return runner(service, big_file, uvloop=True)


@pytest.fixture(params=["asyncio", "uvloop"])
def run_on_each(service: Sandbox, big_file: tuple[str, str], request: pytest.FixtureRequest) -> Run:
    """Runs a program on either loop: for what concerns sockets and signals."""
    return runner(service, big_file, uvloop=request.param == "uvloop")


# --------------------------------------------------------------------------------------------------- plain and threaded


def test_a_script_runs_on_one_thread_that_ends_with_the_last_client(run: Run) -> None:
    """However many clients there are, they share one background thread, and closing them leaves none."""
    ended = run(PLAIN)
    assert ended == Ended(0, ["1", "2", "2", "1"], "")


PLAIN = """
import threading
from tempmailg import Client

print(threading.active_count())
with Client() as one:
    one.list_domains()
    with Client() as two:
        two.delete_mailbox(two.create_mailbox())
        print(threading.active_count())
    one.list_domains()
    print(threading.active_count())
print(threading.active_count())
"""


def test_threads_share_one_client(run: Run) -> None:
    """Eight threads make fifty calls each on one client, and every one gets its own answers."""
    ended = run(THREADS)
    assert ended == Ended(0, ["400", "10"], "")


THREADS = """
import threading
from concurrent.futures import ThreadPoolExecutor
from tempmailg import Client, NotFoundError

def work(number):
    mailbox = client.create_mailbox()
    right = 0
    for call in range(49):
        try:
            right += client.list_messages(mailbox if call % 2 else f"nobody{number}@example.com") == []
        except NotFoundError:
            right += not call % 2
    client.delete_mailbox(mailbox)
    return right + 1

with Client() as client, ThreadPoolExecutor(8) as pool:
    print(sum(pool.map(work, range(8))))
    print(threading.active_count())
"""


# --------------------------------------------------------------------------------------------------------------- forks


@posix
def test_a_forked_child_uses_the_client_anew(run_on_each: Run) -> None:
    """A client that was used before `os.fork` works in the child and, after the child's end, still in the parent."""
    ended = run_on_each(FORK)
    assert ended == Ended(0, ["child ok", "child 0", "parent ok"], "")


FORK = """
import gc, os, sys
from tempmailg import Client

client = Client()
mailbox = client.create_mailbox()
pid = os.fork()
if pid == 0:
    assert client.list_messages(mailbox) == []
    with Client() as other:
        other.list_domains()
    client.close()
    del client
    gc.collect()
    print("child ok", flush=True)
    sys.exit()
print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
assert client.list_messages(mailbox) == []
client.close()
print("parent ok")
"""


@posix
def test_a_forked_child_that_does_nothing_disturbs_nobody(run_on_each: Run) -> None:
    """A child that drops the client and the stream it inherited, and exits, takes nothing from its parent."""
    ended = run_on_each(FORK_AND_DROP)
    assert ended == Ended(0, ["child 0", "parent b'halfhalf'"], "")


FORK_AND_DROP = """
import gc, os, socket, sys, threading
from tempmailg import Client

listener = socket.create_server(("127.0.0.1", 0))
child_has_ended = threading.Event()

def serve():
    with listener, listener.accept()[0] as connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 8\\r\\n\\r\\nhalf")
        child_has_ended.wait()
        connection.sendall(b"half")

server = threading.Thread(target=serve, daemon=True)
server.start()
client = Client("key", base_url="http://127.0.0.1:%d" % listener.getsockname()[1])
stream = client.stream_attachment(FILE, speed_window=5.0).__enter__()
received = next(stream)
pid = os.fork()
if pid == 0:
    del client, stream
    gc.collect()
    listener.close()
    sys.exit()
print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
child_has_ended.set()
print("parent", received + b"".join(stream))  # only if the epoll still watches the socket
stream.__exit__(None, None, None)
client.close()
server.join()
"""


@posix
def test_a_stream_from_before_the_fork_is_refused(run_on_each: Run) -> None:
    """Reading on in the child raises at once, leaving the stream is silent, and the parent reads on undisturbed."""
    ended = run_on_each(FORK_IN_STREAM)
    assert ended.stderr == ""
    assert ended.lines == [
        "child this was opened before the process forked, and belongs to the parent: open it again here",
        f"child {BIG}",
        "child 0",
        f"parent {BIG}",
    ]


FORK_IN_STREAM = """
import gc, os, sys
from tempmailg import Client, ConfigurationError

client = Client()
with client.stream_attachment(FILE) as stream:
    received = len(next(stream))
    pid = os.fork()
    if pid == 0:
        try:
            next(stream)
        except ConfigurationError as error:
            print("child", error, flush=True)
        with client.stream_attachment(FILE) as anew:
            print("child", sum(map(len, anew)), flush=True)
    else:
        print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
        received += sum(map(len, stream))
if pid == 0:
    del stream
    gc.collect()
    client.close()
    sys.exit()
print("parent", received)
client.close()
"""


@posix
def test_multiprocessing_forks_work(run: Run) -> None:
    """The processes of a forking pool use the client that they inherit while the parent uses it, too."""
    ended = run(FORK_POOL)
    assert ended == Ended(0, ["[0, 0, 0, 0]", "ok"], "")


FORK_POOL = """
import multiprocessing
from tempmailg import Client

def work(_):
    mailbox = client.create_mailbox()
    found = len(client.list_messages(mailbox))
    client.delete_mailbox(mailbox)
    return found

with Client() as client:
    client.list_domains()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        jobs = pool.map_async(work, range(4))
        work(0)
        print(jobs.get())
        pool.close()
        pool.join()
    work(0)
print("ok")
"""


# --------------------------------------------------------------------------------------------------------------- exits


def test_an_exit_with_open_clients_warns_once(run_on_each: Run) -> None:
    """Clients and streams that are open when the interpreter exits cost one ResourceWarning, and no hang."""
    ended = run_on_each(EXIT)
    assert (ended.status, ended.lines) == (0, ["end"])
    assert_one_warning(ended, "2 Client(s) never closed: use `with Client() as client:`, or call close()")


def assert_one_warning(ended: Ended, text: str) -> None:
    """Fail unless a ResourceWarning, turned into an error, is all that a program complained of."""
    complaints = [line for line in ended.stderr.splitlines() if line and not line.startswith((" ", "Traceback "))]
    assert len(complaints) == 2, ended.stderr
    assert complaints[0].startswith("Exception ignored in atexit callback")
    assert complaints[1] == f"ResourceWarning: {text}"


EXIT = """
from tempmailg import Client

one, two, unused = Client(), Client(), Client()
one.list_domains()
stream = two.stream_attachment(FILE).__enter__()
next(stream)
print("end")
"""


def test_an_exit_ends_a_call_in_another_thread(run: Run) -> None:
    """A daemon thread that is in the middle of a call does not hold the exit up, and later calls are refused."""
    ended = run(EXIT_IN_CALL)
    assert (ended.status, sorted(ended.lines)) == (0, ["after", "during", "new"])
    assert_one_warning(ended, "1 Client(s) never closed: use `with Client() as client:`, or call close()")


EXIT_IN_CALL = """
import asyncio, atexit, threading

def report(name, call):
    try:
        call()
    except ClientClosedError:
        print(name, flush=True)

def late():  # registered before the portal's own, so called after it
    during.join()
    report("after", client.list_domains)
    report("new", Client().list_domains)

atexit.register(late)
from tempmailg import Client, ClientClosedError

class Silence:
    api_key = None
    started = threading.Event()
    def now(self):
        return 0.0
    def utcnow(self):
        raise AssertionError("no answer, no clock")
    async def request(self, request, **options):
        self.started.set()
        await asyncio.sleep(3600)

client = Client("key", transport=Silence())
during = threading.Thread(target=report, args=("during", client.create_mailbox), daemon=True)
during.start()
Silence.started.wait()
"""


def test_a_forgotten_client_is_closed_with_one_warning(run: Run) -> None:
    """A client that is collected unclosed says so once; its connections and, with the last one, the thread end."""
    ended = run(FORGOTTEN)
    assert ended == Ended(0, ["['1 Client(s) never closed: use `with Client() as client:`, or call close()']", "1"], "")


FORGOTTEN = """
import gc, threading, time, warnings
from tempmailg import Client

client = Client()
client.list_domains()
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    del client
    gc.collect()
    while threading.active_count() > 1:
        time.sleep(0.001)
    gc.collect()
print([str(each.message) for each in warned])
print(threading.active_count())
"""


def test_a_client_forgotten_at_the_very_end_warns_once(run: Run) -> None:
    """A client that is collected as the program ends is not told of twice."""
    ended = run(FORGOTTEN_AT_THE_END)
    assert (ended.status, ended.lines) == (
        0,
        ["1 Client(s) never closed: use `with Client() as client:`, or call close()"],
    )


FORGOTTEN_AT_THE_END = """
import warnings
warnings.showwarning = lambda message, *_: print(message)
warnings.simplefilter("always")
from tempmailg import Client

Client().list_domains()
"""


# -------------------------------------------------------------------------------------------------------------- Ctrl-C


@posix
@pytest.mark.parametrize("at", ["call", "enter", "next"])
def test_ctrl_c_interrupts_at_once(run_on_each: Run, at: str) -> None:
    """Ctrl-C raises KeyboardInterrupt out of what waits, which is cancelled and cleaned up; the client works on."""
    ended = run_on_each(INTERRUPTED[at])
    assert ended == Ended(0, ["cleaned up", "interrupted", "alive"], "")


# The next time that the client waits for the network, Ctrl-C is pressed.
INTERRUPTING = """
import asyncio, os, signal
from tempmailg import Client
from tempmailg._aiohttp import AiohttpTransport, _AiohttpStream

def press_ctrl_c_in(place, method):
    original = getattr(place, method)

    async def waiting(self, *args, **options):
        setattr(place, method, original)
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(3600)
        finally:
            await clean_up()

    setattr(place, method, waiting)

async def clean_up():
    print("cleaned up", flush=True)
"""

INTERRUPTED = {
    "call": INTERRUPTING
    + """
with Client() as client:
    press_ctrl_c_in(AiohttpTransport, "request")
    try:
        client.list_domains()
    except KeyboardInterrupt:
        print("interrupted")
    client.list_domains()
    print("alive")
""",
    "enter": INTERRUPTING
    + """
with Client() as client:
    press_ctrl_c_in(AiohttpTransport, "stream")
    try:
        with client.stream_attachment(FILE):
            print("never")
    except KeyboardInterrupt:
        print("interrupted")
    client.list_domains()
    print("alive")
""",
    "next": INTERRUPTING
    + """
with Client() as client:
    try:
        with client.stream_attachment(FILE) as stream:
            next(stream)
            press_ctrl_c_in(_AiohttpStream, "read")
            for chunk in stream:
                print("never")
    except KeyboardInterrupt:
        print("interrupted")
    client.list_domains()
    print("alive")
""",
}


@posix
def test_a_second_ctrl_c_does_not_wait_for_the_clean_up(run: Run) -> None:
    """Who presses Ctrl-C again while an interrupted call cleans up gets out of it, and out of the program."""
    ended = run(INTERRUPTED_TWICE)
    assert ended == Ended(0, ["interrupted twice"], "")


INTERRUPTED_TWICE = (
    INTERRUPTING
    + """
async def clean_up():
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(3600)

with Client() as client:
    press_ctrl_c_in(AiohttpTransport, "request")
    try:
        client.list_domains()
    except KeyboardInterrupt as interrupt:
        print("interrupted", "twice" if isinstance(interrupt.__context__, KeyboardInterrupt) else "once")
"""
)


@posix
def test_ctrl_c_that_nobody_catches_ends_the_program(run: Run, service: Sandbox) -> None:
    """Ctrl-C in a block deletes its temporary mailbox, closes the client and ends the program as usual."""
    ended = run(INTERRUPTED_UNCAUGHT)
    assert (ended.status, ended.lines) == (-2, [])
    assert ended.stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert [entry.endpoint for entry in service.journal][-2:] == ["create_mailbox", "delete_mailbox"]


INTERRUPTED_UNCAUGHT = (
    INTERRUPTING
    + """
async def clean_up():
    pass

with Client() as client, client.temporary_mailbox() as mailbox:
    press_ctrl_c_in(AiohttpTransport, "request")
    client.list_messages(mailbox)
"""
)
