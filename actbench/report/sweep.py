"""The figures of a sweep, drawn from the files of its results folder."""

from pathlib import Path

import pandas as pd

from actbench.analysis.labels import labelled
from actbench.experiment.scores import METRICS
from actbench.report.draw import Make, drawer
from actbench.report.figures.sweep import curves_figure, scores_figure


def draw_sweep(folder: Path, runs: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    """Draws figures/accuracy.* and figures/curves.* in `folder`; returns their names, or nothing without results.

    runs: rows of runs.csv; curves: of curves.parquet.
    """
    makers = sweep_figures(runs, curves)
    draw = drawer(folder) if makers else None
    return [draw(make, name, "").name for name, make in makers.items()] if draw else []


def sweep_figures(runs: pd.DataFrame, curves: pd.DataFrame) -> dict[str, Make]:
    """What draws each figure, by name; arguments as for `draw_sweep`."""
    shown = labelled(runs[runs["status"] != "missing"])
    column = "score" if shown["score"].notna().any() else "val_score"
    if shown[column].isna().all():
        return {}
    makers: dict[str, Make] = {"accuracy": lambda width: scores_figure(shown, column, width)}
    if (curves["metric"].isin([metric.curve for metric in METRICS.values()]) & curves["step"].gt(0)).any():
        makers["curves"] = lambda width: curves_figure(shown, curves, width)
    return makers
