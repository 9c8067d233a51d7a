"""The main job's protocol: tune each activation's learning rate on an equal budget, then confirm on fresh seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from actbench.errors import UsageError
from actbench.experiment.compose import MOST_RUNS
from actbench.experiment.schema import Config

CONFIRMING_SEEDS = 1000  # seeds from seed + 0 tune, from seed + 1000 confirm: disjoint whatever their number

_TIMES = (0.1, 0.3, 1.0, 3.0, 10.0)  # of the optimizer's own learning rate, where the protocol names no rates


def check_grid(points: Sequence[Config]) -> None:
    """Raises UsageError for a grid that the protocol itself spans."""
    if len({point.optimizer.lr for point in points}) > 1 and len({point.optimizer.name for point in points}) == 1:
        raise UsageError("optimizer.lr: compare tunes it; name the rates as protocol.learning_rates=[...]")
    if len({point.seed for point in points}) > 1:
        raise UsageError(
            "seed: compare draws its own; set protocol.tuning_seeds and protocol.seeds, or one seed to start from"
        )
    if any(point.protocol.tuning_seeds > CONFIRMING_SEEDS for point in points):
        raise UsageError(f"protocol.tuning_seeds: at most {CONFIRMING_SEEDS}")
    count = sum(len(learning_rates(point)) * point.protocol.tuning_seeds + point.protocol.seeds for point in points)
    if count > MOST_RUNS:
        raise UsageError(f"the protocol makes {count:,} runs of this grid, more than {MOST_RUNS:,}; take fewer seeds")


def learning_rates(config: Config) -> tuple[float, ...]:
    if config.protocol.learning_rates is not None:
        return config.protocol.learning_rates
    return tuple(float(f"{config.optimizer.lr * times:.6g}") for times in _TIMES)


def tuning_configs(point: Config, rates: Sequence[float]) -> list[Config]:
    """Every learning rate by every tuning seed, for one grid point."""
    seeds = range(point.seed, point.seed + point.protocol.tuning_seeds)
    return [_at(point, rate, seed) for rate in rates for seed in seeds]


def grown_rates(points: Sequence[Config], chosen: Sequence[float]) -> list[tuple[float, ...]]:
    """Rates by which each point's grid grows: one beyond an end that any activation of its setting has chosen.

    The grids of one setting, of points that differ in the activation alone, grow alike: budgets stay equal.
    """
    settings = [replace(point, activation=points[0].activation) for point in points]
    return [
        _neighbours(
            learning_rates(point), {rate for rate, other in zip(chosen, settings, strict=True) if other == setting}
        )
        for point, setting in zip(points, settings, strict=True)
    ]


def _neighbours(rates: Sequence[float], chosen: set[float]) -> tuple[float, ...]:
    grid = sorted(rates)
    if len(grid) < 2:  # a single rate was meant
        return ()
    ends = ((grid[0], grid[1]), (grid[-1], grid[-2]))
    return tuple(float(f"{end * end / inner:.6g}") for end, inner in ends if end in chosen)


def confirming_configs(point: Config, rate: float) -> list[Config]:
    """The chosen learning rate on fresh seeds, for one grid point."""
    first = point.seed + CONFIRMING_SEEDS
    return [_at(point, rate, seed) for seed in range(first, first + point.protocol.seeds)]


def _at(point: Config, rate: float, seed: int) -> Config:
    return replace(point, optimizer=replace(point.optimizer, lr=rate), seed=seed)


def choose_rate(rows: Sequence[Mapping[str, Any]]) -> float:
    """The learning rate of the best mean validation accuracy over seeds; of equals the one of lower mean loss.

    A run that diverged or failed counts as accuracy 0 and infinite loss.
    """
    scores: dict[float, list[tuple[float, float]]] = {}
    for row in rows:
        accuracy, loss = row["val_accuracy"], row["val_loss"]
        score = (0.0, -float("inf")) if accuracy is None or loss is None else (float(accuracy), -float(loss))
        scores.setdefault(float(row["lr"]), []).append(score)

    def mean(rate: float) -> tuple[float, float]:
        n = len(scores[rate])
        return sum(a for a, _ in scores[rate]) / n, sum(loss for _, loss in scores[rate]) / n

    return max(scores, key=mean)
