"""Labelled messages, their split by family, and what an extractor's answers are worth."""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "HALVES",
    "Mail",
    "Score",
    "bootstrap",
    "half_of",
    "is_invitation",
    "outcome",
    "read_mails",
    "score",
    "wilson",
]

Mail = dict[str, Any]
Extractor = Callable[[Mail], str | None]
Kind = Literal["code", "link"]

HALVES = ("tune", "judge")
_RESAMPLES = 2_000
_SEED = 7


def half_of(family: str) -> str:
    """Return the half that a family of messages belongs to: by the first byte of its name's SHA-256, even or odd.

    Rules are tuned on the families of one half; what is published is measured on the other.
    """
    return HALVES[hashlib.sha256(family.encode()).digest()[0] % 2]


def read_mails(paths: Iterable[Path], half: str | None = None) -> list[Mail]:
    """Read labelled messages, one JSON object a line; only the families of one half where it is named."""
    mails = [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [mail for mail in mails if half is None or half_of(mail["family"]) == half]


_INVITATION = re.compile(r"\b(?:invite|invitation)\b", re.IGNORECASE)


def is_invitation(mail: Mail) -> bool:
    """Say whether a message invites its reader to something by a link, as its family or its label's note names it."""
    return bool(mail["link"]) and _INVITATION.search(f"{mail['family']} {mail.get('note') or ''}") is not None


class Score(NamedTuple):
    """What an extractor said of some messages."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    false: int = 0
    silent: int = 0

    @property
    def precision(self) -> tuple[int, int]:
        """How many of the answers are right, of how many."""
        return self.right, self.right + self.wrong + self.false

    @property
    def recall(self) -> tuple[int, int]:
        """How many of the codes or links are found, of how many."""
        return self.right, self.right + self.wrong + self.missed

    @property
    def no_wrong(self) -> tuple[int, int]:
        """How many of the messages that hold one get no wrong one."""
        return self.right + self.missed, self.right + self.wrong + self.missed

    @property
    def alarms(self) -> tuple[int, int]:
        """How many of the messages without one raise an alarm, of how many."""
        return self.false, self.false + self.silent


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson's score interval)."""
    z = 1.96
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low, high = (centre - spread) / (1 + z * z / trials), (centre + spread) / (1 + z * z / trials)
    return max(low, 0.0), min(high, 1.0)


def outcome(mail: Mail, kind: Kind, found: str | None) -> str:
    """Judge one answer; a prefix as in `G-123456` may be typed or not."""
    wanted = mail[kind]
    if kind == "code":
        prefixed = "-" in (wanted or "")
        wanted, found = _typed(wanted), _typed(found)
        if wanted and found and prefixed and wanted.endswith(found) and len(wanted) - len(found) == 1:
            found = wanted
    if wanted:
        return "right" if found == wanted else "wrong" if found else "missed"
    return "false" if found else "silent"


def _typed(code: str | None) -> str | None:
    return re.sub(r"[\s-]", "", code).upper() if code else None


def score(mails: Sequence[Mail], kind: Kind, extract: Extractor) -> tuple[Score, dict[str, Counter[str]]]:
    """Count an extractor's answers, together and by family."""
    families: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for mail in mails:
        families[mail["family"]][outcome(mail, kind, extract(mail))] += 1
    return _sum(families.values()), dict(families)


def _sum(counts: Iterable[Counter[str]]) -> Score:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return Score(**{name: total[name] for name in Score._fields})


def bootstrap(
    families: dict[str, Counter[str]], share: Callable[[Score], tuple[int, int]]
) -> tuple[float, float] | None:
    """Return the 95 % interval of a share when whole families are drawn again, since mails of one family are alike."""
    chooser, names = random.Random(_SEED), list(families)
    shares: list[float] = []
    for _ in range(_RESAMPLES):
        successes, trials = share(_sum(families[name] for name in chooser.choices(names, k=len(names))))
        if trials:
            shares.append(successes / trials)
    if not shares:
        return None
    shares.sort()
    return shares[int(0.025 * len(shares))], shares[min(int(0.975 * len(shares)), len(shares) - 1)]
