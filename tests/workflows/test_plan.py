"""What is wrong with a workflow as a whole is found before anything runs."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runstore.errors import InvalidWorkflowError
from runstore.workflows import run_workflow

MAPPED = {"type": "parameterized"}


def needs(*names: str, **fields: Any) -> dict[str, Any]:
    """Fields of a stage that depends on *names*."""
    return {"depends_on": list(names), **fields}


@pytest.fixture
def refused(flow: Any, store: Path) -> Any:
    """Run a flow that must be refused, and give the message."""

    def start(workflow: Any = None, /, **stages: Any) -> str:
        with pytest.raises(InvalidWorkflowError) as caught:
            run_workflow(workflow or flow(**stages), store=store)
        assert not store.exists()
        return str(caught.value)

    return start


def test_circle(refused: Any) -> None:
    """Stages that depend on each other in a circle are named in order."""
    told = refused(a=(dict, needs("c")), b=(dict, needs("a")), c=(dict, needs("b")))
    circle = told.partition("in a circle: ")[2].partition(" (")[0].split(" → ")
    assert 4 == len(circle)
    assert circle[0] == circle[-1]
    depends = {"a": "c", "b": "a", "c": "b"}
    assert circle[1:] == [depends[name] for name in circle[:-1]]


def test_circle_by_mapping(refused: Any) -> None:
    """What a stage maps over counts as a dependency."""
    told = refused(a=(dict, needs("b")), b=(list, {**MAPPED, "options": {"map_on": "a"}}))
    assert "in a circle" in told


def test_itself(refused: Any) -> None:
    """A stage cannot depend on itself, nor map over itself."""
    assert "stage 'a' depends on itself" in refused(a=(dict, needs("a")))
    told = refused(a=(list, {**MAPPED, "options": {"map_on": "a"}}))
    assert "stage 'a' depends on itself" in told


def test_unknown_dependency(refused: Any) -> None:
    """An unknown stage is told with the one that was probably meant."""
    told = refused(load_data=dict, fit=(dict, needs("load_dat")))
    assert "stage 'fit' depends on 'load_dat', which is no stage of this workflow" in told
    assert told.endswith("did you mean 'load_data'?")
    told = refused(a=dict, b=(list, {**MAPPED, "options": {"map_on": "zzz"}}))
    assert told.endswith("there are 'a', 'b'")


def test_same_name_twice(refused: Any, flow: Any) -> None:
    """Two stages of one name are told by their positions."""
    workflow = flow(a=dict, b=dict, c=dict)
    workflow["spec"]["stages"][2]["name"] = "a"
    assert "stages 1 and 3 are both called 'a'" in refused(workflow)


def test_same_dependency_twice(refused: Any) -> None:
    """A stage named twice in depends_on is a mistake."""
    told = refused(a=dict, b=(lambda *results: None, needs("a", "a")))
    assert "stage 'b' names 'a' twice in depends_on" in told


def test_nothing_to_map_over(refused: Any) -> None:
    """A parameterized stage that comes first and names none has nothing to map over."""
    assert "stage 'a' is parameterized but has nothing to map over" in refused(a=(abs, MAPPED))


def test_map_on_of_a_simple_stage(refused: Any) -> None:
    """map_on without type: parameterized would be ignored, so it is refused."""
    told = refused(a=dict, b=(dict, {"options": {"map_on": "a"}}))
    assert "stage 'b' has options.map_on but is simple" in told


@pytest.mark.parametrize(
    ("target", "fields", "told"),
    [
        (lambda x: x, {}, "missing input: it needs 'x', but it depends on no stage"),
        (lambda x, y: x, needs("a"), "it needs 'x', 'y', but it is given the result of 'a'"),
        (lambda *, x: x, needs("a"), "missing input: it needs the keyword 'x'"),
        (
            lambda x: x,
            needs("a", "b"),
            "given the result of 'a' and the result of 'b', but takes o",
        ),
        (lambda: 1, {**MAPPED, **needs("a")}, "given an item of 'a', but takes no argument"),
        (lambda x, y: x, {**MAPPED, **needs("a")}, "it needs 'x', 'y', but it is given an item of"),
        (
            lambda x, y: x,
            {**MAPPED, **needs("a", "b", "c"), "options": {"map_on": "a"}},
            "given an item of 'a' and the result of 'b' and the result of 'c', but takes only",
        ),
    ],
)
def test_arguments_that_do_not_fit(
    target: Any, fields: dict[str, Any], told: str, refused: Any
) -> None:
    """A function that needs other arguments than it would be given is told of, with the way out."""
    message = refused(a=list, b=list, c=list, stage=(target, fields))
    assert "workflow 'flow': stage 'stage', target '" in message
    assert told in message


class Scaler:
    """A callable object with a bound method."""

    def __call__(self, number: int, factor: int = 2) -> int:
        """Scale."""
        return number * factor

    def method(self, number: int) -> int:
        """Negate."""
        return -number


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (lambda: "none", "none"),
        (lambda x: x, 5),
        (lambda x, y=1: (x, y), (5, 1)),
        (lambda *xs: xs, (5,)),
        (lambda x, *rest, k=1: (x, rest, k), (5, (), 1)),
        (lambda x=0: x, 5),
        (lambda **kwargs: kwargs, {}),
        (Scaler(), 10),
        (Scaler().method, -5),
        (partial(divmod, 17), (3, 2)),
        (str, "5"),
        (int.__neg__, -5),
    ],
)
def test_arguments_that_fit(target: Any, expected: Any, threads: Any, flow: Any) -> None:
    """Any callable is given the results it accepts."""
    assert expected == threads(flow(a=lambda: 5, b=(target, needs("a")))).result


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nowhere.f", "there is no module 'nowhere'"),
        ("json.nowhere.f", "module 'json' ("),
        ("nowhere:f", "there is no module 'nowhere'"),
        ("json.dumpss", "has no 'dumpss'; did you mean 'dumps'?"),
        ("json:JSONDecoder.decod", "'json.decoder:JSONDecoder'"),
        ("json.__version__", "it is of type str, which cannot be called"),
        ("loads", "write it as package.module.function"),
        ("json.", "write it as package.module.function"),
        (":loads", "write it as package.module.function"),
        ("json loads.x", "write it as package.module.function"),
        ("os:getpid.x", "'posix:getpid' ("),
        ("tests.workflows.leaves:f", "importing 'tests.workflows.leaves' failed: SystemExit: 0"),
        ("tests.workflows.lazy:f", "cannot be read: ImportError: pip install it"),
    ],
)
def test_bad_targets(target: str, told: str, refused: Any) -> None:
    """A target that cannot be found or called is told of with its stage."""
    message = refused(a=target)
    assert f"stage 'a', target {target!r}: " in message
    assert told in message


@pytest.mark.parametrize(
    "target", ["json.dumps", "json:dumps", "json:JSONEncoder.encode", "json.JSONEncoder.encode"]
)
def test_good_targets(target: str, threads: Any, flow: Any) -> None:
    """Both spellings find functions of modules and attributes of classes."""
    import json

    arguments = (lambda: json.JSONEncoder(), lambda: [1]) if "Enc" in target else (lambda: [1],)
    stages = {f"a{n}": argument for n, argument in enumerate(arguments)}
    record = threads(flow(**stages, last=(target, needs(*stages))))
    assert "[1]" == record.result


def test_place_in_the_file(project: Any, refused: Any) -> None:
    """For a workflow from a file, mistakes of the graph and of targets are located too."""
    root = project(
        flow_yaml="""\
            metadata: {name: flow}
            spec:
              stages:
                - name: a
                  target: builtins.dict
                - name: b
                  depends_on: [z]
                  target: stages.gone
            """,
        stages_py="import json\n",
    )
    path = root / "flow.yaml"
    assert refused(path).startswith(f"{path}:7:19: workflow 'flow': stage 'b' depends on 'z'")
    path.write_text(path.read_text().replace("[z]", "[a]"))
    told = refused(path)
    assert told.startswith(f"{path}:8:15: workflow 'flow': stage 'b', target 'stages.gone': module")
    assert f"({root}/stages.py) has no 'gone'" in told
