"""`--dry-run`: what compare, sweep or train would do, how long it would take, and which difference it could show."""

import math
import statistics
from collections.abc import Sequence

import pandas as pd
import torch

from actbench.analysis.power import POWER, detectable
from actbench.commands.estimate import Estimator, estimator_of, machine_text, time_text
from actbench.commands.measure import measure_shapes
from actbench.commands.outlook import Find, TaskOutlook, comparison_outlook, sweep_outlook
from actbench.commands.planning import Data, check_experiment, make_runs, prepared_data
from actbench.commands.stages import Schedule
from actbench.commands.terminal import print_table, print_text
from actbench.errors import UsageError
from actbench.execution.pools import check_pool, pool_size
from actbench.experiment.command import CommandSettings
from actbench.experiment.compose import Grid, compose_experiment
from actbench.experiment.plan import plan_digest
from actbench.experiment.protocol import FEWEST_SEEDS, check_grid
from actbench.experiment.questions import load_experiment
from actbench.experiment.runs import Run, variants
from actbench.experiment.scores import ACCURACY, METRICS, Metric
from actbench.report.numbers import count, rate
from actbench.store.places import place_of
from actbench.store.sqlite import is_new
from actbench.training.results import Result
from actbench.training.stacks import Stack, pack_stacks


def dry_run(command: str, name: str | None, overrides: Sequence[str], config_dir: str | None) -> int:
    """Prints what compare, sweep or train would do. Returns the exit code.

    Nothing is trained, and nothing is written but the caches of data and timings. Raises UsageError where the command
    does so before it trains.
    """
    experiment = None if name is None else load_experiment(name)
    grid = compose_experiment(experiment, overrides, config_dir)
    if command == "train" and len(grid.runs) > 1:
        raise UsageError(f"train does one run, these overrides make {len(grid.runs)}; use `actbench sweep`")
    if command == "compare":
        check_grid(grid)
    data = prepared_data(grid.runs)
    runs = _first_stage(grid, data) if command == "compare" else make_runs(grid.runs, data, command)
    if command == "compare" and experiment is not None:
        check_experiment(experiment, runs, grid.command.protocol.racing)
    check_pool(grid.command.execution, runs)
    device, workers, memory = pool_size(grid.command.execution, runs)
    digest = plan_digest(command, runs, grid.command.protocol)
    find = _finder(grid.command, experiment.name if experiment else command, digest)

    def pack(due: Sequence[Run]) -> list[Stack]:
        return pack_stacks(due, device, workers, memory)

    tasks = comparison_outlook(grid, data, find, pack) if command == "compare" else sweep_outlook(runs, find, pack)
    _print(estimator_of(command, device, workers), tasks, grid.command)
    return 0


def _finder(settings: CommandSettings, experiment: str, digest: str) -> Find:
    """A function that finds finished runs of a plan in the store, if there is one, and of the experiment's others."""
    uri, weights = settings.store.uri, settings.store.save_weights
    place = place_of(experiment, digest, uri, settings.name)
    name = place.name
    if place.note:
        print_text(place.note)
    if is_new(uri):
        return lambda runs: {}
    from actbench.store.reader import existing_store  # MLflow takes seconds
    from actbench.store.relatives import finished_elsewhere, relatives

    store, others = existing_store(uri, name), relatives(uri, experiment, name)

    def find(runs: Sequence[Run]) -> dict[str, Result]:
        found = {} if store is None else store.finished(runs, weights)
        return found | finished_elsewhere(others, [run for run in runs if run.id not in found], weights)

    return find


def _first_stage(grid: Grid, data: Data) -> list[Run]:
    """The runs that a comparison begins with."""
    schedule = Schedule(grid, data)
    return [run for plan in schedule.plans({}) for run in schedule.due(plan)]


def _print(estimator: Estimator, tasks: Sequence[TaskOutlook], settings: CommandSettings) -> None:
    stacks = [stack for task in tasks for stack in task.stacks[1] or task.stacks[0]]
    has_device = estimator.device == "cpu" or torch.cuda.is_available()
    timed = measure_shapes(estimator, stacks) if has_device else 0
    known = estimator.knows(stacks)
    print_table(_table(estimator, tasks, known, settings))
    for line in (*_stacks(estimator, tasks, settings), *_times(estimator, tasks, known, timed)):
        print_text(line)
    if estimator.command == "compare":
        for line in _differences(tasks, settings):
            print_text(line)
    print("nothing is trained or stored: --dry-run")


def _table(estimator: Estimator, tasks: Sequence[TaskOutlook], known: bool, settings: CommandSettings) -> pd.DataFrame:
    """A row for each task: columns of text."""
    rows = []
    for task, differing in zip(tasks, variants([task.first for task in tasks]), strict=True):
        first, (fewest, most) = task.first.settings, task.stacks
        due = sum(len(stack.runs) for stack in fewest), sum(len(stack.runs) for stack in most)
        rows.append({
            "dataset": first.dataset.name, "architecture": first.architecture.name,
            "initialization": first.initialization.name, "optimizer": first.optimizer.name,
            "settings": " ".join(f"{key}={value}" for key, value in differing.items()),
            "activations": str(task.activations), "rates": _few([rate(lr) for lr in task.rates]),
            "seeds": _few([str(seed) for seed in task.seeds]), "runs": _range(*task.runs), "finished": str(task.found),
            "to train": _range(*due),
            "training": time_text(*map(estimator.training, task.stacks)) if known and task.stacks[1] else "",
            "difference": _difference(task, settings)[0],
        })  # fmt: skip
    table = pd.DataFrame(rows)
    dull = [key for key in ("dataset", "initialization", "optimizer", "settings") if table[key].nunique() == 1]
    if not any(task.found for task in tasks):
        dull += ["finished", "to train"]
    if estimator.command != "compare" or settings.protocol.seeds < FEWEST_SEEDS:
        dull.append("difference")
    return table.drop(columns=dull)


def _few(values: Sequence[str]) -> str:
    """Up to five values; of more the first, the last and their number."""
    return ", ".join(values) if len(values) <= 5 else f"{values[0]} to {values[-1]} ({len(values)})"


def _range(low: int, high: int, noun: str = "") -> str:
    plural = f" {noun}{'s' * (high != 1)}" if noun else ""
    return f"{low:,}{plural}" if low == high else f"{low:,} to {high:,}{plural}"


def _stacks(estimator: Estimator, tasks: Sequence[TaskOutlook], settings: CommandSettings) -> list[str]:
    """The number of runs and stacks, and where they train."""
    fewest, most = (sum(task.runs[place] for task in tasks) for place in (0, 1))
    found = sum(task.found for task in tasks)
    lines = [f"{_range(fewest, most, 'run')} in all, {found:,} found finished"]
    if fewest < most:
        lines[0] += "; racing and the growth of the grid decide how many"
    few, many = ([stack for task in tasks for stack in task.stacks[place]] for place in (0, 1))
    if many:
        sizes = [len(stack.runs) for stack in many]
        on_cluster = settings.execution.slurm or settings.execution.ray
        place = "jobs, as if on this machine" if on_cluster else "worker processes"
        stacks, runs = _range(len(few), len(many), "stack"), _range(min(sizes), max(sizes), "run")
        lines.append(f"{stacks} of {runs}; {place}: {estimator.workers}")
    return lines


def _times(estimator: Estimator, tasks: Sequence[TaskOutlook], known: bool, timed: int) -> list[str]:
    """How long the command takes."""
    both = [[stack for task in tasks for stack in task.stacks[place]] for place in (0, 1)]
    if not both[1]:
        return []
    if not known:
        return ["no estimate of the time: its stacks could not be timed on this machine"]
    points = sum(task.activations for task in tasks)
    low, high = (estimator.whole(own, points) for own in both)
    source = f"{count(timed, 'shape')} of stacks timed now" if timed else "by earlier timings"
    return [f"{time_text(low, high)} on {machine_text(estimator.device, estimator.workers)}; {source}"]


def _difference(task: TaskOutlook, settings: CommandSettings) -> tuple[str, str]:
    """The smallest difference to the baseline that a comparison is likely to show of a task, and on what basis."""
    metric, others = METRICS[task.first.data.metric], task.activations - 1
    accuracy, examples = task.first.settings.training.target, task.first.data.test
    if task.deviations and statistics.median(task.deviations) > 0:
        deviation = statistics.median(task.deviations)
        basis = f"that of {task.pairs} seeds of finished runs"
    elif metric is ACCURACY and accuracy is not None:
        deviation, basis = _binomial(accuracy, examples)
    else:
        return "", ""
    margin = settings.protocol.margin_of(metric.name)
    least = detectable(deviation, settings.protocol.seeds, margin, max(1, others))
    return (_size(metric, least) if least < 1 else "none"), f"{_size(metric, deviation)}, {basis}"


def _size(metric: Metric, difference: float) -> str:
    return f"{metric.scale * difference:.2g} {metric.unit or metric.noun}"


def _binomial(accuracy: float, examples: int) -> tuple[float, str]:
    """The deviation of differences where nothing is known but the target, and on what basis."""
    # Paired differences of digits deviate by 0.59 to 0.89 points, this by 0.65 to 0.94 at the accuracies found there;
    # of MNIST by 0.08 to 0.20, this by 0.11 to 0.19 (results/reference).
    deviation = math.sqrt(accuracy * (1 - accuracy) / examples)
    return deviation, f"the standard deviation of an accuracy of {100 * accuracy:g} % on {examples:,} test examples"


def _differences(tasks: Sequence[TaskOutlook], settings: CommandSettings) -> list[str]:
    """What the column `difference` says."""
    protocol = settings.protocol
    if protocol.seeds < FEWEST_SEEDS:
        return [f"no verdict is possible with {count(protocol.seeds, 'seed')}: take at least {FEWEST_SEEDS}"]
    bases = dict.fromkeys(basis for task in tasks if (basis := _difference(task, settings)[1]))
    if not bases:
        return []
    return [
        f"difference: the smallest to {protocol.baseline} that is found in {100 * POWER:.0f} % of such comparisons, if "
        f"differences of single seeds deviate by {'; '.join(bases)}"
    ]
