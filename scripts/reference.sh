#!/usr/bin/env bash
# Makes results/reference/EXPERIMENT, or FOLDER, anew from an empty store: `scripts/reference.sh quickstart`.
# `DATA=DIR scripts/reference.sh mnist` takes its images from DIR; overrides may follow FOLDER. `STORES=DIR` keeps the
# store there: another call with it trains nothing, and writes the report anew.
set -euo pipefail
experiment=${1:?usage: scripts/reference.sh EXPERIMENT [FOLDER [OVERRIDES]]}
root=$(cd "$(dirname "$0")/.." && pwd)
target=$root/${2:-results/reference/$experiment}
if [ -n "${STORES:-}" ]; then
  work=$STORES/$experiment
  mkdir -p "$work"
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
if [ -n "${DATA:-}" ]; then ln -sfn "$(realpath "$DATA")" "$work/data"; fi  # the report names no folder of this machine
(cd "$work" && "$root/.venv/bin/actbench" compare "$experiment" "${@:3}" ${DATA:+dataset.root=data})
rm -rf "${target:?}"/*
mkdir -p "$target/figures"
made=$work/results/$experiment
for file in report.md answer.json runs.csv scores.csv costs.csv verdicts.csv environment.json; do
  if [ -f "$made/$file" ]; then cp "$made/$file" "$target/"; fi
done
find "$made" -name examples.parquet -size +8k -exec cp {} "$target/" \;  # empty where each run draws its test set
cp "$made/figures/"*.svg "$target/figures/"
echo "$target"
