"""Learning curves in small multiples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from actbench.analysis.order import order
from actbench.analysis.pairs import Comparison
from actbench.report.figures.cells import Band, Cell, Sheet
from actbench.report.figures.panels import POINTS, colour, wrapped
from actbench.report.figures.rates import zoomed
from actbench.report.figures.style import WIDTH, is_narrow
from actbench.report.metrics import only_metric
from actbench.report.sentences import short_names

_TASKS, _ROWS = 4, 16  # of a figure with a column per task and a row per series
_PER_ROW = {False: 6, True: 3}  # cells of a block in a row, by whether the figure is narrow
_EARLY = 1 / 6  # of the steps, at which the middle series enters the panel
_HEIGHTS = (0.26, 0.75)  # inches of a cell, the least and the most
_TALL = {False: 5.4, True: 8.6}  # inches of the figure where cells are not at their least, by whether it is narrow


@dataclass(frozen=True)
class Curves:
    """The learning curves of one task. bands: by series; limits: of scores, lowest and highest."""

    comparison: Comparison
    bands: Mapping[str, Band]
    limits: tuple[float, float]

    def cell(self, series: str) -> Cell | None:
        """The panel of one series, with the baseline's mean behind; None for a series without curves."""
        if series not in self.bands:
            return None
        behind = self.bands.get(self.comparison.baseline)
        return Cell(self.bands[series], None if behind is None else behind.line, colour(self.comparison, series))

    @property
    def length(self) -> float:
        """Steps of the longest curve."""
        return max(float(band.line[-1, 0]) for band in self.bands.values())


def task_curves(comparison: Comparison, curves: pd.DataFrame) -> Curves | None:
    """Mean and 10th to 90th percentile over seeds by step, at the chosen rates; None where there are no curves.

    curves: run_id, step, metric, value. A run that diverged counts as the worst score from then on.
    """
    runs = comparison.ended.set_index("run_id")
    rows = curves[(curves["metric"] == comparison.metric.curve) & curves["run_id"].isin(runs.index)]
    wide = rows.pivot(index="step", columns="run_id", values="value")
    diverged = wide.columns.intersection(runs.index[runs["status"] == "diverged"])
    wide[diverged] = wide[diverged].fillna(comparison.worst)
    bands = {}
    for series, group in runs.groupby("series", sort=False):
        values = wide[wide.columns.intersection(group.index)].dropna()
        if values.size:
            low, high = np.percentile(values, [10, 90], axis=1)
            steps = values.index.to_numpy(dtype=float)
            bands[str(series)] = Band(np.column_stack([steps, values.mean(axis=1)]), low, high)
    return Curves(comparison, bands, _limits(bands, comparison)) if bands else None


def _limits(bands: Mapping[str, Band], comparison: Comparison) -> tuple[float, float]:
    """From where the middle series is after the first steps, but not far below the last values, to the highest."""
    last = pd.Series([band.line[-1, 1] for band in bands.values()])
    floor, top = zoomed(last, comparison.margin, worst=comparison.worst)
    early = float(np.median([np.interp(_EARLY * band.line[-1, 0], *band.line.T) for band in bands.values()]))
    return min(floor, max(early, floor - 2 * (top - floor))), top


def curves_figure(comparisons: Sequence[Comparison], curves: pd.DataFrame, width: float = WIDTH) -> Figure:
    """Validation score by step at the chosen rates: mean over seeds, 10th to 90th percentile as a band.

    A panel per series and task with the baseline's mean in grey behind. Up to four tasks are columns, and rows are
    series in one order; of more tasks, and in a narrow figure, each is a block of panels. A curve that ends below its
    panel has an arrow with its last value. curves: run_id, step, metric, value.
    """
    drawn = [found for found in (task_curves(comparison, curves) for comparison in comparisons) if found]
    names = [name for name in order(comparisons) if any(name in found.bands for found in drawn)]
    short, shared = short_names([comparison.task for comparison in comparisons]), only_metric(comparisons)
    titles = [
        short[found.comparison.task] + (f": {found.comparison.metric.noun}" if shared is None else "")
        for found in drawn
    ]
    axis = "validation score" if shared is None else shared.axis
    if is_narrow(width) or not 1 < len(drawn) <= _TASKS or len(names) > _ROWS:
        return _blocks(drawn, titles, names, axis, width)
    return _matrix(drawn, titles, names, axis, width)


def _matrix(drawn: Sequence[Curves], titles: Sequence[str], names: Sequence[str], axis: str, total: float) -> Figure:
    """Rows are series, columns tasks."""
    left, gap = 0.22 + POINTS / 72 * max(map(len, names)), 0.08
    pitch = (total - left - 0.1) / len(drawn)
    width = pitch - 0.32 - 0.1
    top = 0.3 + 0.125 * max(wrapped(title, width).count("\n") for title in titles)
    height = float(np.clip((_TALL[False] - top - 0.2) / len(names) - gap, *_HEIGHTS))
    sheet = Sheet(total, top + 0.2 + len(names) * (height + gap))
    for column, (found, title) in enumerate(zip(drawn, titles, strict=True)):
        x = left + column * pitch + 0.32
        sheet.title(x + width / 2, top - 0.1, title, width)
        for row, name in enumerate(names):
            y = top + row * (height + gap)
            if column == 0:
                sheet.label(left, y + height / 2, name)
            cell = found.cell(name)
            if cell:
                last = row == len(names) - 1
                box, metric = (x, y, width, height), found.comparison.metric
                sheet.draw(cell, box, found.limits, found.length, values=True, steps=last, metric=metric)
    sheet.axis_name(axis)
    return sheet.finish()


def _blocks(drawn: Sequence[Curves], titles: Sequence[str], names: Sequence[str], axis: str, total: float) -> Figure:
    """A block of panels per task, each with the name of its series above."""
    gap = 0.2
    fitting = int((total - 0.5) / (0.1 + POINTS / 72 * max(map(len, names), default=1)))
    per_row = max(1, min(_PER_ROW[is_narrow(total)], fitting, len(names)))
    shown = [[name for name in names if name in found.bands] for found in drawn]
    rows = [-(-len(of_task) // per_row) for of_task in shown]
    head, foot = 0.25, 0.2
    fixed = 0.05 + len(drawn) * (head + foot)
    height = float(np.clip((_TALL[is_narrow(total)] - fixed) / max(1, sum(rows)) - gap, *_HEIGHTS))
    sheet = Sheet(total, fixed + sum(rows) * (height + gap))
    pitch, y = (total - 0.5) / per_row, 0.0
    for found, title, of_task, count in zip(drawn, titles, shown, rows, strict=True):
        sheet.title(total / 2, y + 0.18, title, total)
        for place, name in enumerate(of_task):
            row, column = divmod(place, per_row)
            box = (0.45 + column * pitch, y + head + gap + row * (height + gap), pitch - 0.08, height)
            sheet.name(box[0], box[1] - 0.03, name)
            cell = found.cell(name)
            if cell:
                below, metric = place + per_row >= len(of_task), found.comparison.metric
                sheet.draw(cell, box, found.limits, found.length, values=column == 0, steps=below, metric=metric)
        y += head + foot + count * (height + gap)
    sheet.axis_name(axis)
    return sheet.finish()
