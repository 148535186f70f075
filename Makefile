# Works as root or not, with nothing but Python 3.11+ and make: the first call of any target sets up what it needs.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo run test check benchmark faults-long replay-long lock format clean

PYTHON ?= python3
WORKERS ?= 2
LONG := -m long -o faulthandler_timeout=0
BIN := .venv/bin
RUNTIME := .venv/.runtime
DEV := .venv/.dev
PIP := PIP_ROOT_USER_ACTION=ignore $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS='	' read -r target text; do \
		printf 'make %-12s %s\n' "$$target" "$$text"; done

setup: $(DEV) ## install everything, once: the other commands do it when needed

demo: $(RUNTIME) ## play a small exchange from end to end, and prove that it is right
	$(BIN)/exchange demo

run: $(RUNTIME) ## serve API, documentation and console on this machine until Ctrl-C
	$(BIN)/exchange run

test: $(DEV) ## run all tests
	$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_FLAGS)

check: $(DEV) ## what CI runs: format, lint, types, imports, tests, coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(MAKE) test PYTEST_FLAGS="--cov --cov-report= $(PYTEST_FLAGS)"
	$(BIN)/coverage report --include='ledger/*,*/rules.py' --fail-under=100
	$(BIN)/coverage report --fail-under=90

benchmark: $(DEV) ## measure against the floor; ONLY=name measures one, JSON=1 prints JSON lines
	JSON=$(JSON) $(BIN)/python -m tests.benchmarks $(ONLY)

faults-long: $(DEV) ## inject faults for minutes, lint the contract with foreign linters
	$(BIN)/python -m pytest $(LONG) tests/faults tests/interop

replay-long: $(DEV) ## live through months of the real files beside the checkout, where there are any
	$(BIN)/python -m pytest $(LONG) tests/exchange/replay

format: $(DEV) ## format the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## write the locks anew from pyproject.toml (needs uv); UPGRADE=1 takes newer versions
	uv pip compile $(LOCK_FLAGS) --output-file requirements.lock pyproject.toml
	uv pip compile $(LOCK_FLAGS) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

LOCK_FLAGS = --quiet --universal --python-version 3.11 --generate-hashes --no-header $(if $(UPGRADE),--upgrade)

clean: ## remove environment and caches; your data in .exchange stays
	rm -rf .venv build .coverage .coverage.* htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find exchange ledger scoring tests -name __pycache__ -prune -exec rm -rf {} +

# The stamps are newer than the locks they were made from. What develops also runs.
$(DEV): requirements-dev.lock $(BIN)/exchange
	@echo "Installing what requirements-dev.lock names, a minute or two ..."
	@$(PIP) -r $<
	@touch $(RUNTIME) $@

$(RUNTIME): requirements.lock $(BIN)/exchange
	@echo "Installing what requirements.lock names, a minute or two ..."
	@$(PIP) -r $<
	@touch $@

# The project is not built but found where it is: that needs no build tool, and no network.
$(BIN)/exchange: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is not. Try: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
	@pwd > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/exchange.pth"
	@printf '#!/bin/sh\nexec "%s/$(BIN)/python" -Pc "%s" "$$@"\n' "$$(pwd)" \
		"import sys; from exchange.cli import main; sys.argv[0] = 'exchange'; sys.exit(main())" > $@
	@chmod +x $@
