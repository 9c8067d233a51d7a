# Two commands do everything on a fresh machine with Python 3.11 to 3.13: `make compare` and `make test`.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup compare test test-all docs benchmark format lock clean

setup: $(READY)

# The first Python that Hydra 1.3 runs on and that can make environments.
$(READY): requirements.lock pyproject.toml
	@set -e; \
	for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
	  then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'actbench needs Python 3.11, 3.12 or 3.13 with venv; name one: make setup PYTHON=/path/to/python3.12' >&2; exit 2; \
	fi; \
	test -x $(BIN)/python || $$found -m venv $(VENV)
	@awk '/^uv==/ {own = 1; print; next} /^[^ ]/ {own = 0} own' requirements.lock > $(VENV)/uv.lock.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.lock.txt
	@echo 'installing the packages of requirements.lock into $(VENV) (about 6 GB with torch)'
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(READY)

# The main job: compare activations on the embedded digits.
compare: setup
	$(BIN)/actbench compare

# The one gate, the same for everyone: format, lint, types, tests.
test: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow'

# The tests that take minutes: faults, clusters, browsers.
test-all: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

# The documentation as HTML in docs/_build; a warning is an error, and its code blocks are run.
docs: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r docs/requirements.lock
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build
	$(BIN)/python docs/blocks.py

# Sweeps against hand-written loops, about an hour on two cores:
#   make benchmark MNIST=/path/to/mnist TEMPLATE=/path/to/lightning-hydra-template
# TEMPLATE: a clone of it, with which sweeps are compared with it too.
benchmark: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-build-isolation --editable '.[benchmark]'
	$(BIN)/python scripts/benchmark_step.py $(if $(MNIST),--root $(MNIST))
	$(BIN)/python scripts/benchmark_throughput.py --roofline $(if $(MNIST),--root $(MNIST)) \
	  $(if $(TEMPLATE),--template $(TEMPLATE))

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Renew requirements.lock; it names versions and hashes, and no index.
lock: setup
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --upgrade --extra dev pyproject.toml \
	  -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --upgrade --constraint requirements.lock docs/requirements.in \
	  -o docs/requirements.lock

clean:
	rm -rf $(VENV) build dist docs/made docs/_build .mypy_cache .pytest_cache .ruff_cache
