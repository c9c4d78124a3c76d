"""Modules that stand beside a workflow file, each workflow with its own.

Two workflows in one process may both have a ``helper.py``, and so may the process
itself, while Python keeps one module per name. So each folder's modules are loaded under
private names, and their own ``import`` statements look into their folder first, whichever
thread executes them. The standard library and runstore stay.

Their ``__name__`` stays plain: it is what loggers, messages and pickles go by. As long as
a run uses them they are also in `sys.modules` under it, if nothing else has or could
have that name there; else they are found by their own imports and by runstore's pickles
alone.
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
