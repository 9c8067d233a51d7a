"""When a run is evaluated, on how many examples, and in which chunks; all of it affects its numbers."""

from dataclasses import dataclass

from actbench.data.datasets import PreparedData

# A training step counts as three forward passes: one forward, and about two of work backward.
_PASSES = 3
_SHARE = 10  # evaluations before the end cost at most a tenth of the training
_MOST_EVALUATIONS = 20  # before the end
# Validation examples of an evaluation before the end; 1,024 give an accuracy of 0.95 a standard error of 0.007.
_FEWEST_EXAMPLES, _MOST_EXAMPLES = 256, 1024

# Examples a forward pass of evaluation holds: few, for the cache. Fixed, so that sums round the same in any stack.
EVALUATION_CHUNK = 128
_CHUNK_CHARACTERS = 1024  # of text, whose examples are windows of many characters


@dataclass(frozen=True)
class EvaluationPlan:
    """When a run is evaluated. The last evaluation, after its last step, is on all validation examples.

    steps: updates before each evaluation, increasing. part: validation examples of every other one, the first of the
    run's split.
    """

    steps: tuple[int, ...]
    part: int


def evaluation_plan(every: int | None, steps: int, seen: int, validation: int) -> EvaluationPlan:
    """The evaluations of a run of `steps` updates on `seen` training examples, with `validation` examples.

    every: an explicit interval in steps, on all validation examples. Without it the evaluations before the end are at
    most 20, dense early and sparse late, and together pass at most a tenth of 3 * seen examples; a run too short for
    256 examples takes as many as that allows, at step 0. All is counted, never timed: ids do not depend on a machine.
    """
    if every is not None:
        return EvaluationPlan((*range(0, steps, every), steps), validation)
    budget = _PASSES * seen // _SHARE
    wanted = min(max(budget // 10, _FEWEST_EXAMPLES), _MOST_EXAMPLES)
    part = min(validation, wanted, budget)
    count = min(budget // part, _MOST_EVALUATIONS) if part else 0
    before = [round(steps * k * k / count**2) for k in range(count)]
    return EvaluationPlan(tuple(dict.fromkeys((*before, steps))), part)


def chunk_of(data: PreparedData) -> int:
    """Examples of a forward pass of evaluation: 128; of text as many windows as have 1,024 characters."""
    return max(1, _CHUNK_CHARACTERS // data.height) if data.kind == "text" else EVALUATION_CHUNK


def probe_of(data: PreparedData, probe_size: int, validation: int) -> int:
    """Examples of the probe set: `probe_size`, all if there are fewer; of text as many windows as have that many
    characters, as a unit is observed at each of them."""
    return min(-(-probe_size // data.height) if data.kind == "text" else probe_size, validation)


def measurement_interval(every: int | None, steps: int) -> int:
    """Steps between two measurements of units and gradients: as configured, else a tenth of the run; 0: never."""
    return max(1, -(-steps // 10)) if every is None else every


def examples_seen(steps: int, batch_size: int, examples: int, drawn: bool = False) -> int:
    """Examples in `steps` mini-batches, of which the last of each epoch of `examples` may be smaller.

    drawn: whether each mini-batch draws its examples, as of text; then none is smaller.
    """
    if drawn:
        return steps * batch_size
    epochs, rest = divmod(steps, -(-examples // batch_size))
    return epochs * examples + rest * batch_size
