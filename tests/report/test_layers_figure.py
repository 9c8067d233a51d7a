"""Dead units and gradients by hidden layer."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection, QuadMesh

from actbench.report.figures.layer_ends import METRICS, layer_ends
from actbench.report.figures.layers import layers_figures
from actbench.report.figures.style import NARROW, WIDTH
from tests.report.runs import compared, layers_of

SCORES = {"gelu": [0.9, 0.92] * 3, "relu": [0.95, 0.96] * 3}


def dying(metric: str, series: str, layer: int, step: int) -> float:
    """ReLU's units die with depth and time; gradients fall by ten per layer towards the input."""
    return layer * step / 1000 * (series == "relu") if metric == "dead_fraction" else 10.0 ** (layer - 4)


def test_the_ends_are_means_over_seeds_of_the_first_and_the_last_layer_after_training() -> None:
    comparison = compared(SCORES)
    layers = layers_of(comparison, 3, dying)
    layers = layers.merge(comparison.runs[["run_id", "series"]], on="run_id")
    dead, gradient = [layer_ends(metric.of(layers), ["relu", "gelu", "tanh"]) for metric in METRICS]
    assert dead.to_dict("index") == {
        "relu": pytest.approx({"first": 0, "last": 20}), "gelu": pytest.approx({"first": 0, "last": 0}),
    }  # fmt: skip
    assert gradient.loc[["gelu"]].to_numpy()[0].tolist() == pytest.approx([-4, -2])


def test_shallow_networks_are_one_figure_of_dots() -> None:
    tasks = [compared(SCORES), compared(SCORES, "cnn")]
    flat = layers_of(tasks[1], 2, lambda metric, *_: float(metric == "gradient_rms"))  # nothing varies
    ((name, caption, make),) = layers_figures(tasks, pd.concat([layers_of(tasks[0], 2, dying), flat]))
    assert name == "layers"
    assert caption.startswith("Dead units and RMS gradient by hidden layer after training")
    for figure in (make(WIDTH), make(NARROW)):
        assert [axis.get_xlabel() for axis in figure.axes] == ["dead units, %", "RMS gradient"]
        assert [text.get_text() for text in figure.axes[0].texts] == ["relu", "gelu"]
        first, last = [found for found in figure.axes[0].collections if isinstance(found, PathCollection)]
        assert np.asarray(first.get_offsets()).tolist() == [[0, 0], [0, 1]]
        assert np.asarray(last.get_offsets()) == pytest.approx(np.array([[10, 0], [0, 1]]))
    assert list(layers_figures(tasks[1:], flat)) == []
    assert list(layers_figures(tasks, flat.iloc[:0])) == []


def test_a_metric_begins_in_a_row_of_its_own_and_rows_without_a_first_panel_keep_their_labels() -> None:
    tasks = [compared(SCORES, f"task{number}") for number in range(3)]
    frames = [layers_of(task, 2, dying) for task in tasks]
    frames[2] = frames[2][frames[2]["metric"] == "gradient_rms"]
    ((_, _, make),) = layers_figures(tasks, pd.concat(frames))
    wide, narrow = make(WIDTH), make(NARROW)
    labels = [axis.get_xlabel() for axis in wide.axes]
    assert labels == ["dead units, %"] * 2 + [""] + ["RMS gradient"] * 3
    assert [axis.get_xlabel() for axis in narrow.axes] == ["dead units, %", "RMS gradient"] * 2 + ["", "RMS gradient"]
    assert [text.get_text() for text in narrow.axes[5].texts] == ["relu", "gelu"]
    assert not narrow.axes[3].texts


def test_deep_networks_that_were_measured_twice_are_dots() -> None:
    comparison = compared(SCORES)
    assert [name for name, *_ in layers_figures([comparison], layers_of(comparison, 6, dying, (0, 30)))] == ["layers"]


def test_an_axis_of_gradients_has_two_numbers_or_more_within_less_than_a_decade() -> None:
    comparison = compared(SCORES)
    flat = layers_of(comparison, 2, lambda metric, series, layer, step: 0.012 + 0.022 * layer)
    ((_, _, make),) = layers_figures([comparison], flat)
    for figure in (make(WIDTH), make(NARROW)):
        labels = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
        assert len(labels) >= 2
        assert figure.axes[-1].get_xlabel() == "RMS gradient"


def test_deep_networks_are_heat_maps_with_a_panel_per_series_in_one_scale() -> None:
    comparison = compared(SCORES)
    steps, depth = (0, 10, 30), 6
    layers = layers_of(comparison, depth, dying, steps)
    seeds = dict(zip(comparison.runs["run_id"], comparison.runs["seed"], strict=True))
    dead = layers["metric"] == "dead_fraction"
    layers.loc[dead, "value"] += layers.loc[dead, "run_id"].map(seeds) / 1000
    figures = {name: (make(WIDTH), make(NARROW)) for name, _, make in layers_figures([comparison], layers)}
    assert list(figures) == ["layers_dead_fraction_1", "layers_gradient_rms_1"]
    for figure in figures["layers_dead_fraction_1"]:
        drawn = [axis for axis in figure.axes if axis.get_title()]
        assert [axis.get_title() for axis in drawn] == ["relu", "gelu"]
        assert figure.axes[-1].get_ylabel() == "dead units, %"
        (mesh,) = drawn[0].collections
        assert isinstance(mesh, QuadMesh)
        expected = 100 * (np.arange(depth)[:, None] * np.array(steps) / 1000 + 0.0025)
        assert np.asarray(mesh.get_array()).reshape(depth, len(steps)) == pytest.approx(expected)
        assert (mesh.norm.vmin, mesh.norm.vmax) == pytest.approx((0.25, 15.25))
        assert np.asarray(mesh.get_coordinates())[0, :, 0].tolist() == [0, 5, 20, 30]  # between the steps
        assert np.asarray(mesh.get_coordinates())[:, 0, 1].tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
    zero = layers["metric"].eq("gradient_rms") & layers["layer"].eq(0)
    layers.loc[zero, "value"] = 0.0  # it has no logarithm and is not drawn
    makers = {name: make for name, _, make in layers_figures([comparison], layers)}
    wide = makers["layers_gradient_rms_1"](WIDTH)
    (mesh,) = wide.axes[0].collections
    assert mesh.norm is not None
    assert (mesh.norm.vmin, mesh.norm.vmax) == pytest.approx((-3, 1))
