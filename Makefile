# Needs make and Python 3.11 or newer; everything else goes into .venv.

PYTHON ?= python3
T ?=
S ?=

# Relative, so that spaces in the path of this folder do no harm.
venv := .venv
python := $(venv)/bin/python
pip := $(python) -m pip --quiet --quiet --disable-pip-version-check --no-input
compile := $(venv)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links
for_run := $(venv)/.installed-run
for_dev := $(venv)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help run test check bench crash sabotage events lock

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

run: $(for_run) ## Install once, then serve everything until Ctrl-C (make run PORT=8001 works, too)
	@exec $(python) -P -m zeroinvoice serve

test: $(for_dev) ## Run all checks and tests, or some tests: make test T=tests/domain
ifeq ($(strip $(T)),)
	@$(MAKE) --no-print-directory static
	$(python) -m pytest -n auto --ignore=tests/faults
	$(python) -m pytest -n 0 tests/faults
else
	$(python) -m pytest $(T)
endif

check: $(for_dev) ## Format, lint, types, import contracts and house rules: before every commit
	@$(MAKE) --no-print-directory static
	$(python) -m pytest -q tests/house

bench: $(for_dev) ## Measure speed and memory
	$(python) tests/bench/run.py --out docs/benchmarks.md

crash: $(for_dev) ## Break everything for hours, stage by stage: make crash S="--stages soak --soak-minutes 5"
	PYTHONPATH=tests/bench $(python) tests/faults/crash.py $(S)

sabotage: $(for_dev) ## Break the program in twelve ways; a test must notice each (some: make sabotage S="S1 S7")
	$(python) tests/sabotage/run.py $(S)

events: $(for_dev) ## Write the catalogue of events (docs/events.md); add golden lines for new ones
	$(python) -P -m zeroinvoice events
	$(python) -P tests/journal/golden.py

lock: $(for_dev) ## Pin requirements/*.txt anew, with hashes (needs uv in .venv)
	$(compile) -o requirements/run.txt pyproject.toml requirements/run.in
	$(compile) -o requirements/dev.txt --extra dev pyproject.toml requirements/dev.in

.PHONY: static
static:
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	$(venv)/bin/lint-imports

$(python):
	@$(PYTHON) -c 'import sys; sys.exit("ZeroInvoice needs Python 3.11 or newer, not %d.%d. Name one: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(venv) || { rm -rf $(venv); exit 1; }

$(for_run): requirements/run.txt pyproject.toml | $(python)
	@echo 'Installing into $(venv), which takes about half a minute, once …'
	@$(pip) install --require-hashes -r requirements/run.txt
	@$(pip) install --no-index --no-deps --no-build-isolation -e .
	@touch $@

$(for_dev): requirements/dev.txt $(for_run)
	@echo 'Installing what the tests need …'
	@$(pip) install --require-hashes -r requirements/dev.txt
	@touch $@
