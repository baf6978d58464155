# `make demo` and `make test` do all set-up by themselves and end by themselves, with or
# without a display.

.DEFAULT_GOAL := help
.NOTPARALLEL:

# Where the virtual environment goes.
VENV ?= .venv
BIN := $(VENV)/bin
# Tests run in so many processes, each with one thread and windows of its own.
PROCESSES ?= 2

# The set-up is done again only when one of these changed.
SETUP_FILES := pyproject.toml setup.cfg constraints.txt scripts/setup-venv.sh
# Each stamp records a finished installation of the extras in its name.
GUI := $(VENV)/.installed-gui
DEV := $(VENV)/.installed-gui-dev

.PHONY: help demo test lint format system clean docs-pictures

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: system $(GUI) ## Segment a sample image with the model `nuclei`; the pictures go to demo/
	scripts/with-display.sh $(BIN)/napari-pea demo

test: system lint ## Check everything: ruff, mypy, pytest
	OMP_NUM_THREADS=1 scripts/with-display.sh $(BIN)/pytest -n $(PROCESSES) --dist loadfile

lint: $(DEV) ## Check style and types only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(DEV) ## Mend the style of the code where a tool can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs-pictures: system $(GUI) ## Take the pictures of the documentation again
	scripts/with-display.sh $(BIN)/python scripts/docs-pictures.py

clean: ## Remove the virtual environment and what the tools leave behind
	rm -rf $(VENV) build dist demo .hypothesis .mypy_cache .pytest_cache .ruff_cache

system:
	@scripts/setup-system.sh

$(GUI): $(SETUP_FILES)
	scripts/setup-venv.sh $(VENV) gui
	@touch $@

$(DEV): $(SETUP_FILES)
	scripts/setup-venv.sh $(VENV) gui,dev
	@touch $(GUI) $@
