"""How the tests call the command line: in this process, against a real store on disk."""

from typing import NamedTuple

import pytest

from runstore import ObjectStore
from runstore.cli import main


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys):
    """Give a function that runs a command and returns how it ended."""

    def call(*words: str) -> Ended:
        capsys.readouterr()
        code = main(list(words))
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture
def disk() -> ObjectStore:
    """Give the default store of the test's working directory, still empty."""
    return ObjectStore()


@pytest.fixture
def workflow(tmp_path):
    """Give a workflow whose stages use an input, a config, a map and the store."""
    (tmp_path / "steps.py").write_text(
        "from runstore import get_run_context, object_store\n"
        "def begin():\n"
        "    ctx = get_run_context()\n"
        "    print('printed by a stage')\n"
        "    if ctx.input.get('fail'):\n"
        "        raise ValueError('the sky fell')\n"
        "    object_store.put('given', {'input': dict(ctx.input), 'config': dict(ctx.config)})\n"
        "    return [1, 2, 3]\n"
        "def square(x):\n"
        "    return x * x\n"
        "def total(squares):\n"
        "    return {'total': sum(squares)}\n"
    )
    path = tmp_path / "squares.yaml"
    path.write_text(
        "kind: workflow\n"
        "metadata: {name: squares}\n"
        "spec:\n"
        "  stages:\n"
        "    - {name: begin, target: steps.begin}\n"
        "    - {name: square, target: steps.square, type: parameterized,\n"
        "       depends_on: [begin], options: {map_on: begin}}\n"
        "    - {name: total, target: steps.total, depends_on: [square]}\n"
    )
    return str(path)
