# Two commands for a newcomer: `make demo` and `make test`. Everything they need beside Python, git and make they fetch.
SHELL := /bin/bash
PYTHON := .venv/bin/python
# Some machines switch compiled files off: then every process, and every run of the tests, would compile all code again.
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
.PHONY: help env check style types layers units test demo demo-stop bench system lint docs helm clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' Makefile

env: .venv/.ready ## the Python environment in .venv, from the lock file
.venv/.ready: pyproject.toml uv.lock deploy/environment.sh
	@bash deploy/environment.sh
	@touch $@

style: env
	@.venv/bin/ruff check . && .venv/bin/ruff format --check -q .

types: env
	@.venv/bin/mypy

layers: env
	@PYTHONPATH=. .venv/bin/lint-imports

# Without plugins that unit tests do not use: pytest would rewrite and load all of their code in each of its processes.
units: env
	@PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(PYTHON) -m pytest tests/unit -q -x -n 2 -p xdist -p pytest_timeout -p _hypothesis_pytestplugin

lint: style types layers

check: env ## style, types, layers and unit tests, within a minute
	@$(MAKE) --no-print-directory --jobs=4 --output-sync=line style types layers units

system: env
	@bash deploy/system.sh

test: system lint ## everything, on real parts
	@$(PYTHON) -m deploy.localcluster.localcluster build
	@bash deploy/test.sh

demo: env ## the main story in the terminal; DETACH=1 leaves it running, KUBECONFIG=... uses your cluster (YES=1: unasked)
	@$(PYTHON) -m deploy.demo.main $(if $(DETACH),--detach) $(if $(YES),--yes)

demo-stop: env ## end a demo that was left running
	@$(PYTHON) -m deploy.demo.main --stop

helm: env ## the Helm that applications are rendered with, put where Driftline looks first
	@ln -sf "$$($(PYTHON) -c 'from deploy.localcluster.build import helm; print(helm())')" .venv/bin/helm

docs: env ## write the page of settings anew
	@$(PYTHON) -m docs.generate

bench: env ## the speed claims; ONLY=id runs one
	@$(PYTHON) -m deploy.localcluster.localcluster build
	@$(PYTHON) -m bench.run $(if $(ONLY),--only $(ONLY))

clean: ## remove the environment and the demo's data
	@rm -rf .venv .uv .driftline .mypy_cache .ruff_cache .pytest_cache .hypothesis
