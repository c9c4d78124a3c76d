"""Values written with one version of a library and read with another: `make test-versions`."""
