# make demo       read the demo pictures with the shipped models (installs the runtime only)
# make test       lint, types, tests
# make kit        install everything for training and optimizing
# make verify     the long check: every test, none skipped (ALPR_EDGE_DATA names the real pictures,
#                 README.md the Debian packages)
# make bench-zip  benchmarks and wheel for a device: dist/alpr-edge-bench.zip
# make lint       ruff and mypy

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test kit verify bench-zip lint clean

demo: .venv/runtime
	$(BIN)/alpr-edge read docs/demo --threads 2 --save-annotated out/demo --verdict

test: kit lint
	$(BIN)/python -m pytest

kit: .venv/kit

lint: .venv/kit
	$(BIN)/ruff check .
	$(BIN)/mypy

verify: kit lint
	$(BIN)/python -m pytest -m "slow or not slow" --fail-on-skip -rs

bench-zip: .venv/runtime
	rm -rf build dist/bench
	mkdir -p dist/bench
	$(PIP) wheel --quiet --no-deps --wheel-dir dist/bench .
	cp -r benchmarks LICENSE dist/bench
	mkdir dist/bench/docs && cp -r docs/demo dist/bench/docs
	find dist/bench -name __pycache__ -prune -exec rm -r {} +
	cd dist/bench && ../../$(BIN)/python -m zipfile -c ../alpr-edge-bench.zip *
	rm -r dist/bench build

clean:
	rm -rf .venv build dist out *.egg-info

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer needed")'
	$(PYTHON) -m venv .venv

.venv/runtime: pyproject.toml | .venv/bin/python
	$(PIP) install --quiet --editable .
	touch $@

.venv/kit: pyproject.toml | .venv/bin/python
	$(PIP) install --quiet --editable '.[dev]'
	touch $@ .venv/runtime
