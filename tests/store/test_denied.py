"""A folder that this process may not read hides nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runstore import ObjectStore
from runstore.context import new_run

# "nobody" may not be able to read the source tree: what it needs is loaded before.
_AS_NOBODY = """
import os, sys, warnings
import runstore.cli, runstore.store, runstore.context, runstore.settings, numpy, encodings.idna
from runstore import ObjectStore
from runstore.cli import main
from runstore.errors import AccessDeniedError
store = ObjectStore(sys.argv[1])
main(["--store", sys.argv[1], "ls"]); main(["--store", sys.argv[1], "du"])  # imports
os.chdir("/"); os.setuid(65534)
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    print([run.name for run in store.runs()], ["secret" in str(one.message) for one in told])
try:
    store.runs("secret")
except AccessDeniedError:
    print("denied")
for command in ("ls", "du"):
    print(main(["--store", sys.argv[1], command]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody to be denied")
def test_a_folder_that_may_not_be_read_costs_a_warning(tmp_path_factory):
    """What lies beside the store, or a namespace of others, hides no run and no namespace."""
    root = tmp_path_factory.mktemp("denied")
    store = ObjectStore(root)
    for namespace in ("open", "secret"):
        store.write_run(new_run("w", namespace=namespace, name=f"{namespace}-run"))
        store.at(namespace=namespace, run="r").put("x", 1)
    (root / "lost+found").mkdir()
    (root / "lost+found" / "x").write_text("x")
    for folder in (root, *list(root.parents)[:-1], *(root / "open").rglob("*"), root / "open"):
        folder.chmod(folder.stat().st_mode | 0o055)
    for folder in (root / "secret", root / "lost+found"):
        folder.chmod(0o700)
    import runstore

    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(root)],
        env={**os.environ, "PYTHONPATH": str(Path(runstore.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert 0 == done.returncode, done.stderr
    assert "['open-run'] [True]" in lines
    assert "denied" in lines
    assert ["0", "0"] == [line for line in lines if line == "0"]
    assert 2 == done.stderr.count("warning: left out: ")
    assert "lost+found" not in done.stderr
