# Quell's commands. Each sets up what it needs: a virtual environment and the pinned packages.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Compiled modules are kept, whatever the shell says: a run of the tests starts dozens of processes, the demo six, and
# each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint chaos bench format clean

$(STAMP): requirements.txt requirements-dev.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 2>/dev/null || \
	  { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV); }
	@echo "Installing the pinned packages …"
	@if [ -x $(BIN)/pip ]; then $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt; \
	 else $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt; fi
	@touch $(STAMP)

# Everything at once on this machine; with ONCE=1 the whole story is played without a browser.
demo: $(STAMP)
	@$(BIN)/python manage.py $(if $(ONCE),story,demo)

# All tests, as portal_app on this clone's own PostgreSQL and Valkey, the longest files first. Three workers on two
# cores, since a good part of the time is waiting.
test: $(STAMP)
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST_OPTIONS)

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy .
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	@$(BIN)/python manage.py document --check
	@QUELL_DEVELOPMENT=0 SECRET_KEY=$$(head -c 48 /dev/urandom | base64 | tr -d '\n') ALLOWED_HOSTS=quell.example \
	  MASTER_KEYS=$$(head -c 32 /dev/urandom | base64) \
	  AUDIT_SEAL_FILE=/dev/null AUDIT_SEALING_KEY_FILE=/dev/null $(BIN)/python manage.py check --deploy --fail-level WARNING

# Events in any order by the thousand, each guard taken out once to see its tests turn red, runs about one thing each,
# and last the long fault run, which takes an hour and more: CHAOS_RUN="--profile long --minutes 10 --actions 3000".
CHAOS_EXAMPLES ?= 2000
CHAOS_RUN ?= --profile long
chaos: $(STAMP)
	@CHAOS_EXAMPLES=$(CHAOS_EXAMPLES) $(BIN)/python -m pytest tests/chaos -p no:randomly
	@$(BIN)/python -m tests.chaos.fault_run $(CHAOS_RUN)

bench: $(STAMP)
	@$(BIN)/python -m benchmarks.dispatch
	@$(BIN)/python -m benchmarks.audit
	@$(BIN)/python -m benchmarks.isolation
	@$(BIN)/python -m benchmarks.groups
	@$(BIN)/python -m benchmarks.purge
	@$(BIN)/python -m benchmarks.vulnerability_sync
	@$(BIN)/python -m benchmarks.campaign
	@$(BIN)/python -m benchmarks.csv_export

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .


clean:
	@rm -rf $(VENV) .quell .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
