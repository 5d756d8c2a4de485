"""What goes on around a blocking call: threads, forks, Ctrl-C, exits. Each test is a program with a time limit."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from support.scripts import Ended, run_script

from tempmailg import Client
from tempmailg.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    return lambda code: run_script(f"FILE = {file!r}\n{code}", uvloop=uvloop, **where(service))


def where(service: Sandbox) -> dict[str, str]:
    """Return the environment in which a program finds the sandbox."""
    return {"TEMPMAILG_BASE_URL": service.base_url, "TEMPMAILG_API_KEY": service.api_key}


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


# --------------------------------------------------------------------------------------------------------------- loops


@pytest.mark.parametrize(("asked", "got"), [("", "asyncio"), ("asyncio", "asyncio"), ("uvloop", "uvloop")])
def test_uvloop_is_used_only_when_asked_for(service: Sandbox, asked: str, got: str) -> None:
    """That an accelerator is installed, for whatever reason, changes nothing for the blocking client."""
    pytest.importorskip("uvloop")
    ended = run_script(
        """
        from tempmailg import Client
        with Client() as client:
            client.list_domains()
            print(type(client._lease.portal.loop).__module__.partition(".")[0])
        """,
        uvloop=False,
        **where(service),
        TEMPMAILG_LOOP=asked,
    )
    assert ended == Ended(0, [got], "")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("trio", "TEMPMAILG_LOOP must be asyncio or uvloop, not 'trio'"),
        ("uvloop", "TEMPMAILG_LOOP asks for uvloop, which is not installed: pip install 'tempmailg[fast]'"),
    ],
)
def test_a_loop_that_cannot_be_had_is_a_clear_error(service: Sandbox, asked: str, answer: str) -> None:
    """Before anything is sent, the error says what to write instead or what to install."""
    ended = run_script(
        """
        import sys
        sys.modules["uvloop"] = None  # as if it were not installed
        from tempmailg import Client, ConfigurationError
        with Client() as client:
            try:
                client.list_domains()
            except ConfigurationError as error:
                print(error)
        """,
        uvloop=False,
        **where(service),
        TEMPMAILG_LOOP=asked,
    )
    assert ended == Ended(0, [answer], "")


@pytest.mark.parametrize(
    ("asked", "printed"),
    [("", "works"), ("uvloop", "TEMPMAILG_LOOP asks for uvloop, which cannot be loaded: made for another system")],
)
def test_what_only_makes_things_faster_is_not_needed_even_if_it_is_broken(
    service: Sandbox, tmp_path: Path, asked: str, printed: str
) -> None:
    """A compiled package may be for another system, and orjson refuses subinterpreters: who did not ask is not hurt."""
    for name in ("orjson", "uvloop"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('made for another system')\n")
    ended = run_script(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from tempmailg import Client, ConfigurationError
        with Client() as client:
            try:
                client.list_domains()
            except ConfigurationError as error:
                print(error)
            else:
                print("works")
        """,
        uvloop=False,
        **where(service),
        TEMPMAILG_LOOP=asked,
    )
    assert ended == Ended(0, [printed], "")


@posix
def test_without_descriptors_a_call_fails_and_the_next_may_not(run_on_each: Run) -> None:
    """Where no file can be opened, a call raises an error of this package; when some are free again, calls work."""
    ended = run_on_each(NO_DESCRIPTORS)
    assert (ended.status, ended.lines) == (0, ["APIConnectionError False Too many open files", "FreeDomains"])


NO_DESCRIPTORS = """
import os, resource
import aiohttp, cattrs, encodings.idna, tempmailg._aiohttp, tempmailg._portal
from tempmailg import APIConnectionError, Client

with Client(max_retries=0) as warm:
    warm.list_domains()  # loads what would else have to be opened
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
opened = []
try:
    while True:
        opened.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
with Client(max_retries=0) as client:
    try:
        client.list_domains()
    except APIConnectionError as error:
        print("APIConnectionError", error.sent, str(error.__cause__).partition("] ")[2])
    for each in opened[:20]:
        os.close(each)
    print("Free" + client.list_domains().requested_type.replace("free", "Domains"))
"""


@posix
def test_without_descriptors_a_failure_is_still_one_of_ours(run_on_each: Run) -> None:
    """What is done with an error, such as to take the key out of it, needs no file that was not read before."""
    ended = run_on_each(NO_FILE)
    assert ended == Ended(0, ["APIConnectionError False"], "")


NO_FILE = """
import resource
from tempmailg import Client, TempMailError

with Client(base_url="http://127.0.0.1:9/api", max_retries=0) as client:
    client._lease.portal  # the background thread has what it needs
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        client.create_mailbox()
    except TempMailError as error:
        print(type(error).__name__, error.sent)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
"""


def test_without_threads_a_call_fails_and_the_next_may_not(run: Run) -> None:
    """Where no thread can be started, a call raises an error of this package; the next one tries anew."""
    ended = run(NO_THREADS)
    assert ended == Ended(0, ["APIConnectionError False", "free"], "")


NO_THREADS = """
import threading
from tempmailg import APIConnectionError, Client

def refuse(*_, **__):
    raise RuntimeError("can't start new thread")

names = [name for name in ("_start_new_thread", "_start_joinable_thread") if hasattr(threading, name)]
starts = {name: getattr(threading, name) for name in names}
with Client() as client:
    vars(threading).update(dict.fromkeys(names, refuse))
    try:
        client.list_domains()
    except APIConnectionError as error:
        assert "can't start new thread" in str(error)
        print("APIConnectionError", error.sent)
    vars(threading).update(starts)
    print(client.list_domains().requested_type)
"""


@pytest.mark.parametrize("asked", ["", "uvloop"])
@pytest.mark.parametrize("patched_by", ["gevent", "eventlet"])
def test_where_threads_are_patched_calls_work_beside_each_other(service: Sandbox, patched_by: str, asked: str) -> None:
    """Ten green threads have their answers, though uvloop, which would hang there, is installed or even asked for."""
    if find_spec(patched_by) is None:
        pytest.skip(f"{patched_by} is not installed")
    if asked:
        pytest.importorskip(asked)
    ended = run_script(PATCHED[patched_by] + IN_GREEN_THREADS, uvloop=False, **where(service), TEMPMAILG_LOOP=asked)
    assert ended == Ended(0, ["10 free 0"], "")


PATCHED = {
    "gevent": """
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from gevent import monkey
    monkey.patch_all()
    import gevent

def spawn(function):
    return gevent.spawn(function).get
""",
    "eventlet": """
import warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import eventlet
    eventlet.monkey_patch()

def spawn(function):
    return eventlet.spawn(function).wait
""",
}

IN_GREEN_THREADS = """
import sys
from tempmailg import Client

with Client() as client:
    results = [spawn(lambda: client.list_domains().requested_type) for _ in range(10)]
    answers = [result() for result in results]
print(len(answers), *set(answers), int("uvloop" in sys.modules))
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
    """A client that is collected as the program ends is not reported twice."""
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


@pytest.mark.parametrize("loop_is", ["idle", "held"])
@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "TimeoutError", "ClientClosedError"])
def test_no_moment_of_an_interrupt_skips_an_end_or_costs_time(run: Run, raised: str, loop_is: str) -> None:
    """What is raised in the waiting thread, at each line from posting to result, leaves no block and no stream open.

    White-box: the lines are those of `_portal`. With the loop held the coroutine has not begun by then.
    """
    ended = run(f"RAISED = {raised!r}\nLOOP_IS = {loop_is!r}\n{AT_EACH_MOMENT}")
    assert (ended.status, ended.stderr) == (0, "")
    moments = dict(line.split() for line in ended.lines)
    assert moments.keys() == {"call", "enter", "exit", "next", "wait", "close"}
    assert min(map(int, moments.values())) >= 5  # the lines of posting, waiting and taking the result


AT_EACH_MOMENT = """
import asyncio, builtins, sys, time
from contextlib import asynccontextmanager
from itertools import count
import tempmailg
from tempmailg import Client, _portal
from tempmailg._twins import Block
from tempmailg.sandbox import Sandbox

RAISED = getattr(tempmailg, RAISED, None) or getattr(builtins, RAISED)
_portal.GRACE = 3600.0  # whatever is waited for in vain fails the test

class Interrupt:
    "Raises in this thread at a line that it executes between the posting of a call, by its number, and the result."

    def __init__(self, loop, line, call=1):
        self.loop, self.line, self.call = loop, line, call
        self.lines = self.calls = 0
        self.pressed = self.is_over = False

    def __enter__(self):
        sys.settrace(self.trace)
        return self

    def __exit__(self, kind, *_):
        sys.settrace(None)
        return self.pressed and kind is RAISED

    def trace(self, frame, event, _):
        if frame.f_code.co_filename != _portal.__file__:
            return None
        if event == "call" and frame.f_code is _portal._Call._post.__code__:
            self.calls += 1
            if self.calls == self.call and LOOP_IS == "held":
                self.loop.call_soon_threadsafe(time.sleep, 0.02)
        if event == "return" and frame.f_code is _portal._Call.result.__code__:
            self.is_over |= self.calls == self.call
        if event == "line" and self.calls == self.call and not self.is_over:
            self.lines += 1
            if self.lines == self.line:
                self.pressed = True
                sys.settrace(None)
                raise RAISED
        return self.trace

inside = []

@asynccontextmanager
async def block():
    await asyncio.sleep(0)
    inside.append("block")
    try:
        yield
    finally:
        await asyncio.sleep(0)
        inside.pop()

async def tasks():
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}

def at_each_moment(name, use, call=1):
    for line in count(1):
        with Interrupt(loop, line, call) as interrupt:
            use()
        assert not inside, (name, line)
        assert client._lease.run(tasks) == idle, (name, line)
        if not interrupt.pressed:
            print(name, line - 1)
            return

def in_block():
    with Block(client._lease, block()):
        pass

def in_stream():
    received = []
    with client.stream_attachment((message, "a.bin")) as stream:
        for _ in range(2):  # once more after the interrupt
            try:
                received += stream
            except RAISED:
                continue
    assert b"".join(received) == bytes(300_000), len(b"".join(received))

def in_expectation():
    with client.expect_message(mailbox):
        sandbox.deliver(mailbox)

def closed():
    global client, loop, idle
    one = Client(transport=sandbox.transport())
    one.list_domains()
    inside.append("client")
    close = one._lease.close_client
    async def note():
        await close()
        inside.pop()
    portal = one._lease.portal
    portal.leases.remove(close)
    portal.leases.add(note)
    one._lease.close_client = note
    one.close()

sandbox = Sandbox(quota=1_000_000)
with Client(transport=sandbox.transport()) as client:
    mailbox = client.create_mailbox()
    message = sandbox.deliver(mailbox, attachments=[("a.bin", bytes(300_000))])
    loop = client._lease.portal.loop
    idle = client._lease.run(tasks)
    at_each_moment("call", client.list_domains)
    at_each_moment("enter", in_block)
    at_each_moment("exit", in_block, call=2)
    at_each_moment("next", in_stream, call=2)
    at_each_moment("wait", in_expectation, call=2)
    at_each_moment("close", closed, call=2)
"""


@posix
@posix
def test_no_moment_before_the_end_of_a_block_is_handed_over_skips_it(run: Run) -> None:
    """White-box: an interrupt at each line from the first in the `try` of `__exit__` to the posting of its call."""
    ended = run(BEFORE_THE_END)
    assert (ended.status, ended.stderr) == (0, "")
    assert int(ended.lines[-1]) >= 5  # lines of `_twins` and of `_portal`


BEFORE_THE_END = """
import sys
from contextlib import asynccontextmanager
from itertools import count
from tempmailg import Client, _portal, _twins
from tempmailg._twins import Block

inside = []

@asynccontextmanager
async def block():
    inside.append("block")
    try:
        yield
    finally:
        inside.pop()

class Interrupt:
    def __init__(self, line):
        self.line, self.lines, self.is_over, self.pressed = line, 0, False, False

    def trace(self, frame, event, _):
        if frame.f_code.co_filename not in (_portal.__file__, _twins.__file__):
            return None
        self.is_over |= frame.f_code is _portal._Call.result.__code__
        if event == "line" and not self.is_over:
            self.lines += 1
            if self.lines == self.line:
                self.pressed = True
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.trace

with Client() as client:
    for line in count(2):  # the first is that of the `try` itself
        interrupt = Interrupt(line)
        try:
            with Block(client._lease, block()):
                sys.settrace(interrupt.trace)
        except KeyboardInterrupt:
            pass
        sys.settrace(None)
        assert not inside, line
        if not interrupt.pressed:
            break
print(line - 1)
"""


def test_ctrl_c_before_an_exit_has_begun_leaves_no_mailbox(run_on_each: Run, service: Sandbox) -> None:
    """A temporary mailbox is deleted though the loop was busy with something else when Ctrl-C came at its end."""
    before = len(service.journal)
    ended = run_on_each(INTERRUPTED_WHILE_BUSY)
    assert ended == Ended(0, ["interrupted"], "")
    sent = [entry.endpoint for entry in service.journal[before:]]
    assert sent == ["list_domains", "create_mailbox", "delete_mailbox", "list_domains"]


INTERRUPTED_WHILE_BUSY = """
import signal, threading
from tempmailg import Client

pressed = threading.Event()

def press(*_):
    pressed.set()
    raise KeyboardInterrupt

def be_busy():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    pressed.wait()

signal.signal(signal.SIGINT, press)
with Client() as client:
    client.list_domains()
    loop = client._lease.portal.loop
    try:
        with client.temporary_mailbox():
            loop.call_soon_threadsafe(be_busy)
    except KeyboardInterrupt:
        print("interrupted")
    client.list_domains()
"""


# --------------------------------------------------------------------------------- other people's loops and notebooks


def test_a_loop_in_another_greenlet_is_not_blocked(run: Run) -> None:
    """A program under Playwright's sync API, whose loop runs in a greenlet of the same thread, sees no warning."""
    pytest.importorskip("greenlet")
    assert run(IN_GREENLETS) == Ended(0, ["free", "free"], "")


# What `playwright.sync_api` does: a greenlet runs the loop, and each call switches to it until its task is done.
IN_GREENLETS = """
import asyncio
from greenlet import getcurrent, greenlet
from tempmailg import Client

loop = asyncio.new_event_loop()
program = getcurrent()

def run_loop():
    loop.run_until_complete(start())

async def start():
    loop.call_soon(program.switch)
    await stopped

def sync(work):
    task = loop.create_task(work)
    task.add_done_callback(lambda _: program.switch())
    while not task.done():
        dispatcher.switch()
    return task.result()

stopped = loop.create_future()
dispatcher = greenlet(run_loop)
dispatcher.switch()
with Client() as client:
    print(client.list_domains().requested_type)
    sync(asyncio.sleep(0))
    with client.temporary_mailbox():
        print(client.list_domains().requested_type)
stopped.set_result(None)
dispatcher.switch()
loop.close()
"""


@pytest.mark.parametrize("awaits", ["pass", "await asyncio.sleep(0)"])
def test_a_cell_of_a_notebook_is_not_warned(run: Run, awaits: str) -> None:
    """The loop of Jupyter runs one cell after the other, so a cell may block it, whether or not it awaits something."""
    pytest.importorskip("IPython")
    cell = f"with tempmailg.Client() as client:\n    {awaits}\n    print(client.list_domains().requested_type)"
    assert run(f"CELL = {cell!r}\n{IN_CELL}") == Ended(0, ["free"], "")


def test_a_coroutine_in_a_notebook_is_warned(run: Run) -> None:
    """A coroutine that a cell awaits could use the asynchronous client, and the warning says so."""
    pytest.importorskip("IPython")
    cell = (
        "async def work(client):\n    client.list_domains()\nwith tempmailg.Client() as client:\n    await work(client)"
    )
    ended = run(f"CELL = {cell!r}\n{IN_CELL}")
    assert ended.status == 1
    assert ended.stderr.splitlines()[-1].startswith("RuntimeWarning: Client.list_domains blocks the event loop")


# What `ipykernel` does with a cell: await it in a task of the loop that serves the notebook.
IN_CELL = """
import asyncio, warnings
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config
    shell = InteractiveShell.instance(config=Config({"HistoryAccessor": {"enabled": False}}))

async def kernel():
    shell.showtraceback = lambda *_, **__: None
    cell = "import asyncio, tempmailg\\n" + CELL
    (await shell.run_cell_async(cell, transformed_cell=cell)).raise_error()

asyncio.run(kernel())
"""


NOTEBOOKS = {
    "blocking": [
        "client = tempmailg.Client()\nprint(client.list_domains().requested_type)",
        "with client.temporary_mailbox() as mailbox:\n    print(client.list_messages(mailbox))",
        "client.close()",
    ],
    "asynchronous": [
        "client = tempmailg.AsyncClient()\nprint((await client.list_domains()).requested_type)",
        "async with client.temporary_mailbox() as mailbox:\n    print(await client.list_messages(mailbox))",
        "await client.close()",
    ],
}


@pytest.mark.parametrize("client", NOTEBOOKS)
def test_the_cells_of_a_kernel_are_clean(run: Run, client: str) -> None:
    """In Jupyter's own kernel, with warnings as errors, cells share a client of either kind, and none complains."""
    needs_jupyter()
    assert run(f"CELLS = {NOTEBOOKS[client]!r}\n{IN_KERNEL}") == Ended(0, ["free", "[]"], "")


def test_what_a_kernel_complains_of_is_seen(run: Run) -> None:
    """A warning that a cell of a kernel deserves ends it, so that clean cells had none."""
    needs_jupyter()
    cell = "async def work():\n    tempmailg.Client().list_domains()\nawait work()"
    ended = run(f"CELLS = [{cell!r}]\n{IN_KERNEL}")
    assert ended.status == 1
    assert ended.stderr.splitlines()[-1].startswith("RuntimeWarning: Client.list_domains blocks the event loop")


def needs_jupyter() -> None:
    if os.name != "posix":
        pytest.skip("Windows has no sockets of files, by which the kernel is reached")
    pytest.importorskip("ipykernel")
    pytest.importorskip("jupyter_client")


# A front end without a window: it starts a kernel in a process of its own and sends it one cell after the other.
IN_KERNEL = """
import os, sys, tempfile
# Where no loop runs, tornado asks asyncio for one, which some versions of Python call deprecated.
TORNADO = "ignore:There is no current event loop:DeprecationWarning:tornado.ioloop"
os.environ |= {"PYTHONWARNINGS": f"error,{TORNADO}", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
folder = tempfile.TemporaryDirectory()
os.environ |= {"JUPYTER_RUNTIME_DIR": folder.name, "JUPYTER_DATA_DIR": folder.name, "IPYTHONDIR": folder.name}
from jupyter_client.manager import KernelManager

def show(message):
    content = message["content"]
    if message["msg_type"] == "stream":
        (sys.stdout if content["name"] == "stdout" else sys.stderr).write(content["text"])
    elif message["msg_type"] == "error":
        sys.stderr.write(f"{content['ename']}: {content['evalue']}")

kernel = KernelManager(transport="ipc", ip=f"{folder.name}/kernel")
kernel.start_kernel()
client = kernel.blocking_client()
client.start_channels()
try:
    client.wait_for_ready(timeout=20)
    cells = ["import tempmailg", *CELLS]
    answers = [client.execute_interactive(cell, timeout=20, output_hook=show) for cell in cells]
finally:
    client.stop_channels()
    kernel.shutdown_kernel(now=True)
    kernel.cleanup_resources()
    folder.cleanup()
sys.exit(any(answer["content"]["status"] != "ok" for answer in answers))
"""


def test_fixtures_never_warn(run: Run, tmp_path: Path) -> None:
    """The plugin sets up and tears down a mailbox in a run that a coroutine started, with warnings as errors."""
    test = tmp_path / "test_mailbox.py"
    test.write_text("def test_mailbox(tempmailg_mailbox, tempmailg_client):\n    assert tempmailg_mailbox.email\n")
    ended = run(f"FOLDER = {str(tmp_path)!r}\n{IN_COROUTINE}")
    assert (ended.status, "1 passed" in ended.lines[-1]) == (0, True)


IN_COROUTINE = """
import asyncio, os, sys
import pytest

async def main():
    return pytest.main(["-q", "-W", "error", "-p", "tempmailg.pytest_plugin", "-p", "no:cacheprovider", FOLDER])

os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # other plugins of the environment have warnings of their own
os.chdir(FOLDER)
sys.exit(asyncio.run(main()))
"""


def test_playwright_is_clean(run: Run) -> None:
    """Under the real sync API of Playwright, which starts no browser here, calls and blocks work without a warning."""
    pytest.importorskip("playwright")
    assert run(UNDER_PLAYWRIGHT) == Ended(0, ["free", "free"], "")


UNDER_PLAYWRIGHT = """
import warnings
from tempmailg import Client
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from playwright.sync_api import sync_playwright

with sync_playwright() as playwright, Client() as client:
    print(client.list_domains().requested_type)
    playwright.request.new_context().dispose()
    with client.temporary_mailbox():
        print(client.list_domains().requested_type)
"""
