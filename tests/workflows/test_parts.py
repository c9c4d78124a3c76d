"""Stages that write parts side by side, and one that makes them one object."""

import pandas as pd
import pytest

from runstore import object_store, run_workflow


def build(number):
    """Put a part, and hand on what was stored."""
    return object_store.put("x", pd.DataFrame({"n": [number, number]}), part=number)


def join(build):
    """Seal exactly the parts that the stage before has put."""
    return object_store.seal("x", build).rows


@pytest.mark.extended
@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_a_mapped_stage_puts_parts_and_the_next_one_seals_them(tmp_path, mode):
    """What put returns goes from stage to stage, and only what was collected is sealed."""
    stages = [
        {"name": "build", "target": build, "type": "parameterized", "options": {"map_on": "n"}},
        {"name": "join", "target": join, "depends_on": ["build"]},
    ]
    definition = {"metadata": {"name": "w"}, "spec": {"stages": stages}}
    store = tmp_path / "store"
    options = {"mode": mode, "workers": 2}
    run = run_workflow(definition, input={"n": [3, 1, 2]}, store=store, executor_options=options)
    assert ("finished", 6) == (run.state, run.result)
