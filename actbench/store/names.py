"""Names in MLflow: the meaning of every tag that is written, and the conditions of searches.

Params are those of `training.results.run_params`. Metrics are the columns `training.results.MEASURED`, and
`layer/NN/<metric>` of one hidden layer, as `metrics.names` has them.
"""

from pathlib import Path

JOURNALS = Path("results") / ".journal"  # of commands that run in the current folder
NOTE = "mlflow.note.content"  # Markdown, shown as a run's description
PARENT = "mlflow.parentRunId"
COLOR = "mlflow.runColor"
WEIGHTS = "weights"
FILES = "files"
FAMILY = "family"  # of an MLflow experiment: the name that the plans of one experiment have in common
SUMMARY = "summary"  # the kind of run that store.summaries describes

TAGS = {
    # of every run
    "kind": "run: one training; train, sweep, compare: one command; summary: an activation's results on one task of a "
    "comparison; phase: of a comparison of an older version",
    "uid": "the name under which a writer finds a run again where the answer to its request was lost",
    "host": "machine of the command",
    "pid": "process of the command on its machine",
    # of a command and, repeated, of its runs: the tags of experiment.request, and
    FILES: "JSON: digest by name of the result files that are among the artifacts",
    # of a run
    "run_id_hash": "the run id: the same for equal runs",
    "phase": "train, sweep or compare; tune and confirm of an older version",
    "chosen": "true: a score of the newest comparison is taken from this run, at its activation's chosen rate",
    "status": "running, finished, diverged or failed; the column of runs.csv",
    "architecture": "name of the architecture",
    "activation": "label of the activation",
    "metric": "by which the run is scored: accuracy (also where the tag is absent), r2 or bits_per_character",
    "device": "device that the run was trained on",
    "processor": "processor of the machine that trained the run; older runs have none, as of torch",
    "torch": "version of torch that trained the run",
    "curves": "names of the metrics that are curves, without those of one layer, which always are",
    "error": "why a failed run failed",
    "test_correct": "base64: Result.test_correct, a bit for each test example, of data with a test set of their own",
    "test_scores/NN": "base64: a part of Result.test_scores, float32 of each test window of a text",
    WEIGHTS: "names of the weight files in the artifact folder of the same name: last, best, step-N",
    "histogram/NN": "JSON: counts by step of the unit outputs of hidden layer NN, in the bins of metrics.histograms",
    # of a summary
    "verdict": "against the baseline; baseline for itself",
    # of MLflow
    COLOR: "colour in which MLflow draws the run",
    NOTE: "Markdown that MLflow shows as a run's description",
    PARENT: "MLflow's id of the run's parent run",
}

IS_RUN = "tags.kind = 'run'"
IS_COMPARISON = "tags.kind = 'compare'"
IS_SUMMARY = f"tags.kind = '{SUMMARY}'"
IS_COMMAND = f"tags.kind != 'run' and tags.kind != 'phase' and tags.kind != '{SUMMARY}'"
IS_RUNNING = "attributes.status = 'RUNNING'"
HAS_ENDED = "attributes.status != 'RUNNING' and attributes.status != 'KILLED'"  # without an interruption
