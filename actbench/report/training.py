"""The part of a report that shows how the runs trained: rates, curves, times to target, units and gradients."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from actbench.analysis.pairs import Comparison
from actbench.report.draw import Draw
from actbench.report.figures.curves import curves_figure
from actbench.report.figures.layers import layers_figures
from actbench.report.figures.rates import rates_figure
from actbench.report.figures.time_steps import time_steps_figure
from actbench.report.figures.times import times_figure
from actbench.report.formats.blocks import Block, Heading, Table
from actbench.report.metrics import validation_name
from actbench.report.numbers import capitalized
from actbench.report.sentences import short_names
from actbench.report.tables import training_table


def training_section(
    comparisons: Sequence[Comparison], points: Mapping[str, pd.DataFrame], draw: Draw
) -> Iterator[Block]:
    """The blocks of the section. points: curves and layers, as the files of that name have them."""
    scored = [comparison for comparison in comparisons if not comparison.scores.empty]
    if not scored:
        return
    name = capitalized(validation_name(scored))
    yield Heading(2, "Learning rates and training")
    if any(comparison.planned["lr"].nunique() > 1 for comparison in scored):
        yield draw(
            lambda width: rates_figure(scored, width), "learning_rates",
            f"{name} by learning rate, means of the seeds that a rate has. Large: chosen; hollow: given up after a "
            "stage; an arrow with its value: below the axis.",
        )  # fmt: skip
    chosen = pd.concat([comparison.ended["run_id"] for comparison in scored])
    curves = points["curves"][points["curves"]["run_id"].isin(chosen)]
    if len(curves[curves["step"] > 0]):
        yield draw(
            lambda width: curves_figure(scored, curves, width), "curves",
            f"{name} by step at the chosen rates: mean over seeds, band from the 10th to the 90th "
            f"percentile; grey behind: {scored[0].baseline}.",
        )  # fmt: skip
    steps = sorted(set(curves.loc[curves["metric"].isin({task.metric.curve for task in scored}), "step"]))
    gaps = [later - step for step, later in itertools.pairwise(steps)]
    if (times := times_figure(scored)) is not None:
        yield draw(
            lambda width: times_figure(scored, width) or times, "times",
            "Mean steps to the target at the fastest rate, with 95 % intervals. A run that never arrives counts with "
            f"its whole length (triangle: with some such runs); the line is {scored[0].baseline}. Steps are read at "
            f"evaluations, at least {min(gaps, default=0)} steps apart.",
        )  # fmt: skip
    layers = points["layers"][points["layers"]["run_id"].isin(chosen)]
    for name, caption, make in layers_figures(scored, layers):
        yield draw(make, name, caption)
    if (through_time := time_steps_figure(scored, layers)) is not None:
        yield draw(
            lambda width: time_steps_figure(scored, layers, width) or through_time,
            "time_steps",
            "RMS gradient of the loss at the pre-activations of each time step, after training: geometric means over "
            f"seeds and layers at the chosen rates; grey behind: {scored[0].baseline}.",
        )  # fmt: skip
    names = short_names([comparison.task for comparison in comparisons])
    for comparison in scored:
        yield Table(training_table(comparison), f"{names[comparison.task]}: training.")
