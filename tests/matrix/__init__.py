"""The tests in other environments than the default one: `make test-matrix`."""
