"""Activations and their cost."""

import numpy as np
import pandas as pd
import pytest

from actbench.report.figures.activations import activation_figure
from actbench.report.figures.costs import cost_figure
from actbench.report.figures.panels import inches


@pytest.mark.parametrize("count", [1, 2, 30])
def test_each_activation_has_a_panel_with_its_derivative_on_axes_that_squares_do_not_stretch(count: int) -> None:
    z = np.linspace(-5, 5, 11)
    figure = activation_figure({f"f{number}": (f"f{number}", z, z**2, 2 * z) for number in range(count)})
    assert [axis.get_title() for axis in figure.axes] == [f"f{number}" for number in range(count)]
    slope, function = figure.axes[-1].lines[-2:]
    assert (np.asarray(slope.get_ydata())[0], np.asarray(function.get_ydata())[0]) == (-10, 25)
    assert slope.get_color() != function.get_color()
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == pytest.approx((-3.4, 5.4))
    assert figure.get_size_inches()[1] < 9.5
    assert inches(figure.axes[0])[1] > 0.6


def test_costs_are_sorted_by_their_sum_at_the_largest_size() -> None:
    lines = [
        {"activation": name, "size": size, "direction": direction, "median_ns": value, "low_ns": value * 0.9,
         "high_ns": value * 1.1}
        for name, values in {"copy": (0.1, 0.1), "relu": (1.0, 4.0), "gelu": (3.0, 1.0)}.items()
        for size in ("small", "large")
        for direction, value in zip(("forward", "backward"), values, strict=True)
    ]  # fmt: skip
    figure = cost_figure(pd.DataFrame(lines), {"gelu": "gelu", "relu": "relu"})
    assert [axis.get_title() for axis in figure.axes] == ["small", "large"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["relu", "gelu"]
    forward, backward = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert [np.asarray(line.get_xdata()).tolist() for line in (forward, backward)] == [[1, 3], [4, 1]]
    assert backward.get_markerfacecolor() == "white"
    assert figure.axes[0].get_xlabel() == "ns per output"
