# Every target is self-sufficient on a machine with Python >= 3.11 (with venv), make and git.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SANDBOX := $(VENV)/.sandbox
DEVELOPMENT := $(VENV)/.development
UV_VERSION := 0.13.8
# One more than the two cores that the suite is measured on, because many tests wait.
TEST_PROCESSES ?= 3
# How often `make kill-loop` kills.
N ?= 100
# What `make simulate` runs: how many worlds, from which seed on, in how many processes.
SEEDS ?= 1000
FROM ?= 0
PROCESSES ?= 2
SECONDS ?= 20
# Where no branch may go untested: what holds money, decides about it, or lets somebody in.
COVERED := storage/ledger*.py,storage/books.py,storage/buckets.py,storage/budget*.py,storage/hold*.py,storage/wallet.py,storage/windows.py,storage/transfers.py,storage/*audit.py,storage/job*.py,bot/jobs/machine.py,bot/providers/classify.py,bot/web/signatures.py,bot/results/guard.py
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml

.PHONY: help install run test check coverage simulate simulate-night kill-loop mutants flood format lock clean
.DEFAULT_GOAL := help

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The interpreter is checked first: an old python3 would fail later with a riddle.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Atelier needs Python 3.11 or newer; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "python3 has no venv module. On Debian: apt install python3-venv"; rm -rf $(VENV); exit 1; }

# The image installs requirements.lock alone: it holds the bot without the sandbox.
$(SANDBOX): requirements-sandbox.lock | $(BIN)/python
	@echo "Installing what the bot and its sandbox need into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-sandbox.lock
	@touch $@

$(DEVELOPMENT): requirements-dev.lock | $(BIN)/python
	@echo "Installing what the tests need into $(VENV) (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@ $(SANDBOX)

install: $(DEVELOPMENT) ## everything for developing, into .venv

run: $(SANDBOX) ## start the bot; without DISCORD_TOKEN, the sandbox at http://127.0.0.1:8700
	@exec $(BIN)/python -m sandbox auto

test: $(DEVELOPMENT) ## all tests
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --maxschedchunk 2

kill-loop: $(DEVELOPMENT) ## kill -9 the bot N times at random moments, with SEED= again in the same order
	$(BIN)/python -m tests.kill_loop $(N) $(if $(SEED),--seed $(SEED))

simulate: $(DEVELOPMENT) ## many seeded worlds: SEEDS=1000 FROM=0 PROCESSES=2
	$(BIN)/python -m tests.simulation.run --seeds $(SEEDS) --from $(FROM) --processes $(PROCESSES)

simulate-night: $(DEVELOPMENT) ## 100,000 of them
	$(BIN)/python -m tests.simulation.run --seeds 100000 --from $(FROM) --processes $(PROCESSES)

coverage: $(DEVELOPMENT) ## every branch of the ledger, the job machine, classifier, signatures and URL guard
	LEDGER_EXAMPLES=400 $(BIN)/coverage run -m pytest -q tests/unit/storage tests/unit/jobs tests/unit/providers tests/unit/web tests/unit/results
	$(BIN)/coverage report --include='$(COVERED)' --fail-under=100

mutants: $(DEVELOPMENT) ## break the program on purpose, and see that the tests notice
	@$(BIN)/python -m tests.mutants --processes $(PROCESSES)

check: $(DEVELOPMENT) ## lint, types, layers, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_docs.py tests/test_architecture.py

flood: $(DEVELOPMENT) ## what the listener bears on this machine, for SECONDS each
	@$(BIN)/python -m tests.flood --seconds $(SECONDS)

format: $(DEVELOPMENT) ## format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: | $(BIN)/python ## pin the newest allowed versions with hashes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(LOCK) --upgrade --extra speed -o requirements.lock
	$(LOCK) --upgrade --extra speed --extra sandbox -o requirements-sandbox.lock
	$(LOCK) --upgrade --all-extras -o requirements-dev.lock

clean: ## remove .venv and caches, never data
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
