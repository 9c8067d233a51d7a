"""The trained weights of a run, from the store."""

from pathlib import Path

from actbench.errors import UsageError
from actbench.store.client import connect, search_runs, store_errors
from actbench.store.names import WEIGHTS


def fetch_weights(uri: str, run_id: str, which: str | None, folder: Path) -> Path:
    """Downloads a file of weights of a run to `folder`.

    run_id: of runs.csv, or MLflow's own. which: last, best or step-N; None: last where it was kept, else best.
    Raises UsageError where the store has no such run or no such weights.
    """
    client = connect(uri, create=False)
    with store_errors(uri):
        if not run_id.isalnum():
            raise UsageError(f"run {run_id!r}: give a run_id of runs.csv")
        condition = f"tags.run_id_hash = '{run_id}'" if len(run_id) == 12 else f"attributes.run_id = '{run_id}'"
        runs = [
            run
            for experiment in client.search_experiments()
            for run in search_runs(client, experiment.experiment_id, condition)
        ]
        if not runs:
            raise UsageError(f"no run {run_id} in {uri}")
        run_by_file = {name: run for run in runs for name in run.data.tags.get(WEIGHTS, "").split()}
        file = which or next((name for name in ("last", "best") if name in run_by_file), None)
        if file not in run_by_file:
            diverged = any(run.data.tags.get("status") == "diverged" for run in runs)
            reason = "it diverged" if diverged else "train it with store.save_weights=last"
            available = f"it has {', '.join(run_by_file)}" if run_by_file else reason
            raise UsageError(f"run {run_id} in {uri} has no weights{f' {which}' if which else ''}; {available}")
        mlflow_id = run_by_file[file].info.run_id
        return Path(client.download_artifacts(mlflow_id, f"{WEIGHTS}/{file}.safetensors", str(folder)))
