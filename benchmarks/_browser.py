"""What Chromium shows of a message (`innerText`), and how near a text comes to it."""

from __future__ import annotations

import base64
import importlib
import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempmailg import _extract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["browser", "inner_texts", "token_f1", "tools"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SECONDS = 90
_PAGE = """<!doctype html><meta charset="utf-8"><body><script>
const mails = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob("%s"), c => c.charCodeAt(0))));
(async () => {
  const texts = [];
  for (const mail of mails) {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-same-origin";
    frame.width = 800; frame.height = 600;
    const loaded = new Promise(done => { frame.onload = done; });
    frame.srcdoc = mail;
    document.body.append(frame);
    await loaded;
    texts.push(frame.contentDocument.body ? frame.contentDocument.body.innerText : "");
    frame.remove();
  }
  const bytes = new TextEncoder().encode(JSON.stringify(texts));
  document.body.textContent = "TEXTS:" + btoa(Array.from(bytes, b => String.fromCharCode(b)).join("")) + ":END";
})();
</script>"""


def browser() -> str | None:
    """Return the path of an installed Chromium."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


def inner_texts(path: str, mails: Sequence[str]) -> list[str]:
    """Return what Chromium shows of HTML messages; nothing is fetched, no script of theirs runs."""
    page = _PAGE % base64.b64encode(json.dumps(list(mails)).encode()).decode()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mails.html"
        file.write_text(page, encoding="utf-8")
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
        budget = f"--virtual-time-budget={_SECONDS * 1000}"
        ran = subprocess.run(
            [path, *flags, budget, f"--user-data-dir={folder}/profile", "--dump-dom", file.as_uri()],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    found = re.search(r"TEXTS:([A-Za-z0-9+/=]*):END", ran.stdout)
    if found is None:
        raise RuntimeError(f"{path} showed no text: {ran.stderr[-500:]}")
    texts: list[str] = json.loads(base64.b64decode(found[1]))
    return texts


def token_f1(text: str, shown: str) -> float:
    """Return the harmonic mean of precision and recall of a text's words beside those that are shown."""
    ours, theirs = Counter(text.split()), Counter(shown.split())
    if not ours or not theirs:
        return float(ours == theirs)
    common = sum((ours & theirs).values())
    return 2 * common / (sum(ours.values()) + sum(theirs.values()))


def tools() -> Iterator[tuple[str, Callable[[str], str]]]:
    """Yield tempmailg's text and those of the tools that are installed."""
    yield "tempmailg", lambda html: _extract.to_text(html, is_html=True)
    with suppress(ImportError):
        lxml: Any = importlib.import_module("lxml.html")
        yield "lxml", lambda html: str(lxml.fromstring(html).text_content())
    with suppress(ImportError):
        selectolax: Any = importlib.import_module("selectolax.lexbor")
        yield "selectolax", lambda html: str(selectolax.LexborHTMLParser(html).text())
    with suppress(ImportError):
        inscriptis: Any = importlib.import_module("inscriptis")
        yield "inscriptis", lambda html: str(inscriptis.get_text(html))
    with suppress(ImportError):
        html2text: Any = importlib.import_module("html2text")
        converter: Any = html2text.HTML2Text(bodywidth=0)
        converter.ignore_links = converter.ignore_images = converter.ignore_emphasis = True
        yield "html2text", lambda html: str(converter.handle(html))
