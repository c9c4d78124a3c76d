"""load_workflow and load_config: what is right is read, what is wrong is located."""

from pathlib import Path
from typing import Any

import pytest

from runstore.context import Config, Workflow
from runstore.errors import AmbiguousYamlWarning, InvalidWorkflowError
from runstore.workflows import load_config, load_workflow

GOOD = """\
kind: workflow
metadata:
  name: train
  annotations: {team: a}
spec:
  stages:
    - name: load
      target: stages.load
    - name: fit
      target: stages:fit
      type: parameterized
      depends_on: load
      options: {map_on: load, on_item_error: skip}
      retries: 2
      timeout: 1.5
      resources: {cpus: 2}
"""


@pytest.fixture
def refused(tmp_path: Path) -> Any:
    """Load a text as a workflow and give the message of the error, without the folder."""

    def load(text: str | bytes, loader: Any = load_workflow) -> str:
        path = tmp_path / "flow.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(InvalidWorkflowError) as caught:
            loader(path)
        assert str(path) == caught.value.ref
        return str(caught.value).replace(f"{tmp_path}/", "")

    return load


def test_workflow(tmp_path: Path) -> None:
    """A workflow file gives a Workflow with every field; its targets are not imported."""
    path = tmp_path / "flow.yaml"
    path.write_text(GOOD)
    workflow = load_workflow(path)
    assert isinstance(workflow, Workflow)
    assert ("train", {"team": "a"}) == (workflow.metadata.name, workflow.metadata.annotations)
    load, fit = workflow.spec.stages
    assert ("simple", ()) == (load.type, load.depends_on)
    assert ("parameterized", ("load",), "skip") == (
        fit.type,
        fit.depends_on,
        fit.options.on_item_error,
    )
    assert (2, 1.5, {"cpus": 2.0}) == (fit.retries, fit.timeout, fit.resources)


def test_configs(tmp_path: Path) -> None:
    """A config file gives one Config per document, in order; empty documents do not count."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "kind: config\nmetadata: {name: a}\nspec: {data: {n: 1}}\n"
        "---\n---\nkind: config\nmetadata: {name: b}\n"
        "spec: {selector: {type: annotation, value: {team: a}}, data: {}}\n"
    )
    first, second = load_config(str(path))
    assert isinstance(first, Config)
    assert ("a", {"n": 1}) == (first.metadata.name, first.spec.data)
    assert "b" == second.metadata.name


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is named, with the folder it was looked for in."""
    with pytest.raises(InvalidWorkflowError, match=r"there is no file 'no/such.yaml' \(in /"):
        load_workflow("no/such.yaml")
    with pytest.raises(InvalidWorkflowError, match="cannot be read: Is a directory"):
        load_workflow(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1\nb: 2\n", "flow.yaml:2:2: not valid YAML"),
        ("a: b: c\n", "flow.yaml:1:5: not valid YAML: mapping values are not allowed here"),
        ("a: 1\nb: 2\na: 3\n", "flow.yaml:3:1: the key 'a' is given twice"),
        ("a:\n  - {x: 1, x: 2}\n", "flow.yaml:2:12: the key 'x' is given twice"),
        ("a: !!python/object/apply:os.getcwd []\n", "flow.yaml:1:4: not valid YAML: could not"),
        ("a: 2024-02-31\n", "flow.yaml: not valid YAML: day is out of range"),
        (b"a: \xff\n", "flow.yaml: not valid YAML"),
        ("", "flow.yaml is empty"),
        ("# nothing\n---\n", "flow.yaml is empty"),
        ("- 1\n", "flow.yaml:1:1: it must be a mapping, not list"),
        (GOOD + "---\nkind: config\n", "flow.yaml:18:1: a second document"),
    ],
)
def test_bad_yaml(text: Any, told: str, refused: Any) -> None:
    """What is not YAML, or not safe, is refused with file, line and column."""
    assert refused(text).startswith(told)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "depends_on: load",
            "depend_on: load",
            "12:7: spec.stages.1.depend_on: stage 'fit': this field is unkn",
        ),
        (
            "retries: 2",
            "retry: 2",
            "14:7: spec.stages.1.retry: stage 'fit': this field is unknown; "
            "did you mean 'retries'?",
        ),
        (
            "retries: 2",
            "on_item_error: skip",
            "14:7: spec.stages.1.on_item_error: stage 'fit': "
            "this field is unknown; it belongs into 'options' of the stage",
        ),
        (
            "map_on: load",
            "timeout: 1",
            "13:17: spec.stages.1.options.timeout: stage 'fit': this "
            "field is unknown; it belongs to the stage itself, beside 'options'",
        ),
        ("retries: 2", "retries: -1", "14:16: spec.stages.1.retries: stage 'fit': it must be gre"),
        (
            "timeout: 1.5",
            "timeout: soon",
            "15:16: spec.stages.1.timeout: stage 'fit': it must be a number, not 'soon'",
        ),
        (
            "map_on: load",
            "map_on: [load]",
            "13:25: spec.stages.1.options.map_on: stage 'fit': it must",
        ),
        (
            "      target: stages.load\n",
            "",
            "7:7: spec.stages.0.target: stage 'load': this field is missing",
        ),
        (
            "target: stages:fit",
            "target: 3",
            "10:15: spec.stages.1.target: stage 'fit': write the function as",
        ),
        (
            "type: parameterized",
            "type: mapped",
            "11:13: spec.stages.1.type: stage 'fit': it must be 's",
        ),
        ("kind: workflow", "kind: config", "1:7: kind: it must be 'workflow'"),
        ("{team: a}", "{team: 1}", "4:23: metadata.annotations.team: it must be text, not 1"),
    ],
)
def test_wrong_shape(old: str, new: str, told: str, refused: Any) -> None:
    """What has another shape is refused with the line and column of the very node."""
    assert refused(GOOD.replace(old, new)).startswith(f"flow.yaml:{told}")


def test_no_stages(refused: Any) -> None:
    """A workflow without stages is none."""
    told = refused("metadata: {name: x}\nspec:\n  stages: []\n")
    assert told.startswith("flow.yaml:3:11: spec.stages: Tuple should have at least 1 item")


def test_every_mistake_is_told(refused: Any) -> None:
    """Several mistakes are told at once, one per line, with what was probably meant."""
    told = refused(GOOD.replace("retries", "retrie").replace("name: fit", "nam: fit"))
    assert [
        "flow.yaml:9:7: spec.stages.1.name: this field is missing",
        "flow.yaml:9:7: spec.stages.1.nam: this field is unknown; did you mean 'name'?",
        "flow.yaml:14:7: spec.stages.1.retrie: this field is unknown; did you mean 'retries'?",
    ] == told.splitlines()


def test_wrong_config(refused: Any) -> None:
    """In a file of several configs, the line is that of the wrong one."""
    text = "metadata: {name: a}\nspec: {}\n---\nmetadata: {name: b}\nspec: {dat: {}}\n"
    told = refused(text, load_config)
    assert "flow.yaml:5:8: spec.dat: this field is unknown; did you mean 'data'?" == told


def test_aliases(tmp_path: Path) -> None:
    """Anchors, aliases and merges work as in any YAML."""
    path = tmp_path / "flow.yaml"
    path.write_text(
        "metadata: {name: x}\n"
        "spec:\n"
        "  stages:\n"
        "    - &base {name: a, target: m.f, retries: 3}\n"
        "    - {<<: *base, name: b}\n"
    )
    assert [("a", 3), ("b", 3)] == [(s.name, s.retries) for s in load_workflow(path).spec.stages]


def bomb(levels: int) -> str:
    """Give a document that would be ten to the power of *levels* values."""
    lines = [
        "metadata: {name: x}",
        "spec:",
        "  data:",
        "    a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
    ]
    lines += [f"    a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (bomb(9), "flow.yaml:9:9: this part has more than 1,000,000 values when aliases are"),
        ("a: &a [*a]\n", "flow.yaml:1:4: this part contains itself by an alias"),
        ("&a {b: {c: *a}}\n", "flow.yaml:1:1: this part contains itself"),
        ("a: &a\n  <<: *a\n", "flow.yaml:1:4: this part contains itself"),
        ("? &a [*a]\n: 1\n", "flow.yaml:1:3: this part contains itself"),
        ("[" * 5000, "flow.yaml: it is nested too deep"),
        ("a: !!bool maybe\n", "flow.yaml: not valid YAML: a tag does not fit its value (KeyError"),
        ("a: !!int ''\n", "flow.yaml: not valid YAML: a tag does not fit"),
        ("a: !!timestamp x\n", "flow.yaml: not valid YAML: a tag does not fit"),
        ("a: " + "9" * 5000, "flow.yaml: not valid YAML"),
        ("a: " + "x" * 10_000_000, "flow.yaml is larger than 10,000,000 bytes"),
        ("a: 010\n", "flow.yaml:1:4: 010 is an octal number to some readers"),
        ("a: [-0_7]\n", "flow.yaml:1:5: -0_7 is an octal number"),
        ("a: 1:30\n", "flow.yaml:1:4: 1:30 is a number to base 60 to some readers"),
        ("a: 12:30:45.5\n", "flow.yaml:1:4: 12:30:45.5 is a number to base 60"),
    ],
    ids=lambda value: value[:24] if value.isprintable() else "text",
)
def test_yaml_that_explodes_or_means_two_things_is_refused(
    text: str, told: str, refused: Any
) -> None:
    """With its place, before any value is built: in workflows and configs alike."""
    assert refused(text).startswith(told)
    assert refused(text, load_config).startswith(told)


@pytest.mark.parametrize("word", ["on", "Off", "yes", "NO"])
def test_a_word_that_is_a_flag_to_some_is_remarked(tmp_path: Path, word: str) -> None:
    """It keeps its value, as in any YAML 1.1, and a warning has its place and the ways out."""
    path = tmp_path / "config.yaml"
    path.write_text(f"metadata: {{name: a}}\nspec: {{data: {{x: {word}, y: '{word}', z: true}}}}\n")
    with pytest.warns(AmbiguousYamlWarning, match=f"config.yaml:2:18: {word} is read as") as told:
        (config,) = load_config(path)
    assert 1 == len(told)
    assert {"x": word.lower() in ("on", "yes"), "y": word, "z": True} == config.spec.data


def test_several_mistakes_come_in_the_order_of_their_lines(tmp_path: Path) -> None:
    """Each with its value, in words of runstore; the value of a secret is not shown."""
    text = GOOD.replace("retries: 2", "retries: many\n      retrys: 3")
    text = text.replace("timeout: 1.5", "timeout: -1").replace("{team: a}", "{api_key: [SEKRET]}")
    text = text.replace("type: parameterized", "type: mapped")
    path = tmp_path / "flow.yaml"
    path.write_text(text)
    with pytest.raises(InvalidWorkflowError) as caught:
        load_workflow(path)
    told = [line.partition("flow.yaml:")[2] for line in str(caught.value).splitlines()]
    assert [
        "4:26: metadata.annotations.api_key: it must be text, not list",
        "11:13: spec.stages.1.type: stage 'fit': it must be 'simple' or 'parameterized', "
        "not 'mapped'",
        "14:16: spec.stages.1.retries: stage 'fit': it must be a whole number, not 'many'",
        "15:7: spec.stages.1.retrys: stage 'fit': this field is unknown; did you mean 'retries'?",
        "16:16: spec.stages.1.timeout: stage 'fit': it must be greater than 0, not -1",
    ] == told


def test_a_name_that_is_a_flag_is_told_to_be_put_in_quotes(refused: Any) -> None:
    """``name: on`` is remarked and refused, with the reason."""
    with pytest.warns(AmbiguousYamlWarning):
        told = refused(GOOD.replace("name: fit", "name: on"))
    assert "9:13: spec.stages.1.name: it must be text, not true or false: put" in told


@pytest.mark.parametrize("number", ["0", "-7", "0x1f", "1_000", "0.5", "1e3", "0b11", "00.5"])
def test_numbers_that_mean_one_thing_pass(tmp_path: Path, number: str) -> None:
    """Only numbers on which readers differ are refused."""
    path = tmp_path / "config.yaml"
    path.write_text(
        f"metadata: {{name: a}}\nspec: {{data: {{x: {number}, t: '1:30', o: '010'}}}}\n"
    )
    (config,) = load_config(path)
    assert ("1:30", "010") == (config.spec.data["t"], config.spec.data["o"])


@pytest.mark.parametrize("path", ["", "a\0b", b"flow.yaml", 3, None])
def test_what_is_no_path_is_refused(path: Any) -> None:
    """A path is a text or a path object, not empty, without a zero byte."""
    for load in (load_workflow, load_config):
        with pytest.raises(InvalidWorkflowError, match=r"is no path|must be a path"):
            load(path)


def test_a_device_is_not_read_for_ever() -> None:
    """Reading ends at the largest size, also where there is no end."""
    with pytest.raises(InvalidWorkflowError, match="larger than"):
        load_workflow("/dev/zero")
