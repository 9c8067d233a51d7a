"""Values of one activation on one task with its learning rate tuned on the other seeds, and their bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from actbench.analysis.statistics import Array, resample_weights
from actbench.experiment.choices import choose, other_seeds


@dataclass(frozen=True)
class Tuned:
    """The surviving rates of one activation on one task, on the seeds that count.

    rates: (rates,), ascending. seeds: (seeds,). score, tie: (rates, seeds), by which a rate is chosen: the highest mean
    score, of equals the lowest mean of `tie`. Both come from validation.
    """

    rates: Array
    seeds: tuple[int, ...]
    score: Array
    tie: Array

    @cached_property
    def places(self) -> npt.NDArray[np.int64]:
        """The place of the rate chosen for each seed on the other seeds, (seeds,)."""
        return choose(self.score, self.tie, other_seeds(len(self.seeds)))

    @cached_property
    def chosen(self) -> Array:
        """The rate chosen for each seed, (seeds,)."""
        return self.rates[self.places]

    def values(self, table: Array) -> Array:
        """A metric at the chosen rates, (seeds,). table: (rates, seeds)."""
        return np.asarray(table[self.places, np.arange(len(self.seeds))], dtype=float)

    @cached_property
    def _resampled_places(self) -> npt.NDArray[np.int64]:
        return choose(self.score, self.tie, resample_weights(len(self.seeds)))

    def resampled(self, table: Array) -> Array:
        """The metric's mean in each resample of the seeds, with the rate chosen anew by plain means, (samples,).

        Runs without a value (NaN in `table`) are left out of a mean.
        """
        weights, known = resample_weights(len(self.seeds)), np.isfinite(table)
        with np.errstate(invalid="ignore"):
            means = (weights @ np.where(known, table, 0.0).T) / (weights @ known.T.astype(float))
        return np.take_along_axis(means, self._resampled_places[:, None], 1)[:, 0]

    def table(self, runs: pd.DataFrame, values: "pd.Series[float]") -> Array:
        """A metric of the runs in the shape (rates, seeds). values: of each row of `runs`, or empty."""
        table = np.full((len(self.rates), len(self.seeds)), np.nan)
        rates, seeds = (
            pd.Index(self.rates).get_indexer(pd.Index(runs["lr"])),
            pd.Index(self.seeds).get_indexer(pd.Index(runs["seed"])),
        )
        known = (rates >= 0) & (seeds >= 0)
        table[rates[known], seeds[known]] = values.to_numpy(dtype=float)[known]
        return table


def tuned_by_score(runs: pd.DataFrame, seeds: Sequence[int], worst: float) -> Tuned:
    """By validation score, then loss. runs: ended rows of runs.csv of one activation at its surviving rates.

    worst: the score of a run that diverged.
    """
    return _tuned(runs, seeds, runs["val_score"].fillna(worst), runs["val_loss"].fillna(np.inf))


def tuned_by_speed(runs: pd.DataFrame, seeds: Sequence[int]) -> Tuned:
    """By steps to the target (a run that never reaches it: its full length), then by validation loss."""
    return _tuned(runs, seeds, -steps_or_length(runs), runs["val_loss"].fillna(np.inf))


def steps_or_length(runs: pd.DataFrame) -> "pd.Series[float]":
    """Steps to the target, and the full length of a run that never reaches it."""
    return runs["steps_to_target"].astype(float).fillna(runs["steps"].astype(float))


def _tuned(runs: pd.DataFrame, seeds: Sequence[int], score: "pd.Series[float]", tie: "pd.Series[float]") -> Tuned:
    rates = np.array(sorted(runs["lr"].unique()), dtype=float)
    empty = Tuned(rates, tuple(seeds), np.empty(0), np.empty(0))
    return Tuned(rates, tuple(seeds), empty.table(runs, score), empty.table(runs, tie))
