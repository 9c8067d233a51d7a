#!/usr/bin/env bash
# Tests and measures actbench on a CUDA machine, within ten minutes and without a network; writes
# results/benchmarks/gpu.md.
#   scripts/gpu.sh [--root MNIST_FOLDER]           with the python3 of the PATH, or $PYTHON
#   WHEELS=DIR scripts/gpu.sh ...                  packages that it lacks are installed from the wheels in DIR, into an
#                                                  environment of their own
#   scripts/gpu.sh --device cpu --tiny             every part on the CPU in small sizes; prints its table, writes nothing
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
export PYTHONPATH=$root
if [ -n "${WHEELS:-}" ]; then
  environment=$(mktemp -d)
  trap 'rm -rf "$environment"' EXIT
  "$python" -m venv --system-site-packages "$environment"
  missing=$("$python" "$root/scripts/gpu.py" --missing)
  python=$environment/bin/python
  # shellcheck disable=SC2086 # one word for each package
  if [ -n "$missing" ]; then "$python" -m pip install --quiet --no-index --find-links "$WHEELS" $missing; fi
fi
"$python" "$root/scripts/gpu.py" "$@"
