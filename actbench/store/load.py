"""`actbench.load`: the trained network of a run, from the store."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from actbench.errors import UsageError
from actbench.experiment.compose import allow_modules_of_current_folder
from actbench.store.mlflow_settings import configured_mlflow
from actbench.training.checkpoints import Model, read_checkpoint


def load(run_id: str, which: str | None = None, store: str = "sqlite:///mlflow.db") -> Model:
    """The network of a run that was trained with store.save_weights, as a torch.nn.Module in evaluation mode.

    run_id: of runs.csv (MLflow's tag run_id_hash), or MLflow's own. which: last, best, or step-N; None: last where it
    was kept, else best. store: MLflow tracking URI. Raises UsageError where there is no such run or no weights of it.

    >>> import actbench, pandas, torch
    >>> row = pandas.read_csv("results/train/runs.csv").iloc[0]  # after: actbench train store.save_weights=last
    >>> model = actbench.load(row["run_id"])
    >>> images, labels = model.examples("test")  # uint8 (n, channels, height, width), int64 (n,)
    >>> with torch.no_grad():
    ...     accuracy = (model(images).argmax(1) == labels).double().mean().item()
    >>> accuracy == float(row["test_accuracy"])
    True

    Leaves environment variables, log levels and sys.path as they were. A user's own activation is looked for in the
    current folder too, and its module stays imported.
    """
    with configured_mlflow(), _restored_module_path(), tempfile.TemporaryDirectory(prefix="actbench-") as folder:
        from actbench.store.weights import fetch_weights  # imports MLflow, which reads settings at its import

        allow_modules_of_current_folder()
        model = read_checkpoint(fetch_weights(store, run_id, which, Path(folder)))
    if len(run_id) == 12 and model.run_id != run_id:
        raise UsageError(f"the weights of run {run_id} in {store} are those of run {model.run_id}")
    return model


@contextlib.contextmanager
def _restored_module_path() -> Iterator[None]:
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before
