"""Which activations and gates a recurrent architecture takes."""

from actbench.activations.own import OwnActivation, inspect_own
from actbench.activations.table import GATES, Activation
from actbench.errors import UsageError
from actbench.experiment.architecture_settings import RecurrentSettings
from actbench.experiment.schema import RunSettings


def check_suitable(settings: RunSettings, record: Activation) -> None:
    """Raises UsageError where a recurrent architecture would have an activation of several pieces or of a layer.

    record: of the activation. The candidate of a cell has one pre-activation a unit, at one time step.
    """
    name, label = settings.architecture.name, settings.activation.label
    if not isinstance(settings.architecture, RecurrentSettings) or record.kind == "elementwise":
        return
    if record.kind == "layer":
        problem = "it couples the units of a layer"
    else:
        problem = f"a unit of it has {settings.activation.settings.get('pieces', record.pieces)} pre-activations"
    raise UsageError(
        f"activation={label}: {problem}, and the cells of architecture={name} take functions of one number; take "
        "another activation or architecture"
    )


def own_gate(settings: RunSettings) -> OwnActivation | None:
    """The facts of a user's own function of the gates, from a child process that imports and calls it; else None.

    Raises UsageError where it is none, couples the units of a layer or has parameters of its own.
    """
    gate: str | None = getattr(settings.architecture, "gate", None)
    if gate is None or gate in GATES:
        return None
    own = inspect_own(gate, "architecture.gate")
    if own.learned or not own.elementwise:
        problem = "has parameters" if own.learned else "couples the units of a layer"
        raise UsageError(f"architecture.gate={gate}: {problem}; a gate is a function of one number")
    return own
