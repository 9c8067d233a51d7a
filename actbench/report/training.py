"""The part of a report that shows how the runs trained: over steps, by layer, by learning rate."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from actbench.analysis.labels import labelled
from actbench.report.figures.training import (
    CURVES,
    curves_figure,
    histograms_figure,
    layers_figure,
    learning_rates_figure,
)
from actbench.report.formats.blocks import Block, Figure, Heading

DEEP = 5  # hidden layers, from which on a picture by layer says more than the curves of all
LAYERED = {"dead_fraction": "share of dead units", "gradient_rms": "RMS gradient, log10"}

Draw = Callable[[Any, str, str], Figure]  # figure, name, caption


def training_section(runs: pd.DataFrame, points: Mapping[str, pd.DataFrame], draw: Draw) -> Iterator[Block]:
    """runs: rows of runs.csv, phases tune and confirm. points: curves, layers and histograms, as mirror has them."""
    named = labelled(runs)
    tuned, confirmed = (named[named["phase"] == phase] for phase in ("tune", "confirm"))
    confirmed = confirmed[["run_id", "setting", "series", "steps"]]
    yield Heading(2, "Training")
    curves = points["curves"]
    drawn = confirmed.merge(curves[curves["metric"].isin(CURVES)], on="run_id")
    if len(drawn):
        caption = "Confirming runs by step: mean over seeds, 10th to 90th percentile as a band."
        yield draw(curves_figure(drawn), "curves", caption)
    binned = confirmed.merge(points["histograms"], on="run_id")
    binned = binned[binned["step"] == binned["steps"]]  # a diverged run has only those of its start
    if len(binned):
        caption = "Outputs of the units of the first and the last hidden layer after training, all seeds."
        yield draw(histograms_figure(binned), "outputs", caption)
    by_setting = confirmed.merge(points["layers"], on="run_id").groupby("setting", sort=False)
    for number, (setting, own) in enumerate(by_setting, 1):
        for metric, title in LAYERED.items():
            values = own.loc[own["metric"] == metric].copy()
            values["value"] = _shown(values["value"], metric)
            values = values[np.isfinite(values["value"])]
            if values["layer"].nunique() >= DEEP:
                caption = f"{setting}: {title}, by layer and step, mean over seeds."
                yield draw(layers_figure(values, metric, title), f"layers_{metric}_{number}", caption)
    tuned = tuned[tuned["status"] != "missing"]
    if tuned["lr"].nunique() > 1:
        caption = "Validation accuracy of the tuning runs by learning rate; diverged and failed runs count as 0."
        yield draw(learning_rates_figure(tuned), "learning_rates", caption)


def _shown(values: pd.Series, metric: str) -> pd.Series:
    """Gradients by their logarithm."""
    with np.errstate(divide="ignore"):
        return np.log10(values) if metric == "gradient_rms" else values
