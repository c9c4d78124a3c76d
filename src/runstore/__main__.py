"""``python -m runstore``: the command line, without a script on the PATH."""

import sys

from runstore.cli import main

if __name__ == "__main__":
    sys.exit(main())
