"""The template engine: everything is escaped, and nothing invisible stays so."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from runstore import queries
from runstore.arguments import printable
from runstore.errors import MissingExtraError

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["STATIC", "address", "check_installed", "environment"]

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
"""The folder of style sheet and scripts."""


def check_installed(what: str = "pages of runs need") -> None:
    """Raise MissingExtraError, which says *what* needs it, unless the engine is installed."""
    try:
        import jinja2  # noqa: F401
    except ModuleNotFoundError as exc:
        raise MissingExtraError(
            f"{what} {exc.name!r}, which is not installed: pip install 'runstore[ui]'"
        ) from exc


def environment() -> "Environment":
    """Return a template engine.

    Raises:
        MissingExtraError: It is not installed.
    """
    check_installed()
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "cut": _cut,
        "is_number": _is_number,
        "duration": queries.duration,
        "instant": queries.instant,
        "json": _as_json,
        "short_type": queries.short_type,
        "size": queries.size,
    }
    made.globals |= {"address": address, "elapsed": queries.elapsed, "shape": queries.shape}
    return made


def address(namespace: str, run: str | None = None, name: str | None = None, **query: Any) -> str:
    """Return the address of a page: of a namespace, a run, or an object.

    Args:
        namespace: The namespace.
        run: The run; ``_shared`` for what the namespace's runs share.
        name: The object.
        query: What stands behind the ``?``; what is None or empty is left out.
    """
    parts = ["", "ns", quote(namespace, safe="")]
    if run is not None:
        parts += ["shared"] if run == "_shared" else ["run", quote(run, safe="")]
    if name is not None:
        parts += ["o", *(quote(part, safe="") for part in name.split("/"))]
    given = {key: value for key, value in query.items() if value not in (None, "")}
    return "/".join(parts) + (f"?{urlencode(given)}" if given else "")


def _visible(value: Any) -> Any:
    """Write out control and format characters of whatever is put into a page."""
    if value is None:
        return ""
    if hasattr(value, "__html__"):  # a part of a page that the engine has made
        return value
    return printable(value if isinstance(value, str) else str(value), lines=True)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _is_number(kind: str) -> bool:
    return kind.startswith(("int", "uint", "float", "halffloat", "double", "decimal"))


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
