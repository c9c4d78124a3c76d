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
    pytest.mark.timeout(600),  # the fixture runs every case, on a busy machine slowly
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
        "import json; from benchmarks.cases import CASES, SUITES\n"
        "from benchmarks._short import SHORT\n"
        "from benchmarks.peers import requirements\n"
        f"print(json.dumps({expression}))",
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """A quick run of every case: what it printed, and all results."""
    folder, output = tmp_path_factory.mktemp("disk"), tmp_path_factory.mktemp("results")
    options = ["--quick", "--no-install", "--folder", str(folder), "--output", str(output)]
    done = python("-m", "benchmarks", "run", *evaluated("SUITES"), *options)
    assert 0 == done.returncode, done.stdout + done.stderr
    files = {path.stem: json.loads(path.read_text()) for path in output.iterdir()}
    return done.stdout, files, folder


@pytest.fixture(scope="module")
def results(quick):
    """The results of all suites."""
    return [result for file in quick[1].values() for result in file["results"]]


@pytest.mark.slow
def test_every_pair_of_case_and_peer_is_in_a_result_file_once(results):
    """No peer is dropped, and none is counted twice."""
    expected = evaluated("[(c.name, p) for c in CASES for p in c.peers]")
    expected += evaluated("[(case, peer) for case in SHORT for peer in SHORT[case]]")
    found = Counter((result["case"], result["peer"]) for result in results)
    assert Counter(map(tuple, expected)) == found


@pytest.mark.slow
def test_every_peer_gives_back_what_was_put(results):
    """Values, dtypes, labels and index; those that were not installed are reported as that."""
    own = set(evaluated("[p for c in CASES for p in c.peers if requirements(p)]"))
    others = [result for result in results if result["peer"] not in own]
    assert [] == [r for r in others if (r["status"], r["error"]) != ("ok", None)]
    for result in results:
        if result["peer"] in own:
            assert result["status"] in {"ok", "not installed"}, result


@pytest.mark.slow
def test_every_step_is_measured_in_time_processor_and_memory(results):
    """Each step of a case has as many samples as there were rounds."""
    steps = evaluated("{c.name: c.steps for c in CASES}")
    for result in results:
        if result["case"] in steps and result["status"] == "ok":
            assert set(steps[result["case"]]) == set(result["samples"])
            for sample in result["samples"].values():
                assert [1, 1, 1] == [
                    len(sample[measure]) for measure in ("seconds", "cpu_seconds", "peak_bytes")
                ]


@pytest.mark.slow
def test_requests_bytes_and_stored_size_are_counted_on_s3(results):
    """They come from the server, for each client alike."""
    measured = [r for r in results if r["place"].startswith("s3") and r["status"] == "ok"]
    assert measured
    for result in measured:
        for sample in result["samples"].values():
            assert {"requests", "received_bytes", "sent_bytes"} <= set(sample)
        if "put" in result["samples"]:
            assert result["bytes"] * 0.5 < result["stored_bytes"] / result["count"]


@pytest.mark.slow
def test_each_verb_makes_the_requests_of_the_budget(results):
    """What the tables call the budget's counts is what the tests of S3 hold it to."""
    (found,) = [r for r in results if (r["case"], r["peer"]) == ("s3-verbs-1KiB", "runstore")]
    requests = {step: s["requests"][0] / found["count"] for step, s in found["samples"].items()}
    expected = {"put": 1, "get": 1, "exists": 1, "stat": 1, "delete": 2, "names": 1 / 3}
    assert expected == pytest.approx(requests)


@pytest.mark.slow
def test_the_result_files_say_where_and_with_what(quick):
    """A figure without machine, versions and commit is worth nothing."""
    for about in quick[1].values():
        assert {"processor", "cores", "memory_bytes", "file_system"} <= set(about["machine"])
        assert {"python", "runstore", "pandas", "pyarrow", "joblib"} <= set(about["versions"])
        assert about["commit"]
        assert about["date"]


@pytest.mark.slow
def test_the_result_files_do_not_say_whose_machine(quick):
    """Results are published: no host, and no path."""
    text = json.dumps(quick[1])
    for secret in (str(ROOT), str(quick[2]), str(Path.home()), os.uname().nodename, sys.prefix):
        assert secret not in text


@pytest.mark.slow
def test_the_tables_show_each_case_and_what_each_peer_promises(quick, results):
    """Whatever ran is shown, in plain text when nobody looks."""
    printed = quick[0]
    assert "\x1b" not in printed
    for result in results:
        assert result["label"] in printed
        assert result["case"] in printed
        assert result.get("guarantees", "") in printed


@pytest.mark.slow
def test_nothing_is_left_on_the_measured_disk(quick):
    """The folder is as it was."""
    assert [] == list(quick[2].iterdir())


def test_a_run_is_resumed_where_it_was_interrupted(tmp_path):
    """A case that is in the result file of the same code is not run again."""
    options = ["headline", "--quick", "--resume", "--only", "bytes-1KiB-local"]
    first = python("-m", "benchmarks", "run", *options, "--output", str(tmp_path))
    kept = json.loads((tmp_path / "headline.json").read_text())["results"]
    again = python("-m", "benchmarks", "run", *options, "--output", str(tmp_path))
    assert [0, 0] == [first.returncode, again.returncode], first.stderr + again.stderr
    assert "bytes-1KiB-local …" in first.stderr
    assert "bytes-1KiB-local …" not in again.stderr
    assert kept == json.loads((tmp_path / "headline.json").read_text())["results"]


def test_a_peer_that_fails_or_cannot_be_installed_is_reported(tmp_path):
    """Not dropped: its error is printed, the others go on, and the exit code says so."""
    code = (
        "import sys; from dataclasses import replace\n"
        "from benchmarks import _environments, run as r, cases\n"
        "def fail(*command): raise _environments.NotInstalledError('no such version')\n"
        "_environments._run = fail\n"
        "_environments._ENVIRONMENTS = _environments.Path(sys.argv.pop())\n"
        "peers = ('raw', 'feather', 'arcticdb')\n"
        "r.CASES = (replace(cases.named('bytes-1KiB-local'), peers=peers, count=1),)\n"
        "sys.exit(r.main(sys.argv[1:]))"
    )
    options = ["--quick", "--only", "bytes", "--output", str(tmp_path)]
    done = python("-c", code, *options, str(tmp_path / "none"))
    assert 1 == done.returncode, done.stderr
    assert "FAILED: bytes-1KiB-local, feather" in done.stdout
    assert "NOT INSTALLABLE: bytes-1KiB-local, arcticdb: no such version" in done.stdout
    results = json.loads((tmp_path / "headline.json").read_text())["results"]
    assert ["ok", "failed", "not installable"] == [result["status"] for result in results]


@pytest.mark.parametrize("path", PEERS, ids=lambda path: path.stem)
def test_a_peer_has_exactly_the_names_of_the_contract(path):
    """Three texts, four functions and what it can do beyond; whatever else it has is private."""
    optional = {
        *("requires", "put_many", "get_many", "names", "exists", "stat", "get_column"),
        "fill_runs",
    }
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom) and node.module == "benchmarks.peers.runstore_":
            names |= {alias.name for alias in node.names}  # the same, on another engine
    public = {name for name in names if not name.startswith("_")}
    contract = {"label", "guarantees", "lacks", "open_at", "put", "get", "delete"}
    assert contract == public - optional
