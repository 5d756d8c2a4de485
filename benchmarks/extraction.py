"""Codes and links: how many are right beside two peers each, what is missed and why, and what it costs.

    python -m benchmarks.extraction [--half tune|judge] [--invitations FILE.jsonl] [--json FILE] [--short] [FILE.jsonl]

Without files the project's labelled messages are read. `--half judge` takes only the families that the rules were not
tuned on (`_labelled.half_of`): that is the figure to publish. `--invitations` names messages that are scored apart, by
their links alone: invitations of other projects, beside messages of theirs that ask for nothing. A published extractor
(otp-message-extractor), parsers (lxml, selectolax), other readers of HTML (inscriptis, html2text) and Chromium take
part where they are installed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any, Literal

from benchmarks._browser import browser, inner_texts, token_f1, tools
from benchmarks._harness import Goal, Measure, Row, show, spread
from benchmarks._labelled import HALVES, Mail, Score, bootstrap, is_invitation, outcome, read_mails, score, wilson
from tempmailg import _extract

_TESTS = Path(__file__).parent.parent / "tests"
_FIXTURES = _TESTS / "fixtures" / "extraction"
_HOSTILE_SIZE = 1024 * 1024
_USUAL_SIZE = 5_000
_SHOWN = 5
_BROWSED = 40

Kind = Literal["code", "link"]
Extractor = Callable[[Mail], str | None]
Results = dict[str, Any]


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


_ASKING_LINK = re.compile(r"verif|confirm|activat|reset|magic|invit|accept|login|sign-?in|token=", re.IGNORECASE)


def _first_asking_link(mail: Mail) -> str | None:
    """What people write by hand: the first address that holds a telling word."""
    pattern = r'href="(https?://[^"]+)"' if mail["is_html"] else r"(https?://\S+)"
    found = (url.replace("&amp;", "&") for url in re.findall(pattern, mail["content"]))
    return next((url for url in found if _ASKING_LINK.search(url)), None)


def _first_link(mail: Mail) -> str | None:
    found = re.search(r"https?://[^\s\"'<>]+", mail["content"])
    return found[0].replace("&amp;", "&") if found else None


def _extractors(kind: Kind) -> Iterator[tuple[str, Extractor]]:
    if kind == "link":
        yield "tempmailg", _our_link
        yield "first telling address", _first_asking_link
        yield "first address", _first_link
        return
    yield "tempmailg", _ours
    yield r"\b\d{4,8}\b", _first_digits
    if published := _published():
        yield "otp-message-extractor", published


_SHARES: tuple[tuple[str, Callable[[Score], tuple[int, int]]], ...] = (
    ("precision", lambda found: found.precision),
    ("recall", lambda found: found.recall),
    ("no wrong one", lambda found: found.no_wrong),
    ("alarms", lambda found: found.alarms),
)


def scores(mails: Sequence[Mail]) -> Results:
    """Measure all extractors on some messages: shares with Wilson's interval and that of a bootstrap by family."""
    results = {**_counts(mails), **_of_kind(mails, "code"), **_of_kind(mails, "link")}
    invitations = [mail for mail in mails if is_invitation(mail)]
    for label, extract in _extractors("link") if invitations else ():
        results[f"invitation: {label}"] = _shares(invitations, "link", extract)
    return results


def other_invitations(mails: Sequence[Mail]) -> Results:
    """Measure the links of invitations that stand apart, beside messages without a link to follow."""
    return {
        **_counts(mails),
        "invitations": sum(map(is_invitation, mails)),
        "languages": len({re.split("[-_@]", mail["lang"].lower())[0] for mail in mails}),
        **_of_kind(mails, "link"),
    }


def _counts(mails: Sequence[Mail]) -> Results:
    return {"messages": len(mails), "families": len({mail["family"] for mail in mails})}


def _of_kind(mails: Sequence[Mail], kind: Kind) -> Results:
    """Measure what each extractor of codes or links says, and what ours misses."""
    found = {f"{kind}: {label}": _shares(mails, kind, extract) for label, extract in _extractors(kind)}
    return {**found, f"{kind}: misses": _misses(mails, kind)}


def _shares(mails: Sequence[Mail], kind: Kind, extract: Extractor) -> Results:
    found, families = score(mails, kind, extract)
    return {
        "counts": found._asdict(),
        **{name: _interval(share(found), bootstrap(families, share)) for name, share in _SHARES},
    }


def _interval(share: tuple[int, int], families: tuple[float, float] | None) -> Results | None:
    successes, trials = share
    if not trials:
        return None
    return {
        "share": round(successes / trials, 4),
        "wilson": [round(bound, 4) for bound in wilson(successes, trials)],
        "families": [round(bound, 4) for bound in families or ()],
    }


def _misses(mails: Sequence[Mail], kind: Kind) -> dict[str, int]:
    """Count what was not right, by what went wrong."""
    extract = _ours if kind == "code" else _our_link
    misses: Counter[str] = Counter()
    for mail in mails:
        said = outcome(mail, kind, extract(mail))
        if said in {"wrong", "false"}:
            misses[f"{said}: {_reason(mail, kind, None)}"] += 1
        elif said == "missed":
            misses[f"missed: {_reason(mail, kind, mail[kind])}"] += 1
    return dict(misses.most_common())


def _reason(mail: Mail, kind: Kind, wanted: str | None) -> str:
    """Say why a code or link was not the answer, or what spoke for one that should not have been."""
    found = _candidates(mail, kind)
    if wanted is None:
        return found[0][2] if found else "nothing"
    rank = next((index for index, (value, _, _) in enumerate(found) if outcome(mail, kind, value) == "right"), None)
    if rank is None:
        return "no candidate"
    if rank > 0:
        return "another candidate stands above it"
    accepted = 7.0 if kind == "code" else 6.0
    return "too little speaks for it" if found[0][1] < accepted else "another candidate stands too near"


def _candidates(mail: Mail, kind: Kind) -> list[tuple[str, float, str]]:
    arguments = {"is_html": mail["is_html"], "subject": mail["subject"], "sender_name": mail["from_name"]}
    if kind == "code":
        return [(each.value, each.score, each.reason) for each in _extract.find_codes(mail["content"], **arguments)]
    return [(each.url, each.score, each.reason) for each in _extract.find_links(mail["content"], **arguments)]


def _print_scores(results: Results) -> None:
    """Show the shares of all extractors, and what went wrong with ours."""
    print(f"\n{results['messages']} messages of {results['families']} families")
    print("share (Wilson 95 %; families drawn again 95 %)")
    for label, found in results.items():
        if ": misses" in label:
            print(f"  {label}: {found or 'none'}")
        elif ": " in label:
            print(f"  {label}")
            for name, _ in _SHARES:
                print(f"    {name:14}{_shown(found[name])}")


def _shown(found: Results | None) -> str:
    if found is None:
        return "none"
    low, high = found["wilson"]
    families = " to ".join(f"{bound:.3f}" for bound in found["families"])
    return f"{found['share']:.3f} ({low:.3f} to {high:.3f}; {families})"


def measures(*, short: bool) -> list[Measure]:
    """Measure what one mail of about 5 KB costs, a first call, and hostile messages."""
    usual = [_usual(mail) for mail in read_mails(sorted(_FIXTURES.glob("*.jsonl")))[:: 200 if short else 20]]
    times = {name: _best_times(extract, usual, 1 if short else 9) for name, extract in _WORKS.items()}
    rows = [
        Row(name, {"median ms": spread(best).median, "90 % ms": best[int(0.9 * len(best))]})
        for name, best in times.items()
    ]
    first = spread([min(_first_call() for _ in range(1 if short else 9))])
    goals = [Goal(f"ms for its {name}", 1.0, spread(times[name])) for name in ("code", "link")]
    goals.append(Goal("ms of the processor, first call of a process", 20, first))
    notes = [
        f"{len(usual)} mails of the project's own, each in the same usual layout; CPU time of the best of several runs"
    ]
    return [
        Measure("One mail of 5 KB", [*rows, Row("first call", {"median ms": first.median})], goals, notes=notes),
        _hostile(short=short),
    ]


_WORKS: dict[str, Extractor] = {"text": _text, "code": _ours, "link": _our_link}


def _best_times(extract: Extractor, mails: Sequence[Mail], rounds: int) -> list[float]:
    """Return the milliseconds of each mail, in its best round; the fastest mail first."""
    for mail in mails:
        extract(mail)
    return sorted(min(_seconds(extract, mail) for _ in range(rounds)) * 1e3 for mail in mails)


_RULE = "%s{margin:0 0 16px;padding:0;font-size:16px;line-height:24px;color:#333;text-align:left;text-decoration:none}"
_NAMES = ("body", "h1", "h2", "p", "td", "a", "a.button", "ul", "ol", ".pre", ".foot")
_STYLE = "\n".join(_RULE % name for name in _NAMES)
_CELL = (
    '<table align="center" width="100%" border="0" cellpadding="0" cellspacing="0" role="presentation" '
    'style="max-width:600px;margin:0 auto;background-color:#ffffff;border-radius:4px"><tbody><tr>'
    "<td style=\"padding:0 24px 16px;font-family:'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:14px;"
    'line-height:22px;color:#51545e;text-align:left">{}</td></tr></tbody></table>'
)
"""Mails of 5 KB from template libraries hold forty to a hundred and thirty tags; those made of these are in between."""
_FOOTER = ("Sent to you by a service.", "1 Example Street, Example Town", '<a href="https://x.example/terms">Terms</a>')


def _usual(mail: Mail) -> Mail:
    """Set a mail as services do: a style sheet, tables inside tables, a footer; about 5 KB of source."""
    body = mail["content"] if mail["is_html"] else escape(mail["content"]).replace("\n", "<br>\n")
    cells = [body, *_FOOTER]
    while len(_STYLE) + sum(map(len, cells)) + len(cells) * len(_CELL) < _USUAL_SIZE:
        cells.append("&nbsp;")
    rows = "\n".join(map(_CELL.format, cells))
    head = f"<!doctype html><html><head><style>{_STYLE}</style></head>"
    content = f"{head}<body>{rows}</body></html>"
    return {**mail, "is_html": True, "content": content}


def _seconds(extract: Extractor, mail: Mail) -> float:
    """Return the seconds of the processor, which a busy neighbour lengthens less than those of the clock."""
    start = time.thread_time()
    extract(mail)
    return time.thread_time() - start


def _first_call() -> float:
    """Return the milliseconds of a process's first call, its modules compiled as those of an installed package are."""
    script = (
        "import time; from tempmailg import _extract; start = time.process_time();"
        "_extract.find_code('Your code is 482913', is_html=False, subject='Your code');"
        "print((time.process_time() - start) * 1e3)"
    )
    compiled = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=compiled)
    return float(ran.stdout)


def _browsed(mails: Sequence[Mail]) -> Results | None:
    """Compare texts with what Chromium shows, on one message of each family first."""
    path, html = browser(), [mail for mail in mails if mail["is_html"] and "<" in mail["content"]]
    if path is None or not html:
        return None
    order: Counter[str] = Counter()
    ranked = sorted(((order.update([mail["family"]]) or order[mail["family"]], mail) for mail in html), key=_first)
    sources = [mail["content"] for _, mail in ranked[:_BROWSED]]
    shown = inner_texts(path, sources)
    results: Results = {"messages": len(sources)}
    for name, read in tools():
        pairs = zip(sources, shown, strict=True)
        results[name] = round(statistics.mean(token_f1(read(source), text) for source, text in pairs), 4)
    return results


def _first(pair: tuple[int, Mail]) -> int:
    return pair[0]


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
    start = time.thread_time()
    try:
        run(html)
    except Exception:  # noqa: BLE001 -- a parser that gives up is measured up to there
        return math.nan
    return (time.thread_time() - start) * 1e3


def _hostile(*, short: bool) -> Measure:
    """Measure the hostile messages that are the slowest, beside parsers."""
    sys.path.insert(0, str(_TESTS))
    from support.hostile_mail import HOSTILE

    size = _HOSTILE_SIZE // 64 if short else _HOSTILE_SIZE
    parsers = dict(_parsers())
    for run in parsers.values():
        run("<p>Your code is 123456</p><a href='https://x.example/'>x</a>")
    times = {
        kind: {f"{name} ms": min(_milliseconds(run, build(size)) for _ in range(2)) for name, run in parsers.items()}
        for kind, build in HOSTILE.items()
    }
    ours = ("to_text", "find_code", "find_link")
    slowest = sorted(times, key=lambda kind: -max(times[kind][f"{name} ms"] for name in ours))
    goals = [
        Goal(f"ms of {name}, the slowest of all", 50, spread([max(each[f"{name} ms"] for each in times.values())]))
        for name in ours
    ]
    notes = [f"the slowest {_SHOWN} of {len(times)}"]
    title = f"Hostile messages of {size // 1024:,} KB, the slowest first"
    return Measure(title, [Row(kind, times[kind]) for kind in slowest[:_SHOWN]], goals, notes=notes)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="How many codes and links are right, and what reading them costs.")
    parser.add_argument("files", nargs="*", type=Path, help="labelled messages (default: the project's own)")
    parser.add_argument("--half", choices=HALVES, help="only the families that were tuned on, or only the others")
    parser.add_argument(
        "--invitations",
        action="append",
        default=[],
        type=Path,
        metavar="FILE.jsonl",
        help="labelled messages to score apart: invitations of other projects (may be given several times)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    parser.add_argument("--short", action="store_true", help="leave out times, Chromium and hostile messages")
    options = parser.parse_args(argv)
    mails = read_mails(options.files or sorted(_FIXTURES.glob("*.jsonl")), options.half)
    results: Results = {"half": options.half, "scores": scores(mails)}
    _print_scores(results["scores"])
    if options.invitations:
        results["invitations of other projects"] = other_invitations(read_mails(options.invitations, options.half))
        _print_scores(results["invitations of other projects"])
    if not options.short:
        results["inner text"] = _browsed(mails)
        print(f"Token F1 beside Chromium's innerText: {results['inner text'] or 'Chromium is not installed'}")
        for measure in measures(short=False):
            show(measure)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
