"""What README and docs show is run as it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.places.s3_ import environment

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"])
PAGES += sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"(<!-- not run: [^>]+ -->\n)?^```python\n(.*?)^```$", re.M | re.S)


def blocks(page):
    text = page.read_text()
    return [
        "\n" * text[: match.start(2)].count("\n") + match[2]  # so that errors name the right line
        for match in BLOCK.finditer(text)
        if not match[1]
    ]


CLUSTERS = ("dask.md", "ray.md")  # whose pages start one, which takes seconds


def pages_with_blocks():
    for page in PAGES:
        if blocks(page):
            marks = [pytest.mark.extended] if page.name in CLUSTERS else []
            yield pytest.param(page, marks=marks, id=page.name)


@pytest.mark.parametrize("page", [*pages_with_blocks()])
def test_every_python_block_runs(page, capsys, request, monkeypatch):
    """The Python blocks of a page run one after the other, as a reader would run them."""
    if page.name == "readers.md":  # its bucket is on a server of ours
        server = request.getfixturevalue("seaweed_server")
        server.client().create_bucket(Bucket="runstore-docs")
        for name, value in environment(server).items():
            monkeypatch.setenv(name, value)
    namespace = {"__name__": "__docs__"}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), namespace)
        if file := re.match(r"\s*# (\w+)\.py$", block, re.M):  # which other blocks import
            module = ModuleType(file[1])
            vars(module).update({name: it for name, it in namespace.items() if name[0] != "_"})
            monkeypatch.setitem(sys.modules, file[1], module)


def test_files_of_the_quickstart_are_whole(tmp_path):
    """Its flows.py runs with the command beside it, and its test passes, with no other file."""
    page = ROOT / "docs" / "quickstart.md"
    files = {}
    for block in blocks(page):
        if file := re.match(r"\s*# (\w+\.py)$", block, re.M):
            files[file[1]] = block
            (tmp_path / file[1]).write_text(block)
    assert [*files] == ["flows.py", "test_flows.py"]
    (command,) = re.findall(r"^\$ (runstore run flows:.*)$", page.read_text(), re.M)
    for words in (shlex.split(command), ["pytest", "-q", "-p", "no:cacheprovider"]):
        ended = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            env={key: os.environ[key] for key in os.environ if not key.startswith("RUNSTORE_")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout


@pytest.mark.parametrize("number", [0, 1])
def test_a_first_program_of_the_readme_runs_alone(number):
    """The programs that a reader copies from README first import what they use."""
    block = blocks(ROOT / "README.md")[number]
    exec(compile(block, "README.md", "exec"), {"__name__": "__docs__"})


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(page):
    """Links to files of the project point at files that exist."""
    for link in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_every_public_name_is_in_the_docs():
    """Each top-level name occurs in README or docs."""
    import runstore

    text = "\n".join(page.read_text() for page in PAGES)
    text += (ROOT / "CHANGELOG.md").read_text()
    assert [] == [name for name in runstore.__all__ if name not in text]


def test_the_picture_of_the_rooms_is_true():
    """ARCHITECTURE.md and import-linter name the same rooms, and each exists."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = {room.strip().removeprefix("runstore.") for line in layers for room in line.split("|")}
    described = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "ARCHITECTURE.md").read_text(), re.M))
    assert rooms | {"testing", "pytest_plugin"} == described
    for room in rooms:
        path = ROOT / "src" / "runstore" / room
        assert path.is_dir() or path.with_suffix(".py").is_file()


def test_every_error_has_a_cause_and_a_cure():
    """docs/errors.md has each error and warning in a table, and none that there is not."""
    from runstore import errors

    text = (ROOT / "docs" / "errors.md").read_text()
    told = re.findall(r"^\| `(\w+(?:Error|Warning))` \| .+ \| .*\|$", text, re.M)
    assert sorted({*errors.__all__} - {"RunStoreError"}) == sorted(told)


def test_every_page_is_in_the_navigation():
    """zensical.toml names each page of docs once, and what `make docs` makes."""
    import tomllib

    def named(entries):
        for entry in entries:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else named(value)

    nav = list(named(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]))
    made = {"changelog.md", "architecture.md", "contributing.md"}
    written = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert sorted(written | made) == sorted(one for one in nav if "/" not in one)


def test_every_setting_is_on_its_page():
    """docs/settings.md has the settings that there are."""
    from runstore.settings import Settings

    text = (ROOT / "docs" / "settings.md").read_text()
    assert set(Settings.model_fields) == set(re.findall(r"^\| .*?\| `(\w+)` \|", text, re.M))
