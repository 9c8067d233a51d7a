"""The charts of a view of MLflow's page of an experiment, in sections, in MLflow's own format.

MLflow does not document this format (read from its user interface, 3.17).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actbench.experiment.scores import METRICS
from actbench.store.summaries import DIFFERENCES, LOG_RATE, PLACE, by_rate, score_column

Chart = dict[str, Any]
_LINES = {
    "Convergence": ("val_loss", "train_loss"),
    "Dead units": ("dead_fraction", "dormant_fraction", "near_zero_share", "abs_unit_mean"),
    "Gradients": ("gradient_norm", "gradient_ratio"),
}
CURVES = ["val_accuracy", "val_score", *(metric for metrics in _LINES.values() for metric in metrics)]
_COSTS = ("steps_to_target", "activation_ns", "step_share")
_SIDE = 3.0  # margins that the chart of intervals shows on each side of the baseline
_BELOW, _ABOVE = 15.0, 2.0  # margins that a chart of scores shows below and above the best


@dataclass(frozen=True)
class Section:
    """Charts under a heading, `columns` side by side."""

    name: str
    charts: Sequence[Chart]
    columns: int = 3


def run_sections(metric: str = "accuracy") -> list[Section]:
    """Charts of trained runs: final values as bars, curves as lines, which a run has while it trains.

    metric: of their scores.
    """
    scores = [bar(score_column(metric)), line(METRICS[metric].curve), bar("auc")]
    return [
        Section(_title(metric), scores),
        *map(_lines, _LINES),
        Section("Cost", [bar(metric) for metric in (*_COSTS, "seconds")]),
    ]


def _title(metric: str) -> str:
    return "Accuracy" if metric == "accuracy" else "Score"


def summary_sections(values: Sequence[Mapping[str, float]], margin: float, metric: str = "accuracy") -> list[Section]:
    """Charts of the summaries of one task, zoomed to where their differences are.

    values: final metrics of each summary. margin: of the task. metric: of its scores.
    """
    scored_by, difference = METRICS[metric], DIFFERENCES[metric]
    curve = scored_by.curve
    best = max((own[curve] for own in values if curve in own), default=scored_by.best)
    top = (best - _BELOW * margin, best + _ABOVE * margin)
    spread = max((abs(end) for own in values for key, end in own.items() if key.startswith(difference)), default=0.0)
    side = scored_by.scale * margin * _SIDE
    x = (-side, side) if spread > side else None
    interval = line(PLACE, against=difference, x=x, y=(len(values) + 0.5, -0.5))  # MLflow's buttons need the first row
    rates = line(by_rate(metric), against=LOG_RATE, y=top)
    return [
        Section(_title(metric), [bar(difference), interval] if spread else [bar(score_column(metric))], columns=2),
        Section(f"Validation {_title(metric).lower()}", [rates, line(curve, y=top)], columns=2),
        Section("Cost", [bar(metric) for metric in _COSTS]),
        *map(_lines, ("Dead units", "Gradients", "Convergence")),
    ]


def _lines(name: str) -> Section:
    return Section(name, [line(metric) for metric in _LINES[name]], columns=2)


def line(
    metric: str, against: str = "", x: tuple[float, float] | None = None, y: tuple[float, float] | None = None
) -> Chart:
    """A line per run over its steps, or over the values of the metric `against`. x, y: ends of the axes.

    Where y starts with its higher end, the axis points downwards.
    """
    (left, right), (bottom, top) = x or (None, None), y or (None, None)
    ends = {"xMin": left, "xMax": right, "yMin": bottom, "yMax": top}
    return _chart("LINE", metric) | {
        "selectedMetricKeys": [metric], "xAxisKey": "metric" if against else "step", "selectedXAxisMetricKey": against,
        "useGlobalXaxisKey": not against, "scaleType": "linear", "xAxisScaleType": "linear",
        "useGlobalLineSmoothing": True, "lineSmoothness": 0,
        "range": {end: value for end, value in ends.items() if value is not None},
    }  # fmt: skip


def bar(metric: str) -> Chart:
    """A bar per run, from 0 to its final value."""
    return _chart("BAR", metric)


def _chart(kind: str, metric: str) -> Chart:
    return {"type": kind, "uuid": identifier(kind, metric), "displayName": metric, "metricKey": metric,
            "deleted": False, "isGenerated": False, "runsCountToCompare": 100}  # fmt: skip


def identifier(*parts: str) -> str:
    """A name that is the same for the same parts."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]
