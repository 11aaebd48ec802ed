# Every target sets up .venv by itself. You need make, bash and Python 3.11 or later (`make PYTHON=... test` picks one).

SHELL = bash
export TIMEFORMAT = took %0lR
# Compiled modules are kept: else each process would compile modd, and rewrite the assertions of all tests, anew.
unexport PYTHONDONTWRITEBYTECODE
PYTHONS = $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)
RUN = .venv/bin/python -m
PIP = PIP_CONSTRAINT=requirements.lock PIP_BUILD_CONSTRAINT=requirements.lock PIP_DISABLE_PIP_VERSION_CHECK=1 \
	$(RUN) pip install --quiet --quiet
# The tests of a file run in one process, because the code blocks of a page share their names. A process that ends, as one
# with a test that hangs does, ends the run.
PARALLEL = --numprocesses $(ONE_MORE) --dist loadfile --no-loadscope-reorder --max-worker-restart 0
# One process more than there are processors, because tests also wait for disks and threads, and some are long. The slow
# ones start processes of their own.
ONE_MORE = $$(($$(getconf _NPROCESSORS_ONLN) + 1))
LONG = $(RUN) pytest -q -o faulthandler_timeout=7200

.PHONY: demo test check static second-types fast fast-measured fast-unmeasured slow bench docs proof proof-properties \
	proof-store format clean

# The shopping run, with the journey of each message below it.
demo: .venv/.runtime
	@.venv/bin/python examples/shopping.py

# Everything that guards the project: about seven minutes on two processors that have nothing else to do.
test: .venv/.dev
	@time { $(MAKE) --no-print-directory --jobs 2 --output-sync=target static second-types fast-unmeasured \
		&& $(MAKE) --no-print-directory fast-measured slow; }

# The round while you work: about a minute on two such processors. The tests run on asyncio; `make test` has trio, too.
# Among them are the links of the site, and the code blocks of its pages.
check: .venv/.dev
	@time $(MAKE) --no-print-directory static fast

static:
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	.venv/bin/lint-imports --no-logo

second-types:
	.venv/bin/basedpyright --warnings

fast:
	$(RUN) pytest $(PARALLEL) -m "not slow and not on_trio"

# The fast tests on asyncio take every branch, so all others run without the cost of being measured: it doubles their time.
MEASURED = (not on_trio or measured_on_trio) and not unmeasured

fast-measured:
	$(RUN) coverage erase
	$(RUN) coverage run -m pytest $(PARALLEL) -m "not slow and $(MEASURED)"
	$(RUN) coverage combine --quiet
	$(RUN) coverage report

fast-unmeasured:
	$(RUN) pytest $(PARALLEL) -m "not slow and not ($(MEASURED))"

slow:
	$(RUN) pytest $(subst $(ONE_MORE),auto,$(PARALLEL)) -m slow

# Against handwritten floors and a peer; BENCH takes options, as in `make bench BENCH="--rounds 11"`.
bench: .venv/.bench
	@$(RUN) bench.run $(BENCH)

# The book: build/book/site/index.html. Broken links and anchors are errors.
docs: .venv/.dev
	@$(RUN) book

# The proofs of `make test` at full length, side by side: about half an hour on two processors.
proof: .venv/.dev
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target proof-properties proof-store

# The property tests with many more examples. Each test goes to the next process that is free.
PROPERTIES = $(wildcard tests/*/test_property.py tests/stores/memory/test_*_property.py tests/stores/sqlite/test_*_property.py)
proof-properties: .venv/.dev
	MODD_PROFILE=long $(LONG) --numprocesses $(ONE_MORE) --dist load --maxschedchunk 1 --max-worker-restart 0 $(PROPERTIES)

# Durability: processes killed at every step, power lost at any moment, faults of the disk. It prints the number of each.
proof-store: .venv/.dev
	MODD_PROOF_KILLS=1000 MODD_PROOF_MOMENTS=200 MODD_PROOF_ASKED=200 MODD_PROOF_ITEMS=20000 MODD_PROOF_SIGTERMS=200 \
	MODD_PROOF_STATES=20000 MODD_PROOF_FAULTS=1000000 MODD_PROOF_AGGREGATES=300 \
	MODD_PROOF_FLOW_KILLS=300 MODD_PROOF_FLOW_MOMENTS=500 MODD_PROOF_APPS=200 MODD_PROOF_SHOP_NET=1000 $(LONG) -s tests/proofs

# Format the code, and apply the fixes of the linter.
format: .venv/.dev
	$(RUN) ruff check --fix --exit-zero .
	$(RUN) ruff format .

clean:
	rm -rf .venv build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment for running modd.
.venv/.runtime: .venv/.made pyproject.toml requirements.lock
	@echo "installing modd into .venv" >&2
	@$(PIP) --editable .
	@touch $@

# The environment for the benchmarks: modd, and the peer that `dependency-groups.bench` in pyproject.toml names.
.venv/.bench: .venv/.runtime
	@$(PIP) eventsourcing
	@touch $@

# The environment for the checks.
.venv/.dev: .venv/.made pyproject.toml requirements.lock
	@echo "installing modd and its checks into .venv" >&2
	@$(PIP) --requirement requirements.lock
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch .venv/.runtime $@

# An environment with pip, made by the first Python that is new enough and can make one. Each is tried, because a command
# may exist and fail, and a Python may lack the package that makes environments.
.venv/.made:
	@for python in $(PYTHONS); do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
		found="$$found $$python"; \
		echo "making .venv with $$python ($$($$python --version))" >&2; \
		$$python -m venv --clear .venv >/dev/null 2>&1 && touch $@ && exit 0; \
		$$python -m venv --clear --without-pip .venv >/dev/null 2>&1 \
			&& $$python -m pip --python .venv/bin/python install --quiet pip >/dev/null 2>&1 && touch $@ && exit 0; \
		$$python -m virtualenv --clear --quiet .venv >/dev/null 2>&1 && touch $@ && exit 0; \
		rm -rf .venv; \
	done; \
	if [ -z "$$found" ]; then \
		echo "modd needs Python 3.11 or later. None of these runs: $(PYTHONS). Install one, or name yours:" \
			"make PYTHON=/path/to/python" >&2; \
	else \
		echo "no environment can be made with:$$found. On Debian and Ubuntu, install python3-venv" \
			"(apt-get install python3-venv), then run make again." >&2; \
	fi; \
	exit 1
