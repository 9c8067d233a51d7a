#!/usr/bin/env bash
# Makes results/reference/EXPERIMENT, or FOLDER, anew from an empty store: `scripts/reference.sh quickstart`.
# Overrides may follow: `scripts/reference.sh mnist results/reference/mnist dataset.root=DIR`.
set -euo pipefail
experiment=${1:?usage: scripts/reference.sh EXPERIMENT [FOLDER] [OVERRIDE...]}
root=$(cd "$(dirname "$0")/.." && pwd)
target=$root/${2:-results/reference/$experiment}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && "$root/.venv/bin/actbench" compare "$experiment" "${@:3}")
mkdir -p "$target/figures"
rm -rf "${target:?}"/*
mkdir -p "$target/figures"
made=$work/results/$experiment
for file in report.md runs.csv costs.csv verdicts.csv environment.json; do
  if [ -f "$made/$file" ]; then cp "$made/$file" "$target/"; fi
done
cp "$made/figures/"*.svg "$target/figures/"
echo "$target"
