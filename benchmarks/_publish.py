"""Write results where people see them: two pictures, and parts of the manuals, all made from the JSON alone."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from benchmarks._harness import figure
from benchmarks._plots import COST, plot, waits_plot
from benchmarks._results import machine_of, of_subject, published, write_results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks._results import Results

__all__ = ["PARTS", "costs", "goals", "publish", "tables", "with_part"]

SCHEDULES: Final = {"mean delay s", "requests, all"}
"""What the measure of the schedules of waits shows."""

# What the README says of all this: a goal, the words for it, and how its number is written.
HEADLINES: Final = (
    ("CPU of 1 message, tempmailg / aiohttp + json", "A call costs {} the CPU time of bare aiohttp with json", ".2f"),
    ("calls per second, 1 message, tempmailg / httpx + pydantic", "it is {} as fast as httpx with pydantic", ".1f"),
)

OTHERS: Final = "invitations of other projects"
"""What the extraction's figures call the invitations that are scored apart."""

_WRONG: Final = {"false": "an answer where there is none", "wrong": "another answer"}

KINDS: Final = (("code", "codes", "scores"), ("link", "links", "scores"), ("link", "invitations", OTHERS))
"""What is found: how the figures call it, how people do, and where the figures stand."""


def headline(results: Results) -> str:
    """Return the README's sentence: the numbers that matter most."""
    measured = {goal["text"]: goal["measured"]["median"] for each in results["measures"] for goal in each["goals"]}
    ours = next(row for row in _schedules(results)["rows"] if row["name"] == "tempmailg")
    said = [text.format(f"**{measured[goal]:{digits}} times**") for goal, text, digits in HEADLINES]
    waits = f"waits need **{ours['ratio']['median']:.2f} times** the requests of a poll every second"
    return "; ".join([*said, waits]) + "."


def found(results: Results) -> str:
    """Return what the README says of codes and links: a sentence, and a table with two peers for each kind."""
    judged: dict[str, Results] = results["extraction"]
    code, link = (judged["scores"][f"{kind}: tempmailg"] for kind in ("code", "link"))
    shares = [
        f"{each['share']:.1%}".replace("%", " %") for one in ("precision", "recall") for each in (code[one], link[one])
    ]
    said = (
        "- **A code or nothing.** On mail nobody tuned for, {} of the codes and {} of the links it returns are right;\n"
        "  it finds {} and {} of them ([how that is measured](benchmarks/README.md#codes-and-links))."
    ).format(*shares)
    lines = ["| On mail nobody tuned for | Precision | Recall |", "|:--|:--|:--|"]
    for kind, name, part in KINDS:
        for label, its in _extractors(judged[part], kind):
            title = f"**{name}**" if label == "tempmailg" else f"{name}, {_code(label)}"
            lines.append(f"| {title} | {_short(its['precision'])} | {_short(its['recall'])} |")
    misses = ";\n".join(f"{name}: {_misses(judged[part][f'{kind}: misses'])}" for kind, name, part in KINDS)
    notes = "In brackets: Wilson's 95 % interval, and that of a bootstrap over families. What goes wrong, in mails:"
    return "\n".join([said, "", *lines, "", notes, f"{misses}."])


def _extractors(scores: Results, kind: str) -> Iterator[tuple[str, Results]]:
    """Yield what each extractor of a kind is called, and its figures."""
    for name, its in scores.items():
        label = name.removeprefix(f"{kind}: ")
        if label not in {name, "misses"}:
            yield label, its


def _code(label: str) -> str:
    return f"`{label}`" if "\\" in label else label


def _misses(misses: Mapping[str, int]) -> str:
    """Count what goes wrong, without what spoke for an answer that should not have been."""
    found: Counter[str] = Counter()
    for why, count in misses.items():
        found[why if why.startswith("missed") else _WRONG[why.partition(":")[0]]] += count
    return ", ".join(f"{why.removeprefix('missed: ')} ({count})" for why, count in found.items()) or "nothing"


def month(results: Results) -> str:
    """Return what the README says of the quota: the busiest month in which every test ran."""
    whole = [row["name"] for row in _months(results) if row["figures"]["ran"] == row["figures"]["tests"]]
    lasting = [name.replace("tests", "sign-up tests") for name in whole]
    return (
        "- **A month of quota lasts a month.** Every watched mailbox is polled just before it expires; "
        f"{lasting[-1] if lasting else 'few tests a day'} fit into\n  50,000 requests "
        "([how](tempmailg/README.md#when-it-polls), [measured](benchmarks/README.md#waiting))."
    )


def pace(results: Results) -> str:
    """Return what the manual says of how late a message is delivered, by how rich the quota is."""
    ours = next(row["figures"] for row in _schedules(results)["rows"] if row["name"] == "tempmailg")
    lasting = [f"with {row['name']} at {figure(row['figures']['mean delay s'])} s" for row in _months(results)]
    return (
        f"Where the quota is rich, a message is delivered {figure(ours['mean delay s'])} s late on average, for "
        f"{figure(ours['requests, all'])} requests of a wait. The quota lasts the month {', '.join(lasting)}."
    )


def scores(results: Results) -> str:
    """Return tables of how many codes and links are right on labelled mail, and of what is missed."""
    judged = results["extraction"]
    mails, families = judged["scores"]["messages"], judged["scores"]["families"]
    lines = [f"The half to {judged['half']} by: {mails:,} mails of {families} families.", "", *_HEAD]
    for kind in ("code", "link", "invitation"):
        lines += _rows(judged["scores"], kind, kind)
    lines += _others(judged[OTHERS])
    lines += ["", "| What goes wrong | Mails |", "|:--|--:|"]
    for kind, name, part in KINDS:
        misses = judged[part][f"{kind}: misses"].items()
        lines += [f"| {name.removesuffix('s')} {why} | {count} |" for why, count in misses]
    readers = "; ".join(f"{name} {score:.3f}" for name, score in judged["inner text"].items() if name != "messages")
    count = judged["inner text"]["messages"]
    return "\n".join([*lines, "", f"Text of {count} HTML mails beside Chromium's `innerText`, token F1: {readers}."])


_HEAD: Final = (
    "| | Precision | Recall | No wrong one in a mail that holds one | Alarms on mails that hold none |",
    "|:--|:--|:--|:--|:--|",
)


def _rows(scores: Results, kind: str, name: str) -> Iterator[str]:
    """Yield a row of shares for each extractor of a kind."""
    for label, its in _extractors(scores, kind):
        shares = (_share(its[share]) for share in ("precision", "recall", "no wrong one", "alarms"))
        yield f"| {_code(f'{name}: {label}')} | {' | '.join(shares)} |"


def _others(scores: Results) -> Iterator[str]:
    """Yield what the manual shows of invitations of other projects."""
    yield ""
    yield (
        f"Invitations of other projects, the same half: {scores['messages']} mails of {scores['families']} families in "
        f"{scores['languages']} languages, {scores['invitations']} of them invitations."
    )
    yield from ("", *_HEAD, *_rows(scores, "link", "invitation"))


def _short(its: Mapping[str, Any] | None) -> str:
    """Write a share and its intervals in few words."""
    return _share(its).replace(" to ", "\N{EN DASH}")


def _share(its: Mapping[str, Any] | None) -> str:
    """Write a share with Wilson's interval and, where there is one, that of the families drawn again."""
    if its is None:
        return "none"
    intervals = [its["wilson"], *([its["families"]] if its["families"] else [])]
    return f"{its['share']:.3f} ({'; '.join(f'{low:.3f} to {high:.3f}' for low, high in intervals)})"


def tables(subject: str) -> Callable[[Results], str]:
    """Return what makes Markdown tables of all that a benchmark measures."""

    def part(results: Results) -> str:
        return "\n\n".join([*map(_table, of_subject(subject, results)), _source(subject, results)])

    return part


def _table(measure: Mapping[str, Any]) -> str:
    """Write a measure: its rows, and its notes below."""
    notes = "; ".join(measure["notes"])
    if not measure["rows"]:
        return f"{measure['title']}: {notes or 'not measured'}."
    columns = list(dict.fromkeys(column for row in measure["rows"] for column in row["figures"]))
    head = [measure["title"], *columns, *([f"x {measure['baseline']}"] if measure["baseline"] else [])]
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *(_cells(row, columns, len(head)) for row in measure["rows"])]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{table}\n\n{notes[:1].upper()}{notes[1:]}." if notes else table


def _cells(row: Mapping[str, Any], columns: Sequence[str], width: int) -> list[str]:
    name = f"**{row['name']}**" if row["name"].startswith("tempmailg") else row["name"]
    cells = [name, *(figure(row["figures"][each]) if each in row["figures"] else "" for each in columns)]
    return cells if len(cells) == width else [*cells, f"{row['ratio']['median']:.2f}" if row["ratio"] else ""]


def _source(subject: str, results: Results) -> str:
    """Say what measured this, when and on what."""
    measured = of_subject(subject, results)
    if not measured:
        return f"Measured by `python -m benchmarks {subject}`."
    days = sorted({measure["date"] for measure in measured})
    machine = machine_of(measured[0], results)
    shown = f"{machine['processor']}, {machine['system']}, {machine['python']}"
    return f"`{measured[0]['command']}`, {' to '.join(dict.fromkeys((days[0], days[-1])))}, {shown}."


def costs(results: Results) -> str:
    """Return Markdown tables of what the calls cost."""
    lines: list[str] = []
    compared = _costs(results)
    for measure in compared:
        lines += [f"| {measure['title']} | CPU | x {measure['baseline']} | calls/s |", "|:--|--:|--:|--:|"]
        lines += [_line(row) for row in measure["rows"]]
        lines.append("")
    machine = machine_of(compared[0], results)
    versions = ", ".join(
        f"{name} {version}" for name, version in machine.items() if name not in ("processor", "system", "python")
    )
    return "\n".join([*lines, f"{_source('listing', results).removesuffix('.')}; {versions}."])


def goals(results: Results) -> str:
    """Return a Markdown table of every goal with what was measured."""
    lines = ["| Measure | Goal | Limit | Measured (quartiles) | |", "|:--|:--|--:|--:|:--|"]
    lines += [_goal(measure["title"], goal) for measure in results["measures"] for goal in measure["goals"]]
    return "\n".join(lines)


def _line(row: Mapping[str, Any]) -> str:
    figures, spread = row["figures"], row["ratio"]
    name = f"**{row['name']}**" if row["name"].startswith("tempmailg") else row["name"]
    return f"| {name} | {figures[COST]:,.0f} µs | {spread['median']:.2f} | {figures['calls/s']:,.0f} |"


def _goal(title: str, goal: Mapping[str, Any]) -> str:
    measured = goal["measured"]
    sign = "≤" if goal["at_most"] else "≥"
    return (
        f"| {title} | {goal['text']} | {sign} {goal['limit']:g} "
        f"| {measured['median']:.2f} ({measured['low']:.2f} to {measured['high']:.2f}) "
        f"| {'met' if goal['is_met'] else 'missed'} |"
    )


PARTS: Final[Mapping[str, Mapping[str, Callable[[Results], str]]]] = {
    "README.md": {"headline": headline, "month": month, "found": found},
    "tempmailg/README.md": {"pace": pace},
    "benchmarks/README.md": {
        "costs": costs,
        "goals": goals,
        "scores": scores,
        **{name: tables(name) for name in ("waiting", "fleet", "download", "extraction", "sandbox")},
        **{name: tables(name) for name in ("turns", "startup", "command", "plugin", "scaling", "memory", "server")},
    },
}
"""What is made from the results: the parts of each manual by the names of their markers."""


def publish(results: Results, root: Path) -> None:
    """Write the results into a repository, their pictures, and what its manuals say of them."""
    folder = root / "benchmarks"
    write_results(root, results)
    (folder / "results.svg").write_text(plot(_costs(results)), encoding="utf-8")
    (folder / "waiting.svg").write_text(waits_plot(_schedules(results)), encoding="utf-8")
    for manual, parts in PARTS.items():
        text = (root / manual).read_text(encoding="utf-8")
        for name, part in parts.items():
            text = with_part(text, name, part(published(root)))
        (root / manual).write_text(text, encoding="utf-8")


def with_part(readme: str, name: str, part: str) -> str:
    """Return a README that has a part between the markers of that name.

    Raises:
        ValueError: The README has no such markers.
    """
    begin, end = f"<!-- {name}: written by `python -m benchmarks --publish` -->", f"<!-- /{name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(readme):
        raise ValueError(f"the README has no place for the results: put {begin} and {end} there")
    return pattern.sub(lambda _: f"{begin}\n{part}\n{end}", readme)


def _costs(results: Results) -> Sequence[Mapping[str, Any]]:
    """Return the measures that compare the cost of calls."""
    return list(_with_columns({COST, "calls/s"}, results))


def _schedules(results: Results) -> Mapping[str, Any]:
    """Return the measure of the schedules of waits."""
    return next(_with_columns(SCHEDULES, results))


def _months(results: Results) -> Sequence[Mapping[str, Any]]:
    """Return the months of tests, the busiest last."""
    return [row for measure in _with_columns({"tests", "ran"}, results) for row in measure["rows"]]


def _with_columns(columns: set[str], results: Results) -> Iterator[Mapping[str, Any]]:
    for measure in results["measures"]:
        if measure["rows"] and columns <= measure["rows"][0]["figures"].keys():
            yield measure
