"""Build wheel and sdist, look at what is in them, and use each in an empty environment.

``python -m tests.dist`` takes about a minute. It ends with 1 at the first thing that is not right.
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.parser import Parser
from pathlib import Path

from tests.matrix._environments import ROOT, extras, this_python

_FIRST_STEPS = '''
import sys
from pathlib import Path

import runstore
from runstore import ObjectStore, object_store, run_context

assert "site-packages" in runstore.__file__, runstore.__file__
assert (Path(runstore.__file__).parent / "py.typed").exists()
with run_context(namespace="dev", run="r1", store="."):
    object_store.put("x", {"a": [1, None, 2.5]})
    assert {"a": [1, None, 2.5]} == object_store.get("x")
print(runstore.__version__)
'''

_OF_THE_WHEEL = [
    *("runstore/__init__.py", "runstore/py.typed", "runstore/pages/static/htmx.min.js"),
    *("runstore/cli/flights/workflow.yaml", "runstore/cli/flights/stages.py"),
]
_OF_THE_SOURCE = ["README.md", "LICENSE", "CHANGELOG.md", "Makefile", "pyproject.toml"]
_OF_THE_SOURCE += ["hatch_build.py", "src/runstore/__init__.py", "tests/dist/__main__.py"]


def _build(folder: Path) -> tuple[Path, Path]:
    """Return the wheel, which is built from the sdist, and the sdist."""
    _run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


def _look_into(wheel: Path, source: Path) -> None:
    """Check that all files are there that are needed, none that are not, and the metadata."""
    with zipfile.ZipFile(wheel) as opened:
        files = set(opened.namelist())
        (metadata,) = (name for name in files if name.endswith(".dist-info/METADATA"))
        described = Parser().parsestr(opened.read(metadata).decode())
    _has(wheel, files, _OF_THE_WHEEL)
    here = (ROOT / "src").rglob("*")
    ours = {str(one.relative_to(ROOT / "src")) for one in here if one.is_file()}
    ours = {one for one in ours if "__pycache__" not in one}
    _has(wheel, files, sorted(ours))
    foreign = {name for name in files if not name.startswith("runstore")}
    assert not foreign, f"{wheel.name} also has {sorted(foreign)}"

    assert described["Requires-Python"] == ">=3.11", described["Requires-Python"]
    assert set(described.get_all("Provides-Extra", [])) == {*extras(), "all"}
    assert described["Description-Content-Type"] == "text/markdown"
    readme = str(described.get_payload())
    assert "](docs/" not in readme, "a link of the readme leads nowhere outside of the repository"
    urls = {line.partition(",")[0] for line in described.get_all("Project-URL", [])}
    assert urls >= {"Homepage", "Documentation", "Changelog", "Source", "Issues"}, urls

    with tarfile.open(source) as opened_source:
        names = {name.partition("/")[2] for name in opened_source.getnames()}
    _has(source, names, _OF_THE_SOURCE)
    private = {name for name in names if name.startswith((".venv", ".git/", ".ci", ".runstore"))}
    assert not private, f"{source.name} also has {sorted(private)}"
    _run(sys.executable, "-m", "twine", "check", "--strict", wheel, source)


def _has(archive: Path, files: set[str], needed: list[str]) -> None:
    missing = [name for name in needed if name not in files]
    assert not missing, f"{archive.name} has no {missing}"


def _try(archive: Path, folder: Path) -> None:
    """Install *archive* where nothing else is, and take the first steps of the readme."""
    subprocess.run([this_python().path, "-m", "venv", folder], check=True)
    inside = folder / "bin"
    pip = [inside / "python", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    _run(*pip, "install", "--quiet", archive)
    _run(*pip, "check")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    shown = _run(inside / "python", "-c", _FIRST_STEPS, cwd=elsewhere)
    version = _run(inside / "runstore", "--version", cwd=elsewhere)
    assert shown.strip() in version, (shown, version)
    listed = _run(inside / "runstore", "ls", "dev/r1", "--store", ".", cwd=elsewhere)
    assert "x" in listed, listed
    print(f"{archive.name}: installed, {version.strip()}, first steps taken", flush=True)


def _run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run([*command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        done.check_returncode()
    return done.stdout


def main() -> int:
    """Build, look and try."""
    with tempfile.TemporaryDirectory(prefix="rs-dist-") as name:
        folder = Path(name)
        wheel, source = _build(folder / "built")
        _look_into(wheel, source)
        for number, archive in enumerate((wheel, source)):
            _try(archive, folder / f"environment-{number}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
