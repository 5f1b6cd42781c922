# Everything starts here: `make` lists the targets. Any of them makes the virtual environment first, when it is not there.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
RUNTIME_STAMP := $(VENV)/.runtime-$(shell cksum < requirements.txt | cut -d' ' -f1)
DEV_STAMP := $(VENV)/.dev-$(shell cat requirements.txt requirements-dev.txt | cksum | cut -d' ' -f1)
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.bench-$(shell cat requirements.txt requirements-bench.txt | cksum | cut -d' ' -f1)
PYTEST_ARGS ?=
BENCH ?=
KILLS ?= 50
PAYLOADS ?= 10000
ROUNDS ?= 20
N ?= 10000

.PHONY: help venv run test check bench prove fuzz poison storm clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

venv: $(RUNTIME_STAMP)  ## the virtual environment with what allocd needs to run
	@echo "ready: $(VENV) has what requirements.txt asks for"

run: $(RUNTIME_STAMP)  ## start allocd: the sandbox, or paper trading when Alpaca keys are set
	@exec $(PYTHON) start.py run

test: $(DEV_STAMP)  ## every test (PYTEST_ARGS="-k word" for some)
	@$(PYTHON) -m pytest $(PYTEST_ARGS)

check: $(DEV_STAMP)  ## lint, format, types and the architecture
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@$(PYTHON) -m pytest -q tests/test_architecture.py

bench: $(PEERS_STAMP)  ## every benchmark, product and peer side by side (BENCH="risk_parity" for one)
	@.ci/benchmarks $(PEERS)/bin/python $(BENCH)

prove: $(DEV_STAMP)  ## kill the daemon KILLS times (50) at random moments and show that no order was lost or doubled
	@$(PYTHON) -m tests.acceptance.kill_campaign --kills $(KILLS)

fuzz: $(DEV_STAMP)  ## PAYLOADS damaged answers (10000) for every source: no crash, no wrong row, bounded memory
	@$(PYTHON) -m tests.sources.fuzz --payloads $(PAYLOADS)

poison: $(DEV_STAMP)  ## ROUNDS (20) of spoilt data services under a running sandbox: nothing lost, everything said, all recovers
	@$(PYTHON) -m tests.acceptance.data_faults --rounds $(ROUNDS)

storm: $(DEV_STAMP)  ## N sick covariances and returns (10000) through the allocation: no exception, no broken limit, every rung reached
	@$(PYTHON) -m tests.unit.risk.allocate_storm --n $(N)

clean:  ## remove the virtual environment and the tools' caches; var/, where the state lives, stays
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

# The stamps carry a checksum of the requirements: unchanged, a second start takes no time; changed, pip looks again.
$(RUNTIME_STAMP):
	@.ci/venv requirements.txt $@

$(DEV_STAMP):
	@.ci/venv requirements-dev.txt $@

$(PEERS_STAMP):
	@.ci/venv requirements-bench.txt $@
