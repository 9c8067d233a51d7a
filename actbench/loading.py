"""`actbench.load`: the trained network of a run, from the store."""

import tempfile
from pathlib import Path

from actbench import compose, weights
from actbench.errors import UsageError
from actbench.store import fetch_weights
from actbench.weights import Model


def load(run_id: str, which: str | None = None, store: str = "sqlite:///mlflow.db") -> Model:
    """The network of a run that was trained with store.save_weights, as a torch.nn.Module in evaluation mode.

    run_id: of runs.csv (MLflow's tag run_id_hash), or MLflow's own. which: last, best, or step-N; None: last where it
    was kept, else best. store: MLflow tracking URI. Raises UsageError where there is no such run or no weights of it.
    """
    compose.allow_modules_of_current_folder()
    with tempfile.TemporaryDirectory(prefix="actbench-") as folder:
        path = fetch_weights(store, run_id, which, Path(folder))
        model = weights.read(path)
    if len(run_id) == 12 and model.run_id != run_id:
        raise UsageError(f"the weights of run {run_id} in {store} are those of run {model.run_id}")
    return model
