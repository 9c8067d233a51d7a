#!/usr/bin/env bash
# Builds the wheel, installs it into an empty environment of each Python that is named (python3.11, a path, ...) and as a
# tool of uv, and runs quickstart there, outside the checkout:  scripts/wheel.sh FOLDER PYTHON...
# FOLDER gets the wheel, the environments and the results; the scores of all Pythons are compared at the end.
set -euo pipefail
folder=$(realpath -m "$1"); shift
cd "$(dirname "$0")/.."
uv=$(realpath .venv/bin/uv)
mkdir -p "$folder"
"$uv" build --quiet --out-dir "$folder/dist" .
wheel=$(ls -t "$folder"/dist/*.whl | head -1)
run_in() { # FOLDER PROGRAM: quickstart in an empty folder
  mkdir -p "$1"
  (cd "$1" && "$2" --version && "$2" compare > compare.log 2>&1 && tail -1 compare.log)
}
for python in "$@"; do
  version=$("$python" -c 'import platform; print(platform.python_version())')
  echo "Python $version"
  "$uv" venv --quiet --clear --python "$python" "$folder/$version/venv"
  "$uv" pip install --quiet --python "$folder/$version/venv/bin/python" "$wheel"
  run_in "$folder/$version/run" "$folder/$version/venv/bin/actbench"
  sha256sum "$folder/$version/run/results/quickstart/scores.csv"
done
echo 'uv tool install'
UV_TOOL_DIR="$folder/tools" UV_TOOL_BIN_DIR="$folder/bin" "$uv" tool install --quiet --python "$1" "$wheel"
mkdir -p "$folder/tool"
(cd "$folder/tool" && "$folder/bin/actbench" --version &&
  "$folder/bin/actbench" sweep architecture=mlp_small activation=relu,gelu training.steps=60 | tail -1)
