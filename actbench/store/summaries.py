"""Summaries of a comparison in MLflow: one run per activation and task, from which the dashboard draws its charts.

A chart of MLflow draws the values of runs, loads 100 runs at once and draws a bar from 0. One run per activation, with
the difference to the baseline as a metric, gives sorted bars whose zero is the baseline.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actbench.store.entries import Entry
from actbench.store.names import COLOR, SUMMARY

# Metrics of a summary that a trained run does not have. MLflow shows a metric's name as the title of its chart.
# The difference to the baseline, by metric of the score, positive where it is better. Step 0: low end of the 95 %
# interval, 1: high end, 2: mean, MLflow's latest value.
DIFFERENCES = {
    "accuracy": "points above baseline",
    "r2": "R2 above baseline",
    "bits_per_character": "bits fewer than baseline",
}
DIFFERENCE = DIFFERENCES["accuracy"]
PLACE = "95 percent interval"  # place by mean test score, once for each step of the difference: its vertical position
LOG_RATE = "log10 learning rate"  # the grid, ascending; a step is an index of it
BY_RATE = "val_accuracy by rate"  # mean over the seeds that were trained at each rate of the grid, at the same steps
SCORE_BY_RATE = "val_score by rate"  # its name where the score is no accuracy


def by_rate(metric: str) -> str:
    """The name of the mean validation score by rate. metric: of the score."""
    return BY_RATE if metric == "accuracy" else SCORE_BY_RATE


def score_column(metric: str) -> str:
    """The name of the mean test score. metric: of the score."""
    return "test_accuracy" if metric == "accuracy" else "score"


@dataclass(frozen=True)
class Summary:
    """What a comparison has found about one activation on one task.

    name: the activation, with those of its settings that vary. params: `task` among them. verdict: against the
    baseline. color: #RRGGBB, in which MLflow draws the run; a group of runs cannot have one, as the browser derives its
    color from the group's name. values: final values. curves: metric -> (step, value). A curve that has a final value
    too is not among `values`. metric: of the score. margin: of the task; None: that of the command.
    """

    name: str
    params: Mapping[str, str]
    verdict: str
    color: str
    values: Mapping[str, float]
    curves: Mapping[str, Sequence[tuple[int, float]]]
    metric: str = "accuracy"
    margin: float | None = None

    def entry(self, tags: Mapping[str, str], parent: str) -> Entry:
        """The run of MLflow that holds it. tags: of the command. parent: uid of the comparison's run."""
        now = int(time.time() * 1000)
        curves = {**{key: [(0, value)] for key, value in self.values.items()}, **self.curves}
        points = [(key, value, step, now) for key, curve in curves.items() for step, value in curve]
        own = {"kind": SUMMARY, "verdict": self.verdict, COLOR: self.color, "metric": self.metric}
        own |= {} if self.margin is None else {"margin": str(self.margin)}
        return Entry(uuid.uuid4().hex, self.name, {**tags, **own}, parent, "FINISHED", self.params, points, started=now)
