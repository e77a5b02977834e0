# make demo                            an object from a prompt, in minutes on two CPU cores
# make demo PROMPT="a jack o lantern"
# make test | test-all | lint          the suite | with what is slow and rarely breaks | ruff and mypy
# make test-all-pythons                the suite under every Python of PYTHONS that is there
# make parity                          CLIPs and the benchmarks' peer against PyTorch; writes docs/parity.md
# make pocket | pocket-report          train the small CLIPs anew, to runs/pocket | measure what they guide
# make picturebook                     train the small CLIPs that know things, to runs/picturebook
# make things                          forty things under them, by three fields, named by a judge, to docs/things
# make gallery                         the three fields side by side on ten of them, to docs/gallery
# make primitives                      the same on eight primitives, whose shapes are known, to docs/primitives
#
# The environment is made once and again only when a file that describes it changes.
# PYTHON picks the interpreter (3.11 or newer), PIP_ARGS is handed to every pip install, TEST_JOBS is how many
# tests run side by side, TEST_ARGS goes to pytest, POCKET_ARGS to the two pocket commands, PICTUREBOOK_ARGS to
# those of make picturebook (PICTUREBOOK_ARGS="--minutes=150 --without=openmoji"), THINGS_ARGS to the things and
# the gallery, PRIMITIVES_ARGS to the primitives, PARITY_ARGS to the parity command. make parity installs PyTorch,
# in an environment of its own; on Linux that is gigabytes of CUDA unless PIP_ARGS names a place with builds for
# the CPU.

PYTHON ?= python3
PYTHONS ?= python3.11 python3.12 python3.13
VENV ?= .venv
CONFIG ?= configs/demo.py
PROMPT ?= a strawberry
PIP_ARGS ?=
TEST_ARGS ?=
TEST_JOBS ?= 2
POCKET_ARGS ?=
PICTUREBOOK_ARGS ?=
PICTUREBOOK_CACHE ?= runs/picturebook/cache
THINGS_ARGS ?=
PRIMITIVES_ARGS ?=
PARITY_ARGS ?=
PARITY_VENV ?= .venv-parity

RUN := $(VENV)/bin/python
CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || { echo 'voxjax needs Python 3.11 or newer; name one: make PYTHON=python3.12' >&2; exit 2; }
# As an environment variable the prompt reaches the shell whole, quotes and all.
export PROMPT

.DELETE_ON_ERROR:
.PHONY: demo test test-all test-all-pythons lint parity pocket pocket-report picturebook picturebook-guide picturebook-judge things gallery primitives

demo: $(VENV)/.runtime
	@$(RUN) -m voxjax.make --config=$(CONFIG) -- "$$PROMPT"

test: $(VENV)/.tools
	@$(RUN) -m pytest -m "not slow" -n $(TEST_JOBS) --dist loadfile $(TEST_ARGS)

test-all: $(VENV)/.tools
	@$(RUN) -m pytest -n $(TEST_JOBS) --dist loadfile $(TEST_ARGS)

# Each in an environment of its own; one that is not installed is named and passed over.
test-all-pythons:
	@for python in $(PYTHONS); do \
	  if $$python -c '' 2>/dev/null; then \
	    echo "== $$($$python --version)"; \
	    $(MAKE) --no-print-directory test-all PYTHON=$$python VENV=$(VENV)-$$(basename $$python) || exit 1; \
	  else echo "== $$python is not here: left out"; fi; \
	done

lint: $(VENV)/.tools
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

parity: $(PARITY_VENV)/.ready
	@PYTHONPATH=tests $(PARITY_VENV)/bin/python -m parity $(PARITY_ARGS)

pocket: $(VENV)/.runtime
	@$(RUN) -m voxjax.pocket.train --model=pocket $(POCKET_ARGS)
	@$(RUN) -m voxjax.pocket.train --model=pocket-eval $(POCKET_ARGS)

pocket-report: $(VENV)/.runtime
	@$(RUN) -m launch.pocket_report $(POCKET_ARGS)

# Fetched and rendered first, once for both; then both are trained side by side, each on a core of its own.
# Where it was cut off it goes on: give the same command again.
picturebook: $(VENV)/.picturebook
	@$(RUN) -m voxjax.picturebook.train --cache=$(PICTUREBOOK_CACHE) $(PICTUREBOOK_ARGS)
	@XLA_PYTHON_CLIENT_PREALLOCATE=false $(MAKE) --no-print-directory -j2 picturebook-guide picturebook-judge

picturebook-guide picturebook-judge: $(VENV)/.picturebook
	@$(RUN) -m voxjax.picturebook.train --cache=$(PICTUREBOOK_CACHE) $(PICTUREBOOK_ARGS) \
	  $(if $(findstring guide,$@),--model=picturebook --core=0,--model=picturebook-eval --core=1)

things: $(VENV)/.runtime
	@$(RUN) -m launch.things $(THINGS_ARGS)

gallery: $(VENV)/.runtime
	@$(RUN) -m launch.things --prompts=launch/gallery_prompts.txt --seeds=1 --runs=runs/gallery --out=docs/gallery \
	  $(THINGS_ARGS)

primitives: $(VENV)/.runtime
	@$(RUN) -m launch.primitives $(PRIMITIVES_ARGS)

$(RUN):
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv $(VENV)

# With the command itself and the viewer, so that all that the README shows after the demo is there.
$(VENV)/.runtime: requirements.txt pyproject.toml | $(RUN)
	$(RUN) -m pip install --quiet $(PIP_ARGS) -r requirements.txt --editable '.[view]'
	@touch $@

# The tools are listed once, in pyproject.toml.
$(VENV)/.tools: pyproject.toml $(VENV)/.runtime
	$(RUN) -m pip install --quiet $(PIP_ARGS) --editable '.[test,lint]'
	@touch $@

$(VENV)/.picturebook: pyproject.toml $(VENV)/.runtime
	$(RUN) -m pip install --quiet $(PIP_ARGS) --editable '.[picturebook]'
	@touch $@

# Apart from the rest, as transformers imports PyTorch wherever it finds it. Of open_clip only the modules
# that define its models are imported, which need none of what the package asks for besides PyTorch.
$(PARITY_VENV)/.ready: pyproject.toml requirements.txt
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv $(PARITY_VENV)
	$(PARITY_VENV)/bin/python -m pip install --quiet $(PIP_ARGS) -r requirements.txt
	$(PARITY_VENV)/bin/python -m pip install --quiet $(PIP_ARGS) --editable '.[parity]'
	$(PARITY_VENV)/bin/python -m pip install --quiet $(PIP_ARGS) --no-deps 'open_clip_torch>=3.3,<4'
	@touch $@
