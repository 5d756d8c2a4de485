"""What is generated: a criterion, and what is added to `AsyncClient`, arrive everywhere by running one command."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the files that the generator reads and writes."""
    (tmp_path / "_waiting").mkdir()
    for name in ("_client.py", "_twins.py", "_blocking.py", "robot.py", "_waiting/_criteria.py"):
        shutil.copy(ROOT / "tempmailg" / name, tmp_path / name)
    return tmp_path


def generate(package: Path, *options: str) -> tuple[int, str]:
    """Run the generator on a folder; return its exit status and what it complains of."""
    command = [sys.executable, str(ROOT / ".ci" / "twin.py"), "--package", str(package), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stderr


def with_method(package: Path, method: str) -> str:
    """Add a method to `AsyncClient`, generate, and return what the file of `Client` has gained, as one line of text."""
    replace(package, "    async def create_mailbox(", f"{method}\n    async def create_mailbox(")
    before = set((package / "_blocking.py").read_text(encoding="utf-8").splitlines())
    assert generate(package) == (0, "")
    return "\n".join(
        line for line in (package / "_blocking.py").read_text(encoding="utf-8").splitlines() if line not in before
    )


def replace(package: Path, old: str, new: str, name: str = "_client.py") -> None:
    """Edit a source of the generator."""
    source = package / name
    text = source.read_text(encoding="utf-8")
    assert text.count(old) == 1
    source.write_text(text.replace(old, new), encoding="utf-8")


CC = """\
    cc: str | re.Pattern[str] | None = field(
        default=None, validator=_check_criterion, metadata=_found_in(lambda message: message.to)
    )
    match: Callable"""


def test_a_criterion_that_is_declared_arrives_wherever_criteria_are_taken(package: Path) -> None:
    """Signatures, explanations and what is passed on follow from the declaration, in both clients and the keywords."""
    explained = (
        "cc: The same for everybody who gets a copy, in the order and in the spelling of the header of the message"
    )
    replace(
        package,
        "        match: A function",
        f"        {explained}.\n        match: A function",
        "_waiting/_criteria.py",
    )
    replace(package, "    match: Callable", CC, "_waiting/_criteria.py")
    assert generate(package, "--check")[0] == 1
    assert generate(package) == (0, "")
    assert generate(package, "--check") == (0, "")
    client, blocking, robot = (
        (package / name).read_text(encoding="utf-8") for name in ("_client.py", "_blocking.py", "robot.py")
    )
    assert client.count("        cc: str | re.Pattern[str] | None = None,\n        match: Callable[") == 6
    assert client.count("cc=cc") == 6
    assert client.count(f"            {explained}.\n            match: A function") == 6
    assert blocking.count("        cc: str | re.Pattern[str] | None = None,\n        match: Callable[") == 6
    assert blocking.count("cc=cc") == blocking.count(f"            {explained}.\n") == 6
    assert robot.count("        cc: str | None = None,\n") == robot.count("cc=cc") == 3


def test_a_criterion_that_is_gone_goes_everywhere(package: Path) -> None:
    """A parameter that no longer does anything is left nowhere, and `expect_message` still ignores what was there."""
    source = package / "_waiting" / "_criteria.py"
    text = source.read_text(encoding="utf-8")
    before, mark, rest = text.partition("    body: str | re.Pattern[str] | None = field(")
    source.write_text(before + rest[rest.index("    match: Callable") :], encoding="utf-8")
    assert mark
    assert generate(package) == (0, "")
    client = (package / "_client.py").read_text(encoding="utf-8")
    assert "body" in text
    assert "body=body" not in client
    passed = [re.findall(r"(\w+)=", text) for text in re.findall(r"waiting\.Criteria\(([^)]*)\)", client)]
    assert [{"body", "ignore"} & set(names) for names in passed] == [{"ignore"}] * 5 + [set()]


def test_the_client_in_the_repository_is_what_the_generator_writes() -> None:
    """Nobody edited the generated file, and nobody forgot to generate it."""
    assert generate(ROOT / "tempmailg", "--check") == (0, "")


def test_a_check_fails_when_the_twin_is_out_of_date_and_writes_nothing(package: Path) -> None:
    """A parameter that only one client has fails CI with the command that mends it."""
    replace(package, "async def get_message(self, message: Message | str)", "async def get_message(self, message: str)")
    before = (package / "_blocking.py").read_bytes()
    status, complaint = generate(package, "--check")
    assert (status, "run `python .ci/twin.py`" in complaint) == (1, True)
    assert (package / "_blocking.py").read_bytes() == before
    assert generate(package) == (0, "")
    assert generate(package, "--check") == (0, "")


def test_a_coroutine_becomes_a_call_on_the_lease(package: Path) -> None:
    """A new endpoint arrives with its parameters passed on as they are taken, its comments, and its result."""
    gained = with_method(
        package,
        '''
    async def extend_mailbox(self, mailbox: Mailbox | str, *tags: str, id: int = 1) -> Quota:  # noqa: A002 - why
        """Extend it: ``await client.extend_mailbox(mailbox)``, of an `AsyncClient`."""
        return await self._caller.call(endpoints.extend_mailbox(mailbox))
''',
    )
    assert gained.splitlines() == [
        "    def extend_mailbox(self, mailbox: Mailbox | str, *tags: str, id: int = 1) -> Quota:  # noqa: A002 - why",
        '        """Extend it: ``client.extend_mailbox(mailbox)``, of a `Client`."""',
        "        return self._lease.run(self._client.extend_mailbox, mailbox, *tags, id=id)",
    ]


@pytest.mark.parametrize(
    ("method", "signature", "body"),
    [
        (
            'async def one(self) -> None:\n        """One."""',
            "def one(self) -> None:",
            "self._lease.run(self._client.one)",
        ),
        (
            'def two(self, name: str) -> Watch:\n        """Two."""',
            "def two(self, name: str) -> BlockingWatch:",
            "return BlockingWatch(self._lease, self._client.two(name))",
        ),
        (
            '@asynccontextmanager\n    async def three(self, **x: int) -> AsyncGenerator[Quota]:\n        """Three."""',
            "def three(self, **x: int) -> AbstractContextManager[Quota]:",
            "return Block(self._lease, self._client.three(**x))",
        ),
        (
            '@property\n    def four(self) -> Quota:\n        """Four."""',
            "def four(self) -> Quota:",
            "return self._client.four",
        ),
        (
            'def five(self, count: int = 5) -> list[Quota]:\n        """Five."""',
            "def five(self, count: int = 5) -> list[Quota]:",
            "return self._client.five(count)",
        ),
    ],
    ids=["nothing comes back", "a twin", "a block", "a property", "a plain method"],
)
def test_each_kind_of_method_has_its_body(package: Path, method: str, signature: str, body: str) -> None:
    """What a method returns, and how it is decorated, decides how the blocking client passes it on."""
    gained = [line.strip() for line in with_method(package, f"    {method}\n        ...\n").splitlines()]
    assert (gained[-3], gained[-1]) == (signature, body)


def test_docstrings_speak_of_a_blocking_program_in_lines_that_fit(package: Path) -> None:
    """Code loses `async` and `await`, names become those of the twins, and paragraphs that grew are filled anew."""
    gained = with_method(package, SAMPLE)
    assert gained == BLOCKING_SAMPLE
    assert max(map(len, gained.splitlines())) <= 120


LONG = "which is long, and so long that whatever is added to it does not fit"

SAMPLE = f'''
    async def sample(self) -> None:
        """Take a sample.

        ::

            async with client.sample() as sample:
                await sample.take()

        An async context manager, and an async iterator: `Watch.health`, {LONG}
        any more.

        Args:
            first: Something of `Watch.add`, and `Watch.seen`, {LONG}
                any more.
            second: Nothing.
        """
'''

BLOCKING_SAMPLE = f'''\
    def sample(self) -> None:
        """Take a sample.
            with client.sample() as sample:
                sample.take()
        A context manager, and an iterator: `BlockingWatch.health`, {LONG[:-16]}
        it does not fit any more.
            first: Something of `BlockingWatch.add`, and `BlockingWatch.seen`, {LONG[:40]}
                {LONG[41:]} any more.
            second: Nothing.
        self._lease.run(self._client.sample)'''


def test_an_option_of_the_constructor_arrives(package: Path) -> None:
    """A new option is taken, explained, passed on, hidden from tracebacks, and brings the names of its default."""
    replace(
        package,
        "        user_agent: str | None = None,\n    ) -> None:",
        "        user_agent: str | None = None,\n        region: str = settings.REGION,\n    ) -> None:",
    )
    replace(
        package,
        "        user_agent: The ``User-Agent``",
        "        region: Where.\n        user_agent: The ``User-Agent``",
    )
    assert generate(package) == (0, "")
    text = (package / "_blocking.py").read_text(encoding="utf-8")
    for expected in (
        "\nfrom tempmailg import _settings as settings\n",
        "\n        region: str = settings.REGION,\n",
        "\n        region: Where.\n",
        "\n                region=region,\n",
        "\n                region,\n",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("method", "complaint"),
    [
        ('@staticmethod\n    def odd() -> None:\n        """Odd."""', "odd is of a kind"),
        ('async def odd(self) -> AsyncGenerator[int]:\n        """Odd."""\n        yield 1', "odd is of a kind"),
        ("async def odd(self) -> None: ...", "odd has no docstring"),
    ],
)
def test_what_cannot_be_translated_is_refused(package: Path, method: str, complaint: str) -> None:
    """A method of an unknown kind stops the generator, which names it, instead of coming out wrong."""
    replace(package, "    async def create_mailbox(", f"    {method}\n\n    async def create_mailbox(")
    before = (package / "_blocking.py").read_bytes()
    status, said = generate(package)
    assert (status, complaint in said) == (1, True)
    assert (package / "_blocking.py").read_bytes() == before
