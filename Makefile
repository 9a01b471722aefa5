# Two commands need no more than Python >= 3.11, make and git: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
UV ?= $(shell command -v uv || echo .tools/uv/bin/uv)
PORT ?= 8000
FUZZ_SECONDS ?= 600
export UV
export PATH := $(CURDIR)/.tools/prometheus/usr/bin:$(PATH)

# The Python at hand where it is one that TensorFlow has wheels for; otherwise uv finds or fetches one.
USABLE := $(shell $(PYTHON) -c 'import sys; print(sys.executable if (3, 11) <= sys.version_info < (3, 14) else "")')
ifneq ($(USABLE),)
export UV_PYTHON ?= $(USABLE)
endif

RUN := $(UV) run --no-sync
# Node where it is new enough for Vite; the page that is committed needs none.
NODE := $(shell node -e 'const [major, minor] = process.versions.node.split(".").map(Number); console.log(major > 20 || (major === 20 && minor >= 19) ? "yes" : "")' 2>/dev/null)
WEB_PACKAGES := $(if $(NODE),clients/web/node_modules/.installed)
SCREEN := demo/screen
BUNDLE := demo/bundle

.PHONY: help setup demo serve test test-fast test-slow test-viewer fuzz check web page openapi notebooks chromium qt imagej promtool format clean

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

test: setup check web chromium qt imagej promtool test-viewer  ## The full test suite, as CI runs it.
	$(RUN) pytest -n auto --dist worksteal -m "not viewer"

test-fast: setup  ## Tests of seconds only.
	$(RUN) pytest -n auto --dist worksteal -m "not slow and not viewer"

test-slow: setup  ## The slow tests alone.
	$(RUN) pytest -n auto --dist worksteal -m "slow and not viewer"

# In processes without TensorFlow: beside it Mesa's OpenGL ends with a segmentation fault.
test-viewer: setup qt  ## The tests that open napari.
	$(RUN) pytest -n auto --dist worksteal tests/e2e/napari

# In an environment of its own: no other part needs atheris, which has wheels for a few versions of Linux only.
fuzz: setup  ## Fuzz the TIFF reader for FUZZ_SECONDS, by atheris, and post 20,000 mutated TIFFs.
	$(UV) run --isolated --no-project --python 3.11 --with atheris==3.0.0 --with ./service \
	  python fuzz/tiff_reader.py -max_total_time=$(FUZZ_SECONDS)
	NUM_MUTATIONS=20000 $(RUN) pytest -n 0 tests/service/http/test_mutations.py

check: setup  ## Lint, types, import contracts, spelling, lock.
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) pyright
	$(RUN) lint-imports
	$(RUN) codespell
	$(UV) lock --check

web: $(WEB_PACKAGES)  ## Lint, type-check and test the page's source; without Node, say so.
ifeq ($(NODE),)
	@echo "The page's source is not checked: it needs Node 20.19 or newer."
else
	cd clients/web && npm run --silent check && npm run --silent test
endif

page: clients/web/node_modules/.installed  ## Build the page into the service (needs Node 20.19 or newer).
	cd clients/web && npm run --silent build

openapi: setup  ## Write docs/openapi.json anew, after a change of the routes.
	$(RUN) python tests/service/http/openapi_document.py docs/openapi.json

notebooks: setup  ## Run the notebooks of docs/ on the demo's screen and bundle, and keep what they print.
	$(RUN) jupyter-execute --inplace --timeout=900 docs/notebooks/*.ipynb

clients/web/node_modules/.installed: clients/web/package-lock.json
	cd clients/web && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

# Only where it may: on a machine of one's own the browser tests are skipped instead, and say why.
chromium:  ## Install Debian's Chromium for the browser tests, where there is none and apt-get may.
	@if ! command -v chromium chromium-browser google-chrome >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  { apt-get update -q && apt-get install -qy --no-install-recommends chromium; } || echo "Chromium cannot be installed: the browser tests will be skipped."; \
	fi

# PyPI's Qt brings itself, not the X server's side; ldd names what is absent.
QT_PLUGIN = .venv/lib/python3*/site-packages/PyQt6/Qt6/plugins/platforms/libqxcb.so
QT_PACKAGES := xvfb libegl1 libgl1 libgl1-mesa-dri libglib2.0-0 libdbus-1-3 libfontconfig1 libx11-xcb1 libxkbcommon-x11-0 \
  libxcb-cursor0 libxcb-glx0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 \
  libxcb-shm0 libxcb-sync1 libxcb-xfixes0 libxcb-xkb1

qt: setup  ## Install what the tests of the napari plugin need of Debian, where it is absent and apt-get may.
	@if { ! command -v Xvfb >/dev/null || ldd $(QT_PLUGIN) | grep -q 'not found'; } \
	  && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  { apt-get update -q && apt-get install -qy --no-install-recommends $(QT_PACKAGES); } \
	    || echo "Qt's libraries cannot be installed: tests of the napari plugin will be skipped."; \
	fi

# Unpacked, not installed: the package starts a Prometheus.
promtool:  ## Unpack Debian's promtool into .tools for the test of the alert rules, where apt-get may.
	@if ! command -v promtool >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  { apt-get update -qq && mkdir -p .tools/prometheus && cd .tools/prometheus && apt-get download -qq prometheus \
	    && dpkg -x prometheus_*.deb .; } || echo "promtool cannot be had: the test of the alert rules will be skipped."; \
	fi

imagej:  ## Install Debian's ImageJ, Jython and virtual display for the tests of the Fiji script, where apt-get may.
	@if ! { test -e /usr/share/java/ij.jar -a -e /usr/share/java/jython.jar && command -v java xvfb-run >/dev/null; } \
	  && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  { apt-get update -qq && apt-get install -qy --no-install-recommends default-jre imagej jython xauth xvfb; } \
	    || echo "ImageJ cannot be installed: the tests of the Fiji script will be skipped."; \
	fi

format: setup  ## Sort imports and format.
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

clean:  ## Remove the environment and everything the demo made.
	rm -rf .venv .tools demo clients/web/node_modules
