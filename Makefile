# Every target sets itself up: only Python 3.11+ and make are needed.
.DEFAULT_GOAL := help

PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3 python,\
	$(if $(shell $(p) -c 'import sys; print(1 if sys.version_info >= (3, 11) else "")' 2>/dev/null),$(p))))
VENV ?= .venv
BIN := $(VENV)/bin
# MLX has Metal of its own on macOS; on Linux exactly one back end is chosen by an extra.
BACKEND ?= $(if $(filter Linux,$(shell uname -s)),cpu,)
comma := ,
USE := $(VENV)/.use-$(if $(BACKEND),$(BACKEND),metal)
DEV := $(VENV)/.dev-$(if $(BACKEND),$(BACKEND),metal)

# uv installs in 10 seconds what takes pip two minutes; pip knows package indexes that uv is not told of.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
install = $(BIN)/uv pip install --quiet --python $(BIN)/python -e ".[$1$(if $(BACKEND),$(comma)$(BACKEND))]" \
	|| $(PIP) -e ".[$1$(if $(BACKEND),$(comma)$(BACKEND))]"

.PHONY: help demo test lint types unit bench bench-msl bench-predict bench-shortlist bench-twins bench-sessions bench-judge bench-sanitizer selftest soak-honest \
	soak-faults test-slow test-trainers accept docs chip-model clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: $(USE) ## search three ops, export a dataset, build a catalog wheel (about 3 minutes)
	$(BIN)/discover autorun runs/quick.toml

test: lint ## everything CI runs
	@$(MAKE) --no-print-directory -j 2 types unit

lint: $(DEV) ## ruff and the import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

# Its workers must answer within seconds, or it ends with 2: so a busy machine checks in one process.
types: $(DEV) ## mypy --strict
	$(BIN)/mypy || { [ $$? -eq 2 ] && $(BIN)/mypy --num-workers 0; }

unit: $(DEV) ## pytest, warnings as errors
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

bench: $(DEV) ## evaluations per second, warm build, A/A, by stage
	$(BIN)/python tests/bench/bench_judge.py
	$(BIN)/python tests/bench/bench_msl.py

bench-msl: $(DEV) ## builds and op ratios of the cpu engine
	$(BIN)/python tests/bench/bench_msl.py

bench-predict: $(DEV) ## what a prediction costs beside judging, cold and known
	$(BIN)/python tests/bench/bench_predict.py

bench-shortlist: $(DEV) ## a tenth of the timings, chosen by the chip model, against all; goes on where it stopped
	$(BIN)/python tests/bench/bench_shortlist.py --write docs/chip-model.md

bench-twins: $(DEV) ## twins of MLX's own loops read 0.8 to 1.25; on an idle machine
	$(BIN)/python tests/bench/bench_twins.py

bench-sessions: $(DEV) ## the same kernels in ten sessions: their intervals overlap; on an idle machine
	$(BIN)/python tests/bench/bench_sessions.py

bench-sanitizer: $(DEV) ## planted bugs caught, false alarms, slowdowns of the sanitizer
	$(BIN)/python tests/bench/bench_sanitizer.py

bench-judge: $(DEV) ## the judge by stage, and what each check costs
	$(BIN)/python tests/bench/bench_judge.py

selftest: $(DEV) ## every attack on the judge (5,600: hours), and the honest controls
	$(BIN)/foundry judge selftest

soak-honest: $(DEV) ## 2,000 honest kernels: at most 2 refused; goes on where it stopped
	$(BIN)/python tests/bench/soak_honest.py

soak-faults: $(DEV) ## 2,000 evaluations, 30 % of them faulty: no leak, little slower
	$(BIN)/pytest -q -s -m slow tests/judge/kernels/test_soak.py

test-slow: $(DEV) ## what make test leaves out: far sizes, families, a Mac's whole judge, every fallback
	$(BIN)/pytest -n 2 --dist worksteal -m slow --ignore tests/judge/kernels/test_soak.py

test-trainers: $(BIN)/uv ## the reward in the loops of TRL and verifiers, the views in TRL's trainers; downloads both, and torch (3 GB)
	for loop in trl verifiers; do \
		$(BIN)/uv venv -q --allow-existing --python $(BIN)/python $(VENV)-$$loop && \
		$(BIN)/uv pip install -q --python $(VENV)-$$loop/bin/python pytest pytest-timeout pytest-xdist \
			pytest-httpserver hypothesis $$loop -e ".[datasets$(if $(BACKEND),$(comma)$(BACKEND))]" && \
		$(VENV)-$$loop/bin/python -m pytest -n 0 -m slow tests/reward/test_$${loop}_loop.py || exit 1; \
	done
	$(VENV)-trl/bin/python -m pytest -n 0 -m slow tests/datasets/test_trl_views.py

accept: $(DEV) ## rewrite the golden files
	FOUNDRY_ACCEPT=1 $(BIN)/pytest -q -n 2 -m "not slow"

docs: $(DEV) ## regenerate docs/cli.md and docs/ops
	$(BIN)/python -m foundry.cli.reference
	$(BIN)/python -m foundry.report.family_pages

chip-model: $(DEV) ## refit the chip model, rewrite the tables of docs/chip-model.md
	$(BIN)/foundry chips fit -o foundry/chips/fitted.toml
	FOUNDRY_ACCEPT=1 $(BIN)/pytest -q tests/chips/test_accuracy.py

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it, or say make PYTHON=/path/to/python3.11" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)

$(BIN)/uv: | $(BIN)/python
	$(PIP) uv

$(USE): pyproject.toml | $(BIN)/uv
	$(call install,datasets)
	@touch $@

$(DEV): pyproject.toml | $(BIN)/uv
	$(call install,dev)
	@touch $@ $(USE)
