# Every target makes what it needs. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/lock.txt
.DEFAULT_GOAL := help
.PHONY: help demo companion test lint bench docs lock clean

help:  ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Serving needs no TensorFlow: seconds to install. Everything else comes with the dev stamp.
$(VENV)/.serve: pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Wristwise needs Python 3.11 or newer; set PYTHON=..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what serving needs into $(VENV) (no TensorFlow) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c $(LOCK) uv
	@$(BIN)/uv pip install -q --python $(BIN)/python -c $(LOCK) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.serve
	@echo "Installing TensorFlow, the peers and the development tools ..."
	@$(BIN)/uv pip install -q --python $(BIN)/python -c $(LOCK) -e '.[train,watch,postgres,export,peers,dev]'
	@touch $@

demo: $(VENV)/.serve  ## Service, mock watch and a recording: see a heart rate come back (no TensorFlow)
	@$(BIN)/wristwise demo

companion: $(VENV)/.serve  ## The companion page with a mock person's month in it; says how to sign in
	@$(BIN)/wristwise companion

test: $(VENV)/.dev  ## The whole test suite, pytest's summary last
	@$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(VENV)/.dev  ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: $(VENV)/.dev  ## The tables of the README and docs, from committed code (hours; resumes)
	@$(BIN)/python -m benchmarks.all

docs: $(VENV)/.dev  ## Regenerate the pictures and tables in docs/ from benchmarks/results
	@$(BIN)/python -m benchmarks.tables

lock: $(VENV)/.serve  ## Renew requirements/lock.txt
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-annotate --all-extras pyproject.toml -o $(LOCK)

clean:  ## Remove what the other targets made
	rm -rf $(VENV) build dist runs demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
