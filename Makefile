# textmill: `make repro` builds everything from nothing; `make test` proves it.
# Each target sets up what it needs: a virtual environment in .venv with the locked versions.

PYTHON ?= python3
BIN := .venv/bin
EXPERIMENT ?=
ROOT ?=
PORT ?= 5000

# Nothing phones home, and no tool asks a hub or a server for what is here.
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup repro test check ui params diff bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/locked ## the virtual environment with the locked versions

.venv/locked: requirements.lock pyproject.toml
	@$(PYTHON) scripts/setup.py

repro: setup ## run what has changed of the pipeline, then show the results
	@dvc repro
	@textmill results

test: setup ## everything that must hold: the quick checks, then the slow and the pipeline tests
	@$(MAKE) --no-print-directory check
	@pytest -q -m "slow or pipeline"

check: setup ## the quick part: format, lint, types, import contract, unit tests
	@ruff format --check .
	@ruff check .
	@mypy
	@lint-imports
	@pytest -q -m "not slow and not pipeline"

ui: setup ## the MLflow UI on the local store (PORT=...)
	@echo "open http://127.0.0.1:$(PORT)/#/experiments?workflowType=machine_learning"
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 --port $(PORT) \
		--backend-store-uri sqlite:///mlflow.db

params: setup ## write params.yaml for an overlay: make params EXPERIMENT=english ROOT=data/raw
	@textmill params $(EXPERIMENT) $(if $(ROOT),--root $(ROOT))

diff: setup ## what differs from the last commit: parameters and metrics
	@dvc params diff
	@dvc metrics diff

DATA = $(or $(ROOT),data/raw)
bench: setup ## speed beside peers, on real text: make bench ROOT=data/raw (docs/performance.md)
	@mkdir -p .state
	@python -m benchmarks.training --text $(DATA)/tinyshakespeare_en/input.txt --labelled $(DATA)/sst2_en \
		--json .state/bench_training.json
	@python -m benchmarks.time_to_loss textmill plain --text $(DATA)/tinyshakespeare_en/input.txt \
		--json .state/bench_time_to_loss.json
	@python -m benchmarks.packing --english $(DATA)/gutenberg_small_en/*.txt --json .state/bench_packing.json
	@test -x .state/datatrove/bin/python || { $(PYTHON) -m venv .state/datatrove && \
		.state/datatrove/bin/pip install -q 'datatrove[processing,io]==0.10.*' spacy jieba 'xxhash<4'; }
	@python -m benchmarks.curation --datatrove .state/datatrove/bin/python --root $(DATA) \
		--json .state/bench_curation.json
	@python -m benchmarks.scale

clean: ## remove every output of the pipeline (.venv, DVC's cache and MLflow's store stay)
	rm -rf data/tasks data/documents data/corpus data/accepted data/tokens data/predictions \
		models metrics plots runs .state $(filter-out reports/curves,$(wildcard reports/*)) reports/curves/*
