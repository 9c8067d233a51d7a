#!/usr/bin/env bash
# Tests the field's claims: every experiment with hypotheses, then the table of all verdicts. About 20 minutes on two
# cores. `scripts/claims.sh NAME...` renews those alone.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for file in $(grep -l '^hypotheses:' "$root"/experiments/*.yaml); do names+=("$(basename "$file" .yaml)"); done
  "$root/.venv/bin/python" "$root/scripts/maxout_convex.py"
fi
for name in "${names[@]}"; do
  "$root/scripts/reference.sh" "$name" "results/reference/claims/$name"
done
"$root/.venv/bin/python" "$root/scripts/claims_table.py"
