"""Builds the documentation, warnings as errors, and checks what was built.

    python -m tests.website

The pages are left in ``site``. Besides what zensical checks, every link of a page leads to a page
and a heading that are there, and no page asks another host for anything.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from tests.website._reference import pages

ROOT = Path(__file__).parents[2]
SITE = ROOT / "site"
_LINK = re.compile(r"(\]\()(?!https?://|#|mailto:)([^)#\s]+)(#[^)]*)?\)")
_TAKEN = {"CHANGELOG.md": "changelog.md", "ARCHITECTURE.md": "architecture.md"}
_TAKEN["CONTRIBUTING.md"] = "contributing.md"


class Fault(Exception):
    """What is wrong with the documentation."""


def main() -> int:
    """Build and check; return the exit code."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            _build(Path(folder))
        _check()
    except Fault as fault:
        print(f"fault: {fault}", file=sys.stderr)
        return 1
    print(f"built: {len(list(SITE.rglob('*.html')))} pages in {SITE}")
    return 0


def _build(folder: Path) -> None:
    config = (ROOT / "zensical.toml").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    source = project["urls"]["Source"]
    (folder / "zensical.toml").write_text(config)
    docs = folder / "docs"
    shutil.copytree(ROOT / "docs", docs)
    for page in docs.rglob("*.md"):
        page.write_text(_relinked(page.read_text(), "docs", source))
    for name, target in _TAKEN.items():
        (docs / target).write_text(_relinked((ROOT / name).read_text(), ".", source))
    for name, text in pages().items():
        (docs / name).parent.mkdir(exist_ok=True)
        (docs / name).write_text(text)
    words = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    said = f"{done.stdout}{done.stderr}"
    if done.returncode or "warning" in said.lower():
        raise Fault(f"zensical is not content:\n{said.partition('Traceback')[0]}")
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.copytree(folder / "site", SITE)


def _relinked(text: str, at: str, source: str) -> str:
    """Return a page whose links lead to other pages, or to files of the repository."""

    def link(found: re.Match[str]) -> str:
        before, path, anchor = found[1], found[2], found[3] or ""
        target = (ROOT / at / path).resolve()
        if not target.exists():
            return found[0]  # a page that is made, or a fault, which zensical tells
        if target.is_relative_to(ROOT / "docs"):
            return f"{before}{target.relative_to(ROOT / 'docs')}{anchor})"
        name = str(target.relative_to(ROOT))
        if name == "README.md":
            return f"{before}index.md)"
        return f"{before}{_TAKEN.get(name) or f'{source}/blob/main/{name}'}{anchor})"

    return _LINK.sub(link, text)


class _Page(HTMLParser):
    """What a page has: links, the names of its places, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag says."""
        given = {name: value or "" for name, value in attrs}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in ("script", "img", "iframe", "source") and "src" in given:
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next", "edit"):
            self.loaded.append(given.get("href", ""))


def _check() -> None:
    parsed = {path: _Page(path.read_text()) for path in SITE.rglob("*.html")}
    faults = []
    for path, page in parsed.items():
        if path.name == "404.html":
            continue
        shown = path.relative_to(SITE)
        faults += [f"{shown} loads {url}" for url in page.loaded if url.startswith(("http", "//"))]
        for link in page.links:
            if re.match(r"[a-z]+:|//", link) or link in ("", "#"):
                continue
            way, _, anchor = link.partition("#")
            target = (path.parent / unquote(way)).resolve() if way else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                faults.append(f"{shown} leads to {link}, which is not there")
            elif anchor and target in parsed and unquote(anchor) not in parsed[target].names:
                faults.append(f"{shown} leads to {link}, and that page has no such place")
    if faults:
        raise Fault("\n".join(faults))


if __name__ == "__main__":
    sys.exit(main())
