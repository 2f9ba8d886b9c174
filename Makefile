# Every target makes its own environment; nothing has to be set up by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: demo test lint bench bench-heatmaps clean

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dicom,fast,slicer,training,test]"
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/sscild demo -o demo-output

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(STAMP)
	$(BIN)/python Testing/Benchmarks/run.py

# Against the published loop, MONAI and Captum, in one run; OPTIONS=--quick takes some minutes.
bench-heatmaps: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt ".[bench]"
	$(BIN)/python Testing/Benchmarks/bench_heatmaps.py $(OPTIONS)

clean:
	rm -rf $(VENV) demo-output bench-output build
