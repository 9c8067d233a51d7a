#!/bin/sh
# A sweep on a Slurm cluster, from its login node, in a folder that all nodes share: scripts/slurm_sweep.sh PARTITION
# Run it again to go on: what jobs have written meanwhile is taken up, and nothing is trained twice.
set -e
partition=${1:?the partition of the jobs}
store=${ACTBENCH_STORE:-${TMPDIR:-/tmp}/$USER-mlflow.db} # on a local disk, as SQLite needs reliable locks

exec actbench sweep architecture=mlp,cnn activation=relu,gelu,swiglu 'seed=range(0,8)' optimizer.lr=0.001,0.01 \
  execution=slurm execution.workers=8 "execution.slurm.partition=$partition" execution.slurm.minutes=30 \
  "store.uri=sqlite:///$store"
