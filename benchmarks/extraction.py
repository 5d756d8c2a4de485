"""Codes and links: how many are right, beside two baselines, and what hostile messages cost.

    python -m benchmarks.extraction [--short] [FILE.jsonl ...]

Without files the project's labelled messages are read. A published extractor (otp-message-extractor) and two parsers
(lxml, selectolax) take part where they are installed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tempmailg import _extract

_TESTS = Path(__file__).parent.parent / "tests"
_FIXTURES = _TESTS / "fixtures" / "extraction"
_HOSTILE_SIZE = 256 * 1024

Mail = dict[str, Any]
Extractor = Callable[[Mail], str | None]


class Score(NamedTuple):
    """What an extractor said of some messages."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    false: int = 0
    silent: int = 0

    @property
    def precision(self) -> str:
        """How many of the answers are right."""
        return _share(self.right, self.right + self.wrong + self.false)

    @property
    def recall(self) -> str:
        """How many of the codes or links are found."""
        return _share(self.right, self.right + self.wrong + self.missed)

    @property
    def alarms(self) -> str:
        """How many of the messages without one raise an alarm."""
        return _share(self.false, self.false + self.silent)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson's score interval)."""
    z = 1.96
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low, high = (centre - spread) / (1 + z * z / trials), (centre + spread) / (1 + z * z / trials)
    return max(low, 0.0), min(high, 1.0)


def _share(successes: int, trials: int) -> str:
    if not trials:
        return "none"
    low, high = wilson(successes, trials)
    return f"{successes / trials:.3f} ({low:.3f} to {high:.3f})"


def _typed(code: str | None) -> str | None:
    return re.sub(r"[\s-]", "", code).upper() if code else None


def score(mails: Sequence[Mail], kind: str, extract: Extractor) -> Score:
    """Count an extractor's answers; a prefix as in `G-123456` may be typed or not."""
    counts = dict.fromkeys(Score._fields, 0)
    for mail in mails:
        wanted, got = mail[kind], extract(mail)
        if kind == "code":
            prefixed = "-" in (wanted or "")
            wanted, got = _typed(wanted), _typed(got)
            if wanted and got and prefixed and wanted.endswith(got) and len(wanted) - len(got) == 1:
                got = wanted
        if wanted:
            counts["right" if got == wanted else "wrong" if got else "missed"] += 1
        else:
            counts["false" if got else "silent"] += 1
    return Score(**counts)


def _ours(mail: Mail) -> str | None:
    return _extract.find_code(
        mail["content"], is_html=mail["is_html"], subject=mail["subject"], sender_name=mail["from_name"]
    )


def _our_link(mail: Mail) -> str | None:
    return _extract.find_link(
        mail["content"], is_html=mail["is_html"], subject=mail["subject"], sender_name=mail["from_name"]
    )


def _text(mail: Mail) -> str:
    return f"{mail['subject']}\n{_extract.to_text(mail['content'], is_html=mail['is_html'])}"


def _first_digits(mail: Mail) -> str | None:
    found = re.search(r"\b\d{4,8}\b", _text(mail))
    return found[0] if found else None


def _published() -> Extractor | None:
    try:
        extract_otp: Any = importlib.import_module("otp_message_extractor").extract_otp
    except ImportError:
        return None

    def extract(mail: Mail) -> str | None:
        found = extract_otp(_text(mail))
        return str(found["code"]) if found else None

    return extract


def _code_extractors() -> Iterator[tuple[str, Extractor]]:
    yield "tempmailg", _ours
    yield r"\b\d{4,8}\b", _first_digits
    if published := _published():
        yield "otp-message-extractor", published


def _print_scores(paths: Sequence[Path]) -> None:
    every: list[Mail] = []
    for path in paths:
        mails = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        every += mails
        _print_score(path.name, mails)
    if len(paths) > 1:
        _print_score("together", every)


def _print_score(name: str, mails: Sequence[Mail]) -> None:
    print(f"\n{name}: {len(mails)} messages (95 % intervals)")
    for label, extract in _code_extractors():
        found = score(mails, "code", extract)
        print(f"  {label:24} code  precision {found.precision:26} recall {found.recall:26} alarms {found.alarms}")
    found = score(mails, "link", _our_link)
    print(f"  {'tempmailg':24} link  precision {found.precision:26} recall {found.recall:26} alarms {found.alarms}")


def _parsers() -> Iterator[tuple[str, Callable[[str], object]]]:
    yield "to_text", lambda html: _extract.to_text(html, is_html=True)
    yield "find_code", lambda html: _extract.find_code(html, is_html=True, subject="Your code")
    yield "find_link", lambda html: _extract.find_link(html, is_html=True, subject="Verify your address")
    with suppress(ImportError):
        lxml: Any = importlib.import_module("lxml.html")
        yield "lxml", lambda html: lxml.fromstring(html).text_content()
    with suppress(ImportError):
        selectolax: Any = importlib.import_module("selectolax.lexbor")
        yield "selectolax", lambda html: selectolax.LexborHTMLParser(html).text()


def _milliseconds(run: Callable[[str], object], html: str) -> float:
    start = time.perf_counter()
    try:
        run(html)
    except Exception:  # noqa: BLE001 -- a parser that gives up is measured up to there
        return math.nan
    return (time.perf_counter() - start) * 1e3


def _print_hostile() -> None:
    sys.path.insert(0, str(_TESTS))
    from support.hostile_mail import HOSTILE

    parsers = list(_parsers())
    for _, run in parsers:
        run("<p>Your code is 123456</p><a href='https://x.example/'>x</a>")
    print(f"\nHostile messages of {_HOSTILE_SIZE:,} characters, milliseconds, the slowest first")
    print(f"  {'':38}" + "".join(f"{name:>12}" for name, _ in parsers))
    rows = [(name, [_milliseconds(run, build(_HOSTILE_SIZE)) for _, run in parsers]) for name, build in HOSTILE.items()]
    for name, times in sorted(rows, key=lambda row: -max(row[1][1:3])):
        print(f"  {name:38}" + "".join(f"{each:12.1f}" for each in times))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="How many codes and links are right, and what hostile messages cost.")
    parser.add_argument("files", nargs="*", type=Path, help="labelled messages (default: the project's own)")
    parser.add_argument("--short", action="store_true", help="leave out the hostile messages")
    options = parser.parse_args(argv)
    _print_scores(options.files or sorted(_FIXTURES.glob("*.jsonl")))
    if not options.short:
        _print_hostile()


if __name__ == "__main__":
    main()
