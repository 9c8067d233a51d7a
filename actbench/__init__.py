"""actbench: which activation function should I use here, and is the difference real?

`inspect` measures the units of any torch module, `load` returns a trained network; both are imported at first use.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actbench.metrics.inspect import inspect
    from actbench.store.load import load

__all__ = ["inspect", "load"]
__version__ = version("actbench")

_MODULES = {"inspect": "actbench.metrics.inspect", "load": "actbench.store.load"}


def __getattr__(name: str) -> Any:
    """Imports what is asked for: torch and MLflow take seconds, which the command line's help can do without."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'actbench' has no attribute {name!r}")
