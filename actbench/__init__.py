"""actbench: which activation function should I use here, and is the difference real?

`compare`, `sweep` and `train` do what the command line does and return their results; `open` returns those of an
earlier command. `inspect` measures the units of any torch module, `load` returns a trained network. All are imported at
first use.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from actbench.errors import UsageError

if TYPE_CHECKING:
    from actbench.api.calls import compare, open, sweep, train
    from actbench.api.results import Results
    from actbench.metrics.inspect import inspect
    from actbench.store.load import load

__all__ = ["Results", "UsageError", "compare", "inspect", "load", "open", "sweep", "train"]
__version__ = version("actbench")

_MODULES = {
    **dict.fromkeys(("compare", "sweep", "train", "open"), "actbench.api.calls"), "Results": "actbench.api.results",
    "inspect": "actbench.metrics.inspect", "load": "actbench.store.load",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Imports what is asked for: torch and MLflow take seconds, which the command line's help can do without."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'actbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
