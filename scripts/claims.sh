#!/usr/bin/env bash
# Tests the field's claims: every experiment with hypotheses, then the table of all verdicts.
#   scripts/claims.sh                                     on digits, about 12 minutes on two cores
#   scripts/claims.sh full MNIST_ROOT CIFAR_IMAGE_FOLDER  at the scale NAME_full, about an hour
# Names after these renew those experiments alone.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
suffix=
if [ "${1:-}" = full ]; then
  suffix=_full mnist=${2:?MNIST_ROOT} cifar=${3:?CIFAR_IMAGE_FOLDER}
  shift 3
fi
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for file in $(grep -l '^hypotheses:' "$root"/experiments/*.yaml); do names+=("$(basename "$file" .yaml)"); done
  "$root/.venv/bin/python" "$root/scripts/maxout_convex.py"
fi
for name in "${names[@]}"; do
  data='' own=()
  if [ -n "$suffix" ]; then data=$mnist; fi
  if [ "$name$suffix" = smooth_or_relu_full ]; then data=$cifar own=(dataset=image_folder dataset.image_size=32); fi
  DATA=$data "$root/scripts/reference.sh" "$name$suffix" "results/reference/claims/$name$suffix" "${own[@]}"
done
"$root/.venv/bin/python" "$root/scripts/claims_table.py"
