"""The part of a report that shows how the runs trained: over steps, by layer, by learning rate."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from actbench.analysis.labels import usual_length
from actbench.report.figures.training import (
    CURVES,
    curves_figure,
    histograms_figure,
    layers_figure,
    learning_rates_figure,
)
from actbench.report.formats.blocks import Block, Figure, Heading

DEEP = 5  # hidden layers, from which on a figure by layer shows more than the mean over all
LAYERED = {"dead_fraction": "share of dead units", "gradient_rms": "RMS gradient, log10"}

Draw = Callable[[Any, str, str], Figure]  # figure, name, caption


def training_section(runs: pd.DataFrame, points: Mapping[str, pd.DataFrame], draw: Draw) -> Iterator[Block]:
    """The blocks of the section.

    runs: labelled rows of runs.csv, marked by a protocol. points: curves, layers and histograms, as the files of that
    name have them.
    """
    tuned = usual_length(runs)
    chosen = runs.loc[runs["chosen"].eq(True), ["run_id", "task", "series", "activation", "steps"]]
    yield Heading(2, "Training")
    curves = chosen.merge(points["curves"][points["curves"]["metric"].isin(CURVES)], on="run_id")
    if len(curves):
        caption = "By step, at the chosen rates: mean over seeds, 10th to 90th percentile as a band."
        yield draw(curves_figure(curves), "curves", caption)
    histograms = chosen.merge(points["histograms"], on="run_id")
    histograms = histograms[histograms["step"] == histograms["steps"]]  # a diverged run has only those of its start
    if len(histograms):
        caption = "Outputs of the units of the first and the last hidden layer after training, all seeds."
        yield draw(histograms_figure(histograms), "outputs", caption)
    layers = chosen.merge(points["layers"], on="run_id")
    for number, (task, by_layer) in enumerate(layers.groupby("task", sort=False), 1):
        for metric, title in LAYERED.items():
            values = _drawn(by_layer, metric)
            if values["layer"].nunique() >= DEEP:
                caption = f"{task}: {title}, by layer and step, mean over seeds."
                yield draw(layers_figure(values, title), f"layers_{metric}_{number}", caption)
    tuned = tuned[tuned["status"] != "missing"]
    if tuned["lr"].nunique() > 1:
        caption = (
            "Validation accuracy by learning rate, of all seeds that a rate has; diverged and failed runs count as 0."
        )
        yield draw(learning_rates_figure(tuned), "learning_rates", caption)


def _drawn(by_layer: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The finite values of a metric; gradients by their logarithm."""
    values = by_layer[by_layer["metric"] == metric]
    if metric == "gradient_rms":
        with np.errstate(divide="ignore"):
            values = values.assign(value=np.log10(values["value"]))
    return values[np.isfinite(values["value"])]
