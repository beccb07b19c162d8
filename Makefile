# Every target makes .venv, or refreshes it when pyproject.toml or constraints.txt
# changed, and does nothing about it (in well under a second) when they did not.

PYTHON     ?= python3
LAB_FLAGS  ?=
WORKERS    ?= 2
TIMES      ?= 10
SEED       ?= 0
DRAW       ?= 500

VENV  := .venv
READY := $(VENV)/.ready
RUN   := $(VENV)/bin/python -m
# Kernels and tools are looked up on PATH. It is set only where they run: the Python
# that makes .venv must never be the one inside it.
WITH  := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" JUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter"
# What changes JupyterLab, or is seldom wanted, stands beside .venv and sees into it.
BESIDE := build/beside
MUTMUT = $(ALONE) CI=true MINIHYENA_SHARED="$(CURDIR)/../shared" \
  $(BESIDE)/mutmut/bin/python -m mutmut run --max-children $(WORKERS)
SCORE := $(BESIDE)/mutmut/bin/python tests/mutation_score.py
WITH_NBGRADER := PATH="$(CURDIR)/$(BESIDE)/nbgrader/bin:$$PATH" \
  JUPYTER_PATH="$(CURDIR)/$(VENV)/share/jupyter"
# Two workers of one thread each fill two cores; two of two threads each would wait for
# one another most of the time.
ALONE := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
SUPPORTED := 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'

# .ready says where .venv was made: one that was moved or copied still points there.
MADE_IN := $(shell cat $(READY) 2>/dev/null)
ifneq ($(MADE_IN),$(CURDIR))
.PHONY: $(READY)
endif

.PHONY: help lab test check notebooks site walk
.PHONY: properties mutants package kills growth waits clean
.DEFAULT_GOAL := help

help:
	@echo 'make lab        open JupyterLab on the first notebook'
	@echo 'make test       unit tests, every notebook, and the browser where there is one'
	@echo 'make check      ruff on code and notebooks, mypy --strict on the package'
	@echo 'make notebooks  run, clean and write every notebook (names: NB="00 09")'
	@echo 'make site       a web site of them all, to read offline: build/site/index.html'
	@echo 'make walk       run them with no answer, with wrong and with right ones'
	@echo 'make properties every property on TIMES=10 times as many examples, SEED=0'
	@echo 'make mutants    break the core, and DRAW=500 times a check, on purpose; for hours'
	@echo 'make package    wheel and sdist, tried in an empty environment elsewhere'
	@echo 'make kills      kill training 50 times, resume it, and compare'
	@echo 'make growth     memory, threads and widgets over 10,000 steps, 20,000 tokens'
	@echo 'make waits      how long a learner waits for an import, a check, a picture'
	@echo 'make clean      remove all that was made here; downloaded texts stay'
	@echo
	@echo 'Another Python:   make lab PYTHON=python3.12'
	@echo 'Options for Lab:  make lab LAB_FLAGS="--no-browser --port=8890"'

$(READY): pyproject.toml constraints.txt
	@if [ "$(MADE_IN)" = "$(CURDIR)" ] || [ -z "$(MADE_IN)" ] \
	  && $(VENV)/bin/python -c $(SUPPORTED) 2>/dev/null; then exit 0; fi; \
	$(PYTHON) -c $(SUPPORTED) 2>/dev/null || { \
	  echo 'minihyena needs Python 3.11, 3.12 or 3.13; "$(PYTHON)" is' \
	    "$$($(PYTHON) --version 2>&1 | head -n 1)." >&2; \
	  echo 'Name one that is installed: make $(MAKECMDGOALS) PYTHON=python3.12' >&2; \
	  exit 1; }; \
	$(PYTHON) -m venv --clear $(VENV) || { \
	  rm -rf $(VENV); \
	  echo '"$(PYTHON)" cannot make a virtual environment.' >&2; \
	  echo 'On Debian or Ubuntu: sudo apt-get install python3-venv' >&2; \
	  exit 1; }
	@echo 'Installing into $(VENV); the first time this takes minutes, and gigabytes: see README.'
	@$(RUN) pip install --quiet --disable-pip-version-check \
	  -c constraints.txt -e '.[lab,test]'
	@echo '$(CURDIR)' > $@

lab: $(READY)
	$(WITH) $(RUN) jupyterlab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb \
	  $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_FLAGS)

$(BESIDE)/%/.ready: $(READY)
	@$(VENV)/bin/python -m venv --clear $(@D)
	@$(VENV)/bin/python -c 'import sysconfig; print("import site;", \
	  "site.addsitedir(%r)" % sysconfig.get_path("purelib"))' > $(@D)/course.pth
	@mv $(@D)/course.pth "$$($(@D)/bin/python -c \
	  'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt $*
	@touch $@

test: $(READY) $(BESIDE)/nbgrader/.ready
	$(WITH) $(ALONE) $(RUN) pytest tests --ignore=tests/browser --ignore=tests/with_nbgrader \
	  -n $(WORKERS) --dist worksteal
	$(WITH) $(ALONE) $(RUN) pytest notebooks --nbval --nbval-current-env \
	  --nbval-cell-timeout=120 --nbval-sanitize-with tests/nbval.cfg \
	  -n $(WORKERS) --dist loadfile
	$(WITH) $(ALONE) $(RUN) pytest tests/browser -n $(WORKERS)
	$(WITH_NBGRADER) $(ALONE) $(BESIDE)/nbgrader/bin/python -m pytest tests/with_nbgrader

check: $(READY)
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy --strict minihyena

notebooks: $(READY)
	$(WITH) $(ALONE) $(VENV)/bin/python notebooks/publish.py $(NB)

site: $(READY)
	$(WITH) $(ALONE) PYTHONPATH=notebooks $(RUN) website.build $(NB)

properties: $(READY)
	@mkdir -p build
	@$(WITH) $(ALONE) MINIHYENA_EXAMPLES=$(TIMES) $(RUN) pytest tests -m hypothesis \
	  --ignore=tests/browser --ignore=tests/with_nbgrader -n $(WORKERS) \
	  --hypothesis-seed=$(SEED) --hypothesis-show-statistics > build/properties.log; \
	  failed=$$?; tail -n 1 build/properties.log; \
	  sed -n 's/.* \([0-9]*\) passing, .*/\1/p' build/properties.log | \
	  awk '{ n += $$1 } END { print n " examples passed, seed $(SEED)" }'; exit $$failed

mutants: $(BESIDE)/mutmut/.ready
	$(MUTMUT) 'minihyena.[!l]*'
	names=$$($(SCORE) --draw $(DRAW) --seed $(SEED)); \
	  [ -z "$$names" ] || $(MUTMUT) $$names
	$(SCORE)

package: $(READY)
	@rm -rf dist
	@$(RUN) build --outdir dist
	$(VENV)/bin/python tests/try_package.py dist/*.whl $(PYTHON)

kills: $(READY)
	$(WITH) $(ALONE) $(VENV)/bin/python tests/kill_and_resume.py

walk: $(READY)
	$(WITH) $(ALONE) PYTHONPATH=notebooks $(VENV)/bin/python \
	  tests/walk_as_newcomer.py $(NB)

growth: $(READY)
	$(WITH) $(ALONE) $(VENV)/bin/python tests/measure_growth.py

waits: $(READY)
	$(WITH) $(VENV)/bin/python tests/measure_waits.py

clean:
	rm -rf $(VENV) build dist mutants runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -prune -exec rm -rf {} +
