# `make demo` and `make test` do all set-up by themselves and end by themselves, with or
# without a display.

.DEFAULT_GOAL := help
.NOTPARALLEL:

# Where the virtual environment goes.
VENV ?= .venv
BIN := $(VENV)/bin
# Tests run in so many processes, each with one thread and windows of its own.
PROCESSES ?= 2
PYTEST := OMP_NUM_THREADS=1 scripts/with-display.sh $(BIN)/pytest

# The set-up is done again only when one of these changed.
SETUP_FILES := pyproject.toml setup.cfg constraints.txt scripts/setup-venv.sh
# Each stamp records a finished installation of the extras in its name.
GUI := $(VENV)/.installed-gui
DEV := $(VENV)/.installed-gui-dev-docs

.PHONY: help demo test check lint format coverage test-times startup-times docs docs-pictures package-check clean system

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: system $(GUI) ## Segment a sample image with the model `nuclei`; the pictures go to demo/
	scripts/with-display.sh $(BIN)/napari-pea demo

test: system lint docs ## Check everything: ruff, mypy, the pages, pytest
	$(PYTEST) -n $(PROCESSES) --dist loadfile

check: test package-check ## Check everything, and the package that would be released

lint: $(DEV) ## Check style and types only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(DEV) ## Mend the style of the code where a tool can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

coverage: $(DEV) ## Tell how much of the core its own tests run
	$(PYTEST) tests/core --cov=napari_pea.core --cov-report=term:skip-covered

test-times: system $(DEV) ## Tell how long the tests take, by suite, and which are the slowest
	$(PYTEST) -q --durations=20 --junit-xml=.pytest_cache/times.xml
	$(BIN)/python scripts/test-times.py .pytest_cache/times.xml

startup-times: system $(GUI) ## Tell how long importing and opening the Segment dock take
	scripts/with-display.sh $(BIN)/python scripts/startup-times.py

docs: $(DEV) ## Build the pages as a site in site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-pictures: system $(GUI) ## Take the pictures of the documentation again
	DATA=$(DATA) scripts/with-display.sh $(BIN)/python scripts/docs-pictures.py

package-check: system $(DEV) ## Build the package, install it into an empty environment and run the demo there
	scripts/check-package.sh $(BIN)/python

clean: ## Remove the virtual environment and what the tools leave behind
	rm -rf $(VENV) build dist demo site .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

system:
	@scripts/setup-system.sh

$(GUI): $(SETUP_FILES)
	scripts/setup-venv.sh $(VENV) gui
	@touch $@

$(DEV): $(SETUP_FILES)
	scripts/setup-venv.sh $(VENV) gui,dev,docs
	@touch $(GUI) $@
