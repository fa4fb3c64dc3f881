# `make help` lists the goals. Everything is installed into .venv, with the versions that are locked in
# requirements/; a stamp in .venv remembers what is there, so that a second call starts at once.

SHELL := /bin/sh
BIN := .venv/bin
GAME_DATE := 2026-02-05
FUNCTION := cloud_functions/deployment_drift_monitor
# The Pythons that are tried, first one that is new enough; `make run PYTHON=/path/to/python3.12` names one.
PYTHON := python3 python3.13 python3.12 python3.11
PYTEST_ARGS :=
# Two test processes for each core: a test waits for other processes half of its time.
PROCESSES := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 2 )))
# Thousands of small folders, repositories and journals: in memory where there is room for them and programs may run.
IN_MEMORY := $(shell findmnt -fbno AVAIL,OPTIONS -T /dev/shm 2>/dev/null | awk '$$1 > 2e9 && !/noexec/ { print "/dev/shm" }')
test test-heavy: export TMPDIR := $(or $(TMPDIR),$(IN_MEMORY),/tmp)
# For goals where one test may take an hour.
ENDLESS := -o faulthandler_timeout=0
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where nothing compiled may be kept, each of the hundreds of processes that the tests start compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help images our-images gits run demo demo-dashboard test test-heavy month test-all kill-test agree schemathesis fuzz readings mutate faults reality audit soak frameworks lint bench readme lock clean history
.DEFAULT_GOAL := help

help: ## list the goals
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: history .venv/run.stamp ## install, note the worker as deployed at HEAD, start the batch of one date
	@$(BIN)/deployment-drift record prediction-worker --commit "$$(git rev-parse HEAD)"
	@$(BIN)/prediction-coordinator start --game-date $(GAME_DATE)

demo: .venv/run.stamp ## show a refusal and the emergency bypass, in a throw-away repository
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/demo.sh

demo-dashboard: .venv/run.stamp ## show the dashboard of a made-up month, until Ctrl-C
	@$(BIN)/python scripts/month.py .drift/demo-dashboard
	@$(BIN)/deployment-drift --config .drift/demo-dashboard/drift.toml dashboard --port 8099

test: .venv/test.stamp ## run the tests and hold the branch coverage
	$(BIN)/coverage erase
	UNPROVEN=.venv/unproven $(BIN)/coverage run -m pytest -m "not heavy" --numprocesses=$(PROCESSES) --dist=worksteal $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	@cat .venv/unproven

test-heavy: .venv/test.stamp .functions/stamp ## run what make test leaves out, and hypothesis with all its examples
	$(BIN)/python -m pytest -m "(heavy or hypothesis) and not month" --hypothesis-profile=full --numprocesses=auto $(PYTEST_ARGS)

month: .venv/test.stamp ## live a month of looks with two monitors, and one with a monitor that is killed fifty times
	$(BIN)/python -m pytest -m month --numprocesses=auto $(PYTEST_ARGS)

test-all: .venv/test.stamp ## run the tests on each Python, 3.11 to 3.13, that is on the machine
	$(BIN)/nox -s tests

agree: .venv/test.stamp ## compare a mirror and a checkout over 200 histories
	MIRROR_HISTORIES=200 $(BIN)/python -m pytest $(ENDLESS) tests/sources/git/test_mirror.py -k agree

fuzz: .venv/test.stamp ## try 10,000 odd messages of Cloud Run and answers of git
	FUZZ_CASES=10000 $(BIN)/python -m pytest $(ENDLESS) $(PYTEST_ARGS) tests/sources/*/test_fuzz_*.py

readings: .venv/test.stamp ## read every installed file and 10,000 mutated ones in two ways
	INSTALLED_STEP=1 MUTATED_FILES=10000 $(BIN)/python -m pytest $(ENDLESS) --numprocesses=auto tests/relevance/test_facts_of_every_file.py

schemathesis: .venv/test.stamp ## ask the HTTP server 5,000 requests made from its own description
	SCHEMATHESIS_CASES=5000 $(BIN)/python -m pytest -n0 $(ENDLESS) tests/coordinator/http/test_schemathesis.py

faults: .venv/test.stamp ## try every outside call under every fault; writes docs/faults.md
	FAULTS_PAGE=1 $(BIN)/python -m pytest -n0 -s $(ENDLESS) $(PYTEST_ARGS) tests/faults/test_fault_matrix.py

kill-test: .venv/test.stamp ## kill a coordinator 200 times, resume, and write docs/kill-test.md
	PYTHONPATH=.:tests $(BIN)/python -m support.killing --runs 200 --write docs/kill-test.md

images: .venv/test.stamp ## build the table of images with buildah (Debian's) and hold each file against ours
	command -v buildah >/dev/null || { echo "make images: no buildah here: apt-get install buildah" >&2; exit 1; }
	$(BIN)/python -m pytest -q -n auto tests/images

our-images: .venv/test.stamp ## build, push, pull, start and judge our two images (root; Debian's buildah, debootstrap, docker-registry)
	PYTHONPATH=.:tests $(BIN)/python -m support.own_images --write docs/our-images.md

GITS :=
gits: .venv/test.stamp ## run the tests that ask git under those of Debian 11 and 13, and under GITS=…; writes docs/gits.md
	$(BIN)/python scripts/gits.py .gits $(GITS)

soak: .venv/test.stamp ## make 10,000 checks in one process with faults; writes docs/soak.md
	PYTHONPATH=.:tests $(BIN)/python -m support.soak 10000 --page docs/soak.md

LIST :=
reality: .venv/test.stamp ## trace the repositories of LIST=…/list.toml; scripts/reality.py says what stands there
	@$(BIN)/python scripts/reality.py $(LIST)

audit: .venv/test.stamp ## look up known vulnerabilities of the locked requirements; fails unless all were looked up
	@$(BIN)/python scripts/audit.py

mutate: .venv/test.stamp ## change the code that judges and ask the tests; writes docs/mutation.md
	rm -rf mutants
	nice $(BIN)/mutmut run --max-children 2
	$(BIN)/python scripts/mutation.py

frameworks: .frameworks/stamp ## hold the import closure against real starts of real frameworks
	FRAMEWORKS=all .frameworks/bin/python -m pytest -n0 -p no:cacheprovider $(PYTEST_ARGS) tests/relevance/frameworks

lint: .venv/test.stamp ## check style (ruff) and types (mypy)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/test.stamp ## measure; benchmarks/README.md says what
	$(BIN)/python -m benchmarks

LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
# The coordinator requires the gate, which is this tree (`.`) and nothing to look up elsewhere.
BOTH := - setup.cfg predictions/setup.cfg --extra all --no-emit-package prediction-drift-gate

readme: .venv/run.stamp ## write the generated parts of README.md and docs/ anew
	$(BIN)/python scripts/readme.py
	$(BIN)/python scripts/pages.py

lock: .venv/test.stamp ## lock the newest allowed versions of all requirements
	$(LOCK) --group build -o requirements/build.txt
	echo . | $(LOCK) $(BOTH) -o requirements/run.txt
	$(LOCK) --group worker -c requirements/run.txt -o requirements/worker.txt
	echo . | $(LOCK) $(BOTH) --extra test --extra dev -c requirements/build.txt -c requirements/run.txt \
		-o requirements/test.txt
	$(LOCK) setup.cfg --extra frameworks --extra test -c requirements/run.txt -o requirements/frameworks.txt
	$(LOCK) setup.cfg --extra firestore --extra bigquery --group function -c requirements/run.txt -c requirements/test.txt \
		-o $(FUNCTION)/requirements.txt
	rm -rf *.egg-info

clean: ## remove whatever was made here, the local ledger and predictions included
	rm -rf .venv .frameworks .functions .gits .nox .drift build dist predictions/build predictions/dist .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks mutants *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The gate compares commits. An unpacked archive has none, also where the folder above is a repository.
history:
	@said=$$(git cat-file -e HEAD:./drift.toml 2>&1) || { said=$$(echo "$$said" | head -n 1); \
		echo "make run: this folder has no git history, and the drift gate compares commits:" \
			"clone the repository (git says: $$said)" >&2; exit 1; }

.venv/bin/python:
	@for each in $(PYTHON); do \
		if "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$each; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "make: Python 3.11 or newer is needed and none of these is: $(PYTHON)." \
			"Name one: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	if ! "$$found" -m venv .venv; then \
		rm -rf .venv; \
		echo "make: $$found cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; \
		exit 1; \
	fi

# --no-deps, --no-build-isolation: all that runs, and all that builds, is in a lock already, each with its hash.
.venv/run.stamp: requirements/build.txt requirements/run.txt setup.cfg pyproject.toml \
		predictions/setup.cfg predictions/pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/build.txt -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable . --editable predictions
	@touch $@

.venv/test.stamp: requirements/test.txt .venv/run.stamp
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/test.txt
	@touch $@

# As Google's build makes it of the same file: the function is run with what is in there, and nothing else.
.functions/stamp: $(FUNCTION)/requirements.txt | .venv/bin/python
	$(BIN)/python -m venv .functions
	.functions/bin/python -m pip install --quiet --require-hashes -r $(FUNCTION)/requirements.txt
	@touch $@

# A place of their own: what the gate itself is tested with stays as it is.
.frameworks/stamp: requirements/frameworks.txt | .venv/bin/python
	$(BIN)/python -m venv .frameworks
	.frameworks/bin/python -m pip install --quiet --require-hashes -r requirements/frameworks.txt
	@touch $@
