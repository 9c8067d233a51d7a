"""The figures of a sweep, drawn from the files of its results folder."""

from pathlib import Path

import pandas as pd

from actbench.analysis.labels import labelled
from actbench.report.draw import drawer
from actbench.report.figures.sweep import accuracy_figure, curves_figure


def draw_sweep(folder: Path, runs: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    """Draws figures/accuracy.* and figures/curves.* in `folder`; returns their names, or nothing without results.

    runs: rows of runs.csv; curves: of curves.parquet.
    """
    shown = labelled(runs[runs["status"] != "missing"])
    metric = "test_accuracy" if shown["test_accuracy"].notna().any() else "val_accuracy"
    if shown[metric].isna().all():
        return []
    draw = drawer(folder)
    figures = [draw(lambda narrow: accuracy_figure(shown, metric, narrow), "accuracy", "")]
    if (curves["metric"].eq("val_accuracy") & curves["step"].gt(0)).any():
        figures.append(draw(lambda narrow: curves_figure(shown, curves, narrow), "curves", ""))
    return [figure.name for figure in figures]
