# make demo                            an object from a prompt, in minutes on two CPU cores
# make demo PROMPT="a green torus"
# make test | lint                     the whole suite | ruff and mypy
# make pocket | pocket-report          train the small CLIPs anew, to runs/pocket | measure what they guide
# make gallery                         the three fields side by side on eight prompts, to docs/gallery
#
# The environment is made once and again only when a file that describes it changes.
# PYTHON picks the interpreter (3.11 or newer), PIP_ARGS is handed to every pip install,
# TEST_ARGS to pytest, POCKET_ARGS to the two pocket commands, GALLERY_ARGS to the gallery.

PYTHON ?= python3
VENV ?= .venv
CONFIG ?= configs/demo.py
PROMPT ?= a red sphere
PIP_ARGS ?=
TEST_ARGS ?=
POCKET_ARGS ?=
GALLERY_ARGS ?=

RUN := $(VENV)/bin/python
# As an environment variable the prompt reaches the shell whole, quotes and all.
export PROMPT

.DELETE_ON_ERROR:
.PHONY: demo test lint pocket pocket-report gallery

demo: $(VENV)/.runtime
	@$(RUN) -m voxjax.train --config=$(CONFIG) --config.prompt="$$PROMPT"

test: $(VENV)/.tools
	@$(RUN) -m pytest $(TEST_ARGS)

lint: $(VENV)/.tools
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

pocket: $(VENV)/.runtime
	@$(RUN) -m voxjax.guidance.pocket.train --model=pocket $(POCKET_ARGS)
	@$(RUN) -m voxjax.guidance.pocket.train --model=pocket-eval $(POCKET_ARGS)

pocket-report: $(VENV)/.runtime
	@$(RUN) -m launch.pocket_report $(POCKET_ARGS)

gallery: $(VENV)/.runtime
	@$(RUN) -m launch.gallery $(GALLERY_ARGS)

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'voxjax needs Python 3.11 or newer; name one: make PYTHON=python3.12' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt | $(RUN)
	$(RUN) -m pip install --quiet $(PIP_ARGS) -r requirements.txt
	@touch $@

# The tools are listed once, in pyproject.toml.
$(VENV)/.tools: pyproject.toml $(VENV)/.runtime
	$(RUN) -m pip install --quiet $(PIP_ARGS) --editable '.[test,lint]'
	@touch $@
