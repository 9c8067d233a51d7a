"""The protocol of a comparison: tune each activation's learning rate on an equal budget, then confirm on fresh seeds.

Pure functions that compute, from settings and results, the settings of the runs that are due.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from actbench.errors import UsageError
from actbench.experiment.command import ProtocolSettings
from actbench.experiment.compose import Grid
from actbench.experiment.overrides import MOST_RUNS
from actbench.experiment.schema import RunSettings

CONFIRMING_SEEDS = 1000  # seeds from seed + 0 tune, from seed + 1000 confirm: disjoint whatever their number

_FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)  # of the optimizer's own learning rate, where the protocol names no rates


def check_grid(grid: Grid) -> None:
    """Raises UsageError for a grid over what the protocol itself varies, and for too many seeds or runs."""
    runs, protocol = grid.runs, grid.command.protocol
    if len({run.optimizer.lr for run in runs}) > 1 and len({run.optimizer.name for run in runs}) == 1:
        raise UsageError("optimizer.lr: compare tunes it; name the rates as protocol.learning_rates=[...]")
    if len({run.seed for run in runs}) > 1:
        raise UsageError(
            "seed: compare draws its own; set protocol.tuning_seeds and protocol.seeds, or one seed to start from"
        )
    if protocol.tuning_seeds > CONFIRMING_SEEDS:
        raise UsageError(f"protocol.tuning_seeds: at most {CONFIRMING_SEEDS}")
    count = sum(len(learning_rates(run, protocol)) * protocol.tuning_seeds + protocol.seeds for run in runs)
    if count > MOST_RUNS:
        raise UsageError(f"the protocol makes {count:,} runs of this grid, more than {MOST_RUNS:,}; take fewer seeds")


def learning_rates(settings: RunSettings, protocol: ProtocolSettings) -> tuple[float, ...]:
    """The grid of learning rates: the protocol's, or multiples of the optimizer's own rate."""
    if protocol.learning_rates is not None:
        return protocol.learning_rates
    return tuple(float(f"{settings.optimizer.lr * factor:.6g}") for factor in _FACTORS)


def tuning_settings(settings: RunSettings, protocol: ProtocolSettings, rates: Sequence[float]) -> list[RunSettings]:
    """Returns settings for every learning rate with every tuning seed."""
    seeds = range(settings.seed, settings.seed + protocol.tuning_seeds)
    return [settings.at(rate, seed) for rate in rates for seed in seeds]


def confirming_settings(settings: RunSettings, protocol: ProtocolSettings, rate: float) -> list[RunSettings]:
    """Returns settings for the chosen learning rate with every confirming seed."""
    first = settings.seed + CONFIRMING_SEEDS
    return [settings.at(rate, seed) for seed in range(first, first + protocol.seeds)]


def grown_rates(
    runs: Sequence[RunSettings], protocol: ProtocolSettings, chosen: Sequence[float]
) -> list[tuple[float, ...]]:
    """The rates by which the grid of each of `runs` grows: one beyond an end that any activation of its task chose.

    Runs that differ in the activation alone belong to one task; their grids grow alike, so that budgets stay equal.
    chosen: the rate of each run.
    """
    tasks = [run.model_copy(update={"activation": runs[0].activation}) for run in runs]
    chosen_of: dict[RunSettings, set[float]] = {}
    for task, rate in zip(tasks, chosen, strict=True):
        chosen_of.setdefault(task, set()).add(rate)
    return [_beyond_ends(learning_rates(run, protocol), chosen_of[task]) for run, task in zip(runs, tasks, strict=True)]


def _beyond_ends(rates: Sequence[float], chosen: set[float]) -> tuple[float, ...]:
    grid = sorted(rates)
    if len(grid) < 2:  # a single rate was requested
        return ()
    ends = ((grid[0], grid[1]), (grid[-1], grid[-2]))
    return tuple(float(f"{end * end / inner:.6g}") for end, inner in ends if end in chosen)


def choose_rate(rows: Sequence[Mapping[str, Any]]) -> float:
    """The learning rate with the best mean validation accuracy over seeds; among equals, that with the lowest loss.

    rows: with lr, val_accuracy and val_loss. A run that diverged or failed counts as accuracy 0 and infinite loss.
    """
    scores: dict[float, list[tuple[float, float]]] = {}
    for row in rows:
        accuracy, loss = row["val_accuracy"], row["val_loss"]
        score = (0.0, -float("inf")) if accuracy is None or loss is None else (float(accuracy), -float(loss))
        scores.setdefault(float(row["lr"]), []).append(score)

    def mean(rate: float) -> tuple[float, float]:
        n = len(scores[rate])
        return sum(accuracy for accuracy, _ in scores[rate]) / n, sum(loss for _, loss in scores[rate]) / n

    return max(scores, key=mean)
