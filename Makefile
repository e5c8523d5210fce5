# make demo      the whole chain on the embedded base model, and a table of what was gained
# make test      the tests
# make dev       the Dagster UI (and MLflow's) on the same state
# make scenario NAME=order_return FAMILY=extraction      a folder to begin a scenario with
# make lint      ruff and mypy
# make install   the environment in .venv, which the others make themselves
# make clean     throws away what was made, models and their registry too; people's verdicts and paid LLM answers stay
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 3000

.PHONY: install demo test dev scenario lint clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; $(PYTHON) is `$(PYTHON) --version`. Try: make PYTHON=python3.11"; exit 1; }
	@echo "making $(VENV) and installing (a few minutes, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@# torch by its exact pin first: with it there, no other package pulls in a different build.
	@$(BIN)/python -m pip install --quiet "`grep '^torch==' constraints.txt`" -c constraints.txt
	@$(BIN)/python -m pip install --quiet -e '.[dev]' -c constraints.txt
	@touch $@

demo: install
	@$(BIN)/python -m cs_assets.demo

test: install
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

scenario: install
	@$(BIN)/python -m cs_assets.new_scenario "$(NAME)" --family "$(FAMILY)"

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

dev: install
	@mkdir -p data/out
	@# A server that is stopped while it makes its file could never use it.
	@[ -f data/out/mlflow.db ] || $(BIN)/python -c 'from resources.tracking import Tracking; Tracking(uri="sqlite:///data/out/mlflow.db").client()' \
	  2>data/out/mlflow.log
	@# The port stands in the links that the assets keep (resources/tracking.py).
	@MLFLOW_DISABLE_TELEMETRY=true $(BIN)/mlflow server --host 127.0.0.1 --port 5000 \
	  --backend-store-uri sqlite:///data/out/mlflow.db --default-artifact-root data/out/mlflow-artifacts >data/out/mlflow.log 2>&1 & \
	pid=$$!; trap "kill $$pid 2>/dev/null" EXIT INT TERM; \
	DAGSTER_HOME="$(CURDIR)" PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dagster dev --host 127.0.0.1 --port $(PORT)

clean:
	@if [ -d data/out ]; then find data/out -mindepth 1 -maxdepth 1 ! -name 'llm.sqlite*' ! -name reviews -exec rm -rf {} +; fi
