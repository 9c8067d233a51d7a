"""Turns a name of the table, or a user's `module:name`, into a bound activation."""

import warnings
from functools import cache

from actbench.activations import functions, joint
from actbench.activations.bound import BoundActivation, autograd_derivative
from actbench.activations.custom import load_custom
from actbench.activations.joint import DERIVATIVES
from actbench.activations.table import TABLE


@cache
def load_activation(name: str, function: str | None = None, **settings: float | int) -> BoundActivation:
    """Returns the activation `name` of the table with its settings or, if given, the user's `function`.

    Raises UsageError for a function that cannot be imported or does not behave like an activation.
    """
    if function is not None:
        with warnings.catch_warnings(action="ignore"):  # of the user's code, on the inputs that it is checked with
            return load_custom(function)
    record = TABLE[name]
    call = getattr(functions if record.kind == "elementwise" else joint, record.function or name)
    return BoundActivation(record, settings, call, DERIVATIVES.get(name) or autograd_derivative(call), {})
