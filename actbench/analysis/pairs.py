"""The confirming runs of one setting, paired by seed: what the report's tables, figures and verdicts are made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from actbench.analysis.labels import ended_runs, labelled
from actbench.analysis.recommendation import Decision, decide
from actbench.analysis.statistics import Difference, holm, paired_difference

WORST = 0.0  # accuracy of a run that diverged


@dataclass(frozen=True)
class Comparison:
    """runs: rows of runs.csv of one setting, phase confirm, with the columns of tables.labelled. costs: by series,
    medians of the columns of costs.csv; those not measured are not there. every: steps between two evaluations, 0 where
    unknown."""

    setting: str
    runs: pd.DataFrame
    activation: str  # to compare with
    margin: float
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    every: int = 0

    @cached_property
    def baseline(self) -> str:
        """The series to compare with: of several of the activation (its settings differ) the first."""
        named = [str(series) for series in dict.fromkeys(self.runs["series"])]
        return next((series for series in named if series.split()[0] == self.activation), self.activation)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Test accuracy, a row a seed, a column a series: the seeds that every series has ended. Diverged: WORST."""
        ended = self.ended.assign(score=self.ended["test_accuracy"].fillna(WORST))
        return self._wide(ended, "score")

    @cached_property
    def steps(self) -> pd.DataFrame:
        """Steps to target as `scores` has accuracies; a run that never arrives counts with its whole length."""
        ended = self.ended.assign(value=self.ended["steps_to_target"].astype(float).fillna(self.ended["steps"]))
        return self._wide(ended, "value")

    @property
    def ended(self) -> pd.DataFrame:
        """Runs that say something: those that failed or were never made do not."""
        return ended_runs(self.runs)

    def _wide(self, frame: pd.DataFrame, column: str) -> pd.DataFrame:
        """Series that have not ended a single run are left out; seeds that one of the others lacks, too."""
        wide = frame.pivot(index="seed", columns="series", values=column)
        return wide[list(dict.fromkeys(frame["series"]))].dropna().sort_index()

    @cached_property
    def missing(self) -> dict[str, list[int]]:
        """Seeds of runs that failed or were never made, by series."""
        every, ended = set(self.runs["seed"]), self.ended
        seeds = {
            str(series): sorted(map(int, every - set(ended.loc[ended["series"] == series, "seed"])))
            for series in dict.fromkeys(self.runs["series"])
        }
        return {series: lacking for series, lacking in seeds.items() if lacking}

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Of each series to the baseline, on the seeds of `scores`; empty without the baseline or common seeds."""
        if self.baseline not in self.scores or self.scores.empty:
            return {}
        base = self.scores[self.baseline].to_numpy()
        others = [str(series) for series in self.scores if series != self.baseline]
        return {series: paired_difference(self.scores[series].to_numpy(), base) for series in others}

    @cached_property
    def adjusted(self) -> dict[str, float]:
        """p of the sign-flip test, by Holm over the setting's differences."""
        return dict(zip(self.differences, holm([d.p for d in self.differences.values()]), strict=True))

    def verdict(self, series: str) -> str:
        return self.differences[series].verdict(self.margin, self.adjusted[series])

    @cached_property
    def ranking(self) -> list[str]:
        """Series by mean test accuracy on common seeds, the highest first."""
        return [str(series) for series in self.scores.mean().sort_values(ascending=False, kind="stable").index]

    @cached_property
    def decision(self) -> Decision | None:
        if self.scores.empty or self.scores.shape[1] < 2:
            return None
        known = set(self.costs) >= set(self.scores)
        costs = {name: own["step_share"] * own["step_ns"] for name, own in self.costs.items()} if known else {}
        return decide(self.scores, self.steps, costs, self.margin, self.every)


def comparisons(runs: pd.DataFrame, costs: pd.DataFrame, tags: Mapping[str, str]) -> Iterator[Comparison]:
    """One a setting, in the order of the runs. runs, costs: as runs.csv and costs.csv have them; tags: of the parent
    run."""
    medians = costs.groupby("run_id")[["activation_ns", "step_ns", "step_share"]].median()
    confirmed = labelled(runs[runs["phase"] == "confirm"])
    every = max(map(int, tags.get("evaluate_every", "0").split(", ")))
    for setting, own in confirmed.groupby("setting", sort=False):
        known = {
            str(series): medians.loc[id].to_dict()
            for id, series in zip(own["run_id"], own["series"], strict=True)
            if id in medians.index
        }
        yield Comparison(str(setting), own, tags["baseline"], float(tags["margin"]), known, every)
