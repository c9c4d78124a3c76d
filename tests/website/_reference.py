"""The reference pages: signatures and docstrings of what is public, as Markdown."""

import inspect
import re
import textwrap
from typing import Any

__all__ = ["pages"]

_SECTIONS = ("Args:", "Returns:", "Raises:", "Yields:", "Attributes:")


def pages() -> dict[str, str]:
    """Return the pages by their paths."""
    import runstore
    from runstore import object_store
    from runstore.store import ObjectStore, StoreView

    verbs = {
        name: getattr(StoreView, name) for name in object_store.__all__ if hasattr(StoreView, name)
    }
    own = _methods(ObjectStore, verbs)
    workflows = {
        name: getattr(runstore, name)
        for name in ("run_workflow", "workflow", "stage", "run_context", "use_run_context")
    }
    workflows |= {name: getattr(runstore, name) for name in ("get_run_context", "bind")}
    classes = ("Workflow", "Stage", "Config", "WorkflowRun", "WorkflowRunContext")
    workflows |= {name: getattr(runstore, name) for name in classes}
    return {
        "reference/verbs.md": _page(
            "Verbs",
            "The functions of `runstore.object_store`, which work on the current run, and the "
            "methods of `ObjectStore` and of a view (`store.at(…)`). In `runstore.aio` they are "
            "awaited.",
            verbs,
        ),
        "reference/stores.md": _page(
            "Stores and runs",
            "What `ObjectStore` has besides the [verbs](verbs.md), and what describes an object.",
            {"ObjectStore": ObjectStore, **own, "ObjectInfo": runstore.ObjectInfo},
        ),
        "reference/workflows.md": _page(
            "Workflows and contexts",
            "What starts runs, and what a stage knows of its own.",
            workflows,
        ),
    }


def _methods(kind: type, but: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in inspect.getmembers(kind):
        public = not name.startswith("_") and name not in but
        if public and (callable(value) or isinstance(value, property)):
            found[name] = value
    return found


def _page(title: str, about: str, entries: dict[str, Any]) -> str:
    return "\n\n".join([f"# {title}", about, *(_entry(*one) for one in entries.items())]) + "\n"


def _entry(name: str, value: Any) -> str:
    text = textwrap.dedent(inspect.getdoc(value) or "")
    return "\n\n".join(
        part for part in (f"## {name}", _signature(name, value), _body(text)) if part
    )


def _signature(name: str, value: Any) -> str:
    if isinstance(value, property) or not callable(value):
        return ""
    try:
        told = str(_plain(inspect.signature(value)))
    except (ValueError, TypeError):
        return ""
    told = re.sub(r"<(class )?'?([^'>]+)'?>", r"\2", told)
    lines = textwrap.wrap(f"{name}{told}", 88, subsequent_indent="    ", break_long_words=False)
    return "\n".join(["```text", *lines, "```"])


def _plain(signature: inspect.Signature) -> inspect.Signature:
    """Return a signature without ``self`` and types, which the text and an editor tell."""
    kept = [
        one.replace(annotation=inspect.Parameter.empty)
        for one in signature.parameters.values()
        if one.name != "self"
    ]
    return signature.replace(parameters=kept, return_annotation=inspect.Signature.empty)


def _body(text: str) -> str:
    """Return a docstring as Markdown: sections with lists of what they name."""
    lines, out = text.split("\n"), list[str]()
    at, section = 0, ""
    while at < len(lines):
        line = lines[at]
        if line.strip() in _SECTIONS:
            section = line.strip()
            out += ["", f"**{section.removesuffix(':')}**", ""]
        elif section and line.startswith("    "):
            match = re.match(r"    ([\w*, ]+): (.*)", line)
            if match and section != "Returns:":
                out.append(f"- `{match[1]}`: {match[2]}")
            else:
                out.append(f"  {line.strip()}" if section != "Returns:" else line.strip())
        else:
            section = "" if line.strip() else section
            out.append(line)
        at += 1
    return _marked("\n".join(out))


def _marked(text: str) -> str:
    """Return double backticks as single ones, and emphasised arguments as code."""
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return re.sub(r"(?<![\w*])\*(\w+)\*(?![\w*])", r"`\1`", text)
