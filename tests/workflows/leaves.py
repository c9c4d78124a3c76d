"""A script that ends when it is imported, as one without a guard does."""

import sys

sys.exit(0)
