#!/usr/bin/env bash
# How often a comparison is wrong: results/reference/calibration.md, from a bank of 43,200 runs on digits (an hour and a half on two
# cores). `scripts/calibration.sh FOLDER` keeps the bank in FOLDER; another call with it trains only what is missing.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=$root/.venv/bin/python
bank=${1:-$(mktemp -d)}
cores=$(nproc)
for architecture in mlp_small cnn_small; do
  parts=()
  for ((part = 0; part < cores; part++)); do
    "$python" "$root/scripts/calibration_bank.py" "$architecture" "$bank" --seeds "${SEEDS:-360}" --part "$part/$cores" &
    parts+=($!)
  done
  for part in "${parts[@]}"; do wait "$part"; done
done
"$python" "$root/scripts/calibration.py" "$bank" > "$bank/calibration.md"
mv "$bank/calibration.md" "$root/results/reference/calibration.md"
