#!/usr/bin/env bash
# Tests and measures actbench on a CUDA machine, within ten minutes and without a network; writes
# results/benchmarks/gpu.md.
#   scripts/gpu.sh [--root MNIST_FOLDER]           with the python3 of the PATH, or $PYTHON
#   WHEELS=DIR scripts/gpu.sh ...                  packages that it lacks are installed from the wheels in DIR, into a
#                                                  temporary folder
#   scripts/gpu.sh --device cpu --tiny             every part on the CPU in small sizes; prints its table, writes nothing
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
export PYTHONPATH=$root
if [ -n "${WHEELS:-}" ]; then
  read -ra missing <<<"$("$python" "$root/scripts/gpu.py" --missing)"
  if [ ${#missing[@]} -gt 0 ]; then
    packages=$(mktemp -d)
    trap 'rm -rf "$packages"' EXIT
    "$python" -m pip install --quiet --no-index --find-links "$WHEELS" --prefix "$packages" "${missing[@]}"
    PYTHONPATH=$root:$(find "$packages" -type d \( -name site-packages -o -name dist-packages \) | paste -sd:)
  fi
fi
"$python" "$root/scripts/gpu.py" "$@"
