"""What all pages have: the store, and the templates they are made of."""

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from runstore.arguments import shown
from runstore.errors import InvalidRequestError

if TYPE_CHECKING:
    from jinja2 import Environment

    from runstore.store import ObjectStore

__all__ = ["LATEST", "Site", "number_in"]

_LARGEST = 1 << 53
LATEST = "_latest"
"""What an address says in the place of a run for the newest one; no run can be called so."""


class Site:
    """A store, and the templates.

    Args:
        store: What is shown.
        templates: The template engine.
    """

    def __init__(self, store: "ObjectStore", templates: "Environment") -> None:
        self.store = store
        self._templates = templates

    def text(self, template: str, **values: Any) -> str:
        """Return a page as text."""
        common = {"store_url": str(self.store.url).removeprefix("file://"), "linked": True}
        return self._templates.get_template(template).render(common | values)

    def page(self, template: str, code: int = 200, /, **values: Any) -> Response:
        """Return a page as an answer."""
        return HTMLResponse(self.text(template, **values), code)


def number_in(request: Request, name: str, default: int, least: int = 0) -> int:
    """Return a number out of the address; the default if there is none.

    Raises:
        InvalidRequestError: What stands there is no number.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 17):
        raise InvalidRequestError(f"{name}={shown(text)} in the address: it must be a number", name)
    return min(max(int(text), least), _LARGEST)
