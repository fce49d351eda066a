# What a person or CI runs. Needs Python >= 3.11, git and a Python package index; no sudo, nothing outside this folder.
PYTHON ?= python3
BIN := .venv/bin
# What only tests need, and a file that shows it is there.
DEBIAN := chromium=/usr/bin/chromium nodejs=/usr/bin/node npm=/usr/bin/npm
# An environment that forbids bytecode makes every start two to three times slower.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-core torture lint advisories bench bench-big docs screenshots page-report lock

help:
	@echo "make demo       the mesh at work on real data, in a minute"
	@echo "make test       every test"
	@echo "make test-core  the tests that need nothing but Python and git"
	@echo "make torture    the suites under fire for long, with a new seed (SEED=n repeats one)"
	@echo "make lint       style, types, import rules, documents, known problems of dependencies"
	@echo "make bench      measurements beside their floors, in 15 minutes"
	@echo "make bench-big  the same with 1 GB, TPC-H and 10 million rows"
	@echo "make docs       the generated references"
	@echo "make screenshots  the pictures of the pages"
	@echo "make page-report  what pages weigh and take, and what axe-core says of them"

setup: .venv/.ready

.venv/.ready: requirements.lock pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit("thinmesh needs Python 3.11 or newer; make PYTHON=python3.x") if sys.version_info < (3, 11) else None'
	@git --version > /dev/null
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m compileall -q src
	@touch $@

demo: setup
	@$(BIN)/thinmesh demo

test: setup
	@$(BIN)/python tools/debian.py $(DEBIAN)
	$(BIN)/python -m pytest -n 2 --dist worksteal tests

test-core: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not heavy" tests

torture: setup
	seed=$(or $(SEED),$$(date +%s)); \
	export THINMESH_TORTURE_SEED=$$seed THINMESH_TORTURE_POINTS=$(or $(POINTS),200); \
	$(BIN)/python -m pytest -n 2 --dist worksteal -m hypothesis --hypothesis-seed=$$seed tests/unit tests/integration && \
	$(BIN)/python -m pytest -n 2 --dist worksteal --hypothesis-seed=$$seed tests/torture

lint: setup
	$(BIN)/ruff format --check src tests bench tools
	$(BIN)/ruff check src tests bench tools
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/dependencies.py

# Renews the list of known problems that `make lint` holds the lock against; the only step that asks a service for it.
advisories: setup
	$(BIN)/python tools/dependencies.py --renew

bench: setup
	$(BIN)/python -m bench

bench-big: setup
	$(BIN)/python -m bench --big

screenshots: setup
	@$(BIN)/python tools/debian.py $(DEBIAN)
	$(BIN)/python tools/screenshots.py

page-report: setup
	@$(BIN)/python tools/debian.py $(DEBIAN)
	$(BIN)/python tools/page_report.py

docs: setup
	$(BIN)/python -m thinmesh.interface.reference docs/reference

# Renews the lock; the result names no package index, so that any mirror serves it.
lock:
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --group dev --extra datahub --python-version 3.11 pyproject.toml -o requirements.lock
