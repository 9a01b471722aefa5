# Two commands need no more than Python >= 3.11, make and git: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
UV ?= $(shell command -v uv || echo .tools/uv/bin/uv)
PORT ?= 8000
export UV

# The Python at hand where it is one that TensorFlow has wheels for; otherwise uv finds or fetches one.
USABLE := $(shell $(PYTHON) -c 'import sys; print(sys.executable if (3, 11) <= sys.version_info < (3, 14) else "")')
ifneq ($(USABLE),)
export UV_PYTHON ?= $(USABLE)
endif

RUN := $(UV) run --no-sync
SCREEN := demo/screen
BUNDLE := demo/bundle

.PHONY: help setup demo serve test test-fast test-slow check format clean

help:  ## Say what each target does.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: .venv/.synced  ## Make the environment: uv (into .tools, when there is none) and everything uv.lock names.

.venv/.synced: uv.lock pyproject.toml service/pyproject.toml training/pyproject.toml clients/python/pyproject.toml | $(filter .tools/%,$(UV))
	$(UV) sync --frozen
	@touch $@

.tools/uv/bin/uv:
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .tools/uv 'uv>=0.9,<0.14'

demo: setup  ## Simulate a screen, train, export, serve, and ask the service about held-out sites.
	@rm -rf demo
	$(RUN) phenotrain simulate $(SCREEN) --seed 3 --field-px 256 --dose 0.1 --dose 0.01 --dose 0.001 --control-wells 9
	$(RUN) phenotrain run rxrx2 $(SCREEN) $(BUNDLE) --recipe demo --name demo --work demo/work --held-out demo/work/held_out.csv
	$(RUN) phenoserve verify $(BUNDLE)
	$(RUN) python clients/examples/demo.py $(BUNDLE) demo/work/held_out.csv demo/answers
	@echo "Serve it again with:  make serve   (then open http://127.0.0.1:$(PORT)/)"

serve:  ## Serve the demo's bundle until Ctrl-C.
	$(RUN) phenoserve serve $(BUNDLE) --port $(PORT)

test: setup check  ## The full test suite, as CI runs it.
	$(RUN) pytest -n auto --dist worksteal

test-fast: setup  ## Tests of seconds only.
	$(RUN) pytest -n auto --dist worksteal -m "not slow"

test-slow: setup  ## The slow tests alone.
	$(RUN) pytest -n auto --dist worksteal -m slow

check: setup  ## Lint, types, import contracts, spelling, lock.
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) pyright
	$(RUN) lint-imports
	$(RUN) codespell
	$(UV) lock --check

format: setup  ## Sort imports and format.
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

clean:  ## Remove the environment and everything the demo made.
	rm -rf .venv .tools demo
