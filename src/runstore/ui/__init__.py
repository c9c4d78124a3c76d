"""The browser view: a small read-only server for one store. Needs the extra ``ui``."""

from runstore.ui._app import application
from runstore.ui._server import Served, serve

__all__ = ["Served", "application", "serve"]
