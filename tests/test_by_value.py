"""Functions that cross by value keep what a traceback needs."""

import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from runstore import ObjectStore, by_value

SCRIPT = """
def outer(x):
    def inner(y):
        return [1 / item for item in (y,)]
    return inner(x)


def deferred():
    def stage():
        raise LookupError("no luck")
    return stage


class Model:
    def predict(self):
        raise LookupError("not fitted")


class OddError(Exception):
    def __str__(self):
        raise LookupError("no text")
"""


def as_main(folder):
    """Give the names of a script as a __main__ would have them: importable from nowhere."""
    file = folder / "script.py"
    file.write_text(SCRIPT)
    namespace = {"__name__": "__main__"}
    exec(compile(SCRIPT, str(file), "exec"), namespace)
    return file, namespace


def frames(call, *args):
    """Call what fails; return the file and the line of its frames, from the call inwards."""
    with pytest.raises((ArithmeticError, LookupError)) as caught:
        call(*args)
    found = traceback.extract_tb(caught.value.__traceback__)[1:]
    return [(frame.filename, frame.line) for frame in found]


def crossed(value):
    return pickle.loads(by_value.dumps(value))


def test_every_function_keeps_its_file(tmp_path):
    """A function, those defined inside it, and methods of a class name their file and lines."""
    file, main = as_main(tmp_path)
    inner, deepest = "return inner(x)", "return [1 / item for item in (y,)]"
    found = frames(crossed(main["outer"]), 0)
    assert [(str(file), inner), (str(file), deepest)] == list(dict.fromkeys(found))
    assert [(str(file), 'raise LookupError("no luck")')] == frames(crossed(main["deferred"]()))
    fitted = crossed(main["Model"]())
    assert [(str(file), 'raise LookupError("not fitted")')] == frames(fitted.predict)
    odd = crossed(main["OddError"])()
    assert [(str(file), 'raise LookupError("no text")')] == frames(odd.__str__)


def test_the_file_of_an_object_in_a_store(tmp_path):
    """What is stored by value and read again names its file, too."""
    file, main = as_main(tmp_path)
    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")
    for name in ("model", "model.pkl"):
        view.put(name, main["Model"]())
        assert [(str(file), 'raise LookupError("not fitted")')] == frames(view.get(name).predict)


def test_the_pickle_needs_no_library_of_ours(tmp_path):
    """Such a pickle is read where only cloudpickle is installed."""
    _, main = as_main(tmp_path)
    file = tmp_path / "function.pkl"
    file.write_bytes(by_value.dumps(main["deferred"]()))
    code = (
        "import pathlib, pickle, sys; sys.modules['runstore'] = None; "
        f"print(pickle.loads(pathlib.Path({str(file)!r}).read_bytes()).__code__.co_filename)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert str(tmp_path / "script.py") == shown.stdout.strip()


def test_only_one_module_pickles_by_value():
    """Nothing else calls cloudpickle, so nothing loses its file."""
    source = Path(by_value.__file__).parent
    users = [path.name for path in source.rglob("*.py") if "import cloudpickle" in path.read_text()]
    assert ["by_value.py"] == users
