"""The state of MLflow's page of an experiment, arranged for comparing activations, and links to it; stores nothing.

MLflow does not document this format (read from its user interface, 3.17). Where it changes, links to the plain page
remain.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from actbench.store.charts import Section, bar, identifier

TAG = "mlflow.sharedViewState."  # followed by a view's key: a tag of the experiment


def run_columns(score: str = "test_accuracy", validation: str = "val_accuracy") -> tuple[str, ...]:
    """The columns of a table of runs. score, validation: the metrics of their scores."""
    return (
        "params.`activation`", "params.`lr`", "params.`seed`", f"metrics.`{score}`", f"metrics.`{validation}`",
        "metrics.`steps_to_target`", "metrics.`dead_fraction`", "metrics.`gradient_ratio`", "tags.`status`",
    )  # fmt: skip


LOADED = 100  # runs that MLflow loads at once, in the order of the view; larger views are ordered by seed, not score
_BUILT_IN = ("Model metrics", "System metrics")  # MLflow's own sections, for metrics without a chart here


@dataclass(frozen=True)
class View:
    """Runs of one kind and task.

    filter: in MLflow's search grammar. runs: their number. best: metric by which they are ordered, highest first.
    groups: params; the curves of runs with equal ones are averaged. values: of these params, one tuple a group.
    """

    title: str
    filter: str
    runs: int
    sections: Sequence[Section]
    best: str = "test_accuracy"
    columns: Sequence[str] = field(default_factory=run_columns)
    groups: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()

    @property
    def is_loaded(self) -> bool:
        """Whether MLflow shows all runs at once."""
        return self.runs <= LOADED

    def _group(self, values: Sequence[str]) -> str:
        """MLflow's name of a group."""
        return ",".join(f"param.{key}.{value}" for key, value in zip(self.groups, values, strict=True))

    def state(self, metrics: Sequence[str]) -> dict[str, Any]:
        """The page's state in MLflow's format. metrics: of the experiment; those without a chart here are hidden."""
        grouped = {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "param", "groupByData": key} for key in self.groups],
        }
        return {
            **self._charts(metrics), "isAccordionReordered": True,
            "groupBy": grouped if self.groups else None,
            "useGroupedValuesInCharts": True, "hideEmptyCharts": True, "autoRefreshEnabled": True,
            "runsHiddenMode": "SHOWALL", "runsHidden": [], "runsVisibilityMap": {}, "runsPinned": [],
            "runsExpanded": {}, "groupsExpanded": dict.fromkeys(map(self._group, self.values), False),
            "runListHidden": False, "viewMaximized": False,
            "selectedColumns": list(self.columns), "columnOrder": [], "columnWidths": {},
            "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
            "searchFilter": self.filter, "orderByKey": f"metrics.`{self.best}`" if self.is_loaded else "params.`seed`",
            "orderByAsc": not self.is_loaded,
            "startTime": "ALL", "lifecycleFilter": "Active", "datasetsFilter": [], "modelVersionFilter": "All Runs",
        }  # fmt: skip

    def _charts(self, metrics: Sequence[str]) -> dict[str, Any]:
        charts, sections = [], []
        for section in self.sections:
            sections.append({"uuid": identifier(section.name), "name": section.name, "display": True,
                             "isReordered": True, "deleted": False, "isGenerated": False,
                             "columns": section.columns})  # fmt: skip
            charts += [chart | {"metricSectionId": identifier(section.name)} for chart in section.charts]
        shown = {chart["metricKey"] for chart in charts}
        for name in _BUILT_IN:  # collapsed: MLflow fills them with the metrics that have no chart
            sections.append({"uuid": identifier(name), "name": name, "display": False, "isReordered": False,
                             "deleted": False, "isGenerated": True})  # fmt: skip
        hidden = {"metricSectionId": identifier(_BUILT_IN[0]), "deleted": True}
        charts += [bar(metric) | hidden for metric in metrics if metric not in shown]
        return {"compareRunCharts": charts, "compareRunSections": sections}


def packed_state(state: Mapping[str, Any]) -> tuple[str, str]:
    """(key, value) of the tag that holds a page's state."""
    text = json.dumps(state, separators=(",", ":"))
    value = "deflate;" + base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return identifier(text), value


def experiment_link(base: str, experiment_id: str) -> str:
    """The plain page of an experiment. base: address of the server."""
    return f"{base}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"


def run_link(base: str, experiment_id: str, run_id: str) -> str:
    """The page of a run."""
    return f"{base}/#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"


def view_link(base: str, experiment_id: str, key: str) -> str:
    """The page of an experiment in the view with that key."""
    return f"{experiment_link(base, experiment_id)}&compareRunsMode=CHART&viewStateShareKey={key}"
