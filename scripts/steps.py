"""Training steps of stacks, and times of several calls measured in turn."""

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch

from actbench.data.datasets import load_data
from actbench.experiment.compose import compose_grid
from actbench.experiment.kinds import prepare
from actbench.experiment.runs import Run, make_run
from actbench.training.loop import set_up
from actbench.training.stacks import Stack
from actbench.training.step import step_gradients

CPU = torch.device("cpu")
Calls = Mapping[str, Callable[[], object]]


def medians(calls: Calls, rounds: int = 40) -> dict[str, float]:
    """Median milliseconds of processor time of each, all in turn; the clock's also counts what other programs take."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 3):
        for name, call in calls.items():
            begun = time.thread_time()
            call()
            if number >= 3:
                seconds[name].append(time.thread_time() - begun)
    return {name: 1e3 * statistics.median(values) for name, values in seconds.items()}


def ratios(calls: Calls, rounds: int = 40) -> dict[str, tuple[float, float, float]]:
    """Of each call's time to the first call's in the same round: median, lower and upper quartile. All in turn.

    Processor time too.
    """
    names, seconds = list(calls), []
    for number in range(rounds + 3):
        row = {}
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            begun = time.thread_time()
            calls[name]()
            row[name] = time.thread_time() - begun
        seconds.append(row)
    found = {}
    for name in names[1:]:
        low, middle, high = statistics.quantiles([row[name] / row[names[0]] for row in seconds[3:]], n=4)
        found[name] = middle, low, high
    return found


def runs_of(overrides: Sequence[str]) -> list[Run]:
    """The runs of a sweep with these overrides, sorted by activation."""
    points = compose_grid([*overrides]).runs
    dataset = points[0].dataset
    data = prepare(dataset, download=False)
    return sorted((make_run(p, data, "sweep") for p in points), key=lambda run: run.settings.activation.label)


def step_of(stack: Stack) -> Callable[[], None]:
    """Takes the next training step of the stack at each call."""
    network, batches, optimizer = set_up(stack, load_data(stack.runs[0].data), CPU)
    numbers = itertools.count()

    def step() -> None:
        optimizer.step(step_gradients(network, batches, next(numbers), 0.0)[1], 1.0)

    return step


def steps_of(overrides: Sequence[str]) -> tuple[Callable[[], None], int]:
    """A training step of all runs of a grid in one stack, and the number of runs."""
    runs = runs_of([*overrides, "training.steps=100000"])
    return step_of(Stack(tuple(runs))), len(runs)
