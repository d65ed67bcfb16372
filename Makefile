# Market Data Service. `make` alone prints what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup run up down status check unit test bench chaos drill soak docs lock clean

VENV := .venv
PY := $(VENV)/bin/python
MDS := $(VENV)/bin/mds
UV := $(VENV)/uv/bin/uv
INSTALLED := $(VENV)/.installed
SEED ?= 1
MINUTES ?= 60
HOURS ?= 1
CHAOS := $(PY) -m pytest -s --timeout=0 tests/e2e/test_faults.py::test_every_kind_of_fault
OVERLAPPING := tests/e2e/test_faults.py::test_twenty_random_faults
SOAK := $(PY) -m pytest -s --timeout=0 tests/e2e/test_faults.py::test_memory_stays_flat_under_long_load
COMPILE := pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links --python-version 3.11 $(if $(UPGRADE),--upgrade)

##@ Use
run: $(INSTALLED) ## everything in the foreground, Ctrl-C stops it (LIVE=1 polls the vendors, FOR=60 stops by itself)
	@$(MDS) run $(if $(LIVE),--live) $(if $(FOR),--for $(FOR))

up: $(INSTALLED) ## broker and database in the background (WHAT=all with the services)
	@$(MDS) up $(WHAT)

down: $(INSTALLED) ## stop what runs in the background
	@$(MDS) down

status: $(INSTALLED) ## what runs, and whether it moves
	@$(MDS) status

##@ Develop
setup: $(INSTALLED) $(EXTRA:%=$(INSTALLED)-%) ## the environment in .venv, from the lock files (instant when nothing changed; EXTRA="iceberg otel trace deploy" adds those)

check: $(INSTALLED) ## the inner loop, some minutes: ruff, mypy --strict, import rules, unit tests
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy -n 2
	@$(VENV)/bin/lint-imports
	@$(PY) -m pytest -q -n 2 --dist worksteal -m "not slow and not soak" tests/unit tests/architecture

test: $(INSTALLED) ## every test but those of `make soak`, on a real broker and database that it starts itself
	@$(PY) -m pytest -q -n 2 --dist worksteal --durations 12 -m "not soak" tests/unit tests/architecture tests/contract tests/deploy
	@$(PY) -m pytest -q -n 3 --dist worksteal --durations 20 -m "not soak" tests/integration
	@$(PY) -m pytest tests/timescale tests/containers
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 12 -m "not soak" tests/e2e

bench: $(INSTALLED) ## measure; writes benchmarks/results.json and docs/BENCHMARKS.md
	@$(PY) -m benchmarks

chaos: $(INSTALLED) ## every kind of fault once under load, in an order of SEED=1; writes docs/CHAOS.md
	@MDS_CHAOS_SEED=$(SEED) MDS_CHAOS_REPORT=docs $(CHAOS)

drill: $(INSTALLED) ## backup and restore, by the commands of docs/OPERATIONS.md, on servers that it starts itself; four minutes
	@MDS_DRILL=1 $(PY) -m pytest -q tests/e2e/test_restore.py

soak: $(INSTALLED) ## what `make test` leaves out, growth at full size, the backfill queue with a million jobs and whatever befalls it, 20,000 mutated answers, MINUTES=60 of load with flat memory, then HOURS=1 of chaos
	@$(PY) -m pytest -q -n 2 --dist worksteal --timeout=0 --hypothesis-profile thorough -m "soak or hypothesis" tests/unit tests/architecture
	@$(PY) -m pytest -q --timeout=0 -m soak tests/integration tests/e2e
	@MDS_GROWTH_FULL=1 $(PY) -m pytest -q --timeout=0 tests/unit/sinks/test_growth.py tests/integration/sinks/store/shell/test_growth.py
	@MDS_QUEUE_EXAMPLES=200 $(PY) -m pytest -q --timeout=0 tests/integration/producers/backfill/test_queue_and_ledger.py
	@MDS_QUEUE_SEEDS=20 $(PY) -m pytest -q --timeout=0 tests/integration/producers/backfill/test_kill_and_freeze.py
	@MDS_QUEUE_JOBS=1000000 $(PY) -m pytest -s -q --timeout=0 tests/integration/infra/runtime/postgres/test_claim_latency.py
	@MDS_FUZZ_CASES=20000 $(PY) -m pytest -q --timeout=0 tests/unit/producers/test_fuzz.py
	@MDS_DRILL=1 $(PY) -m pytest -q tests/e2e/test_restore.py
	@MDS_SOAK_MINUTES=$(MINUTES) $(SOAK)
	@seed=$(SEED); end=$$(($$(date +%s) + $(HOURS) * 3600)); \
	while [ $$(date +%s) -lt $$end ]; do MDS_CHAOS_SEED=$$seed $(CHAOS) $(OVERLAPPING) || exit 1; seed=$$((seed + 1)); done

docs: $(INSTALLED) ## write every generated file anew: reference pages, JSON Schema, fast readers
	@$(PY) -m scripts.generate

lock: $(INSTALLED) ## write the lock files anew: Python packages and Kafka's jars (UPGRADE=1 takes newer versions)
	@echo uv | $(UV) $(COMPILE) - --output-file bootstrap.lock
	@$(UV) $(COMPILE) pyproject.toml --group dev --output-file requirements.lock
	@for extra in iceberg otel trace; do \
		$(UV) $(COMPILE) --group $$extra --constraint requirements.lock --output-file requirements-$$extra.lock || exit 1; \
	done
	@$(UV) $(COMPILE) infra/deploy.in --output-file infra/deploy.lock
	@$(UV) $(COMPILE) pyproject.toml --constraint requirements.lock --excludes infra/image/excluded.in --output-file infra/image/requirements.lock
	@$(PY) -m infra.embedded.jars

clean: ## remove the environment and all caches; data in .mds stays
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this text
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo

# uv is installed by pip, uv installs the rest; both refuse a file whose hash is not in the lock.
$(INSTALLED): requirements.lock bootstrap.lock pyproject.toml
	@python=""; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
		if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "error: no Python 3.11 or newer found; install one, or name it: make setup PYTHON=/path/to/python3" >&2; exit 2; \
	fi; \
	if ! $$python -c 'import venv, ensurepip' >/dev/null 2>&1; then \
		echo "error: $$python has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; \
	fi; \
	[ -x $(PY) ] && $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "creating $(VENV) with $$($$python --version)"; $$python -m venv --clear $(VENV); }
	@echo "installing uv"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--upgrade --target $(VENV)/uv -r bootstrap.lock
	@echo "installing the locked packages"
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --require-hashes --compile-bytecode requirements.lock
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# An extra is added to the rest and changes nothing of it: its lock is made under the versions of the other.
$(INSTALLED)-%: requirements-%.lock $(INSTALLED)
	@echo "installing the extra $*"
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --require-hashes --compile-bytecode -r $<
	@touch $@

# Helm and the validators of deployment files: an environment of its own, for what they need is not what services need.
DEPLOY := $(VENV)/deploy
$(INSTALLED)-deploy: infra/deploy.lock $(INSTALLED)
	@echo "installing the deployment tools"
	@[ -x $(DEPLOY)/bin/python ] || $(PY) -m venv --without-pip $(DEPLOY)
	@VIRTUAL_ENV=$(DEPLOY) $(UV) pip sync --quiet --require-hashes --compile-bytecode infra/deploy.lock
	@touch $@
