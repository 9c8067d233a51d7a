"""The confirming runs of one task, paired by seed: the input of the report's tables, figures and verdicts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from actbench.analysis.labels import activation_by_series, ended_runs, labelled
from actbench.analysis.recommendation import Decision, decide
from actbench.analysis.statistics import Difference, holm, paired_difference
from actbench.experiment.request import Request
from actbench.training.results import COSTS_MEASURED

WORST = 0.0  # accuracy of a run that diverged


@dataclass(frozen=True)
class Comparison:
    """Every series of one task against a baseline.

    runs: labelled rows of runs.csv of the task, phase confirm. costs: by series, medians of the columns of costs.csv;
    a series that was not measured is absent. evaluation_interval: steps between two evaluations, 0 where unknown.
    """

    task: str
    runs: pd.DataFrame
    baseline_activation: str
    margin: float
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    evaluation_interval: int = 0

    @cached_property
    def baseline(self) -> str:
        """The first series of the baseline's activation; the activation itself where there is none."""
        activations = activation_by_series(self.runs).items()
        return next((series for series, name in activations if name == self.baseline_activation),
                    self.baseline_activation)  # fmt: skip

    @cached_property
    def ended(self) -> pd.DataFrame:
        """Runs that finished or diverged."""
        return ended_runs(self.runs)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Test accuracy (seeds, series) on seeds with an ended run of every series; WORST where a run diverged."""
        return self._by_seed(self.ended["test_accuracy"].fillna(WORST))

    @cached_property
    def steps(self) -> pd.DataFrame:
        """Steps to target in the shape of `scores`; a run that never reaches it counts with its full length."""
        return self._by_seed(self.ended["steps_to_target"].astype(float).fillna(self.ended["steps"]))

    def _by_seed(self, values: pd.Series) -> pd.DataFrame:
        """Returns values (seeds, series); omits series without an ended run, then seeds that any series lacks."""
        wide = self.ended.assign(value=values).pivot(index="seed", columns="series", values="value")
        return wide[list(dict.fromkeys(self.ended["series"]))].dropna().sort_index()

    @cached_property
    def missing(self) -> dict[str, list[int]]:
        """Seeds of runs that failed or were never trained, by series."""
        planned = set(self.runs["seed"])
        seeds = {
            str(series): sorted(map(int, planned - set(ended_runs(group)["seed"])))
            for series, group in self.runs.groupby("series", sort=False)
        }
        return {series: lacking for series, lacking in seeds.items() if lacking}

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Differences of each series to the baseline on the seeds of `scores`; empty if either is lacking."""
        if self.baseline not in self.scores or self.scores.empty:
            return {}
        baseline = self.scores[self.baseline].to_numpy()
        others = [str(series) for series in self.scores if series != self.baseline]
        return {series: paired_difference(self.scores[series].to_numpy(), baseline) for series in others}

    @cached_property
    def adjusted(self) -> dict[str, float]:
        """p of the sign-flip test by series, corrected by Holm over the task's differences."""
        return dict(zip(self.differences, holm([d.p for d in self.differences.values()]), strict=True))

    def verdict(self, series: str) -> str:
        """The verdict on a series against the baseline."""
        return self.differences[series].verdict(self.margin, self.adjusted[series])

    @cached_property
    def ranking(self) -> list[str]:
        """Series by mean test accuracy on common seeds, the highest first."""
        return [str(series) for series in self.scores.mean().sort_values(ascending=False, kind="stable").index]

    @cached_property
    def decision(self) -> Decision | None:
        """The recommendation; None for a single series or without common seeds."""
        if self.scores.empty or self.scores.shape[1] < 2:
            return None
        measured = set(self.costs) >= set(self.scores)
        costs = {name: cost["step_share"] * cost["step_ns"] for name, cost in self.costs.items()} if measured else {}
        return decide(self.scores, self.steps, costs, self.margin, self.evaluation_interval)


def comparisons(runs: pd.DataFrame, costs: pd.DataFrame, request: Request) -> Iterator[Comparison]:
    """Yields one comparison per task, in the order of the runs. runs, costs: rows of runs.csv and costs.csv."""
    medians = costs.groupby("run_id")[list(COSTS_MEASURED)].median()
    for task, confirmed in labelled(runs[runs["phase"] == "confirm"]).groupby("task", sort=False):
        measured = {
            str(series): medians.loc[run_id].to_dict()
            for run_id, series in zip(confirmed["run_id"], confirmed["series"], strict=True)
            if run_id in medians.index
        }
        yield Comparison(str(task), confirmed, request.baseline, request.margin, measured, 0)
