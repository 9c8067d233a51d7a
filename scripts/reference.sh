#!/usr/bin/env bash
# Makes results/reference/EXPERIMENT anew: `scripts/reference.sh quickstart`. Trains everything from an empty store.
set -euo pipefail
experiment=${1:?usage: scripts/reference.sh EXPERIMENT}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && "$root/.venv/bin/actbench" compare "$experiment")
target=$root/results/reference/$experiment
mkdir -p "$target"
rm -rf "$target"/*
mkdir -p "$target/figures"
cp "$work/results/$experiment/"{report.md,runs.csv,environment.json} "$target/"
cp "$work/results/$experiment/figures/"*.svg "$target/figures/"
echo "$target"
