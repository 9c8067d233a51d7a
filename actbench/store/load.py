"""`actbench.load`: the trained network of a run, from the store."""

import tempfile
from pathlib import Path

from actbench.errors import UsageError
from actbench.experiment.compose import allow_modules_of_current_folder
from actbench.store.client import connect, search_runs, store_errors
from actbench.store.entries import WEIGHTS
from actbench.training.checkpoints import Model, read_checkpoint


def load(run_id: str, which: str | None = None, store: str = "sqlite:///mlflow.db") -> Model:
    """The network of a run that was trained with store.save_weights, as a torch.nn.Module in evaluation mode.

    run_id: of runs.csv (MLflow's tag run_id_hash), or MLflow's own. which: last, best, or step-N; None: last where it
    was kept, else best. store: MLflow tracking URI. Raises UsageError where there is no such run or no weights of it.
    """
    allow_modules_of_current_folder()
    with tempfile.TemporaryDirectory(prefix="actbench-") as folder:
        path = fetch_weights(store, run_id, which, Path(folder))
        model = read_checkpoint(path)
    if len(run_id) == 12 and model.run_id != run_id:
        raise UsageError(f"the weights of run {run_id} in {store} are those of run {model.run_id}")
    return model


def fetch_weights(uri: str, run_id: str, which: str | None, folder: Path) -> Path:
    """A file of weights of a run (by our id or MLflow's), downloaded to `folder`; which: its name, None for last or
    best. Raises UsageError."""
    client = connect(uri, create=False)
    with store_errors(uri):
        if not run_id.isalnum():
            raise UsageError(f"run {run_id!r}: give a run_id of runs.csv")
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        same = f"tags.run_id_hash = '{run_id}'" if len(run_id) == 12 else f"attributes.run_id = '{run_id}'"
        found = [run for experiment in experiments for run in search_runs(client, experiment, same)]
        if not found:
            raise UsageError(f"no run {run_id} in {uri}")
        there = {name: run for run in found for name in run.data.tags.get(WEIGHTS, "").split()}
        name = which or next((kind for kind in ("last", "best") if kind in there), None)
        if name not in there:
            diverged = any(run.data.tags.get("status") == "diverged" for run in found)
            without = "it diverged" if diverged else "train it with store.save_weights=last"
            kept = f"it has {', '.join(there)}" if there else without
            raise UsageError(f"run {run_id} in {uri} has no weights{f' {which}' if which else ''}; {kept}")
        path = client.download_artifacts(there[name].info.run_id, f"{WEIGHTS}/{name}.safetensors", str(folder))
    return Path(path)
