# PitWall: the targets a developer needs. `make help` lists them.

# The newest Python on PATH that really runs (a version manager may leave names there that do not) and is new enough.
ifndef PYTHON
PYTHON := $(shell for name in python3.13 python3.12 python3.11 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$name" && break; done)
endif
BIN := .venv/bin
STAMP := .venv/.ready
ON_PATH := .venv/.on-path

.DEFAULT_GOAL := help
.PHONY: help setup fetch run up test lint schema examples bench soak bundle lock audit economy deploy smoke clean

help: ## what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 12

setup: $(STAMP) $(ON_PATH) ## the virtual environment with everything in it

$(STAMP): requirements.txt requirements-dev.txt
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "PitWall needs Python 3.11 or newer. Install it (apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null 2>&1 || \
		"$(PYTHON)" -m venv --clear .venv || \
		{ rm -rf .venv; echo "Python's venv module is needed as well: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $(STAMP)

# What is deployed can be run from anywhere: `.venv/bin/python -m pitwall.collect`.
$(ON_PATH): $(STAMP)
	@echo "$(CURDIR)/functions" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pitwall.pth"
	@touch $(ON_PATH)

run: setup ## a simulated race through the whole pipeline, shown as a timing tower (RECORDING=path SPEED=n for another)
	@exec $(BIN)/python -m local run $(if $(RECORDING),--recording "$(RECORDING)") $(if $(SPEED),--speed "$(SPEED)")

up: setup ## the local stack without a replay, to build an app against
	@exec $(BIN)/python -m local up --auth-port 9099

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# npm takes half a minute the first time, which the linter need not wait for; tests that want it wait for its end.
fetch: setup
	@$(BIN)/python -m local.auth_emulator >/dev/null 2>&1 &

test: fetch lint ## linter, type checker and every test, the emulators started by the tests; fails below a coverage floor
	JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 PYTHONDONTWRITEBYTECODE= \
		$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --cov=functions/pitwall --cov-report=term:skip-covered
	@$(BIN)/python -m local.coverage_floors

schema: setup ## writes docs/schema and docs/documents.md from the document types
	PYTHONPATH=functions $(BIN)/python -m pitwall.documents.schema

examples: setup ## the examples of the API's answers, from a simulated race through the whole stack (needs Node)
	$(BIN)/python -m local.examples

bench: setup ## the benchmarks, one JSON line each
	$(BIN)/python -m bench

soak: setup ## the long proofs: eight hours of live feed, ten seeds of chaos, whole sessions, more of the tests
	$(BIN)/python -m bench.soak

bundle: setup ## build/functions.zip, which every function is deployed from, and its SHA-256
	@$(BIN)/python -m deploy.bundle

# For the oldest Python that PitWall runs on; a test holds the pins to be those of the deployed one, too.
LOCK = $(BIN)/uv pip compile --quiet --no-header --no-emit-index-url --generate-hashes \
	--python $(BIN)/python --python-version 3.11 $(foreach package,$(UPGRADE),--upgrade-package $(package))

lock: setup ## the pinned, hashed requirements*.txt from requirements*.in; versions stay (UPGRADE="package ..." for newer)
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in -o requirements-dev.txt
	$(LOCK) -c requirements.txt deploy/collector/requirements.in -o deploy/collector/requirements.txt

audit: setup ## what is known against the pinned packages, from PyPI; fails as well if one cannot be asked about
	$(BIN)/pip-audit --strict --disable-pip -r requirements.txt -r requirements-dev.txt -r deploy/collector/requirements.txt

economy: setup ## how much is spent on viewers: PROJECT=id shows it, MODE=off|slow|closed REASON=text sets it
	@test -n "$(PROJECT)" || { echo "Of which project? make economy PROJECT=<id> [MODE=off|slow|closed] [REASON=<text>]"; exit 1; }
	@if rulesets=$$(terraform -chdir=infra output -json rulesets 2>/dev/null); then \
		eval "$$(echo "$$rulesets" | $(BIN)/python -c 'import json, shlex, sys; [print("export PITWALL_RULES_" + name.upper() + "=" + shlex.quote(ruleset)) for name, ruleset in json.load(sys.stdin).items()]')"; \
	fi; \
	GOOGLE_CLOUD_PROJECT="$(PROJECT)" exec $(BIN)/python -m pitwall.pipeline.economy $(MODE) $(if $(REASON),--reason "$(REASON)")

REGION ?= europe-west1
STATE = $(PROJECT)-terraform

# What is to be other than the default goes into infra/<project>.tfvars. Asks before it changes anything, unless
# TF_CLI_ARGS_apply=-auto-approve is set.
deploy: bundle ## everything into a project of Google Cloud, by Terraform: PROJECT=id (REGION=europe-west1)
	@test -n "$(PROJECT)" || { echo "Into which project? make deploy PROJECT=my-project"; exit 2; }
	gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com storage.googleapis.com pubsub.googleapis.com --project "$(PROJECT)"
	gcloud beta services identity create --service pubsub.googleapis.com --project "$(PROJECT)"
	gcloud storage buckets describe "gs://$(STATE)" --project "$(PROJECT)" >/dev/null 2>&1 || \
		gcloud storage buckets create "gs://$(STATE)" --project "$(PROJECT)" --location "$(REGION)" --uniform-bucket-level-access --public-access-prevention
	gcloud storage buckets update "gs://$(STATE)" --project "$(PROJECT)" --versioning
	terraform -chdir=infra init -input=false -reconfigure -backend-config="bucket=$(STATE)"
	terraform -chdir=infra apply -var "project=$(PROJECT)" -var "region=$(REGION)" \
		-var "revision=$$(git rev-parse --short HEAD 2>/dev/null)" $(if $(wildcard infra/$(PROJECT).tfvars),-var-file="$(PROJECT).tfvars")

smoke: setup ## asks what is deployed what a new operator would: PROJECT=id (REGION=europe-west1)
	@test -n "$(PROJECT)" || { echo "Of which project? make smoke PROJECT=my-project"; exit 2; }
	@$(BIN)/python -m deploy.smoke --project "$(PROJECT)" --region "$(REGION)"

clean: ## removes what make and the tests have made
	rm -rf .venv .cache build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
