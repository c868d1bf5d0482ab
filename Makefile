# `make demo` and `make test` work from a bare checkout: they make .venv themselves and do nothing twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV = $(shell command -v uv || echo $(BIN)/uv)
DEMO := outputs/demo
PATIENTS ?= 700
SEED ?= 0
SECONDS ?= 600
FUZZ := outputs/fuzz

.PHONY: help env demo test test-all lint fuzz lock clean-demo

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

env: $(STAMP)  ## the Python environment in .venv

$(STAMP): pyproject.toml requirements.lock
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null || $(BIN)/python -m pip install --quiet uv
	$(UV) pip install --quiet --python $(BIN)/python -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $(STAMP)

demo: $(STAMP)  ## cohort, training, evaluation, INT8, inference and reports, in minutes on two cores
	@rm -rf $(DEMO)/run $(DEMO)/evaluation $(DEMO)/reports
	$(BIN)/radvit phantom $(DEMO)/phantom/cohort --patients $(PATIENTS) --seed $(SEED) --small
	$(BIN)/radvit phantom $(DEMO)/phantom/unseen --patients 12 --seed 1000$(SEED) --small
	$(BIN)/python train.py experiment=phantom_nodule seed=$(SEED) hydra.run.dir=$(DEMO)/run \
		data.path=$(DEMO)/phantom/cohort/dicom data.truth=$(DEMO)/phantom/cohort/truth.json data.cache=$(DEMO)/cache
	$(BIN)/python evaluate.py checkpoint=$(DEMO)/run quantize=int8 output=$(DEMO)/evaluation
	$(BIN)/python infer.py checkpoint=$(DEMO)/run input=$(DEMO)/phantom/unseen/dicom output=$(DEMO)/reports precision=auto \
		report.forms=$$($(BIN)/python -m radvit.demo --forms)
	@$(BIN)/python -m radvit.demo $(DEMO)

lint: $(STAMP)  ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint  ## linters, types, layers and the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "not slow and not forks"
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "forks and not slow" tests/run

test-all: lint  ## the same with the slow tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "not forks"
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m forks tests/run

fuzz: $(STAMP)  ## mutated DICOM files against the reader for SECONDS: no escape, no hang, no more than 512 MB
	OMP_NUM_THREADS=1 $(BIN)/python tests/fuzz/fuzz_dicom.py $(FUZZ)/corpus $(FUZZ)/found \
		-max_total_time=$(SECONDS) -timeout=20 -rss_limit_mb=512 -max_len=131072 -print_final_stats=1

lock:  ## resolve the newest versions that pyproject.toml allows into requirements.lock
	$(UV) pip compile pyproject.toml --extra dev --no-annotate --no-header --quiet --output-file requirements.lock

clean-demo:  ## forget the demo's results
	rm -rf $(DEMO)
