"""Times the shapes of stacks that are not known yet on this machine, in about two seconds, and keeps them."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from actbench.commands.estimate import Estimator, place_of
from actbench.execution.calibration import write_calibration
from actbench.execution.local import Pool
from actbench.training.stacks import Stack, work_of
from actbench.training.timing import StackTimes, time_stack

_SECONDS = 1.5  # after which no further shape of the same architecture is timed

Timer = Callable[[Stack, str], StackTimes]


def measure_shapes(estimator: Estimator, stacks: Sequence[Stack], timer: Timer | None = None) -> int:
    """Makes the times of these stacks known to the estimator; returns how many shapes were timed now.

    timer: `time_stack`, in a child process where an activation is a user's own. Each architecture is timed on each data
    set; further shapes for which no time is left, and those that fail, take the times of another.
    """
    known = estimator.calibration.shapes
    places = {place_of(stack.runs[0]) for stack in stacks if estimator.shape(stack.runs[0]) in known}
    unknown = {shape: stack for shape, stack in _typical(estimator, stacks).items() if shape not in known}
    timed: dict[str, StackTimes] = {}
    end = time.monotonic() + _SECONDS
    with _timer(estimator.device, unknown.values()) if timer is None else contextlib.nullcontext(timer) as measure:
        for shape, stack in unknown.items():
            if time.monotonic() < end or place_of(stack.runs[0]) not in places:
                places.add(place_of(stack.runs[0]))
                with contextlib.suppress(RuntimeError):  # of a user's function: the command itself will say so
                    timed[shape] = measure(stack, estimator.device)
    known |= timed
    if timed:
        write_calibration(estimator.calibration)
    estimator.fill(stacks)
    return len(timed)


def _typical(estimator: Estimator, stacks: Sequence[Stack]) -> dict[str, Stack]:
    """By shape, a stack as large as its largest with runs from all its stacks.

    The shapes with most work come first, and before all others the first of each architecture and data set.
    """
    groups: dict[str, list[Stack]] = {}
    for stack in stacks:
        groups.setdefault(estimator.shape(stack.runs[0]), []).append(stack)
    work = {shape: sum(work_of(stack.runs[0]) * len(stack.runs) for stack in own) for shape, own in groups.items()}
    ordered = sorted(groups, key=lambda shape: -work[shape])
    first = {place_of(groups[shape][0].runs[0]): shape for shape in reversed(ordered)}
    return {shape: _mixed(groups[shape]) for shape in sorted(ordered, key=lambda shape: shape not in first.values())}


def _mixed(stacks: Sequence[Stack]) -> Stack:
    largest = max(stacks, key=lambda stack: len(stack.runs))
    settings, data, size = largest.runs[0].settings, largest.runs[0].data, len(largest.runs)
    alike = (settings.training, settings.dataset, data)
    runs = [
        run
        for stack in stacks
        for run in stack.runs
        if (run.settings.training, run.settings.dataset, run.data) == alike
    ]
    places = [place * len(runs) // size for place in range(size)]
    return Stack(tuple(runs[place] for place in places))


@contextlib.contextmanager
def _timer(device: str, stacks: Iterable[Stack]) -> Iterator[Timer]:
    """A user's own function may hang or crash, and is called in a child process only."""
    if not any(run.has_own_code for stack in stacks for run in stack.runs):
        yield time_stack
        return
    with Pool(device, 1, in_process=False) as pool:
        yield partial(pool.call, time_stack)
