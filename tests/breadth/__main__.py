"""Try every type in an environment of its own; one line for each says what became of it.

``python -m tests.breadth`` tries all, ``python -m tests.breadth scipy torch`` those of two.
The environment is kept under ``.matrix``; it has a gigabyte of other people's libraries.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.matrix._environments import ROOT, environment, this_python

_LIBRARIES = [
    *("scipy", "scikit-learn", "statsmodels", "lightgbm", "networkx", "geopandas", "shapely"),
    *("pyproj", "xarray", "dask[dataframe]", "distributed", "ml_dtypes", "Pillow", "matplotlib"),
    *("pydantic", "attrs", "pendulum", "pint", "sympy", "mpmath", "msgspec", "sortedcontainers"),
    *("astropy", "sparse", "awkward", "uncertainties", "unyt", "arrow", "python-dateutil", "pytz"),
    *("whenever", "holidays", "biopython", "trimesh", "altair", "plotly", "seaborn", "bitarray"),
    *("intervaltree", "frozendict", "immutables", "pyrsistent", "multidict", "rustworkx", "igraph"),
    *(
        "lxml",
        "beautifulsoup4",
        "requests",
        "httpx",
        "yarl",
        "phonenumbers",
        "narwhals",
        "packaging",
    ),
    *("semver", "duckdb", "h5py", "zarr", "optuna", "sqlalchemy", "tokenizers", "lifelines"),
    *("category_encoders", "imbalanced-learn", "anndata", "cftime", "numba", "pandas", "polars"),
    "torch==2.13.*",  # newer ones bring gigabytes of libraries for GPUs
]
_ENOUGH = 200  # types


def main(wanted: list[str]) -> int:
    """Try the types of the libraries that are wanted, of all if none is."""
    python = environment("breadth", this_python(), ["--editable", ".[testing]", *_LIBRARIES])
    with tempfile.TemporaryDirectory(prefix="rs-breadth-") as folder:
        for step in ("write", "read"):
            command = [python, "-m", "tests.breadth.run", step, folder, *wanted]
            variables = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
            subprocess.run(command, cwd=folder, env=os.environ | variables, check=True)
        outcomes: dict[str, str] = json.loads(Path(folder, "outcomes.json").read_text())
    for name, outcome in outcomes.items():
        print(f"{name:45} {outcome}")
    counts = Counter(outcome.partition(":")[0].partition(" ")[0] for outcome in outcomes.values())
    libraries = len({name.partition(" ")[0] for name in outcomes})
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    print(f"{len(outcomes)} types in {libraries} groups of libraries: {told}")
    few = not wanted and len(outcomes) < _ENOUGH
    return 1 if counts["FAILED"] or few else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
