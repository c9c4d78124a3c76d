"""What all pages have: the store, and the templates they are made of."""

import threading
from collections.abc import Callable
from functools import partial
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
        self._lock = threading.Lock()
        self._busy = set[str]()

    def text(self, template: str, **values: Any) -> str:
        """Return a page as text."""
        common = {"store_url": str(self.store.url).removeprefix("file://"), "linked": True}
        return self._templates.get_template(template).render(common | values)

    def page(self, template: str, code: int = 200, /, **values: Any) -> Response:
        """Return a page as an answer."""
        return HTMLResponse(self.text(template, **values), code)

    def afterwards(self, namespace: str, task: Callable[[], object]) -> None:
        """Do something for which no page waits, in a thread of its own; once at a time.

        A server would begin the next request of a connection only when such a task of the one
        before has ended. Pages that are asked for meanwhile leave *task* out: the next one after it
        looks again whether there is something to do.

        Args:
            namespace: Of which one task goes on at a time.
            task: What is done. The process does not wait for it when it ends.
        """
        with self._lock:
            if namespace in self._busy:
                return
            self._busy.add(namespace)
        try:
            done = partial(self._done, namespace, task)
            threading.Thread(target=done, name="runstore-ui-later", daemon=True).start()
        except BaseException:
            self._busy.discard(namespace)
            raise

    def _done(self, namespace: str, task: Callable[[], object]) -> None:
        try:
            task()
        finally:
            with self._lock:
                self._busy.discard(namespace)


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
