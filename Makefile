# Tiercel: set up, try, test. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2
SERVE ?= 1
BENCHMARKS := simulate profile publish decision scoring qini audience allocation pacing loop pages night quality
NAME ?= $(BENCHMARKS)
SIZE ?=
# public data sets for the tests that judge on real input; where they are absent, those tests say so and are skipped
ifneq ($(wildcard ../shared/data),)
export TIERCEL_SHARED_DATA ?= ../shared/data
endif
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --no-header $(if $(UPGRADE),--upgrade) pyproject.toml requirements/build.in

.PHONY: help setup spark demo test check format types imports soak bench coverage lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## a virtual environment in .venv with the locked packages; nothing to do the second time

$(READY): requirements/dev.lock pyproject.toml
	@python=$$(for candidate in $(PYTHON) python3.11 python3.12 python3 python; do \
		"$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
			&& { echo "$$candidate"; break; }; done || true); \
	if [ -z "$$python" ]; then \
		echo "Tiercel needs Python 3.11 or 3.12; found: $$(python3 --version 2>&1 || echo none)." >&2; \
		echo "Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 2; fi; \
	"$$python" -m venv $(VENV) || { \
		echo "The venv module is missing: install it (Debian and Ubuntu: python3-venv) and run make again." >&2; exit 2; }
	@echo "Installing the locked packages into $(VENV), one to two minutes ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-compile --require-hashes \
		-r requirements/dev.lock
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true # on all cores, where pip takes one
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

spark: $(READY) ## the extra for `tiercel build --engine spark`, 450 MB; it asks for a Java 17 runtime as well
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --require-hashes \
		-r requirements/spark.lock

demo: $(READY) ## a simulated bank from build to decision, then API and console (SERVE=0 ends after the summary)
	@$(BIN)/tiercel demo $(if $(filter 0,$(SERVE)),--no-serve)

test: $(READY) ## the suite, on WORKERS processes (2)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -q --ignore=tests/soak

check: format types imports test ## what CI runs: format, lint, types, import contracts, tests

format: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(READY)
	@$(BIN)/mypy

imports: $(READY)
	@$(BIN)/lint-imports

soak: $(READY) ## kills, load, fuzz, the ladder: as long as they need
	@$(BIN)/python -m pytest tests/soak -q

bench: $(READY) ## the benchmarks beside their peers; NAME=profile for one, SIZE=100000 for its size
	@for name in $(NAME); do \
		if [ -e "benchmarks/$$name.py" ] || [ -e "benchmarks/$$name/__main__.py" ]; then \
			$(BIN)/python -m "benchmarks.$$name" $(if $(SIZE),--size $(SIZE)); \
		elif [ "$(origin NAME)" != file ]; then echo "no benchmark $$name; allowed: $(BENCHMARKS)" >&2; exit 2; fi; \
	done

coverage: $(READY) ## write docs/coverage.md: which promise has which test
	@$(BIN)/python tests/contracts/row_coverage.py

lock: ## write the lock files from pyproject.toml; UPGRADE=1 takes the newest allowed versions
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: $(BIN)/python -m pip install uv" >&2; exit 2; }
	@$(COMPILE) --output-file requirements/base.lock >/dev/null
	@$(COMPILE) --extra dev --constraint requirements/base.lock --output-file requirements/dev.lock >/dev/null
	@$(COMPILE) --extra spark --constraint requirements/base.lock --output-file requirements/spark.lock >/dev/null
