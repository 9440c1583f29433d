# make run   the default config (toy), or CONFIG=config/x.yaml; then the report
#            WHEELHOUSE=/folder/of/wheels installs without a network (`make wheelhouse` fills it)
# make test  every test that this machine can run
# make test-adapters  tests of Enformer and Borzoi, each with its packages beside those of the workflow
# make container  envs/seqtrust.sif, the packages of the lock as an image (needs apptainer)
# make audit known faults of the locked packages (needs pip-audit and a network), else their hashes
# make bench speed, memory and disk; PEER_PYTHON=/path/to/python with genvarloader for its rows,
#            LOCUS=/folder/of/the/real/locus for its haplotypes,
#            BASENJI=/folder/in/its/layout for training from streamed windows
PYTHON ?= python3
VENV ?= .venv
CORES ?= 2
CONFIG ?= config/config.yaml
ADAPTERS ?= enformer borzoi
TORCH ?= torch==2.13.0
WHEELHOUSE ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/installed
OFFLINE := $(if $(WHEELHOUSE),--no-index --find-links $(WHEELHOUSE))
LIBRARY := PYTHONPATH=scripts $(BIN)/python -m

.PHONY: run test test-adapters bench environment lint toy-inputs docs lock container audit wheelhouse

run: $(STAMP)
	$(LIBRARY) seqtrust.run $(CONFIG) --cores $(CORES)

# a file of tests goes to one process; those that run workflows take longest and go first
test: $(STAMP)
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder

test-adapters: $(ADAPTERS:%=.venv-%/installed)
	set -e; for adapter in $(ADAPTERS); do \
		.venv-$$adapter/bin/python -m pytest tests/adapters/test_$$adapter.py; done

# the packages of two adapters exclude each other; torch and the rest are those of the workflow
.venv-%/installed: requirements-%.txt $(STAMP)
	$(BIN)/python -m venv --without-pip .venv-$*
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$(.venv-$*/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/workflow.pth"
	$(BIN)/python -m pip --python .venv-$*/bin/python install --quiet --no-deps -r $<
	touch $@

bench: $(STAMP)
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/haplotypes.py \
		$(if $(PEER_PYTHON),--peer-python $(PEER_PYTHON))
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/models.py
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/training.py --published \
		$(if $(BASENJI),--basenji $(BASENJI))
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/eqtls.py
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/people.py
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/calibration.py
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/mendelian.py
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/mendelian_coverage.py
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/consistency.py
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/inference.py $(if $(LOCUS),--locus $(LOCUS))
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/reading.py --published
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/cost.py --published
	PYTHONPATH=scripts $(BIN)/python tests/benchmark/ism.py

environment: $(STAMP)

# torch comes first: what depends on it must find the build that is already there
$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "seqtrust needs Python 3.11 or newer; found $$($(PYTHON) --version). Set PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "Python has no venv: install the package python3-venv and run make again" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(OFFLINE) $(TORCH)
	$(BIN)/python -m pip install --quiet $(OFFLINE) --require-hashes -r requirements.lock
	$(BIN)/python -c 'import torch, snakemake, pysam, pyarrow, matplotlib, statsmodels'
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check .
	$(BIN)/snakemake --lint

toy-inputs: $(STAMP)
	$(LIBRARY) seqtrust.sources.toy resources/toy

docs: $(STAMP)
	$(LIBRARY) seqtrust.documentation docs

# needs uv; torch stays out of the lock
lock:
	echo torch | uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
		--excludes - requirements.in -o requirements.lock

container: envs/seqtrust.sif

envs/seqtrust.sif: envs/seqtrust.def requirements.lock
	apptainer build --fakeroot $@ $<

# for machines without a network: copy the folder there, and set WHEELHOUSE
wheelhouse: $(STAMP)
	$(BIN)/python -m pip download --quiet --dest wheelhouse $(TORCH)
	$(BIN)/python -m pip download --quiet --dest wheelhouse --require-hashes -r requirements.lock

audit: $(STAMP)
	@if $(BIN)/python -m pip_audit --version >/dev/null 2>&1; then \
		$(BIN)/python -m pip_audit --require-hashes --disable-pip -r requirements.lock; \
	else \
		echo "pip-audit is not installed: only the hashes of the lock are checked" >&2; \
		$(BIN)/python -m pytest -q tests/unit/test_environment_files.py -k lock_has_hashes; \
	fi
