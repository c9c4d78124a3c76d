"""Flows of Metaflow: two runs at once, and one that is resumed."""

import os
import subprocess
import sys
from pathlib import Path

import stages
from twice import twice

from runstore import ObjectStore


def _command(name, verb):
    return [sys.executable, Path(__file__).with_name(f"metaflow_{name}.py"), "--no-pylint", verb]


if __name__ == "__main__":
    twice(_command("flow", "run"))
    first = _command("resumed", "run")
    assert 0 != subprocess.run(first, env=os.environ | {"STAGES_FAIL": "1"}).returncode
    subprocess.run(_command("resumed", "resume"), check=True)
    ended = sorted(run.state for run in ObjectStore().runs() if run.workflow == "resumed")
    assert ["failed", "finished"] == ended, ended
    stages.check_outside()
