"""The documentation as pages of a site: `make docs`."""
