"""`runstore`, the command line.

Commands are thin: they parse arguments, call the rooms below, and print the results as
tables or JSON. Data goes to stdout; progress, messages and errors go to stderr.
"""

from runstore.cli._app import main

__all__ = ["main"]
