#!/usr/bin/env bash
# What recurrent networks must be able to learn: MNIST row by row in a GRU, at least 97.5 % in five epochs, and the adding problem of
# length 50 in an LSTM, a mean squared error below 0.01 (always guessing 1 gives 1/6): `scripts/recurrent.sh [MNIST_FOLDER]`.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
data=${1:+dataset.root=$(realpath "$1")}
cd "$work"
"$root/.venv/bin/actbench" sweep dataset=mnist $data architecture=gru activation=tanh seed=0,1 training.epochs=5 training.measure_every=0 \
  optimizer.lr=0.003
"$root/.venv/bin/python" -c "
import pandas
print(pandas.read_csv('results/sweep/runs.csv')[['seed', 'test_accuracy', 'seconds']].to_string(index=False))"
"$root/.venv/bin/actbench" sweep dataset=adding dataset.length=50 architecture=lstm architecture.forget_bias=1 activation=tanh seed=0,1 \
  training.steps=3000 training.measure_every=0 training.clip_norm=1.0 optimizer.lr=0.003
"$root/.venv/bin/python" -c "
import pandas
print(pandas.read_csv('results/sweep/runs.csv')[['seed', 'test_loss', 'score', 'steps_to_target', 'seconds']].to_string(index=False))"
