# Every target sets itself up: it makes .venv with the newest Python it finds and installs
# what it needs, once, and again when pyproject.toml changes. Python >= 3.11 is all it needs.
#
#   make demo PYTHON=python3.12    choose the interpreter (only when .venv is made)
#   make test ARGS='-k flights'    pass more to pytest; likewise to demo and bench

.DEFAULT_GOAL := help
.NOTPARALLEL: # two pips in one environment would get in each other's way

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
PYTHONS := $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3)

.PHONY: test-drawings help demo demo-s3 test test-extended test-all test-benchmarks test-places test-matrix test-versions test-breadth integrations cases check dist docs format \
	bench bench-aio bench-engines bench-frames bench-large bench-peers bench-full bench-tables bench-targets clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

demo: .venv/.demo ## run the flights example and show what it stored
	$(BIN)/runstore demo $(ARGS)

demo-s3: .venv/.test ## the same on S3: a SeaweedFS that is started for it
	PYTHONPATH=. $(BIN)/python examples/demo_s3.py

test: .venv/.test ## the tests, but for those that take seconds or minutes each
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-extended: .venv/.test ## the tests that take seconds each: servers, crashes, clusters
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m 'extended and not slow' $(ARGS)

test-all: .venv/.test ## all tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m '' $(ARGS)

# Clients of other packages leave sockets to the garbage collector; that is not ours to fail for.
test-benchmarks: .venv/.test ## that the benchmarks and the fuzzers run, with few rounds
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m '' $(ARGS) tests/benchmarks tests/fuzz

test-places: .venv/.test ## the contract of places on servers and filesystems that others bring
	@if command -v npm >/dev/null; then \
	    test -x .azurite/node_modules/.bin/azurite-blob || \
	        npm install --silent --no-audit --no-fund --prefix .azurite azurite; \
	else echo "node and npm are not installed: the tests of Azure are skipped" >&2; fi
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m '' \
	    -W ignore::pytest.PytestUnraisableExceptionWarning $(ARGS) tests/places/test_remote.py \
	    tests/places/test_fsspec.py tests/places/test_s3.py::TestRclone \
	    tests/places/test_services.py tests/places/test_s3_streams.py \
	    tests/examples/test_flights_elsewhere.py \
	    tests/examples/test_flights.py::test_clusters_report_the_same_from_a_bucket

test-drawings: .venv/.test ## that Mermaid draws our flowcharts; needs node
	@if command -v npm >/dev/null; then \
	    test -d .mermaid/node_modules/mermaid || \
	        npm install --silent --no-audit --no-fund --prefix .mermaid mermaid jsdom; \
	else echo "node and npm are not installed: the test is skipped" >&2; fi
	$(BIN)/python -m pytest -m '' $(ARGS) tests/store/test_lineage_drawn.py

# The tests want a Chromium of the system, and axe-core from npm.
.PHONY: test-ui
test-ui: .venv/.test .venv/.browser ## the browser view in a real Chromium; SHOTS=folder keeps pictures
	@command -v chromium >/dev/null || test "$$(id -u)" != 0 || \
	    { apt-get -qq update && apt-get -qq install -y chromium >/dev/null; } || \
	    echo "chromium is not installed: the tests that need it are skipped" >&2
	@test -d .browser/node_modules/axe-core || ! command -v npm >/dev/null || \
	    npm install --silent --no-audit --no-fund --prefix .browser axe-core
	$(BIN)/python -m pytest -m '' $(ARGS) tests/ui tests/pages tests/queries

test-matrix: .venv/.test ## the tests with the lowest declared versions, other Pythons, each extra
	$(BIN)/python -m tests.matrix $(ARGS)

test-versions: .venv/.test ## values written with older and newer libraries, each read with all
	$(BIN)/python -m tests.versions $(ARGS)

test-breadth: .venv/.test ## hundreds of types of other libraries: exact, or refused; needs a gigabyte
	$(BIN)/python -m tests.breadth $(ARGS)

integrations: .venv/.test ## the same stages inside of other orchestrators, each in its environment
	$(BIN)/python -m tests.integrations $(ARGS)

cases: .venv/.test ## every fault that was found by trying hard, one line each
	$(BIN)/python -m tests.cases $(ARGS)

fuzz: .venv/.test ## changed files and flipped bits, by the thousand: make fuzz ARGS='-n 100000'
	$(BIN)/python -m tests.fuzz $(ARGS)
	$(BIN)/python -m tests.fuzz.flips

check: .venv/.check ## lint, formatting, types, and which layer imports which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.docs ## the documentation as pages in site/, warnings as errors
	$(BIN)/python -m tests.website $(ARGS)

dist: .venv/.dist ## wheel and sdist, built and tried in empty environments
	$(BIN)/python -m tests.dist $(ARGS)

format: .venv/.check ## repair what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.bench ## measure the headline table: local disk and S3, 5 minutes at most
	$(BIN)/python -m benchmarks run headline $(ARGS)

bench-peers: .venv/.bench ## measure stores that need environments of their own, and build those
	$(BIN)/python -m benchmarks run peers $(ARGS)

bench-full: .venv/.bench ## measure everything; writes results, tables and figures
	$(BIN)/python -m benchmarks run headline values many s3 peers growth --publish --resume $(ARGS)
	$(BIN)/python -m benchmarks tables

bench-tables: .venv/.bench ## write tables and figures of the results that are here
	$(BIN)/python -m benchmarks tables

bench-aio: .venv/.test .venv/.bench ## how long an event loop stands still under 1,000 awaited calls
	$(BIN)/python -m benchmarks aio $(ARGS)

bench-frames: .venv/.test .venv/.bench ## small frames, wide tables, columns far away, large objects
	$(BIN)/python -m benchmarks frames $(ARGS)
	$(BIN)/python -m benchmarks columns $(ARGS)
	$(BIN)/python -m benchmarks large $(ARGS)

bench-large: .venv/.test .venv/.bench ## a table of 6 GB in pieces, on local disk and S3: the peak of memory
	PYTHONPATH=. $(BIN)/python -m benchmarks pieces $(ARGS)

bench-targets: .venv/.test .venv/.bench ## every speed that is promised, one row each: target, measured, met
	$(BIN)/python -m benchmarks targets $(ARGS)

bench-engines: .venv/.test .venv/.bench ## runs on threads, processes, Dask and Ray, beside their own submit
	$(BIN)/python -m benchmarks engines $(ARGS)

clean: ## delete .venv, caches and built packages; stored objects (.runstore) stay
	rm -rf .venv site .matrix .bench .azurite .mermaid .browser .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
	find . -name '.?*' -prune -o -name __pycache__ -prune -exec rm -rf {} +

# A candidate counts only if it runs: version managers leave shims of Pythons that are not there.
.venv/.made:
	@for python in $(PYTHONS); do \
	    if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	            >/dev/null 2>&1; then \
	        echo "making .venv with $$("$$python" --version) ($$python)"; \
	        "$$python" -m venv .venv && $(PIP) --upgrade 'pip>=25.1' && touch $@; \
	        exit; \
	    fi; \
	done; \
	echo "none of these is a Python >= 3.11 with venv: $(PYTHONS)" >&2; \
	echo "install one (on Debian: python3 and python3-venv), or name it: make PYTHON=/path/to/python" >&2; \
	exit 1

.venv/.demo: .venv/.made pyproject.toml
	$(PIP) --editable '.[demo]'
	@touch $@

# pip reads --group from pyproject.toml since 25.1.
.venv/.test .venv/.check .venv/.bench .venv/.dist .venv/.docs .venv/.browser: .venv/.%: .venv/.made pyproject.toml
	$(PIP) --editable . --group $*
	@touch $@
