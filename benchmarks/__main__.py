"""`python -m benchmarks [run | aio | containers | engines | tables] …`: measure, or tabulate."""

import sys
from importlib import import_module

_COMMANDS = {
    "aio": "benchmarks.aio",
    "containers": "benchmarks.containers",
    "engines": "benchmarks.engines",
    "run": "benchmarks.run",
    "tables": "benchmarks.tables",
}


def main(arguments: list[str]) -> int:
    """Hand the rest of the command line to the command's module; `run` if none is named."""
    name, rest = (arguments[0], arguments[1:]) if arguments[:1] else ("run", [])
    if name not in _COMMANDS:
        name, rest = "run", arguments
    return int(import_module(_COMMANDS[name]).main(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
