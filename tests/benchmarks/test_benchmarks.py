"""Every benchmark still runs, and every peer gives back what it was given. No times."""

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PEERS = sorted((ROOT / "benchmarks" / "peers").glob("[!_]*.py"))

pytestmark = [
    pytest.mark.skipif(
        not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc"
    ),
    pytest.mark.timeout(300),  # the fixture starts three dozen interpreters
    pytest.mark.xdist_group("benchmarks"),  # once, not once for each worker
]


def python(*arguments):
    """Run Python as a stranger would, with the checkout and this process's modules on its path."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def evaluated(expression):
    """Evaluate *expression* on the cases, outside this process: tests load no benchmarks."""
    done = python(
        "-c",
        "import json; from benchmarks.cases import CASES; from benchmarks._short import SHORT\n"
        f"print(json.dumps({expression}))",
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A quick run of every case: what it printed, and its result file."""
    folder = tmp_path_factory.mktemp("benchmarks")
    output = folder / "result.json"
    options = ["--quick", "--large", "--folder", str(folder), "--output", str(output)]
    done = python("-m", "benchmarks", *options)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout, json.loads(output.read_text()), folder


def test_every_pair_of_case_and_peer_is_in_the_result_file_once(quick):
    """No peer is dropped, and none is counted twice."""
    expected = evaluated("[(c.name, p) for c in CASES for p in c.peers]")
    expected += evaluated("[(case, peer) for case in SHORT for peer in SHORT[case]]")
    found = Counter((result["case"], result["peer"]) for result in quick[1]["results"])
    assert Counter(map(tuple, expected)) == found


def test_every_peer_gives_back_what_was_put(quick):
    """Values, dtypes, labels and index are those that were put."""
    assert [] == [r for r in quick[1]["results"] if (r["status"], r["error"]) != ("ok", None)]


def test_put_get_and_touch_are_measured_in_time_and_memory(quick):
    """Each has as many samples as there were rounds."""
    frames = [r for r in quick[1]["results"] if r["case"].startswith("frame-")]
    for result in frames:
        assert {"put", "get", "get_touch"} == set(result["samples"])
        for sample in result["samples"].values():
            assert [1, 1] == [len(sample["seconds"]), len(sample["peak_bytes"])]


def test_the_result_file_says_where_and_with_what(quick):
    """A figure without machine, versions and commit is worth nothing."""
    about = quick[1]
    assert {"processor", "cores", "memory_bytes", "file_system"} <= set(about["machine"])
    assert {"python", "runstore", "pandas", "pyarrow", "joblib"} <= set(about["versions"])
    assert about["commit"]
    assert about["date"]


def test_the_tables_show_each_case_and_what_each_peer_promises(quick):
    """Whatever ran is shown, in plain text when nobody looks."""
    printed, about, _ = quick
    assert "\x1b" not in printed
    for result in about["results"]:
        assert result["label"] in printed
        assert result["case"] in printed
        assert result.get("guarantees", "") in printed


def test_nothing_is_left_on_the_measured_disk(quick):
    """The folder is as it was, but for the result file that was asked to be there."""
    assert ["result.json"] == [path.name for path in quick[2].iterdir()]


def test_a_peer_that_fails_is_reported(tmp_path):
    """Not dropped: its error is printed, the others go on, and the exit code says so."""
    code = (
        "import sys; from dataclasses import replace\n"
        "from benchmarks import __main__ as m, cases\n"
        "case = replace(cases.named('bytes-1KiB-local'), peers=('raw', 'feather'), count=1)\n"
        "m.CASES = (case,)\n"
        "sys.exit(m.main(sys.argv[1:]))"
    )
    output = tmp_path / "result.json"
    options = ["--quick", "--only", "bytes", "--folder", str(tmp_path), "--output", str(output)]
    done = python("-c", code, *options)
    assert 1 == done.returncode, done.stderr
    assert "FAILED: bytes-1KiB-local" in done.stdout
    results = json.loads(output.read_text())["results"]
    assert ["ok", "failed"] == [result["status"] for result in results]


@pytest.mark.parametrize("path", PEERS, ids=lambda path: path.stem)
def test_a_peer_has_exactly_the_names_of_the_contract(path):
    """Two texts and four functions; whatever else it has is private."""
    names = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    public = [name for name in names if not name.startswith("_")]
    assert ["label", "guarantees", "open_at", "put", "get", "delete"] == public
