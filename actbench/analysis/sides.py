"""The two sides of a hypothesis on one task, as paired values of its metric."""

import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from actbench.analysis.differences import Difference, Pair, judge
from actbench.analysis.labels import ended_runs, samples_seen, surviving
from actbench.analysis.selectors import Task
from actbench.analysis.statistics import Array, percentiles, resample_weights, share_interval
from actbench.analysis.tuned import tuned_by_score, tuned_by_speed
from actbench.experiment.protocol import FEWEST_SEEDS
from actbench.experiment.questions import Hypothesis
from actbench.experiment.scores import ACCURACY
from actbench.training.results import COSTS_MEASURED

SCORE = "score"  # of the task's metric
SCORES = (SCORE, ACCURACY.column)  # metrics whose margin is the protocol's
SHARES = ("reached_target",)  # metrics of which a run has 0 or 1

_DERIVED = re.compile(r"(abs|any)\((\w+)\)")
_OF_SCORE = (SCORE, "val_score", "auc")  # of which a run that diverged has the task's worst score
_OF_SHARE = (ACCURACY.column, ACCURACY.curve, "reached_target")  # of which it has 0


@dataclass(frozen=True)
class Sides:
    """Paired values of a hypothesis.

    pairs: (pairs, 2), values of a, and of b times the factor; a pair is a seed (of costs: a round) that both have.
    resampled: (samples,), mean differences in bootstrap samples. censored: (pairs, 2), whether a time is that of a run
    that never arrived. kind: mean, share (of runs), or median (of costs).
    """

    pairs: Array
    resampled: Array
    censored: npt.NDArray[np.bool_]
    kind: str
    is_number: bool  # whether b is a number

    @property
    def means(self) -> tuple[float, float]:
        """The mean (of costs: the median) of each side; NaN without pairs."""
        if not len(self.pairs):
            return np.nan, np.nan
        a, b = (np.median if self.kind == "median" else np.mean)(self.pairs, axis=0)
        return float(a), float(b)

    @cached_property
    def _differences(self) -> Array:
        return np.asarray(self.pairs[:, 0] - self.pairs[:, 1])

    def difference(self, margin: float) -> Difference | None:
        """The difference a - b with interval and tests; None without pairs."""
        if not len(self.pairs):
            return None
        (found,) = judge([Pair(self._differences, self.resampled)], margin)
        if len(self.pairs) < 2:
            return found
        if self.kind == "median":
            return self._of_medians(margin, found)
        return self._of_shares(margin, found) if self.kind == "share" else found

    def _of_medians(self, margin: float, found: Difference) -> Difference:
        """Costs: the difference of the medians, tested by signed ranks, which an interrupted round cannot carry off."""
        mean = self.means[0] - self.means[1]
        low, high = percentiles(self.resampled, mean, len(self.pairs))
        return replace(
            found, mean=mean, low=low, high=high, p=_signed_rank(self._differences, "two-sided"),
            p_better=_signed_rank(self._differences - margin, "greater"),
            p_worse=_signed_rank(self._differences + margin, "less"),
            p_equal=max(
                _signed_rank(self._differences + margin, "greater"), _signed_rank(self._differences - margin, "less")
            ),
        )  # fmt: skip

    def _of_shares(self, margin: float, found: Difference) -> Difference:
        """Shares of runs: exact binomial bounds, as a bootstrap of runs that are all alike has no width."""
        total = len(self.pairs)
        count = int(self.pairs[:, 0].sum())
        low, high = share_interval(count, total)
        if not self.is_number:
            of_b = share_interval(int(self.pairs[:, 1].sum()), total)
            return replace(found, low=low - of_b[1], high=high - of_b[0], p_equal=1.0)
        number = float(self.pairs[0, 1])
        within = max(
            _binomial(count, total, number + margin, "less"), _binomial(count, total, number - margin, "greater")
        )
        return replace(
            found, low=low - number, high=high - number, p=_binomial(count, total, number, "two-sided"), p_equal=within,
            p_better=_binomial(count, total, number + margin, "greater"),
            p_worse=_binomial(count, total, number - margin, "less"),
        )  # fmt: skip

    def least_favourable(self, margin: float) -> Difference | None:
        """The difference under the least favourable imputation of censored times."""
        if not self.censored.any():
            return self.difference(margin)
        differences = self._differences.copy()
        if differences.mean() > 0:
            differences[self.censored[:, 1]] = np.minimum(differences[self.censored[:, 1]], 0)
        else:
            differences[self.censored[:, 0]] = np.maximum(differences[self.censored[:, 0]], 0)
        (found,) = judge([Pair(differences, resample_weights(len(differences)) @ differences)], margin)
        return found


def sides_of(hypothesis: Hypothesis, task: Task, costs: pd.DataFrame, worst: float = 0.0) -> Sides:
    """The sides of a hypothesis on one task. costs: rows of costs.csv. worst: the score of a run that diverged."""
    _, a, b = task
    column = column_of(hypothesis.metric)
    if column in COSTS_MEASURED:
        return _cost_sides(column, hypothesis, a, b, costs)
    runs = [None if side is None else _asked(side) for side in (a, b)]
    longest = float(pd.concat([side for side in runs if side is not None])["seconds"].max())
    seeds = _common_seeds([side for side in runs if side is not None])
    values, resampled, reached = [], [], []
    for side in runs:
        if side is None or not seeds:
            number = float(hypothesis.b) if isinstance(hypothesis.b, float) else np.nan
            values.append(np.full(len(seeds), number))
            resampled.append(np.array([number]))
            reached.append(np.ones(len(seeds), dtype=bool))
            continue
        fastest = hypothesis.rates == "fastest"
        tuned = tuned_by_speed(side, seeds) if fastest else tuned_by_score(side, seeds, worst)
        table = tuned.table(side, _metric(hypothesis.metric, side, longest, worst))
        values.append(tuned.values(table))
        resampled.append(tuned.resampled(table))
        arrived = tuned.table(side, side["reached_target"].fillna(False).astype(float))
        reached.append(tuned.values(arrived) > 0)
    pairs = np.stack([values[0], hypothesis.factor * values[1]], axis=1)
    known = np.isfinite(pairs).all(1)
    censored = ~np.stack(reached, axis=1) & column.endswith("_to_target")
    is_share = column in SHARES or hypothesis.metric.startswith("any(")
    kind = "share" if is_share and hypothesis.factor == 1 else "mean"
    means = resampled[0] - hypothesis.factor * resampled[1]
    return Sides(pairs[known], means[np.isfinite(means)], censored[known], kind, b is None)


def _cost_sides(
    column: str, hypothesis: Hypothesis, a: pd.DataFrame, b: pd.DataFrame | None, costs: pd.DataFrame
) -> Sides:
    """A pair is a round of measurement; estimates are medians over rounds."""
    sides = [
        pd.Series(dtype=float) if side is None
        else costs[costs["run_id"].isin(side["run_id"])].set_index("round")[column].astype(float)
        for side in (a, b)
    ]  # fmt: skip
    if b is None and isinstance(hypothesis.b, float):
        sides[1] = pd.Series(hypothesis.b, sides[0].index)
    pairs = pd.concat([sides[0], hypothesis.factor * sides[1]], axis=1).dropna().to_numpy(dtype=float)
    medians = np.empty(0)
    if len(pairs):
        draws = np.random.default_rng(0).integers(0, len(pairs), (2000, len(pairs)))
        medians = np.median(pairs[draws, 0], axis=1) - np.median(pairs[draws, 1], axis=1)
    return Sides(pairs, medians, np.zeros(pairs.shape, dtype=bool), "median", b is None)


def _asked(side: pd.DataFrame) -> pd.DataFrame:
    """The ended runs of a side at the rates that it is asked at."""
    if "rate" in side:
        side = surviving(side).rename(columns={"rate": "lr"})
    return ended_runs(side)


def _common_seeds(sides: list[pd.DataFrame]) -> list[int]:
    """Seeds that have a run of each rate of each side."""
    common = [
        set(side["seed"].value_counts().loc[lambda counts, side=side: counts == side["lr"].nunique()].index)
        for side in sides
    ]
    return sorted(map(int, set.intersection(*common)))


def _metric(metric: str, runs: pd.DataFrame, longest: float, worst: float) -> "pd.Series[float]":
    """Values by run. longest: seconds of the longest run, for diverged runs, as is worst, the score of these."""
    column = column_of(metric)
    values = runs[column].astype(float)
    if column.endswith("_to_target"):
        unit = column.removesuffix("_to_target")
        lengths = samples_seen(runs) if unit == "samples" else runs[unit]
        values = values.fillna(lengths.astype(float))
        values = values.fillna(longest) if unit == "seconds" else values
    if column in (*_OF_SCORE, *_OF_SHARE):
        lost = worst if column in _OF_SCORE else 0.0
        values = values.mask((runs["status"] == "diverged") & values.isna(), lost)
    if metric.startswith("any("):
        return values.gt(0).astype(float).mask(values.isna())
    return values if column == metric else values.abs()


def column_of(metric: str) -> str:
    """The column of a metric: `abs(NAME)`, and `any(NAME)`, whether it is above 0, are of the column NAME."""
    derived = _DERIVED.fullmatch(metric)
    return derived.group(2) if derived else metric


def _signed_rank(differences: Array, alternative: str) -> float:
    """p of Wilcoxon's signed-rank test; 1 where all differences are 0."""
    if len(differences) < FEWEST_SEEDS or not np.any(differences):
        return 1.0
    from scipy import stats  # takes a second

    return float(stats.wilcoxon(differences, alternative=alternative).pvalue)


def _binomial(count: int, total: int, share: float, alternative: str) -> float:
    """p of the exact binomial test against a share; below 0 every count is above it, above 1 below."""
    if 0 <= share <= 1:
        from scipy import stats  # takes a second

        return float(stats.binomtest(count, total, share, alternative=alternative).pvalue)
    return 0.0 if (alternative == "greater") is (share < 0) else 1.0
