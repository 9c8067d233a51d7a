"""MLflow: the only place results live. One parent run a command, one child a run; the only import of mlflow."""

from actbench.store.reading import Store, fetch_weights
from actbench.store.views import Arranged, Views
from actbench.store.writing import Parent

__all__ = ["Arranged", "Parent", "Store", "Views", "fetch_weights"]
