"""Write results where people see them: a plot, and parts of the READMEs, all made from the JSON alone."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["FLEETS", "costs", "fleets", "goals", "headline", "plot", "with_part"]

COST: Final = "CPU µs/call"

FLEETS: Final = "Fleets of workers with one store in Redis"  # the title of its measure

# What the README says of all this: a goal, the words for it, and how its number is written.
HEADLINES: Final = (
    ("CPU of 1 message, tempmailg / aiohttp + json", "A call costs {} the CPU time of bare aiohttp with json", ".2f"),
    ("calls per second, 1 message, tempmailg / httpx + pydantic", "it is {} as fast as httpx with pydantic", ".1f"),
    ("requests of all waits, as a share of every 1 s", "waits need {} the requests of a poll every second", ".2f"),
)

# Sizes of the plot, in pixels.
WIDTH: Final = 720
NAMES: Final = 210
BARS: Final = 390
LINE: Final = 24
HEAD: Final = 44

STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #57606a }
.title { font-weight: 600 }
.ours { fill: #0969da }
.theirs { fill: #afb8c1 }
@media (prefers-color-scheme: dark) { text { fill: #9da7b1 } .ours { fill: #4493f8 } .theirs { fill: #484f58 } }
"""

Results = dict[str, Any]


def plot(results: Results) -> str:
    """Return an SVG with what each contestant's calls cost, one group of bars a measure."""
    parts: list[str] = []
    top = 0
    for measure in _costs(results):
        parts += _bars(measure, top)
        top += HEAD + LINE * len(measure["rows"])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top + 8}" viewBox="0 0 {WIDTH} {top + 8}" '
        f'role="img" aria-label="CPU time of a call, by client">\n<style>{STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _bars(measure: Mapping[str, Any], top: int) -> list[str]:
    rows = measure["rows"]
    longest = max(row["figures"][COST] for row in rows)
    parts = [f'<text class="title" x="0" y="{top + 30}">{escape(measure["title"])}: CPU µs a call</text>']
    for number, row in enumerate(rows):
        cost = row["figures"][COST]
        y = top + HEAD + LINE * number
        kind = "ours" if row["name"].startswith("tempmailg") else "theirs"
        width = BARS * cost / longest
        parts += [
            f'<text x="{NAMES - 8}" y="{y + 13}" text-anchor="end">{escape(row["name"])}</text>',
            f'<rect class="{kind}" x="{NAMES}" y="{y}" width="{width:.1f}" height="{LINE - 7}" rx="2"/>',
            f'<text x="{NAMES + width + 6:.1f}" y="{y + 13}">{cost:,.0f}</text>',
        ]
    return parts


def headline(results: Results) -> str:
    """Return the README's sentence: the numbers that matter most."""
    measured = {goal["text"]: goal["measured"]["median"] for each in results["measures"] for goal in each["goals"]}
    return "; ".join(text.format(f"**{measured[goal]:{digits}} times**") for goal, text, digits in HEADLINES) + "."


def costs(results: Results) -> str:
    """Return Markdown tables of what the calls cost."""
    lines: list[str] = []
    for measure in _costs(results):
        lines += [f"| {measure['title']} | CPU | x {measure['baseline']} | calls/s |", "|:--|--:|--:|--:|"]
        lines += [_line(row) for row in measure["rows"]]
        lines.append("")
    machine = results["machine"]
    versions = ", ".join(
        f"{name} {version}" for name, version in machine.items() if name not in ("processor", "system", "python")
    )
    return "\n".join([*lines, f"{machine['processor']}, {machine['system']}, {machine['python']}; {versions}."])


def goals(results: Results) -> str:
    """Return a Markdown table of every goal with what was measured."""
    lines = ["| Measure | Goal | Limit | Measured (quartiles) | |", "|:--|:--|--:|--:|:--|"]
    lines += [_goal(measure["title"], goal) for measure in results["measures"] for goal in measure["goals"]]
    return "\n".join(lines)


def fleets(results: Results) -> str:
    """Return a Markdown table of the fleets, with how many mailboxes they had."""
    measure = next(measure for measure in results["measures"] if measure["title"] == FLEETS)
    if not measure["rows"]:
        return "\n".join(measure["notes"])
    columns = list(measure["rows"][0]["figures"])
    lines = [["", *columns], [":--", *["--:"] * len(columns)]]
    lines += [[row["name"], *(f"{row['figures'][column]:,.0f}" for column in columns)] for row in measure["rows"]]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *(f"{note}." for note in measure["notes"])])


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
    return [measure for measure in results["measures"] if {COST, "calls/s"} <= _columns(measure)]


def _columns(measure: Mapping[str, Any]) -> set[str]:
    """Return the columns of a measure's table: none where its tool is missing."""
    return {column for row in measure["rows"] for column in row["figures"]}
