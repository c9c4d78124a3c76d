"""Each extra installs what the code imports for it, and nothing else."""

import ast
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "runstore"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = dict(PROJECT["optional-dependencies"])
ALL = EXTRAS.pop("all")

# The files that an extra is for.
FILES = {
    "pandas": ["src/runstore/codecs/_pandas*.py", "src/runstore/codecs/_csv.py"],
    "polars": ["src/runstore/codecs/_polars.py"],
    "s3": ["src/runstore/places/_s3/_s3fs.py"],
    "s3-fast": ["src/runstore/places/_s3/*.py"],
    "gcs": ["src/runstore/places/_fsspec/_opening.py"],
    "azure": ["src/runstore/places/_fsspec/_opening.py"],
    "sftp": ["src/runstore/places/_fsspec/_sftp.py"],
    "webdav": [
        "src/runstore/places/_fsspec/_webdav.py",
        "src/runstore/places/_fsspec/_opening.py",
    ],
    "openlineage": ["src/runstore/lineage/_openlineage.py"],
    "dask": ["src/runstore/executors/_dask*.py"],
    "ray": ["src/runstore/executors/_ray*.py"],
    "sklearn": ["src/runstore/codecs/_skops.py"],
    "torch": ["src/runstore/codecs/_torch.py"],
    "xarray": ["src/runstore/codecs/_xarray.py"],
    "fsspec": ["src/runstore/filesystem/_[!u]*.py"],  # `_upath` is imported by its library
    "ui": ["src/runstore/ui/*.py", "src/runstore/pages/*.py"],
    "testing": ["src/runstore/testing/*.py"],
    "demo": ["examples/flights/*.py"],
}
DISTRIBUTIONS = metadata.packages_distributions() | {"sklearn": ["scikit-learn"]}


def named(requirements):
    """The distributions that requirements are of."""
    found = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return {match[0].lower().replace("_", "-") for match in found}


def with_dependencies(names):
    """These distributions and, where they are installed, what they require in turn."""
    found, left = set(), set(names)
    while left:
        name = left.pop()
        found.add(name)
        try:
            required = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        left |= named(one for one in required if "extra ==" not in one) - found
    return found


def imported(files, *, at_top=False, looked_for=False):
    """The distributions that files import or look for, at the top of a module or anywhere."""
    found = set()
    for pattern in files:
        for path in ROOT.glob(pattern):
            tree = ast.parse(path.read_text())
            for node in tree.body if at_top else ast.walk(tree):
                modules = []
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules = [node.module]
                elif looked_for and getattr(getattr(node, "func", None), "id", "") == "find_spec":
                    modules = [one.value for one in node.args if isinstance(one, ast.Constant)]
                for module in {name.partition(".")[0] for name in modules}:
                    if module not in {*sys.stdlib_module_names, "runstore", "delay_model"}:
                        found |= set(DISTRIBUTIONS.get(module, [module])[:1])
    return {name.lower().replace("_", "-") for name in found}


def test_every_extra_has_its_files():
    """No extra is left out of this table."""
    assert set(EXTRAS) == set(FILES)


@pytest.fixture
def installed(extra):
    """Skip an extra whose packages are not here: what they require in turn is not known."""
    for name in named(EXTRAS[extra]):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            if name != "torch":  # it is never installed, and required by nothing
                pytest.skip(f"{name} is not installed")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("extra", FILES)
def test_what_is_imported_is_installed(extra):
    """What the files of an extra import comes with the package, the extra, or what that needs."""
    core = with_dependencies(named(PROJECT["dependencies"]))
    # The conformance suites look at values of libraries that are there anyway.
    needed = imported(FILES[extra], at_top=extra == "testing")
    assert set() == needed - core - with_dependencies(named(EXTRAS[extra]))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("extra", FILES)
def test_what_is_installed_is_imported(extra):
    """An extra names nothing that its files do not use, themselves or by what it needs."""
    used = imported(FILES[extra], looked_for=True)
    for name in named(EXTRAS[extra]):
        assert used & with_dependencies({name}), f"{extra} installs {name}, which is not used"


def test_every_pip_line_names_an_extra():
    """The install lines of messages and docs can be typed as they are."""
    lines = set()
    for path in [*SOURCE.rglob("*.py"), *ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for names in re.findall(r"runstore\[([a-z0-9,-]+)\]", path.read_text()):
            lines |= set(names.split(","))
    assert lines <= {"all", *EXTRAS}


def test_all_are_all_but_those_for_tests():
    """`runstore[all]` brings each extra that a run may need; s3 is in s3-fast."""
    lists = [one.removeprefix("runstore[").removesuffix("]") for one in ALL]
    names = ",".join(lists).split(",")
    assert sorted(set(EXTRAS) - {"demo", "s3", "testing"}) == names
    assert set(EXTRAS["s3"]) <= set(EXTRAS["s3-fast"])


def test_the_suites_say_what_they_need(monkeypatch):
    """Without pytest, `runstore.testing` names the extra that installs it."""
    from runstore.errors import MissingExtraError

    for module in [name for name in sys.modules if name.startswith("runstore.testing")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'runstore\[testing\]'"):
        __import__("runstore.testing")
