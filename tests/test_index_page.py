"""The package's page on an index, from the wheel that is built from the source archive: no link of it is dead."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def build(folder: Path, kind: str, target: Path) -> Path:
    """Build the wheel or the source archive of the project in a folder, with what is installed."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert built.returncode == 0, built.stderr
    (result,) = target.iterdir()
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the source archive, as an index offers both."""
    pytest.importorskip("hatchling")
    pytest.importorskip("hatch_fancy_pypi_readme")
    folder = tmp_path_factory.mktemp("built")
    with tarfile.open(build(ROOT, "sdist", folder / "sdist")) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.glob("tempmailg-*")
    return build(source, "wheel", folder / "wheel")


def check(wheel: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the check of `.ci/run`."""
    pytest.importorskip("readme_renderer")
    command = [sys.executable, str(ROOT / ".ci" / "index_page.py"), str(wheel), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_no_link_of_the_page_is_dead(wheel: Path, tmp_path: Path) -> None:
    """The rendered page has every heading of the README, and each link, picture and project address leads somewhere."""
    checked = check(wheel, "--html", str(tmp_path / "page.html"))
    assert checked.returncode == 0, checked.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings == re.findall(r"<h2[^>]*>([^<]*)<", page)
    assert "They come with the package" in page
    assert "tempmailg/_cli/README.md" in page


def metadata_of(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        return files.read(name).decode()


def test_programs_on_the_page_are_those_of_the_readme(wheel: Path) -> None:
    """What is done to the README's links leaves its blocks of code alone."""
    blocks = re.compile(r"^```.*?^```$", flags=re.DOTALL | re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert blocks.findall(metadata_of(wheel)) == blocks.findall(readme)


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("[the manual](tempmailg/README.md)", "tempmailg/README.md"),
        ("![a plot](results.svg)", "results.svg"),
        ("[below](#no-such-heading)", "#no-such-heading"),
        ("[the service](https://example.com/) and [itself](#a-page)", None),
    ],
    ids=["relative", "picture", "anchor", "alive"],
)
def test_a_dead_link_is_named(tmp_path: Path, text: str, dead: str | None) -> None:
    """Relative links and pictures and anchors without a target fail the check; what leads somewhere does not."""
    wheel = tmp_path / "page-1-py3-none-any.whl"
    head = "Metadata-Version: 2.4\nName: page\nVersion: 1\nDescription-Content-Type: text/markdown\n\n# A page\n\n"
    with zipfile.ZipFile(wheel, "w") as files:
        files.writestr("page-1.dist-info/METADATA", f"{head}{text}\n")
    checked = check(wheel)
    assert checked.returncode == (1 if dead else 0)
    assert (dead or "") in checked.stderr
