"""Which activation to take, decided from the confirming runs of one setting: accuracy, then speed, then cost."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[np.float64]

SLOWER = 1.1  # as soon at the target as the first: within a tenth of its mean steps; and so with costs
SURE = 0.5  # share of resamples below which a choice is none
RESAMPLES = 1000


@dataclass(frozen=True)
class Decision:
    """The path from all activations to one. Each list begins with the best of its kind.

    accurate: mean test accuracy within the margin of the highest. soon: of those, mean steps to target (a run that
    never arrives counts with the whole run) within a tenth of the fewest, or within one evaluation. cheap: of those,
    the cost within a tenth of the lowest; all where costs are not known. choice: the most accurate of these. sure:
    share of 1,000 resamples of the seeds that lead to the same choice.
    """

    series: tuple[str, ...]
    accurate: tuple[str, ...]
    soon: tuple[str, ...]
    cheap: tuple[str, ...]
    choice: str
    sure: float


def decide(
    accuracy: pd.DataFrame, steps: pd.DataFrame, costs: Mapping[str, float], margin: float, every: int = 0
) -> Decision:
    """accuracy, steps: a row a seed, a column a series, none missing. costs: by series; may be empty. every: steps
    between two evaluations, 0 where unknown."""
    names = [str(name) for name in accuracy]
    scores, times = accuracy.to_numpy(dtype=float), steps[accuracy.columns].to_numpy(dtype=float)
    seeds = len(scores)
    generator = np.random.default_rng(0)
    draws = generator.integers(0, seeds, (RESAMPLES, seeds))

    def path(rows: npt.NDArray[np.int64]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str]:
        return _path(names, scores[rows].mean(0), times[rows].mean(0), every, costs, margin)

    accurate, soon, cheap, choice = path(np.arange(seeds, dtype=np.int64))
    same = sum(path(draw)[3] == choice for draw in draws)
    order = tuple(names[index] for index in np.argsort(-scores.mean(0), kind="stable"))
    return Decision(order, accurate, soon, cheap, choice, same / RESAMPLES)


def _path(
    names: list[str], accuracy: Array, steps: Array, every: int, costs: Mapping[str, float], margin: float
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str]:
    accurate = [i for i in np.argsort(-accuracy, kind="stable") if accuracy[i] >= accuracy.max() - margin]
    fewest = min(steps[i] for i in accurate)
    soon = sorted((i for i in accurate if steps[i] <= max(SLOWER * fewest, fewest + every)), key=lambda i: steps[i])
    paid = [costs.get(names[i], 0.0) for i in soon]
    cheap = [i for i, cost in zip(soon, paid, strict=True) if cost <= SLOWER * min(paid)]
    choice = max(cheap, key=lambda i: accuracy[i])
    return (
        tuple(names[i] for i in accurate),
        tuple(names[i] for i in soon),
        tuple(names[i] for i in cheap),
        names[choice],
    )
