"""What a shell calls: `runstore`, the command line.

Commands are thin: they turn words into calls of the rooms below and answers into
tables or JSON. Data goes to stdout, everything said about it to stderr.
"""

from runstore.cli._app import main

__all__ = ["main"]
