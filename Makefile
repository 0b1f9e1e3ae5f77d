# Everything that is done with a checkout of kist. Knobs: VENV=.venv  PYTHON=…  UV= (use pip even where uv is found)  JOBS=3  ARGS=…

VENV ?= .venv
JOBS ?= 3
UV ?= $(shell command -v uv)
BIN := $(abspath $(VENV))/bin
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed
BENCH := .venv-bench
CODE := src tests docs conftest.py benchmarks

export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Programs that tests and benchmarks measure kist against; their last resort is a cache that outlives the checkout.
export PATH := $(BIN):$(PATH):$(abspath $(BENCH))/bin:$(HOME)/.cache/kist-peers/garage/bin

INSTALL = $(if $(UV),$(UV) pip install --quiet --python $(1)/bin/python,$(1)/bin/python -m pip install --quiet)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup up check format lint types layers test docs bench prove lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEV) ## create .venv with kist (editable), all extras and the tools

up: $(RUN) ## install what it needs, then start kist on this machine
	@exec $(BIN)/kist up $(ARGS)

check: lint types layers docs test ## everything that must hold before a commit

format: $(DEV) ## put the code into its one form, and mend what can be mended
	@$(BIN)/ruff format --quiet $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

lint: $(DEV) ## formatted, and ruff finds nothing
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)

types: $(DEV) ## mypy, strict
	@$(BIN)/mypy

layers: $(DEV) ## imports point down
	@$(BIN)/lint-imports --no-logo

# Tests wait a lot: three processes fill two cores. A file of tests stays in one process, and each process has servers of its own. JOBS=0 is pytest's own process, for ARGS=--pdb.
test: $(DEV) ## the tests, some twelve minutes on two cores (ARGS="-k words" for some)
	@$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile $(ARGS)

prove: $(DEV) ## the long proofs at full scale
	@KIST_SCALE=full $(BIN)/python -m pytest tests/prove tests/storage tests/fsspec $(ARGS)

docs: build/docs/index.html ## build the documentation; a warning is an error

bench: $(DEV) $(BENCH)/.installed ## measure kist against its peers
	@$(BIN)/python -m benchmarks $(ARGS)

lock: $(DEV) ## write requirements/*.txt anew: hashes, no addresses
	@$(call LOCK) --all-extras --group dev pyproject.toml --output-file requirements/dev.txt
	@$(call LOCK) --all-extras --group build pyproject.toml --constraint requirements/dev.txt --output-file requirements/run.txt
	@$(call LOCK) --group bench --output-file requirements/bench.txt

clean: ## remove all that is made here, the environments too
	rm -rf $(VENV) .venv-* build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One universal solution for all Pythons and platforms that kist supports.
LOCK = env -u UV_FIND_LINKS $(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --no-annotate $(if $(UPGRADE),--upgrade)

$(RUN): requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo 'installing requirements/run.txt into $(VENV)'
	@$(call INSTALL,$(VENV)) --require-hashes --requirement requirements/run.txt
	@$(call INSTALL,$(VENV)) --no-deps --no-build-isolation --editable .
	@touch $@

# requirements/dev.txt holds all of requirements/run.txt
$(DEV): requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	@echo 'installing requirements/dev.txt into $(VENV)'
	@$(call INSTALL,$(VENV)) --require-hashes --requirement requirements/dev.txt
	@$(call INSTALL,$(VENV)) --no-deps --no-build-isolation --editable .
	@touch $(RUN) $@

$(BENCH)/.installed: requirements/bench.txt | $(BENCH)/bin/python
	@echo 'installing requirements/bench.txt into $(BENCH)'
	@$(call INSTALL,$(BENCH)) --require-hashes --requirement requirements/bench.txt
	@touch $@

# The first Python >= 3.12 that can make an environment; asked by running it, since the name may be a shim for nothing.
%/bin/python:
	@for python in $(or $(PYTHON),python3.13 python3.12 python3 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python); do \
	  if "$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	    echo "$* of $$("$$python" --version)"; exec "$$python" -m venv --clear $*; \
	  fi; \
	done; \
	if [ -n "$(UV)" ]; then exec $(UV) venv --quiet --seed --clear --python '>=3.12' $*; fi; \
	echo "kist needs Python 3.12 or newer: none among python3.13, python3.12, python3 and those of pyenv; try 'make PYTHON=/path/to/python …'." >&2; exit 1

build/docs/index.html: $(DEV) $(shell find docs src CHANGELOG.md CONTRIBUTING.md -name '*.md' -o -name '*.py')
	@$(BIN)/sphinx-build --quiet --fresh-env --nitpicky --fail-on-warning --keep-going docs build/docs
	@touch $@
