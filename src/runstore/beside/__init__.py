"""Modules beside a workflow file: each workflow has its own.

Two workflows in one process may both have a ``helper.py``, and so may the process
itself, while Python keeps one module per name. So the modules of each folder are loaded
under private names, and their own ``import`` statements search their folder first, in
every thread. The standard library and runstore are never replaced.

Their ``__name__`` is the plain one, which loggers, messages and pickles use. While a run
uses them they are also in `sys.modules` under this name, if no other module has or could
have it. Otherwise only their own imports and runstore's pickles find them.
"""

from runstore.beside._modules import Modules
from runstore.beside._plain import alone, in_front
from runstore.beside._registry import (
    activated,
    current,
    found,
    import_module,
    modules_of,
    reference,
    within,
)

__all__ = [
    "Modules",
    "activated",
    "alone",
    "current",
    "found",
    "import_module",
    "in_front",
    "modules_of",
    "reference",
    "within",
]
