"""Which activations to take on one task, which to avoid, and which the runs leave undecided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from actbench.analysis.differences import Difference
from actbench.analysis.statistics import LEVEL, step_down
from actbench.experiment.protocol import FEWEST_SEEDS


@dataclass(frozen=True)
class Recommendation:
    """Sets of activations. Only scores decide who is in which; speed and cost order `take`.

    best: the highest mean score. take: shown to be less than the margin below the best, and the best itself; the
    baseline first, then the fastest, of these the cheapest, and the others by their steps to the target. avoid:
    shown to be more than the margin below it. undecided: the others, by score. fastest: not shown to need more steps
    to the target than the one with the fewest; empty where none gets there.
    """

    best: str
    take: tuple[str, ...]
    avoid: tuple[str, ...]
    undecided: tuple[str, ...]
    fastest: tuple[str, ...]


def recommend(
    ranking: Sequence[str], to_best: Mapping[str, Difference], close: Mapping[str, float], steps: pd.DataFrame,
    arrives: Sequence[str], costs: Mapping[str, float], baseline: str = "",
) -> Recommendation:  # fmt: skip
    """Returns the sets of one task.

    ranking: all, by mean score. to_best: difference of each to the first. close: p that each is less than the margin
    below the first. steps: to the target at the fastest rate, (seeds, activations). arrives: those that reach the
    target in at least half of their runs. costs: of a step's activations, by activation; may be empty.
    """
    best, *others = ranking
    decided = len(steps) >= FEWEST_SEEDS
    take = {best, *(name for name in others if decided and close[name] <= LEVEL)}
    avoid = [name for name in others if decided and name not in take and to_best[name].verdict == "worse"]
    fastest = _fastest(steps[list(arrives)])
    means = steps.mean()
    ordered = sorted(take, key=lambda name: (name != baseline, name not in fastest,
                                             costs.get(name, 0.0) if name in fastest else 0.0,
                                             means[name], ranking.index(name)))  # fmt: skip
    undecided = [name for name in others if name not in take and name not in avoid]
    return Recommendation(best, tuple(ordered), tuple(avoid), tuple(undecided), fastest)


def _fastest(steps: pd.DataFrame) -> tuple[str, ...]:
    """Those not shown to need more steps than the one with the fewest, by their mean. steps: (seeds, activations)."""
    if steps.empty:
        return ()
    names = [str(name) for name in steps.mean().sort_values(kind="stable").index]
    first, *others = names
    if not others or len(steps) < FEWEST_SEEDS:
        return (first,)
    later = step_down((steps[others].sub(steps[first], axis=0)).to_numpy(dtype=float), two_sided=False)
    return (first, *np.array(others)[later > LEVEL].tolist())
