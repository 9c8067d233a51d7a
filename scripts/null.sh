#!/usr/bin/env bash
# The A/A comparison of results/reference/null.md: 200 real runs of ReLU on digits, dealt to names that do not differ.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && "$root/.venv/bin/actbench" sweep architecture=mlp_small training.steps=150 optimizer.lr=0.01 'seed=range(0,200)' >&2)
"$root/.venv/bin/python" "$root/scripts/null.py" "$work/results/sweep/runs.csv" | tee "$root/results/reference/null.md"
