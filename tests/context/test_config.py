import pytest

from runstore import Config, Workflow
from runstore.context import merge_configs
from runstore.errors import InvalidWorkflowError


def workflow(**annotations):
    return Workflow.model_validate(
        {
            "metadata": {"name": "train", "annotations": annotations},
            "spec": {"stages": [{"name": "a", "target": "builtins:print"}]},
        }
    )


def config(data, kind=None, value=None):
    selector = None if kind is None else {"type": kind, "value": value}
    return Config.model_validate(
        {"metadata": {"name": "c"}, "spec": {"selector": selector, "data": data}}
    )


def test_only_configs_that_select_the_workflow_count():
    """By name, by annotation, or without a selector; others are left out."""
    configs = [
        config({"a": 1}, "name", "train"),
        config({"b": 1}, "name", "other"),
        config({"c": 1}, "annotation", {"team": "x"}),
        config({"d": 1}, "annotation", {"team": "x", "tier": "gold"}),
        config({"e": 1}),
    ]
    assert {"e": 1, "c": 1, "a": 1} == merge_configs(configs, workflow(team="x"))


def test_the_particular_wins_over_the_general():
    """No selector, then annotation, then name; within a group the later one."""
    configs = [
        config({"x": "name-1", "only": {"n": 1}}, "name", "train"),
        config({"x": "general"}),
        config({"x": "name-2"}, "name", "train"),
        config({"x": "annotation", "only": {"a": 1}}, "annotation", {"team": "x"}),
    ]
    assert {"x": "name-2", "only": {"a": 1, "n": 1}} == merge_configs(configs, workflow(team="x"))


def test_dicts_are_merged_and_everything_else_replaced():
    """Merging is key by key at every depth; lists are replaced whole."""
    configs = [
        config({"a": {"b": {"c": 1, "d": 2}}, "l": [1, 2]}),
        config({"a": {"b": {"c": 3}}, "l": [4]}),
    ]
    assert {"a": {"b": {"c": 3, "d": 2}}, "l": [4]} == merge_configs(configs, workflow())


def test_merging_changes_no_config():
    """The configs' own data is not shared with the result."""
    one = config({"a": {"b": 1}})
    merged = merge_configs([one, config({"a": {"c": 2}})], workflow())
    merged["a"]["b"] = 9
    assert {"a": {"b": 1}} == one.spec.data


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [("name", {"a": "b"}, "type 'name' takes the workflow's name"), ("annotation", "x", "mapping")],
)
def test_a_selector_that_does_not_fit_is_told(kind, value, said):
    """A selector whose value is of the other type raises, naming the config and what it takes."""
    with pytest.raises(InvalidWorkflowError, match=said) as caught:
        merge_configs([config({}, kind, value)], workflow())
    assert "c" == caught.value.ref


def test_a_selector_of_unknown_type_is_refused():
    """Only name and annotation are understood."""
    with pytest.raises(ValueError, match=r"name.*annotation"):
        config({}, "label", "x")
