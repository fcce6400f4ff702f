# `make` lists the targets; docs/development.md says more.

SHELL = /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# What the tests need from Debian. The -core packages are MariaDB's programs without its service:
# the tests start one of their own.
PACKAGES := mariadb-server-core mariadb-client-core libmariadb-dev pkg-config gcc python3-dev \
    chromium tmux haproxy netcat-openbsd openssl

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z.]+:.*## / { printf "make %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
.PHONY: help

serve: $(VENV)/.serve ## a server on 127.0.0.1:6000, its data in ./chat.sqlite (Ctrl-C ends it)
	@$(BIN)/twistd --nodaemon --pidfile= chat
.PHONY: serve

test: $(VENV)/.test ## install what tests need, then lint, types and every test
	@$(BIN)/python -m tests.run
.PHONY: test

lint: $(VENV)/.test ## ruff
	@$(BIN)/ruff check .
.PHONY: lint

types: $(VENV)/.test ## mypy, strict
	@$(BIN)/mypy
.PHONY: types

bench: $(VENV)/.test ## measure, beside ngircd on the same machine
	@tools/debian.sh ngircd
	@$(BIN)/python -m benchmarks
.PHONY: bench

MINUTES ?= 60
soak: $(VENV)/.test ## kill and restart under load for MINUTES=60, and count what was lost
	@$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)
.PHONY: soak

cluster: $(VENV)/.test ## kill, stop and cut off nodes, NATS and MariaDB for MINUTES=60 while people talk
	@$(BIN)/python -m tests.cluster --minutes $(MINUTES)
.PHONY: cluster

abuse: $(VENV)/.test ## attack a server for some minutes while honest people talk (the short form is in test)
	@$(BIN)/python -m tests.abuse
.PHONY: abuse

FUZZ_SECONDS ?= 300
fuzz: $(VENV)/.test ## fuzz the codec and a session for FUZZ_SECONDS=300; finds are kept in tests/fuzz/corpus
	@$(PIP) --editable '.[test,fuzz]'
	@$(BIN)/python -m tests.fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=4096 tests/fuzz/corpus
.PHONY: fuzz

audit: $(VENV)/.test ## ask PyPI for known vulnerabilities of what is installed here
	@$(PIP) --editable '.[test,audit]'
	@$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/installed.txt
	@$(BIN)/pip-audit --strict --vulnerability-service pypi --progress-spinner off \
	    --disable-pip --no-deps --requirement $(VENV)/installed.txt
.PHONY: audit

clean: ## remove what was made here, and leave data (*.sqlite) alone
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .hypothesis _trial_temp*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f twisted/plugins/dropin.cache
.PHONY: clean

.venv: $(BIN)/python ## the virtual environment, with nothing in it yet
.PHONY: .venv

$(BIN)/python:
	@echo 'making $(VENV)'
	@tools/venv.sh $(VENV)

$(VENV)/.serve: pyproject.toml | $(BIN)/python
	@echo 'installing what the server needs'
	@$(PIP) --editable .
	@touch $@

$(VENV)/.test: pyproject.toml Makefile | $(BIN)/python
	@tools/debian.sh $(PACKAGES)
	@echo 'installing what the tests need'
	@$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.serve
