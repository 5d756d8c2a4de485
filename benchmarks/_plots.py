"""The pictures of the results, as SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BARS", "COST", "plot", "waits_plot"]

COST: Final = "CPU µs/call"

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


def plot(measures: Sequence[Mapping[str, Any]]) -> str:
    """Return an SVG with what each contestant's calls cost, one group of bars a measure."""
    parts: list[str] = []
    top = 0
    for measure in measures:
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


def waits_plot(schedules: Mapping[str, Any]) -> str:
    """Return an SVG with what a wait costs, over how late its message is delivered."""
    rows = schedules["rows"]
    points = {row["name"]: (row["figures"]["requests, all"], row["figures"]["mean delay s"]) for row in rows}
    right = 1.1 * max(x for x, _ in points.values())
    top = 1.1 * max(y for _, y in points.values())
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400" font-family="sans-serif" font-size="13">',
        '<rect width="640" height="400" fill="#fff"/>',
        '<path d="M70 20V340H620" fill="none" stroke="#888"/>',
        '<text x="345" y="385" text-anchor="middle">requests of a wait (one in ten of them in vain)</text>',
        '<text x="22" y="180" text-anchor="middle" transform="rotate(-90 22 180)">mean delay in seconds</text>',
    ]
    for step in range(5):
        x, y = 70 + 550 * step / 4, 340 - 320 * step / 4
        parts.append(f'<text x="{x:.0f}" y="358" text-anchor="middle" fill="#555">{right * step / 4:.0f}</text>')
        parts.append(f'<text x="62" y="{y + 4:.0f}" text-anchor="end" fill="#555">{top * step / 4:.1f}</text>')
    for name, (requests, delay) in points.items():
        x, y = 70 + 550 * requests / right, 340 - 320 * delay / top
        colour = "#c2185b" if name.startswith("tempmailg") else "#37474f"
        anchor, shift = ("end", -10) if x > 500 else ("start", 10)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
        parts.append(
            f'<text x="{x + shift:.1f}" y="{y - 6:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])
