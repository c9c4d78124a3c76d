"""Tasks of flytekit by the command that a cluster starts in containers; two executions at once."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import flytekit_tasks
import stages
from flytekit.models.literals import LiteralMap
from twice import meeting

from runstore import ObjectStore


def execute(name: str) -> None:
    """Run the tasks of one execution, each in a process; the last one is tried twice."""
    folder = Path(name)
    folder.mkdir()
    (folder / "inputs.pb").write_bytes(LiteralMap({}).to_flyte_idl().SerializeToString())
    for task, attempt in (("build", 0), ("train", 0), ("flaky", 0), ("flaky", 1)):
        known = {"EXECUTION_PROJECT": "shop", "EXECUTION_DOMAIN": "development"}
        known |= {"EXECUTION_ID": name, "TASK_PROJECT": "shop", "TASK_DOMAIN": "development"}
        known |= {"TASK_NAME": f"flytekit_tasks.{task}", "TASK_VERSION": "1"}
        out = folder / f"{task}{attempt}"
        subprocess.run(
            [
                *(Path(sys.executable).with_name("pyflyte-execute"), "--inputs"),
                *(folder / "inputs.pb", "--output-prefix", out),
                *("--raw-output-data-prefix", folder / "raw", "--resolver"),
                *("flytekit.core.python_auto_container.default_task_resolver", "--"),
                *("task-module", "flytekit_tasks", "task-name", task),
            ],
            env={f"FLYTE_INTERNAL_{key}": value for key, value in known.items()}
            | os.environ
            | {"FLYTE_ATTEMPT_NUMBER": str(attempt)},
            check=False,  # Flyte looks at what it has written
        )
        assert (task, attempt) == ("flaky", 0) or (out / "outputs.pb").exists(), (task, attempt)


if __name__ == "__main__":
    with meeting(), ThreadPoolExecutor(2) as pool:
        list(pool.map(execute, ("f1", "f2")))
    assert {1: {"a", "b"}} == flytekit_tasks.passing()
    kept = ObjectStore().at()
    types = {
        kept.stat(info.name, scope="namespace").python_type
        for info in kept.list("flytekit/", scope="namespace")
    }
    assert 2 == len(types), types
    assert "pandas.DataFrame" in types, types
    stages.check_outside()
