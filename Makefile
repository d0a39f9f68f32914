# Everything from a clean clone; `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
ASR_HF := $(BIN)/asr-hf
RECIPES := prompts prompts5 prompts5x queen fillets switchboard
DATA := $(RECIPES:%=data-%)
# More overrides for the commands of a target: make data-prompts ARGS="corpus.source=DIR".
ARGS ?=
# Those of the data targets; where ARGS are options of another program, they get none.
DATA_ARGS = $(ARGS)
# The interpreter the environment is made with: the first that is fit for it.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && echo $$p && break; done)

# make setup CONSTRAINTS=constraints-newest.txt takes the newest versions, which have no torchaudio.
CONSTRAINTS ?= constraints.txt
COMMA := ,
EXTRAS := dev$(if $(filter constraints.txt,$(CONSTRAINTS)),$(COMMA)torchaudio)

.PHONY: help setup test types pytest browser demo demo-smbr $(DATA) bench gpu-pack gpu-check study race \
	paper-table coverage wheel-check release docs faults fuzz clean

help: ## list the targets
	@echo 'asr-hf: Hessian-free training of DNN-HMM acoustic models'
	@echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## make the environment .venv with everything in it

$(VENV)/.ready: pyproject.toml setup.py $(CONSTRAINTS)
ifeq ($(PYTHON),)
	@echo 'asr-hf needs Python 3.11, 3.12 or 3.13 with its venv module, and found none.' >&2
	@echo '  Debian, Ubuntu:  sudo apt-get install python3-venv' >&2
	@echo '  elsewhere:       make setup PYTHON=/path/to/python3.11' >&2
	@exit 1
else
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c $(CONSTRAINTS) \
	-e '.[$(EXTRAS)]'
	@# As pip would, but on all cores; some packages hold files of other versions of Python.
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@
endif

test: setup $(if $(CI),browser) ## check style and types, run the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory --jobs=2 types pytest

# Side by side, so that no core waits for the types; where they are wrong, both are told.
types:
	$(BIN)/mypy
pytest:
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist worksteal $(ARGS)

coverage: setup ## run the tests and say which lines they reach, by build/coverage/index.html (ARGS="tests/hf")
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist worksteal --cov --cov-report=term:skip-covered \
	--cov-report=html $(ARGS)

# Continuous integration must have one; elsewhere tests of pages are skipped without.
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable
AS_ROOT = $(if $(filter-out 0,$(shell id -u)),sudo)
browser: ## install a browser for the tests of pages, by apt-get
	@command -v $(BROWSERS) >/dev/null || { $(AS_ROOT) apt-get update -qq && $(AS_ROOT) \
	env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium; }

# States tied in context; the flat start's alignments are those of data-prompts.
DEMO := +recipe=prompts +preset=kfac_cg alignment=triphone alignment.tree.states=500 \
	alignment.tree.gaussians=4000
demo: data-prompts ## from nothing to a word error rate: fetch, prepare, align, train, decode, score
	$(ASR_HF) align $(DEMO) $(ARGS)
	$(ASR_HF) train $(DEMO) name=demo trainer.stopping.max_iterations=100 $(ARGS)
	$(ASR_HF) decode $(DEMO) name=demo $(ARGS)
	$(ASR_HF) score $(DEMO) name=demo $(ARGS)

# sMBR from the demo's network, on the same alignments.
SMBR := $(subst +preset=kfac_cg,+stage=smbr,$(DEMO)) init_from=exp/demo name=demo-smbr
demo-smbr: demo ## go on with sequence training: prints the word error rates before and after
	$(ASR_HF) lattices $(SMBR) $(ARGS)
	$(ASR_HF) train $(SMBR) $(ARGS)
	$(ASR_HF) decode $(SMBR) $(ARGS)
	$(ASR_HF) score $(DEMO) name=demo $(ARGS)
	$(ASR_HF) score $(SMBR) $(ARGS)

data-prompts: ## English voice prompts, 24 minutes: fetch, prepare, features, alignment
data-prompts5: ## voice prompts in five languages, 2 hours
data-prompts5x: data-prompts5 ## altered copies of those (noise, babble, codecs), 9 hours
data-queen: ## an adventure game's dialogue, English with many voices, 4 hours
data-fillets: ## a game's dialogue in Czech and Dutch, 3 hours
data-switchboard: ## Switchboard (licensed; says what it needs)

# make data-switchboard SWBD=DIR MSU=DIR [EVAL2000=DIR HUB5_REFS=DIR] [RT03=DIR] [FISHER=DIR,DIR]
# [CONV_TAB=FILE]
given = $(if $($(1)),'corpus.$(2)="$($(1))"')
TEST_SETS = $(if $(EVAL2000),$(COMMA)eval2000)$(if $(RT03),$(COMMA)rt03)
data-switchboard: CORPORA = $(if $(SWBD)$(MSU),corpus.sets=[train$(COMMA)dev$(TEST_SETS)]) \
	$(call given,SWBD,swbd) $(call given,MSU,msu) \
	$(call given,EVAL2000,eval2000) $(call given,HUB5_REFS,hub5_refs) \
	$(call given,RT03,rt03) $(call given,CONV_TAB,conv_tab) \
	$(if $(FISHER),'corpus.fisher=["$(subst $(COMMA),"$(COMMA)",$(FISHER))"]')

$(DATA): data-%: setup
	$(ASR_HF) prepare +recipe=$* $(CORPORA) $(DATA_ARGS)
	$(ASR_HF) features +recipe=$* $(CORPORA) $(DATA_ARGS)
	$(ASR_HF) align +recipe=$* $(CORPORA) $(DATA_ARGS)

study paper-table: DATA_ARGS =
study: data-prompts5 ## optimisers compared on five languages, many hours; resumes (ARGS="--preset fast": minutes)
	$(BIN)/python -m benchmarks.study $(ARGS)

race: setup ## ours against today's optimisers, hours; resumes (ARGS="--minutes 60 --workloads prompts5-relu-rms")
	$(BIN)/python -m benchmarks.race $(ARGS)

# The corpora after --corpora, or those of the whole table.
TABLE := $(if $(filter --corpora,$(ARGS)),$(filter $(RECIPES),$(ARGS)),prompts5x queen)
paper-table: $(TABLE:%=data-%) ## the paper's table on sMBR, hours; resumes (ARGS="--minutes 60", "--corpora prompts5": quick)
	$(BIN)/python -m benchmarks.paper_table $(ARGS)

bench: $(VENV)/.bench ## measure speed beside peers, 15 minutes (ARGS="--quick": one)
	$(BIN)/python -m benchmarks.run $(ARGS)

$(VENV)/.bench: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) \
	-e '.[dev,bench]'
	@touch $@

gpu-pack: setup ## pack prompts5's frame stores for another machine (ARGS="build/x.tar.gz --corpus NAME")
	$(BIN)/python -m benchmarks.gpu.pack $(ARGS)

# No network and no environment of ours are needed: make gpu-check GPU_PYTHON=python3
GPU_PYTHON ?= $(BIN)/python
gpu-check: ## check and time everything on an NVIDIA GPU, eight minutes (ARGS="--device cpu --quick": a trial)
	PYTHONPATH=.$${PYTHONPATH:+:$$PYTHONPATH} $(GPU_PYTHON) -m benchmarks.gpu $(ARGS)

wheel-check: setup ## follow the pages from the wheel on Python 3.11 and 3.13, 5 GB (ARGS="--pythons python3.12")
	$(BIN)/python scripts/check_wheel.py $(ARGS)

release: $(VENV)/.release ## build the last commit's wheel and sdist into build/dist, check them (ARGS="--build-only")
	$(BIN)/python -m scripts.release $(ARGS)

$(VENV)/.release: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) \
	-e '.[dev,release]'
	@touch $@

docs: setup ## build the documentation as a site in build/site; warnings are errors
	$(BIN)/python -m scripts.site $(ARGS)

faults: setup ## kill, fill and damage small trainings; none may lose anything (ARGS="--count 100 --seed 0")
	OMP_NUM_THREADS=1 $(BIN)/python -m scripts.faults $(ARGS)

fuzz: setup ## feed mutated files to every parser (ARGS="--seconds 60": for each)
	OMP_NUM_THREADS=1 $(BIN)/python -m scripts.fuzz $(ARGS)

clean: ## remove the environment and caches; data/ and exp/ stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
