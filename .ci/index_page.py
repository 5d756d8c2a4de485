"""Renders the page that an index shows of a wheel, and fails where a link or picture of it leads nowhere.

    python .ci/index_page.py WHEEL [--html FILE]

The page is the description in the wheel's metadata, rendered by the library that indexes use. It stands away from the
repository: a relative address is dead there, and an anchor lives only if the page has its target.
"""

from __future__ import annotations

import argparse
import email
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

from readme_renderer import markdown

if TYPE_CHECKING:
    from email.message import Message

ABSOLUTE = ("https://", "http://", "mailto:")
PREFIX = "user-content-"  # what the renderer puts before each anchor


class Page(HTMLParser):
    """Where the links and pictures of a page lead, and which anchors it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - as inherited
        """Collect what one tag has."""
        for name, value in attrs:
            if name in {"id", "name"}:
                self.anchors.add((value or "").removeprefix(PREFIX))
            elif name in {"href", "src"}:
                self.targets.append(value or "")

    def dead(self) -> list[str]:
        """Return the targets that lead nowhere, as they are written."""
        return [target.replace(f"#{PREFIX}", "#") for target in self.targets if not self._lives(target)]

    def _lives(self, target: str) -> bool:
        if target.startswith("#"):
            return target[1:].removeprefix(PREFIX) in self.anchors
        return target.startswith(ABSOLUTE)


def metadata_of(wheel: Path) -> Message:
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_string(files.read(name).decode())


def rendered(metadata: Message) -> str:
    """Return the description as HTML."""
    if metadata["Description-Content-Type"] != "text/markdown":
        sys.exit(f"the description is {metadata['Description-Content-Type']}, not text/markdown")
    html = markdown.render(str(metadata.get_payload()))
    if html is None:
        sys.exit("the description cannot be rendered")
    return html


def main() -> None:
    """Check a wheel."""
    parser = argparse.ArgumentParser(description="What an index shows of a wheel.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page to a file")
    options = parser.parse_args()
    metadata = metadata_of(options.wheel)
    html = rendered(metadata)
    if options.html:
        options.html.write_text(html, encoding="utf-8")
    urls = [url.rpartition(", ")[2] for url in metadata.get_all("Project-URL", [])]
    page = Page(html)
    dead = page.dead() + [url for url in urls if not url.startswith(ABSOLUTE)]
    print(f"{len(page.targets)} links and pictures, {len(urls)} addresses of the project, {len(dead)} dead")  # noqa: T201 - its result
    if dead:
        sys.exit("these lead nowhere on the page of an index: " + ", ".join(dead))


if __name__ == "__main__":
    main()
