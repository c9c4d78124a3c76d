"""`python -m benchmarks COMMAND …`; the commands are below, `run` if none is named."""

import sys
from importlib import import_module

_COMMANDS = {
    "aio": "benchmarks.aio",
    "card": "benchmarks.card",
    "columns": "benchmarks.columns",
    "containers": "benchmarks.containers",
    "copies": "benchmarks.copies",
    "delta": "benchmarks.delta",
    "engines": "benchmarks.engines",
    "frames": "benchmarks.frames",
    "items": "benchmarks.items",
    "large": "benchmarks.large",
    "objects": "benchmarks.objects",
    "parts": "benchmarks.parts",
    "pieces": "benchmarks.pieces",
    "resolved": "benchmarks.resolved",
    "run": "benchmarks.run",
    "runs": "benchmarks.runs",
    "small": "benchmarks.small",
    "tables": "benchmarks.tables",
    "targets": "benchmarks.targets",
    "ui": "benchmarks.ui",
}


def main(arguments: list[str]) -> int:
    """Hand the rest of the command line to the command's module; `run` if none is named."""
    name, rest = (arguments[0], arguments[1:]) if arguments[:1] else ("run", [])
    if name not in _COMMANDS:
        name, rest = "run", arguments
    return int(import_module(_COMMANDS[name]).main(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
