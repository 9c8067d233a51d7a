"""actbench: which activation function should I use here, and is the difference real?"""

import os
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actbench.metrics.inspect import inspect as inspect
    from actbench.store.load import load as load

# MKL rounds by how its arguments happen to lie in memory, unless told not to before its first call: then a run's
# numbers would depend on its place in a stack. Measured cost: none (60 to 80 GFLOP/s a core with and without).
os.environ.setdefault("MKL_CBWR", "AUTO")

__version__ = version("actbench")


def __getattr__(name: str) -> object:
    """inspect and load, without their imports (torch, MLflow) for those who want the command line alone."""
    if name == "inspect":
        from actbench.metrics.inspect import inspect

        return inspect
    if name == "load":
        from actbench.store.load import load

        return load
    raise AttributeError(f"module 'actbench' has no attribute {name!r}")
