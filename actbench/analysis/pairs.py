"""The runs of one task, paired by seed, each activation at its own rate: the input of the report's statements."""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from actbench.analysis.differences import Difference, Pair, judge, within
from actbench.analysis.labels import activation_by_series, compared_runs, ended_runs, labelled, surviving, usual_length
from actbench.analysis.recommendation import Recommendation, recommend
from actbench.analysis.speed import Speed, speed
from actbench.analysis.statistics import Array, block_means, example_factor, percentiles
from actbench.analysis.tuned import Tuned, steps_or_length, tuned_by_score, tuned_by_speed
from actbench.experiment.request import Request
from actbench.experiment.scores import METRICS, Metric
from actbench.training.results import COSTS_MEASURED

# run id -> whether each test example is classified correctly, (examples,) of bool; of text the score of each window
Examples = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """Every series of one task against a baseline.

    runs: labelled rows of runs.csv of the task, of all rates. costs: by series, rounds of the columns of costs.csv; a
    series that was not measured is absent. examples: of the chosen runs, where the data set has a test set of its own.
    n_test: test examples of a run, 0 where unknown. worst: the score of a run that diverged. own_test: whether all runs
    are known to have the same test examples.
    """

    task: str
    runs: pd.DataFrame
    baseline_activation: str
    margin: float
    costs: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    examples: Examples = field(default_factory=dict)
    n_test: int = 0
    worst: float = 0.0
    own_test: bool = False

    @cached_property
    def metric(self) -> Metric:
        """The metric of the task's scores."""
        return METRICS[str(self.runs["metric"].iloc[0])]

    @cached_property
    def baseline(self) -> str:
        """The first series of the baseline's activation; the activation itself where there is none."""
        activations = activation_by_series(self.runs).items()
        return next((series for series, name in activations if name == self.baseline_activation),
                    self.baseline_activation)  # fmt: skip

    @cached_property
    def planned(self) -> pd.DataFrame:
        """Runs of the protocol's stages, without those that repeat others at equal time."""
        return usual_length(self.runs)

    @cached_property
    def ended(self) -> pd.DataFrame:
        """Runs from which the scores are taken, one of each series and seed."""
        return ended_runs(self.planned[self.planned["chosen"].eq(True)])

    @cached_property
    def _surviving(self) -> pd.DataFrame:
        return surviving(self.planned)

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds on which no run has failed or is missing, of the series that have ended runs."""
        live = self._surviving[self._surviving["series"].isin(ended_runs(self._surviving)["series"])]
        tried = self.planned[self.planned["series"].isin(live["series"])]
        ended = ended_runs(tried)
        lost = tried[~tried.index.isin(ended.index)]
        ended_rates = set(zip(ended["series"], ended["lr"], strict=True))  # others failed on every seed
        others = [pair in ended_rates for pair in zip(lost["series"], lost["lr"], strict=True)]
        lost = lost[pd.Series(others, lost.index, dtype=bool)]
        counts = live[~live["seed"].isin(lost["seed"])].groupby("seed").size()
        cells = live.groupby(["series", "lr"]).ngroups
        return sorted(int(seed) for seed in counts.index[counts == cells])

    @cached_property
    def tuned(self) -> dict[str, Tuned]:
        """Each series with its rate chosen by validation score; none where no seed is left."""
        return {series: tuned_by_score(runs, self.seeds, self.worst) for series, runs in self._by_series}

    @cached_property
    def fastest(self) -> dict[str, Tuned]:
        """Each series with its rate chosen by steps to the target."""
        return {series: tuned_by_speed(runs, self.seeds) for series, runs in self._by_series}

    @cached_property
    def _by_series(self) -> list[tuple[str, pd.DataFrame]]:
        runs = ended_runs(self._surviving)
        runs = runs[runs["seed"].isin(self.seeds)]
        return [(str(series), group) for series, group in runs.groupby("series", sort=False)]

    @cached_property
    def _tables(self) -> dict[str, Array]:
        """Test score of each series, (rates, seeds)."""
        return {
            series: self.tuned[series].table(runs, runs["score"].fillna(self.worst)) for series, runs in self._by_series
        }

    @cached_property
    def _resampled(self) -> dict[str, Array]:
        """Mean test score of each series in each resample of the seeds, (samples,)."""
        return {series: self.tuned[series].resampled(table) for series, table in self._tables.items()}

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Test score (seeds, series) at the rates chosen on the other seeds; the worst where a run diverged."""
        return self._frame({series: self.tuned[series].values(table) for series, table in self._tables.items()})

    @cached_property
    def rates(self) -> pd.DataFrame:
        """The rates chosen for each seed on the others, (seeds, series)."""
        return self._frame({series: tuned.chosen for series, tuned in self.tuned.items()})

    @cached_property
    def steps(self) -> pd.DataFrame:
        """Steps to target in the shape of `scores`; a run that never reaches it counts with its full length."""
        return self._at_rates(self.tuned, steps_or_length)

    @cached_property
    def fastest_steps(self) -> pd.DataFrame:
        """As `steps`, at the surviving rate that is fastest on the other seeds."""
        return self._at_rates(self.fastest, steps_or_length)

    @cached_property
    def speeds(self) -> dict[str, Speed]:
        """How fast each series reaches the target."""
        return {series: speed(self.fastest[series], runs) for series, runs in self._by_series}

    def _at_rates(
        self, tuned: Mapping[str, Tuned], metric: Callable[[pd.DataFrame], "pd.Series[float]"]
    ) -> pd.DataFrame:
        """A metric of the runs at the rates that were chosen, (seeds, series)."""
        return self._frame({
            series: tuned[series].values(tuned[series].table(runs, metric(runs))) for series, runs in self._by_series
        })  # fmt: skip

    def _frame(self, columns: Mapping[str, Array]) -> pd.DataFrame:
        return pd.DataFrame(columns, index=pd.Index(self.seeds, name="seed"))

    @cached_property
    def raced_out(self) -> dict[str, list[float]]:
        """The rates of each series that got no further seeds, ascending."""
        tried = {str(series): set(group["lr"]) for series, group in self.planned.groupby("series", sort=False)}
        kept = self._surviving.groupby("series")["lr"].agg(set)
        out = {series: sorted(rates - kept.get(series, set())) for series, rates in tried.items()}
        return {series: [float(rate) for rate in rates] for series, rates in out.items() if rates}

    @cached_property
    def missing(self) -> dict[str, list[int]]:
        """Seeds of runs that failed or were never trained, by series."""
        lost = self.planned[~self.planned.index.isin(ended_runs(self.planned).index)]
        return {
            str(series): sorted(map(int, group["seed"].unique()))
            for series, group in lost.groupby("series", sort=False)
        }

    @cached_property
    def failed(self) -> list[str]:
        """Series of which no run has ended."""
        ended = set(ended_runs(self.planned)["series"])
        return [str(series) for series in dict.fromkeys(self.planned["series"]) if series not in ended]

    @cached_property
    def ranking(self) -> list[str]:
        """Series by mean test score on common seeds, the highest first."""
        if self.scores.empty:
            return []
        return [
            str(series) for series in self.scores.mean().round(12).sort_values(ascending=False, kind="stable").index
        ]

    def interval(self, series: str) -> tuple[float, float]:
        """The 95 % interval of a mean score, cut at the worst and the best one; NaN for a single seed."""
        scores = self.scores[series].to_numpy()
        if len(scores) < 2:
            return float("nan"), float("nan")
        factor = example_factor(self._by_example(series)) if self.covers_examples else 1.0
        low, high = percentiles(self._resampled[series], float(scores.mean()), len(scores), factor)
        return max(low, self.worst), min(high, self.metric.best)

    @cached_property
    def covers_examples(self) -> bool:
        """Whether intervals cover new test examples too: where a fixed test set's scores are kept by example."""
        finished = self.ended.loc[self.ended["status"] == "finished", "run_id"]
        return bool(self.examples) and bool(finished.isin(list(self.examples)).all())

    @cached_property
    def _run_ids(self) -> pd.DataFrame:
        """Ids of the runs from which the scores are taken, (seeds, series)."""
        ended = self.ended[self.ended["seed"].isin(self.seeds)]
        return ended.pivot(index="seed", columns="series", values="run_id").reindex(self.seeds)

    def _by_example(self, series: str) -> Array:
        """The score of each test example, (seeds, examples), 1 or 0 for accuracy; the worst where a run diverged.

        Of text, whose windows are consecutive, of each block of windows.
        """
        ids = self._run_ids.to_numpy().ravel()
        known = next((self.examples[run_id] for run_id in ids if run_id in self.examples), np.empty(1))
        lost = np.full(len(known), self.worst)
        scores = np.stack([self.examples.get(run_id, lost) for run_id in self._run_ids[series]]).astype(float)
        return block_means(scores) if self.metric.name == "bits_per_character" else scores

    def pair(self, series: str, other: str) -> Pair:
        """The scores of one series less those of another."""
        factor = example_factor(self._by_example(series) - self._by_example(other)) if self.covers_examples else 1.0
        resampled = self._resampled[series] - self._resampled[other]
        return Pair((self.scores[series] - self.scores[other]).to_numpy(), resampled, factor)

    def differences_to(self, other: str) -> dict[str, Difference]:
        """Differences of the other series to one, a family of tests; empty where that has no scores."""
        if other not in self.scores or self.scores.empty:
            return {}
        names = [str(series) for series in self.scores if series != other]
        return dict(zip(names, judge([self.pair(name, other) for name in names], self.margin), strict=True))

    @cached_property
    def differences(self) -> dict[str, Difference]:
        """Differences of each series to the baseline."""
        return self.differences_to(self.baseline)

    def only(self, series: Collection[str]) -> "Comparison":
        """This comparison with some series and the baseline alone, to be drawn.

        Seeds, choices of rates, intervals and tests stay those of all series.
        """
        kept = [name for name in self.ranking if name in series or name == self.baseline]
        shown = replace(self, runs=self.runs[self.runs["series"].isin(kept)],
                        costs={name: rounds for name, rounds in self.costs.items() if name in kept})  # fmt: skip
        found = self.recommendation
        if found is not None:
            take, avoid, undecided, fastest = (
                tuple(name for name in group if name in kept)
                for group in (found.take, found.avoid, found.undecided, found.fastest)
            )
            found = replace(found, take=take, avoid=avoid, undecided=undecided, fastest=fastest)
        vars(shown).update(
            seeds=self.seeds, scores=self.scores[kept], recommendation=found, has_target=self.has_target,
            differences={name: found for name, found in self.differences.items() if name in kept},
        )  # fmt: skip
        return shown

    @cached_property
    def to_best(self) -> dict[str, Difference]:
        """Differences of each series to that with the highest mean; empty without common seeds."""
        return self.differences_to(self.ranking[0]) if self.ranking else {}

    @cached_property
    def all_pairs(self) -> dict[tuple[str, str], Difference]:
        """Differences of all pairs of series, one family of tests."""
        names = list(itertools.combinations(self.ranking, 2))
        return dict(zip(names, judge([self.pair(*pair) for pair in names], self.margin), strict=True))

    @cached_property
    def has_target(self) -> bool:
        """Whether the runs have a target."""
        return bool(self.ended["reached_target"].notna().any())

    @cached_property
    def arrives(self) -> list[str]:
        """Series that reach the target in at least half of the runs at their fastest rate."""
        reached = self._at_rates(
            self.fastest, lambda runs: runs["reached_target"].eq(True).fillna(False).astype(float)
        ).mean()
        return [str(series) for series in reached.index[reached >= 0.5]]

    @cached_property
    def is_untrained(self) -> bool:
        """Whether the runs from which scores are taken have no training step: they measure initial networks."""
        return len(self.ended) > 0 and bool(self.ended["steps"].eq(0).all())

    @cached_property
    def is_unlearned(self) -> bool:
        """Whether no series has a mean score that is better than the worst by half a margin: nothing is learned."""
        return len(self.ranking) > 0 and bool(self.scores.mean().max() - self.worst < self.margin / 2)

    @cached_property
    def recommendation(self) -> Recommendation | None:
        """Which to take and which to avoid; None for a single series, and where nothing is learned."""
        if len(self.ranking) < 2 or self.is_untrained or self.is_unlearned:
            return None
        close = {name: within(self.pair(name, self.ranking[0]), self.margin) for name in self.ranking[1:]}
        costs = {series: float(rounds["step_ns"].mul(rounds["step_share"]).median())
                 for series, rounds in self.costs.items()}  # fmt: skip
        costs = costs if set(costs) >= set(self.ranking) else {}
        return recommend(self.ranking, self.to_best, close, self.fastest_steps, self.arrives, costs, self.baseline)


def comparisons(
    runs: pd.DataFrame, costs: pd.DataFrame, request: Request, examples: Examples | None = None
) -> Iterator[Comparison]:
    """Yields one comparison per task, in the order of the runs. runs, costs: rows of runs.csv and costs.csv."""
    for task, group in labelled(compared_runs(runs)).groupby("task", sort=False):
        series = dict(zip(group["run_id"], group["series"], strict=True))
        measured = costs[costs["run_id"].isin(series)]
        rounds = {
            str(name): lines[list(COSTS_MEASURED)].reset_index(drop=True)
            for name, lines in measured.groupby(measured["run_id"].map(series), sort=False)
        }
        dataset, metric = str(group["dataset"].iloc[0]), str(group["metric"].iloc[0])
        yield Comparison(
            str(task), group, request.baseline, request.margin_of(metric), rounds, examples or {},
            request.test_sizes.get(dataset, 0), request.worst.get(dataset, 0.0), dataset in request.own_tests,
        )  # fmt: skip
