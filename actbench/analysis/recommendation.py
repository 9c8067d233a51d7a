"""Recommends an activation from the confirming runs of one task: by accuracy, then speed, then cost."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from actbench.analysis.statistics import Array

TOLERANCE = 1.1  # multiple of the fewest steps (lowest cost) up to which series are equally fast (cheap)
CLEAR = 0.5  # agreement of the resamples below which there is no clear choice
RESAMPLES = 1000


@dataclass(frozen=True)
class Decision:
    """The selections that lead from all series to one. Each begins with the best by its own criterion.

    series: all, by mean accuracy. accurate: mean test accuracy within the margin of the highest. fast: of those, mean
    steps to target (a run that never arrives counts with its full length) within a tenth of the fewest, or within one
    evaluation. cheap: of those, the cost within a tenth of the lowest; all where costs are unknown. choice: the most
    accurate of these. agreement: share of 1,000 resamples of the seeds that lead to the same choice.
    """

    series: tuple[str, ...]
    accurate: tuple[str, ...]
    fast: tuple[str, ...]
    cheap: tuple[str, ...]
    choice: str
    agreement: float


def decide(
    accuracy: pd.DataFrame,
    steps: pd.DataFrame,
    costs: Mapping[str, float],
    margin: float,
    evaluation_interval: int = 0,
) -> Decision:
    """Returns the decision from accuracy and steps to target, (seeds, series) each, without missing values.

    costs: by series; may be empty. evaluation_interval: steps between two evaluations, 0 where unknown.
    """
    names = [str(name) for name in accuracy]
    scores, times = accuracy.to_numpy(dtype=float), steps[accuracy.columns].to_numpy(dtype=float)
    seeds = len(scores)
    draws = np.random.default_rng(0).integers(0, seeds, (RESAMPLES, seeds))

    def path(rows: npt.NDArray[np.int64]) -> tuple[list[str], list[str], list[str], str]:
        return _path(names, scores[rows].mean(0), times[rows].mean(0), evaluation_interval, costs, margin)

    accurate, fast, cheap, choice = path(np.arange(seeds, dtype=np.int64))
    same = sum(path(draw)[-1] == choice for draw in draws)
    order = [names[index] for index in np.argsort(-scores.mean(0), kind="stable")]
    return Decision(tuple(order), tuple(accurate), tuple(fast), tuple(cheap), choice, same / RESAMPLES)


def _path(
    names: list[str], accuracy: Array, steps: Array, interval: int, costs: Mapping[str, float], margin: float
) -> tuple[list[str], list[str], list[str], str]:
    """Returns the series that pass each criterion, and the choice. accuracy, steps: means (series,)."""
    accurate = [i for i in np.argsort(-accuracy, kind="stable") if accuracy[i] >= accuracy.max() - margin]
    fewest = min(steps[i] for i in accurate)
    enough = max(TOLERANCE * fewest, fewest + interval)
    fast = sorted((i for i in accurate if steps[i] <= enough), key=lambda i: steps[i])
    cost = {i: costs.get(names[i], 0.0) for i in fast}
    cheap = [i for i in fast if cost[i] <= TOLERANCE * min(cost.values())]
    choice = max(cheap, key=lambda i: accuracy[i])
    return [names[i] for i in accurate], [names[i] for i in fast], [names[i] for i in cheap], names[choice]
