"""The state of MLflow's page of an experiment, arranged for comparing activations, and links to it; stores nothing.

MLflow does not document this format (read from its user interface, 3.17). Where it changes, links to the plain page
remain.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TAG = "mlflow.sharedViewState."  # followed by a view's key: a tag of the experiment

# Section -> (title, metric): lines over steps, or bars of final values.
LINES = {
    "Convergence": (
        ("Validation accuracy", "val_accuracy"), ("Validation loss", "val_loss"), ("Training loss", "train_loss"),
    ),
    "Dead units": (
        ("Dead units", "dead_fraction"), ("Dormant units", "dormant_fraction"), ("Zeros among outputs", "zero_share"),
        ("Mean output", "unit_mean"),
    ),
    "Gradients": (("Gradient norm", "gradient_norm"), ("Gradient ratio, log10", "gradient_ratio")),
}  # fmt: skip
BARS = {
    "Accuracy": (("Test accuracy", "test_accuracy"), ("Validation accuracy, mean over the run", "auc")),
    "Cost": (
        ("Steps to target", "steps_to_target"), ("Activation, ns an output", "activation_ns"),
        ("Activation, share of a step", "step_share"), ("Seconds of training, shared in a stack", "seconds"),
    ),
}  # fmt: skip
_ORDER = ("Convergence", "Accuracy", "Dead units", "Gradients", "Cost")
_COLUMNS = (
    "params.`activation`", "params.`lr`", "params.`seed`", "metrics.`test_accuracy`", "metrics.`val_accuracy`",
    "metrics.`steps_to_target`", "metrics.`dead_fraction`", "metrics.`gradient_ratio`", "tags.`status`",
)  # fmt: skip
LOADED = 100  # runs that MLflow loads at once, in the order of the view; larger views are ordered by seed, not score
_BUILT_IN = ("Model metrics", "System metrics")  # MLflow's own sections, for metrics without a chart here


@dataclass(frozen=True)
class View:
    """Runs of one kind and task; the curves of runs with equal params `groups` are averaged.

    filter: in MLflow's search grammar. values: of the params `groups`, one tuple a group. runs: their number.
    """

    title: str
    filter: str
    groups: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    runs: int

    @property
    def is_loaded(self) -> bool:
        """Whether MLflow shows all runs at once."""
        return self.runs <= LOADED

    def _group(self, values: Sequence[str]) -> str:
        """MLflow's name of a group."""
        return ",".join(f"param.{key}.{value}" for key, value in zip(self.groups, values, strict=True))

    def state(self, metrics: Sequence[str]) -> dict[str, Any]:
        """The page's state in MLflow's format. metrics: of the experiment; those without a chart here are hidden."""
        charts, sections = [], []
        for name in _ORDER:
            sections.append({"uuid": _id(name), "name": name, "display": True, "isReordered": True, "deleted": False,
                             "isGenerated": False})  # fmt: skip
            charts += [_line(name, title, metric) for title, metric in LINES.get(name, ())]
            charts += [_bar(name, title, metric) for title, metric in BARS.get(name, ())]
        shown = {chart["metricKey"] for chart in charts}
        for name in _BUILT_IN:  # collapsed: MLflow fills them with the metrics that have no chart
            sections.append({"uuid": _id(name), "name": name, "display": False, "isReordered": False, "deleted": False,
                             "isGenerated": True})  # fmt: skip
        charts += [_bar(_BUILT_IN[0], metric, metric) | {"deleted": True} for metric in metrics if metric not in shown]
        return {
            "compareRunCharts": charts, "compareRunSections": sections, "isAccordionReordered": True,
            "groupBy": {
                "aggregateFunction": "average",
                "groupByKeys": [{"mode": "param", "groupByData": key} for key in self.groups],
            },
            "useGroupedValuesInCharts": True, "hideEmptyCharts": True, "autoRefreshEnabled": True,
            "runsHiddenMode": "SHOWALL", "runsHidden": [], "runsVisibilityMap": {}, "runsPinned": [],
            "runsExpanded": {}, "groupsExpanded": dict.fromkeys(map(self._group, self.values), False),
            "runListHidden": False, "viewMaximized": False,
            "selectedColumns": list(_COLUMNS), "columnOrder": [], "columnWidths": {},
            "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
            "searchFilter": self.filter, "orderByKey": "metrics.`test_accuracy`" if self.is_loaded else "params.`seed`",
            "orderByAsc": not self.is_loaded,
            "startTime": "ALL", "lifecycleFilter": "Active", "datasetsFilter": [], "modelVersionFilter": "All Runs",
        }  # fmt: skip


def _id(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]


def _line(section: str, title: str, metric: str) -> dict[str, Any]:
    return {
        "type": "LINE", "uuid": _id(section, title), "metricSectionId": _id(section), "displayName": title,
        "metricKey": metric, "selectedMetricKeys": [metric], "xAxisKey": "step", "scaleType": "linear",
        "xAxisScaleType": "linear", "useGlobalXaxisKey": True, "useGlobalLineSmoothing": True, "lineSmoothness": 0,
        "deleted": False, "isGenerated": False, "runsCountToCompare": 100,
    }  # fmt: skip


def _bar(section: str, title: str, metric: str) -> dict[str, Any]:
    return {
        "type": "BAR", "uuid": _id(section, title), "metricSectionId": _id(section), "displayName": title,
        "metricKey": metric, "deleted": False, "isGenerated": False, "runsCountToCompare": 100,
    }  # fmt: skip


def packed_state(state: Mapping[str, Any]) -> tuple[str, str]:
    """(key, value) of the tag that holds a page's state."""
    text = json.dumps(state, separators=(",", ":"))
    value = "deflate;" + base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return _id(text), value


def experiment_link(base: str, experiment_id: str) -> str:
    """The plain page of an experiment. base: address of the server."""
    return f"{base}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"


def run_link(base: str, experiment_id: str, run_id: str) -> str:
    """The page of a run."""
    return f"{base}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"


def view_link(base: str, experiment_id: str, key: str) -> str:
    """The page of an experiment in the view with that key."""
    return f"{experiment_link(base, experiment_id)}&compareRunsMode=CHART&viewStateShareKey={key}"
