"""The figures of a sweep, drawn from the files of its results folder."""

from pathlib import Path

import pandas as pd

from actbench.analysis.labels import labelled
from actbench.experiment.scores import METRICS
from actbench.report.draw import drawer
from actbench.report.figures.sweep import curves_figure, scores_figure


def draw_sweep(folder: Path, runs: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    """Draws figures/accuracy.* and figures/curves.* in `folder`; returns their names, or nothing without results.

    runs: rows of runs.csv; curves: of curves.parquet.
    """
    shown = labelled(runs[runs["status"] != "missing"])
    column = "score" if shown["score"].notna().any() else "val_score"
    if shown[column].isna().all():
        return []
    draw = drawer(folder)
    figures = [draw(lambda narrow: scores_figure(shown, column, narrow), "accuracy", "")]
    if (curves["metric"].isin([metric.curve for metric in METRICS.values()]) & curves["step"].gt(0)).any():
        figures.append(draw(lambda narrow: curves_figure(shown, curves, narrow), "curves", ""))
    return [figure.name for figure in figures]
