"""Which Config resources apply to a workflow, and how they are merged."""

from collections.abc import Iterable, Mapping
from typing import Any

from runstore.context._definitions import Config, Workflow
from runstore.errors import InvalidWorkflowError

__all__ = ["merge_configs", "selects"]


def merge_configs(configs: Iterable[Config], workflow: Workflow) -> dict[str, Any]:
    """Merge the data of every config that selects *workflow*.

    The order is from the general to the specific, and a later one wins: first
    configs without a selector, then those selected by annotation, then those
    selected by name; within each group in the order given. Dicts are merged key
    by key, everything else is replaced.

    Args:
        configs: Config resources, in order.
        workflow: The workflow that is about to run.

    Returns:
        A new dict; the configs' own data is not shared with it.

    Raises:
        InvalidWorkflowError: A selector's value does not fit its type.
    """
    ranked: tuple[list[Config], list[Config], list[Config]] = ([], [], [])
    for config in configs:
        if selects(config, workflow):
            selector = config.spec.selector
            rank = 0 if selector is None else 1 if selector.type == "annotation" else 2
            ranked[rank].append(config)
    merged: dict[str, Any] = {}
    for group in ranked:
        for config in group:
            merged = _merge(merged, config.spec.data)
    return merged


def selects(config: Config, workflow: Workflow) -> bool:
    """Return whether *config* applies to *workflow*.

    Raises:
        InvalidWorkflowError: The selector's value does not fit its type.
    """
    selector = config.spec.selector
    if selector is None:
        return True
    if selector.kind not in (None, workflow.kind):
        return False
    if selector.type == "name":
        if not isinstance(selector.value, str):
            raise InvalidWorkflowError(
                f"config {config.metadata.name!r}: a selector of type 'name' takes the workflow's "
                f"name as its value, not {selector.value!r}",
                config.metadata.name,
            )
        return selector.value == workflow.metadata.name
    if not isinstance(selector.value, dict):
        raise InvalidWorkflowError(
            f"config {config.metadata.name!r}: a selector of type 'annotation' takes a mapping "
            f"like {{team: forecasting}} as its value, not {selector.value!r}",
            config.metadata.name,
        )
    annotations = workflow.metadata.annotations
    return all(annotations.get(key) == text for key, text in selector.value.items())


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping):
            merged[key] = _merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged
