# Everything from a clean clone; `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
ASR_HF := $(BIN)/asr-hf
RECIPES := prompts prompts5 prompts5x switchboard
DATA := $(RECIPES:%=data-%)
# More overrides for the commands of a target: make data-prompts ARGS="corpus.source=DIR".
ARGS ?=
# The interpreter the environment is made with: the first that is fit for it.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && echo $$p && break; done)

.PHONY: help setup test demo demo-smbr $(DATA) bench study faults fuzz clean

help: ## list the targets
	@echo 'asr-hf: Hessian-free training of DNN-HMM acoustic models'
	@echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## make the environment .venv with everything in it

$(VENV)/.ready: pyproject.toml setup.py constraints.txt
ifeq ($(PYTHON),)
	@echo 'asr-hf needs Python 3.11, 3.12 or 3.13 with its venv module, and found none.' >&2
	@echo '  Debian, Ubuntu:  sudo apt-get install python3-venv' >&2
	@echo '  elsewhere:       make setup PYTHON=/path/to/python3.11' >&2
	@exit 1
else
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
endif

test: setup ## check style and types, run the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist worksteal $(ARGS)

# The first network's alignments take the place of the flat start's, then a second one is trained.
DEMO := +recipe=prompts +preset=kfac
REALIGNED := alignment.from_run=exp/demo-first alignment.tag=realigned
demo: data-prompts ## from nothing to a word error rate: fetch, prepare, train, decode, score
	$(ASR_HF) train $(DEMO) name=demo-first trainer.stopping.max_iterations=60 $(ARGS)
	$(ASR_HF) align $(DEMO) $(REALIGNED) $(ARGS)
	$(ASR_HF) train $(DEMO) $(REALIGNED) name=demo trainer.stopping.max_iterations=100 $(ARGS)
	$(ASR_HF) decode $(DEMO) $(REALIGNED) name=demo $(ARGS)
	$(ASR_HF) score $(DEMO) $(REALIGNED) name=demo $(ARGS)

# sMBR from the demo's network, on the alignments that go with it.
SMBR := +recipe=prompts +stage=smbr $(REALIGNED) init_from=exp/demo name=demo-smbr
demo-smbr: demo ## go on with sequence training: prints the word error rates before and after
	$(ASR_HF) lattices $(SMBR) $(ARGS)
	$(ASR_HF) train $(SMBR) $(ARGS)
	$(ASR_HF) decode $(SMBR) $(ARGS)
	$(ASR_HF) score $(DEMO) $(REALIGNED) name=demo $(ARGS)
	$(ASR_HF) score $(SMBR) $(ARGS)

data-prompts: ## English voice prompts, 24 minutes: fetch, prepare, features, alignment
data-prompts5: ## voice prompts in five languages, 2 hours
data-prompts5x: data-prompts5 ## altered copies of those (noise, babble, codecs), 9 hours
data-switchboard: ## Switchboard (licensed; says what it needs)

# make data-switchboard SWBD=DIR MSU=DIR [EVAL2000=DIR HUB5_REFS=DIR] [RT03=DIR] [FISHER=DIR,DIR]
COMMA := ,
TEST_SETS = $(if $(EVAL2000),$(COMMA)eval2000)$(if $(RT03),$(COMMA)rt03)
data-switchboard: CORPORA = $(if $(SWBD)$(MSU),corpus.sets=[train$(COMMA)dev$(TEST_SETS)]) \
	$(if $(SWBD),corpus.swbd=$(SWBD)) $(if $(MSU),corpus.msu=$(MSU)) \
	$(if $(EVAL2000),corpus.eval2000=$(EVAL2000)) $(if $(HUB5_REFS),corpus.hub5_refs=$(HUB5_REFS)) \
	$(if $(RT03),corpus.rt03=$(RT03)) $(if $(FISHER),corpus.fisher=[$(FISHER)])

$(DATA): data-%: setup
	$(ASR_HF) prepare +recipe=$* $(CORPORA) $(ARGS)
	$(ASR_HF) features +recipe=$* $(CORPORA) $(ARGS)
	$(ASR_HF) align +recipe=$* $(CORPORA) $(ARGS)

study: data-prompts5 ## optimisers compared on five languages, many hours; resumes (ARGS="--preset fast": minutes)
	$(BIN)/python -m benchmarks.study $(ARGS)

bench: $(VENV)/.bench ## measure speed beside peers, 15 minutes (ARGS="--quick": one)
	$(BIN)/python -m benchmarks.run $(ARGS)

$(VENV)/.bench: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	-e '.[dev,bench]'
	@touch $@

faults: setup ## kill, fill and damage small trainings; none may lose anything (ARGS="--count 100 --seed 0")
	OMP_NUM_THREADS=1 $(BIN)/python -m scripts.faults $(ARGS)

fuzz: setup ## feed mutated files to every parser (ARGS="--seconds 60": for each)
	OMP_NUM_THREADS=1 $(BIN)/python -m scripts.fuzz $(ARGS)

clean: ## remove the environment and caches; data/ and exp/ stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
