#!/usr/bin/env bash
# nanoGPT's setting for a CPU (README there: 4 layers, 4 heads, width 128, context 64, batch 12, 2,000 steps, no dropout, GELU), three seeds,
# on nanoGPT's own validation part: `scripts/nanogpt.sh [FOLDER_WITH_shakespeare/input.txt]`. Prints the validation losses; nanoGPT gives 1.88.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
data=${1:+dataset.root=$(realpath "$1")}
cd "$work"
"$root/.venv/bin/actbench" sweep dataset=shakespeare $data dataset.split=nanogpt architecture=decoder activation=gelu 'seed=0,1,2' \
  training.steps=2000 training.batch_size=12 training.clip_norm=1.0 training.measure_every=0 \
  optimizer=adamw optimizer.lr=0.001 'optimizer.betas=[0.9,0.99]' optimizer.weight_decay=0.1
"$root/.venv/bin/python" -c "
import pandas
runs = pandas.read_csv('results/sweep/runs.csv')
print(runs[['seed', 'val_loss', 'seconds']].to_string(index=False), 'mean validation loss', round(runs.val_loss.mean(), 3), sep='\n')"
