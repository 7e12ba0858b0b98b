# The course's verbs. Each is one line that calls a tool; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3

# An active environment is used; without one, .venv is made.
ENV := $(or $(VIRTUAL_ENV),$(CONDA_PREFIX),$(CURDIR)/.venv)
PY := $(ENV)/bin/python
READY := $(ENV)/.vae-course-ready

# nbgrader calls alembic by name; the packages of this very checkout come first.
export PATH := $(ENV)/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/utils
# Waiting OpenMP threads: by default they spin long, which on busy cores slows everybody down tenfold; not to spin
# at all makes an epoch on an idle machine 1.7 times as long. A short spin loses little in either case (CONTRIBUTING.md, Speed).
export GOMP_SPINCOUNT := 1000
# The packages not to install with OWN_TORCH=1: see "Another build of PyTorch" in the README.
OWN := $(if $(OWN_TORCH),^(torch|torchvision|triton|nvidia-|cuda-),^$$)

.PHONY: help env data book pdf test check release bank due collect grade formgrader feedback export student-edition lock bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(READY) ## set up the environment (other verbs do it by themselves)

data: $(READY) ## find MNIST or download it, and say which data the course will use
	@$(PY) -m vaelab.data

book: $(READY) data ## build the book into _build/html
	@$(PY) -m coursekit book

pdf: $(READY) data ## print the whole book into one file, _build/vae-course.pdf (under a minute)
	@$(PY) -m coursekit pdf

test: $(READY) data ## build the book, run every test, page and exercise (FORCE=1: even if nothing changed)
	@$(PY) -m coursekit test $(if $(FORCE),--force)

check: $(READY) ## the quick tests only: a minute, no page is executed
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m pytest -q -m "not slow"

release: $(READY) ## make the student notebooks in exercises/ from solutions/ (NAME=ps2-kl: only that one)
	@$(PY) -m coursekit release $(NAME)

bank: $(READY) ## grade the right and wrong answers kept with the assignments, print the table (NAME=ps2-kl)
	@$(PY) -m coursekit.bank $(NAME)

due: $(READY) ## set when an assignment is due (NAME=ps2-kl WHEN="2026-12-01 23:59 Europe/Berlin")
	@$(PY) -m coursekit due $(NAME) $(if $(WHEN),"$(WHEN)")

collect: $(READY) ## take submissions from an LMS download (NAME=ps2-kl FROM=folder-or-zip; REPLACE=1: older ones too)
	@$(PY) -m coursekit collect $(NAME) "$(FROM)" $(if $(REPLACE),--replace)

grade: $(READY) ## grade what is not graded yet (NAME=ps2-kl; WORKERS=8, SCHEDULER=address, REQUIRE_SANDBOX=1, FORCE=1)
	@$(PY) -m coursekit grade $(NAME) $(if $(WORKERS),--workers $(WORKERS)) $(if $(SCHEDULER),--scheduler "$(SCHEDULER)") \
	  $(if $(REQUIRE_SANDBOX),--require-sandbox) $(if $(FORCE),--force)

formgrader: $(READY) ## open JupyterLab with nbgrader's formgrader, to mark the written answers
	@$(PY) -m coursekit formgrader

feedback: $(READY) ## write each student's feedback, and the picture of the class (NAME=ps2-kl)
	@$(PY) -m coursekit feedback $(NAME)

export: $(READY) ## write the grades to grading/grades.csv (NAME=ps2-kl: only that one; FORM=canvas or moodle)
	@$(PY) -m coursekit export $(NAME) $(if $(FORM),--form $(FORM))

student-edition: $(READY) ## make the course without its solutions: _build/vae-course-student.zip
	@$(PY) -m coursekit student-edition

lock: $(READY) ## make requirements.txt from pyproject.toml
	@$(PY) -m coursekit lock

bench: export GOMP_SPINCOUNT := 10000
bench: $(READY) ## measure the speed against its peers (NAME=classic, conv, batchnorm, quality: training; or grading)
	@$(PY) benchmarks/$(if $(filter grading,$(NAME)),grading.py,training.py $(NAME))

clean: ## remove what was built, never data, grades or the environment
	rm -rf _build

$(READY): requirements.txt pyproject.toml
	@$(if $(wildcard $(PY)),,echo "environment: making $(ENV)" && $(PYTHON) -m venv "$(ENV)")
	@"$(PY)" -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v < (3, 14) and f"environment: Python 3.11 to 3.13 is needed, {sys.executable} is {v[0]}.{v[1]}; set PYTHON=python3.11 or activate another environment")'
	@echo "environment: installing the locked packages into $(ENV) (about two minutes the first time)"
	@mkdir -p _build && grep -vE '$(OWN)' requirements.txt > _build/requirements.txt
	@"$(PY)" -m pip install --quiet --disable-pip-version-check -r _build/requirements.txt > _build/environment.log 2>&1 \
	  && "$(PY)" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . >> _build/environment.log 2>&1 \
	  || { tail -n 20 _build/environment.log; echo "environment: the installation failed; all of it is in _build/environment.log"; exit 1; }
	@touch "$(READY)"
