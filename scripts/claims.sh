#!/usr/bin/env bash
# Tests the field's claims: every experiment with hypotheses, then the table of all verdicts.
#   scripts/claims.sh                                     on digits, the adding problem and Shakespeare, which it downloads or
#                                                         takes from $SHAKESPEARE, a folder
#   scripts/claims.sh full MNIST_ROOT CIFAR_IMAGE_FOLDER  on MNIST and CIFAR-10, at the scale NAME_full
# Names after these renew those experiments alone. `STORES=DIR scripts/claims.sh ...` keeps the stores in DIR, so that
# after an interruption the same command goes on where it stopped.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
large='smooth_or_relu' # has no smaller scale
suffix=
if [ "${1:-}" = full ]; then
  suffix=_full mnist=${2:?MNIST_ROOT} cifar=${3:?CIFAR_IMAGE_FOLDER}
  shift 3
fi
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for file in $(grep -l '^hypotheses:' "$root"/experiments/*.yaml); do
    name=$(basename "$file" .yaml)
    if [ "$name" != "$large" ] && { [ -z "$suffix" ] || grep -q '^full:' "$file"; }; then names+=("$name"); fi
  done
  if [ -n "$suffix" ]; then names+=("$large"); else "$root/.venv/bin/python" "$root/scripts/maxout_convex.py"; fi
fi
for name in "${names[@]}"; do
  if [ "$name" = "$large" ]; then
    DATA=${cifar:?"$large needs: scripts/claims.sh full MNIST_ROOT CIFAR_IMAGE_FOLDER $large"} \
      "$root/scripts/reference.sh" "$name" "results/reference/claims/$name" dataset=image_folder dataset.image_size=32
  elif [ "$name" = language ]; then
    DATA=${SHAKESPEARE:-} "$root/scripts/reference.sh" "$name" "results/reference/claims/$name"
  else
    DATA=${mnist:-} "$root/scripts/reference.sh" "$name$suffix" "results/reference/claims/$name$suffix"
  fi
done
"$root/.venv/bin/python" "$root/scripts/claims_table.py"
