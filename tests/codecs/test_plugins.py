"""Codecs and formats of other packages, found by entry point: a small package on sys.path."""

import subprocess
import sys
from pathlib import Path

import pytest

import runstore

_MODULE = """
from runstore.codecs import Encoded
import pyarrow as pa

SCHEMA = pa.schema([pa.field("x", pa.int64())])

class Point:
    def __init__(self, x):
        self.x = x

class PointCodec:
    name, version, types = "point", 1, ("fake_points.Point",)

    def encode(self, value, pickling):
        batch = pa.record_batch([pa.array([value.x])], schema=SCHEMA)
        return Encoded(SCHEMA, [batch], {"kind": "point"})

    def decode(self, opened, spec, pickling):
        assert spec == {"kind": "point"}
        return Point(opened.batch(0).column(0)[0].as_py())

class PointFile:
    def encode(self, value, ref, pickling):
        return [str(value.x).encode()]

    def decode(self, data, ref, pickling):
        return Point(int(bytes(data)))
"""

_ENTRIES = """
[runstore.codecs]
point = fake_points:PointCodec
broken = fake_points:NotThere
json = fake_points:PointCodec

[runstore.formats]
point = fake_points:PointFile
gone = no_such_module:File
json = fake_points:NotThere
arrow = fake_points:PointFile
"""


@pytest.fixture
def run(tmp_path):
    """Give a function that runs code in a Python where the package is installed, or is not."""
    site = tmp_path / "site"
    (site / "fake_points-1.0.dist-info").mkdir(parents=True)
    (site / "fake_points.py").write_text(_MODULE)
    info = site / "fake_points-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-points\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(_ENTRIES)
    source = Path(runstore.__file__).parent.parent

    def run(code, installed=True):
        head = f"""
import sys
from runstore import ObjectStore
from runstore.errors import *
view = ObjectStore({str(tmp_path / "store")!r}, pickle="deny").at(namespace="n", run="r")
"""
        path = f"{source}:{site}" if installed else str(source)
        done = subprocess.run(
            [sys.executable, "-W", "ignore::RuntimeWarning", "-c", head + code],
            capture_output=True,
            text=True,
            check=False,
            env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"},
        )
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout.strip()

    return run


@pytest.mark.extended
def test_a_codec_of_a_package(run):
    """A type of a plug-in is kept by its codec, without pickle; without it, the error says so."""
    code = """
from fake_points import Point
info = view.put("p", Point(7))
assert not info.pickled
print(view.get("p").x, info.codec)
"""
    assert "7 point" == run(code)
    code = """
try:
    view.get("p")
except UnsupportedFormatError as exc:
    print("plug-in" in str(exc))
"""
    assert "True" == run(code, installed=False)


@pytest.mark.extended
def test_a_codec_of_a_package_inside_another_value(run):
    """A plug-in's values may be parts of lists and dicts."""
    code = """
from fake_points import Point
view.put("p", {"a": [Point(1), Point(2)]})
print([point.x for point in view.get("p")["a"]])
"""
    assert "[1, 2]" == run(code)


def test_a_format_of_a_package(run, tmp_path):
    """A name with a plug-in's extension is stored under exactly that name, in its format."""
    code = """
from fake_points import Point
view.put("p.point", Point(7))
print(view.get("p.point").x, [info.name for info in view.list()])
"""
    assert "7 ['p.point']" == run(code)
    assert "7" == next(tmp_path.rglob("p.point")).read_text()


@pytest.mark.extended
def test_files_of_a_package_that_is_gone(run, tmp_path):
    """Its files are listed, described, copied and deleted without it; `get` asks for it."""
    run("""
from fake_points import Point
view.put("p.point", Point(7))
view.put("q.point", Point(8))
""")
    code = """
print([info.name for info in view.list()], view.exists("p.point"), view.stat("p.point").format)
print([info.name for info in view.list("q", details=True)])
view.copy("p.point", to_name="c.point")
view.copy("p.point", to_name="p.point", to_scope="namespace")
view.delete("p.point")
try:
    view.get("c.point")
except UnsupportedFormatError as exc:
    print("install the package that brings" in str(exc), "'point' in runstore.formats" in str(exc))
print(view.get("c.point", as_type=bytes))
view.put("v.point", {"a": 1})  # anything is an Arrow object at the same key
print(view.get("v.point"))
"""
    expected = "['p.point', 'q.point'] True point\n['q.point']\nTrue True\nb'7'\n{'a': 1}"
    assert expected == run(code, installed=False)
    assert {"c.point", "q.point", "v.point"} == {
        path.name for path in (tmp_path / "store" / "n" / "r").iterdir()
    }
    code = 'print(view.get("c.point").x, view.get("v.point"), view.stat("v.point").codec)'
    assert "7 {'a': 1} json" == run(code)


def test_what_we_know_stays_ours(run):
    """A package can replace neither a codec nor a format of ours, nor the appended extension."""
    code = """
view.put("x.json", [1])
view.put("x.arrow", [2])
print(view.get("x.json"), view.get("x.arrow"), [info.format for info in view.list()])
"""
    assert "[1] [2] ['arrow', 'json']" == run(code)


@pytest.mark.extended
def test_plugins_are_asleep(run):
    """Neither our own values nor unknown extensions import a plug-in."""
    code = """
view.put("x", {"a": (1, 2)})
view.put("x.v2", 1)
view.get("x")
print("fake_points" in sys.modules)
"""
    assert "False" == run(code)


@pytest.mark.extended
def test_a_broken_plugin(run):
    """A plug-in that cannot be imported is named when it is needed, and breaks nothing else."""
    code = """
for name in ("x.gone", "y.gone"):
    try:
        view.put(name, 1)
    except MissingExtraError as exc:
        print("fake-points" in str(exc), "no_such_module" in str(exc))
from fake_points import Point
view.put("p", Point(1))
"""
    assert "True True\nTrue True" == run(code)


def test_a_broken_plugin_is_said_to_be_left_out(run):
    """Looking for a type's codec warns of the package that could not be asked."""
    code = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        view.put("x", object())
    except UnsafePickleError:
        print([str(warning.message).split("'")[1] for warning in caught])
"""
    assert "['broken', 'json']" == run(code)
